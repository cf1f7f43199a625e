"""Local names, cells and globals: where a name is read from and stored to."""

from __future__ import annotations

import ast
import builtins
from types import ModuleType

from flux.ir import prims
from flux.ir.program import UNDEFINED, Call, Const, Global, Move, Operand, Var, Where
from flux.ir.scope import parameter_names
from flux.ir.sharing import BUILTINS
from flux.ir.state import State

__all__ = ["Names"]


class Names(State):
    """The part of the parser that knows names."""

    def define(self, name: str, inert: bool = False) -> Var:
        self.env[name] = var = self.version(name, inert)
        return var

    def is_cell(self, name: str) -> bool:
        return name in self.scope.shared or name in self.freevars

    def is_special(self, name: str) -> bool:
        """Does `name` live in a cell or in the globals?"""
        return self.is_cell(self.mangled(name)) or name in self.scope.written

    def is_local(self, name: str) -> bool:
        """Is `name` a variable of this function that no nested function shares?"""
        name = self.mangled(self.renamed.get(name, name))
        return name in self.env and not self.is_cell(name) and name not in self.scope.written

    def is_written(self, name: str) -> bool:
        """Does a function of this file assign the global `name`?"""
        return name in self.scope.written or name in self.source.file.written_globals

    def is_known(self, name: str) -> bool:
        """Is `name` a global or built-in now?"""
        return name in self.fn.__globals__ or hasattr(builtins, name)

    def is_builtin(self, name: str) -> bool:
        """Is `name` a built-in that neither the function nor its module shadows?"""
        shadowed = name in self.scope.bound or self.is_cell(name) or name in self.scope.written
        if shadowed or name in self.fn.__globals__ or not hasattr(builtins, name):
            return False
        self.builtins[name] = None
        return True

    def note_module(self, name: str) -> bool:
        value = self.fn.__globals__.get(name)
        if isinstance(value, ModuleType):
            self.modules[name] = value
            return True
        return False

    def module_path(self, node: ast.Attribute) -> str | None:
        """The spelling of `np.linalg.norm`, if `np` is a global that is bound to a module."""
        parts = []
        current: ast.expr = node
        while isinstance(current, ast.Attribute):
            parts.append(current.attr)
            current = current.value
        if not isinstance(current, ast.Name) or not isinstance(self.peek(current.id), ModuleType):
            return None
        value: object = self.peek(current.id)
        for attr in reversed(parts[1:]):
            value = getattr(value, attr, None)
            if not isinstance(value, ModuleType):
                return None
        self.note_module(current.id)
        return ".".join([current.id, *reversed(parts)])

    def peek(self, name: str) -> object:
        """What a global name is bound to now; `None` for local names."""
        if name in self.scope.bound or self.is_cell(name) or name in self.env:
            return None
        if self.is_written(name):
            return None
        return self.fn.__globals__.get(name)

    # -- reading -----------------------------------------------------------------------------

    def read(self, name: str, where: Where) -> Operand:
        """The value of a name now, whatever is assigned to the name later."""
        name = self.mangled(self.renamed.get(name, name))
        if self.is_cell(name):
            return self.read_cell(name, where)
        if name in self.scope.bound or name in self.env:
            value = self.env.get(name, UNDEFINED)
            if value is UNDEFINED:
                return self.undefined(name)
            return self.read_local(name, value, where)
        if self.is_written(name) or (self.trials and not self.is_known(name)):
            target = self.temp()
            args = (Global("_globals"), Const(name))
            self.emit(Call((target,), prims.load_global, args, where))
            return target
        self.note_module(name)
        if name in BUILTINS:
            self.is_builtin(name)  # known to be so, for who may keep an array
        return Global(name)

    def read_cell(self, name: str, where: Where) -> Operand:
        target, cell = self.temp(), Global(f"_cell_{name}")
        if self.trials and name in self.scope.shared and name not in self.filled:
            self.emit(Call((target,), prims.read_cell, (cell, Const(name)), where))
        else:
            self.emit(Call((target,), prims.load_cell, (cell, Global(name)), where))
        return target

    def read_local(self, name: str, value: Operand, where: Where) -> Operand:
        """The same of a local variable that is `value` now."""
        if not isinstance(value, Var):
            return value
        pin = self.pin(value, where)
        return self.call(prims.bound, (pin, Const(name)), where) if value in self.doubtful else pin

    def pin(self, value: Var, where: Where) -> Var:
        """`value` as it is read here; `settle` drops the pins of names that keep their value."""
        pin = Var("", "", value.inert)
        self.pins[pin] = value
        self.block.body.append(Move(pin, value, where))
        return pin

    def undefined(self, name: str) -> Operand:
        """A read before any assignment: Python itself raises when it gets here."""
        if self.trials:
            return self.call(prims.unbound, (Const(name),), self.trials[-1].where)
        return Var(f"{name}.undefined", name, inert=True)

    # -- assigning ---------------------------------------------------------------------------

    def assign(self, name: str, value: Operand, where: Where) -> None:
        name = self.mangled(self.renamed.get(name, name))
        if self.is_cell(name):
            self.store_cell(name, value, where)
        elif name in self.scope.written:
            args = (Global("_globals"), Const(name), value)
            self.emit(Call((), prims.store_global, args, where))
        else:
            inert = not isinstance(value, Var) or value.inert
            self.name_result(value, self.define(name, inert), where)

    def name_result(self, value: Operand, target: Var, where: Where) -> None:
        """Let the call that made the temporary `value` assign `target`; else move it there."""
        last = self.block.body[-1] if self.block.body else None
        made = isinstance(last, Call) and not last.unpack and last.targets == (value,)
        if made and value in self.unnamed:
            last.targets = (target,)  # type: ignore[union-attr]
            self.unnamed.discard(value)
        else:
            self.emit(Move(target, value, where))

    def store_cell(self, name: str, value: Operand, where: Where) -> None:
        if name in self.scope.shared and name not in parameter_names(self.node.args):
            # Assigned as Python too, so that the name is the function's own.
            self.emit(Move(self.version(name), value, where))
        self.emit(Call((), prims.store_cell, (Global(f"_cell_{name}"), value), where))
        if self.depth == 0 and not self.trials:
            self.filled.add(name)

    def delete(self, name: str, where: Where) -> None:
        self.emit(Move(self.version(name, inert=True), UNDEFINED, where))
        self.env[name] = UNDEFINED
