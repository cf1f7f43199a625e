"""The same models in Flux and in its peers, one file a framework, for `models.py`.

Each file has a dictionary `MODELS` by name; `step(name)`, which makes a function that takes the
next step of training on `batch(name)` and returns the loss; and `parameters(name)`, their number.
"""
