"""Derivatives of SciPy: a file a subject, each loaded when SciPy's own submodule is.

What has no rule is refused where it is given values that carry a derivative: SciPy's Python source
leads to compiled code, copies that it overwrites and iterations that stop by themselves.
"""

from flux.rules.scipy import callees

__all__ = ["callees"]
