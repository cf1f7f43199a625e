"""Random well-typed Python: functions of floats, as source text.

A writer keeps track of which names hold what (floats, lists, dicts, objects, arrays, functions) and
adds statements that are sure to run without an error, or inside a `try`. Every value stays within
a few units, so that finite differences mean something.
"""

from __future__ import annotations

import random

HEAD = """\
import math
import numpy as np


class Box:
    def __init__(self, a, b):
        self.a, self.b = a, [b, b * 0.5]

    @property
    def both(self):
        return self.a * self.b[0]

    def push(self, v):
        self.b.append(v)
        self.a = math.tanh(self.a + v)
        return self


def mixed(a, b=0.5, *rest, scale=1.0, **named):
    total = a * b * scale
    for r in rest:
        total = total + math.sin(r)
    for key in named:
        total = total - named[key] * 0.3
    return math.tanh(total)


def deep(a, n):
    return a if n <= 0 else math.sin(a * 1.3) + 0.5 * deep(a * 0.9, n - 1)


def early(a, b):
    for i in range(3):
        for j in range(3):
            a = math.tanh(a + 0.3 * b * i - 0.1 * j)
            if a > 0.8:
                return a * b
            if j == 2 - i:
                break
        else:
            a = a * 0.5
    return a - b


def swap(pair):
    first, second = pair
    return second, first


def checked(a):
    if a > 0.4:
        raise ValueError("large")
    return a * a

"""


LENGTHS = ("if v < 50", "sorted", ".append(", ".insert(", "+= [", ".extend(", "setdefault",
           ".pop(", "push(", "[:1] =", "int(")  # fmt: skip
"""What a compiled program cannot do where only the data decide: change lengths, look up, sort."""


class Writer:
    """Writes one function `f(x, y)`.

    Args:
        rng: where all choices come from.
        size: the number of statements.
        compiled: leave out what a compiled program cannot do.

    Attributes:
        rng: where all choices come from.
        names: by kind (`float`, `list`, `dict`, `box`, `array`, `function`), the names in scope.
    """

    def __init__(self, rng: random.Random, size: int = 12, compiled: bool = False):
        self.rng, self.size, self.compiled = rng, size, compiled
        self.lines: list[str] = []
        self.names: dict[str, list[str]] = {
            kind: [] for kind in ("list", "dict", "box", "array", "function")
        }
        self.names["float"] = ["x", "y"]
        self.count = 0
        self.loops = 0
        self.captured: set[str] = set()

    def text(self) -> str:
        """The whole module."""
        self.lines = ["def f(x, y):"]
        for _ in range(self.size):
            self.statement(1, 3)
        parts = [*self.names["float"][-3:], *(f"sum({n})" for n in self.names["list"][-2:])]
        parts += [f"{n}.a * {n}.both" for n in self.names["box"][-1:]]
        parts += [f"{n}['k']" for n in self.names["dict"][-1:]]
        parts += [f"float(np.sum({n} * {n}))" for n in self.names["array"][-2:]]
        self.lines.append(f"    return {' + '.join(parts)}")
        return HEAD + "\n" + "\n".join(self.lines) + "\n"

    # -- pieces ----------------------------------------------------------------------------------

    def write(self, depth: int, line: str) -> None:
        self.lines.append("    " * depth + line)

    def choose(self, forms: list[str]) -> str:
        """One of the forms, if allowed."""
        if self.compiled:
            forms = [f for f in forms if not any(word in f for word in LENGTHS)]
        return self.rng.choice(forms)

    def fresh(self, stem: str) -> str:
        self.count += 1
        return f"{stem}{self.count}"

    def pick(self, kind: str) -> str | None:
        return self.rng.choice(self.names[kind]) if self.names[kind] else None

    def number(self) -> str:
        return str(self.rng.choice([0.3, -0.7, 1.1, 0.9, -1.3, 0.25]))

    def place(self) -> str:
        return self.rng.choice(["0", "1", "-1"])

    def atom(self) -> str:
        """Something small that is a float."""
        kinds = [self.pick("float"), self.number()]
        if name := self.pick("list"):
            kinds += [f"{name}[{self.place()}]", f"sum({name})"]
        if name := self.pick("dict"):
            kinds += [f"{name}['k']", f"{name}.get('none', {self.number()})"]
        if name := self.pick("box"):
            kinds += [f"{name}.a", f"{name}.b[0]", f"{name}.both"]
        if name := self.pick("array"):
            kinds += [f"float({name}[{self.place()}])", f"float({name}.sum())"]
        return self.rng.choice([k for k in kinds if k])

    def expression(self, depth: int = 2) -> str:
        """A float, of any size."""
        if depth == 0:
            return self.atom()
        a, b = self.expression(depth - 1), self.expression(depth - 1)
        forms = [
            f"({a} + {b})", f"({a} * {b})", f"({a} - {b})", f"math.sin({a})", f"({a}) ** 2",
            f"({a} / (2.0 + {b} * {b}))", f"-({a})", f"abs({a} + 3.7)", f"max({a}, {b} + 0.01)",
            f"min([{a}, {b} - 0.01])", f"({a} if {self.test()} else {b})", f"deep({a}, 2)",
            f"mixed({a}, {b})", f"mixed({a}, scale={b})", f"mixed({a}, {b}, {a}, extra={b})",
            f"mixed(*[{a}, {b}], **{{'q': {a}}})", f"early({a}, {b})", f"swap(({a}, {b}))[0]",
            f"sum([v * {self.number()} for v in [{a}, {b}] if v < 50])",
            f"(lambda p, q={b}: p * q)({a})", f"math.exp(-abs({a}) - 0.1)",
            f"[{a}, {b}][::-1][0]", f"({{'m': {a}}} | {{'n': {b}}})['m']",
        ]  # fmt: skip
        if name := self.pick("function"):
            forms += [f"{name}({a})"] * 3
        return self.choose(forms)

    def bounded(self) -> str:
        """A float between -1 and 1."""
        return f"math.tanh({self.expression(self.rng.randint(1, 2))})"

    def test(self) -> str:
        a, b = self.atom(), self.number()
        return self.rng.choice([
            f"{a} > {b}", f"{a} < {b}", f"not {a} > {b}", f"-2 < {a} < {b}",
            f"({a} > {b} or {self.atom()} > 0.2)", f"({a} > {b} and {self.atom()} < 0.6)",
        ])  # fmt: skip

    # -- statements ------------------------------------------------------------------------------

    def statement(self, depth: int, room: int) -> None:
        choices = [self.assign, self.assign, self.augment, self.pair, self.make, self.change,
                   self.change, self.walrus]  # fmt: skip
        if room > 0:
            choices += [self.branch, self.branch, self.for_range, self.for_items, self.while_loop,
                        self.function]  # fmt: skip
            choices += [] if self.compiled else [self.attempt]
        if self.loops:
            choices += [self.leave_loop]
        if depth > 1 and self.rng.random() < 0.05:
            choices += [self.early_return]
        self.rng.choice(choices)(depth, room)

    def body(self, depth: int, room: int) -> None:
        """Some statements; the names that they make are gone afterwards."""
        known = {kind: list(names) for kind, names in self.names.items()}
        for _ in range(self.rng.randint(1, 3)):
            self.statement(depth, room - 1)
        self.names = known

    def assign(self, depth: int, room: int) -> None:
        name = self.rng.choice([*self.names["float"], self.fresh("v")])
        self.write(depth, f"{name} = {self.bounded()}")
        if name not in self.names["float"]:
            self.names["float"].append(name)

    def augment(self, depth: int, room: int) -> None:
        name = self.pick("float")
        self.write(depth, f"{name} {self.rng.choice(['+=', '-=', '*='])} {self.bounded()}")
        self.write(depth, f"{name} = math.tanh({name})")

    def pair(self, depth: int, room: int) -> None:
        a, b = self.pick("float"), self.pick("float")
        form = self.rng.choice([
            f"{a}, {b} = {b}, {a}", f"{a}, {b} = swap(({self.bounded()}, {a}))",
            f"{a}, *_ = [{self.bounded()}, {b}, {a}]", f"{a} = {b} = {self.bounded()}",
        ])  # fmt: skip
        self.write(depth, form)

    def walrus(self, depth: int, room: int) -> None:
        name = self.fresh("w")
        first = f"({name} := {self.bounded()})"
        self.write(depth, f"{self.pick('float')} = {first} * {name} * 0.7")
        self.names["float"].append(name)

    def make(self, depth: int, room: int) -> None:
        kind = self.rng.choice(["list", "dict", "box", "array"])
        name = self.fresh(kind[0])
        a, b = self.bounded(), self.bounded()
        forms = {
            "list": [f"[{a}, {b}]", f"[{a} * v for v in (1.0, {b})]", f"list(({a}, {b}))",
                     f"sorted([{a}, {b} + 0.01])"],
            "dict": [f"{{'k': {a}, 'm': {b}}}", f"dict(k={a}, m={b})",
                     f"{{n: v for n, v in zip(('k', 'm'), ({a}, {b}))}}"],
            "box": [f"Box({a}, {b})", f"Box(b={a}, a={b}).push({a})"],
            "array": [f"np.array([{a}, {b}, 0.2])", f"np.tanh(np.linspace({a}, 1.0, 3) * {b})",
                      f"np.zeros(3) + {a}", f"np.full(3, {a}) * np.array([1.0, {b}, 0.3])"],
        }  # fmt: skip
        self.write(depth, f"{name} = {self.choose(forms[kind])}")
        self.names[kind].append(name)

    def change(self, depth: int, room: int) -> None:
        """Change a list, dict, object or array."""
        kind = self.rng.choice(["list", "dict", "box", "array"])
        name = self.pick(kind)
        if name is None:
            self.make(depth, room)
            return
        a = self.bounded()
        forms = {
            "list": [f"{name}[{self.place()}] = {a}", f"{name}.append({a})",
                     f"{name}[0] *= {a}", f"{name}[:1] = [{a}]", f"{name}.insert(1, {a})",
                     f"{name}.reverse()", f"{name} += [{a}]", f"{name}.extend([{a}])",
                     f"{name}[0], {name}[1] = {name}[1], {a}"],
            "dict": [f"{name}['k'] = {a}", f"{name}['k'] += {a} * 0.1", f"{name}.update(m={a})",
                     f"{name}.setdefault('z', {a})", f"{name}['k'] = {name}.pop('k') * {a}"],
            "box": [f"{name}.a = {a}", f"{name}.a += {a} * 0.1", f"{name}.b[0] = {a}",
                    f"{name}.push({a})", f"{name}.b = [{a}, {name}.a]",
                    f"setattr({name}, 'a', {a})"],
            "array": [f"{name}[{self.place()}] = {a}", f"{name}[1:] = {name}[1:] * {a}",
                      f"{name} *= {a}", f"{name} += np.sin({name}) * {a}",
                      f"{name} = np.tanh({name} * {a})", f"{name}[{name} > 0.33] = {a}",
                      f"{name}[1:] += {name}[:-1] * 0.2"],
        }  # fmt: skip
        self.write(depth, self.choose(forms[kind]))

    def branch(self, depth: int, room: int) -> None:
        self.write(depth, f"if {self.test()}:")
        self.body(depth + 1, room)
        for _ in range(self.rng.choice([0, 0, 1])):
            self.write(depth, f"elif {self.test()}:")
            self.body(depth + 1, room)
        if self.rng.random() < 0.6:
            self.write(depth, "else:")
            self.body(depth + 1, room)

    def loop(self, depth: int, room: int, head: str, more: list[str]) -> None:
        self.write(depth, head)
        known = list(self.names["float"])
        self.names["float"] += more
        self.loops += 1
        self.body(depth + 1, room)
        self.loops -= 1
        self.names["float"] = known
        if self.rng.random() < 0.2:
            loops, self.loops = self.loops, 0
            self.write(depth, "else:")
            self.body(depth + 1, room)
            self.loops = loops

    def for_range(self, depth: int, room: int) -> None:
        length = str(self.rng.randint(0, 3))
        if self.rng.random() < 0.2:
            length = f"int(3 * abs({self.bounded()}))"
        self.loop(depth, room, f"for {self.fresh('i')} in range({length}):", [])

    def for_items(self, depth: int, room: int) -> None:
        item, index = self.fresh("e"), self.fresh("i")
        a, b = self.bounded(), self.bounded()
        source = self.pick("list")
        copies = [f"list({source})[:3]"] if source else []
        head = self.rng.choice([
            f"for {item} in {self.rng.choice([f'[{a}, {b}]', f'({a}, {b})', *copies])}:",
            f"for {index}, {item} in enumerate([{a}, {b}]):",
            f"for {item}, {index} in zip(reversed([{a}, {b}]), range(5)):",
            f"for {item} in map(math.sin, [{a}, {b}]):",
            f"for {index}, {item} in {{'p': {a}, 'q': {b}}}.items():",
        ])  # fmt: skip
        self.loop(depth, room, head, [item])

    def while_loop(self, depth: int, room: int) -> None:
        counter = self.fresh("n")
        self.write(depth, f"{counter} = 0")
        test = self.test() if self.rng.random() < 0.5 else "True"
        head = f"while ({counter} := {counter} + 1) < {self.rng.randint(1, 4)} and {test}:"
        self.loop(depth, room, head, [])

    def leave_loop(self, depth: int, room: int) -> None:
        self.write(depth, f"if {self.test()}:")
        self.write(depth + 1, self.rng.choice(["break", "continue"]))

    def early_return(self, depth: int, room: int) -> None:
        self.write(depth, f"if {self.test()}:")
        self.write(depth + 1, f"return {self.bounded()}")

    def function(self, depth: int, room: int) -> None:
        name, arg = self.fresh("g"), self.fresh("p")
        known = {kind: list(names) for kind, names in self.names.items()}
        loops, self.loops = self.loops, 0
        self.write(depth, f"def {name}({arg}, k={self.number()}):")
        shared = None
        outer = [n for n in self.names["float"] if n not in ("x", "y")]
        if outer and depth == 1 and self.rng.random() < 0.4:
            shared = self.rng.choice(outer)
            self.write(depth + 1, f"nonlocal {shared}")
        self.names["float"] = [arg, *([shared] if shared else ["x", "y"])]
        self.names["array"], self.names["function"] = [], []
        self.names["float"] = [arg] if shared is None else [arg, shared]
        for _ in range(self.rng.randint(1, 2)):
            self.rng.choice([self.assign, self.augment, self.walrus])(depth + 1, 0)
        self.write(depth + 1, f"return math.tanh({arg} * k + {self.atom()})")
        self.names, self.loops = known, loops
        self.names["function"].append(name)

    def attempt(self, depth: int, room: int) -> None:
        known = {kind: list(names) for kind, names in self.names.items()}
        self.write(depth, "try:")
        self.body(depth + 1, room)
        target = self.pick("float")
        self.write(depth + 1, self.rng.choice([
            f"{target} = checked({self.atom()})", f"{target} = {{'k': {self.atom()}}}['none']",
            f"{target} = [1.0][int({self.atom()} > 0.1)] * {self.atom()}",
            f"{target} = math.tanh(checked({self.bounded()}))",
        ]))  # fmt: skip
        self.write(depth, f"except {self.rng.choice(['(ValueError, LookupError)', 'Exception'])}:")
        self.body(depth + 1, room)
        for word, chance in (("else", 0.2), ("finally", 0.3)):
            if self.rng.random() < chance:
                loops, self.loops = self.loops, 0
                self.write(depth, f"{word}:")
                self.body(depth + 1, 0)
                self.loops = loops
        self.names = known
