"""NAS-Bench-201: cells of four feature maps, an operation on each of the six edges between them.

Dong & Yang 2020, "NAS-Bench-201: Extending the Scope of Reproducible Neural Architecture Search". A cell is held with
its operations on vertices: 0 the input, 1 to 6 the six edges in the order of the official string, 7 the output. Its
edges are the same for all 15,625 cells.

Letters: M cells, N vertices.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from narformer.cells.columns import PADDING, Cells
from narformer.cells.mixing import mix
from narformer.cells.simplification import simplified as without_identities
from narformer.errors import BadArchitecture, UnknownName, lookup
from narformer.network.graph import Architecture, Op
from narformer.spaces.nasbench201_network import network

__all__ = [
    "EDGES",
    "OPERATIONS",
    "VOCABULARY",
    "NasBench201",
    "edge_ops",
    "from_arch_strings",
    "function_classes",
    "simplified",
]

VOCABULARY = ("input", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3", "skip_connect", "none", "output")
OPERATIONS = VOCABULARY[1:-1]
# Edge k of the official string joins these two feature maps and is vertex k + 1 of the cell.
EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
WIRING = ((0, 1), (0, 2), (0, 4), (1, 3), (1, 5), (2, 6), (3, 6), (4, 7), (5, 7), (6, 7))

LONGEST_TEXT = 1000  # characters that are read
LONGEST_ECHO = 120  # characters that an error repeats: a whole cell

_EXAMPLE = "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|skip_connect~2|"
_TEMPLATE = "|{}~0|+|{}~0|{}~1|+|{}~0|{}~1|{}~2|"


@dataclass(frozen=True)
class NasBench201:
    """The space of 15,625 cells; see Space."""

    name: str = "nasbench201"
    vocabulary: tuple[str, ...] = VOCABULARY
    absent: tuple[str, ...] = ("none",)
    identities: tuple[str, ...] = ("skip_connect",)

    def sample(self, rng: np.random.Generator) -> Architecture:
        """A cell drawn uniformly from the 15,625."""
        return _cell([OPERATIONS[i] for i in rng.integers(0, len(OPERATIONS), len(EDGES))])

    def neighbours(self, architecture: Architecture) -> list[Architecture]:
        """The 24 cells with one operation changed, by edge, then in the order of OPERATIONS."""
        names = _names(architecture)
        return [
            _cell([*names[:k], operation, *names[k + 1 :]])
            for k in range(len(EDGES))
            for operation in OPERATIONS
            if operation != names[k]
        ]

    def recognises(self, text: str) -> bool:
        """Whether the text has a bar and a ``~``."""
        return "|" in text and "~" in text

    def parse(self, text: str) -> Architecture:
        """The cell of an official architecture string. Raises BadArchitecture."""
        if len(text) > LONGEST_TEXT:
            raise BadArchitecture(
                f"found a text of {len(text):,} characters; a cell has fewer than 120, in the form '{_EXAMPLE}'"
            )
        words = re.findall(r"\|?([^|~+\s]+)~([0-9]+)", text)
        names = [_operation(name[:80]) for name, _ in words]
        if len(names) != len(EDGES) or _TEMPLATE.format(*names) != text.strip():
            raise BadArchitecture(f"found the cell {text[:LONGEST_ECHO]!r}; expected the form '{_EXAMPLE}'")
        return _cell(names)

    def format(self, architecture: Architecture) -> str:
        """The official architecture string. Raises BadArchitecture where it is not in this space."""
        return _TEMPLATE.format(*_names(architecture))

    def unroll(
        self,
        architecture: Architecture,
        *,
        classes: int = 10,
        channels: int = 16,
        blocks: int = 5,
        resolution: int = 32,
    ) -> Architecture:
        """The whole network, for one image: three stages of ``blocks`` cells, the first with ``channels`` channels.

        The defaults are the benchmark's on CIFAR-10. Operations without effect are kept, because the benchmark counts
        them.
        """
        names = _names(architecture)
        return network(names, EDGES, classes=classes, channels=channels, blocks=blocks, resolution=resolution)

    def enumerate(self) -> Cells:
        """All 15,625 cells; the operation of the last edge changes fastest, in the order of OPERATIONS.

        This is not the order of the official benchmark file.
        """
        return _columns(np.indices((len(OPERATIONS),) * len(EDGES), dtype=np.int8).reshape(len(EDGES), -1).T)

    def same(self, cells: Cells) -> NDArray[np.int64]:
        """(M,) keys, equal for cells that compute the same function (function_classes)."""
        return function_classes(cells)


def from_arch_strings(strings: Sequence[str]) -> Cells:
    """Columns of M cells from their official architecture strings. Raises BadArchitecture and names the row."""
    found = re.findall(r"\|([a-z0-9_]+)~", "\n".join(strings))
    index = {name: i for i, name in enumerate(OPERATIONS)}
    if len(found) == len(strings) * len(EDGES) and set(found) <= set(OPERATIONS):
        ops_ME = np.array([index[name] for name in found], dtype=np.int8).reshape(len(strings), len(EDGES))
        rows = zip(*[iter(found)] * len(EDGES), strict=True)
        if all(_TEMPLATE.format(*row) == string for row, string in zip(rows, strings, strict=True)):
            return _columns(ops_ME)
    for m, string in enumerate(strings):
        try:
            NasBench201().parse(string)
        except BadArchitecture as error:
            raise BadArchitecture(f"row {m}: {error}") from None
    return from_arch_strings([string.strip() for string in strings])


def edge_ops(cells: Cells) -> NDArray[np.int8]:
    """(M, 6) index into OPERATIONS of the operation on each edge, in the order of EDGES."""
    if cells.vocabulary != VOCABULARY or cells.kind_MN.shape[1] != len(EDGES) + 2:
        raise BadArchitecture("these columns are not NAS-Bench-201 cells of eight vertices")
    return (cells.kind_MN[:, 1:-1] - 1).astype(np.int8)


def simplified(cells: Cells) -> Cells:
    """The cells without ``none`` and ``skip_connect``: M cells of at most eight vertices (cells/simplification.py)."""
    edge_ops(cells)
    return without_identities(cells, absent=NasBench201.absent, identities=NasBench201.identities)


def function_classes(cells: Cells) -> NDArray[np.int64]:
    """(M,) class numbers, equal for cells that compute the same function, counted by first appearance.

    A vertex of the simplified cell is the expression "its operation, applied to the multiset of its summands", and a
    cell is the expression of its output. The whole space has 4,930 classes.
    """
    small = simplified(cells)
    kind_MN, adj_MNN = small.kind_MN, small.adj_MNN.astype(np.uint64)
    # Expressions are named by 64-bit numbers; a sum of mixed numbers does not depend on the order of its summands.
    value_MN = np.zeros(kind_MN.shape, dtype=np.uint64)
    for v in range(kind_MN.shape[1]):
        summed_M = (adj_MNN[:, :, v] * mix(value_MN)).sum(axis=1, dtype=np.uint64)
        value_MN[:, v] = np.where(kind_MN[:, v] == PADDING, 0, mix(summed_M + (kind_MN[:, v] + 2).astype(np.uint64)))
    output_M = value_MN[np.arange(len(small)), small.count_M - 1]
    _, first, number = np.unique(output_M, return_index=True, return_inverse=True)
    return np.asarray(np.argsort(np.argsort(first))[number], dtype=np.int64)


def _columns(ops_ME: NDArray[np.int8]) -> Cells:
    count, vertices = len(ops_ME), len(EDGES) + 2
    kind_MN = np.zeros((count, vertices), dtype=np.int8)
    kind_MN[:, 1:-1] = ops_ME + 1
    kind_MN[:, -1] = VOCABULARY.index("output")
    adj_MNN = np.zeros((count, vertices, vertices), dtype=np.uint8)
    sources, targets = np.array(WIRING).T
    adj_MNN[:, sources, targets] = 1
    return Cells(VOCABULARY, kind_MN, adj_MNN)


def _cell(names: Sequence[str]) -> Architecture:
    return Architecture(tuple(Op(name) for name in ("input", *names, "output")), WIRING)


def _names(architecture: Architecture) -> list[str]:
    names = [op.kind for op in architecture.ops[1:-1]]
    strange = [name for name in names if name not in OPERATIONS]
    if strange:
        _operation(strange[0])
    if architecture.edges != WIRING or _cell(names) != architecture:
        raise BadArchitecture(
            "this is not a NAS-Bench-201 cell: expected input, six operations, output, and the fixed edges"
        )
    return names


def _operation(name: str) -> str:
    try:
        return lookup({o: o for o in OPERATIONS}, name, "operation")
    except UnknownName as error:
        raise BadArchitecture(str(error)) from None
