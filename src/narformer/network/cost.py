"""The cost of a network, computed from its shapes: multiply-adds, FLOPs, parameters, bytes; per operation and in total.

``ops`` states the conventions. Letter: N operations.
"""

import contextlib
from dataclasses import dataclass, replace
from math import prod

import numpy as np
from numpy.typing import NDArray

from narformer.network.counting import Operands, Shape
from narformer.network.graph import Architecture, Op
from narformer.network.ops import ALIASES, OPS
from narformer.network.tensors import ConstantOperand, Tensor, stored_bytes
from narformer.network.weights import implied

COLUMNS = ("macs", "flops", "params", "constants", "stored_bytes", "weights", "read", "written")


@dataclass(frozen=True, eq=False)
class Cost:
    """Columns over the N operations, integers as float64, NaN where an operation could not be counted.

    Parameters and constants belong to the first operation that reads them; they are counted even if the operation's
    work is not.

    kinds:          the operations' names in the op table
    unknown:        vertex -> reason why it was not counted; empty if all were counted
    macs_N, flops_N: multiply-adds, FLOPs
    params_N:       values that training changes
    constants_N:    other stored values: running statistics, tables, masks
    stored_bytes_N: bytes of both in the types that the network stores
    weights_N:      stored values that the operation reads, whether or not others read them, too
    read_N, written_N: bytes of activations read and written
    elements_N:     values in the output
    """

    kinds: tuple[str, ...]
    unknown: dict[int, str]
    macs_N: NDArray[np.float64]
    flops_N: NDArray[np.float64]
    params_N: NDArray[np.float64]
    constants_N: NDArray[np.float64]
    stored_bytes_N: NDArray[np.float64]
    weights_N: NDArray[np.float64]
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
        """Values that training changes; a tensor counts once, however many operations read it."""
        return int(np.nansum(self.params_N))

    @property
    def constants(self) -> int:
        """Other stored values, each tensor once."""
        return int(np.nansum(self.constants_N))

    @property
    def stored_bytes(self) -> int:
        """Bytes of all stored tensors, each once."""
        return int(np.nansum(self.stored_bytes_N))

    @property
    def memory_access(self) -> int:
        """NNLQP's memory access of all counted operations: output values + weights, in values, not bytes."""
        return int(np.nansum(self.elements_N + self.weights_N))

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
    seen: set[int] = set()
    for v, pairs in enumerate(architecture.operands()):
        op = architecture.ops[v]
        shapes = _placed([(slot, architecture.ops[p].shape) for slot, p in pairs])
        constants = op.constants
        try:
            constants = constants or _implied(op, kinds[v], shapes)
            table[COUNTED, v] = _counts(kinds[v], op, shapes, constants)
        except ValueError as error:
            unknown[v] = f"{kinds[v]}: {error}"
        table[STORED, v] = _stored(constants, seen)
    return Cost(kinds, unknown, *table)


def stored_tensors(architecture: Architecture) -> list[Tensor]:
    """Each stored tensor once, however many operations read it, and those that kinds and shapes imply."""
    found: dict[int, Tensor] = {}
    own: list[Tensor] = []
    for op, pairs in zip(architecture.ops, architecture.operands(), strict=True):
        shapes = _placed([(slot, architecture.ops[p].shape) for slot, p in pairs])
        constants = op.constants
        with contextlib.suppress(ValueError):
            constants = constants or _implied(op, ALIASES.get(op.kind, op.kind), shapes)
        for tensor in (tensor for constant in constants for tensor in constant.tensors):
            if tensor.identity:
                found.setdefault(tensor.identity, tensor)
            else:
                own.append(tensor)
    return [*own, *found.values()]


COUNTED, STORED = [0, 1, 6, 7, 8], [2, 3, 4, 5]  # columns of the work, and of the tensors


def _placed(pairs: list[tuple[int, Shape | None]]) -> dict[int, Shape | None]:
    """Shapes by slot; operands whose order does not matter all have slot 0 and take the free ones."""
    shapes: dict[int, Shape | None] = {}
    for slot, shape in pairs:
        while slot in shapes:
            slot += 1
        shapes[slot] = shape
    return shapes


def _implied(op: Op, name: str, shapes: dict[int, Shape | None]) -> tuple[ConstantOperand, ...]:
    if op.shape is None or name not in OPS or not shapes:
        return ()
    known = {slot: shape for slot, shape in shapes.items() if shape is not None}
    try:
        return implied(op if name == op.kind else replace(op, kind=name), known) if len(known) == len(shapes) else ()
    except (IndexError, KeyError, ZeroDivisionError) as error:
        raise ValueError(f"its shapes {list(known.values())} -> {op.shape} do not fit the kind ({error})") from None


def _counts(name: str, op: Op, shapes: dict[int, Shape | None], constants: tuple[ConstantOperand, ...]) -> list[int]:
    if name not in OPS:
        raise ValueError("this kind is not in the op table")
    out = _known(op.shape, "its output shape")
    if not shapes and name not in ("Input", "Zero"):
        raise ValueError("it has no input")
    for slot, shape in shapes.items():
        _known(shape, f"the shape of its input {slot}")
    placed = _placed([*shapes.items(), *((constant.slot, constant.shape) for constant in constants)])
    inputs = Operands(placed, tuple(shapes))
    kind = OPS[name]
    try:
        counts = [rule(op, inputs, out) for rule in (kind.macs, kind.flops, kind.read, kind.written)]
    except (IndexError, ZeroDivisionError) as error:
        raise ValueError(f"its shapes {list(shapes.values())} -> {out} do not fit the kind ({error})") from None
    return [*counts, prod(out)]


def _stored(constants: tuple[ConstantOperand, ...], seen: set[int]) -> list[int]:
    """Parameters, other values and bytes that are met for the first time, and all values; ``seen`` is extended."""
    params = others = size = weights = 0
    for tensor in (tensor for constant in constants for tensor in constant.tensors):
        weights += tensor.count
        if not tensor.identity or tensor.identity not in seen:
            params += tensor.count * tensor.trained
            others += tensor.count * (not tensor.trained)
            size += stored_bytes(tensor)
        if tensor.identity:
            seen.add(tensor.identity)
    return [params, others, size, weights]


def _known(shape: Shape | None, what: str) -> Shape:
    if shape is None:
        raise ValueError(f"{what} is not known")
    return shape
