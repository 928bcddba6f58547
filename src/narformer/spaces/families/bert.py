"""BERT (Devlin et al. 2019), the encoder with its pooler, as transformers builds it; no token is masked.

A variant has another depth, heads of 32 or 64, another ratio of the hidden width, and a sequence of 16 to 384 tokens.
"""

from narformer.network.tensors import Tensor
from narformer.spaces.families.blocks import feed_forward
from narformer.spaces.families.family import VariedFamily
from narformer.spaces.families.variation import VariedDrawing

ROWS, POSITIONS = 30522, 512  # tokens of the vocabulary, longest sequence
# Blocks, heads
VERSIONS = {"base": (12, 12), "small": (4, 8), "tiny": (2, 2)}


def draw(net: VariedDrawing, version: str) -> None:
    """Base has 109,482,240 parameters, small 28,763,648, tiny 4,385,920."""
    depth, heads = VERSIONS[version]
    depth = net.choose(depth, range(1, depth + 3))
    heads = net.choose(heads, range(max(1, heads - 4), heads + 3))
    width, length = heads * net.choose(64, (32, 64)), net.choose(128, (16, 32, 48, 64, 96, 128, 192, 256, 384))
    ratio = net.choose(4, (2, 3, 4))
    x = net.embedding(net.input(1, length), ROWS, width)
    for rows in (2, POSITIONS):  # kind of sentence, position
        x = net.constant("Add", x, (1, length, width), Tensor(rows * width))
    x = net.layer_norm(x)
    for _ in range(depth):
        x = net.layer_norm(net.add(x, _attended(net, x, heads)))
        x = net.layer_norm(net.add(x, feed_forward(net, x, ratio * width)))
    net.output(x)
    net.same("Tanh", net.dense(net.reshape(net.part(x, 1, 0, 1), 1, width), width))


def _attended(net: VariedDrawing, x: int, heads: int) -> int:
    _, length, width = net.shape(x)
    query, key, value = (net.heads(net.linear(x, width), heads) for _ in range(3))
    return net.linear(net.merged(net.attention(query, key, value, (1, 1, length, length))), width)


FAMILY = VariedFamily("bert", draw, tuple(VERSIONS))
