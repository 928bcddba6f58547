"""Networks of one operation, which ONNX Runtime runs, and what our reader finds in them."""

from dataclasses import dataclass

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

from narformer.formats.onnx_reader import read_onnx
from narformer.network import cost

onnxruntime.set_default_logger_severity(3)
DOMAINS = {"com.microsoft": 1, "com.microsoft.nchwc": 1, "com.ms.internal.nhwc": 11, "ai.onnx.ml": 3, "": 23}


def floats(*shape):
    return np.full(shape, 0.5, np.float32)


def integers(*values, dtype=np.int32):
    return np.array(values, dtype)


def constant(dtype, *shape):
    return np.ones(shape, dtype)


@dataclass
class Given:
    """An operand that is an input of the network; other operands are stored in the file."""

    array: np.ndarray


def given(*shape, dtype=np.float32):
    return Given(np.ones(shape, dtype))


def network(kind, operands, outputs=1, domain="com.microsoft", version=23, **attributes):
    """A model of one node, and its feed. None stands for an operand that is left out."""
    names = ["" if operand is None else f"operand_{slot}" for slot, operand in enumerate(operands)]
    entries, stored, feed = [], [], {}
    for name, operand in zip(names, operands, strict=True):
        if isinstance(operand, Given):
            code = helper.np_dtype_to_tensor_dtype(operand.array.dtype)
            entries.append(helper.make_tensor_value_info(name, code, operand.array.shape))
            feed[name] = operand.array
        elif operand is not None:
            tensor = operand if isinstance(operand, onnx.TensorProto) else numpy_helper.from_array(operand)
            tensor.name = name
            stored.append(tensor)
    ends = [f"output_{k}" for k in range(outputs)]
    node = helper.make_node(kind, names, ends, domain=domain, **attributes)
    graph = helper.make_graph([node], "one", entries, [onnx.ValueInfoProto(name=name) for name in ends], stored)
    versions = [helper.make_opsetid(d, version if d == "" else v) for d, v in DOMAINS.items() if d in ("", domain)]
    return helper.make_model(graph, opset_imports=versions, ir_version=10).SerializeToString(), feed


def run(data, feed):
    """What ONNX Runtime computes."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"]).run(None, feed)


def read(data, name=""):
    """The network in a file, its cost, and the shapes of the outputs of its last operation; nothing is unknown."""
    source = read_onnx(data)
    assert not source.coverage.unknown, name
    assert not source.coverage.shapeless, name
    counted = cost(source.architecture)
    assert not counted.unknown, counted.unknown
    ops = [op for op in source.architecture.ops if op.kind != "Input"]
    takes = sorted((op.get("index"), op.shape) for op in ops if op.kind == "Take")
    return source, counted, [next(op.shape for op in ops if op.kind != "Take"), *(shape for _, shape in takes)]
