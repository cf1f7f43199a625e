"""Derivatives of reading by a function: `operator.itemgetter`, `attrgetter`, `methodcaller`."""

from __future__ import annotations

import operator

from flux.ad.registry import FINDERS
from flux.ad.runtime import call
from flux.rules.equivalents import as_python


@as_python(operator.getitem)
def getitem_(owner, index):
    return owner[index]


@as_python(operator.itemgetter)
def itemgetter_(*keys):
    if len(keys) == 1:
        return lambda owner: owner[keys[0]]
    return lambda owner: tuple([owner[key] for key in keys])


@as_python(operator.attrgetter)
def attrgetter_(*names):
    if len(names) == 1:
        return lambda owner: read_path(owner, names[0])
    return lambda owner: tuple([read_path(owner, name) for name in names])


def read_path(owner, path):
    """`owner.a.b` for the path `"a.b"`."""
    for name in path.split("."):
        owner = getattr(owner, name)
    return owner


def made_getter(f):
    """A getter of the `operator` module that was made elsewhere."""
    if type(f) is operator.itemgetter:
        getter = itemgetter_(*f.__reduce__()[1])
    elif type(f) is operator.attrgetter:
        getter = attrgetter_(*f.__reduce__()[1])
    else:
        return None
    return lambda owner: call(getter, owner)


@as_python(operator.methodcaller)
def methodcaller_(name, *args, **keywords):
    return lambda owner: getattr(owner, name)(*args, **keywords)


FINDERS.append(made_getter)
