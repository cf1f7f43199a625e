"""Functions of Python's and of `math` on traced arrays, where JAX's of the same name differ."""

from __future__ import annotations

import jax.numpy as jnp

__all__ = [
    "choose",
    "complex_number",
    "dist",
    "isclose",
    "largest",
    "ordered",
    "log",
    "prod",
    "remainder",
    "smallest",
]


def log(x, *base):
    """`math.log`, which may be given a base.

    >>> float(log(8.0, 2.0))
    3.0
    """
    y = jnp.log(x)
    return y / jnp.log(base[0]) if base else y


def remainder(x, y):
    """`math.remainder`, of IEEE 754: the nearest to zero; `jnp.remainder` has the sign of `y`.

    >>> float(remainder(5.0, 3.0))
    -1.0
    """
    return x - y * jnp.round(x / y)


def prod(items, *, start=1):
    """`math.prod`.

    >>> prod([2.0, 3.0], start=4.0)
    24.0
    """
    total = start
    for item in items:
        total = total * item
    return total


def dist(p, q):
    """`math.dist`: the Euclidean distance of two points.

    >>> float(dist([0.0, 3.0], [4.0, 0.0]))
    5.0
    """
    gaps = [(a - b) ** 2 for a, b in zip(p, q, strict=True)]
    return jnp.sqrt(sum(gaps))


def isclose(a, b, *, rel_tol=1e-9, abs_tol=0.0):
    """`math.isclose`: symmetric, with other tolerances than NumPy's.

    >>> bool(isclose(1.0, 1.0 + 1e-5)), bool(isclose(1.0, 1.1, rel_tol=0.2))
    (False, True)
    """
    gap = abs(jnp.subtract(a, b))
    near = gap <= jnp.maximum(rel_tol * jnp.maximum(abs(a), abs(b)), abs_tol)
    return jnp.equal(a, b) | (near & jnp.isfinite(gap))


def complex_number(real, imag=0.0):
    """`complex`.

    >>> complex(complex_number(jnp.float32(1.0), 2.0))
    (1+2j)
    """
    return real + 1j * imag


def ordered(items, keys, reverse=False):
    """`sorted` of numbers, by their keys; equals stay in their order, as there.

    >>> [float(v) for v in ordered([jnp.float32(2.0), 1.0], [jnp.float32(2.0), 1.0], True)]
    [2.0, 1.0]
    """
    row, marks = jnp.stack(items), jnp.stack(keys)
    order = jnp.argsort(marks[::-1])[::-1] if reverse else jnp.argsort(marks)
    count = len(items)
    return [row[count - 1 - order[i] if reverse else order[i]] for i in range(count)]


def choose(a, choices, out=None, mode="raise"):
    """`np.choose`; as any index that the data decide, one out of range is clamped.

    >>> choose(jnp.array([0, 1]), [jnp.array([1, 2]), jnp.array([3, 4])]).tolist()
    [1, 4]
    """
    return jnp.choose(a, choices, out, "clip" if mode == "raise" else mode)


def largest(items):
    """`max` of an array's items: the first of equals, and no NaN but the first item.

    >>> float(largest(jnp.asarray([1.0, jnp.nan, 2.0])))
    2.0
    """
    return items[first(items, jnp.argmax, -jnp.inf)]


def smallest(items):
    """`min` of an array's items: the first of equals, and no NaN but the first item."""
    return items[first(items, jnp.argmin, jnp.inf)]


def first(items, argument, worst):
    """The place of the extreme item as Python's comparisons find it."""
    if not jnp.issubdtype(items.dtype, jnp.floating):
        return argument(items)
    nan = jnp.isnan(items)
    return jnp.where(nan[0], 0, argument(jnp.where(nan, worst, items)))
