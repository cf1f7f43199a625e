"""Recurrent cells: one step in time, `(x_t, state) -> (y_t, state)`. Layers run them over time."""

from __future__ import annotations

from flux.ad import nograd
from flux.errors import FluxError, user_line
from flux.functional import linear, sigmoid, tanh
from flux.functional.arrays import convert, namespace, shape_of
from flux.init import glorot_uniform
from flux.layers.check import check_activation, check_sizes, check_width, refuse
from flux.layers.dense import make_bias
from flux.layers.layer import layer
from flux.layers.show import call_repr, label
from flux.random import generator

__all__ = ["Cell", "GRUCell", "GRUv3Cell", "LSTMCell", "RNNCell", "check_parts", "initialstates"]


def initialstates(cell, batch):
    """The state with which a cell, or a recurrent layer, starts on a batch: zeros.

    Args:
        cell: a recurrent cell or layer, or any object with a method `initialstates(batch)`.
        batch: the number of examples.

    Returns:
        What the cell takes as its state; of an `LSTMCell` the pair ``(h, c)``.

    Raises: ``FluxError`` for an object without that method.

    >>> h, c = initialstates(LSTMCell(3, 4), 2)
    >>> h.shape, c.shape
    ((2, 4), (2, 4))
    """
    if not hasattr(cell, "initialstates"):
        raise FluxError(
            f"{label(cell)} does not say in which state it starts.",
            where=user_line(),
            hint="Give it a method initialstates(batch).",
        )
    return cell.initialstates(batch)


class Cell:
    """What the cells here have in common; the state is one array, unless a cell says otherwise.

    A cell's call is two parts: `project` mixes the features of the input, which a layer does for
    all times at once, and `step` does the rest, which needs the state before.

    Attributes:
        weight: of the input, all gates beside each other, ``(n_in, gates * n_out)``.
        recurrent: of the state, ``(n_out, gates * n_out)``.
        bias: one for both, ``(gates * n_out,)``, or `None`.
    """

    gates = 1

    def prepare(self, n_in, n_out, bias, init_kernel, init_recurrent, rng):
        """Make the parameters."""
        check_sizes(type(self).__name__, n_in=n_in, n_out=n_out)
        self.weight = init_kernel((n_in, self.gates * n_out), rng=rng)
        self.recurrent = init_recurrent((n_out, self.gates * n_out), rng=rng)
        self.bias = make_bias(bias, (self.gates * n_out,), self.weight)

    def shuffle(self, rng):
        """Put the weights into another random order, gate by gate: as good as drawn anew.

        Rows and columns of `recurrent` change places together, which keeps its eigenvalues, and an
        identity where there was one.
        """
        inputs, outputs, units = (rng.permutation(n) for n in (self.n_in, self.n_out, self.n_out))
        self.weight = reordered(self.weight, inputs, outputs)
        self.recurrent = reordered(self.recurrent, units, units)

    @property
    def n_in(self):
        return self.weight.shape[0]

    @property
    def n_out(self):
        return self.recurrent.shape[0]

    def __call__(self, x, state=None):
        x = convert(x, self.weight)
        check_width(self, x, self.n_in)
        state = self.start(state, x.shape[:-1])
        return self.step(self.project(x), state)

    def project(self, x):
        """The part of the gates that the input decides, ``x @ weight + bias``."""
        return linear(x, self.weight, self.bias)

    def step(self, gates, state):
        """The output and the state after one step, from projected inputs."""
        raise NotImplementedError

    def start(self, state, leading):
        """The given state, checked and in the dtype of the weights; zeros for `None`."""
        if state is None:
            return self.zeros(leading)
        check_state(self, state, (*leading, self.n_out))
        return convert(state, self.weight)

    @nograd
    def zeros(self, leading):
        """The state before the first step, for these leading axes."""
        weight = self.recurrent
        return namespace(weight).zeros((*leading, self.n_out), weight.dtype)

    def initialstates(self, batch):
        """The state before the first step, for a batch."""
        return self.zeros((batch,))

    def __repr__(self):
        return call_repr(self, self.n_in, self.n_out, bias=self.bias is not None)


@nograd
def check_state(layer, state, shape, what="a state"):
    """Raise `ShapeError` unless the state is an array of this shape."""
    if isinstance(state, tuple | list) or shape_of(state) != tuple(shape):
        refuse(layer, _shapes(state), f"it must be {tuple(shape)}", what=what)


@nograd
def check_parts(layer, state, names):
    """Raise `ShapeError` unless the state is a tuple of as many parts as there are names."""
    if not isinstance(state, tuple | list) or len(state) != len(names):
        expected = f"it must be a tuple ({', '.join(names)})"
        refuse(layer, _shapes(state), expected, what="a state")


def _shapes(state) -> tuple:
    if isinstance(state, tuple | list):
        return tuple([_shapes(part) for part in state])
    return shape_of(state)


@layer
class RNNCell(Cell):
    """One step of a plain recurrent network: ``h = activation(x @ weight + h @ recurrent + bias)``.

    Args:
        n_in: the number of features of the input.
        n_out: the number of features of the output, and of the state.
        activation: a function of the sum.
        bias: `True` for zeros, `False` for none, or an array of shape `(n_out,)`.
        init_kernel: initialiser of `weight`, see `flux.init`.
        init_recurrent: initialiser of `recurrent`.
        rng: seed or generator for the initialisers; `flux.seed` sets the default one.

    Called with the input and the state, zeros if it is `None`; returns the output and the next
    state, here both ``h``.

    Shapes: ``(B, n_in), (B, n_out) -> (B, n_out), (B, n_out)``.
    Dtypes: input and state are brought to the dtype of the weight.
    Raises: ``ShapeError`` if input or state do not fit.
    Source: Elman (1990), Finding structure in time.

    >>> import numpy as np
    >>> y, h = RNNCell(3, 4)(np.ones((2, 3)))
    >>> y.shape, h.shape
    ((2, 4), (2, 4))
    """

    def __init__(
        self, n_in, n_out, activation=tanh, *, bias=True,
        init_kernel=glorot_uniform, init_recurrent=glorot_uniform, rng=None,
    ):  # fmt: skip
        self.prepare(n_in, n_out, bias, init_kernel, init_recurrent, generator(rng))
        self.activation = check_activation(activation, type(self).__name__)

    def step(self, gates, state):
        h = self.activation(gates + linear(state, self.recurrent))
        return h, h

    def __repr__(self):
        bias = self.bias is not None
        return call_repr(self, self.n_in, self.n_out, self.activation, bias=bias)


@layer
class LSTMCell(Cell):
    """One step of a network with long short-term memory.

    With ``i, f, g, o = split(x @ weight + h @ recurrent + bias, 4)``:
    ``c = sigmoid(f) * c + sigmoid(i) * tanh(g)`` and ``h = sigmoid(o) * tanh(c)``. The order of the
    gates is input, forget, cell, output, as in PyTorch; the state is the pair ``(h, c)``, the
    output is ``h``.

    Args:
        n_in: the number of features of the input.
        n_out: the number of features of the output.
        bias: `True` for zeros, `False` for none, or an array of shape `(4 * n_out,)`.
        init_kernel: initialiser of `weight`, see `flux.init`; it sees all gates as one matrix.
        init_recurrent: initialiser of `recurrent`.
        rng: seed or generator for the initialisers; `flux.seed` sets the default one.

    Shapes: ``(B, n_in), ((B, n_out), (B, n_out)) -> (B, n_out), ((B, n_out), (B, n_out))``;
        ``weight`` is ``(n_in, 4 * n_out)``, ``recurrent`` is ``(n_out, 4 * n_out)``.
    Dtypes: input and state are brought to the dtype of the weight.
    Raises: ``ShapeError`` if input or state do not fit.
    Source: Hochreiter and Schmidhuber (1997), Long short-term memory; the forget gate is that of
        Gers, Schmidhuber and Cummins (2000), Learning to forget.

    >>> import numpy as np
    >>> y, (h, c) = LSTMCell(3, 4)(np.ones((2, 3)))
    >>> y is h, c.shape
    (True, (2, 4))
    """

    gates = 4

    def __init__(
        self, n_in, n_out, *, bias=True,
        init_kernel=glorot_uniform, init_recurrent=glorot_uniform, rng=None,
    ):  # fmt: skip
        self.prepare(n_in, n_out, bias, init_kernel, init_recurrent, generator(rng))

    def step(self, gates, state):
        h, c = state
        i, f, g, o = split(gates + linear(h, self.recurrent), 4)
        c = sigmoid(f) * c + sigmoid(i) * tanh(g)
        h = sigmoid(o) * tanh(c)
        return h, (h, c)

    def start(self, state, leading):
        if state is None:
            return self.zeros(leading)
        check_parts(self, state, ("h", "c"))
        h, c = state
        check_state(self, h, (*leading, self.n_out), "a state h")
        check_state(self, c, (*leading, self.n_out), "a state c")
        return convert(h, self.weight), convert(c, self.weight)

    def zeros(self, leading):
        return super().zeros(leading), super().zeros(leading)


@layer
class GRUCell(Cell):
    """One step of a network of gated recurrent units; the reset acts after the product.

    With ``a = split(x @ weight + bias, 3)`` and ``b = split(h @ recurrent, 3)``:
    ``r = sigmoid(a[0] + b[0])``, ``z = sigmoid(a[1] + b[1])``, ``n = tanh(a[2] + r * b[2])`` and
    ``h = (1 - z) * n + z * h``. The order of the gates is reset, update, candidate, as in
    PyTorch, whose GRU has a second bias, on ``b[2]``: `recurrent_bias`. In `GRUv3Cell` the reset
    acts before the product.

    Args:
        n_in: the number of features of the input.
        n_out: the number of features of the output, and of the state.
        bias: `True` for zeros, `False` for none, or an array of shape `(3 * n_out,)`.
        recurrent_bias: the same for the bias that is added to ``b[2]``, of shape `(n_out,)`.
        init_kernel: initialiser of `weight`, see `flux.init`; it sees all gates as one matrix.
        init_recurrent: initialiser of `recurrent`.
        rng: seed or generator for the initialisers; `flux.seed` sets the default one.

    Shapes: ``(B, n_in), (B, n_out) -> (B, n_out), (B, n_out)``; ``weight`` is
        ``(n_in, 3 * n_out)``, ``recurrent`` is ``(n_out, 3 * n_out)``.
    Dtypes: input and state are brought to the dtype of the weight.
    Raises: ``ShapeError`` if input or state do not fit.
    Source: Cho et al. (2014), Learning phrase representations, version 1, arXiv:1406.1078v1.

    >>> import numpy as np
    >>> y, h = GRUCell(3, 4)(np.ones((2, 3)))
    >>> y.shape, h.shape
    ((2, 4), (2, 4))
    """

    gates = 3

    def __init__(
        self, n_in, n_out, *, bias=True, recurrent_bias=False,
        init_kernel=glorot_uniform, init_recurrent=glorot_uniform, rng=None,
    ):  # fmt: skip
        self.prepare(n_in, n_out, bias, init_kernel, init_recurrent, generator(rng))
        self.recurrent_bias = make_bias(recurrent_bias, (n_out,), self.weight)

    def step(self, gates, state):
        r_x, z_x, n_x = split(gates, 3)
        r_h, z_h, n_h = split(linear(state, self.recurrent), 3)
        if self.recurrent_bias is not None:
            n_h = n_h + self.recurrent_bias
        r, z = sigmoid(r_x + r_h), sigmoid(z_x + z_h)
        n = tanh(n_x + r * n_h)
        h = (1 - z) * n + z * state
        return h, h

    def __repr__(self):
        options = {"bias": self.bias is not None, "recurrent_bias": self.recurrent_bias is not None}
        return call_repr(self, self.n_in, self.n_out, **options)


@layer
class GRUv3Cell(Cell):
    """One step of a network of gated recurrent units; the reset acts before the product.

    As `GRUCell`, with ``n = tanh(a[2] + (r * h) @ candidate)``. The order of the gates is reset,
    update, candidate; `recurrent` holds the first two.

    Args:
        n_in: the number of features of the input.
        n_out: the number of features of the output, and of the state.
        bias: `True` for zeros, `False` for none, or an array of shape `(3 * n_out,)`.
        init_kernel: initialiser of `weight`, see `flux.init`; it sees all gates as one matrix.
        init_recurrent: initialiser of `recurrent` and of `candidate`.
        rng: seed or generator for the initialisers; `flux.seed` sets the default one.

    Shapes: ``(B, n_in), (B, n_out) -> (B, n_out), (B, n_out)``; ``weight`` is
        ``(n_in, 3 * n_out)``, ``recurrent`` is ``(n_out, 2 * n_out)``, ``candidate`` is
        ``(n_out, n_out)``.
    Dtypes: input and state are brought to the dtype of the weight.
    Raises: ``ShapeError`` if input or state do not fit.
    Source: Cho et al. (2014), Learning phrase representations, version 3, arXiv:1406.1078v3,
        equations 5 to 8.

    >>> import numpy as np
    >>> y, h = GRUv3Cell(3, 4)(np.ones((2, 3)))
    >>> y.shape, h.shape
    ((2, 4), (2, 4))
    """

    def __init__(
        self, n_in, n_out, *, bias=True,
        init_kernel=glorot_uniform, init_recurrent=glorot_uniform, rng=None,
    ):  # fmt: skip
        rng = generator(rng)
        check_sizes(type(self).__name__, n_in=n_in, n_out=n_out)
        self.weight = init_kernel((n_in, 3 * n_out), rng=rng)
        self.recurrent = init_recurrent((n_out, 2 * n_out), rng=rng)
        self.candidate = init_recurrent((n_out, n_out), rng=rng)
        self.bias = make_bias(bias, (3 * n_out,), self.weight)

    def shuffle(self, rng):
        super().shuffle(rng)
        units = rng.permutation(self.n_out)
        self.candidate = reordered(self.candidate, units, units)

    def step(self, gates, state):
        r_x, z_x, n_x = split(gates, 3)
        r_h, z_h = split(linear(state, self.recurrent), 2)
        r, z = sigmoid(r_x + r_h), sigmoid(z_x + z_h)
        n = tanh(n_x + linear(r * state, self.candidate))
        h = (1 - z) * n + z * state
        return h, h


def reordered(weight, rows, columns):
    """A weight in another order; that of the columns is for one gate."""
    return weight.reshape(len(rows), -1, len(columns))[rows][..., columns].reshape(weight.shape)


def split(x, parts):
    """Cut the last axis into equal parts."""
    return namespace(x).split(x, parts, axis=-1)
