"""The derivative of solving a sparse system of equations."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse.linalg import spsolve

from flux.ad.registry import AUGMENTED
from flux.ad.spaces import project
from flux.rules.scipy.callees import refusing
from flux.rules.scipy.sparse.matrices import outer
from flux.rules.scipy.sparse.space import like_entries


def solved(A, b, *rest, **options):
    """`spsolve(A, b)`: the cotangent of `b` solves the transposed system."""
    if not isinstance(b, np.ndarray):
        return refusing(spsolve)(A, b, *rest, **options)
    y = spsolve(A, b, *rest, **options)
    nones = [None for _ in (*rest, *options)]

    def back(ct, store):
        if ct is None:
            return (None, None, *nones)
        whole: Any = spsolve(A.T, np.reshape(ct, np.shape(b)))
        db = np.reshape(whole, np.shape(ct))
        return (like_entries(A, lambda: -outer(A, db, y)), project(np.reshape(db, np.shape(b)), b),
                *nones)  # fmt: skip

    return y, back


AUGMENTED[spsolve] = solved
