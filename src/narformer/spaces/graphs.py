"""Graphs of the user's own space: any directed acyclic graph over the operations in the data.

A graph is written as JSON, ``{"ops": ["input", "conv3x3", "output"], "edges": [[0, 1], [1, 2]]}``, its vertices in any
order; instead of ``edges`` it may have ``adjacency``, a square matrix that counts the edges from row to column.
"""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NoReturn, TypeGuard

import numpy as np
from numpy.typing import NDArray

from narformer.cells.columns import Cells
from narformer.cells.graph_keys import graph_keys
from narformer.errors import BadArchitecture, UnknownName, lookup
from narformer.network.graph import Architecture, Op

__all__ = ["MOST_OPERATIONS", "MOST_VERTICES", "Graphs", "echo", "read_graph", "vocabulary_of"]

MOST_VERTICES = 128  # columns of cells are square matrices; larger networks are not cells
MOST_OPERATIONS = 127  # a column of cells holds an operation in one signed byte
MOST_EDGES = 255  # from one vertex to another, in one byte
LONGEST_TEXT = 100_000  # characters that are read
LONGEST_NAME = 100  # of an operation
LONGEST_ECHO = 80  # characters that an error repeats

_FORM = '{"ops": ["input", "conv3x3", "output"], "edges": [[0, 1], [1, 2]]}'


@dataclass(frozen=True)
class Graphs:
    """The graphs over one vocabulary; see Space. They can be read and written, but not drawn."""

    vocabulary: tuple[str, ...]
    name: str = "graphs"
    absent: tuple[str, ...] = ()
    identities: tuple[str, ...] = ()

    def recognises(self, text: str) -> bool:
        """Whether the text has a brace, as a JSON object has."""
        return "{" in text

    def parse(self, text: str) -> Architecture:
        """The graph that the JSON describes, in topological order. Raises BadArchitecture."""
        graph = read_graph(text)
        for op in graph.ops:
            if op.kind not in self.vocabulary:
                try:
                    lookup(dict.fromkeys(self.vocabulary), op.kind, "operation")
                except UnknownName as error:
                    raise BadArchitecture(str(error)) from None
        return graph

    def format(self, architecture: Architecture) -> str:
        """The graph as JSON in one line, with edges."""
        return json.dumps({"ops": [op.kind for op in architecture.ops], "edges": architecture.edges})

    def sample(self, rng: np.random.Generator) -> Architecture:
        """Raises BadArchitecture."""
        _unknown()

    def neighbours(self, architecture: Architecture) -> list[Architecture]:
        """Raises BadArchitecture."""
        _unknown()

    def unroll(self, architecture: Architecture) -> Architecture:
        """Raises BadArchitecture."""
        _unknown()

    def enumerate(self) -> Cells:
        """Raises BadArchitecture."""
        _unknown()

    def same(self, cells: Cells) -> NDArray[np.uint64]:
        """(M,) keys, equal for isomorphic graphs."""
        return graph_keys(cells)


def read_graph(graph: object) -> Architecture:
    """The graph of a JSON text, or of its decoded content, in topological order. Raises BadArchitecture."""
    content = _decoded(graph) if isinstance(graph, str) else graph
    if not isinstance(content, dict) or set(content) not in ({"ops", "edges"}, {"ops", "adjacency"}):
        found = f"keys {echo([*content])}" if isinstance(content, dict) else f"a JSON {type(content).__name__}"
        raise BadArchitecture(f"found {found}; expected a graph such as {_FORM}, or with 'adjacency'")
    names = content["ops"]
    if not isinstance(names, list) or not 1 <= len(names) <= MOST_VERTICES:
        found = f"{len(names):,} operations" if isinstance(names, list) else f"operations {echo(names)}"
        raise BadArchitecture(f"found {found}; expected a list of 1 to {MOST_VERTICES}, one for each vertex")
    for name in names:
        if not isinstance(name, str) or not name.isprintable() or not 1 <= len(name) <= LONGEST_NAME:
            raise BadArchitecture(f"found the operation {echo(name)}; expected a name such as 'conv3x3'")
    edges = _pairs(content["edges"]) if "edges" in content else _pairs_of_matrix(content["adjacency"], len(names))
    for (source, target), times in Counter(edges).items():
        if times > MOST_EDGES:
            raise BadArchitecture(f"edge {source}->{target} occurs {times} times; expected at most {MOST_EDGES}")
    return Architecture.sorted([Op(name) for name in names], edges)


def vocabulary_of(graphs: Iterable[Architecture]) -> tuple[str, ...]:
    """All operations of the graphs, sorted. Raises BadArchitecture where there are too many."""
    names = sorted({op.kind for graph in graphs for op in graph.ops})
    if len(names) > MOST_OPERATIONS:
        raise BadArchitecture(f"found {len(names):,} different operations; expected at most {MOST_OPERATIONS}")
    return tuple(names)


def echo(value: object) -> str:
    """The part of a decoded value that an error repeats."""
    try:
        return f"{value!r:.{LONGEST_ECHO}}"
    except RecursionError:
        return f"a deep {type(value).__name__}"


def _decoded(text: str) -> object:
    if len(text) > LONGEST_TEXT:
        raise BadArchitecture(f"found a text of {len(text):,} characters; a graph has at most {LONGEST_TEXT:,}")
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadArchitecture(
            f"found {echo(text)}, which is not JSON ({str(error)[:LONGEST_ECHO]}); expected {_FORM}"
        ) from None


def _pairs(edges: object) -> list[tuple[int, int]]:
    if not isinstance(edges, list):
        raise BadArchitecture(f"found edges {echo(edges)}; expected a list of pairs such as [0, 1]")
    for edge in edges:
        if not isinstance(edge, list) or len(edge) != 2 or not all(type(end) is int for end in edge):
            raise BadArchitecture(f"found the edge {echo(edge)}; expected two vertices, such as [0, 1]")
    return [(source, target) for source, target in edges]


def _pairs_of_matrix(matrix: object, vertices: int) -> list[tuple[int, int]]:
    if not _is_long(matrix, vertices) or not all(_is_long(row, vertices) for row in matrix):
        raise BadArchitecture(f"found an adjacency of another size; expected {vertices} rows of {vertices} numbers")
    for count in (count for row in matrix for count in row):
        if type(count) is not int or not 0 <= count <= MOST_EDGES:
            raise BadArchitecture(f"found {echo(count)} in the adjacency; expected whole numbers, 0 to {MOST_EDGES}")
    return [(i, j) for i, row in enumerate(matrix) for j, count in enumerate(row) for _ in range(count)]


def _is_long(value: object, length: int) -> TypeGuard[list[Any]]:
    return isinstance(value, list) and len(value) == length


def _unknown() -> NoReturn:
    raise BadArchitecture(
        "your own space is defined by its graphs alone: they can be read, but not drawn, listed or unrolled"
    )
