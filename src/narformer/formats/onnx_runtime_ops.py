"""Prepares the operations of ONNX Runtime and of ``ai.onnx.ml``, and some standard ones, for translation.

An operation that is a standard one under another name gets that name. Weights that are packed below eight bits get
their logical shape and type. What ``ai.onnx.ml`` keeps in attributes becomes constants after the operands.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import prod

import onnx

from narformer.formats.builder import Constant, Operand, Shape, same_padding
from narformer.formats.onnx_guard import absurd
from narformer.formats.onnx_initializers import DTYPES
from narformer.formats.onnx_ops import Call, Given
from narformer.network.runtime_ops import LEARNING, NCHWC, NHWC, RUNTIME, RUNTIME_OPS
from narformer.network.tensors import BITS, Tensor

__all__ = ["STANDARD", "channels", "prepared"]

# Standard operations with equal operands and attributes
STANDARD = {
    **{RUNTIME + kind: kind for kind in ("Gelu", "Trilu", "GridSample", "Range", "GatherND", "Pad")},
    **{RUNTIME + kind: kind for kind in ("QuantizeLinear", "DequantizeLinear")},
    RUNTIME + "ExpandDims": "Unsqueeze",
    RUNTIME + "TorchEmbedding": "Gather",
    RUNTIME + "LinearAttention": "LinearAttention",
    RUNTIME + "TransposeMatMul": RUNTIME + "FusedMatMul",
    "SimplifiedLayerNormalization": "RMSNormalization",
}
_NAMES = {"transA": "trans_a", "transB": "trans_b", "transBatchA": "trans_batch_a", "transBatchB": "trans_batch_b"}
_FILTERS = {  # kind -> slot of its filters
    **dict.fromkeys(("Conv", "ConvInteger", "ConvTranspose"), 1),
    **{RUNTIME + kind: 1 for kind in ("FusedConv", "NhwcConv", "NhwcFusedConv", "ConvTransposeWithDynamicPads")},
    **{domain + kind: 1 for domain in (NCHWC, NHWC) for kind in ("Conv", "ConvTranspose")},
    **dict.fromkeys(("QLinearConv", RUNTIME + "QLinearConv", NHWC + "QLinearConv", NHWC + "QLinearConvTranspose"), 3),
}
_PRESENT = ("Attention", "MultiHeadAttention", "GroupQueryAttention", "SelfAttention")


def _fourier(call: Call) -> Call:
    """DFT with its axis as an attribute; from opset 20 on it is an operand."""
    axes = call.integers("axis", 2) if call.opset >= 20 else None
    axis = call.given.get("axis", 1) if call.opset < 20 else axes[0] if axes else -2
    shape = call.shape()
    if isinstance(axis, int) and shape is not None and -len(shape) <= axis < len(shape):
        axis %= len(shape)
    return replace(call, given={**call.given, "axis": axis}, operands=call.operands[:1], shapes=call.shapes[:1])


def _columns(call: Call) -> Call:
    """Col2Im with its window as an attribute, and with all attributes stated."""
    window = call.integers("block_shape", 2)
    if window is None:
        return call
    n = len(window)
    defaults: dict[str, Given] = {"strides": (1,) * n, "dilations": (1,) * n, "pads": (0,) * 2 * n}
    given = {**defaults, **call.given, "kernel_shape": tuple(window)}
    return replace(call, given=given, operands=call.operands[:1], shapes=call.shapes[:1])


_FROM_OPERANDS: dict[str, Callable[[Call], Call]] = {"DFT": _fourier, "Col2Im": _columns}


def prepared(call: Call, node: onnx.NodeProto) -> Call:
    """The call, as the table of operations and the translation of standard operations know it."""
    kind = call.kind
    if kind == RUNTIME + "QLinearConv" and not call.given.get("channels_last"):
        return replace(call, kind="QLinearConv")
    if kind == RUNTIME + "QuickGelu":
        return replace(call, kind="Swish", given={"alpha": call.given.get("alpha", 1.702)})
    if kind == RUNTIME + "RotaryEmbedding":  # the standard operation has the positions last
        operands, shapes = ([*part[:1], *part[2:4], *part[1:2]] for part in (call.operands, call.shapes))
        return replace(call, kind="RotaryEmbedding", operands=operands, shapes=shapes)
    if kind in _FROM_OPERANDS:
        return _FROM_OPERANDS[kind](call)
    turned = call.given.get("channels_last") or call.given.get("dilation", 1) != 1
    if kind == RUNTIME + "CausalConvWithState" and not turned:
        return replace(call, kind="CausalConvWithState")
    if kind == RUNTIME + "FastGelu" and not call.has(1):
        return replace(call, kind="Gelu", given={"approximate": "tanh"}, operands=call.operands[:1])
    call = replace(call, kind=STANDARD.get(kind, kind))
    if call.kind not in RUNTIME_OPS:
        return call
    if call.kind.startswith(LEARNING):
        if call.kind == LEARNING + "ZipMap":  # a map has the shape of its values
            call = replace(call, out=[call.shape()])
        return replace(call, operands=[*call.operands, *_fitted(call.kind, node)])
    given = {_NAMES.get(name, name): value for name, value in call.given.items()}
    if call.kind in _FILTERS or "kernel_shape" in given:
        given |= _window(call)
    if call.kind.endswith(_PRESENT) and len(call.out) > 1 and len(present := call.out[1] or ()) > 1:
        given["total_sequence_length"] = present[-2]
    short = call.kind.removeprefix(RUNTIME)
    operands = list(call.operands)
    for slot, shape_of, bits_of in _PACKED.get(short, ()):
        weight = call.constant(slot)
        if weight is not None:
            operands[slot] = _unpacked(weight, shape_of(call), bits_of(call))
    return replace(call, given=given, operands=operands)


# --- windows ---


def channels_last(call: Call) -> bool:
    """Whether the channels of an image are its last axis."""
    return bool(call.given.get("channels_last")) or call.kind.startswith((NHWC, RUNTIME + "Nhwc"))


def channels(call: Call) -> tuple[int, int | None] | None:
    """Channels of the image of a convolution, and those that its filters expect from each group, if they are known.

    None if the operation is no convolution, or its shape is not known.
    """
    slot, shape = _FILTERS.get(call.kind), call.shape()
    if slot is None or shape is None or len(shape) < 3:
        return None
    filters = call.shape(slot)
    image = shape[-1 if channels_last(call) else 1]
    if filters is None or len(filters) != len(shape) or "Transpose" in call.kind or call.kind.startswith(NCHWC):
        return image, None
    return image, filters[1]


def _window(call: Call) -> dict[str, Given]:
    """Kernel, strides, paddings and dilations, stated in full."""
    slot, image = _FILTERS.get(call.kind), call.shape()
    kernel = call.integers("kernel_shape", 99) or ((call.shape(slot) or ())[2:] if slot is not None else ())
    if not kernel:
        return {}
    ones = (1,) * len(kernel)
    strides, dilations = call.integers("strides", 99) or ones, call.integers("dilations", 99) or ones
    pads, auto = call.integers("pads", 99) or (0,) * (2 * len(kernel)), call.given.get("auto_pad", "NOTSET")
    if auto in ("SAME_UPPER", "SAME_LOWER") and image is not None and len(image) == len(kernel) + 2:
        spatial = image[1:-1] if channels_last(call) else image[2:]
        if len(strides) == len(kernel) == len(dilations):
            pads = same_padding(spatial, kernel, strides, dilations, auto == "SAME_UPPER")
    return {"kernel_shape": kernel, "strides": strides, "pads": pads, "dilations": dilations}


# --- packed weights ---


def _number(call: Call, name: str, default: int) -> int:
    value = call.given.get(name, default)
    return value if isinstance(value, int) else default


def _unpacked(weight: Constant, shape: Shape | None, bits: int) -> Constant:
    """The weight with its logical shape; its tensor holds as many values of ``bits`` bits."""
    if shape is None or absurd(shape):
        return weight
    tensors = tuple([replace(t, count=prod(shape), dtype=_packed_type(t.dtype, bits)) for t in weight.tensors])
    return replace(weight, shape=shape, values=None, tensors=tensors, code=b"")


def _packed_type(dtype: str, bits: int) -> str:
    narrow = f"{'uint' if dtype == 'uint8' else 'int'}{bits}"
    return narrow if dtype in ("uint8", "int8") and narrow in BITS else dtype


def _matrix(rows: str, columns: str) -> Callable[[Call], Shape | None]:
    return lambda call: (_number(call, rows, 0), _number(call, columns, 0))


def _bits(default: int, *names: str) -> Callable[[Call], int]:
    """The first of these attributes that is stated, from 1 to 8."""

    def bits(call: Call) -> int:
        stated = [_number(call, name, default) for name in names if name in call.given]
        return min(max(stated[0], 1), 8) if stated else default

    return bits


def _wider(slot: int, times: Callable[[Call], int]) -> Callable[[Call], Shape | None]:
    """The shape of the operand in ``slot`` if it is not packed along its last axis."""

    def shape(call: Call) -> Shape | None:
        stored = call.shape(slot)
        return (*stored[:-1], stored[-1] * times(call)) if stored else None

    return shape


def _expert(slot: int, *bits: str) -> tuple[int, Callable[[Call], Shape | None], Callable[[Call], int]]:
    wide = _bits(4, *bits, "expert_weight_bits")
    return slot, _wider(slot, lambda call: 8 // (wide(call) if _is_bytes(call, slot) else 8)), wide


def _is_bytes(call: Call, slot: int) -> bool:
    weight = call.constant(slot)
    return weight is None or any(tensor.dtype in ("uint8", "int8") for tensor in weight.tensors)


def _table_bits(call: Call) -> int:
    return _bits(4, "bits")(call) if _is_bytes(call, 0) else 8


def _pre_packed(call: Call) -> Shape | None:
    """The shape of the second operand of MatMulFpQ4, which its third holds."""
    return call.integers("", 2)


# kind -> (slot, logical shape, bits) of each packed weight
_PACKED: Mapping[str, Sequence[tuple[int, Callable[[Call], Shape | None], Callable[[Call], int]]]] = {
    "MatMulNBits": [(1, _matrix("K", "N"), _bits(4, "bits"))],
    "MatMulBnb4": [(1, _matrix("K", "N"), _bits(4))],
    "MatMulFpQ4": [(1, _pre_packed, _bits(4))],
    "MatMulNBitsMlp": [(slot, _matrix("K", "N"), _bits(4, "bits")) for slot in (3, 6)],
    "MatMulNBitsQkv": [
        (slot, _matrix("K", width), _bits(4, "bits")) for slot, width in ((3, "Nq"), (6, "Nkv"), (9, "Nkv"))
    ],
    "MatMulBlockQuantizedFp4Weight": [(1, _wider(1, _bits(2)), _bits(4))],
    "GatherBlockQuantized": [(0, _wider(0, lambda call: 8 // _table_bits(call)), _table_bits)],
    "QMoE": [
        _expert(2, "fc1_expert_weight_bits"),
        _expert(5, "fc2_expert_weight_bits"),
        _expert(8, "fc3_expert_weight_bits"),
    ],
}


# --- ai.onnx.ml ---

# kind -> the attributes that become operands, in their order; where the first of them is missing, the next one holds
# the same values
_TREES = [("nodes_values", "nodes_values_as_tensor"), ("base_values", "base_values_as_tensor")]
_COEFFICIENTS: Mapping[str, Sequence[tuple[str, ...]]] = {
    "LinearClassifier": [("coefficients",), ("intercepts",)],
    "LinearRegressor": [("coefficients",), ("intercepts",)],
    "SVMClassifier": [("support_vectors",), ("coefficients",), ("rho",), ("prob_a",), ("prob_b",)],
    "SVMRegressor": [("support_vectors",), ("coefficients",), ("rho",)],
    "TreeEnsemble": [("nodes_splits",), ("leaf_weights",)],
    "TreeEnsembleClassifier": [*_TREES, ("class_weights", "class_weights_as_tensor")],
    "TreeEnsembleRegressor": [*_TREES, ("target_weights", "target_weights_as_tensor")],
    "Scaler": [("offset",), ("scale",)],
    "Imputer": [("imputed_value_floats", "imputed_value_int64s")],
}
STATISTICS = ("Scaler", "Imputer")  # their values describe data


def _fitted(kind: str, node: onnx.NodeProto) -> list[Operand]:
    stated = {attribute.name: attribute for attribute in node.attribute}
    found: list[Operand] = []
    name = kind.removeprefix(LEARNING)
    for names in _COEFFICIENTS.get(name, ()):
        count, dtype = next((_held(stated[n]) for n in names if n in stated), (0, "float32"))
        tensor = Tensor(count, dtype, trained=name not in STATISTICS)
        tensors: tuple[Tensor, ...] = (tensor,)
        if names[0] == "nodes_values" and "nodes_modes" in stated:  # leaves have a value too, which is not used
            leaves = min(sum(mode == b"LEAF" for mode in stated["nodes_modes"].strings), count)
            tensors = (replace(tensor, count=count - leaves), Tensor(leaves, dtype, trained=False))
        found.append(Constant((count,), tensors=tensors if count else (), certain=True))
    return found


def _held(attribute: onnx.AttributeProto) -> tuple[int, str]:
    """Number and type of the values in an attribute, which may be long."""
    if attribute.HasField("t"):
        return prod(attribute.t.dims), DTYPES.get(attribute.t.data_type, "")
    return (len(attribute.floats), "float32") if attribute.floats else (len(attribute.ints), "int64")
