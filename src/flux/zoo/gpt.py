"""Text, letter by letter: a small transformer (GPT) that looks back at the letters before.

Data: the help texts that ship with Python (`pydoc_data.topics`), each paragraph once: some 375,000
letters, of which the last tenth is held out.
Result: a held-out loss of at most 1.35 nats a letter (seed 0 gave 1.29), after four minutes on
two cores that had other work too. The recurrent network of `charrnn.py` is better here, with as
many parameters (331,000) and steps (993): 1.25. The likely reason is so short a training, over two
million letters: a state has the nearest letters at hand from the start, while attention must first
learn where to look. Tried without reaching it: dropout (1.33), and four blocks of 80 features,
which take longer (1.26).
Source: Radford et al. (2019), Language models are unsupervised multitask learners; positions as in
Su et al. (2021), RoFormer.
"""

from __future__ import annotations

from pydoc_data.topics import topics

import numpy as np

import flux
from flux.zoo import Expected, Settings

SETTINGS = Settings(epochs=3, batch=8, lr=2e-2)
EXPECTED = Expected("held-out loss", 1.35, "less", "nats a letter")

LETTERS = 128  # ASCII
CONTEXT, STRIDE = 256, 128  # letters in an example, and from one to the next


def build():
    """A network from letters ``(B, T)`` to the scores of those that follow ``(B, T, 128)``."""
    return GPT(dim=92, heads=2, depth=3)


@flux.layer
class Block:
    """Attention and two dense layers, each added to what it was given."""

    def __init__(self, dim, heads):
        self.norm = flux.LayerNorm(dim)
        self.attention = flux.MultiHeadAttention(dim, heads, rotary=flux.RotaryEmbedding())
        self.dense = flux.Chain(
            flux.LayerNorm(dim), flux.Dense(dim, 4 * dim, flux.gelu), flux.Dense(4 * dim, dim)
        )

    def __call__(self, x, cache=None):
        x = x + self.attention(self.norm(x), causal=True, cache=cache)
        return x + self.dense(x)


@flux.layer
class GPT:
    """Called with letters; with caches these follow on the letters of earlier calls."""

    def __init__(self, dim, heads, depth):
        self.embedding = flux.Embedding(LETTERS, dim, init=flux.init.truncated_normal(std=0.02))
        self.blocks = [Block(dim, heads) for _ in range(depth)]
        self.norm = flux.LayerNorm(dim)
        self.scores = flux.Dense(dim, LETTERS)

    def __call__(self, letters, caches=None):
        x = self.embedding(letters)
        for i, block in enumerate(self.blocks):
            x = block(x, None if caches is None else caches[i])
        return self.scores(self.norm(x))

    def caches(self):
        """Empty ones, for one text of ``CONTEXT`` letters."""
        return [block.attention.cache(1, CONTEXT) for block in self.blocks]


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
    part, step = (letters[:end], STRIDE) if split == "train" else (letters[end:], CONTEXT)
    return (np.lib.stride_tricks.sliding_window_view(part, CONTEXT + 1)[::step],)


def loss(model, examples):
    """The mean crossentropy of each letter that follows another."""
    return flux.losses.logit_crossentropy(model(examples[:, :-1]), examples[:, 1:])


def rule(lr: float, steps: int):
    """Muon, with a rate that rises for 50 steps and then falls along a cosine."""
    return flux.optim.Muon(flux.schedules.warmup(flux.schedules.cosine(lr, steps), 50))


@flux.jit
def measure(model, examples):
    """The loss on held-out text."""
    return loss(model, examples)


def write(model, prompt: str, count: int, *, temperature: float = 0.7, seed: int = 0) -> str:
    """Let the model go on with a text by so many letters, drawn by their probabilities.

    The keys and values of earlier letters are kept, so that each is gone through once. When there
    is no room for more, the later half of the context is read anew.
    """
    rng, read = np.random.default_rng(seed), flux.jit(model)
    letters, caches = list(as_letters(prompt)), model.caches()
    new = letters[-CONTEXT // 2 :]
    for _ in range(count):
        if int(caches[0].position) + len(new) > CONTEXT:
            caches, new = model.caches(), letters[-CONTEXT // 2 :]
        scores = read(np.array([new], np.int32), caches)
        chances = np.asarray(scores[0, -1]) / temperature + rng.gumbel(size=LETTERS)
        new = [int(chances.argmax())]
        letters += new
    return prompt + "".join(map(chr, letters[-count:]))


def report(model) -> dict[str, str]:
    """What the model is good for."""
    return {"it writes": write(model, "The ", 400)}
