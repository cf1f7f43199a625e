"""The residual network: that it learns, its blocks, colour."""

import numpy as np

import flux
from flux.zoo import resnet
from tests.zoo.short import trained


def test_it_learns_to_read_digits_in_a_few_epochs():
    training = trained("resnet", 3)
    assert training.measures[-1] > 0.85
    assert training.losses[-1] < 0.2 < 0.5 < training.losses[0]


def test_a_block_whose_convolutions_give_nothing_is_its_shortcut():
    block = resnet.Block(4, 4)
    for layer in (block.body[0], block.body[2]):
        layer.weight = 0 * layer.weight
    x = np.linspace(-1, 1, 2 * 3 * 3 * 4, dtype=np.float32).reshape(2, 3, 3, 4)
    np.testing.assert_allclose(block(x), flux.relu(x))


def test_for_photographs_it_has_the_eighteen_and_two_layers_of_the_paper():
    sizes = flux.outputsize(resnet.build((32, 32, 3)), (32, 32, 3), padbatch=True)
    table = repr(flux.summary(resnet.build((32, 32, 3))))
    convolutions, shortcuts = table.count("Conv("), 2
    assert sizes == (resnet.CLASSES,)
    assert convolutions - shortcuts + 1 == 20
