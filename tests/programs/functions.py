"""Arguments, closures, recursion, built-in functions, comprehensions."""

import functools
import operator

from programs import program


@program(75, 1.5)
def argument_kinds(x):
    def f(a, /, b=2.0, *, c):
        return a * b * c

    return f(x, c=x) + f(x, x * x, c=3.0) + f(x, b=x, c=1.0)


def product_of(*a, **k):
    total = 1.0
    for v in a:
        total *= v
    return total * k["scale"] + k.get("shift", 0.0)


def forwards(*a, **k):
    return product_of(*a, **k)


@program((76, 78), 1.5, 0.7)
def forwarded(x, y):
    return forwards(x, y, scale=x) + forwards(y, scale=2.0, shift=x * y)


@program(77, 1.5)
def starred_call(x):
    return product_of(*[x, x], scale=1.0) + product_of(*(x,), x, **{"scale": x})


def remember(x, seen=[]):  # noqa: B006
    seen.append(1)
    return x * 2


@program(79, 1.5)
def mutable_default(x):
    return remember(x) * remember(x)


@program(80, 1.5)
def closure(x):
    a = x * x
    return (lambda y: a * y)(x)


@program(82, 1.5)
def nonlocal_accumulator(x):
    s = x

    def add():
        nonlocal s
        s = s + x * s

    add()
    add()
    return s


@program(83, 1.5)
def reassigned_after_capture(x):
    a = 1.0
    g = lambda: a * x  # noqa: E731
    a = x * 2
    return g()


@program(84, 1.5)
def late_binding(x):
    fs = []
    for i in range(3):
        fs.append(lambda: i * x)  # noqa: B023
    return sum([f() for f in fs])


@program(85, 1.5)
def shared_cell(x):
    a = x

    def get():
        return a

    def put(v):
        nonlocal a
        a = v

    put(get() * get())
    return get() * a


@program(86, 1.5)
def stored_functions(x):
    ops = {"square": lambda v: v * v, "double": lambda v: 2 * v}
    return ops["square"](x) * ops["double"](x)


@program(87, 1.5)
def higher_order(x):
    total = functools.reduce(lambda a, b: a * b, [x, x, x])
    total += sum(map(lambda v: v * x, [1.0, 2.0]))
    total += sum(filter(lambda v: v > 1, [x, 0.5, x * x]))
    return total + functools.partial(product_of, x)(x, scale=1.0)


@program(88, 1.5)
def operator_module(x):
    pair = operator.itemgetter(1, 0)((x, x * x))
    return operator.mul(x, x) + operator.add(x, pair[0]) * operator.neg(pair[1])


def factorial_like(x, n):
    return 1.0 if n == 0 else x * n * factorial_like(x * 1.01, n - 1)


def even(x, n):
    return x if n == 0 else odd(x * x, n - 1)


def odd(x, n):
    return 0.0 if n == 0 else even(x + 1, n - 1)


@program(89, 1.2)
def recursion(x):
    return factorial_like(x, 4) + even(x, 2)


def until_ten(x):
    return x if x > 10 else until_ten(x * x)


@program(90, 1.2)
def recursion_on_value(x):
    return until_ten(x)


@program(91, 1.2)
def recursive_closure(x):
    def r(n):
        return 1.0 if n == 0 else x * r(n - 1)

    return r(3)


class Linear:
    def __init__(self, w):
        self.w = w

    def __call__(self, x):
        return self.w * x


@program(94, 1.2)
def callable_object(x):
    return Linear(x * 2)(x)


@program(95, 1.2)
def curried(x):
    def f(a, b, w=1.0):
        return a * b**2 * w

    return functools.partial(f, x, w=x)(3.0)


@program(96, 1.2)
def consumed_generators(x):
    vs = [x, 2 * x, -x]
    total = sum(v * x for v in vs) + max(v * 2 for v in vs)
    return total * any(v > 2 for v in vs) + all(v > 0 for v in vs) + x * any(v > 1 for v in vs)


@program(97, 1.2)
def comprehensions(x):
    xs = [x, -2.0, 3.0]
    pairs = [a * b for a in xs for b in xs if b > 0]
    table = {k: v * x for k, v in enumerate(xs)}
    return sum(pairs) + sum(table.values()) + len({int(v) for v in xs})


@program(98, 1.2)
def comprehension_scope(x):
    i = x
    squares = [i * i for i in [1.0, 2.0]]
    return i * sum(squares)


@program(100, 1.2)
def iteration_tools(x):
    s = 0.0
    for i, (a, b) in enumerate(zip([x, 2 * x, x * x], [x * x, 1.0])):  # noqa: B905
        s += (i + 1) * a * b
    for v in reversed([x, x * x]):
        s = s * v
    for v in sorted([3 * x, x, 2 * x], key=lambda u: -u)[:1]:
        s += v
    return s


@program(101, 1.2)
def reductions(x):
    return (sum([x, x * x], start=x) * max(x, x * x, 0.5) + min([x, 2.0]) + max([], default=x)
            + min([x, -x], key=abs) + abs(-x))  # fmt: skip


@program(102, 1.2)
def inert_questions(x):
    if isinstance((x,), tuple) and hasattr(x, "real") and callable(len) and type(x) is float:
        return x * len([x, x])
    return 0.0


@program(75, 0.3)
def default_from_an_argument(x):
    return (lambda p, q=x: p * q * q)(x * 2)


@program(75, 0.3)
def keyword_default_from_an_argument(x):
    def scaled(p, *, k=x):
        return k * k * p

    return scaled(x + 1)
