"""Reading PyTorch modules: ``torch.export`` without decompositions, on fake tensors, without computing with weights.

The network at inference is read: the module is in evaluation mode during the export.
"""

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch.export.graph_signature import InputKind, OutputKind

from narformer.errors import BadArchitecture, printable
from narformer.formats.builder import Builder, Constant, Operand, Shape, merged
from narformer.formats.torch_call import Call, Lazy
from narformer.formats.torch_ops import ATEN
from narformer.network.source_network import SourceNetwork
from narformer.network.tensors import Tensor

__all__ = ["trace_module"]


def trace_module(
    module: torch.nn.Module, example_inputs: torch.Tensor | Sequence[torch.Tensor], name: str = ""
) -> SourceNetwork:
    """The network that ``module`` computes on inputs of these shapes; a single input does not need a list.

    Module and inputs may be on the meta device, which needs no memory for values. Operations that are not in the table
    of ``torch_ops`` are kept under their ATen name ("aten.roll") and listed in the coverage.

    Raises BadArchitecture if ``torch.export`` cannot trace the module (for example, a branch on values).
    """
    if isinstance(example_inputs, torch.Tensor):
        example_inputs = [example_inputs]
    if any(tensor.is_meta for tensor in (*module.parameters(), *module.buffers())):
        example_inputs = [tensor.to("meta") for tensor in example_inputs]
    training = [part for part in module.modules() if part.training]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.export.export(module.eval(), tuple(example_inputs), strict=False)
    except Exception as error:  # torch.export passes on any error of the module's code
        reason = printable((str(error).strip().splitlines() or [type(error).__name__])[0])
        raise BadArchitecture(
            f"torch.export cannot trace {type(module).__name__}: found {reason}; expected a forward pass without "
            "branches on values. Export it to ONNX by other means, or move the branch out of the module"
        ) from None
    finally:
        for part in training:
            part.training = True
    imported = _imported(program, module, name or type(module).__name__)
    sizes: Counter[str] = Counter()
    for tensor in list(module.parameters()) or example_inputs:
        sizes[str(tensor.dtype).removeprefix("torch.")] += tensor.numel()
    return replace(imported, precision=max(sizes, key=lambda format_: sizes[format_], default=""))


def _stored(module: torch.nn.Module, program: torch.export.ExportedProgram, builder: Builder) -> dict[str, Constant]:
    """The parameters and buffers by the names of their placeholders; a tensor under several names is one tensor."""
    tensors: dict[str, Any] = dict(program.constants)
    tensors |= dict(module.named_buffers(remove_duplicate=False))
    tensors |= dict(module.named_parameters(remove_duplicate=False))
    readers = {node.name: len(node.users) for node in program.graph.nodes if node.op == "placeholder"}
    specs = [(spec, tensors.get(spec.target or "")) for spec in program.graph_signature.input_specs]
    uses: Counter[int] = Counter()
    for spec, value in specs:
        uses[id(value)] += readers.get(spec.arg.name, 0)
    found: dict[str, Constant] = {}
    one: dict[int, Tensor] = {}
    for spec, value in specs:
        if isinstance(value, torch.Tensor):
            dtype = str(value.dtype).removeprefix("torch.")
            stored = Tensor(value.numel(), dtype, isinstance(value, torch.nn.Parameter))
            if uses[id(value)] > 1:
                stored = one.get(id(value)) or one.setdefault(id(value), builder.identified(stored))
            found[spec.arg.name] = Constant(tuple(value.shape), tensors=(stored,), certain=True)
    return found


def _imported(program: torch.export.ExportedProgram, module: torch.nn.Module, name: str) -> SourceNetwork:
    signature = program.graph_signature
    given = {spec.arg.name for spec in signature.input_specs if spec.kind == InputKind.USER_INPUT}
    builder = Builder()
    stored = _stored(module, program, builder)
    values: dict[str, Any] = {}
    count = 0
    for node in program.graph.nodes:
        shape = _shapes(node.meta.get("val"))
        builder.label = (printable(node.name), _module(node))
        if node.op == "placeholder":
            inside = node.name in given
            constant = stored.get(node.name, Constant(shape))
            values[node.name] = builder.add("Input", shape, []) if inside else constant
        elif node.op == "call_function":
            count += 1
            values[node.name] = _value(node, shape, values, builder)
    ends = [spec.arg.name for spec in signature.output_specs if spec.kind == OutputKind.USER_OUTPUT]
    vertices = [values[end] for end in ends if isinstance(values.get(end), int)]
    return builder.finished(vertices, count, name)


def _value(node: torch.fx.Node, shape: Any, values: Mapping[str, Any], builder: Builder) -> Any:
    def seen(argument: Any) -> Any:
        if isinstance(argument, torch.fx.Node):
            return values[argument.name]
        if isinstance(argument, list | tuple):
            return [seen(entry) for entry in argument]
        return argument

    target: Any = node.target
    if getattr(target, "__name__", "") == "getitem" and not isinstance(target, torch._ops.OpOverload):
        whole, index = seen(node.args[0]), node.args[1]
        if isinstance(whole, Constant):
            return Constant(shape)
        part = whole[index]
        return part() if isinstance(part, Lazy) else part
    shapes = {n.name: _shapes(n.meta.get("val")) for n in node.all_input_nodes}
    operands = [value for n in node.all_input_nodes for value in _flat(values[n.name])]
    if not any(isinstance(operand, int) for operand in operands):
        builder.dropped["constant"] += 1
        tensors = merged(t for operand in operands if isinstance(operand, Constant) for t in operand.tensors)
        if len(node.users) > 1:
            tensors = tuple(tensor if tensor.identity else builder.identified(tensor) for tensor in tensors)
        return Constant(shape if not isinstance(shape, list) else None, tensors=tensors, certain=True)
    if not isinstance(target, torch._ops.OpOverload):
        return builder.add(f"torch.{getattr(target, '__name__', 'unknown')}", None, operands)
    packet = target._schema.name.removeprefix("aten::").rstrip("_")
    arguments: dict[str, Any] = {}
    sizes: dict[str, Any] = {}
    for position, schema in enumerate(target._schema.arguments):
        raw = node.args[position] if position < len(node.args) else node.kwargs.get(schema.name, schema.default_value)
        arguments[schema.name] = seen(raw)
        sizes[schema.name] = (
            [shapes.get(n.name) if isinstance(n, torch.fx.Node) else None for n in raw]
            if isinstance(raw, list | tuple)
            else shapes.get(raw.name)
            if isinstance(raw, torch.fx.Node)
            else None
        )
    call = Call(packet, arguments, sizes, shape, builder)
    if packet in ATEN:
        return ATEN[packet](call)
    kind = target._schema.name.replace("::", ".").rstrip("_")
    first = builder.add(kind, shape[0] if isinstance(shape, list) else shape, operands)
    if not isinstance(shape, list):
        return first
    rest = [Lazy(builder.add, ("Take", s, [first], {"index": k})) for k, s in enumerate(shape) if k]
    return [first, *rest]


def _flat(value: Any) -> list[Operand]:
    if isinstance(value, list):
        return [operand for entry in value for operand in _flat(entry)]
    return [value] if isinstance(value, int | Constant) else []


def _shapes(value: Any) -> Any:
    """The shape of a tensor, or a list of shapes for several tensors; None if a size is not a number."""
    if isinstance(value, torch.Tensor):
        shape: Shape = tuple(value.shape)
        return shape if all(type(size) is int for size in shape) else None
    return [_shapes(entry) for entry in value] if isinstance(value, list | tuple) else None


def _module(node: torch.fx.Node) -> str:
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    return printable(str(stack[-1][0])) if stack else ""
