"""Llama (Touvron et al. 2023) of small size, as transformers builds it: a whole prompt, or one token after cached ones.

Root-mean-square norms, rotary positions, several queries for each key, gated dense layers. A variant has another depth,
other heads, groups of queries and hidden width, and 16 to 384 tokens.
"""

from narformer.spaces.families.family import VariedFamily
from narformer.spaces.families.variation import VariedDrawing

ROWS, TABLE, ANGLES = 49152, 1, 2


def draw(net: VariedDrawing, version: str) -> None:
    """Of the size of SmolLM-135M (134,515,008 parameters); the last layer reads the table of the first."""
    depth, keys = net.choose(30, range(2, 25)), net.choose(3, (1, 2, 3, 4))
    times, size = net.choose(3, (1, 2, 3, 4)), net.choose(64, (32, 64))
    width, length = keys * times * size, net.choose(128, (16, 32, 48, 64, 96, 128, 192, 256, 384))
    hidden = width * net.choose(16, (12, 16, 20, 24)) // 6
    new = length if version == "prefill" else 1
    x = net.embedding(net.input(1, new), ROWS, width, TABLE)
    for _ in range(depth):
        y = net.rms_norm(x)
        query = net.rotated(net.heads(net.linear(y, width, bias=False), keys * times), ANGLES)
        key = net.rotated(net.heads(net.linear(y, keys * size, bias=False), keys), ANGLES)
        value = net.heads(net.linear(y, keys * size, bias=False), keys)
        if version == "step":
            key, value = (net.cached(part, length - 1) for part in (key, value))
        y = net.attention(query, net.repeated(key, times), net.repeated(value, times), (1, 1, new, length))
        x = net.add(x, net.linear(net.merged(y), width, bias=False))
        y = net.rms_norm(x)
        gate = net.activation("Swish", net.linear(y, hidden, bias=False))
        x = net.add(x, net.linear(net.multiply(net.linear(y, hidden, bias=False), gate), width, bias=False))
    net.tied(net.rms_norm(x), ROWS, TABLE)


FAMILY = VariedFamily("llama", draw, ("prefill", "step"))
