"""Swin Transformer (Liu et al. 2021), as timm builds it: attention in windows, every second time in shifted ones.

A variant has other depths, heads and hidden widths, and windows of 4, 6, 7 or 8; the image has the size of 32 windows.
"""

from narformer.network.tensors import Tensor
from narformer.spaces.families.blocks import feed_forward, queries_keys_values
from narformer.spaces.families.family import CLASSES, VariedFamily
from narformer.spaces.families.variation import VariedDrawing

DEPTHS, SIZE = (2, 2, 6, 2), 32  # SIZE: channels of a head


def draw(net: VariedDrawing, version: str) -> None:
    """Tiny has 28,288,354 parameters."""
    heads, window = net.choose(3, (1, 2, 3, 4)), net.choose(7, (4, 6, 7, 8))
    width, side, ratio = heads * SIZE, 8 * window, net.choose(4, (2, 3, 4))
    x = net.conv(net.input(1, 3, 4 * side, 4 * side), width, 4, 4, pad=0, bias=True)
    x = net.layer_norm(net.transpose(x, 0, 2, 3, 1))
    for stage, depth in enumerate(DEPTHS):
        if stage:
            x, heads = _merged(net, x), 2 * heads
        for block in range(2 * net.choose(depth // 2, range(1, depth // 2 + 2))):
            _, rows, _, width = net.shape(x)
            shift = window // 2 if block % 2 and rows > window else 0
            x = net.add(x, _attended(net, net.layer_norm(x), heads, window, shift))
            flat = net.reshape(x, 1, rows * rows, width)
            flat = net.add(flat, feed_forward(net, net.layer_norm(flat), ratio * width))
            x = net.reshape(flat, 1, rows, rows, width)
    x = net.mean(net.layer_norm(x), 1, 2)
    net.dense(net.reshape(x, 1, net.shape(x)[-1]), CLASSES)


def _merged(net: VariedDrawing, x: int) -> int:
    """Four neighbours side by side, with twice the channels of one."""
    _, rows, _, width = net.shape(x)
    x = net.transpose(net.reshape(x, 1, rows // 2, 2, rows // 2, 2, width), 0, 1, 3, 4, 2, 5)
    return net.linear(net.layer_norm(net.reshape(x, 1, rows // 2, rows // 2, 4 * width)), 2 * width, bias=False)


def _attended(net: VariedDrawing, x: int, heads: int, window: int, shift: int) -> int:
    """Attention with a table of offsets between positions; shifted windows have a mask, too."""
    _, rows, _, width = net.shape(x)
    count, area = (rows // window) ** 2, window**2
    for axis in (1, 2) if shift else ():
        x = _rolled(net, x, axis, shift)
    x = net.transpose(net.reshape(x, 1, rows // window, window, rows // window, window, width), 0, 1, 3, 2, 4, 5)
    query, key, value = queries_keys_values(net, net.reshape(x, count, area, width), heads)
    bias = (1, heads, area, area), Tensor((2 * window - 1) ** 2 * heads)
    if shift:
        scores = net.matmul(net.scalar("Mul", query, SIZE**-0.5), net.transpose(key, 0, 1, 3, 2))
        scores = net.reshape(net.constant("Add", scores, *bias), 1, count, heads, area, area)
        scores = net.constant("Add", scores, (1, count, 1, area, area), Tensor(count * area**2, trained=False))
        y = net.matmul(net.softmax(net.reshape(scores, count, heads, area, area)), value)
    else:
        y = net.attention(query, key, value, *bias)
    y = net.reshape(net.linear(net.merged(y), width), 1, rows // window, rows // window, window, window, width)
    y = net.reshape(net.transpose(y, 0, 1, 3, 2, 4, 5), 1, rows, rows, width)
    for axis in (1, 2) if shift else ():
        y = _rolled(net, y, axis, rows - shift)
    return y


def _rolled(net: VariedDrawing, x: int, axis: int, shift: int) -> int:
    return net.joined(axis, net.part(x, axis, shift, net.shape(x)[axis]), net.part(x, axis, 0, shift))


FAMILY = VariedFamily("swin", draw)
