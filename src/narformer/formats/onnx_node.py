"""A node while shapes are inferred, and the rules that many operations share.

A rule is called with a node and returns the shapes of its outputs, None for one that does not follow from the inputs.
It may raise ValueError, TypeError, LookupError or ArithmeticError if a shape that it needs is not known, or does not
fit.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray

from narformer.formats.builder import Shape
from narformer.formats.onnx_values import given

__all__ = [
    "BOOL",
    "FLOAT",
    "INT32",
    "INT64",
    "STRING",
    "UINT8",
    "Node",
    "Rule",
    "Shapes",
    "Typed",
    "Types",
    "broadcast",
    "same",
]

# Types of outputs. A type of TensorProto is negative here; a number that is not negative is the slot of an operand of
# the same type.
FLOAT, UINT8, INT32, INT64, STRING, BOOL = -1, -2, -6, -7, -8, -9


class Typed(NamedTuple):
    """The shape of a value, and its type as a number of TensorProto; None and 0 if they are not known."""

    shape: Shape | None = None
    type: int = 0


class Node:
    """A node, its inputs, and the values of small constants among them.

    block: number of channels that the runtime lays side by side
    """

    def __init__(
        self,
        node: onnx.NodeProto,
        inputs: Sequence[Typed],
        arrays: Sequence[NDArray[np.generic] | None],
        block: int = 16,
    ) -> None:
        self.block = block
        self._names, self._inputs, self._arrays = list(node.input), inputs, arrays
        self._stated = {attribute.name: attribute for attribute in node.attribute}
        self.operands, self.outputs = len(self._names), len(node.output)

    def has(self, slot: int) -> bool:
        """Whether there is an operand at a slot."""
        return slot < self.operands and self._names[slot] != ""

    def type(self, slot: int) -> int:
        """The type of the values of an operand, as a number of TensorProto; 0 if it is not known."""
        return self._inputs[slot].type if self.has(slot) else 0

    def shape(self, slot: int = 0) -> Shape:
        """The shape of an operand. Raises ValueError if it is not known."""
        shape = self._inputs[slot].shape if self.has(slot) else None
        if shape is None:
            raise ValueError(f"the shape of operand {slot} is not known")
        return shape

    def number(self, name: str, default: int = 0) -> int:
        """An attribute that is an integer."""
        return int(self._stated[name].i) if name in self._stated else default

    def numbers(self, name: str) -> Shape | None:
        """An attribute that lists integers; None if it is missing."""
        value = given(self._stated[name]) if name in self._stated else None
        return tuple(map(int, value)) if isinstance(value, tuple) else None

    def text(self, name: str) -> str:
        """An attribute that is a text; empty if it is missing."""
        return self._stated[name].s[:80].decode(errors="replace") if name in self._stated else ""

    def entries(self, *names: str) -> int:
        """Number of entries of the first of these attributes that is a list with entries; 0 without one."""
        lists = [self._stated[name] for name in names if name in self._stated]
        return next((n for a in lists if (n := len(a.floats) or len(a.ints) or len(a.strings))), 0)

    def values(self, slot: int) -> Shape:
        """The integers of a constant operand. Raises ValueError if they are not known."""
        array = self._arrays[slot] if self.has(slot) else None
        if array is None:
            raise ValueError(f"the values of operand {slot} are not known")
        return tuple(map(int, array.reshape(-1).tolist()))


Shapes = list[Shape | None]
Rule = Callable[[Node], Shapes]
Types = tuple[int, ...] | Callable[[Node], tuple[int, ...]]  # of each output; the last one of all that follow


def same(node: Node) -> Shapes:
    """The shape of the first operand for every output."""
    return [node.shape()] * node.outputs


def broadcast(*slots: int) -> Rule:
    """The operands in these slots, broadcast to one shape."""

    def rule(node: Node) -> Shapes:
        shapes = [node.shape(slot) for slot in slots]
        rank = max(map(len, shapes))
        columns = zip(*((1,) * (rank - len(shape)) + shape for shape in shapes), strict=True)
        return [tuple([next((n for n in column if n != 1), 1) for column in columns])]

    return rule
