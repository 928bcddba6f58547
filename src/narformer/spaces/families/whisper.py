"""The encoder of Whisper (Radford et al. 2023), as transformers builds it: 80 frequencies in steps of 10 ms.

Variants have other depths, heads and hidden widths, and hear 2 to 30 seconds.
"""

from narformer.spaces.families.blocks import feed_forward
from narformer.spaces.families.family import VariedFamily
from narformer.spaces.families.variation import VariedDrawing

FREQUENCIES = 80


def draw(net: VariedDrawing, version: str) -> None:
    """That of the tiny model has 8,208,384 parameters."""
    depth, heads, size = net.choose(4, range(1, 9)), net.choose(6, range(2, 11)), net.choose(64, (32, 64))
    width, steps = heads * size, net.choose(3000, range(200, 3001, 200))
    hidden = width * net.choose(4, (2, 3, 4))
    x = net.gelu(net.conv_1d(net.input(1, FREQUENCIES, steps), width, 3))
    x = net.transpose(net.gelu(net.conv_1d(x, width, 3, 2)), 0, 2, 1)
    x = net.constant("Add", x, net.shape(x)[1:])
    for _ in range(depth):
        y = net.layer_norm(x)
        parts = [net.linear(y, width, bias) for bias in (True, False, True)]
        parts[0] = net.scalar("Mul", parts[0], size**-0.5)
        query, key, value = (net.heads(part, heads) for part in parts)
        x = net.add(x, net.linear(net.merged(net.attention(query, key, value)), width))
        x = net.add(x, feed_forward(net, net.layer_norm(x), hidden))
    net.layer_norm(x)


FAMILY = VariedFamily("whisper", draw)
