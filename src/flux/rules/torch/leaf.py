"""A function of PyTorch as a leaf: its derivative is PyTorch's own.

`run` calls the function on detached inputs with PyTorch's recording on, `pull` asks the recording
for the cotangents. Both take plain lists, and each is differentiated as another leaf, so that
derivatives of any order are found.

What a tensor that requires grad goes into stays tracked by PyTorch; gradients are not.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.graph import get_gradient_edge

from flux.ad.cotangents import dense, deposit
from flux.ad.inert import nothing
from flux.ad.registry import AUGMENTED, inert
from flux.ad.unknown import Unknown
from flux.errors import NotDifferentiable, user_line
from flux.rules.captured import captured_arrays
from flux.rules.copies import applied
from flux.rules.foreign import refuse_foreign
from flux.rules.torch.space import is_inexact, refused

__all__ = ["Leaf"]


class Slot:
    """Stands in a structure where the tensor number `place` was."""

    __slots__ = ("place",)

    def __init__(self, place: int):
        self.place = place


# -- one recorded call -----------------------------------------------------------------------------


class Tape:
    """A function of a list of tensors, and PyTorch's recording of one call of it.

    Attributes:
        function: takes a list of tensors, returns a list of tensors; `None` for a pullback.
        places: which of the arguments carry derivatives.
        tracked: PyTorch tracks one of the arguments itself.
        moving: those of the arguments that carry derivatives, as the function saw them.
        edges: where the recording of each result starts; `None` if there is none.
        likes: shape, dtype and device of each result.
    """

    __slots__ = ("edges", "function", "likes", "moving", "places", "tracked")

    def __init__(self, function):
        self.function = function
        self.tracked = False
        self.places: list[int] = []
        self.moving: list[Tensor] = []
        self.edges: list = []
        self.likes: list = []

    def record(self, arrays) -> list:
        self.tracked = torch.is_grad_enabled() and any([x.requires_grad for x in arrays])
        self.places = [i for i, x in enumerate(arrays) if is_inexact(x)]
        inputs = list(arrays)
        with torch.enable_grad():
            for i in self.places:
                x = arrays[i]
                tracked = self.tracked and x.requires_grad
                inputs[i] = x.view_as(x) if tracked else x.detach().requires_grad_()
            outs = self.function(inputs)
        self.moving = [inputs[i] for i in self.places]
        self.finish(outs)
        return outs if self.tracked else [y.detach() for y in outs]

    def pulled(self, count: int, cts, filled):
        """The pullback as a tape, of the `count` arguments and the cotangents; its results.

        It goes on from the same recording: nothing runs again, so chance and side effects do not.
        """
        tape = Tape(None)
        tape.tracked = self.tracked
        leaves = []
        with torch.enable_grad():
            for i, ct in zip(filled, cts, strict=True):
                shape, dtype, device = self.likes[i]
                whole = torch.as_tensor(ct, dtype=dtype, device=device).expand(shape)
                tracked = self.tracked and whole.requires_grad
                leaves.append(whole.view_as(whole) if tracked else whole.detach().requires_grad_())
            given: list[Any] = [None] * len(self.edges)
            for i, leaf in zip(filled, leaves, strict=True):
                given[i] = leaf
            found = self.gradients(given, True)
        outs = [
            torch.zeros_like(x) if found[place] is None else found[place]
            for place, x in zip(self.places, self.moving, strict=True)
        ]
        tape.places = [*self.places, *range(count, count + len(leaves))]
        tape.moving = [*self.moving, *leaves]
        tape.finish(outs)
        return tape, outs if self.tracked else [y.detach() for y in outs]

    def finish(self, outs) -> None:
        self.edges = [get_gradient_edge(y) if y.requires_grad else None for y in outs]
        self.likes = [(y.shape, y.dtype, y.device) for y in outs]

    def gradients(self, cts, create_graph: bool) -> list:
        """The cotangents of all arguments; `None` where there is none."""
        pairs = [
            (edge, fitted(ct, like))
            for edge, ct, like in zip(self.edges, cts, self.likes, strict=True)
            if edge is not None and ct is not None
        ]
        total: list[Any] = [None] * (max(self.places, default=-1) + 1)
        if not pairs or not self.moving:
            return total
        found = torch.autograd.grad(
            [edge for edge, _ in pairs], self.moving, [ct for _, ct in pairs],
            retain_graph=True, create_graph=create_graph, allow_unused=True,
        )  # fmt: skip
        for i, part in zip(self.places, found, strict=True):
            total[i] = part if part is None else part.conj().resolve_conj()
        return total


def fitted(ct, like):
    """A cotangent as PyTorch wants it: the conjugate, in the form of the result."""
    if isinstance(ct, Unknown):
        ct.asked()
    shape, dtype, device = like
    return torch.as_tensor(ct, dtype=dtype, device=device).expand(shape).conj()


def run(tape, arrays):
    """The results of the tape's function."""
    return tape.record(arrays)


def pull(tape, arrays, cts):
    """The cotangents of `arrays`, which the tape was run with."""
    create = torch.is_grad_enabled() and any([needs_grad(ct) for ct in cts])
    found = tape.gradients(cts, create)
    return [*found, *[None] * (len(arrays) - len(found))]


def needs_grad(ct) -> bool:
    return isinstance(ct, Tensor) and ct.requires_grad


def run_again(tape, arrays):
    outs = run(tape, arrays)

    def back(ct, store):
        cts = [dense(store.take(outs, i)) for i in range(len(outs))]
        for i, part in enumerate(pull(tape, arrays, cts)):
            store.add(arrays, i, part)
        return None, None

    return outs, back


def pull_again(tape, arrays, cts):
    """The pullback is a function of the arguments and of the cotangents of the results."""
    filled = [i for i, ct in enumerate(cts) if ct is not None]
    values = [*arrays, *[cts[i] for i in filled]]
    pulling, parts = tape.pulled(len(arrays), [cts[i] for i in filled], filled)
    found = [None for _ in arrays]
    for place, part in zip(tape.places, parts, strict=True):
        found[place] = part

    def back(ct, store):
        wanted = [dense(store.take(found, place)) for place in tape.places]
        again = pull(pulling, values, wanted)
        for i in range(len(arrays)):
            store.add(arrays, i, again[i])
        for i, place in enumerate(filled):
            store.add(cts, place, again[len(arrays) + i])
        return None, None, None

    return found, back


AUGMENTED[run] = run_again
AUGMENTED[pull] = pull_again


# -- arguments and results as lists of tensors -----------------------------------------------------


def tensors_of(value, found):
    """Collect the tensors in `value`, in order."""
    if isinstance(value, Tensor):
        found.append(value)
    elif isinstance(value, tuple | list):
        for item in value:
            tensors_of(item, found)
    elif isinstance(value, dict):
        for item in value.values():
            tensors_of(item, found)


def form_of(value, tensors=None):
    """`value` with a `Slot` for each tensor."""
    count = itertools.count() if tensors is None else tensors
    if isinstance(value, Tensor):
        return Slot(next(count))
    if isinstance(value, dict):
        return {key: form_of(item, count) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return remade(value, [form_of(item, count) for item in value])
    return value


def remade(value, parts):
    """A list or tuple as `value`, of other parts."""
    if isinstance(value, list):
        return parts
    kind = type(value)
    # `torch.return_types` are made of a sequence, named tuples of their items.
    return kind(*parts) if hasattr(kind, "_fields") else kind(parts)


def filled(form, tensors):
    """The structure with `tensors` in the places of the slots."""
    if type(form) is Slot:
        return tensors[form.place]
    if isinstance(form, dict):
        return {key: filled(part, tensors) for key, part in form.items()}
    if isinstance(form, tuple | list):
        return remade(form, [filled(part, tensors) for part in form])
    return form


def filled_again(form, tensors):
    """The structure of a result: its cotangents are those of the tensors in it."""
    y = filled(form, tensors)

    def back(ct, store):
        cts: list[Any] = []
        collect(y, ct, cts, store)
        for i, part in enumerate(cts):
            store.add(tensors, i, part)
        return None, None

    return y, back


def collect(y, ct, cts, store):
    """The cotangents of the tensors in a result, by value or from the store."""
    if isinstance(y, Tensor):
        cts.append(dense(ct))
    elif isinstance(y, tuple):
        for i, item in enumerate(y):
            collect(item, None if ct is None else ct[i], cts, store)
    elif isinstance(y, list):
        for i, item in enumerate(y):
            collect(item, store.take(y, i), cts, store)
    elif isinstance(y, dict):
        for key, item in y.items():
            collect(item, store.take(y, key), cts, store)


def given_back(form, found, unknown):
    """The cotangent of an argument, in its structure."""
    if type(form) is Slot:
        return found[form.place]
    if type(form) is float or type(form) is complex:
        return unknown
    if isinstance(form, tuple | list):
        return tuple([given_back(part, found, unknown) for part in form])
    if isinstance(form, dict):
        return {key: given_back(part, found, unknown) for key, part in form.items()}
    return None


class Setting(Unknown):
    """The cotangent of a Python number: PyTorch has none, and most numbers are constants.

    Numbers that a module holds are its settings: they have none.
    """

    def __init__(self, name):
        super().__init__(
            NotDifferentiable(
                f"`{name}` of PyTorch has no derivative in an argument that is a Python number.",
                where=user_line(),
                hint="Make the number a tensor, `torch.tensor(a)`, or use an operator (`a * x`).",
            )
        )

    def asked(self, owner=None, *_, **__) -> Any:
        return None if isinstance(owner, torch.nn.Module) else super().asked()


# -- leaves ----------------------------------------------------------------------------------------


class Applied:
    """A function as one of a list of tensors; `result` is the form of what it returned last."""

    __slots__ = ("f", "form", "result")

    def __init__(self, f, form):
        self.f, self.form = f, form
        self.result: Any = None

    def __call__(self, tensors) -> list:
        args, keywords = filled(self.form, tensors)
        y = self.f(*args, **keywords)
        self.result = form_of(y)
        found: list[Any] = []
        tensors_of(y, found)
        return found


class Leaf:
    """The augmented form of a function of PyTorch."""

    __slots__ = ("f", "name")

    def __init__(self, f, name: str | None = None):
        self.f = f
        self.name = name or getattr(f, "__name__", "a function")

    def __call__(self, *args, **keywords):
        return applied(self.of, args, keywords)

    def of(self, *args, **keywords):
        """The same, of arguments that stay as they are."""
        count = len(args)
        total = count + len(keywords)
        check(self.name, args, keywords)
        arrays: list[Any] = []
        tensors_of((args, keywords), arrays)
        form: Any = form_of((args, keywords))
        if is_constant(arrays, form):
            return self.f(*args, **keywords), nothing(total)
        applied = Applied(self.f, form)
        tape = Tape(applied)
        outs = run(tape, arrays)
        y = filled(applied.result, outs)

        def back(ct, store):
            cts: list[Any] = []
            collect(y, ct, cts, store)
            if all([part is None for part in cts]):
                return (None,) * total
            found = pull(tape, arrays, cts)
            unknown = Setting(self.name)
            positional = [
                deposit(value, given_back(part, found, unknown), store)
                for value, part in zip(args, form[0], strict=True)
            ]
            named = [
                deposit(value, given_back(form[1][key], found, unknown), store)
                for key, value in keywords.items()
            ]
            return (*positional, *named)

        return y, back


def is_constant(arrays, form) -> bool:
    """Carries no argument a derivative?"""
    return not any([is_inexact(x) for x in arrays]) and not has_numbers(form)


def has_numbers(form) -> bool:
    if isinstance(form, tuple | list):
        return any([has_numbers(part) for part in form])
    if isinstance(form, dict):
        return any([has_numbers(part) for part in form.values()])
    return type(form) is float or type(form) is complex


def check(name, args, keywords) -> None:
    """Refuse what changes its arguments, and functions that hide what they captured."""
    if keywords.get("out") is not None or keywords.get("inplace"):
        option = "inplace=True" if keywords.get("inplace") else "out="
        raise refused(f"`{name}` with `{option}`", "Use its result under a new name.")
    for value in (*args, *keywords.values()):
        if hasattr(value, "__dlpack__") and not isinstance(value, Tensor | np.generic):
            refuse_foreign(value, "PyTorch")
        if callable(value) and captured_arrays((value,)):
            raise refused(
                f"a function handed to `{name}` that captured tensors", "Pass them as arguments."
            )


AUGMENTED[filled] = filled_again
inert(form_of, check, is_constant, needs_grad, Applied, Tape, Setting)
