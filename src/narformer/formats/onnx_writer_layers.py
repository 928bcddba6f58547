"""How the operations of sequences, and those with weights of their own form, are written as ONNX nodes.

They are written as PyTorch's exporter writes them, so that a runtime fuses what it fuses in exported files.
"""

from math import isqrt, pi, prod, sqrt
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from narformer.errors import BadArchitecture

if TYPE_CHECKING:
    from narformer.formats.onnx_writer import Writer

__all__ = ["LAYERS", "window_mask"]

APART = -100.0  # in the mask of shifted windows; its exponential is subnormal, which processors multiply slowly


def _normalised(writer: "Writer", vertex: int, kind: str, inputs: list[str]) -> None:
    """A norm over the last axes; ``constant`` states whether it has a scale, or a scale and an offset."""
    op, shape, attributes = writer.architecture.ops[vertex], writer.only_input(vertex), writer.attributes(vertex, kind)
    axis = op.get("axis", -1)
    size = shape[axis:] if isinstance(axis, int) else shape[-1:]
    inputs = [*inputs, writer.weight(vertex, "scale", size, 1, 0.2)]
    if op.get("constant") == 2 * prod(size):
        inputs.append(writer.weight(vertex, "offset", size, 0, 0.1))
    writer.node(vertex, kind, inputs, {"axis": -1, **attributes})


def _gelu(writer: "Writer", vertex: int, kind: str, inputs: list[str]) -> None:
    """x/2 (1 + erf(x / √2)), or with tanh(√(2/π) (x + 0.044715 x³))."""

    def step(kind: str, out: str, *operands: str | float) -> str:
        names = [
            operand if isinstance(operand, str) else writer.number(vertex, f"{out}_{slot}", operand)
            for slot, operand in enumerate(operands)
        ]
        return writer.node(vertex, kind, names, {}, out)

    x = inputs[0]
    if writer.architecture.ops[vertex].get("approximate", "none") == "none":
        curve = step("Erf", "erf", step("Div", "divided", x, sqrt(2)))
        whole = step("Mul", "whole", x, step("Add", "raised", curve, 1.0))
        writer.node(vertex, "Mul", [whole, writer.number(vertex, "half", 0.5)], {})
        return
    half = step("Mul", "halved", x, 0.5)
    cubic = step("Mul", "cubic", step("Pow", "power", x, 3.0), 0.044715)
    curve = step("Tanh", "tanh", step("Mul", "scaled", step("Add", "sum", x, cubic), sqrt(2 / pi)))
    writer.node(vertex, "Mul", [half, step("Add", "raised", curve, 1.0)], {})


def _attention(writer: "Writer", vertex: int, kind: str, inputs: list[str]) -> None:
    """softmax(q s (k s)ᵀ + mask) v, s² = 1 / √D.

    A mask that is computed from no tensor is one of truth values: its rows are guarded, as all of one may be masked.
    """
    op, shapes = writer.architecture.ops[vertex], [writer.shape(source) for _, source in writer.operands[vertex]]
    if len(inputs) not in (3, 4) or len(shapes) < 3:
        raise BadArchitecture(f"{writer.names[vertex]}: expected queries, keys, values and at most one mask")
    strange = sorted(name for name, value in op.attributes if value and name not in ("is_causal", "constant"))
    if strange or op.get("is_causal") or len({shape[:-2] for shape in shapes[:3]}) > 1:
        found = strange[0] if strange else "is_causal" if op.get("is_causal") else "heads of other numbers"
        raise BadArchitecture(f"{writer.names[vertex]}: attention with {found} cannot be written as ONNX")
    query, key, value, *mask = inputs
    *leading, length, size = shapes[1]
    rows = writer.number(vertex, "rows", (prod(leading), length, size))
    turned = writer.node(vertex, "Reshape", [key, rows], {}, "rows_of_keys")
    turned = writer.node(vertex, "Transpose", [turned], {"perm": (0, 2, 1)}, "turned_rows")
    back = writer.number(vertex, "turned_shape", (*leading, size, length))
    turned = writer.node(vertex, "Reshape", [turned, back], {}, "turned")
    scale = writer.number(vertex, "root", size**-0.25)
    scaled = writer.node(vertex, "Mul", [query, scale], {}, "scaled_queries")
    turned = writer.node(vertex, "Mul", [turned, scale], {}, "scaled_keys")
    scores = writer.node(vertex, "MatMul", [scaled, turned], {}, "scores")
    if mask:
        scores = writer.node(vertex, "Add", [scores, *mask], {}, "masked")
    shares = writer.node(vertex, "Softmax", [scores], {"axis": -1}, "softmax")
    if mask and not any(constant.tensors for constant in op.constants):
        empty = writer.node(vertex, "IsNaN", [shares], {}, "empty")
        shares = writer.node(vertex, "Where", [empty, writer.number(vertex, "zero", 0.0), shares], {}, "shares")
    writer.node(vertex, "MatMul", [shares, value], {})


def _recurrent(writer: "Writer", vertex: int, kind: str, inputs: list[str]) -> None:
    """One layer that begins with a state of zeros."""
    op, width = writer.architecture.ops[vertex], writer.only_input(vertex)[-1]
    hidden, both = writer.shape(vertex)[-1], 2 if op.get("direction") == "bidirectional" else 1
    gates = {"LSTM": 4, "GRU": 3, "RNN": 1}[kind] * hidden
    reach = hidden**-0.5
    inputs = [*inputs, writer.weight(vertex, "input_weight", (both, gates, width), 0, reach)]
    inputs.append(writer.weight(vertex, "state_weight", (both, gates, hidden), 0, reach))
    if op.get("bias", 1):
        inputs.append(writer.weight(vertex, "bias", (both, 2 * gates), 0, reach))
    writer.node(vertex, kind, inputs, writer.attributes(vertex, kind))


def _conv_transpose(writer: "Writer", vertex: int, kind: str, inputs: list[str]) -> None:
    op, channels = writer.architecture.ops[vertex], writer.only_input(vertex)[1]
    kernel, group = op.get("kernel_shape"), op.get("group", 1)
    if not isinstance(kernel, tuple) or not isinstance(group, int):
        raise BadArchitecture(f"{writer.names[vertex]}: a convolution without kernel_shape cannot be written")
    out = writer.shape(vertex)[1]
    reach = (6 / (channels // group * prod(kernel))) ** 0.5
    inputs = [*inputs, writer.weight(vertex, "weight", (channels, out // group, *kernel), 0, reach)]
    if op.get("bias", 0):
        inputs.append(writer.weight(vertex, "bias", (out,), 0, 0.1))
    writer.node(vertex, kind, inputs, writer.attributes(vertex, kind))


def _expand(writer: "Writer", vertex: int, kind: str, inputs: list[str]) -> None:
    writer.node(vertex, "Expand", [*inputs, writer.number(vertex, "shape", writer.shape(vertex))], {})


def _resize(writer: "Writer", vertex: int, kind: str, inputs: list[str]) -> None:
    """To the size of the output; ``nearest`` takes the pixel above and left, as PyTorch does."""
    mode = writer.architecture.ops[vertex].get("mode", "nearest")
    sizes = writer.number(vertex, "sizes", writer.shape(vertex))
    nearest = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor", "mode": "nearest"}
    other = {"coordinate_transformation_mode": "half_pixel", "mode": str(mode)}
    writer.node(vertex, "Resize", [*inputs, "", "", sizes], dict(nearest if mode == "nearest" else other))


def _pad(writer: "Writer", vertex: int, kind: str, inputs: list[str]) -> None:
    """With zeros, or as ``mode`` says."""
    op = writer.architecture.ops[vertex]
    pads, value, mode = op.get("pads"), op.get("value", 0), str(op.get("mode", "constant"))
    if not isinstance(pads, tuple) or value:
        raise BadArchitecture(f"{writer.names[vertex]}: expected pads, and zeros as their value")
    writer.node(vertex, "Pad", [*inputs, writer.number(vertex, "pads", pads)], {"mode": mode})


def window_mask(shape: tuple[int, ...]) -> NDArray[np.float32] | None:
    """The mask of windows that were shifted by half (Liu et al. 2021), for (1, windows, 1, area, area); else None.

    Shifted windows at the last rows and columns hold pixels from opposite sides of the image, which are kept apart.
    """
    if len(shape) != 5 or shape[0] != 1 or shape[2] != 1 or shape[3] != shape[4]:
        return None
    across, window = isqrt(shape[1]), isqrt(shape[3])
    if across**2 != shape[1] or window**2 != shape[3]:
        return None
    side = np.zeros((across, window), np.int64)
    side[-1, window - window // 2 :] = 1
    pixels = 2 * side[:, None, :, None] + side[None, :, None, :]
    sides = pixels.reshape(across**2, window**2)
    apart = sides[:, :, None] != sides[:, None, :]
    return np.where(apart, np.float32(APART), np.float32(0)).reshape(shape)


LAYERS = {
    **dict.fromkeys(("LayerNormalization", "RMSNormalization"), _normalised),
    "Gelu": _gelu,
    "Attention": _attention,
    **dict.fromkeys(("LSTM", "GRU", "RNN"), _recurrent),
    "ConvTranspose": _conv_transpose,
    "Expand": _expand,
    "Resize": _resize,
    "Pad": _pad,
}
