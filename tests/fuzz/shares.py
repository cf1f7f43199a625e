"""Small programs that move, swap and share values: what loops, branches and names may mix up."""

from __future__ import annotations

import random

HEAD = """\
import math


class Pair:
    def __init__(self, u, v):
        self.u, self.v = u, v


def larger(x, y):
    if x > y:
        return x
    return x * y


def early(x, y):
    for _ in range(2):
        if x > 0.4:
            return y
        x = x + y
    return x


def f(x, y, known=True):
"""
NUMBERS = ("0.5", "2.0", "1", "-1.0")
LIMITS = ("-0.51", "0.02", "0.31", "0.73", "1.04")
PLACES = {"objects": ("o.u", "o.v", "q.u"), "lists": ("l[0]", "l[1]", "m[0]")}


class Shares:
    """Writes the text of one program.

    Attributes:
        known: the variables that have a value for certain.
        kinds: which containers there are.
    """

    def __init__(self, rng: random.Random):
        self.rng, self.lines, self.known, self.count = rng, [], {"a", "b", "c"}, 0
        self.kinds = rng.choice([(), (), ("objects",), ("lists",), ("objects", "lists")])

    def text(self) -> str:
        start = ["a, b, c = x, y, x - y * 0.37"]
        ends = ["a", "2 * b", "3 * c"]
        if "objects" in self.kinds:
            start.append("o, q = Pair(a, b), Pair(b, c)")
        if "lists" in self.kinds:
            start.append("l, m = [a, b], [b, c]")
        for kind in self.kinds:
            ends += [f"{i + 4} * {place}" for i, place in enumerate(PLACES[kind])]
        for _ in range(self.rng.randint(2, 6)):
            self.statement(0, "    ", loop=False)
        ends += ["8 * d"] if "d" in self.known else []
        total = f"    return math.tanh(0.1 * ({' + '.join(ends)}))\n"
        body = [f"    {line}" for line in start] + self.lines
        return HEAD + "\n".join(body) + "\n" + total

    # -- expressions -------------------------------------------------------------------------------

    def atom(self) -> str:
        chance = self.rng.random()
        if chance < 0.8 or not self.kinds:
            return self.rng.choice(sorted(self.known)) if chance < 0.93 else self.number()
        return self.rng.choice(PLACES[self.rng.choice(self.kinds)])

    def number(self) -> str:
        return self.rng.choice(NUMBERS)

    def expression(self) -> str:
        forms = (
            ("{0}", 5),
            ("{0} * {1}", 5),
            ("{0} + {1}", 3),
            ("{0} - {1}", 2),
            ("({0} if {t} else {1})", 2),
            ("({0} + {1}) * 0.5", 2),
            ("larger({0}, {1})", 1),
            ("early({0}, {1})", 1),
            ("[{0} for e in [{1}, {0}]][0]", 1),
        )
        (form,) = self.rng.choices([f for f, _ in forms], [w for _, w in forms])
        return form.format(self.atom(), self.atom(), t=self.test())

    def test(self) -> str:
        name, limit = self.rng.choice(sorted(self.known)), self.rng.choice(LIMITS)
        forms = (
            ("{0} > {1}", 6),
            ("{0} > {2}", 1),
            ("{0} > {1} and {2} < {1}", 1),
            ("({0} > {1} or {2} < {1})", 1),
            ("not {0} > {1}", 1),
            ("known", 1),
            ("not known", 1),
        )
        (form,) = self.rng.choices([f for f, _ in forms], [w for _, w in forms])
        return form.format(name, limit, self.atom())

    # -- statements --------------------------------------------------------------------------------

    def block(self, depth: int, indent: str, loop: bool) -> None:
        before = set(self.known)
        for _ in range(self.rng.randint(1, 3)):
            self.statement(depth + 1, indent + "    ", loop)
        self.known = before

    def statement(self, depth: int, indent: str, loop: bool) -> None:
        forms = [self.assign, self.pair, self.two_names, self.augment, self.move, self.leave]
        weights = [6, 1, 2, 1, 1, 1 if loop else 0]
        if depth < 3:
            forms += [self.branch, self.for_each, self.repeat, self.go]
            weights += [6, 3, 1, 1]
        (form,) = self.rng.choices(forms, weights)
        form(depth, indent, loop)

    def add(self, indent: str, line: str) -> None:
        self.lines.append(indent + line)

    def assign(self, depth, indent, loop) -> None:
        name = self.rng.choice("abcd")
        if self.kinds and self.rng.random() < 0.25:
            name = self.rng.choice(PLACES[self.rng.choice(self.kinds)])
        self.add(indent, f"{name} = {self.expression()}")
        self.known |= {name} & set("abcd")

    def pair(self, depth, indent, loop) -> None:
        first, second = self.rng.sample(sorted(self.known), 2)
        self.add(indent, f"{first}, {second} = {self.expression()}, {self.expression()}")

    def two_names(self, depth, indent, loop) -> None:
        first, second = self.rng.choice("abcd"), self.rng.choice(sorted(self.known))
        self.add(indent, f"{first} = {second} = {self.expression()}")
        self.known.add(first)

    def augment(self, depth, indent, loop) -> None:
        name, sign = self.rng.choice(sorted(self.known)), self.rng.choice(["+=", "-=", "*="])
        self.add(indent, f"{name} {sign} {self.atom()}")

    def move(self, depth, indent, loop) -> None:
        moves = ["a = a", "b, c = c, b"]
        if "objects" in self.kinds:
            moves += ["o = q", "o, q = q, o", f"o = Pair({self.atom()}, {self.atom()})"]
        if "lists" in self.kinds:
            moves += ["l = m", "l, m = m, l", "m = list(l)", "l = m[::-1]"]
        self.add(indent, self.rng.choice(moves))

    def leave(self, depth, indent, loop) -> None:
        self.add(indent, self.rng.choice(["break", "continue"]))

    def branch(self, depth, indent, loop) -> None:
        self.add(indent, f"if {self.test()}:")
        self.block(depth, indent, loop)
        if self.rng.random() < 0.3:
            self.add(indent, f"elif {self.test()}:")
            self.block(depth, indent, loop)
        if self.rng.random() < 0.6:
            self.add(indent, "else:")
            self.block(depth, indent, loop)

    def for_each(self, depth, indent, loop) -> None:
        heads = ["for d in [a, b]:", "for e in (c, 0.5):", "for i, e in enumerate([b, a]):"]
        heads += [f"for i in range({self.rng.randint(0, 3)}):"] * 3
        heads += [f"for i in range(int(3.5 * abs(math.tanh({self.expression()})))):"]
        self.add(indent, self.rng.choice(heads))
        self.block(depth, indent, True)
        if self.rng.random() < 0.15:
            self.add(indent, "else:")
            self.block(depth, indent, loop)

    def repeat(self, depth, indent, loop) -> None:
        self.count += 1
        name = f"k{self.count}"
        self.add(indent, f"{name} = 0")
        self.add(indent, f"while {name} < {self.rng.randint(1, 3)} and ({self.test()}):")
        self.add(indent, f"    {name} += 1")
        self.block(depth, indent, True)

    def go(self, depth, indent, loop) -> None:
        self.add(indent, f"if {self.test()}:")
        self.add(indent, f"    return {self.expression()}")
