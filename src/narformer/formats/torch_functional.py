"""Whether a traced graph computes the same without its in-place operations, and graphs within graphs."""

from collections.abc import Collection
from typing import Any

import torch

__all__ = ["inlined", "is_functional", "without_composites"]

# Operations whose result shares no memory with another value.
FRESH = {
    *("conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "linear", "matmul"),
    *("bmm", "batch_norm", "layer_norm", "group_norm", "instance_norm", "rms_norm", "embedding", "clone"),
    *("add", "sub", "mul", "div", "pow", "exp", "rsqrt", "cat", "stack", "mean", "sum", "softmax", "cumsum"),
    *("relu", "gelu", "silu", "sigmoid", "tanh", "hardswish", "hardsigmoid", "leaky_relu"),
    *("max_pool2d", "max_pool3d", "avg_pool2d", "adaptive_avg_pool2d", "scaled_dot_product_attention"),
}
DEPTH = 3  # composite operations inside composite operations
# Parts of a graph that are computed under a setting of torch: number of arguments before the inputs of the part
SETTINGS = {"wrap_with_set_grad_enabled": 2, "wrap_with_autocast": 5}


def is_functional(module: torch.fx.GraphModule) -> bool:
    """Whether each in-place operation changes a value that nothing else reads, which is the same as a new value.

    False also if there are nested graphs other than parts that are computed under a setting of torch.
    """
    for node in module.graph.nodes:
        if node.op == "get_attr" and not (_inside(module, node) and all(_is_part(user) for user in node.users)):
            return False
        if node.op == "get_attr" and not is_functional(_inside(module, node)):
            return False
        for changed in _changed(node):
            if not _fresh(changed) or len(changed.users) > 1:
                return False
    return True


def inlined(module: torch.fx.GraphModule) -> torch.fx.Graph:
    """The graph with the operations of parts that are computed under a setting of torch in place of the parts."""
    graph: torch.fx.Graph = torch.fx.Graph()
    copies: dict[torch.fx.Node, Any] = {}
    for node in module.graph.nodes:
        if _is_part(node):
            start = SETTINGS[node.target.__name__]
            part = _inside(module, node.args[start - 1])
            inputs = torch.fx.node.map_arg(node.args[start:], lambda source: copies[source])
            copies[node] = _copied(part, inputs, graph)
        elif getattr(node.target, "__name__", "") == "getitem" and isinstance(copies.get(node.args[0]), list | tuple):
            copies[node] = copies[node.args[0]][node.args[1]]
        elif node.op != "get_attr" or not all(_is_part(user) for user in node.users):
            copies[node] = graph.node_copy(node, lambda source: copies[source])
    return graph


def _copied(part: torch.fx.GraphModule, inputs: Any, graph: torch.fx.Graph) -> Any:
    """The values that a part gives back, its operations copied to the end of a graph."""
    copies: dict[torch.fx.Node, Any] = {}
    given = iter(inputs)
    for node in inlined(part).nodes:
        if node.op == "placeholder":
            copies[node] = next(given)
        elif node.op == "output":
            return torch.fx.node.map_arg(node.args[0], lambda source: copies[source])
        else:
            copies[node] = graph.node_copy(node, lambda source: copies[source])
    return ()


def _inside(module: torch.fx.GraphModule, node: Any) -> Any:
    """The nested graph that a node names, or None."""
    found = getattr(module, str(node.target), None)
    return found if isinstance(found, torch.fx.GraphModule) else None


def _is_part(node: torch.fx.Node) -> bool:
    return node.op == "call_function" and getattr(node.target, "__name__", "") in SETTINGS


def _changed(node: torch.fx.Node) -> list[torch.fx.Node]:
    """The values that an operation changes in place."""
    schema = getattr(node.target, "_schema", None)
    if schema is None or not schema.is_mutable or schema.name == "aten::detach_":  # which changes no value
        return []
    written = [position for position, entry in enumerate(schema.arguments) if entry.is_write]
    if any(position >= len(node.args) for position in written):
        return list(node.all_input_nodes)
    return [entry for position in written if isinstance(entry := node.args[position], torch.fx.Node)]


def _fresh(node: torch.fx.Node) -> bool:
    target = node.target
    if node.op != "call_function" or not isinstance(target, torch._ops.OpOverload):
        return False
    return bool(_changed(node)) or target._schema.name.removeprefix("aten::") in FRESH


def without_composites(program: torch.export.ExportedProgram, known: Collection[str]) -> torch.export.ExportedProgram:
    """The program, in which composite operations that are not ``known`` are written by simpler ones, as torch does."""
    for _ in range(DEPTH):
        targets = {node.target for node in program.graph.nodes if isinstance(node.target, torch._ops.OpOverload)}
        unknown = {target for target in targets if _name(target) not in known}
        if not unknown:
            break
        ways = torch.export.default_decompositions()
        table = {target: ways[target] for target in unknown if target in ways}
        if not table:
            break
        program = program.run_decompositions(table)
    return program


def _name(target: torch._ops.OpOverload) -> str:
    return target._schema.name.removeprefix("aten::").rstrip("_")
