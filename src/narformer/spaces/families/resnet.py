"""ResNet (He et al. 2016) of 18, 34 and 50 layers; of 50, with the stride on the 3x3 convolution.

Within a stage the Adds tie the blocks' widths together, in the first stage of 18 and 34 layers to the stem's.
"""

from narformer.spaces.families.family import CLASSES, IMAGE, VariedFamily
from narformer.spaces.families.variation import VariedDrawing

WIDTHS = (64, 128, 256, 512)
DEPTHS = {"18": (2, 2, 2, 2), "34": (3, 4, 6, 3), "50": (3, 4, 6, 3)}
EXPANSION = 4


def draw(net: VariedDrawing, version: str) -> None:
    """ResNet-18 has 11,689,512 parameters, ResNet-34 21,797,672, ResNet-50 25,557,032."""
    deep = version == "50"
    x = net.relu(net.batch_norm(net.varied(net.input(*IMAGE), net.width(64), 7, 2)))
    x = net.pool("MaxPool", x, 3, 2)
    for stage, (channels, depth) in enumerate(zip(WIDTHS, DEPTHS[version], strict=True)):
        if deep:
            width = net.width(channels * net.choose(EXPANSION, (2, EXPANSION)))
        else:
            width = net.width(channels) if stage else net.shape(x)[1]
        for block in range(depth):
            stride = 2 if stage and not block else 1
            changed = block == 0 and (deep or stage > 0)
            shortcut = net.batch_norm(net.varied(x, width, 1, stride)) if changed else x
            x = _bottleneck(net, x, channels, width, stride) if deep else _basic(net, x, channels, width, stride)
            x = net.relu(net.add(x, shortcut))
    net.classifier(x, CLASSES)


def _basic(net: VariedDrawing, x: int, channels: int, width: int, stride: int) -> int:
    x = net.relu(net.batch_norm(net.varied(x, net.width(channels), 3, stride)))
    return net.batch_norm(net.varied(x, width, 3))


def _bottleneck(net: VariedDrawing, x: int, channels: int, width: int, stride: int) -> int:
    x = net.relu(net.batch_norm(net.varied(x, net.width(channels), 1)))
    x = net.relu(net.batch_norm(net.varied(x, net.width(channels), 3, stride)))
    return net.batch_norm(net.varied(x, width, 1))


FAMILY = VariedFamily("resnet", draw, tuple(DEPTHS))
