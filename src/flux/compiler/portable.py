"""The file of an exported program: a line that tells what it is, a line of JSON, StableHLO.

    flux-export 1 <SHA-256 of the rest>
    {"name": ..., "takes": ..., "returns": ..., "inputs": ..., "outputs": ..., ...}
    <the program, as StableHLO's portable bytes>

The first line has a fixed length. Nothing in a file is executed by reading it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from pathlib import Path
from typing import Any, NoReturn

import jax
from jax import export as jax_export
from jax.core import ShapedArray

from flux.errors import ModelFileError

__all__ = ["exported_of", "facts_of", "read", "write"]

MAGIC = b"flux-export "
FORMAT = 1


def write(path: Path, header: dict[str, Any], program: bytes) -> None:
    """Write a file in place of what is there, in one step."""
    rest = json.dumps(header).encode() + b"\n" + program
    first = b"%s%d %s\n" % (MAGIC, FORMAT, hashlib.sha256(rest).hexdigest().encode())
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open(beside, "wb") as file:
            file.write(first + rest)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except OSError as problem:
        raise ModelFileError(
            f"{path} cannot be written: {problem.strerror}.",
            hint="The folder must exist, be writable and have room; what was there before is kept.",
        ) from problem
    finally:
        beside.unlink(missing_ok=True)


def read(path: Path) -> tuple[dict[str, Any], bytes]:
    """The header and the program of a file.

    Raises: `ModelFileError` if it is missing, damaged, or of another kind.
    """
    try:
        data = path.read_bytes()
    except OSError as problem:
        reason = "does not exist" if isinstance(problem, FileNotFoundError) else (
            f"cannot be read: {problem.strerror}")  # fmt: skip
        refuse(path, reason, "Pass the path that was given to save.")
    if not data.startswith(MAGIC):
        refuse(path, "is not a program written by flux.export", "Pass the file that save wrote.")
    first, _, rest = data.partition(b"\n")
    version, _, checksum = first.removeprefix(MAGIC).partition(b" ")
    if version.isdigit() and int(version) > FORMAT:
        refuse(path, "was written by a newer version of Flux", "Update Flux to read it.")
    if hashlib.sha256(rest).hexdigest().encode() != checksum:
        refuse(
            path,
            f"is damaged: its {len(data)} bytes are not those that were written",
            "Copy it again, or export the program again.",
        )
    header, _, program = rest.partition(b"\n")
    return json.loads(header), program


def refuse(path: Path, what: str, hint: str) -> NoReturn:
    raise ModelFileError(f"{path} {what}.", hint=hint) from None


# -- JAX's own description of a program ------------------------------------------------------------


def facts_of(exported: jax_export.Exported) -> dict[str, Any]:
    """What JAX has to know of a program besides its text, as plain data."""
    return {
        "inputs": [array_facts(aval) for aval in exported.in_avals],
        "outputs": [array_facts(aval) for aval in exported.out_avals],
        "platforms": list(exported.platforms),
        "convention": exported.calling_convention_version,
        "kept": [int(i) for i in exported.module_kept_var_idx],
        "constants": bool(exported.uses_global_constants),
        "jax": jax.__version__,
    }


def array_facts(aval) -> dict[str, Any]:
    shape = [n if isinstance(n, int) else str(n) for n in aval.shape]
    return {"shape": shape, "dtype": str(aval.dtype)}


def exported_of(path: Path, header: dict[str, Any], program: bytes) -> jax_export.Exported:
    """JAX's exported program, of its description and its text."""
    scope = jax_export.SymbolicScope()

    def avals(facts) -> tuple:
        return tuple([aval_of(fact, scope) for fact in facts])

    inputs, outputs = avals(header["inputs"]), avals(header["outputs"])
    known: dict[str, Any] = {
        "fun_name": header["name"],
        "in_tree": jax.tree.structure((tuple(inputs), {})),
        "in_avals": inputs,
        "out_tree": jax.tree.structure(list(outputs)),
        "out_avals": outputs,
        "_has_named_shardings": True,
        "_in_named_shardings": (None,) * len(inputs),
        "_out_named_shardings": (None,) * len(outputs),
        "in_shardings_hlo": (None,) * len(inputs),
        "out_shardings_hlo": (None,) * len(outputs),
        "nr_devices": 1,
        "platforms": tuple(header["platforms"]),
        "ordered_effects": (),
        "unordered_effects": (),
        "disabled_safety_checks": (),
        "mlir_module_serialized": program,
        "calling_convention_version": header["convention"],
        "module_kept_var_idx": tuple(header["kept"]),
        "uses_global_constants": header["constants"],
        "_get_vjp": None,
    }
    names = [field.name for field in dataclasses.fields(jax_export.Exported)]
    lowest = jax_export.minimum_supported_calling_convention_version
    highest = jax_export.maximum_supported_calling_convention_version
    if set(names) - set(known) or not lowest <= header["convention"] <= highest:
        refuse(
            path,
            f"was made with JAX {header['jax']}, and JAX {jax.__version__} cannot read it",
            "Export the program again with this version of JAX.",
        )
    return jax_export.Exported(**{name: known[name] for name in names})


def aval_of(fact: dict[str, Any], scope) -> ShapedArray:
    text = ",".join([str(n) for n in fact["shape"]])
    shape = jax_export.symbolic_shape(text, scope=scope) if fact["shape"] else ()
    return ShapedArray(tuple(shape), jax.numpy.dtype(fact["dtype"]))
