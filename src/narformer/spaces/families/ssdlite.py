"""SSDLite (Sandler et al. 2018) on MobileNetV3, as torchvision builds it: boxes and classes of 91 kinds of things.

Non-maximum suppression is left out. Variants have other widths and images; the kernels of the backbone vary.
"""

from narformer.spaces.families.family import VariedFamily
from narformer.spaces.families.inverted import Block, inverted_residual
from narformer.spaces.families.mobilenetv3 import LARGE, squeezed
from narformer.spaces.families.variation import VariedDrawing

EPSILON = 0.001
BOXES, KINDS = 6, 91  # boxes at every place, kinds of things
# The last blocks and the last convolution have half of the channels of the classifier's.
BLOCKS = (*LARGE[:12], (5, 672, 80, True, "HardSwish", 2), *((5, 480, 80, True, "HardSwish", 1),) * 2)
LAST, FURTHER = 480, (512, 256, 256, 128)


def draw(net: VariedDrawing, version: str) -> None:
    """3,440,060 parameters."""
    size = net.choose(320, range(192, 449, 64))
    x = _conv(net, net.input(1, 3, size, size), net.width(16), 3, 2, "HardSwish")
    before, read = 16, []
    for kernel, expanded, channels, gated, activation, stride in BLOCKS:
        residual = stride == 1 and channels == before
        y = _conv(net, x, net.width(expanded), 1, 1, activation) if expanded else x
        if before == 112 and stride == 2:
            read.append(y)
        block = Block(
            hidden=0,
            width=net.shape(x)[1] if residual else net.width(channels),
            kernel=kernel,
            stride=stride,
            residual=False,
            activation=activation,
            gate=squeezed(net.shape(y)[1]) if gated else 0,
            gate_activation="HardSigmoid",
            epsilon=EPSILON,
        )
        y = inverted_residual(net, y, block)
        x, before = net.add(y, x) if residual else y, channels
    read.append(_conv(net, x, net.width(LAST), 1, 1, "HardSwish"))
    for channels in FURTHER:
        width = net.width(channels)
        y = _conv(net, read[-1], max(1, width // 2), 1)
        read.append(_conv(net, _depthwise(net, y, 2), width, 1))
    for values in (KINDS, 4):
        net.concat(*(_head(net, y, values) for y in read))


def _head(net: VariedDrawing, x: int, values: int) -> int:
    """(1, boxes, values) of all places of an image."""
    y = net.conv(_depthwise(net, x, 1), BOXES * values, 1, bias=True)
    *_, rows, columns = net.shape(y)
    y = net.transpose(net.reshape(y, 1, BOXES, values, rows, columns), 0, 3, 4, 1, 2)
    return net.reshape(y, 1, rows * columns * BOXES, values)


def _depthwise(net: VariedDrawing, x: int, stride: int) -> int:
    channels = net.shape(x)[1]
    return net.activation("Relu6", net.batch_norm(net.conv(x, channels, 3, stride, group=channels), EPSILON))


def _conv(net: VariedDrawing, x: int, width: int, kernel: int, stride: int = 1, activation: str = "Relu6") -> int:
    return net.activation(activation, net.batch_norm(net.conv(x, width, kernel, stride), EPSILON))


FAMILY = VariedFamily("ssdlite", draw)
