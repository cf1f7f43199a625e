"""What a derivative means: unused arguments, accumulation, nesting, rules."""

import math

from programs import program

import flux


@program(133, 1.2, 3.4)
def unused(x, y):
    return x


@program(135, 1.2)
def used_often(x):
    return x * x + x - x / x


@program(142, 1.7)
def through_an_integer(x):
    return float(int(x * 3)) * 2.0 + x


@program(150, 1.2)
def stopped(x):
    return x * x + 0.0 * flux.stop_gradient(x)


def smooth(x):
    return x * x * 3


@flux.rule(smooth)
def smooth_rule(x):
    return x * x * 3, lambda ct: (ct * 6 * x,)


@program(152, 1.2)
def own_rule(x):
    return smooth(x) * x


def derivative(f):
    return lambda x: flux.gradient(f, x)[0]


@program(157, 0.7)
def third_derivative(x):
    return derivative(derivative(math.sin))(x)


@program(157, 0.7)
def perturbation(x):
    return x * derivative(lambda y: x + y)(1.0)


@program(158, 0.7)
def nested_in_a_loop(x):
    total = 0.0
    for power in range(3):
        total += derivative(lambda y, p=power: x * y ** (p + 1))(x)
    return total


@program(159, 0.7)
def alias_nesting(x):
    return derivative(lambda y: y * (x - y))(x)


@program(161, 0.7)
def inner_optimiser(x):
    w, steps = 0.0, 0
    while steps < 5:
        w = w - 0.1 * derivative(lambda v: (v - x) ** 2 * x)(w)
        steps += 1
    return w
