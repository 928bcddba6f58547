"""Rules for operations that move values without computing: views, transpositions, slices, concatenations."""

from collections.abc import Callable

from narformer.network.graph import Op
from narformer.network.mutable_graph import MutableGraph

Rule = Callable[[MutableGraph, int, Op], bool]


def only(graph: MutableGraph, vertex: int) -> tuple[int, Op] | None:
    """The only operand of a vertex and its operation; None if it does not have exactly one operand."""
    operands = graph.operands[vertex]
    return (operands[0][1], graph.ops[operands[0][1]]) if len(operands) == 1 else None


def pass_on(graph: MutableGraph, vertex: int, op: Op) -> bool:
    """Drop Identity and Dropout."""
    return len(graph.operands[vertex]) == 1 and graph.bypass(vertex)


def pass_on_if_same(graph: MutableGraph, vertex: int, op: Op) -> bool:
    """Drop operations that return their only operand: Expand, Slice, Pad, Tile, Concat, Resize, pools, reductions.

    A Pad of the same shape may shift the image, a Resize may cut it (``coordinate_transformation_mode`` says so).
    """
    below, pads = only(graph, vertex), op.get("pads")
    if not below or op.shape is None or below[1].shape != op.shape or op.get("constant"):
        return False
    if (op.kind == "Pad" and (not isinstance(pads, tuple) or any(pads))) or op.get("coordinate_transformation_mode"):
        return False
    steps = op.get("steps")
    if isinstance(steps, tuple) and any(step < 0 for step in steps):
        return False
    graph.ops[vertex] = Op("Identity", (), op.shape)
    return True


def view(graph: MutableGraph, vertex: int, op: Op) -> bool:
    """Flatten, Squeeze, Unsqueeze of known shape become Reshape; two successive Reshape become one."""
    below = only(graph, vertex)
    if not below or op.shape is None:
        return False
    if below[1].shape == op.shape:
        graph.ops[vertex] = Op("Identity", (), op.shape)
    elif below[1].kind in ("Reshape", "Flatten", "Squeeze", "Unsqueeze") and len(graph.operands[below[0]]) == 1:
        graph.become(vertex, Op("Reshape", (), op.shape), [(0, graph.operands[below[0]][0][1])])
    elif op.kind != "Reshape":
        graph.ops[vertex] = Op("Reshape", (), op.shape)
    else:
        return False
    return True


def transpose(graph: MutableGraph, vertex: int, op: Op) -> bool:
    """Compose successive Transpose; a Transpose that only moves axes of size 1 becomes Reshape."""
    below, perm = only(graph, vertex), op.get("perm")
    if not below or not isinstance(perm, tuple) or op.shape is None:
        return False
    source, under = below
    inner = under.get("perm")
    if under.kind == "Transpose" and isinstance(inner, tuple) and len(inner) == len(perm):
        whole = Op.of("Transpose", op.shape, perm=tuple(inner[axis] for axis in perm))
        graph.become(vertex, whole, graph.operands[source])
        return True
    if under.shape is None or len(under.shape) != len(perm):
        return False
    moved = [axis for axis in perm if under.shape[axis] != 1]
    if moved == sorted(moved):
        graph.ops[vertex] = Op("Reshape", (), op.shape)
        return True
    return False


def sliced(graph: MutableGraph, vertex: int, op: Op) -> bool:
    """Two successive Slice along different axes become one."""
    below = only(graph, vertex)
    if not below or below[1].kind != "Slice" or len(graph.operands[below[0]]) != 1 or op.shape is None:
        return False
    cuts: dict[int, tuple[int, ...]] = {}
    for each in (below[1], op):
        parts = [each.get(name) for name in ("axes", "starts", "ends", "steps")]
        whole = [part for part in parts if isinstance(part, tuple)]
        if len(whole) < len(parts) or cuts.keys() & set(whole[0]):
            return False
        cuts |= {axis: cut for axis, *cut in zip(*whole, strict=True)}
    axes = tuple(sorted(cuts))
    starts, ends, steps = (tuple(cuts[axis][k] for axis in axes) for k in range(3))
    both = Op.of("Slice", op.shape, axes=axes, starts=starts, ends=ends, steps=steps)
    graph.become(vertex, both, graph.operands[below[0]])
    return True


def joined(graph: MutableGraph, vertex: int, op: Op) -> bool:
    """A Concat that only another Concat along the same axis reads becomes part of it; the last one takes in all."""
    readers = graph.readers[vertex]
    if len(readers) == 1 and _is_part(graph, vertex, graph.ops[readers[0]]):
        return False  # its turn comes with that reader, so that a long chain is copied once
    parts: list[int] = []
    stack = [source for _, source in reversed(graph.operands[vertex])]
    while stack:
        source = stack.pop()
        if _is_part(graph, source, op):
            stack += [v for _, v in reversed(graph.operands[source])]
        else:
            parts.append(source)
    if parts == [source for _, source in graph.operands[vertex]]:
        return False
    graph.become(vertex, op, list(enumerate(parts)))
    return True


def _is_part(graph: MutableGraph, vertex: int, whole: Op) -> bool:
    """Whether the vertex is a Concat of vertices that only ``whole`` reads, one along the same axis."""
    part, rank = graph.ops[vertex], len(whole.shape or ())
    axes = part.get("axis"), whole.get("axis")
    if part.kind != "Concat" or whole.kind != "Concat" or not rank or part.get("constant") or whole.get("constant"):
        return False
    known = [axis % rank for axis in axes if isinstance(axis, int)]
    return len(graph.readers[vertex]) == 1 and len(known) == 2 and known[0] == known[1]
