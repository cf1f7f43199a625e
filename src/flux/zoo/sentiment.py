"""Is a review friendly? Read word by word, because it is the order of the words that decides.

A grammar writes reviews of one to three clauses; the last one decides. Some words turn the sense of
a clause around, and do so twice where there are two: "nobody would say the plot was not dull". A
recurrent network (LSTM) reads reviews of unlike length side by side, each up to its own end.
Data: 4,000 reviews of 3 to 37 words to learn from, and 1,000 others.
Result: at least 99 % of the others, after ten seconds on two cores (three seeds gave 100 %). A
logistic regression on the counts of words (`bag_of_words`) gets 50 %, no more than a coin.
Source: Hochreiter and Schmidhuber (1997), Long short-term memory.
"""

from __future__ import annotations

import numpy as np

import flux
from flux.zoo import Expected, Settings

SETTINGS = Settings(epochs=8, batch=64, lr=5e-3)
EXPECTED = Expected("held-out accuracy", 0.99)

SUBJECTS = "it", "the plot", "the acting", "the music", "the ending", "the camera work"
GOOD = "good", "clever", "moving", "funny", "fresh", "brilliant"
BAD = "bad", "dull", "clumsy", "boring", "stale", "awful"
TURNS = "not", "hardly", "never"  # before an adjective
DEGREES = "very", "really", "so", "that"
OPENINGS = "i think", "as everybody says ,", "one must say"
DENIALS = "nobody would say", "i doubt that", "it is wrong that"  # they turn a clause around, too
JOINTS = ", but", "; and yet", ", and still"
PHRASES = SUBJECTS + GOOD + BAD + TURNS + DEGREES + OPENINGS + DENIALS + JOINTS
WORDS = ["", "was", *sorted({word for phrase in PHRASES for word in phrase.split()})]
NUMBERS = {word: number for number, word in enumerate(WORDS)}


def build():
    """A network from words to two scores, unfriendly and friendly."""
    return Reader(len(WORDS), 32, 64)


@flux.layer
class Reader:
    """From numbers of words ``(B, T)``, of which ``lengths`` count, to scores ``(B, 2)``."""

    def __init__(self, words, dim, n_hidden):
        self.embedding = flux.Embedding(words, dim, padding_idx=0)
        self.lstm = flux.LSTM(dim, n_hidden)
        self.scores = flux.Dense(n_hidden, 2)

    def __call__(self, words, lengths):
        vectors = self.embedding(words)
        _, (h, _) = self.lstm(vectors, return_state=True, lengths=lengths)
        return self.scores(h)


def write_clause(rng) -> tuple[str, bool]:
    """A clause, and whether it is friendly."""
    denied, turned, good = (bool(bit) for bit in rng.integers(2, size=3))
    openings = DENIALS if denied else ("", *OPENINGS)
    turn = rng.choice(TURNS) if turned else ""
    degree = rng.choice(("", *DEGREES))
    adjective = rng.choice(GOOD if good else BAD)
    parts = rng.choice(openings), rng.choice(SUBJECTS), "was", turn, degree, adjective
    return " ".join(" ".join(parts).split()), good ^ turned ^ denied


def write_review(rng) -> tuple[str, bool]:
    """A review, and whether it is friendly.

    >>> write_review(np.random.default_rng(0))
    ('nobody would say it was not very good', True)
    """
    text, friendly = write_clause(rng)
    for _ in range(rng.integers(3)):
        clause, friendly = write_clause(rng)
        text = f"{text} {rng.choice(JOINTS)} {clause}"
    return text, friendly


def data(split: str):
    """Words as numbers, filled up with 0; lengths; and whether each review is friendly."""
    rng, written = np.random.default_rng(0), {}
    while len(written) < 5000:
        review, friendly = write_review(rng)
        written[review] = friendly
    reviews = list(written.items())[:4000] if split == "train" else list(written.items())[4000:]
    words, lengths = as_numbers([text for text, _ in reviews])
    return words, lengths, np.array([friendly for _, friendly in reviews], np.int32)


def as_numbers(texts: list[str]):
    """Texts as an array of numbers of words, and how many words each has."""
    rows = [[NUMBERS[word] for word in text.split()] for text in texts]
    lengths = np.array([len(row) for row in rows], np.int32)
    words = np.zeros((len(rows), lengths.max()), np.int32)
    for i, row in enumerate(rows):
        words[i, : len(row)] = row
    return words, lengths


def loss(model, words, lengths, friendly):
    """The crossentropy of the scores, and their accuracy to look at."""
    scores = model(words, lengths)
    accuracy = flux.metrics.accuracy(scores, friendly)
    return flux.losses.logit_crossentropy(scores, friendly), {"accuracy": accuracy}


@flux.jit
def measure(model, words, lengths, friendly):
    """The share of the reviews that the model gets right."""
    return flux.metrics.accuracy(model(words, lengths), friendly)


def bag_of_words() -> float:
    """The same share for a logistic regression on how often each word occurs."""
    line = flux.Dense(len(WORDS), 2)

    def line_loss(line, words, _, friendly):
        return loss(lambda counts, _: line(counts), words, None, friendly)

    def counted(split):
        words, lengths, friendly = data(split)
        return (words[..., None] == np.arange(len(WORDS))).sum(1, np.float32), lengths, friendly

    opt = flux.setup(flux.optim.Adam(1e-2), line)
    batches = flux.DataLoader(counted("train"), 256, shuffle=True, rng=0)
    flux.train(line_loss, line, batches, opt, epochs=20, progress=False)
    return float(line_loss(line, *counted("test"))[1]["accuracy"])


def report(model) -> dict[str, str]:
    """What the model is good for."""
    shown = "nobody would say the plot was not dull", "i think the plot was not dull"
    words, lengths = as_numbers(list(shown))
    friendly = np.asarray(model(words, lengths)).argmax(-1)
    verdicts = [
        f"{text}: {'un' * (not f)}friendly" for text, f in zip(shown, friendly, strict=True)
    ]
    alone = f"{bag_of_words():.1%}".replace("%", " %")
    return {"bag of words": alone, "reads": "\n".join(verdicts)}
