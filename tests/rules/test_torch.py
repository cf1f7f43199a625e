"""PyTorch's rules: programs on tensors against PyTorch's own derivatives, and refusals."""

import numpy as np
import pytest

import flux
from flux.ad.check import check_rule
from flux.errors import NotDifferentiable

torch = pytest.importorskip("torch", reason="PyTorch's rules are tested where it is installed")
nn, F = torch.nn, torch.nn.functional
torch.manual_seed(0)
D = torch.float64
X, Y, W = torch.randn(3, 4, dtype=D), torch.randn(3, 4, dtype=D), torch.randn(4, 5, dtype=D)
S, V = torch.randn(4, 4, dtype=D) + 4 * torch.eye(4, dtype=D), torch.randn(6, dtype=D)
Z = torch.randn(3, 4, dtype=torch.complex128)
IMAGE, KERNEL = torch.randn(2, 3, 6, 6, dtype=D), torch.randn(4, 3, 3, 3, dtype=D)
LABELS, PLACES = torch.tensor([0, 3, 1]), torch.tensor([2, 0, 2])


def weighted(y):
    """A real number that depends on all of the result."""
    if isinstance(y, torch.Tensor):
        if y.is_complex():
            return weighted(y.real) + 2 * weighted(y.imag)
        return (y * torch.cos(torch.arange(y.numel(), dtype=y.dtype)).reshape(y.shape)).sum()
    total = torch.zeros((), dtype=D)
    for part in y:
        total = total + weighted(part)
    return total


def by_torch(f, args):
    """Gradients and those of their weighted sum, by PyTorch's recording."""
    leaves = [x.detach().clone().requires_grad_() for x in args]
    first = torch.autograd.grad(weighted(f(*leaves)), leaves, create_graph=True)
    first = [part.conj() for part in first]
    total = weighted(first)
    if not total.requires_grad:
        return first, [torch.zeros_like(x) for x in leaves]
    second = torch.autograd.grad(total, leaves, allow_unused=True)
    pairs = zip(leaves, second, strict=True)
    return first, [torch.zeros_like(x) if g is None else g.conj() for x, g in pairs]


def agrees(f, *args):
    """First and second order; form and memory of the gradients; a second call of the pullback."""
    expected, curved = by_torch(f, args)

    def loss(*args):
        return weighted(f(*args))

    value, back = flux.pullback(loss, *args)
    assert torch.allclose(value, loss(*args))
    assert not value.requires_grad
    for _ in range(2):
        for x, found, right in zip(args, back(1.0), expected, strict=True):
            assert (found.shape, found.dtype) == (x.shape, x.dtype)
            torch.testing.assert_close(found, right.detach(), rtol=1e-9, atol=1e-9)
            found.mul_(3)  # nobody else's memory
    again = flux.gradient(lambda *args: weighted(list(flux.gradient(loss, *args))), *args)
    for found, right in zip(again, curved, strict=True):
        torch.testing.assert_close(found, right.detach(), rtol=1e-8, atol=1e-8)


# -- programs --------------------------------------------------------------------------------------


def layered(x, w):
    return torch.tanh(x @ w) + 1.0


def item_by_item(x):
    y = torch.zeros(3, dtype=x.dtype)
    for i in range(3):
        y[i] = x[i].sum() ** 2
    return y


def rows_in_a_loop(x):
    total = 0.0
    for row in x:
        if row.sum() > 0:
            total = total + (row * row).sum()
        else:
            total = total - row.prod()
    return total


def changed_in_place(x):
    y = x.clone()
    y += x.exp()
    y *= 2
    y[0] += x[1]
    y[1:, ::2] = x[0, 0]
    y[-1, 1] = 3.0
    return y


def kept_in_containers(x):
    found = {"a": x, "b": [x * 2]}
    found["a"] = found["a"].sin()
    found["b"].append(found["a"] / x.norm())
    return torch.stack(found["b"]) + torch.cat([found["a"], x]).sum()


class Scaled:
    def __init__(self, scale):
        self.scale = scale

    def __call__(self, x):
        return x * self.scale


def through_an_object(x, y):
    layer = Scaled(y)
    layer.scale = layer.scale + x
    return layer(x)


def recursive(x):
    def power(n):
        return torch.ones_like(x) if n == 0 else x * power(n - 1)

    return power(3)


def shaped(x):
    a, b = x.split(2, dim=1)
    first, *rest = x.unbind(0)
    return (a * b.softmax(-1)).T.reshape(-1), first, rest[0].expand(2, 4), x.permute(1, 0).flatten()


def indexed(x):
    return (
        x[[0, 1, 0]],
        x[x > 0],
        x[..., -1],
        x[:, None, 1:3],
        x[PLACES, 1],
        x.index_select(0, PLACES),
    )


def reduced(x):
    return (
        x.sum(), x.mean(dim=0), x.var(), x.std(dim=1, keepdim=True), x.max(), x.min(dim=1).values,
        x.amax(0), x.prod(1), x.logsumexp(dim=0), x.norm(), x.cumsum(0), x.sort(dim=1)[0],
        torch.topk(x, 2).values, x.median(),
    )  # fmt: skip


def numbers_and_tensors(x):
    return 2.0**x - x / 3 + 5 - (-x) + abs(x) + x**3 + torch.add(x, x, alpha=0.5) + x.clip(0, 1)


def library(x):
    return (
        F.layer_norm(x, (4,)), F.gelu(x), F.softplus(x), F.log_softmax(x, dim=1),
        F.cross_entropy(x, LABELS), F.mse_loss(x, torch.zeros_like(x)), F.pad(x, (1, 2)), F.elu(x),
    )  # fmt: skip


def convolved(x, k):
    return F.max_pool2d(F.conv2d(x, k, padding=1).relu(), 2)


def solved(a):
    return torch.linalg.solve(a, torch.ones(4, dtype=D)), torch.linalg.inv(a), torch.linalg.det(a)


def products(x, w):
    return torch.einsum("ij,jk->ki", x, w), torch.matmul(x, w), x.mm(w), torch.outer(x[0], w[1])


def waves(x):
    return torch.fft.rfft(x), torch.fft.fft(x).abs()


def chosen(x, y):
    return torch.where(x > y, x * y, y.sin()), torch.maximum(x, y), x.lerp(y, 0.3), x.atan2(y)


def complex_values(z):
    return z * z.conj(), z.abs(), z.real * z.imag, torch.exp(z), z @ z.mH


def scattered(x):
    zeros = torch.zeros(3, 4, dtype=D)
    return zeros.scatter_add(0, PLACES[:, None].expand(3, 4), x), x.gather(0, PLACES[:, None])


def through_numpy(x):
    return torch.as_tensor(np.sin(x.numpy()) * 2) * x + torch.from_numpy(np.ones(4))


PROGRAMS = [
    (layered, X, W), (item_by_item, X), (rows_in_a_loop, X), (changed_in_place, X),
    (kept_in_containers, X), (through_an_object, X, Y), (recursive, X), (shaped, X), (indexed, X),
    (reduced, X), (numbers_and_tensors, X), (library, X), (convolved, IMAGE, KERNEL), (solved, S),
    (products, X, W), (waves, V), (chosen, X, Y), (complex_values, Z), (scattered, X),
]  # fmt: skip


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p[0].__name__)
def test_program(program):
    agrees(*program)


@pytest.mark.parametrize("shape", [(), (0,), (1, 1)], ids=str)
def test_shapes_at_the_edge(shape):
    agrees(lambda x: x * x.exp() + x.sum(), torch.ones(shape, dtype=D))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_gradients_have_the_dtype_of_the_primal(dtype):
    x = torch.ones(3, dtype=getattr(torch, dtype))
    y = torch.ones(3, dtype=D)
    found = flux.gradient(lambda x, y: (x * y + 2 * x).sum(), x, y)
    assert [part.dtype for part in found] == [x.dtype, y.dtype]
    assert flux.gradient(lambda x, n: (x * n).sum(), x, torch.arange(3))[1] is None


def test_through_numpy_and_back():
    (found,) = flux.gradient(lambda x: through_numpy(x).sum(), X)
    torch.testing.assert_close(found, 2 * (X.cos() * X + X.sin()))


def test_numbers_made_of_tensors_and_tensors_of_numbers():
    (found,) = flux.gradient(lambda x: x.sum().item() * 2 + float(x[0, 0]) + float(x[0][1]), X)
    right = torch.full_like(X, 2)
    right[0, :2] += 1
    torch.testing.assert_close(found, right)
    assert flux.gradient(lambda a: (torch.tensor([a, a * a]) * 3).sum().item(), 2.0) == (15.0,)


# -- modules ---------------------------------------------------------------------------------------


class Tied(nn.Module):
    """Uses one weight twice, counts its calls, and keeps a buffer."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(4, 4, dtype=D)
        self.second = nn.Linear(4, 4, dtype=D)
        self.second.weight = self.first.weight
        self.norm = nn.BatchNorm1d(4, dtype=D)
        self.register_buffer("scale", torch.full((4,), 2.0, dtype=D))
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        return self.norm(torch.relu(self.second(torch.tanh(self.first(x))))) * self.scale


def squared(model, x):
    return (model(x) ** 3).mean()


def test_module():
    model = Tied()
    (found, x_found) = flux.gradient(squared, model, X)
    assert model.calls == model.norm.num_batches_tracked == 1
    x = X.clone().requires_grad_()
    squared(model, x).backward()
    assert type(found) is Tied
    assert found.second.weight is found.first.weight
    parameters, gradients = dict(model.named_parameters()), dict(found.named_parameters())
    assert parameters.keys() == gradients.keys()
    for name, parameter in parameters.items():
        torch.testing.assert_close(gradients[name], parameter.grad)
    torch.testing.assert_close(x_found, x.grad)


@pytest.mark.parametrize("name", ["batch_norm", "instance_norm"])
def test_normalisation_by_running_statistics(name):
    """Against finite differences, in the statistics too."""
    var = torch.tensor([0.5, 1.0, 2.0], dtype=D)
    norm, option = getattr(F, name), {"batch_norm": "training", "instance_norm": "use_input_stats"}

    def loss(x, mean, var, weight):
        y = norm(x, mean, var, weight=weight, eps=1e-3, **{option[name]: False})
        return (y**2 * KERNEL.sum()).sum()

    check_rule(loss, IMAGE, V[:3], var, V[3:])
    x = IMAGE.clone()
    stats = torch.zeros(3, dtype=D), torch.ones(3, dtype=D)
    agrees(lambda x, weight: norm(x, *stats, weight, None, True), x, V[3:])


def test_modules_in_a_container_of_modules():
    model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.ModuleList([nn.Linear(3, 1)])[0]).double()
    found = flux.gradient(squared, model, X)[0]
    squared(model, X).backward()
    torch.testing.assert_close(found[2].weight, model[2].weight.grad)
    torch.testing.assert_close(found[0].bias, model[0].bias.grad)


class Encoder(nn.Module):
    """Recurrence, attention and an embedding: functions with settings that are numbers."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(7, 4)
        self.recurrent = nn.GRU(4, 4)
        self.attend = nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0)

    def forward(self, tokens):
        return self.attend(self.recurrent(self.table(tokens))[0])


def test_numbers_of_modules_are_settings():
    model, tokens = Encoder().double(), torch.tensor([[1, 2], [0, 1], [6, 6]])
    found = dict(flux.gradient(squared, model, tokens)[0].named_parameters())
    squared(model, tokens).backward()
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(found[name], parameter.grad)


def test_dense_derivatives():
    torch.testing.assert_close(flux.jacobian(lambda x: x**2, V)[0], torch.diag(2 * V))
    torch.testing.assert_close(flux.hessian(lambda x: (x**3).sum(), V), torch.diag(6 * V))


def test_chance_is_drawn_once():
    def penalty(x):
        (slope,) = flux.gradient(lambda x: (F.dropout(x * x, 0.5)).sum(), x)
        return (slope * slope).sum()

    torch.manual_seed(3)
    kept = F.dropout(torch.ones_like(X), 0.5)
    torch.manual_seed(3)
    torch.testing.assert_close(flux.gradient(penalty, X)[0], 8 * X * kept**2)


def test_what_pytorch_tracks_stays_tracked():
    w = W.clone().requires_grad_()
    y, back = flux.pullback(layered, X, w)
    (right,) = torch.autograd.grad(y.sum(), w, retain_graph=True)
    torch.testing.assert_close(back(torch.ones_like(y))[1], right)


def test_custom_function():
    class Clipped(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1

        @staticmethod
        def backward(ctx, ct):
            return ct * 7

    (found,) = flux.gradient(lambda x: Clipped.apply(x).sum(), X)
    torch.testing.assert_close(found, torch.full_like(X, 7))


# -- refusals --------------------------------------------------------------------------------------


def with_no_grad(x):
    with torch.no_grad():
        return (x * x).sum()


REFUSED = {
    "no_grad": with_no_grad,
    "method in place": lambda x: x.mul_(2).sum(),
    "function in place": lambda x: torch.relu_(x).sum(),
    "out=": lambda x: torch.add(x, x, out=torch.zeros_like(x)).sum(),
    "inplace=": lambda x: F.relu(x, inplace=True).sum(),
    "data": lambda x: x.data.sum(),
    "backward": lambda x: (x.sum().backward(), x.sum())[1],
    "vmap": lambda x: torch.vmap(lambda row: row * 2)(x).sum(),
    "slope in a number": lambda x: F.leaky_relu(torch.ones(3), x.sum().item()).sum(),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    with pytest.raises(NotDifferentiable) as caught:
        flux.gradient(REFUSED[name], X.clone())
    assert "test_torch.py" in str(caught.value)


def test_arrays_of_other_libraries_are_refused():
    import jax.numpy as jnp

    for f, x in ((torch.from_dlpack, np.ones(2)), (jnp.asarray, X), (jnp.from_dlpack, X)):
        with pytest.raises(NotDifferentiable):
            flux.gradient(lambda x, f=f: f(x).sum(), x)


def alias_changed(x):
    y = x.clone()
    z = y
    y[0] = 0.0
    return (y * z).sum()


def argument_changed(x):
    x[0] = 0.0
    return x.sum()


def view_changed(x):
    y = x.clone()
    row = y[0]
    row += 1
    return y.sum()


def base_changed_under_a_view(x):
    y = x.clone()
    view = y.view(-1)
    y[0] = 0.0
    return view.sum()


@pytest.mark.parametrize(
    "program", [alias_changed, argument_changed, view_changed, base_changed_under_a_view]
)
def test_changes_that_others_would_see_are_refused(program):
    x = X.clone()
    with pytest.raises(NotDifferentiable) as caught:
        flux.gradient(program, x)
    assert "test_torch.py" in str(caught.value)
    torch.testing.assert_close(x, X)
