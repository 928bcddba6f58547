"""Computes small constants of an ONNX model: shapes, axes, bounds, conditions, trip counts.

Sizes are looked at before anything is computed: no result has more than ELEMENTS whole numbers or FLOATS real ones.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from narformer.formats.builder import Shape
from narformer.formats.onnx_values import ELEMENTS, FLOATS, most, stored

__all__ = ["evaluate"]

Array = NDArray[Any]


@dataclass(frozen=True)
class _Node:
    """A node whose inputs are known: attributes by name, the inputs that are given, the shape of its output."""

    stated: Mapping[str, onnx.AttributeProto]
    inputs: Sequence[Array]
    out: Shape | None

    def integer(self, name: str, default: int) -> int:
        """An attribute."""
        return self.stated[name].i if name in self.stated else default

    def list(self, name: str, slot: int) -> list[int] | None:
        """A list of integers: an attribute, or an input in newer versions of an operation."""
        if name in self.stated:
            return [*self.stated[name].ints]
        return self.inputs[slot].reshape(-1).tolist() if len(self.inputs) > slot else None


def evaluate(
    node: onnx.NodeProto, shapes: Sequence[Shape | None], inputs: Sequence[Array | None], out: Shape | None
) -> Array | None:
    """The output of a node that does not depend on an input; None unless it is small and all its inputs are known."""
    if out is not None and prod(out) > ELEMENTS:
        return None
    stated = {a.name: a for a in node.attribute}
    try:
        if node.op_type in _OF_SHAPES:
            return None if shapes[0] is None else _OF_SHAPES[node.op_type](stated, shapes[0])
        known = [array for array in inputs if array is not None]
        if len(known) < len(node.input) or node.op_type not in _RULES:
            return None
        with np.errstate(all="ignore"):
            result = _RULES[node.op_type](_Node(stated, known, out))
    except (ValueError, IndexError, TypeError, KeyError, OverflowError):
        return None
    return np.asarray(result) if result is not None and result.size <= _most(result) else None


def _shape(stated: Mapping[str, onnx.AttributeProto], shape: Shape) -> Array:
    start = stated["start"].i if "start" in stated else 0
    return np.asarray(shape[start : stated["end"].i if "end" in stated else None], dtype=np.int64)


def _constant(node: _Node) -> Array | None:
    if "value" in node.stated:
        return stored(node.stated["value"].t)
    fields = {"value_int": "i", "value_float": "f", "value_ints": "ints", "value_floats": "floats"}
    found = [np.asarray(getattr(node.stated[name], field)) for name, field in fields.items() if name in node.stated]
    return found[0] if found else None


def _constant_of_shape(node: _Node) -> Array | None:
    size = node.inputs[0].astype(np.int64).tolist()
    form = node.stated["value"].t.data_type if "value" in node.stated else onnx.TensorProto.FLOAT
    if prod(size) > most(form):
        return None
    fill = stored(node.stated["value"].t) if "value" in node.stated else np.zeros(1, np.float32)
    return None if fill is None else np.full(size, fill.reshape(-1)[0])


def _most(array: Array) -> int:
    """Number of values of this type that are kept."""
    return FLOATS if array.dtype.kind == "f" else ELEMENTS


def _reshaped(node: _Node) -> Array | None:
    return None if node.out is None else node.inputs[0].reshape(node.out)


def _expanded(node: _Node) -> Array | None:
    return None if node.out is None or prod(node.out) > ELEMENTS else np.broadcast_to(node.inputs[0], node.out)


def _tiled(node: _Node) -> Array | None:
    small = node.out is not None and prod(node.out) <= ELEMENTS
    return np.tile(node.inputs[0], node.inputs[1].tolist()) if small else None


def _range(node: _Node) -> Array | None:
    start, limit, step = (array.item() for array in node.inputs)
    fits = 0 <= (limit - start) / step <= ELEMENTS if step else False
    return np.arange(start, limit, step, dtype=node.inputs[0].dtype) if fits else None


def _transposed(node: _Node) -> Array:
    return node.inputs[0].transpose(node.list("perm", 1))


def _cast(node: _Node) -> Array:
    return node.inputs[0].astype(onnx.helper.tensor_dtype_to_np_dtype(node.stated["to"].i))


def _gathered(node: _Node) -> Array:
    return np.asarray(np.take(node.inputs[0], node.inputs[1].astype(np.int64), axis=node.integer("axis", 0)))


def _sliced(node: _Node) -> Array:
    data = node.inputs[0]
    starts, ends = node.list("starts", 1) or [], node.list("ends", 2) or []
    axes = node.list("axes", 3) or range(len(starts))
    cuts = [slice(None)] * data.ndim
    for axis, start, end, step in zip(axes, starts, ends, node.list("steps", 4) or [1] * len(starts), strict=True):
        # An end before the first value is written as a large negative number, which Python takes from the end.
        cuts[axis] = slice(start, None if step < 0 and end < -data.shape[axis] else end, step)
    return data[tuple(cuts)]


def _divided(node: _Node) -> Array:
    a, b = node.inputs
    return np.asarray(np.fix(a / b).astype(a.dtype) if a.dtype.kind in "iu" else np.divide(a, b))


def _modulo(node: _Node) -> Array:
    return np.asarray((np.fmod if node.integer("fmod", 0) else np.mod)(*node.inputs))


def _each(function: Callable[..., Any]) -> Callable[[_Node], Array | None]:
    def each(node: _Node) -> Array | None:
        size = prod(np.broadcast_shapes(*(array.shape for array in node.inputs)))
        return np.asarray(function(*node.inputs)) if size <= ELEMENTS else None

    return each


def _reduction(function: Callable[..., Any]) -> Callable[[_Node], Array]:
    def reduced(node: _Node) -> Array:
        axes = node.list("axes", 1)
        keep = bool(node.integer("keepdims", 1))
        return np.asarray(function(node.inputs[0], axis=tuple(axes) if axes else None, keepdims=keep))

    return reduced


_OF_SHAPES: dict[str, Callable[[Mapping[str, onnx.AttributeProto], Shape], Array]] = {
    "Shape": _shape,
    "Size": lambda stated, shape: np.asarray(prod(shape), np.int64),
}
_ARITHMETIC: dict[str, Callable[..., Any]] = {
    "Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "Sqrt": np.sqrt, "Neg": np.negative, "Max": np.maximum,
    "Min": np.minimum, "Equal": np.equal, "Where": np.where, "Floor": np.floor, "Ceil": np.ceil, "Pow": np.power,
    "Abs": np.abs, "Sign": np.sign, "And": np.logical_and, "Or": np.logical_or, "Xor": np.logical_xor,
    "Not": np.logical_not, "Less": np.less, "LessOrEqual": np.less_equal, "Greater": np.greater, "Round": np.round,
    "GreaterOrEqual": np.greater_equal, "Reciprocal": np.reciprocal, "Exp": np.exp, "Log": np.log,
}  # fmt: skip
_REDUCTIONS: dict[str, Callable[..., Any]] = {
    "ReduceProd": np.prod, "ReduceSum": np.sum, "ReduceMax": np.max, "ReduceMin": np.min,
}  # fmt: skip
_RULES: dict[str, Callable[[_Node], Array | None]] = {
    **{kind: _each(function) for kind, function in _ARITHMETIC.items()},
    **{kind: _reduction(function) for kind, function in _REDUCTIONS.items()},
    **dict.fromkeys(("Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity"), _reshaped),
    "Constant": _constant,
    "ConstantOfShape": _constant_of_shape,
    "Expand": _expanded,
    "Tile": _tiled,
    "Range": _range,
    "Transpose": _transposed,
    "Cast": _cast,
    "CastLike": lambda node: node.inputs[0].astype(node.inputs[1].dtype),
    "Concat": lambda node: np.concatenate(node.inputs, axis=node.integer("axis", 0)),
    "Gather": _gathered,
    "Slice": _sliced,
    "Div": _divided,
    "Mod": _modulo,
}
