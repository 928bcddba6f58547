"""GPT-2 (Radford et al. 2019), as transformers builds it: a whole prompt, or one token after cached ones.

A variant has another depth, heads of 32 or 64, and 16 to 384 tokens.
"""

from narformer.network.tensors import Tensor
from narformer.spaces.families.blocks import feed_forward
from narformer.spaces.families.family import VariedFamily
from narformer.spaces.families.variation import VariedDrawing

ROWS, POSITIONS, TABLE = 50257, 1024, 1


def draw(net: VariedDrawing, version: str) -> None:
    """The small one has 124,439,808 parameters; its last layer reads the table of the first."""
    depth, heads = net.choose(12, range(2, 13)), net.choose(12, range(2, 13))
    width, length = heads * net.choose(64, (32, 64)), net.choose(128, (16, 32, 48, 64, 96, 128, 192, 256, 384))
    new = length if version == "prefill" else 1
    x = net.embedding(net.input(1, new), ROWS, width, TABLE)
    x = net.constant("Add", x, (1, new, width), Tensor(POSITIONS * width))
    for _ in range(depth):
        query, key, value = net.parts(net.linear(net.layer_norm(x), 3 * width), 2, 3)
        query, key, value = (net.heads(part, heads) for part in (query, key, value))
        if version == "step":
            key, value = (net.cached(part, length - 1) for part in (key, value))
        y = net.linear(net.merged(net.attention(query, key, value, (1, 1, new, length))), width)
        x = net.add(x, y)
        x = net.add(x, feed_forward(net, net.layer_norm(x), 4 * width, "GeluTanh"))
    net.tied(net.layer_norm(x), ROWS, TABLE)


FAMILY = VariedFamily("gpt", draw, ("prefill", "step"))
