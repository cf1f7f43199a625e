"""Layers that bring their input to mean 0 and variance 1."""

from __future__ import annotations

from flux.ad import nograd, stop_gradient
from flux.errors import ArgumentError, user_line
from flux.functional import affine, groupnorm, identity, normalise, rmsnorm, standardise
from flux.functional.arrays import convert, namespace, reshape, size_of
from flux.init import ones, zeros
from flux.layers.check import check_activation, check_sizes, check_width, refuse
from flux.layers.layer import layer
from flux.layers.modes import training
from flux.layers.show import call_repr

__all__ = ["BatchNorm", "GroupNorm", "InstanceNorm", "LayerNorm", "RMSNorm"]


@layer
class BatchNorm:
    """Normalise each channel over all examples and positions of a batch, then scale and shift.

    ``activation((x - mean) / sqrt(var + eps) * scale + shift)``. In training, mean and (biased)
    variance are those of the batch, and running estimates follow them: ``new = (1 - momentum) * old
    + momentum * batch``, with the unbiased variance. In testing the running estimates are used.

    Args:
        n: the number of channels, the last axis.
        activation: a function of the result.
        eps: added to the variance.
        momentum: the weight of a new batch in the running estimates.
        affine: whether to have `scale` and `shift`.
        track_stats: whether to have `mean` and `var`; without them testing is as training.

    Shapes: ``(B, ..., n) -> (B, ..., n)``.
    Dtypes: the input is brought to the parameters' dtype.
    Raises: ``ShapeError`` for another number of channels, or in training for a batch with one value
        per channel, whose variance says nothing.
    Source: Ioffe and Szegedy (2015), Batch normalization.

    >>> import numpy as np
    >>> BatchNorm(3)(np.ones((2, 3))).round(3).tolist()
    [[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]
    """

    nontrainable = ("mean", "var")

    def __init__(
        self, n, activation=identity, *, eps=1e-5, momentum=0.1, affine=True, track_stats=True
    ):
        check_sizes(type(self).__name__, n=n)
        self.scale, self.shift = (ones(n), zeros(n)) if affine else (None, None)
        self.mean, self.var = (zeros(n), ones(n)) if track_stats else (None, None)
        self.activation = check_activation(activation, type(self).__name__)
        self.n, self.eps, self.momentum = n, eps, momentum
        self.active = None

    def __call__(self, x):
        x = _convert(x, self.scale, self.mean)
        check_width(self, x, self.n)
        if training(self):
            y = self.train(x)
        elif self.mean is None or self.var is None:
            y = standardise(x, axis=_all_but_last(x), eps=self.eps)[0]
        else:
            y = (x - self.mean) / (self.var + self.eps) ** 0.5
        return self.activation(affine(y, self.scale, self.shift))

    def train(self, x):
        """Normalise with the statistics of the batch and let the running ones follow."""
        count = size_of(x) // self.n
        if count < 2:
            refuse(self, x, "one value per channel has no variance to train with")
        y, mean, var = standardise(x, axis=_all_but_last(x), eps=self.eps)
        if self.mean is not None:
            self.mean = _follow(self.mean, mean, self.momentum)
            self.var = _follow(self.var, var * (count / (count - 1)), self.momentum)
        return y

    def __repr__(self):
        return call_repr(
            self,
            self.n,
            self.activation,
            eps=self.eps,
            momentum=self.momentum,
            affine=self.scale is not None,
            track_stats=self.mean is not None,
        )


@layer
class InstanceNorm:
    """Normalise each channel of each example over its positions.

    As `BatchNorm`, with the statistics of one example instead of the batch; running estimates, if
    tracked, follow the average over the batch.

    Args:
        n: the number of channels, the last axis.
        activation: a function of the result.
        eps: added to the variance.
        momentum: the weight of a new batch in the running estimates.
        affine: whether to have `scale` and `shift`.
        track_stats: whether to have `mean` and `var`, used in testing.

    Shapes: ``(B, ..., n) -> (B, ..., n)`` with at least one axis of positions.
    Raises: ``ShapeError`` for another number of channels, or for one value per channel and example.
    Source: Ulyanov, Vedaldi and Lempitsky (2016), Instance normalization.

    >>> import numpy as np
    >>> InstanceNorm(1)(np.array([[[1.0], [3.0]]])).round(3).tolist()
    [[[-1.0], [1.0]]]
    """

    nontrainable = ("mean", "var")

    def __init__(
        self, n, activation=identity, *, eps=1e-5, momentum=0.1, affine=False, track_stats=False
    ):
        check_sizes(type(self).__name__, n=n)
        self.scale, self.shift = (ones(n), zeros(n)) if affine else (None, None)
        self.mean, self.var = (zeros(n), ones(n)) if track_stats else (None, None)
        self.activation = check_activation(activation, type(self).__name__)
        self.n, self.eps, self.momentum = n, eps, momentum
        self.active = None

    def __call__(self, x):
        x = _convert(x, self.scale, self.mean)
        check_width(self, x, self.n)
        if self.mean is not None and self.var is not None and not training(self):
            y = (x - self.mean) / (self.var + self.eps) ** 0.5
        else:
            y = self.train(x)
        return self.activation(affine(y, self.scale, self.shift))

    def train(self, x):
        """Normalise with the statistics of each example and let the running ones follow."""
        count = size_of(x) // (x.shape[0] * self.n)
        if count < 2:
            refuse(self, x, "one value per channel and example has no variance")
        y, mean, var = standardise(x, axis=tuple(range(1, x.ndim - 1)), eps=self.eps)
        if self.mean is not None:
            self.mean = _follow(self.mean, _over_batch(mean), self.momentum)
            self.var = _follow(self.var, _over_batch(var) * (count / (count - 1)), self.momentum)
        return y

    def __repr__(self):
        return call_repr(
            self,
            self.n,
            self.activation,
            eps=self.eps,
            momentum=self.momentum,
            affine=self.scale is not None,
            track_stats=self.mean is not None,
        )


@layer
class LayerNorm:
    """Normalise each example over its features, then scale and shift.

    Args:
        *size: the shape of the last axes, the features.
        activation: a function of the result.
        eps: added to the variance.
        affine: whether to have `scale` and `shift`.

    Shapes: ``(..., *size) -> (..., *size)``.
    Raises: ``ShapeError`` if the last axes are not `size`.
    Source: Ba, Kiros and Hinton (2016), Layer normalization.

    >>> import numpy as np
    >>> LayerNorm(2)(np.array([[1.0, 3.0]])).round(3).tolist()
    [[-1.0, 1.0]]
    """

    def __init__(self, *size, activation=identity, eps=1e-5, affine=True):
        check_sizes(type(self).__name__, **{f"size[{i}]": n for i, n in enumerate(size)})
        self.scale, self.shift = (ones(size), zeros(size)) if affine else (None, None)
        self.activation = check_activation(activation, type(self).__name__)
        self.size, self.eps = size, eps

    def __call__(self, x):
        x = _convert(x, self.scale)
        if x.shape[len(x.shape) - len(self.size) :] != self.size:
            refuse(self, x, f"its last axes must be {self.size}")
        y = normalise(x, axis=tuple(range(-len(self.size), 0)), eps=self.eps)
        return self.activation(affine(y, self.scale, self.shift))

    def __repr__(self):
        options = {"activation": self.activation, "affine": self.scale is not None}
        return call_repr(self, *self.size, eps=self.eps, **options)


@layer
class RMSNorm:
    """Divide by the root of the mean square of the features, then scale.

    Args:
        n: the number of features, the last axis.
        eps: added to the mean square.

    Shapes: ``(..., n) -> (..., n)``.
    Raises: ``ShapeError`` for another number of features.
    Source: Zhang and Sennrich (2019), Root mean square layer normalization.

    >>> import numpy as np
    >>> RMSNorm(2)(np.array([3.0, 4.0]))
    Array([0.8485281, 1.1313708], dtype=float32)
    """

    def __init__(self, n, *, eps=1e-6):
        check_sizes(type(self).__name__, n=n)
        self.scale = ones(n)
        self.eps = eps

    def __call__(self, x):
        x = convert(x, self.scale)
        check_width(self, x, self.scale.shape[0])
        return rmsnorm(x, self.scale, eps=self.eps)

    def __repr__(self):
        return call_repr(self, *self.scale.shape, eps=self.eps)


@layer
class GroupNorm:
    """Normalise each example over its positions and the channels of a group.

    Args:
        n: the number of channels, the last axis.
        groups: into how many runs of neighbouring channels they are divided.
        activation: a function of the result.
        eps: added to the variance.
        affine: whether to have `scale` and `shift`.

    Shapes: ``(B, ..., n) -> (B, ..., n)``.
    Raises: ``ShapeError`` for another number of channels; ``ValueError`` if `groups` does not
        divide `n`.
    Source: Wu and He (2018), Group normalization.

    >>> import numpy as np
    >>> GroupNorm(4, 2)(np.array([[1.0, 3.0, 5.0, 5.0]])).round(3).tolist()
    [[-1.0, 1.0, 0.0, 0.0]]
    """

    def __init__(self, n, groups, activation=identity, *, eps=1e-5, affine=True):
        check_sizes(type(self).__name__, n=n)
        check_sizes(type(self).__name__, least=1, groups=groups)
        if n % groups:
            raise ArgumentError(
                f"GroupNorm got {n} channels, which {groups} groups do not divide.",
                where=user_line(),
            )
        self.scale, self.shift = (ones(n), zeros(n)) if affine else (None, None)
        self.activation = check_activation(activation, type(self).__name__)
        self.n, self.groups, self.eps = n, groups, eps

    def __call__(self, x):
        x = _convert(x, self.scale)
        check_width(self, x, self.n)
        return self.activation(groupnorm(x, self.groups, self.scale, self.shift, eps=self.eps))

    def __repr__(self):
        options = {"eps": self.eps, "affine": self.scale is not None}
        return call_repr(self, self.n, self.groups, self.activation, **options)


def _convert(x, *parameters):
    for parameter in parameters:
        if parameter is not None:
            return convert(x, parameter)
    return x


def _follow(old, batch, momentum):
    batch = reshape(stop_gradient(batch), old.shape)
    batch = namespace(batch).astype(batch, old.dtype)
    return (1 - momentum) * old + momentum * batch


def _over_batch(x):
    return namespace(x).mean(x, axis=0)


@nograd
def _all_but_last(x):
    return tuple(range(len(x.shape) - 1))
