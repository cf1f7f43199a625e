"""Matrices that a program multiplies by again and again: their cotangents are sums of products."""

import numpy as np
import pytest
import torch

import flux

RNG = np.random.default_rng(0)
W = RNG.normal(size=(3, 3)) / 2
X = RNG.normal(size=(3, 3))


class Cell:
    def __init__(self, w):
        self.w = w

    def step(self, x):
        return x @ self.w + x


def matrices(np, x, w):
    for _ in range(12):  # the factors are more than the limit in between
        x = np.tanh(x @ w)
    return x.sum()


def vectors(np, x, w):
    left, right = x[0], x[1]
    for _ in range(20):
        left, right = np.tanh(left @ w), np.tanh(w @ right)
    return left @ right


def both(np, x, w):
    row, total = x[0], 0.0
    for i in range(6):
        x, row = np.tanh(x @ w), np.tanh(row @ w) + w[i % 3]
        total = total + (w * w)[1, 2] + row @ x[i % 3]
    return total


def rows_of_a_stack(np, x, w):
    ws = np.stack([w, w * w, w + 1.0])
    for _ in range(3):
        for part in ws:
            x = np.tanh(x @ part)
    for i in range(5):
        x = np.tanh(x @ ws[i % 3] + ws[1][0])
    return (x * x).sum()


def in_an_object(np, x, w):
    cell = Cell(w)
    for _ in range(5):
        x = cell.step(x)
    cell.w = cell.w * 2.0
    for _ in range(5):
        x = np.tanh(cell.step(x))
    return (x * x).sum()


def in_a_branch(np, x, w):
    for i in range(9):
        if i % 3 == 0:
            x = np.tanh(x @ w @ w)
        elif i % 3 == 1:
            x = x + w[0]
        else:
            x = np.tanh(x @ w.T)
    return x.sum()


def shifted(np, x, w):
    return np.matmul(x, w) + (w * w).sum()


def in_functions(np, x, w):
    for _ in range(5):
        x = np.tanh(shifted(np, x, w))
    return (x * x).sum()


@pytest.mark.parametrize(
    "f", [matrices, vectors, both, rows_of_a_stack, in_an_object, in_a_branch, in_functions]
)
def test_sums_of_products(f):
    x, w = [torch.tensor(part, requires_grad=True) for part in (X, W)]
    expected = torch.autograd.grad(f(torch, x, w), (x, w))
    y, back = flux.pullback(lambda x, w: f(np, x, w), X, W)
    for _ in range(2):
        for part, reference in zip(back(1.0), expected, strict=True):
            assert part.dtype == np.float64
            np.testing.assert_allclose(part, reference.numpy(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("f", [matrices, vectors, in_an_object])
def test_second_derivatives_of_sums_of_products(f):
    def penalty(x, w):
        dx, dw = flux.gradient(lambda x, w: f(np, x, w), x, w)
        return np.sum(dx * dx) + np.sum(dw * dw * dw)

    x, w = [torch.tensor(part, requires_grad=True) for part in (X, W)]
    dx, dw = torch.autograd.grad(f(torch, x, w), (x, w), create_graph=True)
    expected = torch.autograd.grad((dx * dx).sum() + (dw * dw * dw).sum(), (x, w))
    for part, reference in zip(flux.gradient(penalty, X, W), expected, strict=True):
        np.testing.assert_allclose(part, reference.numpy(), rtol=1e-8, atol=1e-10)


def test_arrays_that_are_written_between_the_products():
    def f(x, w):
        u = np.zeros((6, 3))
        u[0] = x[0]
        for i in range(5):
            u[i + 1] = np.tanh(u[i] @ w)
            u[i] = u[i] * 2.0
        return np.sum(u * u)

    def reference(x, w):
        rows = [x[0]]
        for i in range(5):
            rows.append(torch.tanh(rows[i] @ w))
            rows[i] = rows[i] * 2.0
        return (torch.stack(rows) ** 2).sum()

    x, w = [torch.tensor(part, requires_grad=True) for part in (X, W)]
    expected = torch.autograd.grad(reference(x, w), (x, w))
    for part, wanted in zip(flux.gradient(f, X, W), expected, strict=True):
        np.testing.assert_allclose(part, wanted.numpy(), rtol=1e-9)


def test_in_place_products():
    def f(x, w):
        y = x.copy()
        for _ in range(3):
            y @= w
        return np.sum(y * y)

    def reference(x, w):
        return ((x @ w @ w @ w) ** 2).sum()

    x, w = [torch.tensor(part, requires_grad=True) for part in (X, W)]
    expected = torch.autograd.grad(reference(x, w), (x, w))
    for part, wanted in zip(flux.gradient(f, X, W), expected, strict=True):
        np.testing.assert_allclose(part, wanted.numpy(), rtol=1e-9)


@pytest.mark.parametrize(("x_dtype", "w_dtype"), [("f4", "f4"), ("f4", "f8"), ("f8", "f4")])
def test_dtypes_stay(x_dtype, w_dtype):
    x, w = X.astype(x_dtype), W.astype(w_dtype)
    parts = flux.gradient(lambda x, w: matrices(np, x, w), x, w)
    assert [part.dtype for part in parts] == [x.dtype, w.dtype]
    expected = flux.gradient(lambda x, w: matrices(np, x, w), X, W)
    for part, whole in zip(parts, expected, strict=True):
        np.testing.assert_allclose(part, whole, rtol=2e-4, atol=1e-6)


def test_dot_is_a_product_of_matrices():
    def f(x, w):
        for _ in range(3):
            x = np.tanh(np.dot(x, w))
        return np.dot(x[0], np.dot(w, x[1])) + np.sum(np.dot(x, 2.0))

    def reference(x, w):
        for _ in range(3):
            x = torch.tanh(x @ w)
        return x[0] @ (w @ x[1]) + (x * 2.0).sum()

    x, w = [torch.tensor(part, requires_grad=True) for part in (X, W)]
    expected = torch.autograd.grad(reference(x, w), (x, w))
    for part, wanted in zip(flux.gradient(f, X, W), expected, strict=True):
        np.testing.assert_allclose(part, wanted.numpy(), rtol=1e-9)


def test_complex_products():
    def f(x, w):
        for _ in range(4):
            x = x @ w
        return np.sum(np.abs(x) ** 2)

    x, w = X + 1j * X[::-1], W - 0.5j * W.T
    dw = flux.gradient(f, x, w)[1]
    step = 1e-6
    for i, j in [(0, 1), (2, 2)]:
        change = np.zeros((3, 3), complex)
        change[i, j] = step
        real = (f(x, w + change) - f(x, w - change)) / (2 * step)
        imaginary = (f(x, w + 1j * change) - f(x, w - 1j * change)) / (2 * step)
        np.testing.assert_allclose(dw[i, j], real - 1j * imaginary, rtol=1e-6)
