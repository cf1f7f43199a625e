"""Methods and attributes of PyTorch's tensors."""

from __future__ import annotations

import functools

from torch import Tensor

from flux.ad import registry
from flux.ad.inert import no_back, nothing
from flux.ad.registry import AUGMENTED
from flux.ad.spaces import project
from flux.rules.torch.functions import refuse
from flux.rules.torch.leaf import Leaf
from flux.rules.torch.space import is_inexact, refused

INERT_ATTRIBUTES = frozenset(
    """shape ndim dtype device layout itemsize nbytes is_cuda is_cpu is_leaf is_sparse names
    requires_grad is_quantized is_mps is_meta""".split()
)
DIFFERENTIABLE_ATTRIBUTES = frozenset("T mT H mH real imag".split())
INSTEAD = {
    "data": "Use x.detach().",
    "grad": "Use flux.gradient.",
    "grad_fn": "Use flux.pullback.",
    "backward": "Use flux.gradient or flux.pullback.",
    "register_hook": "Use flux.hook.",
    "retain_grad": "Use flux.gradient.",
    "apply_": "Use functions of torch.",
    "map_": "Use functions of torch.",
    "requires_grad_": "Leave it out: Flux differentiates in every tensor that is an argument.",
}
INERT_METHODS = """
size dim ndimension numel nelement element_size stride storage_offset is_contiguous get_device
is_floating_point is_complex is_signed is_set_to is_shared is_pinned data_ptr argmax argmin
argsort nonzero eq ne lt le gt ge equal allclose isclose isnan isinf isfinite any all
count_nonzero new_zeros new_ones new_empty __len__
__contains__ __bool__ __repr__ __format__ __hash__ __int__ __index__
"""


def methods_of(kind):
    """Names and methods of a class, without private names."""
    for name in dir(kind):
        f = getattr(kind, name)
        if callable(f) and not isinstance(f, type) and not name.startswith("_"):
            yield name, f


def in_place(f, refusal):
    """A method that changes the tensor: of whole numbers (a counter of batches) it may."""

    def augmented(x, *args, **keywords):
        if is_inexact(x):
            return refusal(x)
        return f(x, *args, **keywords), nothing(1 + len(args) + len(keywords))

    return augmented


def item(x):
    """`x.item()`, a Python number."""

    def back(ct, store):
        return (None if ct is None or not is_inexact(x) else project(ct, x),)

    return x.item(), back


def tolist(x):
    if not is_inexact(x):
        return x.tolist(), nothing(1)
    raise refused("`x.tolist()`", "Iterate over the tensor, or use x.numpy().tolist().")


for name, f in methods_of(Tensor):
    if name in INSTEAD:
        AUGMENTED[f] = refuse(f"`x.{name}`", INSTEAD[name])
    elif name.endswith("_"):
        hint = f"Use x.{name[:-1]}, which returns a new tensor." if hasattr(
            Tensor, name[:-1]) else "Make a new tensor."  # fmt: skip
        AUGMENTED[f] = in_place(f, refuse(f"`x.{name}`, which changes a tensor in place,", hint))
    elif f not in AUGMENTED:
        AUGMENTED[f] = Leaf(f, f"x.{name}")
for name in INERT_METHODS.split():
    AUGMENTED[getattr(Tensor, name)] = no_back(getattr(Tensor, name))
AUGMENTED[Tensor.item] = AUGMENTED[Tensor.__float__] = AUGMENTED[Tensor.__complex__] = item
AUGMENTED[Tensor.tolist] = tolist


def find_method(kind: type, name: str):
    return AUGMENTED.get(getattr(kind, name, None)) if issubclass(kind, Tensor) else None


@functools.cache
def attribute(name: str) -> Leaf:
    """The attribute `name` of a tensor, as a leaf."""
    return Leaf(lambda x: getattr(x, name), f"x.{name}")


@functools.cache
def inert_attribute(name: str):
    return lambda x: (getattr(x, name), nothing(1))


def find_attribute(kind: type, name: str):
    if not issubclass(kind, Tensor):
        return None
    if name in INERT_ATTRIBUTES:
        return inert_attribute(name)
    if name in DIFFERENTIABLE_ATTRIBUTES:
        return attribute(name)
    return refuse(f"`x.{name}` of a tensor", INSTEAD[name]) if name in INSTEAD else None


registry.METHOD_FINDERS.append(find_method)
registry.ATTRIBUTE_FINDERS.append(find_attribute)
