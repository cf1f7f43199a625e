"""What users call: pullbacks and gradients of plain Python functions."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from types import FunctionType, MethodType
from typing import Any

from flux.ad import runtime
from flux.ad.carries import carries
from flux.ad.cotangents import dense, deposit, gradient_of, own_memory, snapshot
from flux.ad.entries import entry_of
from flux.ad.inert import nothing
from flux.ad.own import DECLARED, frozen, users_own
from flux.ad.registry import AUGMENTED, INERT, augments
from flux.ad.spaces import project, space_of, zero_of
from flux.ad.store import Store
from flux.errors import PACKAGE, ArgumentError, FluxError, NotDifferentiable, brief, user_line
from flux.tree.objects import blank, fields, is_object, set_field

__all__ = [
    "code_adjoint",
    "code_ir",
    "grad",
    "gradient",
    "nograd",
    "pullback",
    "rule",
    "stop_gradient",
    "value_and_grad",
    "withgradient",
    "within_gradient",
]

BEFORE_USE: list[Callable[[], None]] = []
"""Called before a function is differentiated: the face loads the rules of imported libraries."""


def pullback(f: Callable, *args, **keywords) -> tuple[Any, Callable]:
    """The value of `f` and its pullback.

    Args:
        f: any Python callable.
        args, keywords: its arguments.

    Returns:
        `(y, back)`: `y` is `f(*args, **keywords)`, computed once, side effects included;
        `back(ct)` takes the cotangent of `y` and returns a tuple with one gradient per positional
        argument. It may be called again.

    Raises: `NotDifferentiable` for a construct or callee that is not covered.

    >>> import flux
    >>> y, back = flux.pullback(lambda a, b: a * b, 3.0, 4.0)
    >>> y, back(1.0), back(2.0)
    (12.0, (4.0, 3.0), (8.0, 6.0))
    """
    prepare()
    check_callable("a gradient", f)
    memo: dict[int, Any] = {}
    snapshot(args, memo)
    y, inner = runtime.call(f, *args, **keywords)

    def back(ct):
        store = Store()
        cts = inner(given(y, ct, store), store)
        made: dict[int, Any] = {}
        for value in (ct, *args):
            own_memory(value, made)
        pairs = zip(args, cts, strict=False)
        return tuple([gradient_of(value, part, store, memo, made) for value, part in pairs])

    return y, back


def check_callable(who: str, f) -> None:
    """Raise `ArgumentError` for a value in the place of a function."""
    if not callable(f):
        raise ArgumentError(
            f"{who} expected a function, and got {brief(f)}.",
            where=user_line(),
            hint="The function comes first: flux.gradient(f, x).",
        )


def prepare() -> None:
    for step in BEFORE_USE:
        step()


def given(y, ct, store):
    """A cotangent that the user hands in, in the form that pullbacks take."""
    if isinstance(y, int | float | complex) or space_of(type(y)) is not None:
        return project(ct, y)
    return deposit(y, ct, store)


def gradient(f: Callable, *args) -> tuple:
    """The gradients of the scalar `f(*args)`, one per argument; always a tuple.

    A gradient has the structure of its argument: number for number, array for array (same shape
    and dtype), tuple, list and dict for the same, an object of the same class for an object.
    `None` stands where there is no derivative (an int, a string, a function without state); what
    the result does not depend on gets zeros.

    Raises: `FluxError` if the value is not a real scalar; `NotDifferentiable` as `pullback`.

    >>> import flux
    >>> flux.gradient(lambda x, y: x * x * y, 3.0, 2.0)
    (12.0, 9.0)
    """
    return withgradient(f, *args)[1]


def withgradient(f: Callable, *args) -> tuple[Any, tuple]:
    """`(value, gradients)` of `f` at `args`.

    If `f` returns a tuple, its first entry is the scalar that is differentiated, and the value is
    the whole tuple.

    >>> import flux
    >>> flux.withgradient(lambda x: (x * x, "aux"), 3.0)
    ((9.0, 'aux'), (6.0,))
    """
    y, back = pullback(f, *args)
    if isinstance(y, tuple):
        return y, back((one(y[0], f), *[None for _ in y[1:]]))
    return y, back(one(y, f))


def one(y, f):
    """The cotangent 1 of a real scalar."""
    space = space_of(type(y))
    shape = getattr(y, "shape", ())
    scalar = space is not None and shape == () and not is_complex(y)
    if scalar:
        zero = zero_of(y)
        if zero is not None:
            return zero + 1
    name = getattr(f, "__name__", type(f).__name__)
    if isinstance(y, bool | int) or (scalar and not carries(y)):
        # A whole number is constant: every gradient is zero.
        return None
    kind = f"an array of shape {shape}" if space is not None and shape else type(y).__name__
    if is_complex(y):
        kind = "a complex number"
    whole = getattr(getattr(y, "dtype", None), "kind", "") in ("i", "u", "b") and shape == ()
    floats = "Whole numbers have no derivative: pass floats, x.astype(float)."
    reduce = "Reduce the result (sum, mean, abs), or use flux.pullback with a cotangent."
    raise FluxError(
        f"gradient expected `{name}` to return a real scalar, and it returned {kind}.",
        where=user_line(),
        hint=floats if whole else reduce,
    )


def is_complex(y) -> bool:
    dtype = getattr(y, "dtype", None)
    kind = getattr(dtype, "kind", None)  # PyTorch's have none
    return isinstance(y, complex) or (kind == "c" if kind else "complex" in str(dtype))


def grad(f: Callable, argnums: int | tuple[int, ...] = 0) -> Callable:
    """A function that returns the gradient of `f`.

    Args:
        f: returns a real scalar.
        argnums: the positional argument to differentiate, or a tuple of them.

    >>> import flux
    >>> flux.grad(lambda x, y: x * y, argnums=1)(3.0, 4.0)
    3.0
    """
    both = value_and_grad(f, argnums)

    def gradient_function(*args, **keywords):
        return both(*args, **keywords)[1]

    return functools.update_wrapper(gradient_function, f, updated=())


def value_and_grad(
    f: Callable, argnums: int | tuple[int, ...] = 0, has_aux: bool = False
) -> Callable:
    """A function that returns `(value, gradient)` of `f`, as JAX spells it.

    Args:
        f: returns a real scalar, or `(scalar, aux)` where `has_aux`.
        argnums: the positional argument to differentiate, or a tuple of them.
        has_aux: the value is then `(scalar, aux)`.

    >>> import flux
    >>> flux.value_and_grad(lambda x: x**3)(2.0)
    (8.0, 12.0)
    """
    places = argnums if isinstance(argnums, tuple) else (argnums,)
    check_callable("a gradient", f)
    check_places(places)

    def value_and_gradient(*args, **keywords):
        chosen = [args[i] for i in places]

        def of_chosen(*parts):
            values = list(args)
            for i, part in zip(places, parts, strict=True):
                values[i] = part
            return f(*values, **keywords)

        y, back = pullback(of_chosen, *chosen)
        first = y[0] if has_aux else y
        seed = one(first, f)
        cts = back((seed, None) if has_aux else seed)
        return y, cts if isinstance(argnums, tuple) else cts[0]

    return functools.update_wrapper(value_and_gradient, f, updated=())


def check_places(places: tuple) -> None:
    """Raise `ArgumentError` for a point in the place of the numbers of arguments."""
    for place in places:
        if not isinstance(place, int):
            raise ArgumentError(
                f"grad expected the number of an argument, or a tuple of them, as argnums, and "
                f"got {brief(place)}.",
                where=user_line(),
                hint="The point is given to the function that it returns: flux.grad(f)(x).",
            )


def rule(fn: Callable) -> Callable:
    """Give `fn` a derivative of its own.

    The decorated function takes the arguments of `fn` and returns `(y, back)`; `back(ct)` takes
    the cotangent of `y`, in the structure of `y`, and returns a tuple, one cotangent per positional
    argument (`None` for none). Arguments of `fn` that are passed by keyword are handed over by
    position where `fn` allows both. After the cotangents of positional arguments the tuple may end
    with a dict: those of arguments that can only be passed by keyword.

    Raises: `FluxError` if what is decorated is no function; at the reverse pass, naming `fn`, if
        the number of cotangents is wrong, or nothing is said about a number or array that was
        passed by keyword.

    >>> import flux
    >>> def cube(x):
    ...     return x**3
    >>> @flux.rule(cube)
    ... def cube_rule(x):
    ...     return x**3, lambda ct: (ct * 3 * x**2,)
    >>> flux.gradient(cube, 2.0)
    (12.0,)
    """
    names = positional_names(fn)
    name = getattr(fn, "__name__", repr(fn))

    def register(augmented: Callable) -> Callable:
        if not callable(augmented):
            raise FluxError(
                f"flux.rule expected a function that gives the derivative of "
                f"`{getattr(fn, '__name__', fn)}`, and got a {type(augmented).__name__}.",
                where=user_line(),
                hint="Name the function whose derivative it is: @flux.rule(f) above the rule of f.",
            )

        users = not is_ours(augmented)

        def own_rule(*args, **keywords):
            if users:
                users_own(name)
            values, named = by_position(names, args, keywords)
            y, own = augmented(*values, **named)

            def back(ct, store):
                whole = structural(y, ct, store)
                if whole is None:
                    return (None,) * (len(args) + len(keywords))
                cts, others = said(fn, own(whole), values, named)
                parts = [deposit(v, c, store) for v, c in zip(values, cts, strict=True)]
                rest = {k: deposit(v, others.get(k), store) for k, v in named.items()}
                moved = names[len(args) : len(values)]
                rest.update(zip(moved, parts[len(args) :], strict=True))
                return (*parts[: len(args)], *[rest[k] for k in keywords])

            return y, back

        AUGMENTED[fn] = own_rule
        return augmented

    return register


def positional_names(fn: Callable) -> tuple[str, ...]:
    """The parameters of `fn` that may be given by position; none if it has no signature."""
    try:
        parameters = inspect.signature(fn).parameters.items()
    except (TypeError, ValueError):
        return ()
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return tuple(name for name, parameter in parameters if parameter.kind in kinds)


def by_position(names: tuple[str, ...], args: tuple, keywords: dict) -> tuple[tuple, dict]:
    """Arguments with keywords turned into positions, as far as `names` go without a gap."""
    values, rest = list(args), dict(keywords)
    for name in names[len(args) :]:
        if name not in rest:
            break
        values.append(rest.pop(name))
    return tuple(values), rest


def structural(y, ct, store):
    """The cotangent of a result in its structure: that of what can change is in the store."""
    if isinstance(y, tuple) and ct is not None:
        return tuple([structural(part, c, store) for part, c in zip(y, ct, strict=True)])
    if ct is not None or space_of(type(y)) is not None:
        return dense(ct)
    memo: dict[int, Any] = {}
    snapshot(y, memo)
    return gradient_of(y, ct, store, memo, {}) if memo or isinstance(y, tuple) else None


def said(fn, cts, values: tuple, named: dict) -> tuple[tuple, dict]:
    """What the pullback of a rule returned: cotangents by position and by keyword."""
    others: dict = {}
    silent = [k for k, v in named.items() if carries(v)]
    if isinstance(cts, tuple) and len(cts) == len(values) + 1 and isinstance(cts[-1], dict):
        cts, others, silent = cts[:-1], cts[-1], []
    got = f"{len(cts)} cotangents" if isinstance(cts, tuple) else f"a {type(cts).__name__}"
    if not isinstance(cts, tuple) or len(cts) != len(values):
        raise FluxError(
            f"the rule of `{fn.__name__}` returned {got} from its pullback; expected a tuple of "
            f"{len(values)}, one per positional argument.",
            where=user_line(),
            hint="Return (ct_x,) for one argument, and None for an argument without derivative.",
        )
    if silent:
        raise FluxError(
            f"the rule of `{fn.__name__}` says nothing about the derivative in `{silent[0]}`, "
            "which was passed by keyword.",
            where=user_line(),
            hint="Let its pullback return a dict after the other cotangents: "
            f"(..., {{{silent[0]!r}: ct}}), or an empty one.",
        )
    return cts, others


def nograd(fn: Callable) -> Callable:
    """Declare that `fn` has no derivative; it is called as it is. Returns `fn`.

    >>> import flux
    >>> @flux.nograd
    ... def scale(x):
    ...     return 2.0 * x
    >>> flux.gradient(lambda x: x * scale(x), 3.0)
    (6.0,)
    """
    INERT.add(fn)
    if not is_ours(fn):
        DECLARED.add(fn)
    return fn


def is_ours(fn) -> bool:
    """Is `fn` a function of this package?"""
    code = getattr(fn, "__code__", None)
    return code is not None and code.co_filename.startswith(PACKAGE)


def stop_gradient(x) -> Any:
    """The value `x`, as a constant: no derivative flows through.

    Lists, dicts and objects come back as copies, whose parts are constants too.

    >>> import flux
    >>> flux.gradient(lambda x: x * flux.stop_gradient(x), 3.0)
    (3.0,)
    """
    return constant(x, {})


def constant(value, made: dict[int, Any]):
    """A copy of the containers in `value`; what they hold at the ends is the same."""
    if id(value) in made:
        return made[id(value)]
    if isinstance(value, tuple):
        parts = [constant(item, made) for item in value]
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    if isinstance(value, list):
        made[id(value)] = new = []
        new.extend(constant(item, made) for item in value)
        return new
    if isinstance(value, dict):
        made[id(value)] = new = {}
        new.update((key, constant(item, made)) for key, item in value.items())
        return new
    if is_object(value) and space_of(type(value)) is None:
        made[id(value)] = new = blank(type(value))
        for name, item in fields(value).items():
            set_field(new, name, constant(item, made))
        return new
    return frozen(value)


def within_gradient() -> bool:
    """Is a derivative being taken of the code that asks?

    >>> import flux
    >>> flux.within_gradient()
    False
    """
    return False


@augments(within_gradient)
def always_within():
    return True, nothing(0)


def cut(x):
    return constant(x, {}), lambda ct, store: (None,)


INERT.update([check_callable, check_places, constant, prepare, snapshot])


AUGMENTED[stop_gradient] = cut


def code_ir(f: Callable) -> str:
    """The structured SSA program of `f`, as text.

    >>> import flux
    >>> def area(r):
    ...     return 3.0 * r**2
    >>> print(flux.code_ir(area))
    def area(r):
        t1 = r ** 2  # return 3.0 * r**2
        t2 = 3.0 * t1
        return t2
    """
    from flux.ir.show import show

    return show(entry_of(plain_function(f), runtime.RUNTIME).program)


def code_adjoint(f: Callable) -> str:
    """The generated Python of `f` under differentiation: the augmented function, then its pullback.

    >>> import flux
    >>> def area(r):
    ...     return 3.0 * r**2
    >>> print(flux.code_adjoint(area))  # doctest: +ELLIPSIS
    def area(r):
        t1, back_1 = pow(r, 2)...
    """
    entry = entry_of(plain_function(f), runtime.RUNTIME)
    return f"{entry.forward.text()}\n\n\n{entry.back.text(pullback=True)}"


def plain_function(f: Callable) -> FunctionType:
    """The Python function behind a callable."""
    prepare()
    if isinstance(f, functools.partial):
        return plain_function(f.func)
    if isinstance(f, MethodType):
        return f.__func__  # type: ignore[return-value]
    if isinstance(f, FunctionType):
        return f
    method = type(f).__call__
    if isinstance(method, FunctionType):
        return method
    raise NotDifferentiable(f"{f!r} is not a function with Python source.")
