"""Programs that are read and counted without being run."""

import numpy as np

import flux

A = np.ones((16, 16), np.float32)
PRODUCT = 2 * 16**3


def nested(a):
    b = a
    for _ in range(10):
        for _ in range(7):
            b = b @ a
        b = b @ a
    return b


def one_sided(a):
    b = a
    if a.sum() > 0:
        for _ in range(20):
            b = b @ a
    else:
        b = b @ a
    return b


def until(a):
    b = a
    while b.sum() < 1e9:
        b = b @ a
    return b


def test_every_iteration_of_a_loop_is_counted():
    for f, products in [(nested, 80), (one_sided, 20), (until, 1)]:
        cost = flux.lower(f, A).cost()
        assert products <= cost["flops"] / PRODUCT < 1.1 * products + 0.2, f
        assert cost["bytes"] > products * A.nbytes
        assert cost["unknown_loops"] == (f is until)
    backward = flux.lower(lambda a: flux.gradient(lambda a: nested(a).sum(), a), A).cost()
    assert 2.9 < backward["flops"] / (80 * PRODUCT) < 3.3  # two products for each one


def test_the_text_holds_the_control_flow_and_nothing_runs():
    seen = []
    text = flux.lower(flux.jit(lambda a: seen.append(1) or until(a)), A).as_text()
    assert "stablehlo.while" in text
    assert "stablehlo.dot_general" in text
    assert seen == []
    assert "stablehlo.case" in flux.lower(one_sided, A).as_text()
