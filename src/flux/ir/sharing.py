"""Writes into arrays: where is it certain that nobody else sees the array?

`y[i] = v` and `y += v` change a NumPy array in place. In the program they are calls whose result
is the array afterwards, so the derivative follows the versions of `y`. That is right as long as
the array is seen through `y` alone. This pass looks, for every write, at all names that may be the
same memory. Where the array is made in this function and nothing else keeps it, a write is free.
Elsewhere a *guard* is put before the write: it counts references when the program runs, and
refuses if somebody else holds the array.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Collection
from typing import Any, TypeGuard

from flux.ir import prims
from flux.ir.program import (
    Block,
    Call,
    Const,
    For,
    Function,
    Global,
    If,
    Move,
    Operand,
    Prim,
    Program,
    Statement,
    Var,
    Where,
    While,
    blocks_of,
    inputs_of,
)

__all__ = [
    "BEFORE", "BELIEVED", "BUILTINS", "FRESH", "VIEWS", "guard", "guard_writes", "is_changeable",
    "is_kept", "keep", "watch",
]  # fmt: skip

WATCHED: list[tuple[type, Callable]] = []
"""Types whose values change in place, and what refuses a shared one."""
BEFORE: list[Callable[[], None]] = []
"""What to run before the first question: it fills the sets below."""
FRESH: set[Any] = {f for f in vars(math).values() if callable(f)}
"""Functions of libraries whose result is new memory, and that keep no argument."""
VIEWS: set[Any] = set()
"""Functions of libraries whose result may be the memory of their first argument."""
NEW_METHODS = set(
    "all any argmax argmin argsort clip copy cumprod cumsum dot item max mean min "
    "nonzero prod ptp repeat round searchsorted std sum take tolist trace var".split()
)
VIEW_METHODS = set("diagonal ravel reshape squeeze swapaxes transpose view".split())
BUILTINS = {**dict.fromkeys("float complex abs sum round".split(), "new"), "min": "part",
            "max": "part"}  # fmt: skip
PLAIN_ATTRIBUTES = frozenset("dtype itemsize nbytes ndim shape size strides".split())
NEW = frozenset([*prims.BINARY.values(), *prims.UNARY.values(), prims.not_])
INPLACE = frozenset(prims.INPLACE.values())


BELIEVED = NEW_METHODS | VIEW_METHODS | PLAIN_ATTRIBUTES
"""What an array's names say of its memory; those of a user's class say nothing (`keep`)."""


class Checks(dict):
    """By type, the check of `WATCHED`, or `None`."""

    def __missing__(self, kind: type):
        found = next((check for base, check in WATCHED if issubclass(kind, base)), None)
        self[kind] = found
        return found


CHECKS = Checks()


def watch(kind: type, check: Callable) -> None:
    """Let `check(x, text, holders)` refuse arrays of a type that somebody else holds."""
    WATCHED.append((kind, check))
    CHECKS.clear()


def is_changeable(x) -> bool:
    """Is `x` an array that changes in place?"""
    return CHECKS[type(x)] is not None


KEPT: dict[int, weakref.ref] = {}
"""Arrays that an object of the user was given, or gave out, where the analysis cannot see it."""


def keep(x) -> None:
    """Remember that somebody may hold `x`, if it is an array that changes in place."""
    if is_changeable(x):
        key = id(x)
        KEPT[key] = weakref.ref(x, lambda _: KEPT.pop(key, None))


def is_kept(x) -> bool:
    return id(x) in KEPT


def _guard(x, text: str, place=None) -> None:
    check = CHECKS[type(x)]
    if check is not None and (place is None or CHECKS[type(place)] is None):
        check(x, text, 0 if place is None else 1)


guard = Prim("guard", _guard, inert=True)
"""Refuses `x` if it is an array that somebody else holds; `text` says who may.

The object or list `place` may hold it, as the changed array is put back there. A part of an array
is put back too: it is that array that must be nobody else's.
"""


def guard_writes(program: Program, named: Collection[str]) -> None:
    """Put a guard before every write that is not certain to be unseen. In place.

    Variables that are not `named` are temporaries: before a guard they let arrays go.
    """
    if any(is_write(plain(statement)) for statement in _statements(program.block)):
        for prepare in BEFORE:
            prepare()
        Sharing(program, named).guard(program.block)


def is_write(statement) -> TypeGuard[Call]:
    """Does the statement change its first argument, and name it anew?"""
    return isinstance(statement, Call) and (
        statement.fn in (prims.update_item, prims.put_item) or statement.fn in INPLACE
    )


PUTS = frozenset(
    [prims.setattr_, prims.put_attribute, prims.setitem, prims.update_item, prims.put_item]
)
"""Operations that put a changed array back where it was read from."""


def plain(statement: Statement) -> Statement:
    """An attempted operation as the operation itself."""
    if isinstance(statement, Call) and statement.fn in prims.ATTEMPTS:
        _, _, fn, *args = statement.args
        callee = fn.value if isinstance(fn, Const) and isinstance(fn.value, Prim) else fn
        return Call(statement.targets[:1], callee, tuple(args), statement.where, statement.keywords)
    return statement


def is_true(operand: Operand) -> bool:
    return isinstance(operand, Const) and operand.value is True


def _statements(block: Block):
    for statement in block.body:
        yield statement
        for inner in blocks_of(statement):
            yield from _statements(inner)


Path = tuple[tuple[int, int], ...]
"""Where a statement stands: the statements that hold it, with the side of a branch."""
Keeper = tuple[int, Path, str]
"""Who else may hold an array: since when, since which place, and in words."""


class Sharing:
    """Which variables of a program may be one array, who else keeps it, and when each is read."""

    def __init__(self, program: Program, named: Collection[str]):
        self.program, self.named = program, named
        self.parent: dict[Var, Var] = {}
        self.kept: dict[Var, list[Keeper]] = {}
        self.made: dict[Var, tuple[int, Path]] = {}
        self.reads: dict[Var, list[tuple[int, Path, Where]]] = {}
        self.loops: dict[int, tuple[int, int]] = {}
        self.places: dict[int, tuple[int, Path]] = {}
        self.sources: dict[Var, Call] = {}
        self.items: list[tuple[Var, Var]] = []
        self.arrays: set[Var] = set()
        self.bases: dict[str, int] = {}
        self.done: dict[Var, Path] = {}
        self.seen: dict[int, Statement] = {}
        self.puts: dict[Operand, Call] = {}
        self.clock = 0
        for param in program.params:
            self.define(param, ())
            self.keep(param, "the caller holds it")
        self.visit(program.block, ())
        self.read(program.result, (), program.where)

    # -- groups ---------------------------------------------------------------------------------

    def root(self, var: Var) -> Var:
        while (up := self.parent.get(var)) is not None:
            var = up
        return var

    def join(self, a: Operand, b: Operand | None) -> None:
        """`a` and `b` may be the same memory."""
        for one, other in ((a, b), (b, a)):
            if isinstance(one, Global):
                self.keep(other, f"the global `{one.path}` holds it")
        if not (isinstance(a, Var) and isinstance(b, Var)):
            return
        a, b = self.root(a), self.root(b)
        if a is not b:
            self.parent[a] = b
            if a in self.kept:
                self.kept.setdefault(b, []).extend(self.kept.pop(a))

    def part(self, whole: Operand | None, target: Var) -> None:
        """`target` may be a view of the array `whole`, or an item of the container `whole`."""
        if isinstance(whole, Var):
            self.items.append((whole, target))
        else:
            self.keep(target, "")

    def keep(self, operand: Operand | None, text: str, since: int = 0, path: Path = ()) -> None:
        """Somebody else may hold what `operand` is, from the time `since` on."""
        if isinstance(operand, Var):
            self.kept.setdefault(self.root(operand), []).append((since, path, text))

    def define(self, var: Var, path: Path) -> None:
        self.made[var] = self.clock, path
        self.bases[var.base] = self.bases.get(var.base, 0) + 1

    def read(self, operand: Operand, path: Path, where: Where) -> None:
        if isinstance(operand, Var):
            self.reads.setdefault(operand, []).append((self.clock, path, where))

    # -- one walk over the program ----------------------------------------------------------------

    def visit(self, block: Block, path: Path) -> None:
        for statement in block.body:
            self.clock += 1
            self.seen[id(statement)] = statement = plain(statement)
            self.places[id(statement)] = self.clock, path
            for operand in inputs_of(statement):
                self.read(operand, path, statement.where)
            getattr(self, f"visit_{type(statement).__name__.lower()}")(statement, path)
        self.clock += 1

    def visit_call(self, call: Call, path: Path) -> None:
        targets = [v for t in call.targets for v in (t if isinstance(t, tuple) else (t,))]
        for target in targets:
            self.define(target, path)
            self.sources[target] = call
        if call.fn in PUTS:
            self.puts[call.args[-1]] = call
        effect = self.effect(call)
        first = call.args[0] if call.args else None
        if effect == "array":
            self.arrays.update(targets)
        elif effect == "same":
            for target in targets:
                self.join(target, first)
        elif effect == "part":
            for target in targets:
                self.part(first, target)
        elif effect == "unknown":
            text = f"line {call.where.line} may keep it"
            for operand in inputs_of(call):
                self.keep(operand, text, self.clock, path)
            for target in targets:
                self.keep(target, text, self.clock, path)

    def effect(self, call: Call) -> str:
        """What the result of a call may be, if the call keeps none of its arguments.

        Returns: `new`, `array` (surely a new array), `same` as the first argument, a `part` of it;
            otherwise `unknown`.
        """
        fn = call.fn
        if fn in NEW:
            return "new"
        if is_write(call):
            return "same"
        if fn is prims.getitem or fn is prims.unpack:
            return "part"
        if isinstance(fn, Prim):
            second = call.args[1] if len(call.args) > 1 else None
            name = second.value if isinstance(second, Const) else ""
            if fn is prims.getattr_:
                return "new" if name in PLAIN_ATTRIBUTES else "part"
            if fn is prims.call_method and name in NEW_METHODS | VIEW_METHODS:
                return "new" if name in NEW_METHODS else "same"
            return "new" if fn.inert else "unknown"
        if isinstance(fn, Global) and fn.path in self.program.builtins:
            return BUILTINS.get(fn.path, "unknown")
        function = self.library_function(fn)
        if function is None:
            return "unknown"
        copies = [is_true(value) for name, value in call.keywords if name == "copy"]
        if (function in FRESH and all(copies)) or (function in VIEWS and any(copies)):
            return "array"
        return "same" if function in VIEWS else "unknown"

    def library_function(self, fn: Operand):
        """The function that an attribute chain on a module names."""
        if not isinstance(fn, Global) or "." not in fn.path:
            return None
        module, *names = fn.path.split(".")
        value = self.program.modules.get(module)
        for name in names:
            value = getattr(value, name, None)
        try:
            hash(value)
        except TypeError:
            return None
        return value

    def visit_move(self, move: Move, path: Path) -> None:
        self.define(move.target, path)
        self.join(move.target, move.value)

    def visit_function(self, function: Function, path: Path) -> None:
        self.define(function.target, path)
        for default in function.defaults:
            self.keep(default, f"line {function.where.line} keeps it")

    def visit_raise(self, statement, path: Path) -> None:
        pass

    def visit_if(self, node: If, path: Path) -> None:
        for side, block in enumerate((node.then, node.orelse)):
            inner = (*path, (id(node), side))
            self.visit(block, inner)
            for operand, target in zip(block.yields, node.targets, strict=True):
                self.read(operand, inner, node.where)
                self.join(operand, target)
        self.clock += 1
        for target in node.targets:
            self.define(target, path)

    def visit_for(self, node: For, path: Path) -> None:
        self.define(node.item, (*path, (id(node), 0)))
        self.part(node.iterable, node.item)
        self.visit_loop(node, path)

    def visit_while(self, node: While, path: Path) -> None:
        self.visit_loop(node, path)

    def visit_loop(self, node: For | While, path: Path) -> None:
        inner = (*path, (id(node), 0))
        start = self.clock
        for param, init in zip(node.params, node.inits, strict=True):
            self.define(param, inner)
            self.join(param, init)
        self.visit(node.body, inner)
        for param, out, target in zip(node.params, node.body.yields, node.targets, strict=True):
            self.read(out, inner, node.where)
            self.join(param, out)
            self.join(param, target)
        self.loops[id(node)] = start, self.clock
        self.clock += 1
        for target in node.targets:
            self.define(target, path)

    # -- verdicts ---------------------------------------------------------------------------------

    def guard(self, block: Block) -> None:
        body = []
        for statement in block.body:
            for inner in blocks_of(statement):
                self.guard(inner)
            write = self.seen[id(statement)]
            if is_write(write):
                text = self.seen_by(write)
                if text is not None:
                    args = write.args[0], Const(text), self.place(write)
                    body += self.released(write)
                    body.append(Call((), guard, args, statement.where))
            body.append(statement)
        block.body = body

    def released(self, write: Call) -> list[Move]:
        """Temporaries that hold the array and are not read again let it go.

        Those that come later in a loop hold what they held in the round before.
        """
        group = self.connected(self.root(write.args[0]))  # type: ignore[arg-type]
        time, path = self.places[id(write)]
        released = []
        for var, (made, made_in) in self.made.items():
            if var not in self.sources:
                continue
            root = self.root(var)
            held = root in group or (root in self.kept and var not in self.program.params)
            before = made >= time
            if (
                not held
                or var in write.args
                or (before and not self.comes_again(path, (), made_in))
            ):
                continue
            if self.bases[var.base] > 1 or var.base in self.named:
                continue
            done = None if before else self.done.get(var)
            if (done is None or path[: len(done)] != done) and not self.read_later(var, write):
                if not before:
                    self.done[var] = path
                name = f"{var.name}.released.{time}"
                released.append(Move(Var(name, var.base, inert=True), Const(None), write.where))
        return released

    def place(self, write: Call) -> Operand:
        """What the array was just read from, if it is put back there after the write."""
        source = self.sources.get(write.args[0])  # type: ignore[arg-type]
        put = self.puts.get(write.targets[0]) if write.targets else None  # type: ignore[arg-type]
        if source is None or put is None or source.args[:2] != put.args[:2]:
            return Const(None)
        return source.args[0] if source.fn in (prims.getattr_, prims.getitem) else Const(None)

    def seen_by(self, write: Call) -> str | None:
        """Who else may see the array that is written to; `None` if nobody."""
        owner = write.args[0]
        if not isinstance(owner, Var):
            return None
        own = self.root(owner)
        certain = {self.root(var) for var in self.arrays}
        for whole, part in self.items:
            if self.root(part) is own and self.root(whole) not in certain:
                return self.keeper(self.root(whole), write) or "what it was read from"
        group = self.connected(own)
        for root in group:
            text = self.keeper(root, write)
            if text is not None:
                return text
        for var in self.made:
            if self.root(var) in group and var not in write.targets:
                where = self.read_later(var, write)
                if where is not None:
                    return f"line {where.line} reads the array under another name"
        return None

    def keeper(self, root: Var, write: Call) -> str | None:
        """Who may hold the array when it is written to; who gets it later sees the new one."""
        time, path = self.places[id(write)]
        for since, kept_in, text in self.kept.get(root, ()):
            if since < time or self.comes_again(path, (), kept_in):
                return text
        return None

    def connected(self, own: Var) -> set[Var]:
        """The group of a variable, with those of its views, theirs, and what it is a view of."""
        group = {own}
        while True:
            before = len(group)
            for whole, part in self.items:
                pair = {self.root(whole), self.root(part)}
                if pair & group:
                    group |= pair
            if len(group) == before:
                return group

    def read_later(self, var: Var, write: Call) -> Where | None:
        """A read of the old array after the write, in this iteration or the next one."""
        time, path = self.places[id(write)]
        made, made_in = self.made[var]
        for read, read_in, where in self.reads.get(var, ()):
            if made < time < read and not apart(path, read_in):
                return where
            if self.comes_again(path, made_in, read_in):
                return where
        return None

    def comes_again(self, path: Path, made_in: Path, read_in: Path) -> bool:
        """Do write and read share a loop outside of which the variable was made?"""
        common = {holder for holder, _ in path} & {holder for holder, _ in read_in}
        inside = {holder for holder, _ in made_in}
        return any(holder in self.loops and holder not in inside for holder in common)


def apart(a: Path, b: Path) -> bool:
    """Are the two on different sides of one branch?"""
    sides = dict(a)
    return any(holder in sides and sides[holder] != side for holder, side in b)
