"""Operators, short circuits, unpacking, slices and literals."""

from programs import program


@program(21, 3.7, 1.3)
def operators(x, y):
    return x + y - x * y / (x**y) + x % 2.0 + x // 1.0 + (-x) % 3.0


@program(22, 1.5)
def unary(x):
    return -(+x) if not x < 0 else 0.0


class Money:
    def __init__(self, amount):
        self.amount = amount

    def __add__(self, other):
        if not isinstance(other, Money):
            return NotImplemented
        return Money(self.amount + other.amount)

    def __radd__(self, other):
        return Money(other * 2 + self.amount)

    def __mul__(self, factor):
        return Money(self.amount * factor)

    def __neg__(self):
        return Money(-self.amount)


class Gold(Money):
    def __radd__(self, other):
        return Gold(other.amount * 10 + self.amount)


@program(23, 1.5)
def reflected(x):
    return (1 + Money(x)).amount + (x + -Money(x * x)).amount


@program(24, 1.5)
def subclass_first(x):
    return (Money(x) + Gold(x * x)).amount + (Gold(x) + Money(x)).amount


@program(25, 0.5)
def chained(x):
    calls = []

    def middle():
        calls.append(1)
        return x

    inside = 0 < middle() < 1
    return x * len(calls) if inside else x * 100


@program(26, 1.5)
def short_circuit(x):
    y = x or 1 / 0
    z = 0.0 and 1 / 0
    return y * 2 + z + (x and x * x)


@program(27, 1.5)
def conditional(x):
    return x if x > 0 else 1 / 0


@program(28, 1.5)
def walrus(x):
    total = (y := x * x) + y
    kept = [z for v in [1.0, -1.0, 2.0] if (z := v * x) > 0]
    return total + kept[0] * kept[1] + z


@program(29, 1.5)
def store_order(x):
    order = []

    def note(name, value):
        order.append(name)
        return value

    d = {}
    d[note("key", "k")] = note("value", x * x)
    return d["k"] * (2 if order == ["value", "key"] else 7)


@program(30, 1.5)
def argument_order(x):
    order = []

    def note(name, value):
        order.append(name)
        return value

    def collect(a, b, c=0.0):
        return a + 2 * b + 3 * c

    y = collect(note("a", x), *[note("b", x * x)], c=note("c", x**3))
    return y * (1 if order == ["a", "b", "c"] else 5)


@program(31, 1.5, 0.7)
def starred(x, y):
    a, *b, (c, d) = 1.0, x, 3.0, (x * y, 5.0)
    first, second = [x, y]
    return a * b[0] * b[1] * c * d + first * second


@program(32, 1.5)
def several_targets(x):
    a = b = [x]
    b.append(x * x)
    return a[0] * a[1] * len(a)


@program(36, 1.5)
def tests_have_no_derivative(x):
    d = {"k": x}
    return x * (d["k"] is x) + ("k" in d) * x + x * (x is not None)


@program(37, "relu", 1.5)
def constants(mode, x):
    return x * 2 if mode == "relu" and mode in {"relu", "tanh"} else b"x"


@program(38, 1.5)
def literals(x):
    return {"a": x}["a"] * [x, x * x][1] * (x, 1)[0]


@program(39, 1.5)
def tuple_arithmetic(x):
    t = (x,) + (x * x,) * 2
    return t[0] * t[2] if t[:1] == (x,) else 0.0


@program(40, 1.5)
def extreme_literals(x):
    return x * 1e308 / 1e307 + (x if float("inf") > 10**30 else 0.0)


@program(64, 1.2)
def simultaneous(x):
    a, b = x, 1.0
    for _ in range(6):
        a, b = b, a * b
    return a + b


@program((28, 30), 1.2, 0.7)
def operands_are_pinned_when_they_are_read(x, y):
    a, z, o, p = x, x, Money(x), Money(y)
    z += (z := z * y)
    z += (a := a * y) * (a := a + y) * a - (a if a < (a := y) < a + 1 else 0.0)
    z += {(k := 1): k * x, (k := 2): k * y}[2] + [x, y, z][k : (k := 3)][0]
    items = [x, y, z]
    items[k - 3] += (k := 5) * (items := [y, x, x])[1]
    o.amount, o = y * x, p
    return z + items[0] * k + o.amount + max(a, (a := z), a)


@program((28, 30), 1.2, 0.7)
def what_is_unfolded_is_read_at_once(x, y):
    items, named = [x, y, x * y], {"x": x}
    text = f"{items}{items.append(y)}{x > 1:{len(items)}}"
    return sum([*items, items.pop(), items.append(3.0 * x) or y]) * text.count(",") + sum(
        {**named, "y": named.pop("x"), "n": len(named)}.values()
    )


@program((28, 30), 1.2, 0.7)
def decorators_before_defaults(x, y):
    def scaled(k):
        return lambda fn: lambda *args: k * fn(*args)

    @scaled(a := x)
    @scaled(a := a * y)
    def product(p, q=(a := a + 1.0)):
        return p * q

    return product(a) * any(x > y for x in [x, y])
