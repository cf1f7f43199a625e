"""Random expressions that assign the names they read: walrus, nested functions, globals, changes.

Every program logs, through `note`, in which order its operands were evaluated.
"""

from __future__ import annotations

import random

HEAD = """\
import math

LOG = []
G, K = 0.5, "u"


def note(v):
    LOG.append(repr(v))
    return v


def set_global(v):
    global G
    G = v
    return v * 0.5


class Box:
    def __init__(self, a):
        self.a, self.l = a, [a, 0.3, a * 0.5]

    def set(self, v):
        self.a = math.tanh(v)
        self.l[0] = v
        return self.a

    def twice(self, v=1.0, w=0.5):
        return self.a * v + w


def mixed(*args, **named):
    total = 0.0
    for i, v in enumerate(args):
        total = math.tanh(total * 0.7 + (i + 1) * v)
    for key in named:
        total = total * 0.9 + len(key) * named[key]
    return total


def scaled(k):
    def decorate(fn):
        return lambda *args: k * fn(*args)

    return decorate


"""

FRAME = """\
def f(x, y):
    global G
    LOG.clear()
    G = x * 0.5
    a, b, c, i, j = x, y, x * y, 0, 1
    n, s = y, x
    l, m, d, o, p = [x, y, 0.4], [y, 0.2, x], {{'u': x, 'v': y}}, Box(x), Box(y)

    def g(v=0.3):
        nonlocal n
        n = math.tanh(n + v)
        return n * 0.5

    def h(*v):
        nonlocal s
        s = s * 0.5 + sum(v)
        return s

{body}
    total = a + b * 0.7 + c * 0.3 + n * 0.2 + s * 0.1 + i * 0.9 + j * 0.8 + G
    total += sum(l) + 0.5 * sum(m) + 0.3 * sum(d.values()) + o.a * 0.2 + p.a * 0.1 + o.l[0]
    return total + sum(o.l) + 0.4 * sum(p.l)
"""


class Expressions:
    """Writes the body of one `f(x, y)`; `size` statements."""

    def __init__(self, rng: random.Random, size: int):
        self.rng, self.size = rng, size
        self.count = 0

    def text(self) -> str:
        """The whole module."""
        lines: list[str] = []
        for _ in range(self.size):
            lines += self.statement()
        return HEAD + FRAME.format(body="\n".join("    " + line for line in lines))

    # -- expressions -----------------------------------------------------------------------------

    def name(self) -> str:
        return self.rng.choice("abcabcabcns")

    def fresh(self) -> str:
        self.count += 1
        return f"w{self.count}"

    def place(self) -> str:
        """An index into a list of at least three."""
        return self.rng.choice(["0", "1", "i", "j", "(i := 1 - i)", "(j := i)", "-1"])

    def atom(self) -> str:
        return self.rng.choice([
            *[self.name()] * 8, "G", "o.a", "p.l[0]", f"l[{self.place()}]", f"m[{self.place()}]",
            "d['u']", "0.7", "o.twice()", "x", "y",
        ])  # fmt: skip

    def value(self, depth: int = 2) -> str:
        """A float."""
        if depth == 0:
            return self.atom()
        e = lambda: self.value(depth - 1)  # noqa: E731
        k, v = self.fresh(), self.name()
        return self.rng.choice([
            *[f"({self.rng.choice('abc')} := {e()})", f"({e()} * {e()})", f"({e()} + {e()})",
              f"({v} - {e()} + {v})", "g()", f"g({e()})", f"h({e()})", f"note({e()})"] * 2,
            f"h({e()}, {e()})", f"set_global({e()})", f"o.set({e()})",
            f"mixed({e()}, {e()}, {e()})", "min(l) if l else 0.0",
            f"mixed({e()}, q={e()}, rr={e()})", f"mixed(*[{e()}, {e()}], {e()}, **{{'z': {e()}}})",
            f"mixed(*l, l.pop(), {e()}) + (l.append(0.2) or 0.0)",
            f"mixed(**d, w=d.setdefault('w', {e()}))", f"sum([*l, l.append({e()}) or 0.1, {e()}])",
            f"({e()} if {self.test(depth)} else {e()})", f"({e()} and {e()})", f"({e()} or {e()})",
            f"sum({{'k': {e()}, 'q': {e()}, 'k': {e()}}}.values())",
            f"sum({{(i := 1 - i): {e()}, (i := 1 - i): {e()} * i}}.values())",
            f"sum([{k} * {v} for {k} in (a, {v}, b) if ({v.replace('n', 'a').replace('s', 'b')} "
            f":= {k} + {v}) < 9])",
            f"sum([{k} + g({k}) for {k} in ({v}, g())])",
            f"any({v} > 0.2 for {v} in [{v}, 0.1]) * {v}",
            f"sum({{{k}: (c := {k} * {e()}) for {k} in [{v}]}}.values())",
            f"any({k} > {e()} for {k} in [{v}, 0.1]) * {v}",
            f"({e()}, {e()}, {v})[{self.rng.randint(-3, 2)}]",
            f"[{e()}, {v}, {e()}][{self.rng.choice(['0', 'i', '(i := 1)'])}]",
            f"sum([{e()}, {e()}, {e()}][i:(i := 1) + 1 + j])", f"(l := m)[{self.place()}]",
            f"(o := p).twice({e()}, w={e()})", f"o.twice({e()}, {v})",
            f"len(f'{{{e()}:{{(i := 1)}}.0f}}{{note({v}) > 5}}') * {v}".replace("d['u']", "d[K]"),
            f"f'{{note({v})}}{{l}}{{l.append({v})}}'.count(',') * {v}",
            f"(lambda q={e()}, r={v}: q * r - {v})({e()})", f"note({v}) * note({e()}) * note({v})",
            f"max({e()}, {v})", f"[{e()}, {e()}] [{v} < (b := {e()}) < {v}]", f"-{e()}",
        ])  # fmt: skip

    def test(self, depth: int = 1) -> str:
        e = lambda: self.value(depth - 1)  # noqa: E731
        v = self.name()
        return self.rng.choice([
            f"{v} < (a := {e()})", f"{v} < (b := {e()}) < {v}", f"g() < {e()} < note({v})",
            f"not {e()} > {v}", f"({v} > {e()} or {e()} > {v})",
            f"({e()} > 0 and (c := {v}) < 0.2)",
        ])  # fmt: skip

    # -- statements ------------------------------------------------------------------------------

    def target(self) -> str:
        return self.rng.choice([*"abcns" * 2, f"l[{self.place()}]", f"m[{self.place()}]", "o.a",
                                f"o.l[{self.place()}]", "d['u']", "G"])  # fmt: skip

    def statement(self) -> list[str]:
        form = self.rng.choice([self.assign] * 4 + [self.augment] * 3 + [self.pair] * 3 + [
            self.branch, self.loop, self.attempt, self.function, self.manager])  # fmt: skip
        lines = form()
        names = [n for n in "abcns" if any(n in line for line in lines)]
        if not names:
            return lines
        return [*lines, *(f"{n} = math.tanh({n})" for n in names)]

    def assign(self) -> list[str]:
        return [f"{self.target()} = {self.value()}"]

    def augment(self) -> list[str]:
        return [f"{self.target()} {self.rng.choice(['+=', '-=', '*='])} {self.value()}"]

    def pair(self) -> list[str]:
        v, e = self.value, self.target
        return [self.rng.choice([
            f"{e()}, {e()} = {v()}, {v()}", f"{e()}, {e()}, {e()} = {v(1)}, {v(1)}, {v(1)}",
            f"{e()} = {e()} = {v()}", "o.a, o = b, p", f"l[0], l = {v(1)}, m",
            f"i, l[i] = 1, {v(1)}", f"l[i], i, l[i] = {v(1)}, 1 - i, {v(1)}",
            f"({e()}, {e()}), *_ = [({v(1)}, {v(1)}), {v(1)}]", "l[i], l[j] = l[j], l[i]",
            f"{e()}, *_ = [{v(1)}, {v(1)}]", "l, m = m, l", "o, p = p, o", "a, b, c = c, a, b",
        ])]  # fmt: skip

    def branch(self) -> list[str]:
        return [f"if {self.test()}:", *self.inner(), "else:", *self.inner()]

    def loop(self) -> list[str]:
        k = self.fresh()
        head = self.rng.choice([
            f"for {k} in [{self.value(1)}, {self.value(1)}]:", f"for {k} in range(2):",
            f"for i, l[i] in enumerate([{self.value(1)}, {self.value(1)}]):", "for b in list(l):",
            f"for {k}, a in zip([0.1, b], (a, b)):",
        ])  # fmt: skip
        return [head, *self.inner()]

    def attempt(self) -> list[str]:
        k = self.fresh()
        risky = f"{self.value(1)} + [0.1, {self.value(1)}][{self.rng.choice(['i', '2 + i'])}]"
        return [f"if {self.test()}:", f"    {k} = {self.value(1)}", "try:", *self.inner(),
                f"    {self.target()} = {risky} + {self.rng.choice([k, 'x'])}",
                "except (IndexError, NameError):", *self.inner()]  # fmt: skip

    def function(self) -> list[str]:
        k, v = self.fresh(), self.name()
        return [f"@scaled({self.value(1)})", f"@scaled({v})",
                f"def {k}(q, r={self.value(1)}, *, t={v}):", f"    return q * r + t * {v}",
                f"{self.target()} = {k}({self.value(1)}) + {v}"]  # fmt: skip

    def manager(self) -> list[str]:
        k = self.fresh()
        return [f"{k} = {self.value(1)}", f"match {k}:", f"    case a if a > {self.value(1)}:",
                f"        b = a * {k}", "    case b:", f"        {k} = a + b",
                f"c = {k}"]  # fmt: skip

    def inner(self) -> list[str]:
        lines = [*self.assign(), *self.augment()]
        return ["    " + line for line in lines]
