"""How many times the function itself does its gradient cost, outside any compiler?

The functions: 400 elementary operations on NumPy arrays of 1,000 float64; 1,000 operations on
Python floats, with its constants in the code or in global variables; ten products of 200 x 200
matrices. The peers run the same source with their own `np` and `math`: HIPS autograd, and PyTorch
on float64 tensors, whose ratio is to its own run of the function. Everything is on one thread.

Bounds, gradient over function: 4 times for the arrays, 8 for the floats, 3 for the matrices; and
faster than both peers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from statistics import median
from types import FunctionType

import autograd
import autograd.numpy
import numpy as np
from measure import Row, alternate, compared, on_one_thread, script

import flux

A, B = 0.9, 2.0


def chain(x):
    for _ in range(50):  # of 8 operations
        x = np.tanh(x) * A + x / B
        x = np.cos(x) - A * np.sin(x)
    return np.sum(x)


def floats(x):
    for _ in range(250):  # of 4 operations
        x = x * 0.9 + math.sin(x) / 2.0
    return x


def floats_and_globals(x):
    for _ in range(250):
        x = x * A + math.sin(x) / B
    return x


def matrices(x, w):
    for _ in range(10):
        x = np.tanh(x @ w)
    return np.sum(x)


def functions():
    """Each function with its arguments and its bound."""
    rng = np.random.default_rng(0)
    yield "arrays", chain, (rng.normal(size=1000),), 4.0
    yield "floats", floats, (0.5,), 8.0
    yield "floats and globals", floats_and_globals, (0.5,), 8.0
    yield "matrices", matrices, tuple(rng.normal(size=(2, 200, 200)) / 200**0.5), 3.0


def with_library(f: FunctionType, library) -> Callable:
    """`f` under `import library as np`; the code is a copy, because CPython specialises code."""
    return FunctionType(f.__code__.replace(), {**f.__globals__, "np": library, "math": library})


def autograd_gradient(f, args) -> Callable:
    gradient = autograd.grad(with_library(f, autograd.numpy), tuple(range(len(args))))
    return lambda: gradient(*args)


def torch_works(f, args) -> dict[str, Callable]:
    """PyTorch's function and gradient; nothing where it is not installed."""
    if not find_spec("torch"):
        return {}
    import torch

    torch.set_num_threads(1)
    f = with_library(f, torch)
    plain = [torch.tensor(arg, dtype=torch.float64) for arg in args]
    leaves = [part.clone().requires_grad_() for part in plain]

    def gradient():
        return torch.autograd.grad(f(*leaves), leaves)

    return {"PyTorch's function": lambda: f(*plain), "PyTorch": gradient}


def main(quick: bool = False) -> list[Row]:
    rows = []
    for what, f, args, bound in functions():
        works = {"function": partial(f, *args), "flux": partial(flux.gradient, f, *args)}
        works["autograd"] = autograd_gradient(f, args)
        works |= torch_works(f, args)
        same_gradients(works)
        times = alternate(works, 7 if quick else 25)
        own = {"autograd": "function", "PyTorch": "PyTorch's function"}
        rows.append(compared(what, times, "flux", "function", bound=bound))
        for peer in own:
            if peer not in times:
                rows.append(Row(what, rows[-1].ours, peer, bound=1.0, note="it is not installed"))
                continue
            times_own = median(times[peer]) / median(times[own[peer]])
            note = f"{peer}: {times_own:.1f} x {own[peer]}"
            rows.append(compared(what, times, "flux", peer, bound=1.0, note=note))
    return rows


def same_gradients(works: dict[str, Callable]) -> None:
    """All gradients are the same numbers."""
    for peer in {"autograd", "PyTorch"} & works.keys():
        for ours, theirs in zip(works["flux"](), works[peer](), strict=True):
            np.testing.assert_allclose(ours, np.asarray(theirs), rtol=1e-6, atol=1e-9)


if __name__ == "__main__":
    on_one_thread()
    script(main, __doc__)
