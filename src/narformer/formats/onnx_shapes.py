"""Shapes and types of the values in an ONNX model, node by node, by the inference of the onnx library.

The library's inference over a whole model is not used: it hides contradictions, it stops at the first operation that it
does not know, and it takes unbounded memory for values that it propagates. What the library does not know has rules in
``onnx_runtime_shapes``.
"""

from collections.abc import Sequence

import numpy as np
import onnx
import onnx.checker
import onnx.shape_inference
from numpy.typing import NDArray

from narformer.errors import BadArchitecture, printable
from narformer.formats.onnx_checks import check_operands
from narformer.formats.onnx_node import Node, Typed
from narformer.formats.onnx_runtime_shapes import RULES, followed

__all__ = ["ShapeInference", "Typed", "typed"]

FLOAT = 1  # of TensorProto; the type of a value whose type is not known
# Slot of the values that the output's shape depends on
SHAPED_BY = {"ConstantOfShape": 0, "Expand": 1, "Reshape": 1, "Tile": 1}
# Kinds that the library refuses for shapes that runtimes accept
LENIENT = ("MeanVarianceNormalization", "Range")
NCHWC = "com.microsoft.nchwc"
CHECKED_FROM = {"PRelu": 7}  # opset; before, slopes stood for channels without axes behind them
# Errors of the library for types of operands that it does not expect, and for attributes that it cannot read
REFUSALS = (onnx.checker.ValidationError, RuntimeError, ValueError, TypeError, OverflowError)
WITH_BODY = ("If", "Loop", "Scan", "SequenceMap")

UNKNOWN = Typed()


class ShapeInference:
    """The inference for the operations of one model."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self._opsets = list(model.opset_import)
        self._versions = {"" if entry.domain == "ai.onnx" else entry.domain: entry.version for entry in self._opsets}
        self._ir_version = model.ir_version
        self._block = _block(model.graph)

    def outputs(
        self, node: onnx.NodeProto, inputs: Sequence[Typed], arrays: Sequence[NDArray[np.generic] | None]
    ) -> list[Typed]:
        """The outputs of a node; ``arrays`` are the values of small constants among its inputs.

        Raises BadArchitecture if the inputs cannot be operands of this operation.
        """
        domain = "" if node.domain == "ai.onnx" else node.domain
        kind = f"{domain}.{node.op_type}" if domain else node.op_type
        if kind in RULES:
            result = followed(kind, Node(node, inputs, arrays, self._block))
            check_operands(kind, node, [value.shape for value in inputs], arrays, result[0].shape if result else None)
            return result
        nothing = [UNKNOWN] * len(node.output)
        version = self._versions.get(domain, 1)
        if node.op_type in WITH_BODY or not onnx.defs.has(node.op_type, version, domain):
            return nothing
        given, known = {}, {}
        for name, value, array in zip(node.input, inputs, arrays, strict=False):
            if name:
                given[name] = onnx.helper.make_tensor_type_proto(value.type or FLOAT, value.shape)
            if name and array is not None and not array.dtype.hasobject:
                known[name] = onnx.numpy_helper.from_array(array, name)
        if (
            node.op_type in SHAPED_BY
            and len(node.input) > SHAPED_BY[node.op_type]
            and node.input[SHAPED_BY[node.op_type]] not in known
        ):
            return nothing  # the library would return the shape of the input
        schema = onnx.defs.get_schema(node.op_type, version, domain)
        try:
            found = onnx.shape_inference.infer_node_outputs(
                schema, node, given, known, opset_imports=self._opsets, ir_version=self._ir_version
            )
        except onnx.shape_inference.InferenceError as error:
            if node.op_type not in LENIENT and all(
                value.shape is not None for name, value in zip(node.input, inputs, strict=False) if name
            ):
                raise BadArchitecture(_reason(error)) from None
            return nothing
        except REFUSALS:
            return nothing  # the operation is then named as not counted
        result = [typed(found[name]) if name in found else UNKNOWN for name in node.output]
        if version >= CHECKED_FROM.get(kind, 1):
            check_operands(kind, node, [value.shape for value in inputs], arrays, result[0].shape if result else None)
        return result


def _block(graph: onnx.GraphProto) -> int:
    """The number of channels in a block of ONNX Runtime's layout.

    It is 16, or 8 if a convolution has a number of filters that blocks of 16 would have rounded up.
    """
    read = {node.input[1] for node in graph.node if node.domain == NCHWC and node.op_type == "Conv" and node.input[1:]}
    filters = [tensor.dims[0] for tensor in graph.initializer if tensor.name in read and tensor.dims] if read else []
    return 8 if any(count % 16 for count in filters) else 16


def typed(value: onnx.TypeProto) -> Typed:
    """Shape and type of a tensor; the shape is None if a size is not stated."""
    if not value.HasField("tensor_type"):
        return UNKNOWN
    tensor = value.tensor_type
    dims = tensor.shape.dim if tensor.HasField("shape") else ()
    if not tensor.HasField("shape") or not all(dim.HasField("dim_value") for dim in dims):
        return Typed(None, tensor.elem_type)
    return Typed(tuple([dim.dim_value for dim in dims]), tensor.elem_type)


def _reason(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return printable(lines[-1].split("] ")[-1] if lines else type(error).__name__)
