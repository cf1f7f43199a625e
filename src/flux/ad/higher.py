"""Derivatives made of pullbacks: directional ones, Jacobians, Hessians; checkpoints and hooks."""

from __future__ import annotations

import functools
import math
import random
import sys
from collections.abc import Callable
from types import CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from flux.ad import runtime
from flux.ad.api import given, gradient, prepare, pullback, structural
from flux.ad.cotangents import ON_GRADIENT, snapshot
from flux.ad.own import users_own
from flux.ad.registry import augments, inert
from flux.ad.spaces import space_of, zero_of
from flux.errors import FluxError, user_line
from flux.tree.objects import blank, fields, is_object, set_field

__all__ = ["checkpoint", "hessian", "hook", "jacobian", "pushforward"]


def pushforward(f: Callable, *args) -> Callable:
    """The directional derivative of `f` at `args`.

    Args:
        f: returns numbers, arrays, or tuples, lists and dicts of them.
        args: where the derivative is taken.

    Returns:
        A function of one tangent per argument, each in the structure of its argument (`None` for
        zero): the derivative of `f` along them, in the structure of the result. It is linear.

    A pullback is linear in its cotangent; the derivative of `<back(ct), tangents>` in `ct` is the
    directional derivative (Christianson, 1992). It costs about two pullbacks.

    >>> import flux
    >>> flux.pushforward(lambda x, y: x * x * y, 3.0, 2.0)(1.0, 0.0)
    12.0
    """
    y, back = pullback(f, *args)

    def along(*tangents):
        if len(tangents) != len(args):
            raise FluxError(
                f"the pushforward takes {len(args)} tangents, one per argument, and was given "
                f"{len(tangents)}.",
                where=user_line(),
                hint="None stands for a zero tangent.",
            )
        zero = zeros_like(y)
        return gradient(lambda ct: inner_product(back(ct), tangents), zero)[0]

    return along


def zeros_like(value):
    """Zeros in the structure of `value`; what has no derivative stays what it is."""
    if isinstance(value, tuple):
        parts = [zeros_like(item) for item in value]
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    if isinstance(value, list):
        return [zeros_like(item) for item in value]
    if isinstance(value, dict):
        return {key: zeros_like(item) for key, item in value.items()}
    zero = zero_of(value) if space_of(type(value)) is not None else None
    return value if zero is None else zero


def inner_product(a, b):
    """The sum of `x * y` over all numbers of two structures."""
    if a is None or b is None:
        return 0.0
    if isinstance(a, dict):
        return sum([inner_product(a[key], b[key]) for key in a])
    if isinstance(a, tuple | list):
        return sum([inner_product(x, y) for x, y in zip(a, b, strict=True)])
    if is_object(a) and space_of(type(a)) is None:
        return inner_product(fields(a), fields(b))
    whole = a * b
    if hasattr(whole, "shape") and not hasattr(whole, "sum"):  # an array without methods
        xp = namespace(whole)
        return xp.real(xp.sum(whole))
    return (whole.sum() if getattr(whole, "shape", ()) else whole).real


def jacobian(f: Callable, *args) -> tuple:
    """The dense Jacobians of `f`, one per argument.

    Args:
        f: returns a number or an array.
        args: numbers, arrays, and structures and objects with such in them, as of `gradient`.

    Shapes: `y.shape + x.shape` for the result `y` and an argument `x`, or each array in it.
    Raises: `FluxError` if the result is not a number or array.

    >>> import flux, numpy as np
    >>> flux.jacobian(lambda x: x**2, np.array([1.0, 2.0]))[0].tolist()
    [[2.0, 0.0], [0.0, 4.0]]
    """
    y, back = pullback(f, *args)
    if zero_of(y) is None:
        raise FluxError(
            f"jacobian expected a number or an array of floats, and got a {type(y).__name__}.",
            where=user_line(),
            hint="Return one array, or use flux.pullback for structured results.",
        )
    shape = getattr(y, "shape", ())
    if shape == ():
        one: Any = zero_of(y)
        return back(one + 1)
    rows = [back(direction) for direction in directions(y)]
    return stacked(rows, rows[0] if rows else back(zero_of(y)), shape, {})


def directions(y) -> list:
    """The unit vectors of the space of `y`."""
    xp = namespace(y)
    size = math.prod(y.shape)
    eye = xp.eye(size, dtype=y.dtype)
    return [xp.reshape(eye[i, ...], y.shape) for i in range(size)]


def stacked(rows: list, like, shape: tuple, made: dict[int, Any]):
    """Gradients, one per number of the result, as one of the structure of `like`.

    `made` has what stands for the mutable parts of `like` that were met, by `id`.
    """
    if id(like) in made:
        return made[id(like)]
    if zero_of(like) is not None:
        return stacked_arrays(rows, like, shape)
    if isinstance(like, tuple):
        parts = [stacked([row[i] for row in rows], x, shape, made) for i, x in enumerate(like)]
        return type(like)(*parts) if hasattr(like, "_fields") else tuple(parts)
    whole: Any = None
    if isinstance(like, list):
        made[id(like)] = whole = []
        whole += [stacked([row[i] for row in rows], x, shape, made) for i, x in enumerate(like)]
    elif isinstance(like, dict):
        made[id(like)] = whole = {}
        for key, x in like.items():
            whole[key] = stacked([row[key] for row in rows], x, shape, made)
    elif is_object(like):
        made[id(like)] = whole = blank(type(like))
        for name, x in fields(like).items():
            part = stacked([fields(row)[name] for row in rows], x, shape, made)
            set_field(whole, name, part)
        for finish in ON_GRADIENT:
            finish(whole)
    return whole


def stacked_arrays(rows: list, like, shape: tuple):
    xp = namespace(like)
    if not rows:
        return xp.zeros((*shape, *getattr(like, "shape", ())), dtype=getattr(like, "dtype", None))
    whole = xp.stack([xp.asarray(row) for row in rows])
    return xp.reshape(whole, (*shape, *whole.shape[1:]))


OTHERS = ("torch", "cupy")


def namespace(x):
    """NumPy, or the library that the array `x` is of."""
    name = type(x).__module__.partition(".")[0]
    if name not in ("jax", "jaxlib", "numpy") and hasattr(x, "__array_namespace__"):
        return x.__array_namespace__()
    name = "jax.numpy" if name in ("jax", "jaxlib") else name if name in OTHERS else "numpy"
    __import__(name)
    return sys.modules[name]


inert(namespace)


def hessian(f: Callable, x):
    """The dense matrix of second derivatives of the scalar `f(x)`, of shape `x.shape + x.shape`.

    >>> import flux, numpy as np
    >>> flux.hessian(lambda x: x[0] ** 2 * x[1], np.array([1.0, 3.0])).tolist()
    [[6.0, 2.0], [2.0, 0.0]]
    """

    def slopes(x):
        return gradient(f, x)[0]

    return jacobian(slopes, x)[0]


def checkpoint(f: Callable) -> Callable:
    """The same function; its pullback runs it a second time instead of storing what it needs.

    What the function changes (attributes, lists, the state of random numbers) it changes once: the
    second run starts from the state that the first one found, and the state is put back after it.

    Source: Griewank and Walther (2000), Revolve.

    >>> import flux
    >>> flux.gradient(flux.checkpoint(lambda x: x**3), 2.0)
    (12.0,)
    """
    prepare()
    return Checkpointed(f)


class Checkpointed:
    """A function whose pullback runs it again."""

    def __init__(self, f: Callable):
        self.f = f
        functools.update_wrapper(self, f, updated=())

    def __call__(self, *args, **keywords):
        return self.f(*args, **keywords)

    def __get__(self, instance, owner=None):
        return self if instance is None else functools.partial(self, instance)


@augments(Checkpointed.__call__)
def run_again(checkpointed, *args, **keywords):
    f = checkpointed.f
    before = State((f, args, keywords))
    y, _ = runtime.call_value(f, *args, **keywords)  # as a gradient is taken; nothing is kept

    def back(ct, store):
        now = State((f, args, keywords))
        before.put_back()
        again, inner = runtime.call_value(f, *args, **keywords)
        now.put_back()
        df, *cts = inner(handed_over(y, again, ct, store), store)
        store.add(checkpointed, "f", df)
        return (None, *cts)

    return y, back


class State:
    """Everything that a function could change: containers, objects, cells, globals, random numbers.

    Of globals those that the function names, or a function of its file that it names.
    """

    def __init__(self, root):
        self.parts: dict[int, Any] = {}
        snapshot(root, self.parts)
        self.named = globals_of([root, *[value for value, _ in self.parts.values()]])
        snapshot([value for _, _, value in self.named], self.parts)
        self.random = random.getstate()
        numpy = sys.modules.get("numpy")
        self.numpy = numpy and numpy.random.get_state()
        self.generators = generators_in([root, self.named, list(self.parts.values())])

    def put_back(self) -> None:
        """Let everything be as it was."""
        for owner, name, value in self.named:
            if name in vars(owner) if isinstance(owner, type) else name in owner:
                set_global(owner, name, value)
        for put, state in self.generators:
            put(state)
        for value, parts in self.parts.values():
            if isinstance(value, list):
                value[:] = parts
            elif isinstance(value, dict):
                value.clear()
                value.update(parts)
            elif isinstance(value, FunctionType):
                cells = zip(value.__code__.co_freevars, value.__closure__ or (), strict=True)
                for name, cell in cells:
                    if name in parts and cell.cell_contents is not parts[name]:
                        cell.cell_contents = parts[name]
            else:
                restore_fields(value, parts)
        random.setstate(self.random)
        if self.numpy is not None:
            sys.modules["numpy"].random.set_state(self.numpy)


def globals_of(values) -> list[tuple[Any, str, Any]]:
    """Owner, name and value of the globals and class attributes that functions name."""
    found: dict[tuple[int, str], tuple[Any, str, Any]] = {}
    waiting, seen = list(values), set()
    while waiting:
        value = waiting.pop()
        if isinstance(value, tuple | list):
            waiting.extend(value)
        elif isinstance(value, functools.partial):
            waiting.append(value.func)
        elif isinstance(value, MethodType):
            waiting.append(value.__func__)
        elif isinstance(value, FunctionType) and value.__code__ not in seen:
            seen.add(value.__code__)
            own = value.__globals__
            for name in names_in(value.__code__):
                part = own.get(name)
                if name in own and not isinstance(part, ModuleType | type | FunctionType):
                    found[id(own), name] = (own, name, part)
                elif isinstance(part, type) and part.__module__ == value.__module__:
                    for attribute, item in vars(part).items():
                        if not attribute.startswith("__") and not callable(item):
                            found[id(part), attribute] = (part, attribute, item)
                elif isinstance(part, FunctionType) and part.__module__ == value.__module__:
                    waiting.append(part)
    return list(found.values())


def names_in(code: CodeType) -> set[str]:
    """The names of globals and attributes in a function, and in those inside it."""
    inner = [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    return set(code.co_names).union(*map(names_in, inner))


def set_global(owner, name: str, value) -> None:
    if isinstance(owner, type):
        if vars(owner)[name] is not value:
            setattr(owner, name, value)
    elif owner[name] is not value:
        owner[name] = value


def generators_in(root) -> list[tuple[Callable, Any]]:
    """How the states of all generators of random numbers in `root` are put back, and the states."""
    found: dict[int, tuple[Callable, Any]] = {}
    waiting = [root]
    while waiting:
        value = waiting.pop()
        if isinstance(value, tuple | list):
            waiting.extend(value)
        elif isinstance(value, dict):
            waiting.extend(value.values())
        elif isinstance(value, random.Random):
            found[id(value)] = value.setstate, value.getstate()
        elif hasattr(value, "bit_generator"):  # NumPy's Generator
            source = value.bit_generator
            put = functools.partial(setattr, source, "state")
            found[id(source)] = put, source.state
        elif hasattr(type(value), "get_state") and hasattr(type(value), "set_state"):
            found[id(value)] = value.set_state, value.get_state()
    return list(found.values())


def restore_fields(value, parts: dict[str, Any]) -> None:
    for name in fields(value):
        if name not in parts:
            object.__delattr__(value, name)
    for name, part in parts.items():
        if getattr(value, name, value) is not part:
            set_field(value, name, part)


def handed_over(y, again, ct, store):
    """The cotangent of `y` as that of `again`, which was computed the same way."""
    if y is again or ct is not None and not isinstance(y, tuple):
        return ct
    if isinstance(y, tuple):
        parts = ct or (None,) * len(y)
        pairs = zip(y, again, parts, strict=True)
        return tuple([handed_over(a, b, part, store) for a, b, part in pairs])
    if isinstance(y, list | dict | CellType) or is_object(y):
        for key, part in dict(store.of(y)).items():
            store.add(again, key, part)
            store.take(y, key)
        for a, b in zip(items_of(y), items_of(again), strict=True):
            handed_over(a, b, None, store)
    return ct


def items_of(value) -> list:
    if isinstance(value, list):
        return value
    return list((value if isinstance(value, dict) else fields(value)).values())


inert(State, State.put_back)


def hook(f: Callable, x):
    """The value `x`; on the way back its gradient passes through `f`.

    Args:
        f: takes the gradient (in the structure of `x`) and returns what takes its place; `None`
            leaves it as it is. It may print it, clip it, or stop in a debugger.
        x: a number, an array, or a tuple of them.

    >>> import flux
    >>> flux.gradient(lambda x: flux.hook(lambda g: 10 * g, x) ** 2, 3.0)
    (60.0,)
    """
    return x


@augments(hook)
def hooked(f, x):
    if not isinstance(x, tuple) and space_of(type(x)) is None:
        raise FluxError(
            f"hook expected a number, an array or a tuple of them, and got a {type(x).__name__}.",
            where=user_line(),
            hint="Put the hook on an array inside it.",
        )
    users_own("hook")

    def back(ct, store):
        new = f(structural(zeros_like(x) if ct is None else x, ct, store))
        return None, ct if new is None else given(x, new, store)

    return x, back
