"""SqueezeNet 1.0 (Iandola et al. 2016): fire modules squeeze by 1x1, then expand by 1x1 and 3x3 side by side."""

from narformer.spaces.families.family import CLASSES, IMAGE, VariedFamily
from narformer.spaces.families.variation import VariedDrawing

# Squeezed width and width of each expansion; fire modules between two pools.
GROUPS = (((16, 64), (16, 64), (32, 128)), ((32, 128), (48, 192), (48, 192), (64, 256)), ((64, 256),))


def draw(net: VariedDrawing, version: str) -> None:
    """1,248,424 parameters."""
    x = net.relu(net.varied(net.input(*IMAGE), net.width(96), 7, 2, pad=0, bias=True))
    for group in GROUPS:
        x = net.pool("MaxPool", x, 3, 2, pad=0, ceil=True)
        for squeezed, expanded in group:
            x = _conv(net, x, squeezed, 1)
            x = net.concat(_conv(net, x, expanded, 1), _conv(net, x, expanded, 3))
    x = net.relu(net.varied(x, CLASSES, 1, bias=True))
    net.flatten(net.global_pool(x))


def _conv(net: VariedDrawing, x: int, channels: int, kernel: int) -> int:
    return net.relu(net.varied(x, net.width(channels), kernel, bias=True))


FAMILY = VariedFamily("squeezenet", draw)
