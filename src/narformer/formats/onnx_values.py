"""Values in an ONNX model: attributes, and small constants whose values matter (shapes, axes, bounds).

Only the shape of other constants is used.
"""

from math import prod
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from narformer.formats.onnx_ops import Given
from narformer.formats.onnx_wire import TENSOR_BYTES

__all__ = ["ELEMENTS", "FLOATS", "given", "most", "stored"]

ELEMENTS = 1024  # longest constant or attribute whose values are read
FLOATS = 16  # the same for floating-point numbers: scalars, scales of an image
_WHOLE = {getattr(onnx.TensorProto, name) for name in ("INT8", "INT16", "INT32", "INT64", "UINT8", "BOOL")}
# Nearly all small constants
_RAW: dict[int, np.dtype[Any]] = {onnx.TensorProto.INT64: np.dtype("<i8"), onnx.TensorProto.FLOAT: np.dtype("<f4")}

Array = NDArray[Any]


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


def most(data_type: int) -> int:
    """Number of values of this type, a number of TensorProto, that are kept."""
    return ELEMENTS if data_type in _WHOLE else FLOATS


def stored(tensor: onnx.TensorProto) -> Array | None:
    """The values of a small tensor that is stored in the file; None otherwise."""
    form, dims = tensor.data_type, tuple(tensor.dims)
    if prod(dims) > most(form) or tensor.data_location == onnx.TensorProto.EXTERNAL:
        return None
    raw = tensor.raw_data
    if len(raw) > TENSOR_BYTES or form == onnx.TensorProto.STRING:
        return None
    try:
        if raw and form in _RAW:  # the library's function takes ten times as long
            return np.frombuffer(raw, _RAW[form]).reshape(dims)
        array = onnx.numpy_helper.to_array(tensor)
    except (ValueError, TypeError, KeyError):  # contents that do not match the type or shape, such as stripped weights
        return None
    return array if array.dtype.kind in "biuf" else None
