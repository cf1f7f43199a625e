"""Assignments: to names, attributes, items and several of them at once; `del`; imports."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import NamedTuple

from flux.ir import prims
from flux.ir.program import Call, Const, Operand, Prim, Var, Where
from flux.ir.state import State

__all__ = ["Targets"]


class Place(NamedTuple):
    """A container that an item is assigned in.

    Attributes:
        value: the container.
        put: puts the changed container back; `None` if nothing is to be put back.
        held: emits the test whether the container is still there; `None` if it must be.
    """

    value: Operand
    put: Callable[[Operand], None] | None = None
    held: Callable[[], Operand] | None = None


class Targets(State):
    """The part of the parser that knows assignments."""

    def on_Assign(self, node: ast.Assign) -> None:
        first = node.targets[0]
        paired = len(node.targets) == 1 and isinstance(first, ast.Tuple | ast.List)
        values = node.value
        if paired and isinstance(values, ast.Tuple) and _plain_pair(first, values):
            self.assign_each(first.elts, values.elts)  # type: ignore[union-attr]
            return
        value = self.expression(node.value)
        if len(node.targets) > 1:
            self.unnamed.discard(value)
        for target in node.targets:
            self.target(target, value, Where.of(node))

    def assign_each(self, targets: list[ast.expr], values: list[ast.expr]) -> None:
        """`a, b = x, y` without the tuple: all values are read before the first is assigned."""
        for target, value in zip(targets, self.operands(values), strict=True):
            self.target(target, value, Where.of(target))

    def on_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.target(node.target, self.expression(node.value), Where.of(node))

    def on_AugAssign(self, node: ast.AugAssign) -> None:
        where, prim = Where.of(node), prims.INPLACE[type(node.op)]
        match node.target:
            case ast.Name(id=name):
                old = self.read(name, where)
                new = self.call(prim, (old, self.expression(node.value)), where)
                self.unless_raised(lambda: self.assign(name, new, where), where)
            case ast.Attribute(value=owner, attr=attr):
                owner_value, name = self.expression(owner), Const(self.mangled(attr))
                old = self.call(prims.getattr_, (owner_value, name), where)
                new = self.call(prim, (old, self.expression(node.value)), where)
                self.emit(Call((), prims.setattr_, (owner_value, name, new), where))
            case ast.Subscript(value=owner, slice=index):
                place, at = self.place(owner, _calls(node)), self.index(index)
                old = self.call(prims.getitem, (place[-1].value, at), where)
                new = self.call(prim, (old, self.expression(node.value)), where)
                self.put_item(place, at, new, where)

    def target(self, node: ast.expr, value: Operand, where: Where) -> None:
        """Assign `value` to an assignment target, if no exception is on its way."""
        self.unless_raised(lambda: self.assign_to(node, value, where), where)

    def assign_to(self, node: ast.expr, value: Operand, where: Where) -> None:
        match node:
            case ast.Name(id=name):
                self.assign(name, value, where)
            case ast.Attribute(value=owner, attr=attr):
                args = (self.expression(owner), Const(self.mangled(attr)), value)
                self.emit(Call((), prims.setattr_, args, where))
            case ast.Subscript(value=owner, slice=index):
                place = self.place(owner, _calls(node))
                self.put_item(place, self.index(index), value, where)
            case ast.Tuple(elts=elts) | ast.List(elts=elts):
                self.unpack(elts, value, where)
            case _:
                self.refuse(node, f"assignment to `{ast.unparse(node)}`", "Assign to a name.")

    def unpack(self, elts: list[ast.expr], value: Operand, where: Where) -> None:
        stars = [i for i, elt in enumerate(elts) if isinstance(elt, ast.Starred)]
        items = tuple(self.temp() for _ in elts)
        names = [elt.id for elt in elts if isinstance(elt, ast.Name)]
        named = len({*names}) == len(elts) and not self.trials
        if named and not any(self.is_special(name) for name in names):
            items = tuple(self.define(self.mangled(self.renamed.get(n, n))) for n in names)
            elts = []
        if stars:
            after = len(elts) - stars[0] - 1
            args: tuple[Operand, ...] = (value, Const(stars[0]), Const(after))
            self.emit(Call(items, prims.unpack_star, args, where, unpack=True))
        else:
            args = (value, Const(len(items)))
            self.emit(Call(items, prims.unpack, args, where, unpack=True))
        for elt, item in zip(elts, items, strict=False):
            self.target(elt.value if isinstance(elt, ast.Starred) else elt, item, where)

    # -- items -------------------------------------------------------------------------------

    def place(self, node: ast.expr, calls: bool) -> list[Place]:
        """What an item is to be assigned in, and how it is put back where it came from.

        For `a.b[i][j] = v`: `a.b`, then `a.b[i]`. An array that cannot change is replaced by the
        changed one, outwards, up to the name or attribute that holds it.

        Args:
            calls: the rest of the assignment calls something, which may put another array there.
        """
        where = Where.of(node)
        match node:
            case ast.Subscript(value=owner, slice=index):
                before = self.place(owner, calls)
                holder, at = before[-1].value, self.index(index)
                value = self.call(prims.getitem, (holder, at), where)
                put = lambda new: self.put_item(before, at, new, where, prims.put_item)  # noqa: E731
                held = lambda: self.call(prims.holds_item, (holder, at, value), where)  # noqa: E731
                return [*before, Place(value, put, held if calls else None)]
            case ast.Attribute(value=owner, attr=attr):
                holder, name = self.expression(owner), Const(self.mangled(attr))
                value = self.call(prims.getattr_, (holder, name), where)
                put = lambda new: self.emit(  # noqa: E731
                    Call((), prims.put_attribute, (holder, name, new), where)
                )
                held = lambda: self.call(prims.holds, (holder, name, value), where)  # noqa: E731
                return [Place(value, put, held if calls else None)]
            case ast.Name(id=name) if self.is_local(name):
                value = self.expression(node)
                put = lambda new: self.assign(name, new, where)  # noqa: E731
                return [Place(value, put, lambda: self.name_holds(name, value, where))]
        return [Place(self.expression(node))]

    def name_holds(self, name: str, value: Operand, where: Where) -> Operand:
        """Is the local name bound to what it was bound to when `value` was read?"""
        own = self.mangled(self.renamed.get(name, name))
        if isinstance(value, Var) and self.env.get(own) is self.pins.get(value):
            return Const(True)
        return self.call(prims.COMPARE[ast.Is], (self.read(name, where), value), where)

    def put_item(
        self, place: list[Place], index: Operand, value: Operand, where: Where,
        prim: Prim = prims.update_item,
    ) -> None:  # fmt: skip
        """`owner[index] = value` for the innermost owner of a place.

        With `prims.put_item`, only if `value` is an array; what changes in place is there already.
        """
        owner = place[-1]
        put = owner.put
        if put is None:
            fn = prims.setitem if prim is prims.update_item else prim
            self.emit(Call((), fn, (owner.value, index, value), where))
            return
        held = owner.held() if owner.held else Const(True)
        new = self.call(prim, (owner.value, index, value), where)

        def put_back() -> None:
            if held == Const(True):
                put(new)
            else:
                self.choose(held, lambda: put(new), lambda: None, where)

        self.unless_raised(put_back, where)

    # -- other statements that bind ----------------------------------------------------------

    def on_Delete(self, node: ast.Delete) -> None:
        for target in node.targets:
            where = Where.of(target)
            match target:
                case ast.Name(id=name) if self.is_local(name) and not self.is_cell(name):
                    self.read(name, where)
                    self.unless_raised(lambda: self.delete(name, where), where)  # noqa: B023
                case ast.Attribute(value=owner, attr=attr):
                    args = (self.expression(owner), Const(self.mangled(attr)))
                    self.emit(Call((), prims.delattr_, args, where))
                case ast.Subscript(value=owner, slice=index):
                    args = (self.expression(owner), self.index(index))
                    self.emit(Call((), prims.delitem, args, where))
                case _:
                    self.refuse(node, f"`{ast.unparse(node)}`", "Delete a name, attribute or item.")

    def on_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            name = alias.name if alias.asname else alias.name.partition(".")[0]
            self.import_name(alias.name, None, None, alias.asname or name, node)
            if not alias.asname and "." in alias.name:
                self.import_name(name, None, None, name, node)

    def on_ImportFrom(self, node: ast.ImportFrom) -> None:
        package = self.fn.__globals__.get("__package__")
        for alias in node.names:
            module = "." * node.level + (node.module or "")
            self.import_name(module, package, alias.name, alias.asname or alias.name, node)

    def import_name(self, module, package, attribute, name: str, node: ast.stmt) -> None:
        args = (Const(module), Const(package), Const(attribute))
        where = Where.of(node)
        value = self.call(prims.import_, args, where)
        self.unless_raised(lambda: self.assign(name, value, where), where)


def _calls(node: ast.AST) -> bool:
    return any(isinstance(n, ast.Call) for n in ast.walk(node))


def _plain_pair(target: ast.expr, value: ast.Tuple) -> bool:
    stars = [*target.elts, *value.elts]  # type: ignore[attr-defined]
    return len(target.elts) == len(value.elts) and not any(  # type: ignore[attr-defined]
        isinstance(e, ast.Starred) for e in stars
    )
