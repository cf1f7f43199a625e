"""Loops of known length made faster, without a change of what they compute.

*Hoisting*: a product in the body that the carried values do not enter (`x_t @ W`) is done for all
iterations at once, before the loop, and what is the same in all of them is done once. *Collecting*:
a carried sum of products (the gradient of a weight, `dW += x_t.T @ g_t`) is one product of what the
loop collects, after it; so is a carried array to which each iteration adds a row (see `scattered`).
*Recomputing*: what the reverse needs of an iteration is made again: by arithmetic from less than
that, and from the carried values and the results of products where these take much less memory.

`FLUX_PASSES` names those that are on (all by default: `hoist,collect,recompute`).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend.core import Literal

from flux.compiler.control.scattered import Scattered, scattered
from flux.compiler.control.silence import silent_equations

__all__ = ["Body", "looped"]

CALLS = frozenset(["jit", "pjit", "closed_call"])
PRODUCTS = frozenset(["dot_general", "conv_general_dilated"])
MUCH = 4
"""How many times less memory makes it worth while to compute again."""
TAIL = frozenset(
    "transpose reshape convert_element_type reduce_sum squeeze broadcast_in_dim".split()
)
"""Linear operations that may follow a product whose sum is collected."""
ADD = frozenset(["add", "add_any"])
CHEAP = frozenset(
    """add add_any sub mul div neg sign abs max min floor ceil round exp exp2 log log1p expm1 tanh
    logistic sin cos sqrt rsqrt cbrt square integer_pow pow erf select_n eq ne lt le gt ge and or
    not xor is_finite convert_element_type broadcast_in_dim reshape transpose squeeze expand_dims
    split concatenate slice rev pad iota stop_gradient copy clamp""".split()
)
"""Operations that the reverse does again where that takes much less memory."""
ARITHMETIC = CHEAP - frozenset(
    """div exp exp2 log log1p expm1 tanh logistic sin cos sqrt rsqrt cbrt pow erf concatenate rev
    pad iota""".split()
)
"""Operations that cost no more than to read what they gave."""
WIDENING = frozenset(["broadcast_in_dim", "iota", "pad", "concatenate"])
"""Operations that are left in the loop: what they give is greater than what they are given."""
CONE = 32
"""So many operations are looked through to find of what a value can be made again."""


def enabled(name: str) -> bool:
    return name in os.environ.get("FLUX_PASSES", "hoist,collect,recompute").split(",")


def evaluate(equations, env: dict) -> None:
    """Run equations, with the operations of called functions in line."""
    for equation in equations:
        values = [read(env, v) for v in equation.invars]
        if equation.primitive.name in CALLS:
            inner = equation.params["jaxpr"] if "jaxpr" in equation.params else (
                equation.params["call_jaxpr"])  # fmt: skip
            own = dict(zip(inner.jaxpr.constvars, inner.consts, strict=True))
            own.update(zip(inner.jaxpr.invars, values, strict=True))
            evaluate(inner.jaxpr.eqns, own)
            outs = [read(own, v) for v in inner.jaxpr.outvars]
        else:
            outs = bound(equation, values)
        env.update(zip(equation.outvars, outs, strict=True))


def bound(equation, values) -> list:
    params = equation.primitive.get_bind_params(equation.params)
    functions, params = params if isinstance(params, tuple) else ((), params)  # JAX before 0.10
    outs = equation.primitive.bind(*functions, *values, **params)
    return list(outs) if equation.primitive.multiple_results else [outs]


def read(env: dict, var):
    return var.val if isinstance(var, Literal) else env[var]


def sources(equation) -> list:
    return [v for v in equation.invars if not isinstance(v, Literal)]


class Body:
    """One iteration as equations.

    Attributes:
        rows: the variables that differ by iteration in a known way; `carry`: the carried ones.
        outs: what it hands over; `makers`: which equation makes a variable.
        fixed: variables that are the same in every iteration, with their values.
        varying: those that differ.
    """

    def __init__(self, run, kinds: list, rows: int):
        def inlined(*arrays):
            env = dict(zip(run.jaxpr.constvars, run.consts, strict=True))
            env.update(zip(run.jaxpr.invars, arrays, strict=True))
            evaluate(run.jaxpr.eqns, env)
            return [read(env, v) for v in run.jaxpr.outvars]

        closed = jax.make_jaxpr(inlined)(*kinds)
        jaxpr = closed.jaxpr
        self.equations, self.outs = list(jaxpr.eqns), list(jaxpr.outvars)
        self.rows, self.carry = list(jaxpr.invars[:rows]), list(jaxpr.invars[rows:])
        self.fixed: dict[Any, Any] = dict(zip(jaxpr.constvars, closed.consts, strict=True))
        self.varying = {*self.rows, *self.carry}
        for equation in self.equations:
            if self.varying.intersection(sources(equation)) or equation.effects:
                self.varying.update(equation.outvars)
        self.makers = {v: e for e in self.equations for v in e.outvars}
        self.uses: dict[Any, int] = {}
        for var in [v for e in self.equations for v in sources(e)] + [
            v for v in self.outs if not isinstance(v, Literal)
        ]:
            self.uses[var] = self.uses.get(var, 0) + 1

    def needed(self, wanted, given, effects: bool = False) -> list:
        """The equations that make `wanted` out of `given`, and those that have `effects`."""
        waiting = {v for v in wanted if not isinstance(v, Literal)} - set(given)
        kept = []
        for equation in reversed(self.equations):
            if waiting.intersection(equation.outvars) or (effects and equation.effects):
                kept.append(equation)
                waiting.update(v for v in sources(equation) if v not in given)
        return kept[::-1]

    def settle(self) -> None:
        """Compute, once, what is the same in every iteration."""
        for equation in self.equations:
            inputs = sources(equation)
            ready = inputs and not equation.effects and all(v in self.fixed for v in inputs)
            if ready and equation.primitive.name not in WIDENING:
                values = [read(self.fixed, v) for v in equation.invars]
                self.fixed.update(zip(equation.outvars, bound(equation, values), strict=True))


# -- hoisting ------------------------------------------------------------------------------------


class Early:
    """What does not depend on the carried values, computed for all iterations at once.

    Attributes:
        arrays: by variable, with all iterations along the leading axis.
    """

    def __init__(self, body: Body, rows: list):
        self.body = body
        self.arrays: dict[Any, Any] = dict(zip(body.rows, rows, strict=True))
        self.known = {*body.fixed, *body.rows}
        for equation in body.equations:
            if all(v in self.known for v in sources(equation)) and not equation.effects:
                self.known.update(equation.outvars)

    def of(self, var):
        """The values of an early variable in all iterations; those of a fixed one as they are."""
        for equation in self.body.needed([var], {*self.arrays, *self.body.fixed}):
            self.batch(equation)
        return self.arrays[var] if var in self.arrays else self.body.fixed[var]

    def batch(self, equation) -> None:
        batched = [v in self.arrays for v in equation.invars if not isinstance(v, Literal)]
        values = [
            v.val if isinstance(v, Literal) else self.arrays.get(v, self.body.fixed.get(v))
            for v in equation.invars
        ]
        if not any(batched):
            self.body.fixed.update(zip(equation.outvars, bound(equation, values), strict=True))
            return
        axes = [0 if not isinstance(v, Literal) and v in self.arrays else None
                for v in equation.invars]  # fmt: skip
        if equation.primitive.name == "dot_general" and axes == [0, None]:
            outs = [product_of_all(equation, *values)]
        else:
            outs = jax.vmap(lambda *xs: bound(equation, xs), axes)(*values)
        self.arrays.update(zip(equation.outvars, outs, strict=True))

    def products(self) -> list:
        """The results of products that are early, and differ by iteration."""
        found = []
        for equation in self.body.equations:
            early = all(v in self.known for v in sources(equation))
            if early and equation.primitive.name in PRODUCTS:
                found += [v for v in equation.outvars if v in self.body.varying]
        return found


def product_of_all(equation, rows, weight):
    """`dot_general` of every row with one weight, as one product of two matrices."""
    (left, right), (left_batch, _) = equation.params["dimension_numbers"]
    if left_batch:
        return jax.vmap(lambda x: bound(equation, [x, weight])[0])(rows)
    free = [i for i in range(rows.ndim - 1) if i not in left]
    other = [i for i in range(weight.ndim) if i not in right]
    a = jnp.transpose(rows, (0, *[i + 1 for i in free], *[i + 1 for i in left]))
    b = jnp.transpose(weight, (*right, *other))
    shape = (rows.shape[0], *[rows.shape[i + 1] for i in free], *[weight.shape[i] for i in other])
    depth = 1
    for i in right:
        depth *= weight.shape[i]
    flat = lax.dot(
        a.reshape(-1, depth), b.reshape(depth, -1), precision=equation.params["precision"],
        preferred_element_type=equation.params["preferred_element_type"],
    )  # fmt: skip
    return flat.reshape(shape)


# -- collecting ----------------------------------------------------------------------------------


class Sum:
    """A part of a carried sum that is computed after the loop.

    Attributes:
        base: the equation of a product, or a variable whose values are added up.
        tail: linear equations that follow.
    """

    def __init__(self, base, tail: list):
        self.base, self.tail = base, tail

    def inputs(self) -> list:
        return sources(self.base) if hasattr(self.base, "primitive") else [self.base]

    def total(self, values: Callable):
        if hasattr(self.base, "primitive"):
            total = summed_product(self.base, *[values(v) for v in self.base.invars])
        else:
            total = jnp.sum(values(self.base), axis=0)
        for equation in self.tail:
            (total,) = bound(equation, [total])
        return total


def terms(body: Body, place: int, out) -> list | None:
    """The variables that an iteration adds to a carried sum; `None` if it is not a sum."""
    start = body.carry[place]
    if isinstance(out, Literal) or out is start or body.uses.get(start, 0) != 1:
        return None
    found, var = [], out
    while var is not start:
        equation = body.makers.get(var)
        if equation is None or equation.primitive.name not in ADD or body.uses[var] != 1:
            return None
        a, b = equation.invars
        if any(isinstance(v, Literal) or v.aval.shape != var.aval.shape for v in (a, b)):
            return None
        following = b if leads_to(body, b, start) else a
        found.append(a if following is b else b)
        var = following
    return found


def leads_to(body: Body, var, start) -> bool:
    """Is `var` a chain of sums that begins with `start`?"""
    waiting = [var]
    while waiting:
        var = waiting.pop()
        if var is start:
            return True
        equation = body.makers.get(var)
        if equation is not None and equation.primitive.name in ADD:
            waiting += sources(equation)
    return False


def as_sum(body: Body, var, stacked: set) -> Sum | None:
    """A term as what can be added up after the loop."""
    tail: list = []
    while True:
        equation = body.makers.get(var)
        if equation is None:
            return None
        if equation.primitive.name == "dot_general":
            _, (batch, _) = equation.params["dimension_numbers"]
            both = all(not isinstance(v, Literal) and v in body.varying for v in equation.invars)
            return Sum(equation, tail[::-1]) if both and not batch else None
        if equation.primitive.name not in TAIL or body.uses[var] != 1:
            return None
        (source,) = equation.invars
        tail.append(equation)
        if equation.primitive.name == "reduce_sum" and source in stacked & body.varying:
            return Sum(source, tail[::-1])
        var = source


def summed_product(equation, lefts, rights):
    """The sum of products over the leading axis, as one product of two matrices."""
    (left, right), _ = equation.params["dimension_numbers"]
    count = lefts.shape[0]

    def matrix(values, contracted, first: bool):
        free = [i for i in range(values.ndim - 1) if i not in contracted]
        depth, width = count, 1
        for i in contracted:
            depth *= values.shape[i + 1]
        for i in free:
            width *= values.shape[i + 1]
        inner = (0, *[i + 1 for i in contracted])
        outer = tuple([i + 1 for i in free])
        shape = [values.shape[i] for i in outer]
        if first:
            return jnp.transpose(values, (*outer, *inner)).reshape(width, depth), shape
        return jnp.transpose(values, (*inner, *outer)).reshape(depth, width), shape

    a, rows = matrix(lefts, left, True)
    b, columns = matrix(rights, right, False)
    a = lax.optimization_barrier(a)  # XLA is slow where it transposes while it multiplies
    total = lax.dot(
        a, b, precision=equation.params["precision"],
        preferred_element_type=equation.params["preferred_element_type"],
    )  # fmt: skip
    return total.reshape((*rows, *columns))


# -- the loop ------------------------------------------------------------------------------------


class Kept:
    """What a loop keeps of every iteration, and how its outputs are made of that again.

    Attributes:
        columns: arrays with the iterations along the leading axis.
    """

    def __init__(self, body: Body, columns: dict[Any, Any], outs: list[int]):
        self.columns = list(columns.values())
        self.inputs = list(columns)
        self.fixed, self.outs = body.fixed, [(i, body.outs[i]) for i in outs]
        self.count = len(body.outs)
        given = {*columns, *body.fixed}
        self.equations = silent_equations(body.needed([v for _, v in self.outs], given))

    def outputs(self, rows: list) -> list:
        """The outputs of an iteration, of its row of every column; `None` for those not kept."""
        env = {**self.fixed, **dict(zip(self.inputs, rows, strict=True))}
        evaluate(self.equations, env)
        found: list[Any] = [None] * self.count
        for i, var in self.outs:
            found[i] = read(env, var)
        return found


def to_keep(body: Body, early: Early, outs: list[int]) -> list:
    """The variables that a loop keeps, so that the outputs `outs` can be made of them again."""
    wanted = dict.fromkeys([body.outs[i] for i in outs if not isinstance(body.outs[i], Literal)])
    plain = [v for v in wanted if v in body.varying]
    if not enabled("recompute"):
        return plain
    hard = {v for e in body.equations if e.primitive.name not in CHEAP for v in e.outvars}
    given = {*early.arrays, *body.fixed, *body.carry, *hard}
    used: dict[Any, None] = {}
    for equation in body.needed(plain, given):
        used.update(dict.fromkeys([v for v in sources(equation) if v in given]))
    used.update(dict.fromkeys([v for v in plain if v in given]))
    again = [v for v in used if v in body.varying]
    less = reduced(body, early, plain)
    return again if MUCH * size(again, early) <= size(less, early) else less


def reduced(body: Body, early: Early, plain: list) -> list:
    """As `plain`, less what arithmetic makes of the others, or of as little."""
    order = {v: i for i, e in enumerate(body.equations) for v in e.outvars}
    kept = set(plain)
    changed = True
    while changed:
        changed = False
        for var in sorted(kept & set(order), key=order.__getitem__, reverse=True):
            rest = kept - {var}
            for inputs in origins(body, early, rest, var):
                more = [v for v in inputs if v not in rest]
                if size(more, early) <= size([var], early):
                    kept, changed = rest | set(more), True
                    break
    return [v for v in (*body.rows, *body.carry, *order) if v in kept]


def origins(body: Body, early: Early, known: set, var):
    """Sets of variables that arithmetic makes `var` of: what is next to it, what is farthest."""
    start = body.makers[var]
    if start.primitive.name not in ARITHMETIC:
        return
    given = {*known, *early.arrays}
    varying = [v for v in dict.fromkeys(sources(start)) if v in body.varying]
    yield varying
    ends: dict[Any, None] = {}
    waiting, seen = list(varying), set(varying)
    while waiting:
        part = waiting.pop()
        maker = body.makers.get(part)
        if part in given or maker is None or maker.primitive.name not in ARITHMETIC:
            ends[part] = None
            continue
        new = [v for v in sources(maker) if v in body.varying and v not in seen]
        seen.update(new)
        waiting += new
        if len(seen) > CONE:
            return
    yield list(ends)


def size(variables: list, early: Early) -> int:
    """Bytes that keeping variables takes; what is known for all iterations is there already."""
    kept = [v for v in variables if v not in early.arrays]
    return sum([v.aval.size * v.aval.dtype.itemsize for v in kept])


def looped(
    run, kinds: list, rows: list, init: list, next_of: Callable,
    next_outs: list[int | None], y_outs: list[int], summed: dict[int, int], length: int,
    reverse: bool, unroll: int,
) -> tuple[list, Kept]:  # fmt: skip
    """The carried values after a loop of known length, and what it collected.

    Args:
        run: the operations of an iteration, of rows and carried values.
        kinds: their types, those of the rows first.
        rows: arrays with the iterations along the leading axis.
        init: the carried values before the loop.
        next_of: from the outputs of `run`, the next carried values.
        next_outs: which output each of them is, if it is one.
        y_outs: the outputs that are collected.
        summed: by the place of a carried value that is the sum of it and an output, that output's.
        length: the number of iterations.
        reverse: the last row comes first.
        unroll: iterations in one turn of the loop.
    """
    body = Body(run, kinds, len(rows))
    early = Early(body, rows)
    if enabled("hoist"):
        body.settle()
        for var in early.products():
            early.of(var)
    sums: dict[int, list[Sum]] = {}
    if enabled("collect"):
        sums = collectable(body, summed)
    written = written_by_rows(body, next_outs, early, sums) if enabled("collect") else {}
    extra: dict[Any, None] = {}
    inputs = [v for parts in sums.values() for part in parts for v in part.inputs()]
    inputs += [part.term for parts in written.values() for part in parts]
    extra.update(dict.fromkeys([v for v in inputs if v not in early.known]))
    kept = [i for i in range(len(init)) if i not in sums and i not in written]
    saved = to_keep(body, early, y_outs)
    extra.update(dict.fromkeys([v for v in saved if v not in early.arrays]))
    given = {*early.arrays, *body.fixed, *body.carry}
    needed = {next_outs[i] for i in kept}
    wanted = [v for i, v in enumerate(body.outs) if i in needed]
    equations = body.needed([*wanted, *extra], given, effects=True)
    used = {v for e in equations for v in sources(e)} | set(wanted) | set(extra)
    columns = [v for v in early.arrays if v in used]

    def step(carry, xs):
        env = dict(body.fixed)
        env.update(zip(columns, xs, strict=True))
        env.update(zip([body.carry[i] for i in kept], carry, strict=True))
        evaluate(equations, env)
        outs = [read(env, v) if i in needed else None for i, v in enumerate(body.outs)]
        following = next_of(outs)
        return [following[i] for i in kept], [env[v] for v in extra]

    start = [init[i] for i in kept]
    xs = [early.arrays[v] for v in columns]
    ends, more = lax.scan(step, start, xs, length, reverse=reverse, unroll=unroll)
    collected = dict(zip(extra, more, strict=True))

    def values(var):
        return collected[var] if var in collected else early.of(var)

    found = dict(zip(kept, ends, strict=True))
    for i, parts in sums.items():
        total = init[i]
        for part in parts:
            total = total + part.total(values)
        found[i] = total.astype(init[i].dtype)
    for i, parts in written.items():
        found[i] = init[i]
        for part in parts:
            found[i] = part.added_to(found[i], values(part.term))
    columns = {v: values(v) for v in saved}
    return [found[i] for i in range(len(init))], Kept(body, columns, y_outs)


def written_by_rows(
    body: Body, next_outs: list[int | None], early: Early, sums: dict
) -> dict[int, list[Scattered]]:
    """The carried arrays to whose rows the iterations add, by place."""
    found = {}
    for place, out in enumerate(next_outs):
        if out is not None and place not in sums and not isinstance(body.outs[out], Literal):
            parts = scattered(body, place, body.outs[out], early.arrays)
            if parts and all(part.term in body.varying for part in parts):
                found[place] = parts
    return found


def collectable(body: Body, summed: dict[int, int]) -> dict[int, list[Sum]]:
    """The carried sums all of whose terms can be added up after the loop."""
    found: dict[int, list[Sum]] = {}
    stacked: set = set()
    for _ in range(2):  # what one sum collects, another one may use
        for place, out in summed.items():
            if place in found or list(summed.values()).count(out) > 1:
                continue
            parts = terms(body, place, body.outs[out])
            if not parts:
                continue
            each = [as_sum(body, var, stacked) for var in parts]
            if all(part is not None for part in each):
                found[place] = each  # type: ignore[assignment]
                stacked.update(v for part in each if part for v in part.inputs())
    return found
