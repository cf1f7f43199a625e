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
    lisht as lisht,
    logcosh as logcosh,
    logsigmoid as logsigmoid,
    logsoftmax as logsoftmax,
    mish as mish,
    relu as relu,
    relu6 as relu6,
    rrelu as rrelu,
    selu as selu,
    sigmoid as sigmoid,
    silu as silu,
    softmax as softmax,
    softplus as softplus,
    softshrink as softshrink,
    softsign as softsign,
    swish as swish,
    tanh as tanh,
    tanhshrink as tanhshrink,
    trelu as trelu,
)
from flux.io import (
    restore as restore,
    save as save,
)
from flux.layers import (
    AdaptiveMaxPool as AdaptiveMaxPool,
    AdaptiveMeanPool as AdaptiveMeanPool,
    AlphaDropout as AlphaDropout,
    BatchNorm as BatchNorm,
    Bilinear as Bilinear,
    Chain as Chain,
    Conv as Conv,
    ConvTranspose as ConvTranspose,
    Dense as Dense,
    DepthwiseConv as DepthwiseConv,
    Dropout as Dropout,
    Embedding as Embedding,
    EmbeddingBag as EmbeddingBag,
    Flatten as Flatten,
    GlobalMaxPool as GlobalMaxPool,
    GlobalMeanPool as GlobalMeanPool,
    GroupNorm as GroupNorm,
    InstanceNorm as InstanceNorm,
    LayerNorm as LayerNorm,
    Maxout as Maxout,
    MaxPool as MaxPool,
    MeanPool as MeanPool,
    PairwiseFusion as PairwiseFusion,
    Parallel as Parallel,
    RMSNorm as RMSNorm,
    Scale as Scale,
    SkipConnection as SkipConnection,
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
