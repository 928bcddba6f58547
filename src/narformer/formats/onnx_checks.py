"""Operands that cannot be, which the inference of the onnx library does not look at, as runtimes refuse them."""

from collections.abc import Callable, Mapping, Sequence
from math import prod

import onnx

from narformer.errors import BadArchitecture
from narformer.formats.builder import Shape
from narformer.formats.onnx_ops import Given
from narformer.formats.onnx_values import given

__all__ = ["check_operands"]

Attributes = Mapping[str, Given]
Shapes = Sequence[Shape | None]
Check = Callable[[Attributes, Shapes, Shape | None], str]  # returns the reason, empty if the operands fit


def check_operands(kind: str, node: onnx.NodeProto, shapes: Shapes, out: Shape | None) -> None:
    """Check the shapes of a node's inputs by slot, and of its first output; None stands for an unknown one.

    kind: domain, unless it is the standard one, and operation

    Raises BadArchitecture with the reason.
    """
    check = _CHECKS.get(kind)
    if check is None:
        return
    attributes = {a.name: value for a in node.attribute if (value := given(a)) is not None}
    padded = [*shapes, *[None] * (8 - len(shapes))]
    reason = check(attributes, padded, out)
    if reason:
        raise BadArchitecture(reason)


def _integer(attributes: Attributes, name: str, default: int) -> int:
    value = attributes.get(name, default)
    return value if isinstance(value, int) else default


def _unlike(found: int, expected: int, noun: str) -> str:
    return "" if found == expected else f"{found:,} {noun} do not fit {expected:,}"


def _reshape(attributes: Attributes, shapes: Shapes, out: Shape | None) -> str:
    return "" if shapes[0] is None or out is None else _unlike(prod(shapes[0]), prod(out), "values")


def _gemm(attributes: Attributes, shapes: Shapes, out: Shape | None) -> str:
    left, right, offset = shapes[:3]
    if left is None or right is None or len(left) != 2 or len(right) != 2:
        return ""
    rows = left[0 if attributes.get("transA") else 1]
    return _unlike(rows, right[1 if attributes.get("transB") else 0], "columns") or _spread(offset, out)


def _spread(offset: Shape | None, out: Shape | None) -> str:
    """A reason if the offset cannot be broadcast to the output."""
    if offset is None or out is None:
        return ""
    fits = len(offset) <= len(out) and all(a in (1, b) for a, b in zip(offset[::-1], out[::-1], strict=False))
    return "" if fits else f"an operand of shape {list(offset)} cannot be broadcast to {list(out)}"


def _slope(attributes: Attributes, shapes: Shapes, out: Shape | None) -> str:
    image, slope = shapes[:2]
    if image is None or slope is None:
        return ""
    fits = all(a == b or 1 in (a, b) for a, b in zip(slope[::-1], image[::-1], strict=False))
    fits = fits or slope == image[1:2]  # one for each channel, before opset 7
    return "" if fits else f"slopes of shape {list(slope)} cannot be broadcast to {list(image)}"


def _conv(attributes: Attributes, shapes: Shapes, out: Shape | None) -> str:
    image, filters, offset = shapes[:3]
    if image is None or filters is None or len(image) < 2 or len(filters) != len(image):
        return ""
    group, kernel = _integer(attributes, "group", 1), attributes.get("kernel_shape", filters[2:])
    reason = _unlike(filters[1] * group, image[1], "channels of the filters")
    if not reason and group and filters[0] % group:
        reason = f"{filters[0]:,} filters do not fall into {group:,} groups"
    if not reason and kernel != filters[2:]:
        reason = (
            f"filters of {list(filters[2:])} are not the stated {list(kernel) if isinstance(kernel, tuple) else kernel}"
        )
    if not reason and offset is not None:
        reason = _unlike(prod(offset), filters[0], "offsets")
    return reason or _window({**attributes, "kernel_shape": filters[2:]}, shapes, out)


def _window(attributes: Attributes, shapes: Shapes, out: Shape | None) -> str:
    """A reason if the kernel is larger than the padded image."""
    image, kernel = shapes[0], attributes.get("kernel_shape")
    if image is None or not isinstance(kernel, tuple) or len(kernel) != len(image) - 2:
        return "" if image is None or not isinstance(kernel, tuple) else f"a kernel of {len(kernel)} axes"
    pads, rates = attributes.get("pads", (0,) * (2 * len(kernel))), attributes.get("dilations", (1,) * len(kernel))
    if attributes.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID") or not (
        isinstance(pads, tuple) and isinstance(rates, tuple) and len(pads) == 2 * len(kernel) == 2 * len(rates)
    ):
        return ""
    steps = attributes.get("strides", (1,) * len(kernel))
    ends = pads[len(kernel) :]
    for axis, (size, k, rate) in enumerate(zip(image[2:], kernel, rates, strict=False)):
        before, behind = pads[axis], ends[axis]
        step = steps[axis] if isinstance(steps, tuple) and axis < len(steps) else 1
        # Runtimes divide toward zero, so that a kernel may reach over the image by less than a step.
        if size and (k - 1) * rate + 1 - (size + before + behind) >= step and not attributes.get("ceil_mode"):
            return f"a kernel that reaches over {(k - 1) * rate + 1:,} values of {size + before + behind:,}"
    return ""


def _transposed(attributes: Attributes, shapes: Shapes, out: Shape | None) -> str:
    image, filters, offset = shapes[:3]
    if image is None or filters is None or len(filters) < 2 or len(image) < 2:
        return ""
    reason = _unlike(filters[0], image[1], "channels of the filters")
    if not reason and offset is not None:
        reason = _unlike(prod(offset), filters[1] * _integer(attributes, "group", 1), "offsets")
    return reason


def _layer_norm(attributes: Attributes, shapes: Shapes, out: Shape | None) -> str:
    image = shapes[0]
    if image is None:
        return ""
    return next((reason for shape in shapes[1:3] if (reason := _spread(shape, image))), "")


def _channels(attributes: Attributes, shapes: Shapes, out: Shape | None) -> str:
    image, counts = shapes[0], [prod(shape) for shape in shapes[1:3] if shape is not None]
    groups = _integer(attributes, "num_groups", 1)
    if image is None or len(image) < 2:
        return ""
    if groups and image[1] % groups:
        return f"{image[1]:,} channels do not fall into {groups:,} groups"
    return next((_unlike(count, image[1], "factors") for count in counts if count not in (image[1], groups)), "")


def _instance(attributes: Attributes, shapes: Shapes, out: Shape | None) -> str:
    image, counts = shapes[0], [prod(shape) for shape in shapes[1:3] if shape is not None]
    return (
        ""
        if image is None or len(image) < 2
        else next(filter(None, (_unlike(c, image[1], "factors") for c in counts)), "")
    )


def _recurrent(gates: int) -> Check:
    def check(attributes: Attributes, shapes: Shapes, out: Shape | None) -> str:
        steps, inner, state = shapes[:3]
        if steps is None or inner is None or state is None or not len(steps) == len(inner) == len(state) == 3:
            return ""
        both = 2 if attributes.get("direction") == "bidirectional" else 1
        hidden = _integer(attributes, "hidden_size", state[2])
        wanted = {
            "weights": (inner, (both, gates * hidden, steps[2])),
            "states": (state, (both, gates * hidden, hidden)),
        }
        for noun, (found, expected) in wanted.items():
            if found != expected:
                return f"{noun} of shape {list(found)} are not {list(expected)}"
        return ""

    return check


def _attention(attributes: Attributes, shapes: Shapes, out: Shape | None) -> str:
    query, keys, values = shapes[:3]
    if query is None or keys is None or values is None or not len(query) == len(keys) == len(values) > 3:
        return ""
    return _unlike(keys[-1], query[-1], "values of a key") or _unlike(values[-2], keys[-2], "values to attend to")


def _transpose(attributes: Attributes, shapes: Shapes, out: Shape | None) -> str:
    perm = attributes.get("perm")
    return "" if shapes[0] is None or not isinstance(perm, tuple) else _unlike(len(perm), len(shapes[0]), "axes")


def _blocks(attributes: Attributes, shapes: Shapes, out: Shape | None) -> str:
    image, size = shapes[0], _integer(attributes, "blocksize", 1)
    wrong = [length for length in (image or ())[2:] if size and length % size]
    return f"{wrong[0]:,} values do not fall into blocks of {size:,}" if wrong else ""


def _channel_blocks(attributes: Attributes, shapes: Shapes, out: Shape | None) -> str:
    image, size = shapes[0], _integer(attributes, "blocksize", 1)
    odd = image is not None and len(image) > 1 and size and image[1] % size**2
    return f"{image[1]:,} channels do not fall into blocks of {size**2:,}" if odd and image else ""


def _einsum(attributes: Attributes, shapes: Shapes, out: Shape | None) -> str:
    terms = str(attributes.get("equation", "")).replace(" ", "").split("->")[0].split(",")
    sizes: dict[str, int] = {}
    for term, shape in zip(terms, shapes, strict=False):
        if shape is None or "." in term or len(term) != len(shape):
            continue
        for label, size in zip(term, shape, strict=True):
            known = sizes.setdefault(label, size)
            if size != known and 1 not in (size, known):
                return f"the sizes {known:,} and {size:,} stand under the label {label!r}"
            sizes[label] = max(size, known)
    return ""


def _fused_product(attributes: Attributes, shapes: Shapes, out: Shape | None) -> str:
    left, right = shapes[:2]
    if left is None or right is None or min(len(left), len(right)) < 2:
        return ""
    if attributes.get("transBatchA") or attributes.get("transBatchB"):
        return ""
    return _unlike(
        left[-2 if attributes.get("transA") else -1], right[-1 if attributes.get("transB") else -2], "columns"
    )


def _packed_product(attributes: Attributes, shapes: Shapes, out: Shape | None) -> str:
    return "" if shapes[0] is None else _unlike(shapes[0][-1], _integer(attributes, "K", shapes[0][-1]), "columns")


def _last(*slots: int) -> Check:
    """Operands with one value for each value of the last axis."""

    def check(attributes: Attributes, shapes: Shapes, out: Shape | None) -> str:
        image = shapes[0]
        if not image:
            return ""
        counts = [prod(shape) for slot in slots if (shape := shapes[slot]) is not None]
        return next(filter(None, (_unlike(count, image[-1], "factors or offsets") for count in counts)), "")

    return check


def _packed_attention(attributes: Attributes, shapes: Shapes, out: Shape | None) -> str:
    image, weight = shapes[:2]
    return "" if image is None or weight is None else _unlike(image[-1], weight[0], "columns")


def _heads(attributes: Attributes, shapes: Shapes, out: Shape | None) -> str:
    query, keys = shapes[:2]
    heads = _integer(attributes, "num_heads", 1)
    if query is None or keys is None or not len(query) == len(keys) == 3:
        return ""
    return (
        f"{query[-1]:,} values do not fall into {heads:,} heads"
        if query[-1] % heads
        else _unlike(keys[-1], query[-1], "values of a key")
    )


MICROSOFT = "com.microsoft."
_CHECKS: dict[str, Check] = {
    "Reshape": _reshape,
    "Gemm": _gemm,
    "PRelu": _slope,
    "Conv": _conv,
    "ConvTranspose": _transposed,
    **dict.fromkeys(("MaxPool", "AveragePool", "LpPool"), _window),
    "LayerNormalization": _layer_norm,
    "GroupNormalization": _channels,
    "InstanceNormalization": _instance,
    "LSTM": _recurrent(4),
    "GRU": _recurrent(3),
    "RNN": _recurrent(1),
    "Attention": _attention,
    "Einsum": _einsum,
    f"{MICROSOFT}FusedMatMul": _fused_product,
    f"{MICROSOFT}FusedGemm": _gemm,
    f"{MICROSOFT}FusedConv": _conv,
    f"{MICROSOFT}MatMulNBits": _packed_product,
    f"{MICROSOFT}BiasGelu": _last(1),
    f"{MICROSOFT}SkipLayerNormalization": _last(2, 3, 4),
    f"{MICROSOFT}SkipSimplifiedLayerNormalization": _last(2, 3),
    f"{MICROSOFT}Attention": _packed_attention,
    f"{MICROSOFT}MultiHeadAttention": _heads,
    "Transpose": _transpose,
    "SpaceToDepth": _blocks,
    "DepthToSpace": _channel_blocks,
}
