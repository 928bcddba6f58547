"""U-Net (Ronneberger et al. 2015) with padded convolutions and batch normalisation, for two classes of pixels.

It goes up by transposed convolutions, or by linear interpolation with half of the channels. Variants have another
width, depth and image, and kernels of 3 or 5.
"""

from narformer.spaces.families.family import VariedFamily
from narformer.spaces.families.variation import VariedDrawing

OUTPUTS = 2


def draw(net: VariedDrawing, version: str) -> None:
    """With transposed convolutions it has 31,037,698 parameters, with interpolation 17,263,042."""
    width, levels = net.choose(64, range(8, 49, 4)), net.choose(4, (2, 3, 4))
    size, kernel = net.choose(256, range(96, 321, 32)), net.choose(3, (3, 3, 3, 5))
    half = 2 if version == "linear" else 1
    x = _twice(net, net.input(1, 3, size, size), width, width, kernel)
    kept = []
    for level in range(1, levels + 1):
        kept.append(x)
        channels = width * 2**level // (half if level == levels else 1)
        x = _twice(net, net.pool("MaxPool", x, 2, 2, pad=0), channels, channels, kernel)
    for level, skip in reversed(list(enumerate(kept))):
        channels = width * 2**level
        if half == 1:
            x = net.concat(skip, net.conv_transpose(x, channels, 2, 2))
            x = _twice(net, x, channels, channels, kernel)
        else:
            x = net.concat(skip, net.resized(x, 2, "linear"))
            x = _twice(net, x, channels, channels // (2 if level else 1), kernel)
    net.conv(x, OUTPUTS, 1, bias=True)


def _twice(net: VariedDrawing, x: int, middle: int, width: int, kernel: int) -> int:
    for channels in (middle, width):
        x = net.relu(net.batch_norm(net.conv(x, channels, kernel)))
    return x


FAMILY = VariedFamily("unet", draw, ("transposed", "linear"))
