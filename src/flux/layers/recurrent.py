"""Layers that run recurrent cells over time: any cell, or stacks of our own."""

from __future__ import annotations

import inspect

import numpy as np

from flux.ad import nograd
from flux.errors import ArgumentError, brief, user_line
from flux.functional import tanh
from flux.functional.arrays import convert
from flux.init import glorot_uniform
from flux.layers.cells import (
    Cell,
    GRUCell,
    GRUv3Cell,
    LSTMCell,
    RNNCell,
    check_parts,
    initialstates,
)
from flux.layers.check import check_width
from flux.layers.dropout import Dropout
from flux.layers.layer import layer
from flux.layers.show import call_repr, tree_repr
from flux.layers.steps import check_sequence, counts, run, swap, time_first
from flux.random import generator

__all__ = ["GRU", "LSTM", "RNN", "GRUv3", "Recurrence"]


@nograd
def check_cell(cell) -> None:
    """Raise `ArgumentError` unless `cell` can be called with an input and a state."""
    try:
        inspect.signature(cell).bind(None, None)
    except TypeError:
        raise ArgumentError(
            "Recurrence expected a cell, a function (x_t, state) -> (y_t, state), and got "
            f"{brief(cell)}.",
            where=user_line(),
        ) from None
    except ValueError:  # a callable whose signature nobody knows
        return


@layer
class Recurrence:
    """Run a cell over time.

    Args:
        cell: any callable ``(x_t, state) -> (y_t, state)``. If it has a method
            `initialstates(batch)`, that says in which state it starts; otherwise it is given
            `None` at first.

    Called with the input, and further:

    - `state`: the state to start in.
    - `return_state`: return ``(y, state)``, the state being that after the last step.
    - `lengths`: how many steps of each example count, ``(B,)``. What follows them is not looked at;
      the output is zero there, and the state that is returned is that after the last step that
      counts.

    Shapes: ``(B, T, F) -> (B, T, H)``.
    Raises: ``ShapeError`` for an input without the axes of examples and time, without any step, and
        for lengths that do not fit.

    >>> import numpy as np
    >>> def total(x, state):
    ...     return x + state, x + state
    >>> Recurrence(total)(np.ones((1, 3, 1)), np.zeros((1, 1))).tolist()
    [[[1.0], [2.0], [3.0]]]
    """

    def __init__(self, cell):
        check_cell(cell)
        self.cell = cell

    def __call__(self, x, state=None, *, return_state=False, lengths=None):
        check_sequence(self, x)
        if isinstance(self.cell, Cell):
            x = convert(x, self.cell.weight)
            check_width(self.cell, x, self.cell.n_in)
        live = counts(self, x, lengths)
        y, state = run(self.cell, time_first(x, live), state, live)
        y = swap(y)
        return (y, state) if return_state else y

    def initialstates(self, batch):
        return initialstates(self.cell, batch)

    def __repr__(self):
        return tree_repr(self, [(None, self.cell)])


class Stack:
    """Cells on top of each other, each run over the outputs of the one below."""

    def prepare(self, cell, n_in, n_out, layers, dropout, rng, **options):
        """Make the cells and the dropout between them."""
        if not isinstance(layers, int | np.integer) or layers < 1:
            raise ArgumentError(
                f"{type(self).__name__} got layers={layers!r}: it must be 1, 2, 3 ...",
                where=user_line(),
            )
        rng = generator(rng)
        widths = [n_in] + [n_out] * (layers - 1)
        self.cells = tuple([cell(width, n_out, rng=rng, **options) for width in widths])
        self.dropout = Dropout(dropout, rng=rng) if dropout else None

    def __call__(self, x, state=None, *, return_state=False, lengths=None):
        x = convert(x, self.cells[0].weight)
        check_sequence(self, x)
        check_width(self, x, self.cells[0].n_in)
        live = counts(self, x, lengths)
        ys, ends = time_first(x, live), []
        for place, (cell, start) in enumerate(zip(self.cells, self.starts(state), strict=True)):
            if place > 0 and self.dropout is not None:
                ys = self.dropout(ys)
            ys, end = run(cell, ys, start, live)
            ends.append(end)
        y = swap(ys)
        if not return_state:
            return y
        return y, ends[0] if len(ends) == 1 else tuple(ends)

    def starts(self, state):
        """The state that each cell is given."""
        count = len(self.cells)
        if state is None:
            return (None,) * count
        if count == 1:
            return (state,)
        check_parts(self, state, [f"state {i + 1}" for i in range(count)])
        return tuple(state)

    def initialstates(self, batch):
        states = tuple([cell.initialstates(batch) for cell in self.cells])
        return states[0] if len(states) == 1 else states

    def __repr__(self):
        first = self.cells[0]
        activation = [first.activation] if hasattr(first, "activation") else []
        dropout = 0.0 if self.dropout is None else self.dropout.p
        options = {"layers": len(self.cells), "dropout": dropout, "bias": first.bias is not None}
        if getattr(first, "recurrent_bias", None) is not None:
            options["recurrent_bias"] = True
        return call_repr(self, first.n_in, first.n_out, *activation, **options)


@layer
class RNN(Stack):
    """Run `RNNCell`s over time: a plain recurrent network.

    Args:
        n_in: the number of features of the input.
        n_out: the number of features of the output, and of the state.
        activation: a function of the sum in each step.
        layers: how many cells are on top of each other.
        dropout: in training, the probability with which an entry between two cells is omitted.
        bias: `True` for zeros, `False` for none.
        init_kernel: initialiser of the weights of inputs, see `flux.init`.
        init_recurrent: initialiser of the weights of states.
        rng: seed or generator for the initialisers and dropout; `flux.seed` sets the default one.

    Called with the input, and with `state`, `return_state` and `lengths` as in `Recurrence`. The
    state is that of the cell; with several layers it is a tuple of their states, the lowest first.

    Shapes: ``(B, T, n_in) -> (B, T, n_out)``; a state is ``(B, n_out)``.
    Dtypes: input and state are brought to the dtype of the weights.
    Raises: ``ShapeError`` if input, state or lengths do not fit.
    Source: Elman (1990), Finding structure in time.

    >>> import numpy as np
    >>> y, h = RNN(3, 4)(np.ones((2, 5, 3)), return_state=True)
    >>> y.shape, h.shape
    ((2, 5, 4), (2, 4))
    """

    def __init__(
        self, n_in, n_out, activation=tanh, *, layers=1, dropout=0.0, bias=True,
        init_kernel=glorot_uniform, init_recurrent=glorot_uniform, rng=None,
    ):  # fmt: skip
        options = {"bias": bias, "init_kernel": init_kernel, "init_recurrent": init_recurrent}
        self.prepare(RNNCell, n_in, n_out, layers, dropout, rng, activation=activation, **options)


@layer
class LSTM(Stack):
    """Run `LSTMCell`s over time: a network with long short-term memory.

    Args:
        n_in: the number of features of the input.
        n_out: the number of features of the output.
        layers: how many cells are on top of each other.
        dropout: in training, the probability with which an entry between two cells is omitted.
        bias: `True` for zeros, `False` for none.
        init_kernel: initialiser of the weights of inputs, see `flux.init`.
        init_recurrent: initialiser of the weights of states.
        rng: seed or generator for the initialisers and dropout; `flux.seed` sets the default one.

    Called with the input, and with `state`, `return_state` and `lengths` as in `Recurrence`. The
    state is the pair ``(h, c)``; with several layers it is a tuple of pairs, the lowest first.

    Shapes: ``(B, T, n_in) -> (B, T, n_out)``; ``h`` and ``c`` are ``(B, n_out)``.
    Dtypes: input and state are brought to the dtype of the weights.
    Raises: ``ShapeError`` if input, state or lengths do not fit.
    Source: Hochreiter and Schmidhuber (1997), Long short-term memory.

    >>> import numpy as np
    >>> y, (h, c) = LSTM(3, 4)(np.ones((2, 5, 3)), return_state=True)
    >>> y.shape, h.shape, LSTM(3, 4, layers=2)
    ((2, 5, 4), (2, 4), LSTM(3, 4, layers=2))
    """

    def __init__(
        self, n_in, n_out, *, layers=1, dropout=0.0, bias=True,
        init_kernel=glorot_uniform, init_recurrent=glorot_uniform, rng=None,
    ):  # fmt: skip
        options = {"bias": bias, "init_kernel": init_kernel, "init_recurrent": init_recurrent}
        self.prepare(LSTMCell, n_in, n_out, layers, dropout, rng, **options)


@layer
class GRU(Stack):
    """Run `GRUCell`s over time: gated recurrent units; the reset acts after the product.

    Args:
        n_in: the number of features of the input.
        n_out: the number of features of the output, and of the state.
        layers: how many cells are on top of each other.
        dropout: in training, the probability with which an entry between two cells is omitted.
        bias: `True` for zeros, `False` for none.
        recurrent_bias: the same for a second bias of each candidate, as PyTorch has it.
        init_kernel: initialiser of the weights of inputs, see `flux.init`.
        init_recurrent: initialiser of the weights of states.
        rng: seed or generator for the initialisers and dropout; `flux.seed` sets the default one.

    Called with the input, and with `state`, `return_state` and `lengths` as in `Recurrence`. The
    state is that of the cell; with several layers it is a tuple of their states, the lowest first.

    Shapes: ``(B, T, n_in) -> (B, T, n_out)``; a state is ``(B, n_out)``.
    Dtypes: input and state are brought to the dtype of the weights.
    Raises: ``ShapeError`` if input, state or lengths do not fit.
    Source: Cho et al. (2014), Learning phrase representations, version 1, arXiv:1406.1078v1.

    >>> import numpy as np
    >>> y, h = GRU(3, 4)(np.ones((2, 5, 3)), return_state=True)
    >>> y.shape, h.shape
    ((2, 5, 4), (2, 4))
    """

    def __init__(
        self, n_in, n_out, *, layers=1, dropout=0.0, bias=True, recurrent_bias=False,
        init_kernel=glorot_uniform, init_recurrent=glorot_uniform, rng=None,
    ):  # fmt: skip
        options = {"bias": bias, "init_kernel": init_kernel, "init_recurrent": init_recurrent}
        options["recurrent_bias"] = recurrent_bias
        self.prepare(GRUCell, n_in, n_out, layers, dropout, rng, **options)


@layer
class GRUv3(Stack):
    """Run `GRUv3Cell`s over time: gated recurrent units; the reset acts before the product.

    Arguments, call and shapes are those of `GRU`.

    Source: Cho et al. (2014), Learning phrase representations, version 3, arXiv:1406.1078v3.

    >>> import numpy as np
    >>> GRUv3(3, 4)(np.ones((2, 5, 3)), lengths=[5, 2]).shape
    (2, 5, 4)
    """

    def __init__(
        self, n_in, n_out, *, layers=1, dropout=0.0, bias=True,
        init_kernel=glorot_uniform, init_recurrent=glorot_uniform, rng=None,
    ):  # fmt: skip
        options = {"bias": bias, "init_kernel": init_kernel, "init_recurrent": init_recurrent}
        self.prepare(GRUv3Cell, n_in, n_out, layers, dropout, rng, **options)
