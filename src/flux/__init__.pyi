"""The face as editors and type checkers see it: the table of `__init__.py` as plain imports."""

from flux import (
    data as data,
    functional as functional,
    init as init,
    layers as layers,
    losses as losses,
    metrics as metrics,
    optim as optim,
)
from flux.ad import (
    code_adjoint as code_adjoint,
    code_ir as code_ir,
    grad as grad,
    gradient as gradient,
    nograd as nograd,
    pullback as pullback,
    rule as rule,
    stop_gradient as stop_gradient,
    value_and_grad as value_and_grad,
    withgradient as withgradient,
    within_gradient as within_gradient,
)
from flux.compiler import (
    jit as jit,
    lower as lower,
)
from flux.data import (
    DataLoader as DataLoader,
    datasets as datasets,
    kfolds as kfolds,
    onecold as onecold,
    onehot as onehot,
    onehotbatch as onehotbatch,
    splitobs as splitobs,
)
from flux.errors import (
    FluxError as FluxError,
    LabelError as LabelError,
    ModelFileError as ModelFileError,
    NonFiniteLoss as NonFiniteLoss,
    NotDifferentiable as NotDifferentiable,
    ShapeError as ShapeError,
    SourceError as SourceError,
    StagingError as StagingError,
)
from flux.functional import (
    celu as celu,
    elu as elu,
    gelu as gelu,
    glu as glu,
    hardsigmoid as hardsigmoid,
    hardswish as hardswish,
    hardtanh as hardtanh,
    identity as identity,
    leakyrelu as leakyrelu,
    logsigmoid as logsigmoid,
    logsoftmax as logsoftmax,
    mish as mish,
    relu as relu,
    relu6 as relu6,
    selu as selu,
    sigmoid as sigmoid,
    silu as silu,
    softmax as softmax,
    softplus as softplus,
    softsign as softsign,
    swish as swish,
    tanh as tanh,
)
from flux.io import (
    restore as restore,
    save as save,
)
from flux.layers import (
    AlphaDropout as AlphaDropout,
    BatchNorm as BatchNorm,
    Bilinear as Bilinear,
    Chain as Chain,
    Dense as Dense,
    Dropout as Dropout,
    GroupNorm as GroupNorm,
    InstanceNorm as InstanceNorm,
    LayerNorm as LayerNorm,
    RMSNorm as RMSNorm,
    Scale as Scale,
    layer as layer,
    outputsize as outputsize,
    summary as summary,
    testmode as testmode,
    trainmode as trainmode,
)
from flux.optim import (
    adjust as adjust,
    freeze as freeze,
    setup as setup,
    thaw as thaw,
    update as update,
)
from flux.random import (
    seed as seed,
)
from flux.train import (
    train as train,
    trainstep as trainstep,
)

__version__: str
