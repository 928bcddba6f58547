"""Reading ONNX files: protobuf in, architecture out. Weights are not needed, and external data is never opened.

For safety, the bytes are checked before they are parsed (``onnx_wire``), and the parsed model is checked before its
functions are expanded or its shapes inferred (``onnx_guard``).
"""

import re
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path

import numpy as np
import onnx
import onnx.inliner
import onnx.shape_inference
from numpy.typing import NDArray

from narformer.errors import BadArchitecture, BadFile, printable
from narformer.formats import onnx_guard as guard
from narformer.formats import onnx_wire as wire
from narformer.formats.builder import Builder, Constant, Operand, Shape
from narformer.formats.onnx_initializers import DTYPES, Initializers
from narformer.formats.onnx_ops import OWN_KINDS, Call, outputs
from narformer.formats.onnx_values import evaluate, given, shape_of, stored
from narformer.garbage_collection import collection_paused
from narformer.network.graph import Op
from narformer.network.source_network import SourceNetwork

__all__ = ["read_onnx"]

DOMAINS = ("", "ai.onnx")
MODULE_KEY = "pkg.torch.onnx.name_scopes"  # a list of texts: outermost module first, name of the operation last
KIND = re.compile(r"[^A-Za-z0-9_.:-]")
PARTS = 1000  # number of cached translations; more than networks need
PLACE = "operand"  # placeholder for a vertex that a node reads


def read_onnx(
    source: str | Path | bytes,
    dims: Mapping[str, int] | None = None,
    inputs: Mapping[str, tuple[int, ...]] | None = None,
    origin: Path | None = None,
) -> SourceNetwork:
    """The network in an ONNX file, or in the bytes of one; errors and the name then use the path ``origin``, if given.

    ``dims`` binds dimensions that the file names ("batch" -> 1), ``inputs`` states whole input shapes.

    Raises BadFile if the file is not an ONNX model, is damaged, or exceeds a limit of ``onnx_wire`` or ``onnx_guard``;
    BadArchitecture if dimensions are left unbound, or names are bound that the file does not have.
    """
    path = origin or ("the given bytes" if isinstance(source, bytes) else source)
    data = source if isinstance(source, bytes) else wire.read(source)
    with collection_paused():
        return _read(data, dict(dims or {}), dict(inputs or {}), path)


def _read(
    data: wire.Bytes, dims: dict[str, int], inputs: dict[str, tuple[int, ...]], path: str | Path
) -> SourceNetwork:
    try:
        light = wire.light(data, path)
        model = onnx.ModelProto.FromString(light)
    except BadFile:
        raise
    except Exception as error:  # the parser's own errors have no common base
        raise BadFile(path, f"no protobuf message ({printable(str(error))})", "an ONNX model") from None
    guard.check(model, path)
    external = guard.external(model) if guard.LOCATION in light else []  # without the key there is nothing to search
    if model.functions:
        guard.functions_expanded(model, path)
        model = _library(onnx.inliner.inline_local_functions, model, path)
        guard.check(model, path)
    _bind(model, dims, inputs, path)
    name = printable(model.graph.name) if path == "the given bytes" else Path(path).stem
    imported = _Reading(_library(_inferred, model, path), path).imported(name)
    return replace(imported, external=tuple(map(printable, external)), precision=_precision(model.graph))


def _precision(graph: onnx.GraphProto) -> str:
    sizes: Counter[int] = Counter()
    for tensor in graph.initializer:
        sizes[tensor.data_type] += prod(tensor.dims)
    for value in graph.input if not sizes.total() else ():
        sizes[value.type.tensor_type.elem_type] += 1
    return DTYPES.get(max(sizes, key=lambda format_: sizes[format_], default=0), "")


def _inferred(model: onnx.ModelProto) -> onnx.ModelProto:
    stated = {entry.domain for entry in model.opset_import}
    for domain in dict.fromkeys(node.domain for node in model.graph.node):
        if domain not in stated and (domain not in DOMAINS or not stated & set(DOMAINS)):
            model.opset_import.add(domain=domain, version=1)  # inference fails at a domain without a version
    return onnx.shape_inference.infer_shapes(model, data_prop=True)


def _library(function: object, model: onnx.ModelProto, path: str | Path) -> onnx.ModelProto:
    try:
        return function(model)  # type: ignore[operator, no-any-return]
    except Exception as error:
        raise BadFile(
            path, f"a model that cannot be followed ({printable(str(error))})", "a consistent ONNX model"
        ) from None


def _bind(model: onnx.ModelProto, dims: dict[str, int], inputs: dict[str, tuple[int, ...]], path: str | Path) -> None:
    """Set the sizes that the file leaves open. Raises BadArchitecture with the names of those that stay open."""
    graph = model.graph
    stored_names = {tensor.name for tensor in graph.initializer}
    entries = [value for value in graph.input if value.name not in stored_names]
    names = {d.dim_param for v in entries for d in v.type.tensor_type.shape.dim if d.dim_param}
    for kind, bound, known in (("dimension", dims, names), ("input", inputs, {v.name for v in entries})):
        wrong = sorted(set(bound) - known)
        if wrong:
            has = ", ".join(sorted(map(printable, known))) or "none"
            raise BadArchitecture(f"{path} has no {kind} called '{wrong[0]}'; it has: {has}")
    for size in (*dims.values(), *(size for shape in inputs.values() for size in shape)):
        if not 0 <= size <= guard.DIM:
            raise BadArchitecture(f"a dimension was bound to {size}; expected 0 to {guard.DIM}")
    if inputs:
        del graph.value_info[:]  # they are valid for other shapes only
    for value in (*graph.input, *graph.output, *graph.value_info):
        for dim in value.type.tensor_type.shape.dim if value.type.HasField("tensor_type") else ():
            if dim.dim_param in dims:
                dim.dim_value = dims[dim.dim_param]
    for value in graph.output if inputs else ():
        if value.type.HasField("tensor_type"):
            value.type.tensor_type.ClearField("shape")
    loose: dict[str, str] = {}
    for value in entries:
        tensor = value.type.tensor_type
        if value.name in inputs:
            shape = inputs[value.name]
            if tensor.HasField("shape") and len(tensor.shape.dim) != len(shape):
                raise BadArchitecture(
                    f"input '{printable(value.name)}' of {path} has {len(tensor.shape.dim)} dimensions; "
                    f"expected a shape of as many, found {'x'.join(map(str, shape))}"
                )
            del tensor.shape.dim[:]
            for size in shape:
                tensor.shape.dim.add().dim_value = size
        elif value.type.HasField("tensor_type") and not tensor.HasField("shape"):
            loose[f"{value.name}: any shape"] = f"--input {value.name}:1x3x224x224"
        elif value.type.HasField("tensor_type"):
            for axis, dim in enumerate(tensor.shape.dim):
                if dim.dim_param:
                    loose[dim.dim_param] = f"--dim {dim.dim_param}=1"
                elif not dim.HasField("dim_value"):
                    loose[f"{value.name}[{axis}]"] = f"--input {value.name}:{'x'.join('1' * len(tensor.shape.dim))}"
        guard.check_shape(value, path)
    if loose:
        remedy = " ".join(dict.fromkeys(loose.values()))
        raise BadArchitecture(
            f"{path}: found dimensions without a size: {printable(', '.join(loose))}; expected all to be bound. "
            f"Bind them, for example: {printable(remedy)}"
        )


@dataclass(frozen=True)
class _Part:
    """The translation of equal nodes: vertices in a separate builder, and the vertex of each output."""

    call: Call
    builder: Builder
    results: Sequence[Operand]


class _Reading:
    """One pass over the nodes of a checked model."""

    def __init__(self, model: onnx.ModelProto, path: str | Path) -> None:
        self.graph, self.path = model.graph, path
        self.opset = max((o.version for o in model.opset_import if o.domain in DOMAINS), default=1)
        self.builder = Builder()
        self.values: dict[str, Operand] = {"": None}
        self.shapes: dict[str, Shape | None] = {}
        self.arrays: dict[str, NDArray[np.generic]] = {}  # small constants, from which shapes are computed
        self.reads: Counter[str] = Counter()  # how often each value is read
        self.parts: dict[Hashable, _Part] = {}
        self.tensors = {tensor.name: tensor for tensor in self.graph.initializer}

    def imported(self, name: str) -> SourceNetwork:
        """The architecture, with its coverage."""
        alike: dict[bytes, Shape | None] = {}  # a network has many values but few distinct shapes
        for value in (*self.graph.value_info, *self.graph.input, *self.graph.output):
            written = value.type.SerializeToString()
            if written not in alike:
                alike[written] = shape_of(value, self.path)
            self.shapes[value.name] = alike[written]
        nodes = [(node, list(node.input), guard.taken(node)) for node in self.graph.node]  # guard.check has sorted them
        self.reads.update(value.name for value in self.graph.output)
        for _, names, taken in nodes:
            self.reads.update(names)
            self.reads.update(taken)
        del self.reads[""]
        self.stored = Initializers(self.graph, self.reads, self.builder)
        self.values.update(self.stored.constants)
        self.shapes.update({stored: constant.shape for stored, constant in self.stored.constants.items()})
        for value in self.graph.input:
            if value.name not in self.values:
                self.builder.label = (printable(value.name), "")
                self.values[value.name] = self.builder.add("Input", self.shapes[value.name], [])
        for node, names, taken in nodes:
            self._read(node, names, taken)
        ends = [self.values[value.name] for value in self.graph.output]
        return self.builder.finished([v for v in ends if isinstance(v, int)], len(self.graph.node), name)

    def _read(self, node: onnx.NodeProto, names: list[str], taken: list[str]) -> None:
        written, shapes = list(node.output), self.shapes
        if taken:
            names += [name for name in dict.fromkeys(taken) if name not in names]
        for name in names:
            if name in self.tensors:
                self._look_at(name)
        operands = [self.values[name] for name in names]
        part = self._part(
            node,
            operands,
            tuple([shapes.get(name) for name in names]),
            tuple([shapes.get(name) for name in written]) or (None,),
            tuple([name in self.reads for name in written]) or (False,),
        )
        label = node.name
        self.builder.label = (printable(label or (written[0] if written else "")), _module(node, label))
        vertices = self.builder.copy(part.builder, [v for v in operands if isinstance(v, int)])
        for name, result in zip(written, part.results, strict=False):
            if isinstance(result, int):
                self.values[name], shapes[name] = vertices[result], part.builder.graph.ops[result].shape
            else:
                self.values[name] = self._constant(node, name, result) if isinstance(result, Constant) else result
        if part.results and isinstance(part.results[0], Constant) and written:
            known = [self.arrays.get(name) for name in node.input]
            array = evaluate(node, part.call.shapes, known, part.call.out[0])
            if array is not None:
                self._know(written[0], array)

    def _part(
        self,
        node: onnx.NodeProto,
        operands: list[Operand],
        shapes: tuple[Shape | None, ...],
        out: tuple[Shape | None, ...],
        read: tuple[bool, ...],
    ) -> "_Part":
        """The translation of a node, which does not depend on the vertices it reads; cached for equal nodes."""
        kind = self._kind(node)
        texts = tuple([a.SerializeToString() for a in node.attribute])
        sorts = tuple([_sort(o) if isinstance(o, Constant) else o is None for o in operands])
        key = (kind, texts, sorts, shapes, out, read)
        if key not in self.parts:
            attributes = {a.name: value for a in node.attribute if (value := given(a)) is not None}
            places = Builder()
            own = [
                places.graph.add(Op(PLACE, (), shape)) if isinstance(operand, int) else operand
                for operand, shape in zip(operands, shapes, strict=True)
            ]
            call = Call(kind, self.opset, attributes, own, list(shapes), list(out), list(read))
            _check_groups(node, call, self.path)
            if len(self.parts) >= PARTS:
                self.parts.clear()
            self.parts[key] = _Part(call, places, outputs(call, places))
        return self.parts[key]

    def _constant(self, node: onnx.NodeProto, name: str, constant: Constant) -> Constant:
        """The constant that a node writes; its tensors get an identity if it is read several times."""
        if node.op_type == "Constant":
            constant = self.stored.in_node(node, constant)
        if self.reads[name] < 2 or not constant.tensors:
            return constant
        return replace(constant, tensors=tuple([self.stored.identify(tensor) for tensor in constant.tensors]))

    def _look_at(self, name: str) -> None:
        """Load the contents of a stored tensor, if it is small, when it is first read."""
        array = stored(self.tensors.pop(name))
        if array is not None:
            self._know(name, array)

    def _know(self, name: str, array: NDArray[np.generic]) -> None:
        self.arrays[name], self.shapes[name] = array, array.shape
        # The bytes of an array of objects are addresses, not values.
        code = b"" if array.dtype.hasobject else array.dtype.str.encode() + array.tobytes()
        known = self.values.get(name)
        tensors, certain = (known.tensors, known.certain) if isinstance(known, Constant) else ((), False)
        self.values[name] = Constant(array.shape, array.reshape(-1).tolist(), tensors, certain, code)

    def _kind(self, node: onnx.NodeProto) -> str:
        kind, domain = KIND.sub("?", node.op_type[:80]), node.domain
        if domain in DOMAINS and kind not in OWN_KINDS:
            return kind
        return f"{KIND.sub('?', domain[:80]) or 'onnx'}.{kind}"


def _sort(constant: Constant) -> Hashable:
    return constant.shape, constant.code or repr(constant.values), constant.tensors, constant.certain


def _check_groups(node: onnx.NodeProto, call: Call, path: str | Path) -> None:
    group, shape = call.given.get("group", 1), call.shape()
    if "Conv" in call.kind and isinstance(group, int) and shape and len(shape) > 1 and group and shape[1] % group:
        raise BadFile(
            path,
            f"{shape[1]} channels in {group} groups at node {printable(node.name or node.op_type)!r}",
            "a number of groups that divides the channels",
        )


def _module(node: onnx.NodeProto, name: str) -> str:
    """The module path that the exporter wrote to the metadata or the node's name; "" if there is neither."""
    for entry in node.metadata_props:
        if entry.key == MODULE_KEY and len(entry.value) <= wire.NAME_BYTES:
            scopes = re.findall(r"'([^']*)'", entry.value)
            return printable(scopes[-2]) if len(scopes) > 1 else ""
    if not name.startswith("/"):
        return ""
    path = ""
    for part in name[1:].split("/")[:-1]:
        path = part if not path or part.startswith(path + ".") else f"{path}.{part}"
    return printable(path)
