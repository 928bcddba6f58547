"""The network that DARTS trains for a pair of cells (Liu et al. 2019): stem, stacked cells, classifier."""

from collections.abc import Sequence

from narformer.network.graph import Architecture
from narformer.spaces.drawing import Drawing

STEM_WIDTH = 3  # times the channels of the first cell
Cell = Sequence[tuple[str, int]]


def network(normal: Cell, reduce: Cell, *, classes: int, channels: int, layers: int, resolution: int) -> Architecture:
    """The whole network for one image; reduction cells follow one third and two thirds of the layers."""
    net = Drawing()
    stem = net.batch_norm(net.conv(net.input(1, 3, resolution, resolution), STEM_WIDTH * channels, 3))
    before, last = stem, stem
    for layer in range(layers):
        reducing = layer in (layers // 3, 2 * layers // 3)
        channels *= 2 if reducing else 1
        before, last = last, _cell(net, before, last, reduce if reducing else normal, channels, 2 if reducing else 1)
    net.classifier(last, classes)
    return net.finished("")


def _cell(net: Drawing, before: int, last: int, cell: Cell, channels: int, stride: int) -> int:
    shrunk = net.shape(before)[2] > net.shape(last)[2]
    values = [
        _halved(net, before, channels) if shrunk else _relu_conv_bn(net, before, channels),
        _relu_conv_bn(net, last, channels),
    ]
    for first, second in zip(cell[::2], cell[1::2], strict=True):
        terms = [_operation(net, values[s], name, stride if s < 2 else 1) for name, s in (first, second)]
        values.append(net.add(*terms))
    return net.concat(*values[2:])


def _operation(net: Drawing, x: int, name: str, stride: int) -> int:
    n, channels, height, width = net.shape(x)
    match name:
        case "none":
            return net.op("Zero", (n, channels, -(-height // stride), -(-width // stride)), x)
        case "skip_connect":
            return net.same("Identity", x) if stride == 1 else _halved(net, x, channels)
        case "max_pool_3x3":
            return net.pool("MaxPool", x, 3, stride)
        case "avg_pool_3x3":
            return net.pool("AveragePool", x, 3, stride)
        case "sep_conv_3x3" | "sep_conv_5x5":
            kernel = int(name[-1])
            return _depthwise(net, _depthwise(net, x, kernel, stride, 1), kernel, 1, 1)
        case _:
            return _depthwise(net, x, int(name[-1]), stride, 2)


def _depthwise(net: Drawing, x: int, kernel: int, stride: int, dilation: int) -> int:
    channels = net.shape(x)[1]
    deep = net.conv(net.relu(x), channels, kernel, stride, group=channels, dilation=dilation)
    return net.batch_norm(net.conv(deep, channels, 1))


def _halved(net: Drawing, x: int, channels: int) -> int:
    """Half the size: one half of the channels from the even positions, the other from the odd ones."""
    x = net.relu(x)
    n, inputs, height, width = net.shape(x)
    odd = net.op(
        "Slice",
        (n, inputs, height - 1, width - 1),
        x,
        axes=(2, 3),
        starts=(1, 1),
        ends=(height, width),
        steps=(1, 1),
    )
    halves = net.conv(x, channels // 2, 1, 2), net.conv(odd, channels - channels // 2, 1, 2)
    return net.batch_norm(net.concat(*halves))


def _relu_conv_bn(net: Drawing, x: int, channels: int) -> int:
    return net.batch_norm(net.conv(net.relu(x), channels, 1))
