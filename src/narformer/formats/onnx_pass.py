"""One pass over the nodes of a checked ONNX model: values become vertices and constants."""

import re
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from narformer.errors import BadArchitecture, BadFile, printable
from narformer.formats import onnx_guard as guard
from narformer.formats import onnx_wire as wire
from narformer.formats.builder import Builder, Constant, Operand, Shape
from narformer.formats.onnx_control_flow import FOLLOWED, FOLLOWED_FROM, follow
from narformer.formats.onnx_evaluation import evaluate
from narformer.formats.onnx_initializers import Initializers, in_body
from narformer.formats.onnx_ops import OWN_KINDS, Call, outputs
from narformer.formats.onnx_runtime_ops import channels, prepared
from narformer.formats.onnx_sequences import Item, followed_sequence
from narformer.formats.onnx_shapes import ShapeInference, Typed, typed
from narformer.formats.onnx_values import given, stored
from narformer.network.graph import Op
from narformer.network.source_network import SourceNetwork

__all__ = ["DOMAINS", "Reading"]

DOMAINS = ("", "ai.onnx")
MODULE_KEY = "pkg.torch.onnx.name_scopes"  # a list of texts: outermost module first, name of the operation last
KIND = re.compile(r"[^A-Za-z0-9_.:-]")
PARTS = 1000  # number of cached translations; more than networks need
BODY_SLOT = 16  # of the first tensor in the bodies of a node
PLACE = "operand"  # placeholder for a vertex that a node reads
LOOPED = 2  # a value that a loop reads is read several times


@dataclass(frozen=True)
class _Part:
    """The translation of equal nodes: vertices in a separate builder, the vertex and the type of each output."""

    call: Call
    builder: Builder
    results: Sequence[Operand]
    types: Sequence[int]


class Reading:
    """The values of a model by name, while its nodes are read.

    values, typed, arrays: operand, shape and type of each value, and the contents of small constants
    sequences:             the tensors of each list of tensors that is known
    reads:                 how often each value is read
    followed, work:        number of nodes in bodies that were read, and what reading those bodies took
    scope:                 identifies the body that is being read; 0 outside of bodies
    bound:                 whether the user bound sizes, which may then be the ones that do not fit
    """

    def __init__(self, model: onnx.ModelProto, path: str | Path, bound: bool = False) -> None:
        self.graph, self.path, self.bound = model.graph, path, bound
        self.opset = max((o.version for o in model.opset_import if o.domain in DOMAINS), default=1)
        self.inference = ShapeInference(model)
        self.builder = Builder()
        self.values: dict[str, Operand] = {"": None}
        self.typed: dict[str, Typed] = {}
        self.arrays: dict[str, NDArray[np.generic]] = {}
        self.sequences: dict[str, tuple[Item, ...]] = {}
        self.reads: Counter[str] = Counter()
        self.followed = self.work = self.scope = 0
        self._parts: dict[Hashable, _Part] = {}
        self._tensors: dict[str, onnx.TensorProto] = {}
        self._stored: dict[int, tuple[onnx.GraphProto, Initializers]] = {}
        self._unread: dict[int, tuple[onnx.GraphProto, list[Constant]]] = {}
        self._in_nodes: dict[tuple[int, str], Constant] = {}

    def imported(self, name: str) -> SourceNetwork:
        """The architecture, with its coverage."""
        self.reads.update(_reads(self.graph))
        self.enter(self.graph)
        for value in self.graph.input:
            if value.name not in self.values:
                self.builder.label = (printable(value.name), "")
                self.values[value.name] = self.builder.add("Input", self.typed[value.name].shape, [])
        self.run(self.graph.node)
        ends = self.builder.ends({printable(value.name): self.values[value.name] for value in self.graph.output})
        return self.builder.finished(ends, len(self.graph.node), name)

    def enter(self, graph: onnx.GraphProto) -> None:
        """Take the stated shapes and the stored tensors of a graph or body."""
        alike: dict[bytes, Typed] = {}  # a network has many values but few distinct shapes
        for value in (*graph.value_info, *graph.input, *graph.output):
            written = value.type.SerializeToString()
            if written not in alike:
                guard.check_shape(value, self.path)
                alike[written] = typed(value.type)
            self.typed[value.name] = alike[written]
        if id(graph) not in self._stored:  # a body that is read several times has its tensors once
            self._stored[id(graph)] = (
                graph,
                Initializers(graph, self.reads, self.builder),
            )  # held, so its id stays its own
        self._tensors |= {tensor.name: tensor for tensor in graph.initializer}
        for name, constant in self._stored[id(graph)][1].constants.items():
            self.values[name] = constant
            self.typed[name] = Typed(constant.shape, self._tensors[name].data_type if name in self._tensors else 1)

    def run(self, nodes: Iterable[onnx.NodeProto]) -> None:
        """Read nodes, in topological order."""
        for node in nodes:
            if node.op_type in FOLLOWED and node.domain in DOMAINS and self.opset >= FOLLOWED_FROM.get(node.op_type, 1):
                follow(self, node)
            elif node.domain not in DOMAINS or not followed_sequence(self, node):
                self._read(node)

    def label(self, node: onnx.NodeProto) -> None:
        """Name the vertices that are added next after a node."""
        name = node.name
        written = node.output[0] if node.output else ""
        self.builder.label = (printable(name or written), _module(node, name))

    def operand(self, name: str) -> Operand:
        """The operand of this name; contents of a small stored tensor are loaded when it is first read.

        A list of tensors that is known becomes a vertex, for an operation that cannot follow it.
        """
        if name in self.sequences:
            items = [item.operand for item in self.sequences.pop(name)]
            if any(isinstance(operand, int) for operand in items):
                self.values[name] = self.builder.add("SequenceConstruct", None, items)
        if name in self._tensors:
            array = stored(self._tensors.pop(name))
            if array is not None:
                self.know(name, array)
        return self.values[name]

    def unread(self, body: onnx.GraphProto, outside: Mapping[str, Operand]) -> list[Constant]:
        """The constants of a body that is not read, and those outside that it reads; each time the same tensors."""
        if id(body) not in self._unread:
            self._unread[id(body)] = body, list(map(self._shared, in_body(body, outside)))
        return self._unread[id(body)][1]

    def looped(self, graph: onnx.GraphProto) -> None:
        """Count the values that a body reads as read several times. Called before the body is first read."""
        for name in _reads(graph):
            self.reads[name] += LOOPED
            constant = self.values.get(name)
            if isinstance(constant, Constant):
                self.values[name] = self._shared(constant)

    def _read(self, node: onnx.NodeProto) -> None:
        names, written = list(node.input), list(node.output)
        inside: list[Operand] = []
        if any(a.type in (guard.GRAPH, guard.GRAPHS) for a in node.attribute):
            names += [name for name in dict.fromkeys(guard.taken(node)) if name not in names]
            # The tensors in bodies get slots that no rule reads.
            bodies = [body for attribute in node.attribute for body in guard.body_of(attribute)]
            inside = [None] * (BODY_SLOT - len(names))
            inside += [constant for body in bodies for constant in self.unread(body, {})]
        operands = [self.operand(name) for name in names]
        unknown = Typed()
        part = self._part(
            node,
            [*operands, *inside],
            (
                *[self.typed.get(name, unknown) for name in names],
                *[Typed(c.shape) if isinstance(c, Constant) else unknown for c in inside],
            ),
            tuple([self.typed.get(name, unknown) for name in written]) or (unknown,),
            tuple([name in self.reads for name in written]) or (False,),
        )
        self.label(node)
        vertices = self.builder.copy(part.builder, [v for v in operands if isinstance(v, int)])
        shared = self._one_source(node, part.results)
        for name, result, shape, type_ in zip(written, part.results, part.call.out, part.types, strict=False):
            if isinstance(result, int):
                self.values[name] = vertices[result]
                self.typed[name] = Typed(part.builder.graph.ops[result].shape, type_)
            else:
                if isinstance(result, Constant) and shared is not None and shared is not result:
                    result = replace(result, tensors=shared.tensors)
                self.values[name] = result
                self.typed[name] = Typed(shape, type_)
        if part.results and isinstance(part.results[0], Constant) and written:
            known = [self.arrays.get(name) for name in node.input]
            array = evaluate(node, part.call.shapes, known, part.call.out[0])
            if array is not None:
                self.know(written[0], array)

    def _part(
        self,
        node: onnx.NodeProto,
        operands: list[Operand],
        inputs: tuple[Typed, ...],
        stated: tuple[Typed, ...],
        read: tuple[bool, ...],
    ) -> "_Part":
        """The translation of a node, which does not depend on the vertices it reads; cached for equal nodes."""
        kind = self._kind(node)
        texts = tuple([a.SerializeToString() for a in node.attribute])
        sorts = tuple([_sort(o) if isinstance(o, Constant) else o is None for o in operands])
        key = (kind, texts, sorts, inputs, stated, read)
        if key not in self._parts:
            attributes = {a.name: value for a in node.attribute if (value := given(a)) is not None}
            if kind == "Cast" and inputs[0].type and attributes.get("to") == inputs[0].type:
                kind = "Identity"  # to the type that the value has
            places = Builder()
            shapes = [value.shape for value in inputs]
            own = [
                places.graph.add(Op(PLACE, (), shape)) if isinstance(operand, int) else operand
                for operand, shape in zip(operands, shapes, strict=True)
            ]
            found = self._inferred(node, inputs)
            both = [(f, s) for f, s in zip(found or stated, stated, strict=False)]
            out: list[Shape | None] = [s.shape if f.shape is None else f.shape for f, s in both]
            call = prepared(Call(kind, self.opset, attributes, own, shapes, out or [None], list(read)), node)
            _check_groups(node, call, self.path)
            if len(self._parts) >= PARTS:
                self._parts.clear()
            self._parts[key] = _Part(
                call, places, self._translated(node, call, places), [f.type or s.type for f, s in both]
            )
        return self._parts[key]

    def _translated(self, node: onnx.NodeProto, call: Call, places: Builder) -> Sequence[Operand]:
        try:
            return outputs(call, places)
        except (LookupError, ValueError, TypeError, ArithmeticError):
            found = f"{printable(node.op_type)} {printable(node.name)!r} without operands or attributes that it needs"
            raise BadFile(self.path, found, "a valid ONNX model", "Export the model again.") from None

    def _inferred(self, node: onnx.NodeProto, inputs: tuple[Typed, ...]) -> list[Typed]:
        try:
            found = self.inference.outputs(node, inputs, [self.arrays.get(name) for name in node.input])
            for name, value in zip(node.output, found, strict=True):
                guard.check_dims(name, value.shape or (), self.path)
            return found
        except BadArchitecture as error:
            shapes = " and ".join(str(list(value.shape)) for value in inputs if value.shape is not None)
            name = printable(node.name or (node.output[0] if node.output else node.op_type))
            clash = f"{printable(node.op_type)} '{name}' on values of shape {shapes}"
            expected = f"operands that fit ({error})"
            if self.bound:
                text = f"{self.path}: found {clash}; expected {expected}. Check the sizes that you bound"
                raise BadArchitecture(text) from None
            raise BadFile(self.path, clash, expected, "Export the model again.") from None

    def _one_source(self, node: onnx.NodeProto, results: Sequence[Operand]) -> Constant | None:
        """The constant that a node writes, with its tensors; they get an identity if they are read several times."""
        constants = [result for result in results if isinstance(result, Constant)]
        if not constants:
            return None
        constant = constants[0]
        if node.op_type == "Constant":
            constant = Initializers.in_node(node, constant)
        if not constant.tensors or sum(self.reads[name] for name in node.output) < 2:
            return constant
        key = (self.scope, node.output[0])  # a body that is read several times stores its tensors once
        if node.op_type != "Constant" or key not in self._in_nodes:
            self._in_nodes[key] = self._shared(constant)
        return self._in_nodes[key]

    def _shared(self, constant: Constant) -> Constant:
        tensors = [t if t.identity else self.builder.identified(t) for t in constant.tensors]
        return replace(constant, tensors=tuple(tensors))

    def know(self, name: str, array: NDArray[np.generic]) -> None:
        """Note the contents of a small constant."""
        self.arrays[name] = array
        self.typed[name] = Typed(array.shape, self.typed.get(name, Typed()).type)
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


def _reads(graph: onnx.GraphProto) -> list[str]:
    """The names that the nodes and outputs of a graph and its bodies read, as often as they do."""
    names = [value.name for value in graph.output]
    for node in graph.node:
        names += [name for name in node.input if name]
        for attribute in node.attribute:
            if attribute.type in (guard.GRAPH, guard.GRAPHS):
                for body in guard.body_of(attribute):
                    names += _reads(body)
    return names


def _sort(constant: Constant) -> Hashable:
    return constant.shape, constant.code or repr(constant.values), constant.tensors, constant.certain


def _check_groups(node: onnx.NodeProto, call: Call, path: str | Path) -> None:
    group, found = call.given.get("group", 1), channels(call)
    if found is None or not isinstance(group, int) or group < 1:
        return
    image, each = found
    if image % group or (each is not None and image != group * each):
        expected = f" of {each} channels" if each is not None and not image % group else " that divides the channels"
        raise BadFile(
            path,
            f"{image} channels in {group} groups at node {printable(node.name or node.op_type)!r}",
            f"a number of groups{expected}",
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
