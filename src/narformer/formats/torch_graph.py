"""The graph of an exported PyTorch program becomes a network: each operation that an output needs is translated."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch.export.graph_signature import InputKind, OutputKind

from narformer.errors import BadArchitecture, printable
from narformer.formats.builder import Builder, Constant, Operand, Shape
from narformer.formats.torch_call import Call, Lazy, NotTranslated, joined
from narformer.formats.torch_functional import inlined
from narformer.formats.torch_inputs import Enclosed
from narformer.formats.torch_layout_ops import FILLS
from narformer.formats.torch_ops import ATEN
from narformer.network.cost import cost
from narformer.network.source_network import SourceNetwork
from narformer.network.tensors import Tensor

__all__ = ["network_of"]

ENDS = (OutputKind.USER_OUTPUT, OutputKind.BUFFER_MUTATION, OutputKind.USER_INPUT_MUTATION)
VALUES = 16  # longest stored tensor whose values are read
OUTER = "module."  # of the paths of the module inside Enclosed

# Operations that read an operand for its shape only, or may do without one.
BY_SHAPE = {
    *FILLS,
    *("expand_as", "view_as", "reshape_as", "type_as", "to", "copy", "fill", "slice_scatter", "select_scatter"),
    *("baddbmm", "addmm", "addmv", "_embedding_bag", "_embedding_bag_forward_only", "torchvision::deform_conv2d"),
    *("cat", "concat", "concatenate", "instance_norm"),
}


def network_of(program: torch.export.ExportedProgram, enclosed: Enclosed, name: str) -> SourceNetwork:
    """The network of a program without in-place operations; operations that no output needs are left out.

    ``Coverage.unreached`` lists inputs and parameters that no output depends on. Raises BadArchitecture if no output
    depends on an input.
    """
    return _Reading(program, enclosed).network(name)


class _Reading:
    """One pass over the operations of a program."""

    def __init__(self, program: torch.export.ExportedProgram, enclosed: Enclosed) -> None:
        self.inputs = {spec.arg.name: spec for spec in program.graph_signature.input_specs}
        given = [name for name, spec in self.inputs.items() if spec.kind == InputKind.USER_INPUT]
        self.graph = inlined(program.graph_module, self.inputs.keys() - given)
        self.paths = dict(zip(given, enclosed.names, strict=True))
        outputs = next(node for node in self.graph.nodes if node.op == "output").args[0]
        specs = zip(outputs, program.graph_signature.output_specs, strict=True)
        self.ends = [end.name for end, spec in specs if spec.kind in ENDS and isinstance(end, torch.fx.Node)]
        self.live = _live(self.graph, set(self.ends))
        self.builder = Builder()
        self.values: dict[str, Any] = {}
        named: dict[str, Any] = {**program.constants, **dict(enclosed.named_buffers(remove_duplicate=False))}
        named |= dict(enclosed.named_parameters(remove_duplicate=False))
        self.stored = {name: named.get(str(spec.target)) for name, spec in self.inputs.items()}

    def network(self, name: str) -> SourceNetwork:
        """The network, its inputs in the order of the module's arguments."""
        count = 0
        constants = self._constants()
        for node in self.graph.nodes:
            shape = _shapes(node.meta.get("val"))
            self.builder.label = (printable(self.paths.get(node.name, node.name)), _module(node))
            if node.name in self.paths:
                self.values[node.name] = self.builder.add("Input", shape, [])
            elif node.op == "placeholder":
                self.values[node.name] = constants.get(node.name, Constant(shape))
            elif node.op == "call_function" and _has_values(node.meta.get("val")):
                count += 1
                if node.name not in self.live:
                    self.builder.dropped["dead"] += 1
                    continue
                value = self._value(node, shape)
                self.values[node.name] = self._constant(node, value) if isinstance(value, Constant) else value
        if not any(isinstance(self.values.get(end), int) for end in self.ends):
            raise BadArchitecture(
                f"no tensor in the output of {printable(name)} depends on an input; expected one at least. Return the "
                "values that the module computes"
            )
        ends = self.builder.ends({end: self.values.get(end) for end in self.ends})
        found = self.builder.finished(ends, count, name)
        unreached = self._unreached(cost(found.architecture).params)
        return replace(found, coverage=replace(found.coverage, unreached=unreached))

    def _constants(self) -> dict[str, Constant]:
        """The stored tensors by the names of their placeholders; a tensor under several names is one tensor."""
        reads: Counter[int] = Counter()
        for node in self.graph.nodes:
            if node.op == "placeholder":
                reads[id(self.stored[node.name])] += self._readers(node)
        one: dict[int, Tensor] = {}
        found: dict[str, Constant] = {}
        for name, value in self.stored.items():
            if isinstance(value, torch.Tensor):
                trained = isinstance(value, torch.nn.Parameter)
                tensor = Tensor(value.numel(), _type(value), trained)
                if reads[id(value)] > 1:
                    tensor = one.get(id(value)) or one.setdefault(id(value), self.builder.identified(tensor))
                written = None if trained else _written_out(value)
                found[name] = Constant(tuple(value.shape), written, (tensor,), certain=True)
        return found

    def _readers(self, node: torch.fx.Node) -> int:
        """Number of operations that read a value and that an output depends on."""
        return sum(user.name in self.live for user in node.users)

    def _unreached(self, counted: int) -> dict[str, int]:
        """The inputs and parameters that no output depends on, and the number of their values.

        counted: number of parameters in the network; if others are missing, they are stated without names
        """
        reached = {id(self.stored[name]): self.stored[name] for name in self.inputs if name in self.live}
        found: dict[str, int] = {}
        for node in self.graph.nodes:
            if node.op == "placeholder" and node.name not in self.live:
                spec, count = self.inputs[node.name], int(node.meta["val"].numel())
                if spec.kind == InputKind.PARAMETER and id(self.stored[node.name]) not in reached:
                    found[printable(str(spec.target).removeprefix(OUTER))] = count
                elif spec.kind == InputKind.USER_INPUT:
                    found[printable(self.paths[node.name])] = count
        missing = sum(value.numel() for value in reached.values() if isinstance(value, torch.nn.Parameter)) - counted
        return {**found, "other parameters": missing} if missing > 0 else found

    def _seen(self, argument: Any) -> Any:
        """An argument with the values in place of the nodes."""
        if isinstance(argument, torch.fx.Node):
            value = argument.meta.get("val")
            return self.values.get(argument.name) if _has_values(value) else value
        if isinstance(argument, list | tuple):
            return [self._seen(entry) for entry in argument]
        return argument

    def _value(self, node: torch.fx.Node, shape: Any) -> Any:
        target: Any = node.target
        operation = isinstance(target, torch._ops.OpOverload)
        operands = [value for n in node.all_input_nodes for value in _flat(self.values.get(n.name))]
        if _name(node) in FILLS:
            return Constant(None if isinstance(shape, list) else shape)
        if not any(isinstance(operand, int) for operand in operands) and not self._part_of_several(node):
            constants = [operand for operand in operands if isinstance(operand, Constant)]
            return joined(constants, None if isinstance(shape, list) else shape)
        if getattr(target, "__name__", "") == "getitem" and not operation:
            part = self._seen(node.args[0])[node.args[1]]
            return part() if isinstance(part, Lazy) else part
        call = self._call(node, target._schema, shape) if operation else self._nested(node, shape)
        try:
            if call.name in ATEN:
                return self._translated(call, [operand for operand in operands if isinstance(operand, int)])
        except NotTranslated:
            pass  # kept under its own name
        kind = target._schema.name.replace("::", ".") if operation else f"torch.{getattr(target, '__name__', target)}"
        return self._named(printable(kind), shape, operands)

    def _translated(self, call: Call, operands: Sequence[int]) -> Any:
        """The translation of a call. Raises NotTranslated if it does not read all operands."""
        graph, before = self.builder.graph, len(self.builder.graph.ops)
        found = ATEN[call.name](call)
        results = found if isinstance(found, list) else [found]
        if call.name in BY_SHAPE or any(isinstance(result, Lazy) for result in results):
            return found
        read = {source for vertex in range(before, len(graph.ops)) for _, source in graph.operands[vertex]}
        if not {*operands} <= {*read, *(result for result in results if isinstance(result, int))}:
            raise NotTranslated
        return found

    def _part_of_several(self, node: torch.fx.Node) -> bool:
        return any(isinstance(self.values.get(source.name), list) for source in node.all_input_nodes)

    def _constant(self, node: torch.fx.Node, value: Constant) -> Constant:
        """A value that does not depend on an input; what several operations read gets an identity."""
        self.builder.dropped["constant"] += 1
        if self._readers(node) < 2:
            return value
        own = [tensor if tensor.identity else self.builder.identified(tensor) for tensor in value.tensors]
        return replace(value, tensors=tuple(own))

    def _named(self, kind: str, shape: Any, operands: Sequence[Operand]) -> Any:
        """An operation that is not in the table; further outputs are taken from it when they are read."""
        first = self.builder.add(kind, shape[0] if isinstance(shape, list) else shape, operands)
        if not isinstance(shape, list):
            return first
        rest = [Lazy(self.builder.add, ("Take", s, [first], {"index": k})) for k, s in enumerate(shape) if k]
        return [first, *rest]

    def _nested(self, node: torch.fx.Node, shape: Any) -> Call:
        """A call of an operation with graphs among its arguments, which are left out."""
        tensors = [
            entry for entry in node.args if isinstance(entry, torch.fx.Node) and _has_values(entry.meta.get("val"))
        ]
        arguments = {str(place): self._seen(tensor) for place, tensor in enumerate(tensors)}
        shapes = {str(place): _shapes_of(tensor) for place, tensor in enumerate(tensors)}
        types = {str(place): _type(tensor.meta["val"]) for place, tensor in enumerate(tensors)}
        return Call(_name(node), arguments, shapes, types, shape, _type(node.meta.get("val")), self.builder)

    def _call(self, node: torch.fx.Node, schema: Any, shape: Any) -> Call:
        arguments: dict[str, Any] = {}
        shapes: dict[str, Any] = {}
        types: dict[str, str] = {}
        for position, entry in enumerate(schema.arguments):
            raw = node.args[position] if position < len(node.args) else node.kwargs.get(entry.name, entry.default_value)
            arguments[entry.name] = self._seen(raw)
            entries = raw if isinstance(raw, list | tuple) else [raw]
            values = [one.meta.get("val") for one in entries if isinstance(one, torch.fx.Node)]
            if any(map(_has_values, values)):
                shapes[entry.name] = _shapes_of(raw)
                types[entry.name] = _type(values[0])
        return Call(_name(node), arguments, shapes, types, shape, _type(node.meta.get("val")), self.builder)


def _name(node: torch.fx.Node) -> str:
    """The name of an operation without namespace "aten"; "new_zeros" for "aten::new_zeros_"."""
    schema = getattr(node.target, "_schema", None)
    if schema is None:
        return f"torch::{getattr(node.target, '__name__', node.target)}"
    name = str(schema.name).removeprefix("aten::")
    return name[:-1] if schema.is_mutable and name.endswith("_") else name


def _live(graph: torch.fx.Graph, ends: set[str]) -> set[str]:
    """The names of the nodes that the ends depend on."""
    live = set(ends)
    for node in reversed(graph.nodes):
        if node.op != "output" and node.name in live and _name(node) not in FILLS:
            live.update(source.name for source in node.all_input_nodes)
    return live


def _has_values(value: Any) -> bool:
    """Whether it is a tensor, a number that is computed from values of one, or a list of such."""
    several = isinstance(value, list | tuple)
    return isinstance(value, torch.Tensor | torch.SymFloat) or (several and any(map(_has_values, value)))


def _written_out(value: torch.Tensor) -> Sequence[int | float] | None:
    """The values of a small tensor in memory."""
    if type(value) is not torch.Tensor or value.is_meta or value.numel() > VALUES or value.is_complex():
        return None
    values: Sequence[int | float] = value.detach().reshape(-1).tolist()
    return values


def _type(value: Any) -> str:
    """The type of the numbers in a tensor, or in the first of several; "" if there is none."""
    if isinstance(value, list | tuple):
        return next((_type(entry) for entry in value if isinstance(entry, torch.Tensor)), "")
    return str(value.dtype).removeprefix("torch.") if isinstance(value, torch.Tensor) else ""


def _flat(value: Any) -> list[Operand]:
    if isinstance(value, list):
        return [operand for entry in value for operand in _flat(entry)]
    return [value] if isinstance(value, int | Constant) else []


def _shapes(value: Any) -> Any:
    """The shape of a tensor, or a list of shapes for several tensors; None if a size is not a number."""
    if isinstance(value, torch.Tensor):
        shape: Shape = tuple(value.shape)
        return shape if all(type(size) is int for size in shape) else None
    if isinstance(value, torch.SymFloat):
        return ()
    return [_shapes(entry) for entry in value] if isinstance(value, list | tuple) else None


def _shapes_of(raw: Any) -> Any:
    if isinstance(raw, list | tuple):
        return [_shapes_of(entry) for entry in raw]
    return _shapes(raw.meta.get("val")) if isinstance(raw, torch.fx.Node) else None


def _module(node: torch.fx.Node) -> str:
    """The path of the module that the operation is in; a module that is called again has the same path."""
    stack: Mapping[str, Any] = node.meta.get("nn_module_stack") or {}
    path = str(list(stack.values())[-1][0]) if stack else ""
    return printable(f"{path.partition('@')[0]}.".removeprefix(OUTER).rstrip("."))
