"""The network of a cell of NAS-Bench-101 (Ying et al. 2019): stem, three stacks of three cells, classifier."""

from narformer.network.graph import Architecture
from narformer.spaces.drawing import Drawing

STEM_CHANNELS = 128
STACKS = 3
CELLS_PER_STACK = 3
CLASSES = 10
RESOLUTION = 32


def network(cell: Architecture) -> Architecture:
    """The whole network of a pruned cell, for one CIFAR-10 image."""
    net = Drawing()
    channels = STEM_CHANNELS
    x = _conv_bn_relu(net, net.input(1, 3, RESOLUTION, RESOLUTION), channels, 3)
    for stack in range(STACKS):
        if stack > 0:
            x = net.pool("MaxPool", x, 2, 2, pad=0)
            channels *= 2
        for _ in range(CELLS_PER_STACK):
            x = _cell(net, x, channels, cell)
    net.classifier(x, CLASSES)
    return net.finished(cell.name)


def vertex_channels(cell: Architecture, inputs: int, outputs: int) -> list[int]:
    """The number of channels of each vertex of a pruned cell.

    The vertices that the output concatenates share its channels, the first ones taking the remainder; every other one
    has as many as the widest vertex that reads it.
    """
    last = len(cell) - 1
    channels = [0] * last + [outputs]
    channels[0] = inputs
    parts = [i for i, j in cell.edges if j == last and i > 0]
    for position, vertex in enumerate(parts):
        channels[vertex] = outputs // len(parts) + (position < outputs % len(parts))
    for vertex in range(last - 1, 0, -1):
        if vertex not in parts:
            channels[vertex] = max(channels[j] for i, j in cell.edges if i == vertex)
    return channels


def _cell(net: Drawing, x: int, outputs: int, cell: Architecture) -> int:
    channels = vertex_channels(cell, net.shape(x)[1], outputs)
    parents, last = cell.parents(), len(cell) - 1
    values = [x]
    for vertex in range(1, last):
        width = channels[vertex]
        terms = [net.first_channels(values[p], width) for p in parents[vertex] if p > 0]
        if 0 in parents[vertex]:
            terms.append(_conv_bn_relu(net, x, width, 1))
        total = net.add(*terms)
        match cell.ops[vertex].kind:
            case "maxpool3x3":
                values.append(net.pool("MaxPool", total, 3))
            case "conv1x1-bn-relu":
                values.append(_conv_bn_relu(net, total, width, 1))
            case _:
                values.append(_conv_bn_relu(net, total, width, 3))
    # The output concatenates the interior vertices and adds a projection of the input.
    parts = [values[p] for p in parents[last] if p > 0]
    terms = [net.concat(*parts)] if parts else []
    if 0 in parents[last]:
        terms.append(_conv_bn_relu(net, x, outputs, 1))
    return net.add(*terms)


def _conv_bn_relu(net: Drawing, x: int, channels: int, kernel: int) -> int:
    return net.relu(net.batch_norm(net.conv(x, channels, kernel)))
