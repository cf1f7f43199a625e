"""`match`: patterns as tests and assignments."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flux.ir import prims
from flux.ir.program import Const, Operand, Prim, Where
from flux.ir.state import State

__all__ = ["Patterns"]


def _is_sequence(value) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray)


def _has_length(value, count: int, more: bool) -> bool:
    return len(value) >= count if more else len(value) == count


def _positional(value, cls, count: int) -> tuple[str, ...]:
    """The attributes that the positional patterns of a class look at."""
    if cls in ITSELF:
        names: Any = ("",)
    else:
        names = getattr(cls, "__match_args__", ())
    if len(names) < count:
        raise TypeError(
            f"{cls.__name__}() accepts {len(names)} positional sub-patterns ({count} given)"
        )
    return tuple(names)


ITSELF = (bool, bytearray, bytes, dict, float, frozenset, int, list, set, str, tuple)
is_sequence = Prim("is_sequence", _is_sequence, inert=True)
is_mapping = Prim("is_mapping", lambda value: isinstance(value, Mapping), inert=True)
has_length = Prim("has_length", _has_length, inert=True)
positional = Prim("positional", _positional, inert=True)
is_instance = Prim("isinstance", isinstance, inert=True)
has_attribute = Prim("hasattr", lambda value, name: not name or hasattr(value, name), inert=True)
without = Prim("without", lambda value, keys: {k: value[k] for k in value if k not in keys})
"""What `**rest` of a mapping pattern takes."""


def _part(value, name):
    return value if not name else getattr(value, name)


part = Prim("part", _part)
"""What a positional sub-pattern of a class looks at: an attribute, or the value itself."""


class Patterns(State):
    """The part of the parser that knows patterns."""

    def on_Match(self, node: ast.Match) -> None:
        subject = self.expression(node.subject)
        self.cases(list(node.cases), subject, Where.of(node))

    def cases(self, cases: list[ast.match_case], subject: Operand, where: Where) -> None:
        if not cases:
            return
        first, *rest = cases
        guard = first.guard
        fits = self.both(
            self.fits(first.pattern, subject),
            (lambda: self.expression(guard)) if guard else None,
            where,
        )
        if fits == Const(True):
            self.statements(first.body)
        else:
            self.choose(
                fits,
                lambda: self.statements(first.body),
                lambda: self.cases(rest, subject, where),
                where,
            )

    def both(self, test: Operand, then: Callable[[], Operand] | None, where: Where) -> Operand:
        """`test and then()`, as an operand."""
        if then is None or test == Const(False):
            return test
        if test == Const(True):
            return then()
        flag = self.fresh("fits")

        def yes() -> None:
            self.env[flag] = then()

        def no() -> None:
            self.env[flag] = Const(False)

        self.choose(test, yes, no, where)
        return self.env.pop(flag)

    def all_fit(self, parts: list[Callable[[], Operand]], where: Where) -> Operand:
        if not parts:
            return Const(True)
        return self.both(parts[0](), lambda: self.all_fit(parts[1:], where), where)

    def fits(self, pattern: ast.pattern, value: Operand) -> Operand:
        """Does `value` fit the pattern? Names in the pattern are assigned on the way."""
        return getattr(self, f"fits_{type(pattern).__name__}")(pattern, value, Where.of(pattern))

    def fits_MatchValue(self, pattern: ast.MatchValue, value: Operand, where: Where) -> Operand:
        other = self.expression(pattern.value)
        return self.call(prims.COMPARE[ast.Eq], (value, other), where)

    def fits_MatchSingleton(self, pattern: ast.MatchSingleton, value, where: Where) -> Operand:
        return self.call(prims.COMPARE[ast.Is], (value, Const(pattern.value)), where)

    def fits_MatchAs(self, pattern: ast.MatchAs, value: Operand, where: Where) -> Operand:
        def name() -> Operand:
            if pattern.name:
                self.assign(pattern.name, value, where)
            return Const(True)

        test = self.fits(pattern.pattern, value) if pattern.pattern else Const(True)
        return self.both(test, name, where)

    def fits_MatchOr(self, pattern: ast.MatchOr, value: Operand, where: Where) -> Operand:
        return self.one_of(list(pattern.patterns), value, where)

    def one_of(self, patterns: list[ast.pattern], value: Operand, where: Where) -> Operand:
        test = self.fits(patterns[0], value)
        if len(patterns) == 1 or test == Const(True):
            return test
        flag = self.fresh("fits")

        def yes() -> None:
            self.env[flag] = Const(True)

        def no() -> None:
            self.env[flag] = self.one_of(patterns[1:], value, where)

        self.choose(test, yes, no, where)
        return self.env.pop(flag)

    def fits_MatchSequence(self, pattern: ast.MatchSequence, value, where: Where) -> Operand:
        parts = pattern.patterns
        stars = [i for i, p in enumerate(parts) if isinstance(p, ast.MatchStar)]
        count = len(parts) - len(stars)

        def item(index: int) -> Callable[[], Operand]:
            part = parts[index]
            at = index if not stars or index < stars[0] else index - len(parts)

            def test() -> Operand:
                if isinstance(part, ast.MatchStar):
                    return self.star(part, value, index, len(parts) - index - 1, where)
                return self.fits(part, self.call(prims.getitem, (value, Const(at)), where))

            return test

        def sized() -> Operand:
            args = (value, Const(count), Const(bool(stars)))
            return self.call(has_length, args, where)

        tests = [lambda: self.call(is_sequence, (value,), where), sized]
        return self.all_fit([*tests, *map(item, range(len(parts)))], where)

    def star(self, pattern: ast.MatchStar, value, before: int, after: int, where) -> Operand:
        if pattern.name:
            ends = Const(before), Const(-after or None), Const(None)
            place = self.call(prims.slice_, ends, where)
            items = self.call(prims.getitem, (value, place), where)
            flags = self.call(prims.tuple_, (Const(True),), where)
            self.assign(pattern.name, self.call(prims.merge_list, (flags, items), where), where)
        return Const(True)

    def fits_MatchMapping(self, pattern: ast.MatchMapping, value, where: Where) -> Operand:
        keys = [self.expression(key) for key in pattern.keys]

        def entry(index: int) -> Callable[[], Operand]:
            def has() -> Operand:
                present = self.call(prims.COMPARE[ast.In], (keys[index], value), where)
                return self.both(present, fits, where)

            def fits() -> Operand:
                item = self.call(prims.getitem, (value, keys[index]), where)
                return self.fits(pattern.patterns[index], item)

            return has

        def rest() -> Operand:
            if pattern.rest:
                known = self.call(prims.tuple_, keys, where)
                self.assign(pattern.rest, self.call(without, (value, known), where), where)
            return Const(True)

        tests = [lambda: self.call(is_mapping, (value,), where)]
        return self.all_fit([*tests, *map(entry, range(len(keys))), rest], where)

    def fits_MatchClass(self, pattern: ast.MatchClass, value, where: Where) -> Operand:
        cls = self.expression(pattern.cls)

        def attribute(name: Operand, inner: ast.pattern) -> Callable[[], Operand]:
            def has() -> Operand:
                present = self.call(has_attribute, (value, name), where)
                return self.both(present, fits, where)

            def fits() -> Operand:
                return self.fits(inner, self.call(part, (value, name), where))

            return has

        def parts() -> Operand:
            tests = []
            if pattern.patterns:
                count = Const(len(pattern.patterns))
                names = self.call(positional, (value, cls, count), where)
                for index, inner in enumerate(pattern.patterns):
                    name = self.call(prims.getitem, (names, Const(index)), where)
                    tests.append(attribute(name, inner))
            pairs = zip(pattern.kwd_attrs, pattern.kwd_patterns, strict=True)
            tests += [attribute(Const(name), inner) for name, inner in pairs]
            return self.all_fit(tests, where)

        return self.both(self.call(is_instance, (value, cls), where), parts, where)
