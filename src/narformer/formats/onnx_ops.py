"""Translates ONNX operations to the op table: attributes are read from the node or from its constant inputs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite, prod

import onnx

from narformer.formats.builder import SIZES, Builder, Constant, Operand, Shape, broadcast, merged, same_padding, slices
from narformer.formats.trained import decided
from narformer.network.graph import Value
from narformer.network.ops import ALIASES, ELEMENTWISE, OPS
from narformer.network.tensors import Tensor

__all__ = ["OWN_KINDS", "Call", "Given", "outputs"]

OWN_KINDS = ("Input", "Take", "Zero")  # kinds of the op table that are not ONNX operations
ENTRIES = 64  # longest attribute of an unknown operation that is kept

BIAS_SLOT = {"QLinearConv": 8, "DeformConv": 3}
Given = int | float | str | tuple[int | float, ...]


@dataclass
class Call:
    """One node: operands and their shapes by slot, attributes by name; shapes of its outputs, and whether each is read.

    given: the attributes; out: the shapes of the outputs
    """

    kind: str
    opset: int
    given: Mapping[str, Given]
    operands: list[Operand]
    shapes: list[Shape | None]
    out: list[Shape | None]
    read: list[bool]

    def constant(self, slot: int) -> Constant | None:
        """The operand at a slot if it is a constant, else None."""
        operand = self.operands[slot] if slot < len(self.operands) else None
        return operand if isinstance(operand, Constant) else None

    def has(self, slot: int) -> bool:
        """Whether there is an operand at a slot."""
        return slot < len(self.operands) and self.operands[slot] is not None

    def shape(self, slot: int = 0) -> Shape | None:
        """The shape of an operand."""
        return self.shapes[slot] if slot < len(self.shapes) else None

    def integers(self, name: str, slot: int) -> tuple[int, ...] | None:
        """An attribute of integers; in newer versions of an operation it is an input."""
        given = self.given.get(name)
        if given is None and (constant := self.constant(slot)) is not None:
            given = None if constant.values is None else tuple(constant.values)
        numbers = [n for n in (given if isinstance(given, tuple) else (given,)) if isinstance(n, int | float)]
        return tuple(map(int, numbers)) if given == () or (numbers and all(map(isfinite, numbers))) else None

    def number(self, name: str, slot: int) -> float | None:
        """A scalar attribute; in newer versions of an operation it is an input."""
        given = self.given.get(name)
        if given is None and (constant := self.constant(slot)) is not None:
            given = constant.scalar
        return float(given) if isinstance(given, int | float) else None


def translate(call: Call, builder: Builder) -> int:
    """Add the vertices of a node and return the vertex of its first output."""
    if call.kind in _SPECIAL:
        return _SPECIAL[call.kind](call, builder)
    return _plain(call, builder)


def _plain(call: Call, builder: Builder, **attributes: Value | None) -> int:
    kind = ALIASES.get(call.kind, call.kind)
    if kind not in OPS:
        kept = {name: value for name, value in call.given.items() if _simple(value)}
        return builder.add(kind, call.out[0], call.operands, kept)  # type: ignore[arg-type]
    values: dict[str, Value] = {}
    for name in OPS[kind].attributes:
        value = attributes[name] if name in attributes else call.given.get(name)
        if value is not None and _simple(value):
            values[name] = value  # type: ignore[assignment]
    values |= {name: value for name, value in attributes.items() if value is not None}
    return builder.add(kind, call.out[0], call.operands, values)


def _simple(value: object) -> bool:
    if isinstance(value, tuple):
        return len(value) <= ENTRIES and all(isinstance(entry, int) for entry in value)
    return isinstance(value, int | float) or (isinstance(value, str) and len(value) <= ENTRIES)


def _window(call: Call, builder: Builder) -> int:
    kernel = call.integers("kernel_shape", 99)
    weights = call.shape(3 if call.kind == "QLinearConv" else 1)
    convolution = "Conv" in call.kind
    if kernel is None and convolution and weights is not None:
        kernel = weights[2:]
    if kernel is None:
        return _plain(call, builder)
    ones = (1,) * len(kernel)
    strides, dilations = call.integers("strides", 99) or ones, call.integers("dilations", 99) or ones
    pads, auto, shape = call.integers("pads", 99), call.given.get("auto_pad", "NOTSET"), call.shape()
    if auto in ("SAME_UPPER", "SAME_LOWER") and call.kind != "ConvTranspose" and shape is not None:
        if len(shape) == len(kernel) + 2 == len(strides) + 2 == len(dilations) + 2:
            pads = same_padding(shape[2:], kernel, strides, dilations, auto == "SAME_UPPER")
    elif auto == "VALID":
        pads = None
    if call.given.get("ceil_mode") and shape is not None and call.out[0] is not None and len(shape) == len(kernel) + 2:
        call.out = [None if out is None else _ended(out, shape, strides, pads) for out in call.out]
    attributes: dict[str, Value | None] = {
        "kernel_shape": kernel, "strides": strides, "pads": pads, "dilations": dilations
    }  # fmt: skip
    if not convolution and "dilations" not in OPS[ALIASES.get(call.kind, call.kind)].attributes:
        del attributes["dilations"]
    if convolution:
        attributes["bias"] = int(call.kind != "ConvInteger" and call.has(BIAS_SLOT.get(call.kind, 2)))
        extra = call.integers("output_padding", 99)
        attributes["output_padding"] = extra if extra and any(extra) else None
    if call.kind == "ConvTranspose" and pads is None and shape is not None and call.out[0] is not None:
        attributes["pads"] = _transposed_padding(call, shape, call.out[0], kernel, strides, dilations)
    return _plain(call, builder, **attributes)


def _ended(out: Shape, shape: Shape, strides: Shape, pads: Shape | None) -> Shape:
    """The output of a pool without windows that start behind the image, which the library counts before opset 22."""
    begins = pads or (0,) * len(strides)
    ends = zip(out[2:], shape[2:], strides, begins, strict=False)
    return (*out[:2], *(n - 1 if n > 1 and (n - 1) * stride >= size + begin else n for n, size, stride, begin in ends))


def _transposed_padding(
    call: Call, shape: Shape, out: Shape, kernel: Shape, strides: Shape, dilations: Shape
) -> Shape | None:
    if "output_shape" not in call.given and call.given.get("auto_pad", "NOTSET") in ("NOTSET", "VALID"):
        return None
    total = [
        max(stride * (size - 1) + (k - 1) * dilation + 1 - wanted, 0)
        for stride, size, k, dilation, wanted in zip(strides, shape[2:], kernel, dilations, out[2:], strict=False)
    ]
    return (*(t // 2 for t in total), *(t - t // 2 for t in total))


def _gemm(call: Call, builder: Builder) -> int:
    left = _turned(call.operands[0], call.given.get("transA"))
    right = _turned(call.operands[1], call.given.get("transB"))
    offset = call.operands[2] if len(call.operands) > 2 else None
    if isinstance(left, Constant):
        turned: dict[str, Value] = {"trans_b": 1} if call.given.get("transB") else {}
        vertex = builder.add("MatMul", call.out[0], [left, right], turned)
        if isinstance(offset, Constant) and not offset.certain:
            offset = replace(offset, tensors=decided("Gemm", 2, offset.tensors), certain=True)
        return vertex if offset is None else builder.add("Add", call.out[0], [vertex, offset])
    turned = {"trans_a": 1} if call.given.get("transA") else {}
    turned |= {"trans_b": 1} if call.given.get("transB") and isinstance(right, int) else {}
    bias = offset if isinstance(offset, Constant) else None
    if bias is not None and call.out[0] is not None and bias.count == call.out[0][-1]:
        bias = replace(bias, shape=call.out[0][-1:])
    vertex = builder.add("Gemm", call.out[0], [left, right, bias], {"bias": int(bias is not None), **turned})
    return builder.add("Add", call.out[0], [vertex, offset]) if isinstance(offset, int) else vertex


def _turned(operand: Operand, given: Given | None) -> Operand:
    """The operand; a constant that the node transposes has its logical shape."""
    if given and isinstance(operand, Constant) and operand.shape is not None:
        return replace(operand, shape=operand.shape[::-1])
    return operand


def _matmul(call: Call, builder: Builder) -> int:
    left, right = call.operands[0], call.operands[1]
    if call.kind == "MatMul" and isinstance(right, Constant) and len(right.shape or ()) == 2 and isinstance(left, int):
        return builder.add("Gemm", call.out[0], [left, right], {"bias": 0})
    return _plain(call, builder)


def _softmax(call: Call, builder: Builder) -> int:
    return _negative_axis(call, builder, 1 if call.opset < 13 else -1)


def _axis(default: int) -> Callable[[Call, Builder], int]:
    def positive(call: Call, builder: Builder) -> int:
        axis, shape = call.given.get("axis", default), call.out[0] if call.kind == "Concat" else call.shape()
        if isinstance(axis, int) and axis < 0 and shape:
            axis %= len(shape)
        return _plain(call, builder, axis=axis if isinstance(axis, int) else None)

    return positive


def _negative_axis(call: Call, builder: Builder, default: int = -1) -> int:
    axis, shape = call.given.get("axis", default), call.shape()
    if isinstance(axis, int) and shape:
        axis = axis % len(shape) - len(shape)
    return _plain(call, builder, axis=axis if isinstance(axis, int) else None)


def _slice(call: Call, builder: Builder) -> int:
    shape, starts, ends = call.shape(), call.integers("starts", 1), call.integers("ends", 2)
    if shape is None or starts is None or ends is None or not len(starts) == len(ends) <= len(shape):
        return _plain(call, builder)
    axes = call.integers("axes", 3) or (None if call.has(3) else tuple(range(len(starts))))
    steps = call.integers("steps", 4) or (None if call.has(4) else (1,) * len(starts))
    if axes is None or steps is None or 0 in steps or not len(axes) == len(steps) == len(starts):
        return _plain(call, builder)
    if any(not -len(shape) <= axis < len(shape) for axis in axes):
        return _plain(call, builder)
    op = slices(shape, axes, starts, ends, steps)
    return builder.add("Slice", op.shape, call.operands[:1], dict(op.attributes))


def split(call: Call, builder: Builder) -> list[Operand]:
    """One Slice per output that is read."""
    axis, shape = call.given.get("axis", 0), call.shape()
    vertices: list[Operand] = []
    start = 0
    for out, read in zip(call.out, call.read, strict=True):
        attributes: dict[str, Value] = {}
        if isinstance(axis, int) and shape and out is not None and len(out) == len(shape):
            end = start + out[axis % len(shape)]
            op = slices(shape, (axis,), (start,), (end,), (1,))
            attributes, start = dict(op.attributes), end
        vertices.append(builder.add("Slice", out, call.operands[:1], attributes) if read else None)
    return vertices


def _gather(call: Call, builder: Builder) -> int:
    data, index, shape, axis = call.operands[0], call.constant(1), call.shape(), call.given.get("axis", 0)
    at = index.scalar if index is not None and index.shape in ((), (1,)) else None
    if isinstance(data, int) and at is not None and shape and isinstance(axis, int) and call.out[0] is not None:
        axis %= len(shape)
        start = int(at) % shape[axis] if shape[axis] else 0
        op = slices(shape, (axis,), (start,), (start + 1,), (1,))
        part = builder.add("Slice", op.shape, [data], dict(op.attributes))
        return part if op.shape == call.out[0] else builder.add("Reshape", call.out[0], [part])
    return _axis(0)(call, builder)


def _clip(call: Call, builder: Builder) -> int:
    bounds: dict[str, Value | None] = {}
    for slot, name, sign in ((1, "min", -1), (2, "max", 1)):
        bound = _number(call, name, slot)
        bounds[name] = None if isinstance(bound, float) and not bound * sign < 1e30 else bound
    return _plain(call, builder, **bounds)


def _number(call: Call, name: str, slot: int) -> float | str | None:
    """A scalar; "unknown" if its value cannot be read, None if there is none."""
    value = call.number(name, slot)
    return "unknown" if value is None and call.constant(slot) is not None else value


def _resize(call: Call, builder: Builder) -> int:
    """The mapping of coordinates is kept where an output of the same shape has other values than the input."""
    mapping, scales = call.given.get("coordinate_transformation_mode"), call.constant(1 + (call.opset > 10))
    scaled = call.out[0] == call.shape() and scales is not None and set(scales.values or (1,)) != {1}
    kept = str(mapping or "half_pixel") if scaled or mapping == "tf_crop_and_resize" else None
    return _plain(call, builder, coordinate_transformation_mode=kept)


def _pad(call: Call, builder: Builder) -> int:
    pads, shape = call.integers("pads" if "pads" in call.given else "paddings", 1), call.shape()
    axes = call.integers("axes", 3)
    if pads is not None and axes is not None and shape and len(pads) == 2 * len(axes):
        whole = [0] * (2 * len(shape))
        for position, axis in enumerate(axes):
            whole[axis % len(shape)] = pads[position]
            whole[axis % len(shape) + len(shape)] = pads[position + len(axes)]
        pads = tuple(whole)
    return _plain(call, builder, pads=pads, value=_number(call, "value", 2))


def _reduce(call: Call, builder: Builder) -> int:
    axes, shape = call.integers("axes", 1), call.shape()
    if not axes and not call.has(1) and shape is not None:
        axes = () if call.given.get("noop_with_empty_axes") else tuple(range(len(shape)))
    return _plain(call, builder, axes=tuple(sorted(axis % len(shape) for axis in axes)) if axes and shape else axes)


def _transpose(call: Call, builder: Builder) -> int:
    shape, perm = call.shape(), call.given.get("perm")
    if perm is None and shape is not None:
        return _plain(call, builder, perm=tuple(reversed(range(len(shape)))))
    return _plain(call, builder)


def _cast(call: Call, builder: Builder) -> int:
    to = call.given.get("to")
    names = onnx.TensorProto.DataType
    return _plain(call, builder, to=names.Name(to).lower() if isinstance(to, int) and to in names.values() else None)


def _recurrent(call: Call, builder: Builder) -> int:
    weights, shape = call.shape(2), call.shape()
    hidden = call.given.get("hidden_size", weights[-1] if weights else None)
    layout = call.given.get("layout", 0)
    if call.out[0] is None and shape and len(shape) == 3 and isinstance(hidden, int):
        directions = 2 if call.given.get("direction") == "bidirectional" else 1
        steps, batch = shape[:2]
        call.out[0] = (steps, batch, directions, hidden) if layout else (steps, directions, batch, hidden)
    return _plain(call, builder, hidden_size=hidden if isinstance(hidden, int) else None, bias=int(call.has(3)))


def _reshape(call: Call, builder: Builder) -> int:
    wanted, shape = call.integers("shape", 1), call.shape()
    if call.out[0] is None and wanted is not None and shape is not None and not call.given.get("allowzero"):
        sizes = [shape[i] if size == 0 and i < len(shape) else size for i, size in enumerate(wanted)]
        rest = prod(size for size in sizes if size != -1)
        if sizes.count(-1) < 2 and rest > 0:
            call.out[0] = tuple(prod(shape) // rest if size == -1 else size for size in sizes)
    return _plain(call, builder)


def _swish(call: Call, builder: Builder) -> int:
    return _plain(call, builder, alpha=float(call.number("alpha", 99) or 1.0))


def _shape_of(call: Call) -> Shape | None:
    """The shape of the first output where shape inference failed: elementwise operations, reductions, Expand."""
    shape = call.shape()
    if call.kind == "Expand" and shape is not None and (wanted := call.integers("", 1)) is not None:
        return broadcast([shape, wanted])
    if call.kind.startswith("Reduce") and shape is not None:
        axes = call.integers("axes", 1)
        if axes is None or not axes:
            return None
        whole = {axis % max(len(shape), 1) for axis in axes}
        kept = call.given.get("keepdims", 1)
        return tuple(1 if i in whole else n for i, n in enumerate(shape) if kept or i not in whole)
    if call.kind in ("GroupNormalization", "MeanVarianceNormalization"):
        return shape
    if call.kind in ELEMENTWISE:
        first = call.shapes[:1] if call.kind == "CastLike" else call.shapes
        return broadcast([s for s in first if s is not None]) if None not in first else None
    return None


_FROM_SHAPES = ("Shape", "Size", "ConstantOfShape", "EyeLike", "Range")  # their outputs hold nothing of their operands


def _derived(call: Call) -> list[Constant]:
    """The outputs of a node that does not depend on an input, computed from the tensors of its operands."""
    tensors: list[Tensor] = []
    certain = True
    for slot, operand in enumerate(call.operands if call.kind not in _FROM_SHAPES else ()):
        if isinstance(operand, Constant) and slot not in SIZES.get(call.kind, ()):
            tensors += operand.tensors if operand.certain else decided(call.kind, slot, operand.tensors)
            certain = certain and (operand.certain or call.kind == "DequantizeLinear")
    one = merged(tensors)
    return [Constant(shape, tensors=one, certain=certain and bool(one)) for shape in call.out]


def _constant_out(call: Call) -> bool:
    return call.kind in ("Shape", "Size") or all(not isinstance(operand, int) for operand in call.operands)


_SPECIAL: dict[str, Callable[[Call, Builder], int]] = {
    **dict.fromkeys(
        (
            *("Conv", "ConvTranspose", "ConvInteger", "QLinearConv", "DeformConv"),
            *("MaxPool", "AveragePool", "LpPool", "MaxUnpool"),
        ),
        _window,
    ),
    "Gemm": _gemm,
    "MatMul": _matmul,
    **dict.fromkeys(("Softmax", "LogSoftmax", "Hardmax"), _softmax),
    **dict.fromkeys(("ArgMax", "ArgMin", "GatherElements", "ScatterElements"), _axis(0)),
    "Concat": _axis(1),
    **dict.fromkeys(("LayerNormalization", "RMSNormalization", "LpNormalization", "TopK", "OneHot"), _negative_axis),
    "Slice": _slice,
    "Gather": _gather,
    "Clip": _clip,
    "Pad": _pad,
    **dict.fromkeys(("Resize", "Upsample"), _resize),
    "Transpose": _transpose,
    "Cast": _cast,
    **dict.fromkeys(("LSTM", "GRU", "RNN"), _recurrent),
    "Reshape": _reshape,
    "Swish": _swish,
    "CausalConvWithState": lambda call, builder: _plain(call, builder, bias=int(call.has(2))),
    **{kind: _reduce for kind in OPS if kind.startswith("Reduce")},
}


def outputs(call: Call, builder: Builder) -> Sequence[Operand]:
    """Each output of a node: a vertex, a constant if it does not depend on an input, or None if it is not read."""
    if call.out[0] is None:
        call.out[0] = _shape_of(call)
    if _constant_out(call):
        builder.dropped["constant"] += 1
        return _derived(call)
    if call.kind == "Split":
        return split(call, builder)
    first = translate(call, builder)
    further = zip(range(1, len(call.out)), call.out[1:], call.read[1:], strict=True)
    return [first, *(builder.add("Take", shape, [first], {"index": k}) if read else None for k, shape, read in further)]
