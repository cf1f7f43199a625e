"""Text, letter by letter: a recurrent network (GRU) that guesses the next letter from its state.

Data: the help texts that ship with Python (`pydoc_data.topics`), each paragraph once: some 375,000
letters, of which the last tenth is held out.
Result: a held-out loss of at most 1.3 nats a letter (seed 0 gave 1.25), after four minutes on two
cores that had other work too. `gpt.py` learns the same text with as many parameters, 330,000, and
compares the two.
Source: Cho et al. (2014), Learning phrase representations; Karpathy (2015), The unreasonable
effectiveness of recurrent neural networks.
"""

from __future__ import annotations

from pydoc_data.topics import topics

import numpy as np

import flux
from flux.zoo import Expected, Settings

SETTINGS = Settings(epochs=3, batch=16, lr=4e-3)
EXPECTED = Expected("held-out loss", 1.3, "less", "nats a letter")

LETTERS = 128  # ASCII
CONTEXT, STRIDE = 128, 64  # letters in an example, and from one to the next
HELD_OUT = 256  # letters in a held-out example


def build():
    """A network from letters ``(B, T)`` to the scores of those that follow ``(B, T, 128)``."""
    return Writer(64, 278)


@flux.layer
class Writer:
    """Called with letters and a state; returns scores and the state after them."""

    def __init__(self, dim, n_hidden):
        self.embedding = flux.Embedding(LETTERS, dim)
        self.gru = flux.GRU(dim, n_hidden)
        self.scores = flux.Dense(n_hidden, LETTERS)

    def __call__(self, letters, state=None):
        outputs, state = self.gru(self.embedding(letters), state, return_state=True)
        return self.scores(outputs), state


def text() -> str:
    """The help texts, without the paragraphs that come again."""
    paragraphs = dict.fromkeys(p for topic in topics.values() for p in topic.split("\n\n"))
    return "\n\n".join(paragraphs)


def as_letters(text: str) -> np.ndarray:
    """Text as numbers of letters.

    >>> as_letters("“ABC”")
    array([34, 65, 66, 67, 34], dtype=int32)
    """
    plain = text.translate(str.maketrans("“”‘’", "\"\"''")).encode("ascii", "replace")
    return np.frombuffer(plain, np.uint8).astype(np.int32)


def data(split: str) -> tuple[np.ndarray]:
    """Examples, each with the letter after its end; those of `"train"` overlap."""
    letters = as_letters(text())
    end = len(letters) * 9 // 10
    if split == "train":
        return (np.lib.stride_tricks.sliding_window_view(letters[:end], CONTEXT + 1)[::STRIDE],)
    return (np.lib.stride_tricks.sliding_window_view(letters[end:], HELD_OUT + 1)[::HELD_OUT],)


def loss(model, examples):
    """The mean crossentropy of each letter that follows another."""
    scores, _ = model(examples[:, :-1])
    return flux.losses.logit_crossentropy(scores, examples[:, 1:])


def rule(lr: float, steps: int):
    """Adam, with a rate that falls along a cosine."""
    return flux.optim.Adam(flux.schedules.cosine(lr, steps))


@flux.jit
def measure(model, examples):
    """The loss on held-out text."""
    return loss(model, examples)


def write(model, prompt: str, count: int, *, temperature: float = 0.7, seed: int = 0) -> str:
    """Let the model go on with a text by so many letters, drawn by their probabilities."""
    rng, read = np.random.default_rng(seed), flux.jit(model)
    new, state, written = as_letters(prompt), None, []
    for _ in range(count):
        scores, state = read(new[None], state)
        chances = np.asarray(scores[0, -1]) / temperature + rng.gumbel(size=LETTERS)
        new = np.array([chances.argmax()], np.int32)
        written.append(chr(new[0]))
    return prompt + "".join(written)


def report(model) -> dict[str, str]:
    """What the model is good for."""
    return {"it writes": write(model, "The ", 400)}
