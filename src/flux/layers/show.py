"""Print layers: a leaf as the call that makes it, a container as an indented tree."""

from __future__ import annotations

import inspect

from flux.layers.parts import children, is_parameter, modules, parameters

__all__ = ["call_repr", "label", "tree_repr"]


def tree_repr(layer, positional=()) -> str:
    """Write a layer as a tree of its parts; arrays appear by dtype and shape.

    Args:
        layer: any object with attributes.
        positional: `(name or None, part)` pairs to show in place of the attributes.
    """
    parts = positional or [(name, part) for name, part in children(layer) if _shown(name, part)]
    lines = [(f"{name}=" if isinstance(name, str) else "") + _part(part) for name, part in parts]
    head = type(layer).__name__
    if not any(_is_layer(part) for _, part in parts):
        return f"{head}({', '.join(lines)})"
    body = "".join(
        "  " + _comma(line).replace("\n", "\n  ") + _note(part) + "\n"
        for line, (_, part) in zip(lines, parts, strict=True)
    )
    return f"{head}(\n{body}){_total(layer)}"


def call_repr(layer, *arguments, **keywords) -> str:
    """Write the call that makes a layer; keywords that have their default are left out."""
    if any(
        argument is None for argument in arguments
    ):  # a gradient in the form of the layer: no call makes it
        return tree_repr(layer)
    defaults = inspect.signature(type(layer)).parameters
    given = [_part(argument) for argument in arguments if _name(argument) != "identity"]
    if getattr(layer, "active", None) is not None:
        keywords["active"] = layer.active
    for name, value in keywords.items():
        if name not in defaults or defaults[name].default != value:
            given.append(f"{name}={_part(value)}")
    return f"{type(layer).__name__}({', '.join(given)})"


def label(layer) -> str:
    """Name a layer in one line: its repr, or its class when the repr is a tree."""
    text = _text(layer)
    return type(layer).__name__ if "\n" in text else text


def _text(value) -> str:
    """The repr; of an object of a class without one the name of the class, and no address."""
    plain = type(value).__repr__ is object.__repr__
    return f"{type(value).__name__}(...)" if plain else repr(value)


def _comma(text) -> str:
    """A comma after the text, before the comment that its last line may have."""
    head, mark, note = text.rpartition("  # ")
    return f"{head},{mark}{note}" if mark and "\n" not in note else text + ","


def _shown(name, part) -> bool:
    return not (name == "active" and part is None)


def _name(value) -> str | None:
    return getattr(value, "__name__", None)


def _part(value) -> str:
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"{value.dtype}{list(value.shape)}"
    if isinstance(value, list | tuple) and any(map(_is_layer, value)):
        inner = "".join("\n  " + _part(v).replace("\n", "\n  ") + "," for v in value)
        return f"[{inner}\n]"
    name = _name(value)
    return _text(value) if name is None or not callable(value) else name


def _is_layer(value) -> bool:
    if isinstance(value, list | tuple):
        return any(map(_is_layer, value))
    return callable(value) and next(modules(value), None) is not None


def _note(part) -> str:
    arrays = parameters(part) if _is_layer(part) else []
    if not arrays or "\n" in _part(part):
        return ""
    return f"  # {sum(array.size for array in arrays):,} parameters"


def _total(layer) -> str:
    arrays = parameters(layer)
    if not arrays:
        return ""
    size = sum(array.size for array in arrays)
    counted = {id(array) for array in arrays}
    others = {
        id(value): value.size
        for owner in modules(layer)
        for _, value in children(owner)
        if is_parameter(value) and id(value) not in counted
    }
    plus = f" and {sum(others.values()):,} fixed" if others else ""
    return f"  # {size:,} parameters in {len(arrays)} arrays{plus}"
