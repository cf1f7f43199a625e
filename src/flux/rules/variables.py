"""Derivatives of variables that are not plain local ones: captured, global, or without a value."""

from __future__ import annotations

from flux.ad.registry import augments, inert
from flux.ir import prims
from flux.tree.objects import is_filled

NONE2 = (None, None)


@augments(prims.read_cell)
def read_cell(cell, name):
    """A captured variable that may have no value."""
    return load_cell(cell, prims.read_cell.fn(cell, name))


@augments(prims.bound)
def bound(value, name):
    """A local variable that may have no value."""
    return prims.bound.fn(value, name), lambda ct, store: (ct, None)


@augments(prims.load_cell)
def load_cell(cell, value):
    """A captured variable; read through the cell, so that the read is differentiated in turn."""
    y = cell.cell_contents

    def back(ct, store):
        store.add(cell, "cell_contents", ct)
        return NONE2

    return y, back


@augments(prims.store_cell)
def store_cell(cell, value):
    if not is_filled(cell):
        return init_cell(cell, value)
    cell.cell_contents = value

    def back(ct, store):
        return None, store.take(cell, "cell_contents")

    return None, back


@augments(prims.init_cell)
def init_cell(cell, value):
    """The first value of a cell, which is the running function's own."""
    cell.cell_contents = value

    def back(ct, store):
        return None, store.take(cell, "cell_contents")

    return None, back


@augments(prims.load_global)
def load_global(module, name):
    value = prims.load_global.fn(module, name)

    def back(ct, store):
        store.add(module, name, ct)
        return NONE2

    return value, back


@augments(prims.store_global)
def store_global(module, name, value):
    module[name] = value

    def back(ct, store):
        return None, None, store.take(module, name)

    return None, back


inert(is_filled)
