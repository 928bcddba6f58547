"""Operands that cannot be, which the inference of the onnx library does not look at, as runtimes refuse them."""

from collections.abc import Callable, Sequence
from math import prod

import numpy as np
import onnx
from numpy.typing import NDArray

from narformer.errors import BadArchitecture
from narformer.formats.builder import Shape
from narformer.formats.onnx_attention_checks import ATTENTION_CHECKS
from narformer.formats.onnx_misfits import Attributes, Check, Shapes, first, integer, spread, unlike, unlike_shapes
from narformer.formats.onnx_values import given

__all__ = ["check_operands"]

Arrays = Sequence[NDArray[np.generic] | None]


def check_operands(kind: str, node: onnx.NodeProto, shapes: Shapes, arrays: Arrays, out: Shape | None) -> None:
    """Check the shapes of a node's inputs by slot, and of its first output; None stands for an unknown one.

    arrays: values of the small constants among the inputs, which are checked where they are indices

    kind: domain, unless it is the standard one, and operation

    Raises BadArchitecture with the reason.
    """
    check, indexed = _CHECKS.get(kind), _INDEXED.get(kind)
    if check is None and indexed is None:
        return
    if kind in ATTENTION_CHECKS and any(name and s is None for name, s in zip(node.input, shapes, strict=False)):
        return  # a past of unknown length says nothing about the mask
    attributes = {a.name: value for a in node.attribute if (value := given(a)) is not None}
    padded = [*shapes, *[None] * (8 - len(shapes))]
    reason = check(attributes, padded, out) if check else ""
    if not reason and indexed and padded[0] is not None and len(arrays) > 1 and arrays[1] is not None:
        reason = _outside(arrays[1], indexed(attributes, padded[0], arrays[1]))
    if reason:
        raise BadArchitecture(reason)


def _reshape(attributes: Attributes, shapes: Shapes, out: Shape | None) -> str:
    return "" if shapes[0] is None or out is None else unlike(prod(shapes[0]), prod(out), "values")


def _gemm(attributes: Attributes, shapes: Shapes, out: Shape | None) -> str:
    left, right, offset = shapes[:3]
    if left is None or right is None or len(left) != 2 or len(right) != 2:
        return ""
    rows = left[0 if attributes.get("transA") else 1]
    return unlike(rows, right[1 if attributes.get("transB") else 0], "columns") or spread(offset, out)


def _slope(attributes: Attributes, shapes: Shapes, out: Shape | None) -> str:
    image, slope = shapes[:2]
    if image is None or slope is None:
        return ""
    fits = all(a == b or 1 in (a, b) for a, b in zip(slope[::-1], image[::-1], strict=False))
    return "" if fits else f"slopes of shape {list(slope)} cannot be broadcast to {list(image)}"


def _conv(attributes: Attributes, shapes: Shapes, out: Shape | None) -> str:
    image, filters, offset = shapes[:3]
    if image is None or filters is None or len(image) < 2 or len(filters) != len(image):
        return ""
    group, kernel = integer(attributes, "group", 1), attributes.get("kernel_shape", filters[2:])
    reason = unlike(filters[1] * group, image[1], "channels of the filters")
    if not reason and group and filters[0] % group:
        reason = f"{filters[0]:,} filters do not fall into {group:,} groups"
    if not reason and kernel != filters[2:]:
        reason = (
            f"filters of {list(filters[2:])} are not the stated {list(kernel) if isinstance(kernel, tuple) else kernel}"
        )
    if not reason and offset is not None:
        reason = unlike(prod(offset), filters[0], "offsets")
    return reason or _window({**attributes, "kernel_shape": filters[2:]}, shapes)


def _pool(attributes: Attributes, shapes: Shapes, out: Shape | None) -> str:
    # Runtimes divide toward zero, so that a kernel may reach over the image by less than two steps: nothing is left.
    return _window(attributes, shapes, steps=2)


def _window(attributes: Attributes, shapes: Shapes, steps: int = 0) -> str:
    """A reason if the kernel reaches over the padded image, by so many strides if ``steps`` is not 0."""
    image, kernel = shapes[0], attributes.get("kernel_shape")
    if image is None or not isinstance(kernel, tuple) or len(kernel) != len(image) - 2:
        return "" if image is None or not isinstance(kernel, tuple) else f"a kernel of {len(kernel)} axes"
    pads, rates = attributes.get("pads", (0,) * (2 * len(kernel))), attributes.get("dilations", (1,) * len(kernel))
    if attributes.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID") or not (
        isinstance(pads, tuple) and isinstance(rates, tuple) and len(pads) == 2 * len(kernel) == 2 * len(rates)
    ):
        return ""
    strides = attributes.get("strides", (1,) * len(kernel))
    ends = pads[len(kernel) :]
    for axis, (size, k, rate) in enumerate(zip(image[2:], kernel, rates, strict=False)):
        before, behind = pads[axis], ends[axis]
        stride = strides[axis] if isinstance(strides, tuple) and axis < len(strides) else 1
        over = (k - 1) * rate + 1 - (size + before + behind)
        if size and over >= max(1, steps * stride):
            return f"a kernel that reaches over {(k - 1) * rate + 1:,} values of {size + before + behind:,}"
    return ""


def _transposed(attributes: Attributes, shapes: Shapes, out: Shape | None) -> str:
    image, filters, offset = shapes[:3]
    if image is None or filters is None or len(filters) < 2 or len(image) < 2:
        return ""
    reason = unlike(filters[0], image[1], "channels of the filters")
    if not reason and offset is not None:
        reason = unlike(prod(offset), filters[1] * integer(attributes, "group", 1), "offsets")
    return reason


def _layer_norm(attributes: Attributes, shapes: Shapes, out: Shape | None) -> str:
    image = shapes[0]
    if image is None:
        return ""
    return next((reason for shape in shapes[1:3] if (reason := spread(shape, image))), "")


def _channels(attributes: Attributes, shapes: Shapes, out: Shape | None) -> str:
    image, counts = shapes[0], [prod(shape) for shape in shapes[1:3] if shape is not None]
    groups = integer(attributes, "num_groups", 1)
    if image is None or len(image) < 2:
        return ""
    if groups and image[1] % groups:
        return f"{image[1]:,} channels do not fall into {groups:,} groups"
    return next((unlike(count, image[1], "factors") for count in counts if count not in (image[1], groups)), "")


def _instance(attributes: Attributes, shapes: Shapes, out: Shape | None) -> str:
    image, counts = shapes[0], [prod(shape) for shape in shapes[1:3] if shape is not None]
    return (
        ""
        if image is None or len(image) < 2
        else next(filter(None, (unlike(c, image[1], "factors") for c in counts)), "")
    )


def _recurrent(gates: int) -> Check:
    def check(attributes: Attributes, shapes: Shapes, out: Shape | None) -> str:
        steps, inner, state, offset, lengths, start, cell, peepholes = shapes[:8]
        if steps is None or state is None or len(steps) != 3:
            return ""
        if len(state) != 3:
            return f"states of {len(state)} axes"
        both = 2 if attributes.get("direction") == "bidirectional" else 1
        hidden = integer(attributes, "hidden_size", state[2])
        by_rows = bool(integer(attributes, "layout", 0))  # the batch is the first axis
        batch = steps[0 if by_rows else 1]
        first_state = (batch, both, hidden) if by_rows else (both, batch, hidden)
        return first(
            unlike_shapes("weights", inner, (both, gates * hidden, steps[2])),
            unlike_shapes("states", state, (both, gates * hidden, hidden)),
            unlike_shapes("offsets", offset, (both, 2 * gates * hidden)),
            unlike_shapes("lengths", lengths, (batch,)),
            unlike_shapes("first states", start, first_state),
            unlike_shapes("first cells", cell, first_state),
            unlike_shapes("peepholes", peepholes, (both, 3 * hidden)),
        )

    return check


def _deformed(attributes: Attributes, shapes: Shapes, out: Shape | None) -> str:
    image, filters, moves, offset, mask = shapes[:5]
    if image is None or filters is None or len(image) < 3 or len(image) != len(filters):
        return ""
    group, moved = integer(attributes, "group", 1), integer(attributes, "offset_group", 1)
    kernel = attributes.get("kernel_shape", filters[2:])
    size = out[2:] if out is not None and len(out) == len(image) else (None,) * (len(image) - 2)
    window = moved * prod(filters[2:])
    return first(
        unlike(filters[1] * group, image[1], "channels of the filters"),
        f"{filters[0]:,} filters do not fall into {group:,} groups" if group and filters[0] % group else "",
        f"{image[1]:,} channels do not fall into {moved:,} groups" if moved and image[1] % moved else "",
        "" if kernel == filters[2:] else f"filters of {list(filters[2:])} are not those that are stated",
        unlike_shapes("moves", moves, (image[0], len(size) * window, *size)),
        unlike_shapes("offsets", offset, (filters[0],)),
        unlike_shapes("factors", mask, (image[0], window, *size)),
    )


def _transpose(attributes: Attributes, shapes: Shapes, out: Shape | None) -> str:
    perm = attributes.get("perm")
    return "" if shapes[0] is None or not isinstance(perm, tuple) else unlike(len(perm), len(shapes[0]), "axes")


def _blocks(attributes: Attributes, shapes: Shapes, out: Shape | None) -> str:
    image, size = shapes[0], integer(attributes, "blocksize", 1)
    wrong = [length for length in (image or ())[2:] if size and length % size]
    return f"{wrong[0]:,} values do not fall into blocks of {size:,}" if wrong else ""


def _channel_blocks(attributes: Attributes, shapes: Shapes, out: Shape | None) -> str:
    image, size = shapes[0], integer(attributes, "blocksize", 1)
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
    return unlike(
        left[-2 if attributes.get("transA") else -1], right[-1 if attributes.get("transB") else -2], "columns"
    )


def _packed_product(attributes: Attributes, shapes: Shapes, out: Shape | None) -> str:
    return "" if shapes[0] is None else unlike(shapes[0][-1], integer(attributes, "K", shapes[0][-1]), "columns")


def _last(*slots: int) -> Check:
    """Operands with one value for each value of the last axis."""

    def check(attributes: Attributes, shapes: Shapes, out: Shape | None) -> str:
        image = shapes[0]
        if not image:
            return ""
        counts = [prod(shape) for slot in slots if (shape := shapes[slot]) is not None]
        return next(filter(None, (unlike(count, image[-1], "factors or offsets") for count in counts)), "")

    return check


def _along(attributes: Attributes, shapes: Shapes, out: Shape | None) -> str:
    """GatherElements and ScatterElements: indices for a part of the values, and new values for each of them."""
    values, index, new = shapes[:3]
    if values is None or index is None:
        return ""
    axis = integer(attributes, "axis", 0)
    if len(index) != len(values):
        return f"indices of {len(index)} axes for values of {len(values)}"
    larger = [i for i, (a, b) in enumerate(zip(index, values, strict=True)) if a > b and i != axis % len(values)]
    reason = f"indices of shape {list(index)} reach over values of {list(values)}" if larger else ""
    return reason or unlike_shapes("new values", new, index)


def _placed(attributes: Attributes, shapes: Shapes, out: Shape | None) -> str:
    values, index, new = shapes[:3]
    if values is None or not index:
        return ""
    if index[-1] > len(values):
        return f"{index[-1]:,} indices of one value for {len(values):,} axes"
    return unlike_shapes("new values", new, (*index[:-1], *values[index[-1] :]))


Sizes = NDArray[np.int64]  # that broadcasts with the indices: the size of the axis that each one is of


def _one_axis(attributes: Attributes, values: Shape, index: NDArray[np.generic]) -> Sizes:
    axis = integer(attributes, "axis", 0)
    return np.array(values[axis] if -len(values) <= axis < len(values) else 2**62)


def _first_axes(attributes: Attributes, values: Shape, index: NDArray[np.generic]) -> Sizes:
    before, count = integer(attributes, "batch_dims", 0), index.shape[-1] if index.ndim else 0
    sizes = values[before : before + count]
    return np.array(sizes if len(sizes) == count else [2**62] * count, np.int64)


def _outside(index: NDArray[np.generic], sizes: Sizes) -> str:
    """A reason if an index is not one of an axis; negative ones count from the end."""
    if index.dtype.kind not in "iu" or not index.size:
        return ""
    whole = index.astype(np.int64)
    wrong = whole[np.broadcast_to((whole < -sizes) | (whole >= sizes), whole.shape)]
    return f"the index {wrong[0]:,} is out of range" if wrong.size else ""


MICROSOFT = "com.microsoft."
_CHECKS: dict[str, Check] = {
    "Reshape": _reshape,
    "Gemm": _gemm,
    "PRelu": _slope,
    "Conv": _conv,
    "ConvTranspose": _transposed,
    **dict.fromkeys(("MaxPool", "AveragePool", "LpPool"), _pool),
    "LayerNormalization": _layer_norm,
    "GroupNormalization": _channels,
    "InstanceNormalization": _instance,
    "LSTM": _recurrent(4),
    "GRU": _recurrent(3),
    "RNN": _recurrent(1),
    "DeformConv": _deformed,
    **dict.fromkeys(("GatherElements", "ScatterElements"), _along),
    "ScatterND": _placed,
    "Einsum": _einsum,
    f"{MICROSOFT}FusedMatMul": _fused_product,
    f"{MICROSOFT}FusedGemm": _gemm,
    f"{MICROSOFT}FusedConv": _conv,
    f"{MICROSOFT}MatMulNBits": _packed_product,
    f"{MICROSOFT}BiasGelu": _last(1),
    f"{MICROSOFT}SkipLayerNormalization": _last(2, 3, 4),
    f"{MICROSOFT}SkipSimplifiedLayerNormalization": _last(2, 3),
    **ATTENTION_CHECKS,
    "Transpose": _transpose,
    "SpaceToDepth": _blocks,
    "DepthToSpace": _channel_blocks,
}
_INDEXED: dict[str, Callable[[Attributes, Shape, NDArray[np.generic]], Sizes]] = {
    **dict.fromkeys(("Gather", "GatherElements", "ScatterElements"), _one_axis),
    **dict.fromkeys(("GatherND", "ScatterND"), _first_axes),
}
