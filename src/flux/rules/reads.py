"""Higher derivatives through cotangents that are kept as a list of reads."""

from __future__ import annotations

from flux.ad.cotangents import accumulate, dense
from flux.ad.indexed import Indexed
from flux.ad.registry import augments
from flux.ad.spaces import project


@augments(Indexed)
def made(like, index, ct, *before):
    """A read, whose cotangent comes with the object, or as that of the whole array.

    The latter is so where a compiled branch or loop has made one array of the reads.
    """
    read = Indexed(like, index, ct, *before)

    def back(whole, store):
        to_ct, to_before = store.take(read, "ct"), store.take(read, "before")
        if whole is not None:
            whole = dense(whole)
            part = whole if index is ... else whole[index]
            to_ct = accumulate(to_ct, part if type(ct) is Indexed else project(part, ct))
            to_before = accumulate(to_before, whole)
        return (None, None, to_ct, *[to_before for _ in before])

    return read, back
