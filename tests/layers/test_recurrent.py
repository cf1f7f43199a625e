"""Recurrent cells and layers against PyTorch and against their formulas."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import flux
from flux.errors import FluxError, ShapeError
from flux.functional import relu, tanh
from flux.layers import (
    GRU,
    LSTM,
    RNN,
    Bidirectional,
    Chain,
    Dense,
    GRUCell,
    GRUv3,
    GRUv3Cell,
    LSTMCell,
    Recurrence,
    RNNCell,
    initialstates,
    outputsize,
    summary,
    testmode,
    trainmode,
)

torch = pytest.importorskip("torch", reason="the reference of these tests is PyTorch")
RNG = np.random.default_rng(0)
LAYERS = [RNN, LSTM, GRU, GRUv3]
CELLS = [RNNCell, LSTMCell, GRUCell, GRUv3Cell]
SIZES = [(1, 1, 1, 1), (3, 7, 4, 5)]
"""Batch, steps, features in and out."""


def normal(*shape):
    return RNG.normal(size=shape).astype(np.float32)


def with_biases(model):
    """The model with biases that are not zero."""
    for part in flux.layers.parts.modules(model):
        if getattr(part, "bias", None) is not None:
            part.bias = jnp.asarray(normal(*part.bias.shape))
    return model


# -- PyTorch ---------------------------------------------------------------------------------------


def columns(theirs):
    """The cells of a layer of PyTorch by the ends of their parameters' names."""
    directions = ["", "_reverse"] if theirs.bidirectional else [""]
    return [f"l{i}{end}" for end in directions for i in range(theirs.num_layers)]


def put_into(theirs, cells):
    """Copy our parameters; PyTorch keeps two biases, of which the second stays zero."""
    for end, cell in zip(columns(theirs), cells, strict=True):
        for name, array in [
            ("weight_ih", cell.weight.T),
            ("weight_hh", cell.recurrent.T),
            ("bias_ih", cell.bias),
            ("bias_hh", 0 * cell.bias),
        ]:
            getattr(theirs, f"{name}_{end}").data = torch.tensor(np.array(array))


def compare_gradients(grads, theirs):
    for end, cell in zip(columns(theirs), grads, strict=True):
        for name, array in [
            ("weight_ih", cell.weight.T),
            ("weight_hh", cell.recurrent.T),
            ("bias_ih", cell.bias),
        ]:
            expected = getattr(theirs, f"{name}_{end}").grad
            np.testing.assert_allclose(array, expected, rtol=1e-3, atol=1e-4)


def twin(ours, cells, **options):
    """PyTorch's layer with the same parameters; `ours` is the forward layer."""
    kind = {RNN: torch.nn.RNN, LSTM: torch.nn.LSTM, GRU: torch.nn.GRU}[type(ours)]
    first = ours.cells[0]
    theirs = kind(first.n_in, first.n_out, num_layers=len(ours.cells), batch_first=True, **options)
    put_into(theirs, cells)
    return theirs


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", [RNN, LSTM, GRU])
def test_layers_and_their_gradients_agree_with_pytorch(kind, size, layers):
    batch, steps, n_in, n_out = size
    ours = with_biases(kind(n_in, n_out, layers=layers, rng=0))
    theirs = twin(ours, ours.cells)
    x = normal(batch, steps, n_in)
    expected, last = theirs(torch.tensor(x))
    (expected**2).sum().backward()
    y, state = ours(x, return_state=True)
    np.testing.assert_allclose(y, expected.detach(), rtol=1e-4, atol=1e-5)
    states = [state] if layers == 1 else list(state)
    h = [s[0] if kind is LSTM else s for s in states]
    np.testing.assert_allclose(h, (last[0] if kind is LSTM else last).detach(), atol=1e-5)
    if kind is LSTM:
        np.testing.assert_allclose([s[1] for s in states], last[1].detach(), atol=1e-5)
    (grads,) = flux.gradient(lambda m: (m(x) ** 2).sum(), ours)
    compare_gradients(grads.cells, theirs)


def test_a_given_state_and_its_gradient_agree_with_pytorch():
    ours = with_biases(LSTM(3, 4, rng=0))
    theirs, x, h, c = twin(ours, ours.cells), normal(2, 5, 3), normal(2, 4), normal(2, 4)
    t_h, t_c = (torch.tensor(a[None], requires_grad=True) for a in (h, c))
    expected, (_, last) = theirs(torch.tensor(x), (t_h, t_c))
    ((expected**2).sum() + last.sum()).backward()

    def loss(state):
        y, (_, c) = ours(x, state, return_state=True)
        return (y**2).sum() + c.sum()

    value, ((of_h, of_c),) = flux.withgradient(loss, (h, c))
    np.testing.assert_allclose(value, ((expected**2).sum() + last.sum()).item(), rtol=1e-5)
    np.testing.assert_allclose(of_h, t_h.grad[0], rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(of_c, t_c.grad[0], rtol=1e-3, atol=1e-5)


def packed(theirs, x, lengths):
    """What PyTorch's layer makes of a padded batch, and its last states."""
    rows = torch.nn.utils.rnn.pack_padded_sequence(
        x, torch.tensor(lengths), batch_first=True, enforce_sorted=False
    )
    y, last = theirs(rows)
    y, _ = torch.nn.utils.rnn.pad_packed_sequence(y, batch_first=True, total_length=x.shape[1])
    return y, last


@pytest.mark.parametrize("kind", [RNN, LSTM, GRU])
def test_lengths_agree_with_packed_sequences_of_pytorch(kind):
    lengths = [2, 6, 1, 5]
    ours = with_biases(kind(3, 5, layers=2, rng=0))
    theirs, x = twin(ours, ours.cells), normal(4, 6, 3)
    t = torch.tensor(x, requires_grad=True)
    expected, last = packed(theirs, t, lengths)
    (expected**2).sum().backward()
    y, state = ours(x, return_state=True, lengths=lengths)
    np.testing.assert_allclose(y, expected.detach(), rtol=1e-4, atol=1e-5)
    h, theirs_h = ([s[0] for s in state], last[0]) if kind is LSTM else (state, last)
    np.testing.assert_allclose(h, theirs_h.detach(), rtol=1e-4, atol=1e-5)
    grads, of_x = flux.gradient(lambda m, x: (m(x, lengths=lengths) ** 2).sum(), ours, x)
    compare_gradients(grads.cells, theirs)
    np.testing.assert_allclose(of_x, t.grad, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("lengths", [None, [2, 6, 1, 5]])
@pytest.mark.parametrize("kind", [RNN, LSTM, GRU])
def test_both_directions_agree_with_pytorch(kind, lengths):
    ours = with_biases(Bidirectional(kind(3, 5, rng=0)))
    cells = [*ours.forward.cells, *ours.backward.cells]
    theirs = twin(ours.forward, cells, bidirectional=True)
    x = normal(4, 6, 3)
    t = torch.tensor(x, requires_grad=True)
    expected, last = theirs(t) if lengths is None else packed(theirs, t, lengths)
    (expected**2).sum().backward()
    y, state = ours(x, return_state=True, lengths=lengths)
    np.testing.assert_allclose(y, expected.detach(), rtol=1e-4, atol=1e-5)
    h, theirs_h = ([s[0] for s in state], last[0]) if kind is LSTM else (state, last)
    np.testing.assert_allclose(h, theirs_h.detach(), rtol=1e-4, atol=1e-5)
    grads, of_x = flux.gradient(lambda m, x: (m(x, lengths=lengths) ** 2).sum(), ours, x)
    compare_gradients([*grads.forward.cells, *grads.backward.cells], theirs)
    np.testing.assert_allclose(of_x, t.grad, rtol=1e-3, atol=1e-5)


# -- formulas --------------------------------------------------------------------------------------


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def gru_v3(cell, x, h):
    """Equations 5 to 8 of Cho et al. (2014), version 3, gate by gate."""
    w_r, w_z, w_n = np.split(cell.weight, 3, axis=1)
    u_r, u_z = np.split(cell.recurrent, 2, axis=1)
    b_r, b_z, b_n = np.split(cell.bias, 3)
    r = sigmoid(x @ w_r + h @ u_r + b_r)
    z = sigmoid(x @ w_z + h @ u_z + b_z)
    return z * h + (1 - z) * np.tanh(x @ w_n + (r * h) @ cell.candidate + b_n)


def in_numpy(cell):
    """The cell with parameters of NumPy in double precision."""
    with_biases(cell)
    for name, value in vars(cell).items():
        if hasattr(value, "dtype"):
            setattr(cell, name, np.asarray(value, np.float64))
    return cell


def test_gru_v3_is_its_formula():
    cell = in_numpy(GRUv3Cell(3, 4, rng=0))
    x, h = RNG.normal(size=(2, 3)), RNG.normal(size=(2, 4))
    y, state = cell(x, h)
    assert type(y) is np.ndarray
    np.testing.assert_allclose(y, gru_v3(cell, x, h), rtol=1e-12)
    assert state is y


@pytest.mark.parametrize("lengths", [None, [3, 1]])
@pytest.mark.parametrize("kind", CELLS)
def test_gradients_agree_with_finite_differences(kind, lengths):
    cell, x = in_numpy(kind(2, 3, rng=0)), RNG.normal(size=(2, 3, 2))
    layer = Recurrence(cell)
    (grads,) = flux.gradient(lambda m: (m(x, lengths=lengths) ** 3).sum(), layer)
    for name in vars(cell):
        array = getattr(cell, name)
        if not isinstance(array, np.ndarray):
            continue
        away = RNG.normal(size=array.shape)
        values = []
        for step in (1e-6, -1e-6):
            setattr(cell, name, array + step * away)
            values.append((layer(x, lengths=lengths) ** 3).sum())
        setattr(cell, name, array)
        slope = (values[0] - values[1]) / 2e-6
        np.testing.assert_allclose((getattr(grads.cell, name) * away).sum(), slope, rtol=1e-6)


@pytest.mark.parametrize("kind", CELLS)
def test_a_cell_called_step_by_step_is_its_layer(kind):
    cell, x = with_biases(kind(3, 4, rng=0)), normal(2, 5, 3)
    state, outputs = None, []
    for t in range(5):
        y, state = cell(x[:, t], state)
        outputs.append(y)
    y, last = Recurrence(cell)(x, return_state=True)
    np.testing.assert_allclose(y, np.stack(outputs, 1), rtol=1e-5, atol=1e-6)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), last, state)


def test_the_activation_of_a_plain_cell_is_its_own():
    cell = with_biases(RNNCell(3, 4, relu, rng=0))
    x = normal(2, 3)
    expected = np.maximum(x @ cell.weight + cell.bias, 0)
    np.testing.assert_allclose(cell(x)[0], expected, rtol=1e-5, atol=1e-6)


def test_second_derivatives_agree_with_differences_of_the_first():
    layer, x = Recurrence(in_numpy(RNNCell(2, 3, rng=0))), RNG.normal(size=(2, 3, 2))
    away = RNG.normal(size=x.shape)

    def slope(x):
        (ct,) = flux.gradient(lambda x: (layer(x, lengths=[3, 1]) ** 2).sum(), x)
        return (ct * away).sum()

    (found,) = flux.gradient(slope, x)
    expected = (slope(x + 1e-6 * away) - slope(x - 1e-6 * away)) / 2e-6
    np.testing.assert_allclose((found * away).sum(), expected, rtol=1e-6)


# -- compiled --------------------------------------------------------------------------------------


def close(a, b):
    np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    ("kind", "layers", "lengths"),
    [(RNN, 2, None), (LSTM, 1, np.array([5, 2])), (GRU, 1, None), (GRUv3, 1, np.array([2, 5]))],
)
def test_compiled_layers_equal_eager_ones(kind, layers, lengths):
    layer, x = with_biases(kind(3, 4, layers=layers, rng=0)), normal(2, 5, 3)

    def loss(model, x, lengths):
        y, state = model(x, return_state=True, lengths=lengths)
        return (y**2).sum() + sum([part.sum() for part in jax.tree.leaves(state)])

    def both(model, x, lengths):
        return flux.withgradient(lambda m, x: loss(m, x, lengths), model, x)

    jax.tree.map(close, flux.jit(both)(layer, x, lengths), both(layer, x, lengths))


@pytest.mark.parametrize("layer", [LSTM(3, 4), Bidirectional(GRUv3(3, 4))], ids=["one", "both"])
def test_a_compiled_layer_stays_a_loop(layer):
    def slopes(model, x, lengths):
        return flux.gradient(lambda m: (m(x, lengths=lengths) ** 2).sum(), model)

    few, many = (
        flux.lower(slopes, layer, jnp.ones((2, n, 3)), jnp.array([n, 1])).as_text()
        for n in (10, 600)
    )
    for operation in ("while", "dot_general", "tanh", "concatenate"):
        assert many.count(f"stablehlo.{operation}") == few.count(f"stablehlo.{operation}")


class Counting:
    """A cell of a user's, whose output has another form than its state."""

    def __init__(self):
        self.weight = jnp.asarray(normal(3, 4))

    def __call__(self, x, state):
        total, count = (0.0 * x, jnp.zeros(())) if state is None else state
        total = total + jnp.tanh(x)
        return (total @ self.weight)[..., None], (total, count + 1)


def test_any_cell_runs_over_time_eagerly_and_compiled():
    layer, x = Recurrence(Counting()), normal(2, 5, 3)
    expected = np.cumsum(np.tanh(x), axis=1) @ layer.cell.weight
    y, (_, count) = layer(x, return_state=True)
    np.testing.assert_allclose(y[..., 0], expected, rtol=1e-4, atol=1e-5)
    assert count == 5

    def slopes(layer, x):
        return flux.gradient(lambda m, x: (m(x) ** 2).sum(), layer, x)

    jax.tree.map(close, flux.jit(slopes)(layer, x), slopes(layer, x))
    assert layer(x[:, :1]).shape == flux.jit(layer)(x[:, :1]).shape == (2, 1, 4, 1)


def test_a_network_with_a_recurrent_layer_learns():
    model = Chain(LSTM(3, 4, rng=0), Dense(4, 2, rng=0))
    before = model[0].cells[0].recurrent
    data = [(normal(2, 5, 3), normal(2, 5, 2))]
    opt = flux.setup(flux.optim.Adam(0.01), model)
    flux.train(lambda m, x, y: ((m(x) - y) ** 2).mean(), model, data, opt, progress=False)
    assert not np.allclose(model[0].cells[0].recurrent, before)


def test_a_batch_of_one_example_at_a_time_is_the_batch():
    layer, x = GRU(3, 4, rng=0), jnp.asarray(normal(4, 5, 3))
    single = flux.vmap(lambda x: layer(x[None])[0])
    np.testing.assert_allclose(single(x), layer(x), rtol=1e-5, atol=1e-6)


# -- what stands around the formulas ---------------------------------------------------------------


def test_what_stands_in_the_padding_does_not_matter():
    layer, x = LSTM(3, 4, rng=0), normal(2, 5, 3)
    full = x.copy()
    full[1, 2:] = np.nan

    def loss(model, x):
        y, (h, c) = model(x, return_state=True, lengths=[5, 2])
        return (y**2).sum() + h.sum() + c.sum()

    value, grads = flux.withgradient(loss, layer, full)
    expected, others = flux.withgradient(loss, layer, x)
    assert value == expected
    jax.tree.map(np.testing.assert_array_equal, grads, others)


def test_an_example_of_length_zero_keeps_its_state():
    h, c = normal(2, 4), normal(2, 4)
    y, (h_last, c_last) = LSTM(3, 4)(normal(2, 5, 3), (h, c), return_state=True, lengths=[5, 0])
    assert not y[1].any()
    np.testing.assert_array_equal(h_last[1], h[1])
    np.testing.assert_array_equal(c_last[1], c[1])


def test_dropout_acts_between_layers_in_training_only():
    x = normal(2, 5, 3)
    plain, one = LSTM(3, 4, layers=2, rng=0), trainmode(LSTM(3, 4, dropout=0.5, rng=0))
    dropping = LSTM(3, 4, layers=2, dropout=0.5, rng=0)
    np.testing.assert_array_equal(dropping(x), plain(x))
    assert not np.allclose(trainmode(dropping)(x), plain(x))
    np.testing.assert_array_equal(one(x), testmode(one)(x))


def test_half_precision_stays_half_precision():
    layer = jax.tree.map(lambda a: a.astype(jnp.bfloat16), GRU(3, 4))
    y, h = layer(normal(2, 2, 3), normal(2, 4), return_state=True)
    assert y.dtype == h.dtype == jnp.bfloat16


def test_the_directions_have_weights_of_their_own():
    layer = Bidirectional(GRUv3(3, 4, init_recurrent=flux.init.identity_init, rng=0), rng=0)
    ours, theirs = layer.forward.cells[0], layer.backward.cells[0]
    assert not np.allclose(ours.weight, theirs.weight)
    np.testing.assert_array_equal(np.sort(ours.weight, None), np.sort(theirs.weight, None))
    np.testing.assert_array_equal(ours.candidate, theirs.candidate)  # an identity stays one


def test_any_layer_over_time_can_go_both_ways():
    cumulated = Bidirectional(lambda x: np.cumsum(x, axis=1), lambda x: np.cumsum(x, axis=1))
    y = cumulated(np.ones((1, 3, 1)))
    np.testing.assert_array_equal(y[0], [[1, 3], [2, 2], [3, 1]])


@pytest.mark.parametrize("kind", CELLS + LAYERS)
def test_the_first_state_is_zero(kind):
    model, x = kind(3, 4), normal(2, 5, 3)
    x = x if kind in LAYERS else x[:, 0]
    state = initialstates(model, 2)
    assert not any(part.any() for part in jax.tree.leaves(state))
    a, b = model(x), model(x, state)
    jax.tree.map(np.testing.assert_array_equal, a, b)


def test_the_first_state_of_a_stack_has_a_part_for_each_layer():
    states = initialstates(Bidirectional(LSTM(3, 4, layers=2)), 2)
    assert jax.tree.map(jnp.shape, states) == ((((2, 4),) * 2,) * 2,) * 2
    with pytest.raises(FluxError, match=r"initialstates\(batch\)"):
        initialstates(Dense(3, 4), 2)


def test_reprs_are_the_calls():
    assert repr(RNNCell(3, 4)) == "RNNCell(3, 4, tanh)"
    assert repr(LSTMCell(3, 4, bias=False)) == "LSTMCell(3, 4, bias=False)"
    assert repr(RNN(3, 4, relu)) == "RNN(3, 4, relu)"
    assert repr(GRU(3, 4, layers=2, dropout=0.1)) == "GRU(3, 4, layers=2, dropout=0.1)"


def test_summary_and_size_of_recurrent_layers():
    model = Chain(LSTM(3, 4), Bidirectional(GRU(4, 5)), Recurrence(Counting()))
    model[2].cell.weight = jnp.ones((10, 4))
    assert outputsize(model, (2, 7, 3)) == (2, 7, 4, 1)
    rows = summary(model, (2, 7, 3)).rows
    assert [(row.name, row.output, row.parameters) for row in rows[1:4]] == [
        ("0", "(2, 7, 4)", 128),
        ("0", "", 128),
        ("1", "(2, 7, 10)", 300),
    ]


# -- what is refused -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", CELLS)
def test_cells_refuse_other_widths_and_states(kind):
    cell = kind(3, 4)
    with pytest.raises(ShapeError, match=rf"{kind.__name__}\(3, 4.*\(2, 5\).*3"):
        cell(np.ones((2, 5)))
    with pytest.raises(ShapeError, match=rf"{kind.__name__}\(3, 4.* got a state.*\(3, 4\)"):
        cell(np.ones((2, 3)), jax.tree.map(lambda a: a[:3], initialstates(cell, 5)))
    wrong = (np.ones((2, 4)),) * 3
    with pytest.raises(ShapeError, match=rf"{kind.__name__}\(3, 4.* got a state of"):
        cell(np.ones((2, 3)), wrong)


@pytest.mark.parametrize("kind", LAYERS)
def test_layers_refuse_what_does_not_fit(kind):
    model = Chain(kind(3, 4, layers=2), Dense(4, 1))
    name = rf"{kind.__name__}\(3, 4.*, `layers\[0\]` of Chain"
    with pytest.raises(ShapeError, match=rf"{name}.*\(2, 7, 5\).*3"):
        model(np.ones((2, 7, 5)))
    with pytest.raises(ShapeError, match=rf"{name}.*\(7, 3\)(.|\n)*x\[None\]"):
        model(np.ones((7, 3)))
    with pytest.raises(ShapeError, match=rf"{name}.*\(2, 0, 3\)"):
        model(np.ones((2, 0, 3)))
    with pytest.raises(ShapeError, match=r"\(state 1, state 2\)"):
        model(np.ones((2, 7, 3)), np.ones((2, 4)))
    state = initialstates(model[0], 3)
    with pytest.raises(ShapeError, match=rf"`cells\[0\]` of {kind.__name__}"):
        model(np.ones((2, 7, 3)), state)


def test_a_cell_over_time_refuses_other_widths():
    with pytest.raises(ShapeError, match=r"GRUCell\(3, 4\), `cell` of Recurrence.*\(2, 7, 5\)"):
        Recurrence(GRUCell(3, 4))(np.ones((2, 7, 5)))


@pytest.mark.parametrize("lengths", [[3], [3.0, 1.0], [8, 1], [-1, 2]])
def test_lengths_that_do_not_fit_are_refused(lengths):
    with pytest.raises(ShapeError, match=r"LSTM\(3, 4\) got lengths"):
        LSTM(3, 4)(np.ones((2, 7, 3)), lengths=lengths)


def test_a_stack_has_a_layer_at_least():
    with pytest.raises(ValueError, match="layers=0"):
        GRU(3, 4, layers=0)


def test_a_named_activation_is_refused():
    with pytest.raises(FluxError, match="RNNCell"):
        RNN(3, 4, "tanh")
    assert RNN(3, 4, tanh).cells[0].activation is tanh


def test_a_stack_of_gru_v3_is_its_cells_one_after_the_other():
    layer, x = GRUv3(3, 4, layers=2, rng=0), normal(2, 5, 3)
    states, outputs = [None, None], []
    for t in range(5):
        first, states[0] = layer.cells[0](x[:, t], states[0])
        second, states[1] = layer.cells[1](first, states[1])
        outputs.append(second)
    np.testing.assert_allclose(layer(x), np.stack(outputs, 1), rtol=1e-5, atol=1e-6)


def test_a_gru_with_its_second_bias_and_gradients_agrees_with_pytorch():
    theirs = torch.nn.GRU(3, 4, 2, batch_first=True)
    ours, x = GRU(3, 4, layers=2, recurrent_bias=True), normal(2, 5, 3)
    flux.load_torch(ours, theirs)
    expected, _ = theirs(torch.tensor(x))
    (expected**2).sum().backward()
    np.testing.assert_allclose(ours(x), expected.detach(), rtol=1e-4, atol=1e-6)
    (grads,) = flux.gradient(lambda m: (m(x) ** 2).sum(), ours)
    compare_gradients(grads.cells, theirs)
    for k, cell in enumerate(grads.cells):
        second = getattr(theirs, f"bias_hh_l{k}").grad
        np.testing.assert_allclose(cell.recurrent_bias, second[8:], rtol=1e-4, atol=1e-5)
    assert repr(ours) == "GRU(3, 4, layers=2, recurrent_bias=True)"
    assert repr(ours.cells[0]) == "GRUCell(3, 4, recurrent_bias=True)"
