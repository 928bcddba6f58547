"""ConvNeXt (Liu et al. 2022), as torchvision builds it: depthwise convolutions, dense layers on channels that are last.

Variants have other depths and widths, kernels of 3, 5, 7 or 9, and another image.
"""

from narformer.spaces.families.blocks import feed_forward
from narformer.spaces.families.family import CLASSES, VariedFamily
from narformer.spaces.families.variation import VariedDrawing

DEPTHS, WIDTHS = (3, 3, 9, 3), (96, 192, 384, 768)


def draw(net: VariedDrawing, version: str) -> None:
    """Tiny has 28,589,128 parameters."""
    size, kernel, ratio = net.choose(224, range(128, 289, 32)), net.choose(7, (3, 5, 7, 9)), net.choose(4, (2, 3, 4))
    x = net.input(1, 3, size, size)
    for stage, (depth, channels) in enumerate(zip(DEPTHS, WIDTHS, strict=True)):
        width = 8 * max(1, net.width(channels) // 8) if net.chance else channels
        depth = net.choose(depth, range(1, depth + 2))
        x = net.conv(norm(net, x), width, 2, 2, pad=0, bias=True) if stage else norm(net, _patches(net, x, width))
        for _ in range(depth):
            x = block(net, x, kernel, ratio * width)
    net.dense(net.flatten(norm(net, net.global_pool(x))), CLASSES)


def block(net: VariedDrawing, x: int, kernel: int, hidden: int) -> int:
    """A depthwise convolution and two dense layers across the channels, scaled and added to x."""
    width = net.shape(x)[1]
    y = net.transpose(net.conv(x, width, kernel, group=width, bias=True), 0, 2, 3, 1)
    y = feed_forward(net, net.layer_norm(y), hidden)
    return net.add(x, net.constant("Mul", net.transpose(y, 0, 3, 1, 2), (width, 1, 1)))


def norm(net: VariedDrawing, x: int) -> int:
    """A layer normalisation over the channels of an image."""
    return net.transpose(net.layer_norm(net.transpose(x, 0, 2, 3, 1)), 0, 3, 1, 2)


def _patches(net: VariedDrawing, x: int, width: int) -> int:
    return net.conv(x, width, 4, 4, pad=0, bias=True)


FAMILY = VariedFamily("convnext", draw)
