"""The networks of NAS-Bench-201 (16 channels, 5 cells a stage, 32x32), numbered as in NNLQP's files.

A number is the cell written in base 5: six digits, the first edge the most significant, a digit the place of its
operation in DIGITS. This code of NNLQP was inferred from its latencies; the paper does not state it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from narformer.errors import BadArchitecture
from narformer.network.graph import Architecture
from narformer.spaces.families.variation import Chance
from narformer.spaces.nasbench201 import EDGES, NasBench201

__all__ = ["CELLS", "DIGITS", "FAMILY", "NasBench201Family", "cell_of", "number_of"]

DIGITS = ("none", "avg_pool_3x3", "nor_conv_3x3", "nor_conv_1x1", "skip_connect")
CELLS = len(DIGITS) ** len(EDGES)

_SPACE = NasBench201()
_TEXT = "|{}~0|+|{}~0|{}~1|+|{}~0|{}~1|{}~2|"


def cell_of(number: int) -> Architecture:
    """The cell of a number from 0 to 15,624. Raises BadArchitecture."""
    if not 0 <= number < CELLS:
        raise BadArchitecture(f"found {number} as number of a nasbench201; expected 0 to {CELLS - 1}")
    digits = [number // len(DIGITS) ** place % len(DIGITS) for place in reversed(range(len(EDGES)))]
    return _SPACE.parse(_TEXT.format(*(DIGITS[digit] for digit in digits)))


def number_of(cell: Architecture) -> int:
    """The number of a cell. Raises BadArchitecture where it is not a cell of NAS-Bench-201."""
    _SPACE.format(cell)
    number = 0
    for op in cell.ops[1:-1]:
        number = number * len(DIGITS) + DIGITS.index(op.kind)
    return number


@dataclass(frozen=True)
class NasBench201Family:
    """Whole networks of cells; without a canonical one: number 0 is the cell of six ``none``."""

    name: str = "nasbench201"

    def variant(self, number: int) -> Architecture:
        """The network of the cell with this number, classes as on CIFAR-10."""
        return replace(_SPACE.unroll(cell_of(number)), name=f"{self.name}/{number}")

    def numbers(self) -> Iterator[int]:
        """All cells whose output depends on the input, in a fixed random order."""
        return (number for number in Chance(self.name, 0).shuffled(CELLS) if _alive(number))


def _alive(number: int) -> bool:
    reached = {0}
    for (source, target), op in zip(EDGES, cell_of(number).ops[1:-1], strict=True):
        if source in reached and op.kind != "none":
            reached.add(target)
    return max(target for _, target in EDGES) in reached


FAMILY = NasBench201Family()
