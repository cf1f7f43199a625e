"""Branches, loops and exits."""

from programs import program


@program(41, 1.5)
def if_without_else(x):
    y = x
    if x > 0:
        y = x * 2
    return y


@program(42, 1.5)
@program(42, 6.5)
@program(42, -2.0)
def elif_chain(x):
    if x > 5:
        y = x**2
    elif x > 0:
        y = x**3
    else:
        y = -x
    return y * 2


@program(43, 1.5)
def one_sided_name(x):
    if x > 0:
        t = x * 3
        x = t + 1
    return x


@program(45, -1.5)
@program(45, 1.5)
def early_return(x):
    if x < 0:
        return 0.5 * x
    y = x * x
    return y * y


@program(46, 1.5)
def both_return(x):
    if x > 3:
        return x
    else:
        return 2 * x
    x = x * 100  # noqa: F841
    return x


@program(47, 1.3)
def return_in_nested_loops(x):
    total = 0.0
    for i in range(4):
        for j in range(4):
            if i * j == 2:
                return total * x
            total += x**j
    return total


@program(48, 1.5)
def some_paths_return(x):
    def maybe(y):
        if y > 1:
            return y * y

    first, second = maybe(x), maybe(x - 1)
    return first if second is None else 0.0


@program((49, 61, 62), 1.3)
def data_dependent_while(x):
    a = x * x
    y = x
    while y < 10.0:
        y = y * x
    return a / y


@program(50, 1.3)
def zero_trips(x):
    y = x
    for _ in []:
        y = y * 100
    while y > 1000:
        y = y * 100
    return y


@program(51, 1.2)
def break_in_the_middle(x):
    y = 1.0
    while True:
        y *= x
        if y > 9:
            break
        y += 1
    return y


@program(52, 1.2)
def continues(x):
    s = 0.0
    for v in [1.0, -2.0, 3.0]:
        if v < 0:
            continue
        s += v * x * x
    for v in [1.0, 2.0]:
        s += v * x
        continue
    return s


@program(53, 1.2)
def break_and_continue(x):
    s = 0.0
    for i in range(10):
        if i % 2:
            if i == 7:
                break
            elif i == 3:
                continue
            s += x * i
        else:
            s *= x
        s += 1.0
    return s


@program(54, 1.2)
def loop_else(x):
    s = x
    for i in range(3):
        s *= x
        if i == 5:
            break
    else:
        s += x
    while s < 4:
        s *= x
        if s > 3:
            break
    else:
        s = 0.0
    return s


@program(55, 1.2)
def target_after_the_loop(x):
    for i in range(3):  # noqa: B007
        pass
    for v in [x, x * x]:  # noqa: B007
        pass
    return v * i


@program(56, 1.2)
def reassigned_target(x):
    s = 0.0
    for i in range(4):
        i = i * 2  # noqa: PLW2901
        s += x**i
    return s


class Box:
    def __init__(self):
        self.a = 0.0


@program(57, 1.2)
def odd_targets(x):
    o, d = Box(), {}
    for o.a, d["k"] in [(x, 2.0), (x * x, 3.0)]:
        pass
    return o.a * d["k"]


@program(58, 1.2)
def dependent_bounds(x):
    s = 0.0
    for i in range(5):
        for j in range(i):
            s += x**i * j
    return s


@program(59, 1.2)
def appends_while_looping(x):
    values = [x]
    for v in values:
        if len(values) < 5:
            values.append(v * x)
    return sum(values)


@program(60, 1.2, 0.7)
def product(x, y):
    p = 1.0
    for v in [x, y, x * y, 2.0]:
        p *= v
    return p


@program(63, 1.2)
def running_maximum(x):
    m = 0.0
    for v in [x, 3 * x, 2 * x, x * x]:
        if v <= m:
            continue
        m = v
    return m * m


@program(65, 1.2)
def test_with_effect(x):
    n, s = 4, x
    while (n := n - 1) >= 0:
        s *= x
    return s


@program(72, 1.5)
def asserts(x):
    assert x > 0, f"{x}"
    return x * x


@program(73, 1.5)
def deletes(x):
    t = x * x
    y = t * 2
    del t
    d = {"a": x, "b": y}
    del d["a"]
    return d["b"] * len(d)


@program(74, 1.5)
def bare_expressions(x):
    "A docstring."
    x * 3
    "text"
    pass
    return x * x
