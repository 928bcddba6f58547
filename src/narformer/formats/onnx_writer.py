"""Writes an architecture as an ONNX model that a runtime can run, with random weights, or without weights.

Weights are drawn so that activations neither vanish nor overflow: uniform with the variance of He et al. 2015 for
convolutions and dense layers, near 1 for scales and variances, near 0 for offsets and means.
"""

from collections.abc import Callable, Sequence
from math import prod
from typing import Literal

import numpy as np
import onnx
from onnx import helper

from narformer.errors import BadArchitecture
from narformer.formats.onnx_writer_layers import LAYERS, window_mask
from narformer.network.graph import Architecture, Op, Value
from narformer.network.ops import ALIASES
from narformer.network.tensors import ConstantOperand
from narformer.network.weights import WEIGHTS

__all__ = ["IR_VERSION", "OPSET", "Writer", "to_onnx"]

OPSET = 18
IR_VERSION = 8  # the version of opset 18, which older runtimes read, too
Attributes = dict[str, Value]

BLOCK = 1 << 18  # values; drawing all 100 million of a large network would take longer than running it
FLOAT, INT64 = onnx.TensorProto.FLOAT, onnx.TensorProto.INT64
GRAPH, INITIALIZER, RAW_DATA = 7, 5, 9  # fields of a model, of its graph, of a tensor
NOT_WRITTEN = {"bias", "constant", "value"}  # attributes that ONNX expresses by inputs


def to_onnx(
    architecture: Architecture, weights: Literal["random", "none"] = "random", rng: np.random.Generator | None = None
) -> bytes:
    """A serialised ONNX model of the architecture, with the shapes of all values.

    With ``weights="none"`` trained values keep name, type and shape but have no data. ``read_onnx`` accepts such a
    file; runtimes and ``onnx.checker`` do not. Random weights are drawn from ``rng``.

    Raises BadArchitecture if a shape is not known or an operation cannot be written, ValueError if random weights are
    asked for without ``rng``.
    """
    if weights == "random" and rng is None:
        raise ValueError("found no generator for random weights; expected rng, or weights='none'")
    writer = Writer(architecture, rng if weights == "random" else None)
    for vertex in range(len(architecture)):
        writer.write(vertex)
    return writer.finished()


class Writer:
    """A model to which vertices are added one by one; ``rng`` is None if weights are left out.

    A network may have a gigabyte of weights. They are stored as references to repeated blocks and copied only once,
    into the file. Protobuf would copy them four times, which takes longer than running the network.
    """

    def __init__(self, architecture: Architecture, rng: np.random.Generator | None) -> None:
        self.architecture = architecture
        self.operands = architecture.operands()
        self.indices = _indices(architecture)
        self.rng = rng
        self.model = onnx.ModelProto(ir_version=IR_VERSION, producer_name="narformer")
        self.model.opset_import.append(helper.make_opsetid("", OPSET))
        self.graph = self.model.graph
        self.names = [f"{op.kind}_{vertex}" for vertex, op in enumerate(architecture.ops)]
        self.weights: list[bytes] = []  # fields of the graph, in pieces
        self.shared: dict[int, tuple[str, tuple[int, ...]]] = {}  # tensors that several operations read

    def finished(self) -> bytes:
        """The bytes of the file, with inputs, outputs and the shapes of all intermediate values."""
        self.graph.name = self.architecture.name or "network"
        read = {source for source, _ in self.architecture.edges}
        for vertex, (name, op) in enumerate(zip(self.names, self.architecture.ops, strict=True)):
            value = helper.make_tensor_value_info(name, INT64 if vertex in self.indices else FLOAT, op.shape)
            if op.kind == "Input":
                self.graph.input.append(value)
            elif vertex in read:
                self.graph.value_info.append(value)
            else:
                self.graph.output.append(value)
        graph = [self.graph.SerializeToString(), *self.weights]
        self.model.ClearField("graph")
        return b"".join([self.model.SerializeToString(), _head(GRAPH, sum(map(len, graph))), *graph])

    def write(self, vertex: int) -> None:
        """Add the nodes of one vertex."""
        op = self.architecture.ops[vertex]
        kind = ALIASES.get(op.kind, op.kind)
        if op.shape is None:
            raise BadArchitecture(f"{self.names[vertex]}: found no shape; expected the shapes of all operations")
        inputs = self._inputs(vertex, op, kind)
        if kind != "Input":
            WRITTEN.get(kind, _plain)(self, vertex, kind, inputs)

    def _inputs(self, vertex: int, op: Op, kind: str) -> list[str]:
        """Names of the operands in the order of their slots: vertices, stored constants, a scalar."""
        operands = self.operands[vertex]
        slots = [slot for slot, _ in operands]
        if len(set(slots)) < len(slots):  # of operands whose order does not matter
            slots = list(range(len(slots)))
        found = {slot: self.names[source] for slot, (_, source) in zip(slots, operands, strict=True)}
        constants = () if kind in WEIGHTS else op.constants
        value = op.get("value")
        if op.get("constant") is not None and kind not in WEIGHTS and not constants:
            if op.get("constant") != 1 or not isinstance(value, int | float) or len(slots) != 1:
                raise BadArchitecture(f"{self.names[vertex]}: constant operands cannot be written as ONNX")
            found[1 - slots[0]] = self.number(vertex, "value", float(value))
        for constant in constants:
            slot = constant.slot if constant.slot not in found else len(found)
            found[slot] = self.stored(vertex, kind, constant)
        if sorted(found) != list(range(len(found))):
            raise BadArchitecture(f"{self.names[vertex]}: found operands {sorted(found)}; expected them without gaps")
        return [found[slot] for slot in sorted(found)]

    def stored(self, vertex: int, kind: str, constant: ConstantOperand) -> str:
        """Add a constant operand that no rule of its kind implies: a weight, or what training does not change."""
        shape = constant.shape
        if shape is None:
            raise BadArchitecture(f"{self.names[vertex]}: found no shape of operand {constant.slot}; expected one")
        middle, reach = (1, 0.2) if kind == "Mul" else (0, 1) if kind == "Gather" else (0, 0.1)
        identity = constant.tensors[0].identity if len(constant.tensors) == 1 else 0
        if identity in self.shared:
            return self._turned(vertex, shape, *self.shared[identity])
        if any(tensor.trained for tensor in constant.tensors):
            name = self.weight(vertex, f"constant_{constant.slot}", shape, middle, reach)
        else:
            name = self.fixed(vertex, f"constant_{constant.slot}", shape, middle, reach)
        if identity:
            self.shared[identity] = name, shape
        return name

    def _turned(self, vertex: int, shape: tuple[int, ...], name: str, stored: tuple[int, ...]) -> str:
        """A tensor that is stored already, as this operation reads it."""
        if shape == stored:
            return name
        if shape != stored[::-1]:
            raise BadArchitecture(f"{self.names[vertex]}: a tensor of shape {stored} cannot be read as {shape}")
        return self.node(vertex, "Transpose", [name], {"perm": tuple(range(len(shape)))[::-1]}, "turned_weight")

    def fixed(self, vertex: int, name: str, shape: tuple[int, ...], middle: float, reach: float) -> str:
        """Add values that training does not change, such as a mask, as PyTorch's exporter does: in a node."""
        rng = self.rng or np.random.default_rng(0)
        values = window_mask(shape)
        if values is None:
            values = (middle - reach + 2 * reach * rng.random(shape, dtype=np.float32)).astype(np.float32)
        name = f"{self.names[vertex]}.{name}"
        node = self.graph.node.add(op_type="Constant", name=name, output=[name])
        node.attribute.append(helper.make_attribute("value", onnx.numpy_helper.from_array(values)))
        return name

    def attributes(self, vertex: int, kind: str) -> Attributes:
        """The attributes of the vertex that ONNX defines for this kind."""
        if not onnx.defs.has(kind, OPSET):
            raise BadArchitecture(f"{self.names[vertex]}: ONNX {OPSET} has no operation '{kind}'")
        known = onnx.defs.get_schema(kind, OPSET).attributes
        given = dict(self.architecture.ops[vertex].attributes)
        strange = sorted(set(given) - set(known) - NOT_WRITTEN)
        if strange:
            raise BadArchitecture(f"{self.names[vertex]}: attribute '{strange[0]}' of {kind} cannot be written as ONNX")
        return {name: value for name, value in given.items() if name in known}

    def node(self, vertex: int, kind: str, inputs: Sequence[str], attributes: Attributes, out: str = "") -> str:
        """Add a node and return its output's name; ``out`` names an intermediate value of the vertex."""
        name = f"{self.names[vertex]}.{out}" if out else self.names[vertex]
        node = self.graph.node.add(op_type=kind, name=name, input=inputs, output=[name])
        node.attribute.extend(helper.make_attribute(key, value) for key, value in sorted(attributes.items()))
        return name

    def number(self, vertex: int, name: str, value: float | tuple[int, ...]) -> str:
        """Add a constant that is not a weight: a scalar, or a row of integers."""
        array = np.array(value, dtype=np.int64 if isinstance(value, tuple) else np.float32)
        self.graph.initializer.append(onnx.numpy_helper.from_array(array, f"{self.names[vertex]}.{name}"))
        return f"{self.names[vertex]}.{name}"

    def weight(self, vertex: int, name: str, shape: tuple[int, ...], middle: float, reach: float) -> str:
        """Add weights, uniform within ``reach`` of ``middle``; large tensors repeat a block of values."""
        name = f"{self.names[vertex]}.{name}"
        tensor = onnx.TensorProto(name=name, data_type=onnx.TensorProto.FLOAT, dims=shape).SerializeToString()
        pieces = [tensor]
        if self.rng is not None:
            values = self.rng.random(min(BLOCK, count := prod(shape)), dtype=np.float32)
            block = (middle - reach + 2 * reach * values).astype("<f4").tobytes()
            whole, rest = divmod(count, max(1, len(values)))
            pieces += [_head(RAW_DATA, 4 * count), *[block] * whole, block[: 4 * rest]]
        self.weights += [_head(INITIALIZER, sum(map(len, pieces))), *pieces]
        return name

    def shape(self, vertex: int) -> tuple[int, ...]:
        """Output shape of a vertex that has been written."""
        shape = self.architecture.ops[vertex].shape
        assert shape is not None
        return shape

    def only_input(self, vertex: int) -> tuple[int, ...]:
        """Shape of the only operand of a vertex with weights."""
        operands = self.operands[vertex]
        if len(operands) != 1:
            raise BadArchitecture(f"{self.names[vertex]}: found {len(operands)} operands; expected one besides weights")
        return self.shape(operands[0][1])


def _head(field: int, size: int) -> bytes:
    """The header of a protobuf field of ``size`` bytes: its number and wire type, then the size as varint."""
    head = bytearray([field << 3 | 2])
    while size > 0x7F:
        head.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([*head, size])


def _indices(architecture: Architecture) -> set[int]:
    """The inputs from which rows of tables are chosen: they hold whole numbers."""
    pairs = ((op.kind, slot, source) for op, operands in zip(architecture.ops, architecture.operands(), strict=True)
             for slot, source in operands)  # fmt: skip
    found = {source for kind, slot, source in pairs if kind == "Gather" and slot == 1}
    return {vertex for vertex in found if architecture.ops[vertex].kind == "Input"}


def _plain(writer: Writer, vertex: int, kind: str, inputs: list[str]) -> None:
    """An operation without constants, unchanged."""
    writer.node(vertex, kind, inputs, writer.attributes(vertex, kind))


def _conv(writer: Writer, vertex: int, kind: str, inputs: list[str]) -> None:
    attributes = writer.attributes(vertex, kind)
    kernel, group = attributes.get("kernel_shape"), attributes.get("group", 1)
    if not isinstance(kernel, tuple) or not isinstance(group, int):
        raise BadArchitecture(f"{writer.names[vertex]}: a convolution without kernel_shape cannot be written")
    length = writer.only_input(vertex)[1] // group
    channels = writer.shape(vertex)[1]
    reach = (6 / (length * prod(kernel))) ** 0.5
    inputs = [*inputs, writer.weight(vertex, "weight", (channels, length, *kernel), 0, reach)]
    if writer.architecture.ops[vertex].get("bias", 0):
        inputs.append(writer.weight(vertex, "bias", (channels,), 0, 0.1))
    writer.node(vertex, kind, inputs, attributes)


def _gemm(writer: Writer, vertex: int, kind: str, inputs: list[str]) -> None:
    """Gemm, or MatMul and Add if there are more than two axes."""
    attributes = writer.attributes(vertex, kind)
    length, width = writer.only_input(vertex)[-1], writer.shape(vertex)[-1]
    bias, flat = writer.architecture.ops[vertex].get("bias", 1), len(writer.shape(vertex)) == 2
    reach = (6 / length) ** 0.5
    shared = [c for c in writer.architecture.ops[vertex].constants if c.slot == 1 and c.tensors[0].identity]
    if shared and not flat:
        inputs = [*inputs, writer.stored(vertex, kind, shared[0])]
    else:
        inputs = [*inputs, writer.weight(vertex, "weight", (width, length) if flat else (length, width), 0, reach)]
    offset = [writer.weight(vertex, "bias", (width,), 0, 0.1)] if bias else []
    if flat:
        writer.node(vertex, kind, [*inputs, *offset], {**attributes, "transB": 1})
    elif bias:
        writer.node(vertex, "Add", [writer.node(vertex, "MatMul", inputs, {}, "product"), *offset], {})
    else:
        writer.node(vertex, "MatMul", inputs, {})


def _batch_norm(writer: Writer, vertex: int, kind: str, inputs: list[str]) -> None:
    shape = (writer.only_input(vertex)[1],)
    middles = {"scale": (1, 0.2), "offset": (0, 0.1), "mean": (0, 0.1), "variance": (1, 0.2)}
    inputs = inputs + [writer.weight(vertex, name, shape, *range_) for name, range_ in middles.items()]
    writer.node(vertex, kind, inputs, writer.attributes(vertex, kind))


def _clip(writer: Writer, vertex: int, kind: str, inputs: list[str]) -> None:
    for name in ("min", "max"):
        bound = writer.architecture.ops[vertex].get(name)
        if isinstance(bound, str):
            raise BadArchitecture(
                f"{writer.names[vertex]}: found a bound '{name}' without its value; expected a number"
            )
        inputs = [*inputs, writer.number(vertex, name, float(bound)) if isinstance(bound, int | float) else ""]
    writer.node(vertex, kind, inputs, {})


def _rows(writer: Writer, vertex: int, kind: str, inputs: list[str]) -> None:
    """Operations whose attributes are inputs in ONNX."""
    op = writer.architecture.ops[vertex]
    given: dict[str, Value | None] = {name: op.get(name) for name in ROWS[kind]}
    for name, value in given.items():
        if value is not None and not isinstance(value, tuple):
            raise BadArchitecture(f"{writer.names[vertex]}: found {value!r} as {name}; expected a tuple of integers")
        inputs = [*inputs, writer.number(vertex, name, value) if value is not None else ""]
    others = {name: value for name, value in op.attributes if name not in given}
    writer.node(vertex, kind, inputs, others)


def _reshape(writer: Writer, vertex: int, kind: str, inputs: list[str]) -> None:
    writer.node(vertex, "Reshape", [*inputs, writer.number(vertex, "shape", writer.shape(vertex))], {})


def _identity(writer: Writer, vertex: int, kind: str, inputs: list[str]) -> None:
    writer.node(vertex, "Identity", inputs, {})


def _swish(writer: Writer, vertex: int, kind: str, inputs: list[str]) -> None:
    if writer.architecture.ops[vertex].get("alpha", 1.0) != 1.0:
        raise BadArchitecture(f"{writer.names[vertex]}: Swish is written for alpha 1 only")
    writer.node(vertex, "Mul", [*inputs, writer.node(vertex, "Sigmoid", inputs, {}, "gate")], {})


def _zero(writer: Writer, vertex: int, kind: str, inputs: list[str]) -> None:
    """Zero times the input, as in NAS-Bench-201's ``none``."""
    if writer.only_input(vertex) != writer.shape(vertex):
        raise BadArchitecture(f"{writer.names[vertex]}: zeros of another shape than their input cannot be written")
    writer.node(vertex, "Mul", [*inputs, writer.number(vertex, "zero", 0.0)], {})


ROWS = {
    "Slice": ("starts", "ends", "axes", "steps"),
    **dict.fromkeys(("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd"), ("axes",)),
}

WRITTEN: dict[str, Callable[[Writer, int, str, list[str]], None]] = {
    "Conv": _conv,
    "Gemm": _gemm,
    "BatchNormalization": _batch_norm,
    "Clip": _clip,
    **dict.fromkeys(ROWS, _rows),
    **dict.fromkeys(("Reshape", "Squeeze", "Unsqueeze"), _reshape),
    "Dropout": _identity,
    "Swish": _swish,
    "Zero": _zero,
    **LAYERS,
}
