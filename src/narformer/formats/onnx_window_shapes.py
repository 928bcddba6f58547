"""Shapes of ONNX Runtime's operations on images, with channels first, last, or in blocks."""

from narformer.formats.builder import Shape
from narformer.formats.onnx_node import INT64, Node, Rule, Shapes, same
from narformer.network.runtime_ops import NCHWC, NHWC, RUNTIME

__all__ = ["WINDOW_RULES"]


def _spatial(node: Node, image: Shape, kernel: Shape) -> Shape:
    ones = (1,) * len(kernel)
    strides, dilations = node.numbers("strides") or ones, node.numbers("dilations") or ones
    pads, auto = node.numbers("pads") or (0,) * (2 * len(kernel)), node.text("auto_pad")
    sizes = []
    for axis, (size, k, stride, dilation) in enumerate(zip(image, kernel, strides, dilations, strict=True)):
        if auto in ("SAME_UPPER", "SAME_LOWER"):
            sizes.append(-(-size // stride))
            continue
        free = size - (k - 1) * dilation - 1 + (0 if auto == "VALID" else pads[axis] + pads[axis + len(kernel)])
        steps = -(-free // stride) if node.number("ceil_mode") else free // stride
        if node.number("ceil_mode") and steps * stride >= size + pads[axis]:  # a window may not begin in the padding
            steps -= 1
        sizes.append(steps + 1)
    return tuple(sizes)


def _window(slot: int = 0, last: bool | None = False, transposed: bool = False) -> Rule:
    """A convolution with its filters in ``slot``, or a pool; channels last, or as the attribute states if None."""

    def rule(node: Node) -> Shapes:
        image = node.shape()
        weight = node.shape(slot) if slot else ()
        channels_last = bool(node.number("channels_last")) if last is None else last
        kernel = node.numbers("kernel_shape") or weight[2:]
        spatial = image[1:-1] if channels_last else image[2:]
        wide = weight[0] if slot else image[-1 if channels_last else 1]
        if transposed:
            size, wide = _enlarged(node, spatial, kernel), weight[1] * node.number("group", 1)
        else:
            size = _spatial(node, spatial, kernel)
        return [(image[0], *size, wide) if channels_last else (image[0], wide, *size)]

    return rule


def _enlarged(node: Node, image: Shape, kernel: Shape) -> Shape:
    ones, zeros = (1,) * len(kernel), (0,) * (2 * len(kernel))
    strides, dilations = node.numbers("strides") or ones, node.numbers("dilations") or ones
    pads = node.numbers("pads") or (node.values(2) if node.has(2) and node.type(2) == -INT64 else zeros)
    extra = node.numbers("output_padding") or zeros
    if (stated := node.numbers("output_shape")) is not None:
        return stated[-len(kernel) :]
    if node.text("auto_pad") in ("SAME_UPPER", "SAME_LOWER"):
        return tuple([size * stride for size, stride in zip(image, strides, strict=True)])
    return tuple(
        [
            strides[i] * (size - 1) + extra[i] + (kernel[i] - 1) * dilations[i] + 1 - pads[i] - pads[i + len(kernel)]
            for i, size in enumerate(image)
        ]
    )


def _global(last: bool | None) -> Rule:
    def rule(node: Node) -> Shapes:
        image = node.shape()
        ones = (1,) * (len(image) - 2)
        channels_last = bool(node.number("channels_last")) if last is None else last
        return [(image[0], *ones, image[-1]) if channels_last else (*image[:2], *ones)]

    return rule


def _reorder(node: Node) -> Shapes:
    """To blocks of channels, whose size depends on the processor for which the file was written."""
    image = node.shape()
    shape = (image[0], image[-1], *image[1:-1]) if node.number("channels_last") else image
    return [(shape[0], -(-shape[1] // node.block) * node.block, *shape[2:])]


def _reorder_back(node: Node) -> Shapes:
    image = node.shape()
    wide = node.number("channels", image[1])
    return [(image[0], *image[2:], wide) if node.number("channels_last") else (image[0], wide, *image[2:])]


def _upsample(node: Node) -> Shapes:
    scales = node.numbers("scales") or ()
    return [tuple([size * scale for size, scale in zip(node.shape(), scales, strict=True)])]


def _blocks(node: Node) -> Shapes:
    batch, high, wide, deep = node.shape()
    block = node.number("blocksize", 1)
    return [(batch, high * block, wide * block, deep // block**2)]


def _to_blocks(node: Node) -> Shapes:
    batch, high, wide, deep = node.shape()
    block = node.number("blocksize", 1)
    return [(batch, high // block, wide // block, deep * block**2)]


def _crops(node: Node) -> Shapes:
    return [(node.shape(1)[0], node.shape()[1], *node.values(3))]


def _sampled(last: bool) -> Rule:
    def rule(node: Node) -> Shapes:
        image, grid = node.shape(), node.shape(1)[1:-1]
        return [(image[0], *grid, image[-1]) if last else (*image[:2], *grid)]

    return rule


WINDOW_RULES: dict[str, Rule] = {
    **{RUNTIME + kind: rule for kind, rule in {
        "FusedConv": _window(1),
        "NhwcConv": _window(1, last=True),
        "NhwcFusedConv": _window(1, last=True),
        "QLinearConv": _window(3, last=None),
        "ConvTransposeWithDynamicPads": _window(1, transposed=True),
        "NhwcMaxPool": _window(last=True),
        "MaxpoolWithMask": _window(),
        "QLinearAveragePool": _window(last=None),
        "QLinearGlobalAveragePool": _global(None),
        "CropAndResize": _crops,
        "GridSample": _sampled(last=False),
    }.items()},
    **dict.fromkeys((NCHWC + "MaxPool", NCHWC + "AveragePool"), _window()),
    **dict.fromkeys((NCHWC + "GlobalMaxPool", NCHWC + "GlobalAveragePool"), _global(False)),
    NCHWC + "Conv": _window(1),
    NCHWC + "ReorderInput": _reorder,
    NCHWC + "ReorderOutput": _reorder_back,
    NCHWC + "Upsample": _upsample,
    **{NHWC + kind: rule for kind, rule in {
        "Conv": _window(1, last=True),
        "QLinearConv": _window(3, last=True),
        "ConvTranspose": _window(1, last=True, transposed=True),
        "QLinearConvTranspose": _window(3, last=True, transposed=True),
        **dict.fromkeys(("MaxPool", "AveragePool", "LpPool", "QLinearAveragePool"), _window(last=True)),
        **dict.fromkeys(("GlobalMaxPool", "GlobalAveragePool", "GlobalLpPool"), _global(True)),
        **dict.fromkeys(("BatchNormalization", "InstanceNormalization", "LRN"), same),
        "DepthToSpace": _blocks,
        "SpaceToDepth": _to_blocks,
        "GridSample": _sampled(last=True),
    }.items()},
}  # fmt: skip
