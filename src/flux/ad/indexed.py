"""Rows of a cotangent that are kept as a list until the whole is needed."""

class Indexed:
    __slots__ = ()

def merge(a, b):
    raise NotImplementedError
