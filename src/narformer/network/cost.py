"""The cost of a network, computed from its shapes: multiply-adds, FLOPs, parameters, bytes; per operation and in total.

``ops`` states the conventions. Letter: N operations.
"""

from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from narformer.network.graph import Architecture, Op
from narformer.network.ops import ALIASES, OPS, Shape

COLUMNS = ("macs", "flops", "params", "stored", "read", "written")


@dataclass(frozen=True, eq=False)
class Cost:
    """Columns over the N operations, integers as float64, NaN where an operation could not be counted.

    kinds:         the operations' names in the op table
    unknown:       vertex -> reason why it was not counted; empty if all were counted
    macs_N, flops_N, params_N, stored_N: multiply-adds, FLOPs, trained values, trained and running values
    read_N, written_N: bytes of activations read and written
    elements_N:    values in the output
    """

    kinds: tuple[str, ...]
    unknown: dict[int, str]
    macs_N: NDArray[np.float64]
    flops_N: NDArray[np.float64]
    params_N: NDArray[np.float64]
    stored_N: NDArray[np.float64]
    read_N: NDArray[np.float64]
    written_N: NDArray[np.float64]
    elements_N: NDArray[np.float64]

    @property
    def macs(self) -> int:
        """Multiply-adds of all counted operations."""
        return int(np.nansum(self.macs_N))

    @property
    def flops(self) -> int:
        """FLOPs of all counted operations."""
        return int(np.nansum(self.flops_N))

    @property
    def params(self) -> int:
        """Trained values of all counted operations."""
        return int(np.nansum(self.params_N))

    @property
    def memory_access(self) -> int:
        """NNLQP's memory access of all counted operations: output values + stored values, in values, not bytes."""
        return int(np.nansum(self.elements_N + self.stored_N))

    @property
    def activation_bytes(self) -> int:
        """Bytes of activations read and written by all counted operations."""
        return int(np.nansum(self.read_N + self.written_N))

    def __str__(self) -> str:
        text = (
            f"{self.macs:,} MACs, {self.flops:,} FLOPs, {self.params:,} params, {self.activation_bytes:,} bytes moved"
        )
        if not self.unknown:
            return text
        names = sorted({self.kinds[v] for v in self.unknown})
        return f"{text}; NOT COUNTED: {len(self.unknown)} of {len(self.kinds)} operations ({', '.join(names)})"


def cost(architecture: Architecture) -> Cost:
    """The cost of every operation of ``architecture``; ``Cost.unknown`` lists operations that cannot be counted."""
    kinds = tuple(ALIASES.get(op.kind, op.kind) for op in architecture.ops)
    table = np.full((len(COLUMNS) + 1, len(kinds)), np.nan)
    unknown: dict[int, str] = {}
    for v, operands in enumerate(architecture.operands()):
        try:
            inputs = [_known(architecture.ops[p], f"the shape of its input {p}") for _, p in operands]
            table[:, v] = _counts(kinds[v], architecture.ops[v], inputs)
        except ValueError as error:
            unknown[v] = f"{kinds[v]}: {error}"
    return Cost(kinds, unknown, *table)


def _counts(name: str, op: Op, inputs: list[Shape]) -> list[int]:
    if name not in OPS:
        raise ValueError("this kind is not in the op table")
    out = _known(op, "its output shape")
    if not inputs and name not in ("Input", "Zero"):
        raise ValueError("it has no input")
    kind = OPS[name]
    rules = (kind.macs, kind.flops, kind.params, kind.stored or kind.params, kind.read, kind.written)
    try:
        counts = [rule(op, inputs, out) for rule in rules]
    except (IndexError, ZeroDivisionError) as error:
        raise ValueError(f"its shapes {inputs} -> {out} do not fit the kind ({error})") from None
    return [*counts, prod(out)]


def _known(op: Op, what: str) -> Shape:
    if op.shape is None:
        raise ValueError(f"{what} is not known")
    return op.shape
