"""A parsed ONNX model, looked over before anything is computed from it: functions, structure, numbers.

The checks are our own: the library's checker refuses files without weights, and its shape inference takes time and
memory without bound on functions that call each other twice, follows cycles and believes any number.
"""

from collections.abc import Iterable, Mapping
from math import prod
from pathlib import Path

import onnx

from narformer.arch.onnx_wire import NODES
from narformer.errors import BadFile

__all__ = [
    "DIM",
    "ELEMENTS",
    "LOCATION",
    "body_of",
    "check",
    "check_shape",
    "external",
    "functions_expanded",
    "in_order",
    "reads",
]

LOCATION = b"location"  # the key by which a tensor names another file
DIM = 2**31 - 1  # of a tensor, a kernel, a stride
ELEMENTS = 2**48  # of one tensor
GRAPH_TYPES = (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS)
_POSITIVE = ("kernel_shape", "strides", "dilations", "output_shape")

Key = tuple[str, str, str]


def functions_expanded(model: onnx.ModelProto, path: str | Path) -> int:
    """Number of nodes after every call of a model's own functions is replaced by its body.

    Each function is counted once, so that k functions that call each other twice take k steps, not 2**k.

    Raises BadFile where a function calls itself or the number is beyond NODES.
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
            for graph in body_of(attribute):
                stack.extend(graph.node)
    return calls


def body_of(attribute: onnx.AttributeProto) -> list[onnx.GraphProto]:
    """The graphs that an attribute holds."""
    if attribute.HasField("g"):
        return [attribute.g, *attribute.graphs]
    return list(attribute.graphs)


def check(model: onnx.ModelProto, path: str | Path) -> None:
    """Refuse a model that names a value twice, reads what nobody writes, goes in circles or states absurd numbers.

    Nodes that stand in another order are put in the order in which they can run: shape inference trusts it.

    Raises BadFile.
    """
    if not model.HasField("graph") or not (model.graph.node or model.graph.output):
        raise BadFile(path, "no graph", "an ONNX model", "Export the model again.")
    _check_graph(model.graph, frozenset(), path)
    for function in model.functions:
        for node in function.node:
            _check_numbers(node, path)


def _check_graph(graph: onnx.GraphProto, outer: frozenset[str], path: str | Path) -> None:
    for value in (*graph.input, *graph.output, *graph.value_info):
        check_shape(value, path)
    for tensor in graph.initializer:
        if any(not 0 <= dim <= DIM for dim in tensor.dims) or prod(tensor.dims) > ELEMENTS:
            raise BadFile(
                path,
                f"initializer {tensor.name[:80]!r} of dimensions {_list(tensor.dims)}",
                f"dimensions of 0 to {DIM:,}, at most 2**48 values in all",
            )
    scope = {value.name for value in graph.input}
    if len(scope) < len(graph.input):
        raise BadFile(path, "two inputs of one name", "a name for each", "Export the model again.")
    stored = [tensor.name for tensor in graph.initializer] + [t.values.name for t in graph.sparse_initializer]
    if len(set(stored)) < len(stored):
        raise BadFile(path, "two initializers of one name", "a name for each", "Export the model again.")
    scope.update(stored)
    for node in graph.node:
        for name in node.output:
            if name and name in scope:
                raise BadFile(path, f"the value {name[:80]!r} written twice", "every value written once")
            scope.add(name)
    inner: list[onnx.GraphProto] = []
    for node in graph.node:
        _check_numbers(node, path)
        for attribute in node.attribute:
            bodies = body_of(attribute)
            if bodies and attribute.type not in GRAPH_TYPES:
                raise BadFile(
                    path, f"a graph in attribute {attribute.name[:80]!r} of another type", "a type that tells"
                )
            inner += bodies
    _put_in_order(graph, in_order(graph, frozenset(outer | scope), path))
    for value in graph.output:
        if value.name not in scope and value.name not in outer:
            raise BadFile(path, f"the output {value.name[:80]!r} that nothing writes", "outputs that nodes write")
    for body in inner:
        _check_graph(body, frozenset(outer | scope), path)


def in_order(graph: onnx.GraphProto, scope: frozenset[str], path: str | Path) -> list[tuple[onnx.NodeProto, list[str]]]:
    """The nodes and what they read, every value written before it is read; as in the file where that is so.

    Raises BadFile where a value is read that is not in ``scope``, or the nodes go in a circle.
    """
    nodes = [(node, reads(node)) for node in graph.node]
    writer = {name: i for i, (node, _) in enumerate(nodes) for name in node.output if name}
    waiting = [0] * len(nodes)
    readers: list[list[int]] = [[] for _ in nodes]
    sorted_already = True
    for i, (node, names) in enumerate(nodes):
        for name in names:
            if name in writer:
                readers[writer[name]].append(i)
                waiting[i] += 1
                sorted_already &= writer[name] < i
            elif name not in scope:
                raise BadFile(
                    path,
                    f"node {(node.name or node.op_type)[:80]!r} reading {name[:80]!r}, which nothing writes",
                    "inputs that are written before",
                )
    if sorted_already:
        return nodes
    order = [i for i, count in enumerate(waiting) if not count]
    for i in order:  # grows while it is read
        for reader in readers[i]:
            waiting[reader] -= 1
            if not waiting[reader]:
                order.append(reader)
    if len(order) < len(nodes):
        stuck = next(node for (node, _), count in zip(nodes, waiting, strict=True) if count)
        raise BadFile(
            path, f"nodes that go in a circle, {(stuck.name or stuck.op_type)[:80]!r} among them", "an acyclic graph"
        )
    return [nodes[i] for i in order]


def _put_in_order(graph: onnx.GraphProto, ordered: list[tuple[onnx.NodeProto, list[str]]]) -> None:
    if all(node is other for node, (other, _) in zip(graph.node, ordered, strict=True)):
        return
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node, _ in ordered]
    del graph.node[:]
    graph.node.extend(copies)


def reads(node: onnx.NodeProto) -> list[str]:
    """Names of the values that a node reads, those that its bodies take from around it included."""
    names = [name for name in node.input if name]
    for attribute in node.attribute:
        for body in body_of(attribute) if attribute.type in GRAPH_TYPES else ():
            inside = {value.name for value in body.input} | {t.name for t in body.initializer}
            inside |= {t.values.name for t in body.sparse_initializer}
            inside |= {name for inner in body.node for name in inner.output}
            names += [name for inner in body.node for name in reads(inner) if name not in inside]
            names += [value.name for value in body.output if value.name not in inside]
    return names


def external(model: onnx.ModelProto) -> list[str]:
    """Names of the tensors whose contents lie in other files, wherever in the model they stand.

    A tensor without a name goes by that of its attribute. A reference counts too where the tensor does not say that it
    is external: not every reader asks.
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
            graphs += body_of(attribute)
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
    """Refuse a stated shape of absurd sizes. Raises BadFile."""
    if not value.type.HasField("tensor_type"):
        return
    sizes = [d.dim_value for d in value.type.tensor_type.shape.dim if d.HasField("dim_value")]
    if any(not 0 <= size <= DIM for size in sizes) or prod(sizes) > ELEMENTS:
        raise BadFile(
            path,
            f"the value {value.name[:80]!r} of dimensions {_list(sizes)}",
            f"dimensions of 0 to {DIM:,}, at most 2**48 values in all",
        )


def _check_numbers(node: onnx.NodeProto, path: str | Path) -> None:
    for attribute in node.attribute:
        numbers = [*attribute.ints, attribute.i]
        least = -DIM - 1
        if attribute.name in _POSITIVE:
            numbers, least = list(attribute.ints), 1
        elif attribute.name in ("group", "num_groups", "hidden_size"):
            least = 1
        elif attribute.name not in ("pads", "output_padding", "axes", "perm"):
            continue
        wrong = [number for number in numbers if not least <= number <= DIM]
        if wrong:
            raise BadFile(
                path,
                f"{attribute.name} {wrong[0]} of node {(node.name or node.op_type)[:80]!r}",
                f"{least} to {DIM:,}",
            )


def _list(sizes: object) -> str:
    text = str(list(sizes))  # type: ignore[call-overload]
    return text if len(text) < 80 else text[:80] + "…"
