"""Vision Transformer (Dosovitskiy et al. 2021), as timm builds it.

A variant has 2 to 12 blocks, 3 to 12 heads of 32 or 64, patches of 14, 16 or 32, and another image.
"""

from narformer.spaces.families.blocks import feed_forward, self_attention
from narformer.spaces.families.family import CLASSES, VariedFamily
from narformer.spaces.families.variation import VariedDrawing

# Blocks, heads
VERSIONS = {"base": (12, 12), "small": (12, 6), "tiny": (12, 3)}


def draw(net: VariedDrawing, version: str) -> None:
    """Base has 86,567,656 parameters, small 22,050,664, tiny 5,717,416, all with patches of 16."""
    depth, heads = VERSIONS[version]
    depth = net.choose(depth, range(2, depth + 1))
    heads = net.choose(heads, range(max(2, heads - 3), heads + 1))
    width = heads * net.choose(64, (32, 48, 64))
    patch, across = net.choose(16, (14, 16, 32)), net.choose(14, range(7, 17))
    ratio = net.choose(4, (2, 3, 4))
    x = net.conv(net.input(1, 3, patch * across, patch * across), width, patch, patch, pad=0, bias=True)
    x = net.transpose(net.reshape(x, 1, width, across**2), 0, 2, 1)
    x = net.constant("Concat", x, (1, 1, width), slot=0, axis=1)
    x = net.constant("Add", x, net.shape(x))
    for _ in range(depth):
        x = net.add(x, self_attention(net, net.layer_norm(x), heads))
        x = net.add(x, feed_forward(net, net.layer_norm(x), ratio * width))
    x = net.part(net.layer_norm(x), 1, 0, 1)
    net.dense(net.reshape(x, 1, width), CLASSES)


FAMILY = VariedFamily("vit", draw, tuple(VERSIONS))
