"""GhostNet (Han et al. 2020), as timm builds it: half of the channels come from a depthwise convolution of the others.

Variants have other widths and images; the kernels of the blocks vary.
"""

from narformer.spaces.families.family import CLASSES, VariedFamily
from narformer.spaces.families.variation import VariedDrawing

# Kernel, expanded width, width, gated, stride
BLOCKS = (
    (3, 16, 16, False, 1),
    (3, 48, 24, False, 2),
    (3, 72, 24, False, 1),
    (5, 72, 40, True, 2),
    (5, 120, 40, True, 1),
    (3, 240, 80, False, 2),
    (3, 200, 80, False, 1),
    (3, 184, 80, False, 1),
    (3, 184, 80, False, 1),
    (3, 480, 112, True, 1),
    (3, 672, 112, True, 1),
    (5, 672, 160, True, 2),
    (5, 960, 160, False, 1),
    (5, 960, 160, True, 1),
    (5, 960, 160, False, 1),
    (5, 960, 160, True, 1),
)


def draw(net: VariedDrawing, version: str) -> None:
    """x1.0 has 5,182,508 parameters."""
    size, tenths = net.choose(224, range(128, 321, 32)), net.choose(10, range(5, 17))
    x = net.input(1, 3, size, size)
    x = net.relu(net.batch_norm(net.conv(x, _scaled(16, tenths), 3, 2)))
    for kernel, expanded, channels, gated, stride in BLOCKS:
        width = _scaled(channels, tenths)
        kernel = net.choose(kernel, (3, 5, 7))
        y = ghost(net, x, _scaled(expanded, net.choose(tenths, range(5, 17))), activated=True)
        if stride > 1:
            y = net.batch_norm(net.conv(y, net.shape(y)[1], kernel, stride, group=net.shape(y)[1]))
        y = ghost(net, _gated(net, y) if gated else y, width, activated=False)
        if stride > 1 or net.shape(x)[1] != width:
            x = net.batch_norm(net.conv(x, net.shape(x)[1], kernel, stride, group=net.shape(x)[1]))
            x = net.batch_norm(net.conv(x, width, 1))
        x = net.add(y, x)
    x = net.global_pool(net.relu(net.batch_norm(net.conv(x, _scaled(960, tenths), 1))))
    net.dense(net.flatten(net.relu(net.conv(x, net.width(1280), 1, bias=True))), CLASSES)


def _scaled(channels: int, tenths: int) -> int:
    """A multiple of 4."""
    return max(4, (channels * tenths // 10 + 2) // 4 * 4)


def ghost(net: VariedDrawing, x: int, width: int, activated: bool) -> int:
    """Half of the channels by a 1x1 convolution, the others from them by a depthwise one."""
    primary = net.batch_norm(net.conv(x, width // 2, 1))
    primary = net.relu(primary) if activated else primary
    cheap = net.batch_norm(net.conv(primary, width // 2, 3, group=width // 2))
    return net.concat(primary, net.relu(cheap) if activated else cheap)


def _gated(net: VariedDrawing, x: int) -> int:
    channels = net.shape(x)[1]
    y = net.relu(net.conv(net.global_pool(x), max(4, (channels // 4 + 2) // 4 * 4), 1, bias=True))
    y = net.conv(y, channels, 1, bias=True)
    return net.multiply(x, net.op("HardSigmoid", net.shape(y), y, alpha=1 / 6, beta=0.5))


FAMILY = VariedFamily("ghostnet", draw)
