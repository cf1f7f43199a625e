"""Which module of PyTorch's belongs to which layer of ours; nothing is guessed.

Only a module with the arrays of a layer, by name and shape, can be its counterpart. Where several
layers have the same arrays, names decide if they agree, numbers do if both sides have some, and the
order in which modules were registered does for layers that are in a sequence. Where none of them
decides, two layers could be exchanged unnoticed: that is refused.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable

from flux.io.pytorch.layers import Unit
from flux.io.pytorch.state import Entry, Part

__all__ = ["Pairs", "pair"]

Pairs = list[tuple[Part, Unit]]
OPTIONAL = ("num_batches_tracked",)  # a counter that PyTorch's running statistics have besides
SYNONYMS: dict[str | int, str] = {
    "q_proj": "query", "k_proj": "key", "v_proj": "value", "o_proj": "out", "out_proj": "out",
}  # fmt: skip


def pair(parts: list[Part], units: list[Unit], ordered: bool) -> tuple[Pairs, list[str]]:
    """The layers with their modules, and what is wrong, in the words of a message.

    Args:
        parts: the modules.
        units: the layers.
        ordered: whether the modules are in the order in which they were registered.
    """
    groups: dict[frozenset, tuple[list[Part], list[Unit]]] = defaultdict(lambda: ([], []))
    for part in parts:
        groups[_form(part.shapes)][0].append(part)
    for unit in units:
        groups[_form(unit.shapes)][1].append(unit)
    pairs: Pairs = []
    problems: list[str] = []
    spare: tuple[list[Part], list[Unit]] = ([], [])
    for theirs, own in groups.values():
        for some, others in _by_name(theirs, own):
            some = _without_copies(some, len(others))
            if some and others and len(some) != len(others):
                problems.append(_counts(some, others))
                continue
            if doubt := len(some) == len(others) > 1 and _doubt(some, others, ordered):
                problems.append(doubt)
            if some and others:
                pairs += zip(_sorted(some, others, ordered), others, strict=True)
            else:
                spare[0].extend(some)
                spare[1].extend(others)
    used = {entry.memory for part, _ in pairs for entry in part.entries.values()}
    left = [part for part in spare[0] if not _memories(part) <= used]
    return pairs, problems + _crossed(pairs) + _misfits(left, spare[1])


def _form(shapes: dict[str, tuple[int, ...]]) -> frozenset:
    return frozenset((n, s) for n, s in shapes.items() if n not in OPTIONAL)


def _memories(part: Part) -> set:
    return {entry.memory for name, entry in part.entries.items() if name not in OPTIONAL}


def _without_copies(parts: list[Part], count: int) -> list[Part]:
    """The parts, without those that are one with an earlier part if there are more than `count`."""
    if len(parts) <= count:
        return parts
    first: dict[frozenset, Part] = {}
    for part in parts:
        first.setdefault(frozenset(_memories(part)), part)
    return list(first.values())


# -- where several layers have the same arrays -----------------------------------------------------


def _by_name(parts: list[Part], units: list[Unit]) -> Iterable[tuple[list[Part], list[Unit]]]:
    """Groups of the same names but for numbers, and last those that no name brings together."""
    buckets: dict[tuple, tuple[list[Part], list[Unit]]] = defaultdict(lambda: ([], []))
    for part in parts:
        buckets[_skeleton(part.path)][0].append(part)
    for unit in units:
        buckets[_skeleton(unit.path)][1].append(unit)
    rest: tuple[list[Part], list[Unit]] = ([], [])
    for some, others in buckets.values():
        if some and len(_without_copies(some, len(others))) == len(others):
            yield some, others
        else:
            rest[0].extend(some)
            rest[1].extend(others)
    if rest[0] or rest[1]:
        order = {id(item): place for place, item in enumerate([*parts, *units])}
        yield (
            sorted(rest[0], key=lambda p: order[id(p)]),
            sorted(rest[1], key=lambda u: order[id(u)]),
        )


def _skeleton(path: tuple) -> tuple:
    return tuple("#" if isinstance(key, int) else SYNONYMS.get(key, key) for key in path)


def _sorted(parts: list[Part], units: list[Unit], ordered: bool) -> list[Part]:
    """The parts in the order of their modules; where that is lost, in that of names and numbers."""
    if ordered:
        return parts
    names = [key for unit in units for key in unit.path if isinstance(key, str)]
    rank = {name: place for place, name in enumerate(dict.fromkeys(names))}

    def place(part: Part) -> list:
        keys = [SYNONYMS.get(key, key) for key in part.path]
        return [(rank.get(str(key), len(rank)), *_number(key)) for key in keys]

    return sorted(parts, key=place)


def _number(key) -> tuple[str, int]:
    """A name without the number at its end, and that number.

    >>> _number("conv12"), _number(3), _number("head")
    (('conv', 12), ('', 3), ('head', -1))
    """
    if not isinstance(key, str):
        return ("", key) if isinstance(key, int) else (repr(key), -1)
    stem, digits = re.fullmatch(r"(.*?)(\d*)", key).groups()  # type: ignore[union-attr]
    return stem, int(digits or -1)


def _doubt(parts: list[Part], units: list[Unit], ordered: bool) -> str | None:
    """Why two layers could be exchanged; `None` if names, numbers or the order decide."""
    chosen = list(zip(_sorted(parts, units, ordered), units, strict=True))
    for (a, own_a), (b, own_b) in zip(chosen, chosen[1:], strict=False):
        theirs, own = _differ(a.path, b.path), _differ(own_a.path, own_b.path)
        if not _decided(theirs, own, ordered):
            listed = ", ".join(f"{part.name!r}: {unit.place!r}" for part, unit in chosen[:8])
            return (
                f"{a.name or 'the state'} and {b.name} have arrays of the same shapes, and no name "
                f"tells which is `{own_a.place}` and which is `{own_b.place}`; say it "
                f"with names={{{listed}}}, whose order may be wrong here"
            )
    return None


def _differ(a: tuple, b: tuple) -> tuple:
    """The first two keys in which paths differ."""
    for pair_of_keys in zip(a, b, strict=False):
        if pair_of_keys[0] != pair_of_keys[1]:
            return tuple(SYNONYMS.get(key, key) for key in pair_of_keys)
    return ("", "")


def _decided(theirs: tuple, own: tuple, ordered: bool) -> bool:
    if theirs == own and theirs != ("", ""):
        return True
    (stem, i), (stem_b, j) = map(_number, theirs)
    theirs_count = stem == stem_b and 0 <= i < j
    if all(isinstance(key, int) for key in own):
        return own[0] < own[1] and (theirs_count or (ordered and not stem == stem_b))
    (stem, i), (stem_b, j) = map(_number, own)
    own_count = stem == stem_b and 0 <= i < j
    return theirs_count and (own_count or all(isinstance(key, int) for key in theirs))


def _crossed(pairs: Pairs) -> list[str]:
    """Layers that are numbered here in another order than their modules are, or named crosswise."""
    places: dict[tuple, list[tuple[int, int, Part, Unit]]] = defaultdict(list)
    for part, unit in pairs:
        for a, i in _numbers(part.path):
            for b, j in _numbers(unit.path):
                places[a, b].append((i, j, part, unit))
    for found in places.values():
        found.sort(key=lambda item: item[:2])
        for (_, i, a, own_a), (_, j, b, own_b) in zip(found, found[1:], strict=False):
            if i > j:
                return [_exchanged(a, own_a, b, own_b)]
    by_paths = {(_plain(part.path), _plain(unit.path)): (part, unit) for part, unit in pairs}
    for (theirs, own), pair_ in by_paths.items():
        if theirs != own and (own, theirs) in by_paths:
            return [_exchanged(*pair_, *by_paths[own, theirs])]
    return []


def _numbers(path: tuple) -> list[tuple[tuple, int]]:
    """Every number in a path, with all that stands before it.

    >>> _numbers(("blocks", 2, "conv1"))
    [(('blocks',), 2), (('blocks', 2, 'conv'), 1)]
    """
    found = []
    for place, key in enumerate(path):
        stem, number = _number(key)
        if number >= 0:
            found.append(((*path[:place], *([stem] if stem else [])), number))
    return found


def _plain(path: tuple) -> tuple:
    return tuple(SYNONYMS.get(key, key) for key in path)


def _exchanged(a: Part, own_a: Unit, b: Part, own_b: Unit) -> str:
    said = ", ".join(f"{part.name!r}: {own.place!r}" for part, own in ((a, own_a), (b, own_b)))
    return (
        f"{a.name} has the arrays of {own_a.text} and {b.name} those of {own_b.text}, in another "
        f"order than here; if that is meant, say it with names={{{said}}}"
    )


# -- in the words of a message ---------------------------------------------------------------------


def _counts(parts: list[Part], units: list[Unit]) -> str:
    names = ", ".join(part.name or "the state itself" for part in parts)
    places = ", ".join(f"`{unit.place}`" for unit in units)
    return (
        f"{_listed(parts[0].shapes)}: the state has it {len(parts)} times ({names}), this model "
        f"{len(units)} times ({places})"
    )


def _listed(shapes: dict[str, tuple[int, ...]]) -> str:
    return ", ".join(f"{n} {shape}" for n, shape in shapes.items() if n not in OPTIONAL)


def _misfits(parts: list[Part], units: list[Unit]) -> list[str]:
    """What is left over; a module and a layer that were meant for each other in one line."""
    lines = []
    left = list(parts)
    for unit in units:
        partner = _likely(unit, left)
        if partner is None:
            lines.append(f"{unit.text} needs {_listed(unit.shapes)}, which the state does not have")
            continue
        left.remove(partner)
        lines += _between(partner, unit)
    for part in left:
        names = [_entry(entry) for n, entry in part.entries.items() if n not in OPTIONAL]
        lines.append(f"{', '.join(names)}: no layer of this model takes it")
    return lines


def _entry(entry: Entry) -> str:
    return f"{entry.label} {entry.array.shape}"


def _likely(unit: Unit, parts: list[Part]) -> Part | None:
    named = [p for p in parts if _skeleton(p.path) == _skeleton(unit.path)]
    alike = [p for p in named or parts if {n for n, _ in _form(p.shapes)} == set(unit.shapes)]
    for part in alike or named:
        if {len(s) for s in part.shapes.values()} & {len(s) for s in unit.shapes.values()}:
            return part
    return None


def _between(part: Part, unit: Unit) -> list[str]:
    """How a module and a layer differ."""
    lines = []
    for name, shape in unit.shapes.items():
        entry = part.entries.get(name)
        if entry is None:
            lines.append(f"{unit.text} needs {name} {shape}, which {part.name} does not have")
        elif entry.array.shape != shape:
            has = f"{entry.label} has the shape {entry.array.shape}"
            lines.append(f"{has}; for {unit.text} it must be {shape}")
    extra = [e for n, e in part.entries.items() if n not in unit.shapes and n not in OPTIONAL]
    return lines + [f"{_entry(entry)}: {unit.text} has nothing for it" for entry in extra]
