"""Exceptions, managers and patterns."""

import contextlib
import threading
from dataclasses import dataclass

import numpy as np
from programs import program


@program(67, 1.3)
def nothing_raised(x):
    try:
        y = x * x
    except ValueError:
        y = 0.0
    return y * x


@program(68, 1.3)
def raised_after_a_statement(x):
    y = 1.0
    try:
        y = x * x
        raise KeyError("a")
        y = 5.0
    except (ValueError, KeyError):
        z = y * 3
    return z * y


@program(69, 1.3)
def finally_after_return(x):
    n = []
    try:
        return x * x
    finally:
        n.append(1)
        x = 3.0


@program(69, 1.3)
def return_in_finally(x):
    try:
        return x * x
    finally:
        return x * 3  # noqa: B012


@program(69, 1.3)
def exits_in_a_loop(x):
    s = 0.0
    for i in range(5):
        try:
            if i == 2:
                continue
            if i == 4:
                break
            d = {1: x}[i]
            s += d * d
        except KeyError:
            s += x * i
        else:
            s += 10 * x
        finally:
            s = s * x
    return s


@program(70, 1.3)
def inner_handler_does_not_fit(x):
    try:
        try:
            raise ValueError("q")
        except KeyError:
            return x
    except ValueError as e:
        return x * len(str(e)) * x


def boom(x):
    if x > 1:
        raise ValueError("big")
    return x


@program(68, 1.3)
def raised_by_a_callee(x):
    try:
        return boom(x) * 2
    except ValueError:
        return x * x * x


@program(68, 1.3)
def failed_assignment(x):
    items = [x, 2.0]
    try:
        items[5] = x
    except IndexError:
        items[1] = x * x
    return items[0] * items[1]


@program(68, 1.3)
def raised_inside_a_loop(x):
    total = 0.0
    try:
        for v in [x, 2 * x, None, 3 * x]:
            total = total + v * v
    except TypeError:
        total = total * x
    return total


@program(68, 1.3)
def failed_unpacking(x):
    try:
        a, b = (x, x * x, x)
    except ValueError:
        a, b = x * 3, x
    return a * b


@program(70, 1.3)
def raise_from(x):
    def f(k):
        try:
            return [x * x][k]
        except IndexError as e:
            raise KeyError("no") from e

    try:
        return f(3)
    except KeyError as e:
        return x * x if isinstance(e.__cause__, IndexError) else x


@program(68, 1.3)
def raise_ends_a_loop(x):
    i = 0
    while True:
        try:
            i += 1
            if i > 3:
                raise StopIteration
            x = x * 1.5
        except StopIteration:
            break
    return x * x


@program(71, 1.3)
def suppressed(x):
    y = x
    with contextlib.suppress(KeyError):
        y = x * x
        y = {}["no"]
        y = 7.0
    return y * x


class Manager:
    def __init__(self, x):
        self.x = x

    def __enter__(self):
        return self.x * 2

    def __exit__(self, *a):
        self.x = self.x * 3
        return False


@program(71, 1.3)
def own_manager(x):
    m = Manager(x)
    with m as v:
        y = v * v
    return y * m.x


@program(71, 1.3)
def two_managers(x):
    with threading.Lock(), np.errstate(all="ignore"):
        return x * x


@program(71, 1.3)
def break_in_with(x):
    for i in range(3):
        with Manager(x) as v:
            if i == 1:
                break
            x = x + v
    return x


@dataclass
class Pair:
    x: float
    y: float


@program(66, 1.3)
def patterns(x):
    s = 0.0
    for v in [Pair(x, 2.0), (x, 3.0), [x], {"a": x, "b": 1.0}, 5.0, "s", None, (1.0, x, x, 4.0)]:
        match v:
            case Pair(a, y=b) if a > 100:
                s += 1000
            case Pair(a, y=b):
                s += a * b
            case (p, q):
                s += p * p * q
            case [z]:
                s += z * 7
            case {"a": w, **rest}:
                s += w * w * rest["b"]
            case float():
                s += v * x
            case "s" | "t":
                s += x
            case None:
                s += 3 * x
            case [f, *mid, l]:
                s += f * mid[0] * mid[1] * l
            case _:
                s += 1e6
    return s


@program(68, 1.3)
def append_before_the_exception(x):
    items = [x]
    try:
        items.append(x * x)
        items[7]
    except IndexError:
        pass
    return items[0] * items[1]


@program(71, 1.3)
def manager_sees_the_exception(x):
    try:
        with Manager(x) as v:
            raise KeyError
    except KeyError:
        return v * x


@program(69, 1.3)
def loop_inside_try(x):
    for _ in range(3):
        try:
            for j in range(4):
                if j == 2:
                    raise ValueError(j)
                x = x * 1.1
        except ValueError as e:
            x = x + e.args[0]
            continue
        x = 100.0
    return x * x


@program(69, 1.3)
def cleanup_remembers(x):
    def g():
        try:
            return x * x
        finally:
            h.append(x)

    h = []
    return g() * h[0]


@program(68, 1.3)
def failed_conversion(x):
    try:
        y = float("abc")
    except ValueError:
        y = 2.0
    z = int("12") if x else 0
    return x * y * z


@program(68, 1.3)
def raised_in_an_expression(x):
    try:
        y = (x if x > 100 else {}["k"]) or 3.0
    except KeyError:
        y = x * x
    finally:
        x = x + 1
    return x * y


@program(69, 1.3)
def raised_through_finally(x):
    try:
        try:
            raise ValueError
        finally:
            x = x * x
    except ValueError:
        return x * x


@program(72, 1.3)
def caught_assertion(x):
    try:
        assert x < 0, "neg"
    except AssertionError as e:
        return x * x * len(str(e))


@program(70, 1.3)
def bare_raise(x):
    try:
        return x
    except Exception:
        raise
    else:
        return 3.0


@program(69, 1.3)
def break_in_finally(x):
    while True:
        try:
            return x * x
        finally:
            break  # noqa: B012
    return x * 3


@program(69, 0.37)
def break_under_a_finally_that_may_return(x):
    w = x
    for _ in [1, 2]:
        try:
            w = w * w
            break
        finally:
            if w > 0.3:
                return 7.0  # noqa: B012
    return w


@program(69, 1.3)
def names_without_a_value(x):
    if x < 0:
        a = k = x

    def inner():
        return k

    total = x
    for step in range(3):
        try:
            total = total * a + inner()
            del a
        except UnboundLocalError:
            a, k = x * step, x  # noqa: F841
        try:
            total += nowhere(x)  # noqa: F821
        except NameError:
            total = total * x
    return total


class Doubled:
    def __init__(self, value):
        self.value = value

    def __enter__(self):
        return Doubled(self.value * 2)

    def __exit__(self, *args):
        self.value = 0.0


@program(69, 1.3)
def manager_under_the_name_of_its_value(x):
    manager = first = Doubled(x)
    with manager as manager:
        y = manager.value * x
    return y + first.value + manager.value
