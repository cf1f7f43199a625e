"""Derivatives for arrays of any library that implements the Python array API standard.

The rules are written once, in the functions of the standard (`xp.sin`, `xp.sum`), and registered
for a library when one of its arrays or functions is met.
"""

from flux.rules.arrayapi import methods

__all__ = ["methods"]
