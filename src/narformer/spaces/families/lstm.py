"""LSTM (Hochreiter & Schmidhuber 1997) as language model of Zaremba et al. 2014, or in both directions as tagger.

A variant has 1 to 3 layers of 64 to 1,024 units, another vocabulary, 8 to 128 words, and reads 1, 4 or 16 texts.
"""

from narformer.spaces.families.family import VariedFamily
from narformer.spaces.families.variation import VariedDrawing

TAGS = 17
VERSIONS = ("language", "tags")


def draw(net: VariedDrawing, version: str) -> None:
    """The medium language model has 19,780,400 parameters, with a bias for the input and one for the state."""
    recurrent(net, version, "LSTM")


def recurrent(net: VariedDrawing, version: str, kind: str) -> None:
    """Embedding, layers of this kind, a dense layer for every word."""
    units, layers = net.choose(650, range(64, 1025, 32)), net.choose(2, (1, 2, 3))
    words, rows = net.choose(35, (8, 16, 24, 32, 48, 64, 96, 128)), net.choose(10_000, (5_000, 10_000, 20_000))
    x = net.embedding(net.input(net.choose(1, (1, 1, 4, 16)), words), rows, units)
    for _ in range(layers):
        x = net.recurrent(kind, x, units, both=version == "tags")
    net.linear(x, rows if version == "language" else TAGS)


FAMILY = VariedFamily("lstm", draw, VERSIONS)
