"""Checks of a parsed ONNX model before it is used: functions, structure, numbers.

The checker of the onnx library cannot be used, because it refuses files without weights. The library's shape inference
does not check: its time and memory are unbounded for functions that call each other twice, for cycles and huge numbers.
"""

from collections.abc import Iterable, Mapping, Sequence
from math import prod
from pathlib import Path

import onnx

from narformer.errors import BadFile, printable
from narformer.formats.onnx_wire import NODES

__all__ = [
    "DIM",
    "ELEMENTS",
    "LOCATION",
    "absurd",
    "body_of",
    "check",
    "check_dims",
    "check_shape",
    "external",
    "functions_expanded",
    "outside_of",
    "taken",
]

LOCATION = b"location"  # the key by which a tensor names another file
DIM = 2**31 - 1  # largest size of a dimension, a kernel, a stride
ELEMENTS = 2**48  # largest number of values in one tensor
GRAPH, GRAPHS = onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS
_LISTS = ("kernel_shape", "strides", "dilations", "output_shape")
_LEAST = {  # attribute -> its smallest number; the largest is DIM
    **dict.fromkeys((*_LISTS, "group", "num_groups", "hidden_size"), 1),
    **dict.fromkeys(("pads", "output_padding", "axes", "perm"), -DIM - 1),
}

Key = tuple[str, str, str]


def functions_expanded(model: onnx.ModelProto, path: str | Path) -> int:
    """Number of nodes after every call of a model's own functions is replaced by its body.

    Each function is counted once, so that k functions that call each other twice take k steps, not 2**k.

    Raises BadFile if a function calls itself, or the number is above NODES.
    """
    bodies = {(f.domain, f.name, f.overload): f for f in model.functions}
    calls: dict[Key, list[Key | None]] = {key: _calls(f.node, bodies) for key, f in bodies.items()}
    sizes: dict[Key, int] = {}
    for first in bodies:
        stack, open_ = [first], set()
        while stack:
            key = stack[-1]
            missing = [callee for callee in calls[key] if callee is not None and callee not in sizes]
            if not missing:
                sizes[key] = sum(1 if callee is None else sizes[callee] for callee in calls[key])
                open_.discard(stack.pop())
                continue
            if missing[0] in open_ or missing[0] == key:
                name = missing[0][1][:80]
                raise BadFile(path, f"function {name!r} that calls itself", "functions that end", "Export it again.")
            open_.add(key)
            stack.append(missing[0])
    total = sum(1 if callee is None else sizes[callee] for callee in _calls(model.graph.node, bodies))
    if total > NODES:
        raise BadFile(path, f"{total:,} nodes once its functions are expanded", f"at most {NODES:,}")
    return total


def _calls(nodes: Iterable[onnx.NodeProto], bodies: Mapping[Key, onnx.FunctionProto]) -> list[Key | None]:
    calls: list[Key | None] = []
    stack = list(nodes)
    while stack:
        node = stack.pop()
        key = (node.domain, node.op_type, node.overload)
        calls.append(key if key in bodies else None)
        for attribute in node.attribute:
            for graph in _graphs(attribute):
                stack.extend(graph.node)
    return calls


def body_of(attribute: onnx.AttributeProto) -> list[onnx.GraphProto]:
    """The graphs in an attribute of a checked model."""
    kind = attribute.type
    if kind == GRAPH:
        return [attribute.g]
    return list(attribute.graphs) if kind == GRAPHS else []


def _graphs(attribute: onnx.AttributeProto) -> list[onnx.GraphProto]:
    """The graphs in an attribute, of whatever type it says to be."""
    found = list(attribute.graphs)
    return [attribute.g, *found] if attribute.HasField("g") else found


def check(model: onnx.ModelProto, path: str | Path) -> None:
    """Refuse a model with two values of one name, undefined inputs, cycles or numbers out of range.

    Nodes are sorted topologically if necessary, because shape inference assumes this order.

    Raises BadFile.
    """
    if not model.HasField("graph") or not (model.graph.node or model.graph.output):
        raise BadFile(path, "no graph", "an ONNX model", "Export the model again.")
    _check_graph(model.graph, set(), path)
    for function in model.functions:
        for node in function.node:
            for attribute in node.attribute:
                _check_numbers(attribute, node, path)


def _check_graph(graph: onnx.GraphProto, outer: set[str], path: str | Path) -> None:
    """Check a graph inside graphs that define the names ``outer``, which are the same again at the end."""
    for value in (*graph.input, *graph.output, *graph.value_info):
        check_shape(value, path)
    for tensor in graph.initializer:
        if absurd(tensor.dims):
            raise BadFile(
                path,
                f"initializer {tensor.name[:80]!r} of dimensions {_list(tensor.dims)}",
                f"dimensions of 0 to {DIM:,}, at most 2**48 values in all",
            )
    scope: set[str] = {value.name for value in graph.input}
    if len(scope) < len(graph.input):
        raise BadFile(path, "two inputs of one name", "a name for each", "Export the model again.")
    stored = [tensor.name for tensor in graph.initializer] + [t.values.name for t in graph.sparse_initializer]
    if len(set(stored)) < len(stored):
        raise BadFile(path, "two initializers of one name", "a name for each", "Export the model again.")
    scope.update(stored)
    inner: list[onnx.GraphProto] = []
    in_order = True
    for node in graph.node:
        in_order = in_order and all(not name or name in scope or name in outer for name in node.input)
        bodies: list[onnx.GraphProto] = []
        for attribute in node.attribute:
            _check_numbers(attribute, node, path)
            held = body_of(attribute)
            if len(held) < attribute.HasField("g") + len(attribute.graphs):
                raise BadFile(
                    path, f"a graph in attribute {attribute.name[:80]!r} of another type", "the type GRAPH or GRAPHS"
                )
            bodies += held
        if bodies:
            inner += bodies
            in_order = in_order and all(not name or name in scope or name in outer for name in taken(node))
        for name in node.output:
            if name and name in scope:
                raise BadFile(path, f"the value {name[:80]!r} written twice", "every value written once")
            scope.add(name)
    hidden = not outer.isdisjoint(scope)  # by names that are written here
    scope = {name for name in scope if name not in outer}  # takes no time for the names of outer graphs
    outer |= scope
    if not in_order or hidden:
        _put_in_order(graph, outer, path)
        inner = [body for node in graph.node for a in node.attribute for body in body_of(a)]  # the nodes were replaced
    for value in graph.output:
        if value.name not in outer:
            raise BadFile(path, f"the undefined output {value.name[:80]!r}", "outputs that a node writes")
    for body in inner:
        _check_graph(body, outer, path)
    outer -= scope


def _put_in_order(graph: onnx.GraphProto, scope: set[str], path: str | Path) -> None:
    """Sort the nodes topologically. Raises BadFile if an input is not in ``scope``, or if the nodes form a cycle."""
    nodes = [(node, _reads(node)) for node in graph.node]
    writer = {name: i for i, (node, _) in enumerate(nodes) for name in node.output if name}
    waiting = [0] * len(nodes)
    readers: list[list[int]] = [[] for _ in nodes]
    for i, (node, names) in enumerate(nodes):
        for name in names:
            if name in writer:
                readers[writer[name]].append(i)
                waiting[i] += 1
            elif name not in scope:
                raise BadFile(
                    path,
                    f"node {(node.name or node.op_type)[:80]!r} reading the undefined value {name[:80]!r}",
                    "inputs that a node or the graph defines",
                )
    order = [i for i, count in enumerate(waiting) if not count]
    for i in order:  # the list grows during the loop
        for reader in readers[i]:
            waiting[reader] -= 1
            if not waiting[reader]:
                order.append(reader)
    if len(order) < len(nodes):
        stuck = next(node for (node, _), count in zip(nodes, waiting, strict=True) if count)
        raise BadFile(path, f"nodes in a cycle, including {(stuck.name or stuck.op_type)[:80]!r}", "an acyclic graph")
    copies = [onnx.NodeProto.FromString(nodes[i][0].SerializeToString()) for i in order]
    del graph.node[:]
    graph.node.extend(copies)


def _reads(node: onnx.NodeProto) -> list[str]:
    return [name for name in node.input if name] + taken(node)


def taken(node: onnx.NodeProto) -> list[str]:
    """Names of the values that subgraphs of a node read from the outer graph."""
    return [name for attribute in node.attribute for body in body_of(attribute) for name in outside_of(body)]


def outside_of(body: onnx.GraphProto) -> list[str]:
    """Names of the values that a subgraph reads from the outer graph."""
    inside = {value.name for value in body.input} | {t.name for t in body.initializer}
    inside |= {t.values.name for t in body.sparse_initializer}
    inside |= {name for inner in body.node for name in inner.output}
    names = [name for inner in body.node for name in _reads(inner) if name not in inside]
    return names + [value.name for value in body.output if value.name not in inside]


def external(model: onnx.ModelProto) -> list[str]:
    """Names of the tensors whose contents are in other files, anywhere in the model.

    A tensor without a name is listed under the name of its attribute. A reference to a file also counts if the tensor
    is not marked as external, because some readers ignore the mark.
    """
    found: list[str] = []
    graphs = [model.graph, *(graph for t in model.training_info for graph in (t.initialization, t.algorithm))]
    nodes = [node for function in model.functions for node in function.node]
    attributes = [attribute for function in model.functions for attribute in function.attribute_proto]
    while graphs or nodes or attributes:
        tensors: list[tuple[str, onnx.TensorProto]] = []
        sparse: list[tuple[str, onnx.SparseTensorProto]] = []
        for graph in graphs:
            tensors += [(tensor.name, tensor) for tensor in graph.initializer]
            sparse += [("", tensor) for tensor in graph.sparse_initializer]
            nodes += graph.node
        for node in nodes:
            attributes += node.attribute
        graphs, nodes = [], []
        for attribute in attributes:
            graphs += _graphs(attribute)
            if attribute.HasField("t"):
                tensors.append((attribute.name, attribute.t))
            if attribute.HasField("sparse_tensor"):
                sparse.append((attribute.name, attribute.sparse_tensor))
            tensors += [(attribute.name, tensor) for tensor in attribute.tensors]
            sparse += [(attribute.name, tensor) for tensor in attribute.sparse_tensors]
        attributes = []
        tensors += [(name, part) for name, tensor in sparse for part in (tensor.values, tensor.indices)]
        found += [
            tensor.name or name
            for name, tensor in tensors
            if tensor.external_data or tensor.data_location == onnx.TensorProto.EXTERNAL
        ]
    return found


def check_shape(value: onnx.ValueInfoProto, path: str | Path) -> None:
    """Refuse a shape with sizes out of range. Raises BadFile."""
    if not value.type.HasField("tensor_type"):
        return
    dims = value.type.tensor_type.shape.dim
    sizes = [size for d in dims if (size := d.dim_value) or d.HasField("dim_value")]
    check_dims(value.name, sizes, path)


def check_dims(name: str, sizes: Sequence[int], path: str | Path) -> None:
    """Refuse a value whose sizes are out of range. Raises BadFile."""
    if absurd(sizes):
        raise BadFile(
            path,
            f"the value {printable(name[:80])!r} of dimensions {_list(sizes)}",
            f"dimensions of 0 to {DIM:,}, at most 2**48 values in all",
        )


def absurd(dims: Sequence[int]) -> bool:
    """Whether dimensions are out of range: negative, above DIM, or more than ELEMENTS values in total."""
    return len(dims) > 0 and (not 0 <= min(dims) <= max(dims) <= DIM or prod(dims) > ELEMENTS)


def _check_numbers(attribute: onnx.AttributeProto, node: onnx.NodeProto, path: str | Path) -> None:
    name = attribute.name
    if name not in _LEAST:
        return
    least, numbers = _LEAST[name], list(attribute.ints)
    if name not in _LISTS:
        numbers.append(attribute.i)
    if numbers and not least <= min(numbers) <= max(numbers) <= DIM:
        wrong = next(number for number in numbers if not least <= number <= DIM)
        raise BadFile(path, f"{name} {wrong} of node {(node.name or node.op_type)[:80]!r}", f"{least} to {DIM:,}")


def _list(sizes: object) -> str:
    text = str(list(sizes))  # type: ignore[call-overload]
    return text if len(text) < 80 else text[:80] + "…"
