"""MobileViT (Mehta & Rastegari 2022), as timm builds it: inverted residuals, and transformers across the image.

Every transformer reads the pixels of one place in patches of 2 x 2. Variants have other depths, widths and images.
"""

from narformer.spaces.families.blocks import feed_forward, self_attention
from narformer.spaces.families.family import CLASSES, VariedFamily
from narformer.spaces.families.variation import VariedDrawing

EXPANSION, HEADS, PATCH = 4, 4, 2
# Width, stride and depth of the stages of convolutions; width, depth and inner width of those with transformers
CONVOLUTIONS = ((32, 1, 1), (64, 2, 3))
TRANSFORMERS = ((96, 2, 144), (128, 4, 192), (160, 3, 240))


def draw(net: VariedDrawing, version: str) -> None:
    """S has 5,578,632 parameters."""
    size = net.choose(256, range(128, 321, 64))
    x = _conv(net, net.input(1, 3, size, size), net.width(16), 3, 2)
    for channels, stride, depth in CONVOLUTIONS:
        width = net.width(channels)
        for block in range(net.choose(depth, range(1, depth + 1))):
            x = _inverted(net, x, width, 1 if block else stride, block > 0)
    for channels, depth, inner in TRANSFORMERS:
        width, inner = net.width(channels), HEADS * net.width(inner // HEADS)
        x = _inverted(net, x, width, 2, False)
        x = transformed(net, x, net.choose(depth, range(1, depth + 2)), inner)
    net.classifier(_conv(net, x, net.width(640), 1), CLASSES)


def transformed(net: VariedDrawing, x: int, depth: int, inner: int) -> int:
    """Convolutions, transformers across all patches, and convolutions of x and of what they give."""
    _, width, rows, _ = net.shape(x)
    across = rows // PATCH
    y = net.conv(_conv(net, x, width, 3), inner, 1)
    y = net.transpose(net.reshape(y, inner * across, PATCH, across, PATCH), 0, 2, 1, 3)
    y = net.transpose(net.reshape(y, 1, inner, across**2, PATCH**2), 0, 3, 2, 1)
    y = net.reshape(y, PATCH**2, across**2, inner)
    for _ in range(depth):
        y = net.add(y, self_attention(net, net.layer_norm(y), HEADS))
        y = net.add(y, feed_forward(net, net.layer_norm(y), 2 * inner, "Swish"))
    y = net.transpose(net.reshape(net.layer_norm(y), 1, PATCH**2, across**2, inner), 0, 3, 2, 1)
    y = net.transpose(net.reshape(y, inner * across, across, PATCH, PATCH), 0, 2, 1, 3)
    y = _conv(net, net.reshape(y, 1, inner, rows, rows), width, 1)
    return _conv(net, net.concat(x, y), width, 3)


def _inverted(net: VariedDrawing, x: int, width: int, stride: int, residual: bool) -> int:
    hidden = net.choose(EXPANSION, (2, 3, EXPANSION)) * net.shape(x)[1]
    y = _conv(net, x, hidden, 1)
    y = net.batch_norm(net.conv(y, hidden, net.choose(3, (3, 3, 5)), stride, group=hidden))
    y = net.batch_norm(net.conv(net.activation("Swish", y), width, 1))
    return net.add(y, x) if residual else y


def _conv(net: VariedDrawing, x: int, width: int, kernel: int, stride: int = 1) -> int:
    return net.activation("Swish", net.batch_norm(net.conv(x, width, kernel, stride)))


FAMILY = VariedFamily("mobilevit", draw)
