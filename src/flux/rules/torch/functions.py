"""Which functions are PyTorch's: all of its namespaces are leaves, but for those named here."""

from __future__ import annotations

import os
from types import FunctionType, ModuleType

import torch
from torch import Tensor
from torch.nn import functional

from flux.ad import registry
from flux.ad.registry import AUGMENTED, augments, inert
from flux.ad.spaces import project
from flux.ir import prims
from flux.rules.captured import captured_arrays
from flux.rules.copies import on_copies
from flux.rules.numpy.space import apart
from flux.rules.torch.leaf import Leaf
from flux.rules.torch.space import RULES, refused

PACKAGE = os.path.dirname(torch.__file__) + os.sep
SPACES = (torch, torch.linalg, torch.fft, torch.special, functional)
NO_DERIVATIVE = """
is_tensor is_floating_point is_complex is_grad_enabled numel result_type promote_types can_cast
finfo iinfo get_default_dtype set_default_dtype manual_seed seed initial_seed get_rng_state
set_rng_state broadcast_shapes get_default_device set_default_device set_num_threads
get_num_threads set_printoptions use_deterministic_algorithms are_deterministic_algorithms_enabled
eye arange zeros ones empty zeros_like ones_like empty_like rand randn randint randperm rand_like
randn_like randint_like tril_indices triu_indices argmax argmin argsort nonzero isnan isinf
isfinite allclose isclose equal eq ne lt le gt ge logical_and logical_or logical_not logical_xor
count_nonzero searchsorted bucketize bincount any all
"""
REFUSED = {
    **dict.fromkeys(
        ("no_grad", "enable_grad", "set_grad_enabled", "inference_mode"),
        "Use flux.stop_gradient for what shall have no derivative.",
    ),
    **dict.fromkeys(
        ("vmap", "compile", "cond", "while_loop"),
        "Write the function without it; loops and branches of Python are differentiated.",
    ),
}


def refuse(name: str, hint: str):
    def augmented(*args, **keywords):
        raise refused(name, hint)

    return augmented


def functions_of(space: ModuleType):
    """Names and functions of a namespace, without classes and private names."""
    for name, f in vars(space).items():
        if callable(f) and not isinstance(f, type) and not name.startswith("_"):
            yield name, f


for space in SPACES:
    for name, f in functions_of(space):
        if name.endswith("_"):
            hint = f"Use torch.{name[:-1]}, or another function that returns a new tensor."
            AUGMENTED[f] = refuse(f"`{space.__name__}.{name}`", hint)
        elif f not in AUGMENTED:
            AUGMENTED[f] = Leaf(f, f"{space.__name__}.{name}")
for name in NO_DERIVATIVE.split():
    AUGMENTED.pop(getattr(torch, name), None)
    inert(getattr(torch, name))
for name, hint in REFUSED.items():
    AUGMENTED[getattr(torch, name)] = refuse(f"`torch.{name}`", hint)
for name in "grad backward".split():
    AUGMENTED[getattr(torch.autograd, name)] = refuse(
        f"`torch.autograd.{name}`", "Use flux.gradient or flux.pullback."
    )
# With two arguments these are operators, which have a derivative in numbers too.
OPERATORS = {
    "add": "add", "sub": "sub", "subtract": "sub", "mul": "mul", "multiply": "mul",
    "div": "truediv", "divide": "truediv", "true_divide": "truediv", "pow": "pow",
}  # fmt: skip
OF_NAME = {prim.name: prim for prim in prims.BINARY.values()}


def operator_or_leaf(name: str, leaf):
    rule = AUGMENTED[OF_NAME[OPERATORS[name]]]

    def augmented(a, *rest, **keywords):
        if len(rest) == 1 and not keywords:
            return rule(a, rest[0])
        return leaf(a, *rest, **keywords)

    return augmented


for name in OPERATORS:
    for f in (getattr(torch, name), getattr(Tensor, name)):
        AUGMENTED[f] = operator_or_leaf(name, Leaf(f, name))
RULES[abs] = Leaf(torch.abs, "abs")


# -- made of numbers, lists and NumPy's arrays -----------------------------------------------------


@augments(torch.tensor)
def tensor(data, **options):
    """A tensor of numbers, nested lists or an array: their cotangents are its entries."""
    return made(torch.tensor, data, options)


@augments(torch.as_tensor, torch.asarray)
def as_tensor(data, *rest, **options):
    if isinstance(data, Tensor):
        return CONVERTED(data, *rest, **options)
    return made(torch.as_tensor, data, dict(zip(("dtype", "device"), rest, strict=False)) | options)


@augments(torch.from_numpy)
def from_numpy(array):
    return made(torch.as_tensor, array, {})


def made(function, data, options):
    y, inner = MADE(function, data, **options)
    return y, lambda ct, store: inner(ct, store)[1:]


def made_of(function, data, **options):
    y = function(data, **options)

    def back(ct, store):
        part = None if ct is None else apart(data, ct, store)
        return (None, part, *[None for _ in options])

    return y, back


MADE = on_copies(made_of)


def numpy(x, **options):
    """`x.numpy()`: NumPy's rules go on from here."""
    y = x.numpy(**options) if not x.requires_grad else x.detach().numpy(**options)

    def back(ct, store):
        return (None if ct is None else project(ct, x), *[None for _ in options])

    return y, back


CONVERTED = Leaf(torch.as_tensor)
AUGMENTED[Tensor.numpy] = numpy


@augments(torch.full)
def full(size, fill_value, **options):
    y = torch.full(size, fill_value, **options)

    def back(ct, store):
        return (None, project(ct, fill_value), *[None for _ in options])

    return y, back


# -- other functions of the package ----------------------------------------------------------------


def finder(f):
    """Functions written in Python that stand in no public namespace; custom functions of users."""
    if not isinstance(f, FunctionType):
        return None
    module = f.__module__ or ""
    inside = f.__code__.co_filename.startswith(PACKAGE)
    if module.startswith("torch.nn.modules.") or not (inside or module.startswith("torch.")):
        return None
    if captured_arrays(f):
        raise refused(
            f"`{f.__name__}`, which PyTorch made of a function that captured tensors,",
            "Use the function itself.",
        )
    return Leaf(f)


registry.FINDERS.append(finder)
