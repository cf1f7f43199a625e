"""Derivatives of JAX's arrays and of every function of JAX and the libraries built on it."""

from flux.rules.jax import callees, methods, space, trees

__all__ = ["callees", "methods", "space", "trees"]
