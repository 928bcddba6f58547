"""Values in an ONNX model: shapes, attributes, and small constants whose values matter (shapes, axes, bounds).

Only the shape of other constants is used.
"""

from collections.abc import Callable, Sequence
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from narformer.errors import BadFile, printable
from narformer.formats import onnx_guard as guard
from narformer.formats.builder import Shape
from narformer.formats.onnx_ops import Given
from narformer.formats.onnx_wire import TENSOR_BYTES

__all__ = ["evaluate", "given", "shape_of", "stored"]

ELEMENTS = 1024  # longest constant or attribute whose values are read
FLOATS = 16  # the same for floating-point numbers: scalars, scales of an image
_WHOLE = {getattr(onnx.TensorProto, name) for name in ("INT8", "INT16", "INT32", "INT64", "UINT8", "BOOL")}

Array = NDArray[Any]

_ARITHMETIC: dict[str, Callable[..., Any]] = {
    "Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "Sqrt": np.sqrt, "Neg": np.negative, "Max": np.maximum,
    "Min": np.minimum, "Equal": np.equal, "Where": np.where, "Floor": np.floor, "Ceil": np.ceil, "Pow": np.power,
}  # fmt: skip
_VIEWS = ("Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity")


def shape_of(value: onnx.ValueInfoProto, path: str | Path) -> Shape | None:
    """The stated shape of a value; None if it is missing or incomplete. Raises BadFile for sizes out of range."""
    if not value.type.HasField("tensor_type") or not value.type.tensor_type.HasField("shape"):
        return None
    dims = value.type.tensor_type.shape.dim
    if not all(dim.HasField("dim_value") for dim in dims):
        return None
    shape = tuple(dim.dim_value for dim in dims)
    if guard.absurd(shape):
        raise BadFile(
            path,
            f"the value {printable(value.name)!r} of dimensions {printable(str(shape))}",
            f"dimensions of 0 to {guard.DIM:,}, at most 2**48 values in all",
        )
    return shape


def given(attribute: onnx.AttributeProto) -> Given | None:
    """The value of an attribute; None if it is not a number, text or list of numbers, or if it is too long."""
    types = onnx.AttributeProto
    if attribute.type == types.INT:
        return attribute.i
    if attribute.type == types.FLOAT:
        return attribute.f
    if attribute.type == types.STRING:
        return attribute.s.decode(errors="replace") if len(attribute.s) <= ELEMENTS else None
    if attribute.type == types.INTS:
        return tuple(attribute.ints) if len(attribute.ints) <= ELEMENTS else None
    if attribute.type == types.FLOATS:
        return tuple(attribute.floats) if len(attribute.floats) <= ELEMENTS else None
    return None


def stored(tensor: onnx.TensorProto) -> Array | None:
    """The values of a small tensor that is stored in the file; None otherwise."""
    if (
        prod(tensor.dims) > (ELEMENTS if tensor.data_type in _WHOLE else FLOATS)
        or tensor.data_location == onnx.TensorProto.EXTERNAL
    ):
        return None
    if len(tensor.raw_data) > TENSOR_BYTES or tensor.data_type == onnx.TensorProto.STRING:
        return None
    try:
        array = onnx.numpy_helper.to_array(tensor)
    except (ValueError, TypeError, KeyError):  # contents that do not match the type or shape, such as stripped weights
        return None
    return array if array.dtype.kind in "biuf" else None


def evaluate(
    node: onnx.NodeProto, shapes: Sequence[Shape | None], inputs: Sequence[Array | None], out: Shape | None
) -> Array | None:
    """The output of a node that does not depend on an input; None unless it is small and all its inputs are known."""
    try:
        with np.errstate(all="ignore"):
            result = _evaluate(node, shapes, inputs, out)
    except (ValueError, IndexError, TypeError, KeyError, OverflowError):
        return None
    return result if result is not None and result.size <= ELEMENTS else None


def _evaluate(
    node: onnx.NodeProto, shapes: Sequence[Shape | None], inputs: Sequence[Array | None], out: Shape | None
) -> Array | None:
    stated = {a.name: a for a in node.attribute}
    kind = node.op_type
    if kind == "Constant":
        if "value" in stated:
            return stored(stated["value"].t)
        for name, field in (
            ("value_int", "i"),
            ("value_float", "f"),
            ("value_ints", "ints"),
            ("value_floats", "floats"),
        ):
            if name in stated:
                return np.asarray(getattr(stated[name], field))
        return None
    if kind == "Shape":
        start = stated["start"].i if "start" in stated else 0
        end = stated["end"].i if "end" in stated else None
        return None if shapes[0] is None else np.asarray(shapes[0][start:end], dtype=np.int64)
    known = [array for array in inputs if array is not None]
    if len(known) < len(node.input):
        return None
    if kind == "ConstantOfShape":
        size = known[0].astype(np.int64)
        fill = stored(stated["value"].t) if "value" in stated else np.zeros(1, np.float32)
        if fill is None or prod(size.tolist()) > ELEMENTS:
            return None
        return np.full(size.tolist(), fill.reshape(-1)[0])
    if kind in _VIEWS:
        return None if out is None else known[0].reshape(out)
    if kind == "Cast":
        return known[0].astype(onnx.helper.tensor_dtype_to_np_dtype(stated["to"].i))
    if kind == "Concat":
        return np.concatenate(known, axis=stated["axis"].i)
    if kind == "Gather":
        return np.asarray(
            np.take(known[0], known[1].astype(np.int64), axis=stated["axis"].i if "axis" in stated else 0)
        )
    if kind == "Slice" and len(known) > 1 and known[0].ndim == 1:
        start, end = int(known[1][0]), int(known[2][0])
        return known[0][start : end : int(known[4][0]) if len(known) > 4 else 1]
    if kind == "Div":
        whole = known[0].dtype.kind in "iu"
        return np.asarray(known[0] // known[1] if whole else np.divide(known[0], known[1]))
    if kind in _ARITHMETIC and prod(np.broadcast_shapes(*(array.shape for array in known))) <= ELEMENTS:
        return np.asarray(_ARITHMETIC[kind](*known))
    return None
