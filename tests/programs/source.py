"""Functions that are hard to find the source of: lambdas, decorators, private names, `super`."""

import functools

from programs import program

two = [lambda x: x + 1, lambda x: x * 2]
program(1, 3.0)(two[1])

same, other = lambda x: x * x, lambda x: x * x  # noqa: E731
program(2, 3.0)(other)

program(3, 2.0)((lambda a: lambda x: a * x)(3.0))

table = {
    "f": lambda x: (x
                    * 2)
}  # fmt: skip
program(4, 3.0)(table["f"])


class Builder:
    def __init__(self):
        self.steps = []

    def add(self, step):
        self.steps.append(step)
        return self

    def __call__(self, x):
        for step in self.steps:
            x = step(x)
        return x


program(5, 1.5)(Builder().add(lambda x: x**2).add(lambda x: x + 1))

powers = [lambda x, k=k: x**k for k in range(3)]


@program(6, 1.7)
def captured_defaults(x):
    return sum([p(x) for p in powers])


def twice(fn):
    @functools.wraps(fn)
    def wrapper(x):
        return 2 * fn(x)

    return wrapper


@program(7, 1.2)
@twice
def decorated(x):
    return x * x


def scaled(factor):
    def decorate(fn):
        def wrapper(x):
            return factor * fn(x)

        return wrapper

    return decorate


@program(8, 1.2)
@scaled(3)
@scaled(2)
def stacked(x):
    return x**3


@program(12, 1.5)
def rewritten_assert(x):
    assert x > 0, "negative"
    return x * x


class Private:
    def __init__(self, w):
        self.__w = w

    def __call__(self, x):
        return self.__w * x * self.__double(x)

    def __double(self, x):
        return 2 * x


program(13, 1.5)(Private(3.0))


class Base:
    def forward(self, x):
        return x * x


class Derived(Base):
    def forward(self, x):
        return super().forward(x) * 2


@program(14, 1.5)
def zero_argument_super(x):
    return Derived().forward(x)


@program(15, 1.5)
def uses_later_global(x):
    return defined_later(x)


def defined_later(x):
    return x**3


@program(17, 1.5)
def annotated(x: "Undefined") -> "Nope":  # noqa: F821
    y: Also = x * 2  # noqa: F821
    return y


@program(18, 1.5)
def odd_layout(x):
    β = x; y = β \
        * 2  # fmt: skip # noqa: E702
    return y * β


@program(19, 1.5)
def formatted(x):
    text = f"{x:.2f} and {'quoted'!r} {x!s:>{10}}"
    return x * len(text)
