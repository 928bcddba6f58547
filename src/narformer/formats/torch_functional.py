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


def inlined(module: torch.fx.GraphModule, stored: Collection[str] = ()) -> torch.fx.Graph:
    """The graph with the operations of nested graphs in place of parts that are computed under a setting of torch.

    Of torch.cond the branch that reads more stored values is in its place, which are those of the inputs called
    ``stored``. For each of its results a call of torch.cond stays, of the condition, the result, and the operands of
    the other branch.
    """
    graph: torch.fx.Graph = torch.fx.Graph()
    _copied(module, None, graph, stored)
    return graph


def _copied(part: torch.fx.GraphModule, inputs: Any, graph: torch.fx.Graph, stored: Collection[str]) -> Any:
    """The values that a nested graph gives back, its operations copied to the end of a graph.

    inputs: values in place of its inputs; None if these and the output are copied, too
    """
    copies: dict[torch.fx.Node, Any] = {}

    def mapped(arguments: Any) -> Any:
        return torch.fx.node.map_arg(arguments, lambda source: copies[source])

    given = iter(inputs or ())
    for node in part.graph.nodes:
        if node.op == "placeholder" and inputs is not None:
            copies[node] = next(given)
        elif node.op == "output" and inputs is not None:
            return mapped(node.args[0])
        elif _is_cond(node):
            branches = [_inside(part, branch) for branch in node.args[1:3]]
            copies[node] = _branch(node, branches, mapped(node.args[0]), mapped(node.args[3]), (graph, stored))
        elif _is_part(node):
            start = SETTINGS[node.target.__name__]
            copies[node] = _copied(_inside(part, node.args[start - 1]), mapped(node.args[start:]), graph, stored)
        elif getattr(node.target, "__name__", "") == "getitem" and isinstance(copies.get(node.args[0]), list | tuple):
            copies[node] = copies[node.args[0]][node.args[1]]
        elif node.op != "get_attr" or not all(_is_part(user) or _is_cond(user) for user in node.users):
            copies[node] = graph.node_copy(node, lambda source: copies[source])
    return ()


def _branch(
    node: torch.fx.Node,
    branches: list[torch.fx.GraphModule],
    condition: Any,
    operands: Any,
    to: tuple[torch.fx.Graph, Collection[str]],
) -> list[torch.fx.Node]:
    """The results of the branch that reads more stored values; of branches that read as many, the longer one."""
    graph, stored = to
    read = [_read(branch, operands) for branch in branches]

    def weight(number: int) -> tuple[int, int]:
        sizes = [operand.meta["val"].numel() for operand in read[number] if operand.name in stored]
        return sum(sizes), len(branches[number].graph.nodes)

    chosen = max((0, 1), key=weight)
    results = []
    for place, value in enumerate(_copied(branches[chosen], operands, graph, stored)):
        result = graph.create_node("call_function", node.target, (condition, value, *read[1 - chosen]))
        result.meta = {**node.meta, "val": node.meta["val"][place]}
        results.append(result)
    return results


def _read(branch: torch.fx.GraphModule, operands: Any) -> list[torch.fx.Node]:
    """The operands that a branch reads."""
    inputs = [node for node in branch.graph.nodes if node.op == "placeholder"]
    pairs = zip(inputs, operands, strict=True)
    return [operand for node, operand in pairs if node.users and isinstance(operand, torch.fx.Node)]


def _inside(module: torch.fx.GraphModule, node: Any) -> Any:
    """The nested graph that a node names, or None."""
    found = getattr(module, str(node.target), None)
    return found if isinstance(found, torch.fx.GraphModule) else None


def _is_part(node: torch.fx.Node) -> bool:
    return node.op == "call_function" and getattr(node.target, "__name__", "") in SETTINGS


def _is_cond(node: torch.fx.Node) -> bool:
    return node.op == "call_function" and node.target is torch.ops.higher_order.cond


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
        parts = [part for part in program.graph_module.modules() if isinstance(part, torch.fx.GraphModule)]
        nodes = [node for part in parts for node in part.graph.nodes]
        targets = {node.target for node in nodes if isinstance(node.target, torch._ops.OpOverload)}
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
