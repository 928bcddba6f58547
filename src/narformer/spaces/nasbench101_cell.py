"""Cells of NAS-Bench-101: their operations, their limits, and the removal of dead vertices.

A cell has one input, the first vertex, and one output, the last; every vertex lies on a path between them.
"""

from collections.abc import Sequence

from narformer.errors import BadArchitecture, UnknownName, lookup
from narformer.network.graph import Architecture, Op

VOCABULARY = ("input", "conv1x1-bn-relu", "conv3x3-bn-relu", "maxpool3x3", "output")
INTERIOR = VOCABULARY[1:-1]
MAX_VERTICES = 7
MAX_EDGES = 9

_SPELLINGS = {name: name for name in INTERIOR} | {"conv1x1": "conv1x1-bn-relu", "conv3x3": "conv3x3-bn-relu"}


def prune(architecture: Architecture) -> Architecture:
    """The cell without the vertices that are not on a path from its first to its last vertex.

    Raises BadArchitecture where no such path exists.
    """
    live = pruned([op.kind for op in architecture.ops], architecture.edges)
    if live is None:
        raise BadArchitecture("no path leads from the input to the output; nothing is left of this cell")
    return live


def pruned(names: Sequence[str], edges: Sequence[tuple[int, int]]) -> Architecture | None:
    """The live part of a graph from its first vertex, the input, to its last, the output; None without a path."""
    live = reached(0, edges) & reached(len(names) - 1, [(j, i) for i, j in edges])
    if 0 not in live:
        return None
    rank = {vertex: position for position, vertex in enumerate(sorted(live))}
    kept = [(rank[i], rank[j]) for i, j in edges if i in live and j in live]
    return Architecture.sorted([Op(names[v]) for v in sorted(live)], kept)


def reached(start: int, edges: Sequence[tuple[int, int]]) -> set[int]:
    """The vertices that paths from ``start`` lead to, itself included."""
    found, fresh = {start}, [start]
    while fresh:
        vertex = fresh.pop()
        new = {j for i, j in edges if i == vertex} - found
        found |= new
        fresh.extend(new)
    return found


def check(architecture: Architecture) -> None:
    """Raise BadArchitecture where ``architecture`` is not a pruned cell of this space."""
    kinds = [op.kind for op in architecture.ops]
    strange = [k for k in kinds if k not in VOCABULARY]
    if strange:
        operation(strange[0])
    if len(kinds) < 2 or kinds[0] != "input" or kinds[-1] != "output" or not set(kinds[1:-1]) <= set(INTERIOR):
        raise BadArchitecture(f"found the operations {', '.join(kinds)}; expected one input first and one output last")
    if len(set(architecture.edges)) < len(architecture.edges) or prune(architecture) != architecture:
        raise BadArchitecture("the cell has double edges or vertices that are not on a path to the output: prune it")
    check_size(architecture)


def fits(cell: Architecture) -> bool:
    """Whether the cell keeps to the limits of the benchmark."""
    return len(cell) <= MAX_VERTICES and len(cell.edges) <= MAX_EDGES


def check_size(cell: Architecture) -> None:
    """Raise BadArchitecture where the cell is too large for the benchmark."""
    if not fits(cell):
        raise BadArchitecture(
            f"the cell has {len(cell)} vertices and {len(cell.edges)} edges; "
            f"NAS-Bench-101 holds cells of at most {MAX_VERTICES} vertices and {MAX_EDGES} edges"
        )


def operation(word: str) -> str:
    """The full name of an interior operation. Raises BadArchitecture with the nearest right name."""
    try:
        return lookup(_SPELLINGS, word, "operation")
    except UnknownName as error:
        raise BadArchitecture(str(error)) from None
