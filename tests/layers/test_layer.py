"""The class decorator: constructor, repr, JAX's acceptance."""

import copy

import jax
import jax.numpy as jnp
import numpy as np

from flux.ad import gradient
from flux.layers import Dense, layer


@layer
class Affine:
    weight: object
    shift: object = 0.0

    def __call__(self, x):
        return x * self.weight + self.shift


@layer
class Branches:
    def __init__(self, n):
        self.left, self.right = Dense(n, n), [Dense(n, n)]

    def __call__(self, x):
        return self.left(x) + self.right[0](x)


def test_annotations_make_the_constructor():
    assert Affine(2.0)(3.0) == 6.0
    assert Affine(weight=2.0, shift=1.0)(3.0) == 7.0


def test_two_layers_are_equal_only_if_they_are_one():
    a = Affine(2.0)
    assert a == a
    assert a != Affine(2.0)
    assert len({a, Affine(2.0)}) == 2


def test_the_repr_is_a_tree_with_counts():
    lines = repr(Branches(2)).splitlines()
    assert lines[0] == "Branches("
    assert lines[1] == "  left=Dense(2, 2),  # 6 parameters"
    assert lines[-1] == ")  # 12 parameters in 4 arrays"


def test_arrays_are_shown_by_dtype_and_shape():
    assert repr(Affine(jnp.ones((2, 3)))) == "Affine(weight=float32[2, 3], shift=0.0)"


def test_a_repr_of_its_own_stays():
    @layer
    class Named:
        def __repr__(self):
            return "me"

    assert repr(Named()) == "me"


def test_jax_sees_the_arrays_of_a_layer():
    doubled = jax.tree.map(lambda a: 2 * a, Affine(jnp.ones(2), jnp.zeros(2)))
    assert isinstance(doubled, Affine)
    np.testing.assert_array_equal(doubled.weight, [2, 2])


def test_the_gradient_of_a_layer_is_a_layer_of_gradients_and_prints():
    (grads,) = gradient(lambda m: m(jnp.ones(2)).sum(), Branches(2))
    assert isinstance(grads, Branches)
    assert grads.left.weight.shape == grads.right[0].weight.shape == (2, 2)
    assert "Dense(weight=float32[2, 2]" in repr(grads)


def test_a_layer_used_twice_has_one_gradient_the_sum():
    m = Affine(jnp.asarray(3.0))
    (grads,) = gradient(lambda m: m(m(jnp.asarray(2.0))), m)
    assert float(grads.weight) == 12.0


def test_a_deep_copy_is_another_layer():
    a = Dense(2, 3)
    b = copy.deepcopy(a)
    b.weight = b.weight + 1
    assert (a.weight != b.weight).all()
