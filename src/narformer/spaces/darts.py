"""DARTS: a normal and a reduction cell of four nodes, each the sum of two operations on earlier values.

Liu, Simonyan & Yang 2019, "DARTS: Differentiable Architecture Search". An architecture is held as the graph that NPENAS
(Wei et al. 2020) reads: 15 vertices per cell, two inputs, for each node its two operations and the vertex ``concat``
that joins them, and an output that reads the nodes that no other node reads (and always the last one). The normal
cell's output feeds both inputs of the reduction cell. Text is the authors' Genotype, as Python prints it.
"""

import ast
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from narformer.cells.columns import Cells
from narformer.cells.graph_keys import graph_keys
from narformer.errors import BadArchitecture, UnknownName, lookup
from narformer.network.graph import Architecture, Op
from narformer.spaces.darts_network import network

__all__ = ["OPERATIONS", "VOCABULARY", "Darts"]

OPERATIONS = (
    "none",
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)
VOCABULARY = ("input", *OPERATIONS, "concat", "output")
NODES = 4
_SIZE = 3 * NODES + 3  # vertices of one cell
_CONCAT = list(range(2, 2 + NODES))
_LIST = re.compile(r"\b(normal|reduce)\s*=\s*\[")

# Eight (operation, input) pairs, two per node; input 0 and 1 are the cells before, 2 to 4 the earlier nodes.
Cell = Sequence[tuple[str, int]]


@dataclass(frozen=True)
class Darts:
    """The space of DARTS; see Space."""

    name: str = "darts"
    vocabulary: tuple[str, ...] = VOCABULARY
    absent: tuple[str, ...] = ()
    identities: tuple[str, ...] = ()

    def sample(self, rng: np.random.Generator) -> Architecture:
        """Two cells whose nodes read two different values each, through operations drawn uniformly."""
        cells = [
            [
                (OPERATIONS[rng.integers(len(OPERATIONS))], int(source))
                for node in range(NODES)
                for source in np.sort(rng.choice(node + 2, 2, replace=False))
            ]
            for _ in range(2)
        ]
        return _graph(cells[0], cells[1])

    def neighbours(self, architecture: Architecture) -> list[Architecture]:
        """All with one operation changed, or one input changed to another value that the node does not read yet."""
        cells = _cells(architecture)
        return [
            _graph(*(other if number == which else cell for number, cell in enumerate(cells)))
            for which, cell in enumerate(cells)
            for other in _edits(cell)
        ]

    def recognises(self, text: str) -> bool:
        """Whether the text begins with ``Genotype(`` or gives a list called ``normal`` or ``reduce``."""
        return text.lstrip().startswith("Genotype(") or _LIST.search(text) is not None

    def parse(self, text: str) -> Architecture:
        """The architecture of a Genotype, ``Genotype(normal=[('none', 0), ...], ..., reduce=[...], ...)``.

        Raises BadArchitecture; nothing in the text is executed.
        """
        return _graph(*(_read(text, name) for name in ("normal", "reduce")))

    def format(self, architecture: Architecture) -> str:
        """The architecture as a Genotype. Raises BadArchitecture where it is not in this space."""
        normal, reduce = _cells(architecture)
        return f"Genotype(normal={normal}, normal_concat={_CONCAT}, reduce={reduce}, reduce_concat={_CONCAT})"

    def unroll(
        self,
        architecture: Architecture,
        *,
        classes: int = 10,
        channels: int = 36,
        layers: int = 20,
        resolution: int = 32,
    ) -> Architecture:
        """The whole network for one image, by default the one that the authors trained on CIFAR-10, without auxiliary
        head.

        All four nodes of a cell are concatenated, as by the authors, regardless of the inputs of the graph's output
        vertex.
        """
        normal, reduce = _cells(architecture)
        return network(normal, reduce, classes=classes, channels=channels, layers=layers, resolution=resolution)

    def enumerate(self) -> Cells:
        """Raises BadArchitecture: the space is too large."""
        raise BadArchitecture("DARTS has some 10^19 architectures; they cannot be listed, draw some with sample")

    def same(self, cells: Cells) -> NDArray[np.uint64]:
        """(M,) keys, equal for isomorphic graphs."""
        return graph_keys(cells)


def _graph(normal: Cell, reduce: Cell) -> Architecture:
    kinds: list[str] = []
    edges = [(_SIZE - 1, _SIZE), (_SIZE - 1, _SIZE + 1)]
    for cell in (normal, reduce):
        start = len(kinds)
        kinds += ["input", "input"]
        for position, (operation, source) in enumerate(cell):
            edges.append((start + _vertex(source), len(kinds)))
            kinds.append(operation)
            if position % 2:
                edges += [(len(kinds) - 2, len(kinds)), (len(kinds) - 1, len(kinds))]
                kinds.append("concat")
        read = {source for _, source in cell}
        edges += [(start + _vertex(node), len(kinds)) for node in _CONCAT if node not in read]
        kinds.append("output")
    return Architecture(tuple(Op(kind) for kind in kinds), tuple(edges))


def _vertex(source: int) -> int:
    return source if source < 2 else 3 * source - 2


def _cells(architecture: Architecture) -> tuple[list[tuple[str, int]], list[tuple[str, int]]]:
    for op in architecture.ops:
        if op.kind not in VOCABULARY:
            _operation(op.kind)
    parents = architecture.parents()
    value = {_vertex(source): source for source in range(2 + NODES)}
    cells: list[list[tuple[str, int]]] = []
    for start in (0, _SIZE):
        vertices = [start + 2 + 3 * node + side for node in range(NODES) for side in range(2)]
        cells.append(
            [
                (architecture.ops[v].kind, value.get(parents[v][0] - start, -1))
                for v in vertices
                if v < len(architecture) and len(parents[v]) == 1
            ]
        )
    if any(len(cell) != 2 * NODES for cell in cells) or _graph(*cells) != architecture:
        raise BadArchitecture(
            f"this is not a DARTS architecture: expected two cells of {_SIZE} vertices wired as NPENAS has it"
        )
    return cells[0], cells[1]


def _edits(cell: Cell) -> list[Cell]:
    edits: list[Cell] = []
    for position, (operation, source) in enumerate(cell):
        partner = cell[position ^ 1][1]
        pairs = [(other, source) for other in OPERATIONS if other != operation]
        pairs += [(operation, other) for other in range(2 + position // 2) if other not in (source, partner)]
        edits += [[*cell[:position], pair, *cell[position + 1 :]] for pair in pairs]
    return edits


def _read(text: str, name: str) -> Cell:
    """The list of pairs called ``name``; only literals are read, nothing in the text is executed."""
    found = re.search(rf"\b{name}\s*=\s*(\[[^\]]*\])", text)
    try:
        pairs = [(str(operation), int(source)) for operation, source in ast.literal_eval(found[1] if found else "")]
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        raise BadArchitecture(
            f"found no list of pairs called '{name}'; expected Genotype(normal=[('none', 0), ...], reduce=[...])"
        ) from None
    if len(pairs) != 2 * NODES:
        raise BadArchitecture(f"the cell '{name}' has {len(pairs)} operations; expected {2 * NODES}, two for each node")
    for position, (operation, source) in enumerate(pairs):
        _operation(operation)
        if not 0 <= source < 2 + position // 2:
            raise BadArchitecture(
                f"operation {position} of the cell '{name}' reads value {source}; node {position // 2} can read "
                f"0 to {1 + position // 2}"
            )
    joined = re.search(rf"\b{name}_concat\s*=\s*(range\(2, *6\)|\[[^\]]*\])", text)
    if joined and re.sub(r"\s", "", joined[1]) not in ("range(2,6)", "[2,3,4,5]"):
        raise BadArchitecture(f"the cell '{name}' concatenates {joined[1]}; expected {_CONCAT}, all four nodes")
    return pairs


def _operation(name: str) -> str:
    try:
        return lookup({o: o for o in OPERATIONS}, name, "operation")
    except UnknownName as error:
        raise BadArchitecture(str(error)) from None
