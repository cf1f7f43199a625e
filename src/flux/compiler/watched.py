"""A call of a compiled function that is watched: the same call, operation by operation."""

from __future__ import annotations

from collections.abc import Set
from typing import Any

import jax.numpy as jnp

from flux.compiler.control.calls import call_
from flux.compiler.control.surroundings import Reached, Surroundings, noticing
from flux.compiler.control.watch import watchers
from flux.compiler.outcome import describe
from flux.compiler.places import in_place
from flux.compiler.plan import Plan, rebuild
from flux.compiler.staging import in_user_terms

__all__ = ["run_watched"]


def run_watched(plan: Plan, root, name: str, constant: Set = frozenset()) -> Any:
    """Run the call on a copy of its arguments; change the caller's objects if it succeeds.

    Raises: `Reached` where the plan lacks places.
    """
    found = plan.gather(root)
    assert found is not None
    leaves, nodes = found
    arrays = tuple([jnp.asarray(leaf) for leaf in leaves])
    try:
        with in_place(plan):
            (function, args, keywords), copies = rebuild(plan, arrays)
            surroundings = Surroundings(plan, copies, frozenset(map(id, nodes)), constant)
            with noticing(surroundings):
                result = call_(function, *args, **keywords)
            outcome = describe(plan, copies, arrays, result)
    except Reached:
        raise
    except Exception as error:
        problem = in_user_terms(error, root[0])
    else:
        for watcher in watchers():
            watcher.end(name, outcome.outputs)
        return outcome.finish(outcome.outputs, leaves, nodes)
    raise problem
