"""Attributes, classes, containers and their mutation."""

import copy
import functools
import itertools
import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from programs import program


class Point:
    def __init__(self, x, y):
        self.x, self.y = x, y

    def __mul__(self, other):
        return Point(self.x * other, self.y * other)

    @property
    def area(self):
        return self.x * self.y

    @classmethod
    def unit(cls, x):
        return cls(x, 1.0)

    @staticmethod
    def double(x):
        return 2 * x


class Slotted:
    __slots__ = ("a", "b")

    def __init__(self, a, b):
        self.a, self.b = a, b


class Pair(NamedTuple):
    first: float
    second: float


@program(103, Point(1.2, 0.7))
@program(103, Slotted(1.2, 0.7))
@program(103, Pair(1.2, 0.7))
def attribute_reads(p):
    if isinstance(p, Point):
        return p.x * p.y
    if isinstance(p, Slotted):
        return p.a * p.b
    return p.first * p.second + p[0]


@dataclass(frozen=True)
class Frozen:
    x: float
    y: float = 2.0


@program(104, Frozen(1.2))
def frozen(p):
    return replace(p, x=p.x * 2).x * p.y


@dataclass
class Polar:
    x: float
    y: float

    def __post_init__(self):
        self.r = math.hypot(self.x, self.y)


@program(105, 1.2)
def constructor_with_logic(x):
    return Polar(x, 2 * x).r


@program(106, 1.2)
def method_kinds(x):
    p = Point.unit(x)
    return (p * x).area + Point.double(x) + p.double(x)


class Bag:
    def __init__(self, items):
        self.items = items

    def __getitem__(self, i):
        return self.items[i] * 2

    def __len__(self):
        return len(self.items)

    def __contains__(self, v):
        return v in self.items

    def __getattr__(self, name):
        if name == "total":
            return sum(self.items)
        raise AttributeError(name)


@program(107, 1.2)
def user_container(x):
    b = Bag([x, x * x])
    return b[1] * len(b) * b.total * (x in b)


@program(108, 1.2)
def write_then_read(x):
    o = Point(0.0, 1.0)
    o.x = x
    o.x *= 3
    return o.x * x


@program(109, 1.2)
def write_through_alias(x):
    o = Point(x, 1.0)
    p = o
    p.x = x * x
    return o.x


def put(o, v):
    o.x = v


@program(110, 1.2)
def write_in_callee(x):
    o = Point(1.0, 1.0)
    put(o, x**3)
    return o.x * x


@program(111, 1.2)
def mutated_in_a_loop(x):
    o = Point(0.0, 1.0)
    for v in [1.0, 2.0, 3.0]:
        o.x += v * x
        if v > 1:
            o.y *= x
    return o.x * o.y


@program(112, 1.2)
def swapped_attributes(x):
    o = Point(x, x * x)
    o.x, o.y = o.y, o.x
    return o.x * o.x * o.y


@program(113, 1.2)
def overwritten(x):
    o = Point(x, 1.0)
    o.x = 2.0
    return o.x * x


@program(114, 1.2)
def dict_methods(x):
    d = {"k": x}
    d["m"] = d.get("k", 0.0) * 2
    d.setdefault("n", x * x)
    d.update({"p": x**3}, q=x)
    d.update([("r", x * 2)])
    return d.pop("m") * d["n"] + d.pop("zz", x) * d["p"] * d["q"] + d["r"] * d.get("none", 2.0)


@program(115, 1.2)
def dict_iteration(x):
    d, s = {"a": x, "bb": x * x}, 0.0
    for k, v in d.items():
        s += v * len(k)
    for k in d:
        s *= d[k]
    return s + sum(d.values()) * len(list(d.keys()))


@program((116, 118), 1.2)
def list_methods(x):
    values = alias = [x]
    alias.append(x * x)
    alias.insert(0, 3 * x)
    alias += [x]
    values[1:2] = [x, x**3]
    values.extend((2 * x, 5.0))
    del values[0]
    values.reverse()
    values.sort(key=lambda v: v)
    values.remove(5.0)
    return values.pop() * values[0] * len(alias) + values.copy()[1] * sum(values[1:])


@program(117, 1.2)
def nested_containers(x):
    tree = {"a": [x, (x * x, None)], "b": None}
    return tree["a"][1][0] * tree["a"][0]


@program(119, Point(1.2, 0.7))
def same_object_twice(p):
    def f(a, b):
        return a.x * b.x * b.y

    return f(p, p)


class Node:
    def __init__(self, value):
        self.value, self.next = value, self


@program(121, Node(1.2))
def cyclic(n):
    return n.value * n.next.next.value


@program(122, 1.2)
def copies(x):
    d = {"k": [x, Point(x, x * x)]}
    deep, shallow = copy.deepcopy(d), copy.copy(d)
    deep["k"][1].x = 2.0
    shallow["k"][0] = x**3
    return deep["k"][1].area * d["k"][1].area * d["k"][0]


@program(132, 1.2)
def returns_its_object(x):
    def bump(o):
        o.x += x
        return o

    o = Point(x, 1.0)
    p = bump(o)
    return p.x * x if p is o else 0.0


class Halving:
    def __init__(self, x, steps):
        self.x, self.steps = x, steps

    def __iter__(self):
        return self

    def __next__(self):
        if self.steps == 0:
            raise StopIteration
        self.steps -= 1
        self.x = self.x * 0.5
        return self.x


class Sack:
    def __init__(self, *items):
        self.items = items

    def __iter__(self):
        return iter(self.items)


@program(107, 1.3)
def own_iterators(x):
    total = sum(v * v for v in Halving(x, 3))
    for v in Sack(x, x * x):
        total += v * v
    first, *rest = Sack(x, 2 * x, x * x)
    items = iter([x, x * x, x**3])
    next(items)
    return (
        total + first * sum(rest) + max(Sack(x, x * x)) * next(items) * sum(items) * next(items, x)
    )


@program(100, 1.3)
def itertools_of_values(x):
    pairs = sum(a * b for a, b in itertools.combinations([x, x * x, 2.0], 2))
    running = list(itertools.accumulate([x, x, 3.0], lambda p, q: p * q))[-1]
    return (
        pairs + running + sum(a - b for a, b in itertools.pairwise([x, x * x])) + math.prod([x, x])
    )


class Named(NamedTuple):
    x: float
    k: float = 2.0


@program(103, 1.3)
def named_tuples_made(x):
    point = Named(x * x)._replace(k=x)
    return point.k * Named(k=x, x=1.0)[1] * point.x


class Squares:
    """A descriptor that is written in Python."""

    def __set_name__(self, owner, name):
        self.name = "_" + name

    def __get__(self, instance, owner=None):
        return getattr(instance, self.name) * 2

    def __set__(self, instance, value):
        setattr(instance, self.name, value * value)


class Hooked:
    side = Squares()

    def __init__(self, side):
        self.side = side

    @functools.cached_property
    def area(self):
        return self.side**2

    def __setattr__(self, name, value):
        super().__setattr__(name, value * 1.5 if name == "extra" else value)

    def __getattribute__(self, name):
        value = object.__getattribute__(self, name)
        return value * 3 if name == "extra" else value


@program(106, 1.1)
def hooks_of_attributes(x):
    box = Hooked(x)
    box.extra = x
    return box.side * box.area * box.area * box.extra


class Weighted(NamedTuple):
    w: float

    def __call__(self, x):
        return x * self.w


@program(94, 1.1)
def a_tuple_that_is_called(x):
    layer = Weighted(x * x)
    return layer(x) * layer.__call__(2.0)


class Holder:
    def __init__(self, items):
        self.items, self.apply = items, self.first

    def first(self, v):
        return self.items[0] * v

    def second(self, v):
        self.items = self.items[1:] + [v]
        self.apply = self.first
        return self.items[1] * v


@program((29, 30), 1.2, 0.7)
def what_an_operand_puts_elsewhere(x, y):
    h = Holder([x, y, x * y])
    z = h.apply(h.second(x)) + h.apply(h.second(y))
    h.items[0] += h.second(z)
    h.items = np.array(h.items)

    def other():
        h.items = np.array([y, z])
        return x

    h.items[0] += other()
    return float(h.items[0] * z + h.items[1])
