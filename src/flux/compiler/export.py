"""`flux.export`: a compiled program as a file, for other machines and without its source."""

from __future__ import annotations

import builtins
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jax import export as jax_export
from jax.core import Tracer

import flux.errors
from flux.ad.inert import opaque
from flux.ad.registry import FINDERS
from flux.compiler.control.calls import call_
from flux.compiler.control.checks import Checks, current, is_collecting
from flux.compiler.control.journal import Journal
from flux.compiler.control.options import Options
from flux.compiler.jit import Jitted
from flux.compiler.portable import exported_of, facts_of, read, write
from flux.compiler.program import complain, making
from flux.compiler.signature import (
    Pattern,
    array_of,
    arrays_in,
    pattern_of,
    put_in,
    with_arrays,
)
from flux.compiler.staging import in_user_terms
from flux.errors import FluxError, ShapeError, StagingError, user_line

__all__ = ["Artefact", "export", "load_exported"]

PLATFORMS = ("cpu", "cuda", "rocm", "tpu")


def export(
    f: Callable, *args, platforms: tuple[str, ...] = ("cpu", "cuda", "tpu"), batch: bool = False
) -> Artefact:
    """`f` as a program that runs without Python source, on machines of other kinds.

    Args:
        f: any callable: a function, a closure, a model. The arrays that it holds (the parameters
            of a model) become part of the program.
        args: one example of the arguments. Arrays, in tuples, lists, dicts and objects, are inputs
            of these shapes and dtypes; numbers, texts and `None` are part of the program.
        platforms: what the program is to run on, of `"cpu"`, `"cuda"`, `"rocm"` and `"tpu"`. None
            of them needs to be there now.
        batch: whether the leading axis of arrays (not of those in objects) may be of any size, the
            same for all.

    Returns: the program: call it, `save` it, read it with `as_text`.
    Raises: `StagingError` as `flux.jit`, and where `f` changes an object, which a program in a file
        cannot do; `FluxError` for an argument or result that a file cannot hold.

    The text is StableHLO, made by `jax.export`; its guarantees for other versions of JAX hold.

    >>> import flux, numpy as np
    >>> model = flux.Chain(flux.Dense(3, 4, flux.relu), flux.Dense(4, 2))
    >>> program = flux.export(model, np.ones((5, 3), np.float32), batch=True)
    >>> program(np.ones((8, 3), np.float32)).shape
    (8, 2)
    """
    wrong = [name for name in platforms if name not in PLATFORMS]
    if wrong or isinstance(platforms, str) or not platforms:
        raise FluxError(
            f"export expected platforms of {', '.join(PLATFORMS)}, and got {platforms!r}.",
            where=user_line(),
            hint='They are a tuple: platforms=("cpu", "cuda").',
        )
    arrays: list = []
    takes = [pattern_of(arg, f"argument {i}", arrays) for i, arg in enumerate(args)]
    making_of = Making(f, args)
    try:
        program, avals = jax.jit(making_of.run), avals_of(arrays, batch)
        refuse_effects(program.trace(*avals).jaxpr)
        exported = jax_export.export(program, platforms=tuple(platforms))(*avals)
    except Exception as error:
        problem = in_user_terms(error, making_of.function)
    else:
        header = {
            "name": making_of.name,
            "takes": takes,
            "returns": making_of.returns,
            "errors": [[type(e).__name__, str(e)] for e in making_of.errors],
            **facts_of(exported),
        }
        return Artefact(header, exported)
    raise problem


def avals_of(arrays: list, batch: bool) -> list:
    """Shapes and dtypes of the inputs."""
    size = jax_export.symbolic_shape("batch")[0] if batch else None
    found = []
    for array, _, held in arrays:
        shape = array.shape
        if batch and not held and shape:
            shape = (size, *shape[1:])
        found.append(jax.ShapeDtypeStruct(shape, jax.dtypes.canonicalize_dtype(array.dtype)))
    return found


def refuse_effects(program) -> None:
    """Refuse a program that calls Python."""
    if program.effects:
        raise StagingError(
            "An exported program cannot call back into Python, as flux.show does.",
            where=user_line(),
            hint="Take the call out of what is exported.",
        )


class Making:
    """The trace of a function for export.

    Attributes:
        returns: the pattern of its result.
        errors: the exceptions that the program may raise; then a number is its last output.
    """

    def __init__(self, f: Callable, args: tuple):
        self.options = Options(f.unroll) if isinstance(f, Jitted) else Options()
        self.function = f.function if isinstance(f, Jitted) else f
        self.name = getattr(self.function, "__name__", type(self.function).__name__)
        self.args = args
        self.returns: Pattern = {}
        self.errors: list[BaseException] = []

    def run(self, *leaves) -> list:
        rest = iter(leaves)
        args = [with_arrays(arg, rest) for arg in self.args]
        journal = Journal(self.function, given=tuple(args))
        with making(self.options, []) as checks:
            result = call_(self.function, *args)
        self.unchanged(journal)
        if isinstance(checks.code, int) and checks.code:
            raise checks.error(checks.code)
        found: list = []
        self.returns = pattern_of(result, "the result", found)
        refuse_objects(self.returns)
        outputs = [jnp.asarray(array) for array, _, _ in found]
        if isinstance(checks.code, int):
            return outputs
        self.errors = checks.errors.known
        return [*outputs, checks.code]

    def unchanged(self, journal: Journal) -> None:
        """Refuse a function that changes what it was given or holds."""
        for place in journal.changed():
            thing, path = journal.things[place], journal.paths[place]
            journal.restore()
            raise StagingError(
                f"`{self.name}` changes the {type(thing).__name__} {path}".rstrip()
                + ", which an exported program cannot do.",
                where=user_line(),
                hint="Return the new value instead; a model that counts or draws while it trains "
                "is exported after flux.testmode(model).",
            )


def refuse_objects(pattern: Pattern) -> None:
    """Results are made without any class of the user's."""
    if "object" in pattern:
        raise FluxError(
            f"an exported program cannot return a {pattern['object']}.",
            where=user_line(),
            hint="Return arrays in tuples, lists and dicts.",
        )
    for key in ("tuple", "list"):
        for inner in pattern.get(key, ()):
            refuse_objects(inner)
    for _, inner in pattern.get("dict", ()):
        refuse_objects(inner)


def load_exported(path) -> Artefact:
    """The program that `flux.export(...).save(path)` wrote.

    Raises: `ModelFileError` if the file is missing, damaged, or of another kind.

    >>> import flux, numpy as np, os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "double.flux")
    >>> flux.export(lambda x: 2 * x, np.ones(3, np.float32)).save(path)
    >>> flux.load_exported(path)(np.ones(3, np.float32)).tolist()
    [2.0, 2.0, 2.0]
    """
    path = Path(path)
    header, program = read(path)
    return Artefact(header, exported_of(path, header, program))


class Artefact:
    """An exported program: a function of arguments as it was exported with.

    Attributes:
        header: what it takes and returns, as plain data.
        platforms: what it runs on.
    """

    __constant__ = True

    def __init__(self, header: dict[str, Any], exported: jax_export.Exported):
        self.header, self.exported = header, exported
        self.platforms = tuple(header["platforms"])
        self.program = jax.jit(exported.call)

    def __repr__(self):
        return f"exported({self.header['name']})"

    def save(self, path) -> None:
        """Write the program to a file, in place of what is there."""
        write(Path(path), self.header, self.exported.mlir_module_serialized)

    def as_text(self) -> str:
        """The program in StableHLO."""
        return self.exported.mlir_module()

    def __call__(self, *args):
        """Run the program.

        Raises: `ShapeError` for an array of another shape or dtype, `FluxError` for an argument of
            another structure, and what `f` raised on data such as these.
        """
        takes = self.header["takes"]
        if len(args) != len(takes):
            raise FluxError(
                f"{self!r} takes {len(takes)} arguments, and got {len(args)}.", where=user_line()
            )
        found: dict[int, tuple[Any, str]] = {}
        for i, (pattern, arg) in enumerate(zip(takes, args, strict=True)):
            arrays_in(pattern, arg, f"argument {i}", found)
        outputs = self.run(self.checked(found))
        if self.header["errors"]:
            self.complain(outputs.pop())
        return put_in(self.header["returns"], outputs)

    def checked(self, found: dict[int, tuple[Any, str]]) -> list:
        """The inputs in order, of the shapes and dtypes that the program takes."""
        sizes: dict[str, int] = {}
        inputs = []
        for i, fact in enumerate(self.header["inputs"]):
            value, path = found[i]
            array = as_input(value, fact["dtype"])
            expected = tuple([sizes.get(n, n) for n in fact["shape"]])
            dtype = jax.dtypes.canonicalize_dtype(array.dtype)
            if dtype != fact["dtype"] or not fits(expected, array.shape):
                raise ShapeError(
                    f"{path} of {self!r}: expected {spelled(fact['dtype'], expected)}, "
                    f"and got {spelled(dtype, array.shape)}.",
                    where=user_line(),
                    hint="Export the program again for other shapes and dtypes; batch=True leaves "
                    "the size of the leading axis open.",
                )
            open_sizes = zip(fact["shape"], array.shape, strict=True)
            sizes.update({n: size for n, size in open_sizes if isinstance(n, str)})
            inputs.append(array)
        return inputs

    def run(self, inputs: list) -> list:
        try:
            return self.program(*inputs)
        except ValueError as error:
            if "platform" not in str(error):
                raise
            raise FluxError(
                f"{self!r} was exported for {', '.join(self.platforms)}, and not for "
                f"{jax.default_backend()}.",
                where=user_line(),
                hint="Export it with platforms=... for this machine as well.",
            ) from None

    def complain(self, code) -> None:
        """Raise the exception of a number, if it is not 0; inside a program, when that has run."""
        checks = current() if is_collecting() else Checks()
        numbers = [checks.errors.number(made(*error)) for error in self.header["errors"]]
        if not isinstance(code, Tracer):
            if int(code):
                raise checks.error(numbers[int(code) - 1])
            return
        code = jnp.asarray([0, *numbers])[code]
        if is_collecting():
            checks.code = jnp.where(jnp.asarray(checks.code) == 0, code, checks.code)
        else:
            jax.debug.callback(functools.partial(complain, checks), code)


def as_input(value, dtype: str):
    """An array; a number becomes one of the dtype, if that can hold it."""
    array = array_of(value)
    holds = array is not value and jnp.result_type(value, dtype) == dtype
    return array.astype(dtype) if holds else array


def fits(expected: tuple, shape: tuple[int, ...]) -> bool:
    """Is `shape` as expected? A name in it stands for any size."""
    if len(expected) != len(shape):
        return False
    pairs = zip(expected, shape, strict=True)
    return all(size > 0 if isinstance(n, str) else n == size for n, size in pairs)


def spelled(dtype, shape) -> str:
    return f"{dtype}[{', '.join(map(str, shape))}]"


def made(name: str, text: str) -> BaseException:
    """An exception of Python's or ours, of its name; any other by its text."""
    kind = getattr(builtins, name, None) or getattr(flux.errors, name, None)
    if isinstance(kind, type) and issubclass(kind, Exception):
        return kind(text)
    return FluxError(f"{name}: {text}")


def find_artefact(f) -> Callable | None:
    """An exported program has no derivative."""
    return opaque(f) if isinstance(f, Artefact) else None


FINDERS.append(find_artefact)
