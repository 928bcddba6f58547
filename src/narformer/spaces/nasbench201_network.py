"""The network that NAS-Bench-201 trained for a cell: stem, three stages joined by residual blocks, classifier.

Dong & Yang 2020; operations run in the order ReLU, convolution, batch normalisation.
"""

from collections.abc import Sequence

from narformer.network.graph import Architecture
from narformer.spaces.drawing import Drawing

STAGES = 3


def network(
    operations: Sequence[str],
    edges: Sequence[tuple[int, int]],
    *,
    classes: int,
    channels: int,
    blocks: int,
    resolution: int,
) -> Architecture:
    """The whole network of the cell with these operations on these edges, for one image."""
    net = Drawing()
    x = net.batch_norm(net.conv(net.input(1, 3, resolution, resolution), channels, 3))
    for stage in range(STAGES):
        if stage > 0:
            channels *= 2
            x = _residual_block(net, x, channels)
        for _ in range(blocks):
            x = _cell(net, x, operations, edges)
    net.classifier(net.relu(net.batch_norm(x)), classes)
    return net.finished("")


def _cell(net: Drawing, x: int, operations: Sequence[str], edges: Sequence[tuple[int, int]]) -> int:
    maps = [x]
    for target in range(1, max(j for _, j in edges) + 1):
        terms = [
            _operation(net, maps[source], name)
            for (source, end), name in zip(edges, operations, strict=True)
            if end == target
        ]
        maps.append(net.add(*terms))
    return maps[-1]


def _operation(net: Drawing, x: int, name: str) -> int:
    match name:
        case "nor_conv_1x1":
            return _relu_conv_bn(net, x, net.shape(x)[1], 1)
        case "nor_conv_3x3":
            return _relu_conv_bn(net, x, net.shape(x)[1], 3)
        case "avg_pool_3x3":
            return net.pool("AveragePool", x, 3)
        case "skip_connect":
            return net.same("Identity", x)
        case _:
            return net.same("Zero", x)


def _residual_block(net: Drawing, x: int, channels: int) -> int:
    shortcut = net.conv(net.pool("AveragePool", x, 2, 2, pad=0), channels, 1)
    return net.add(shortcut, _relu_conv_bn(net, _relu_conv_bn(net, x, channels, 3, 2), channels, 3))


def _relu_conv_bn(net: Drawing, x: int, channels: int, kernel: int, stride: int = 1) -> int:
    return net.batch_norm(net.conv(net.relu(x), channels, kernel, stride))
