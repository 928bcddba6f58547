"""Sequences of ONNX: lists of tensors, which are followed while the network is read, so that nothing of them stays.

A sequence is known by its tensors where it is built from nothing by insertions at constant positions, as exporters
write the bags of an embedding. Sequences of other origin are read as operations that are named.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

import onnx

from narformer.formats.builder import Constant, Operand
from narformer.formats.onnx_node import Typed
from narformer.network.graph import Value

if TYPE_CHECKING:
    from narformer.formats.onnx_pass import Reading

__all__ = ["Item", "followed_sequence"]


@dataclass(frozen=True)
class Item:
    """A tensor of a sequence."""

    operand: Operand
    typed: Typed


def followed_sequence(reading: "Reading", node: onnx.NodeProto) -> bool:
    """Read an operation on sequences; False if its sequence, or a position, is not known."""
    rule = RULES.get(node.op_type)
    return rule is not None and rule(reading, node)


def _empty(reading: "Reading", node: onnx.NodeProto) -> bool:
    return _keep(reading, node, ())


def _construct(reading: "Reading", node: onnx.NodeProto) -> bool:
    return _keep(reading, node, tuple(_item(reading, name) for name in node.input))


def _insert(reading: "Reading", node: onnx.NodeProto) -> bool:
    items = reading.sequences.get(node.input[0])
    place = _position(reading, node, 2, len(items or ()), last=len(items or ()))
    if items is None or place is None:
        return False
    return _keep(reading, node, (*items[:place], _item(reading, node.input[1]), *items[place:]))


def _erase(reading: "Reading", node: onnx.NodeProto) -> bool:
    items = reading.sequences.get(node.input[0])
    place = _position(reading, node, 1, len(items or ()), last=len(items or ()) - 1)
    if not items or place is None or place >= len(items):
        return False
    return _keep(reading, node, (*items[:place], *items[place + 1 :]))


def _at(reading: "Reading", node: onnx.NodeProto) -> bool:
    items = reading.sequences.get(node.input[0])
    place = _position(reading, node, 1, len(items or ()), last=0)
    if not items or place is None or place >= len(items):
        return False
    reading.values[node.output[0]], reading.typed[node.output[0]] = items[place].operand, items[place].typed
    return True


def _concat(reading: "Reading", node: onnx.NodeProto) -> bool:
    items, stated = reading.sequences.get(node.input[0]), {a.name: a.i for a in node.attribute}
    shapes = [item.typed.shape for item in items or ()]
    if not items or any(shape is None for shape in shapes) or not any(isinstance(i.operand, int) for i in items):
        return False
    known, new = [shape for shape in shapes if shape is not None], stated.get("new_axis", 0)
    rank = len(known[0]) + new
    axis = stated.get("axis", 0)
    if not -rank <= axis < rank or len({len(shape) for shape in known}) > 1:
        return False
    axis %= rank
    if new:
        out = (*known[0][:axis], len(items), *known[0][axis:])
    else:
        out = (*known[0][:axis], sum(shape[axis] for shape in known), *known[0][axis + 1 :])
    if prod(out) != sum(map(prod, known)):
        return False
    attributes: dict[str, Value] = {"axis": axis, "new_axis": 1} if new else {"axis": axis}
    reading.label(node)
    kind = "ConcatFromSequence" if new else "Concat"
    vertex = reading.builder.add(kind, out, [item.operand for item in items], attributes)
    reading.values[node.output[0]], reading.typed[node.output[0]] = vertex, Typed(out, items[0].typed.type)
    return True


def _item(reading: "Reading", name: str) -> Item:
    operand = reading.operand(name)
    return Item(operand, reading.typed.get(name, Typed()))


def _position(reading: "Reading", node: onnx.NodeProto, slot: int, count: int, last: int) -> int | None:
    """A position, counted from the end if it is negative; ``last`` if none is stated, None if it is not known."""
    if len(node.input) <= slot or not node.input[slot]:
        return max(last, 0)
    reading.operand(node.input[slot])
    array = reading.arrays.get(node.input[slot])
    place = int(array.reshape(-1)[0]) if array is not None and array.size == 1 else None
    if place is None or not -count <= place <= count:
        return None
    return place + count if place < 0 else place


def _keep(reading: "Reading", node: onnx.NodeProto, items: tuple[Item, ...]) -> bool:
    name = node.output[0]
    reading.sequences[name] = items
    reading.values[name], reading.typed[name] = Constant(None), Typed()
    return True


RULES: dict[str, Callable[["Reading", onnx.NodeProto], bool]] = {
    "SequenceEmpty": _empty,
    "SequenceConstruct": _construct,
    "SequenceInsert": _insert,
    "SequenceErase": _erase,
    "SequenceAt": _at,
    "ConcatFromSequence": _concat,
}
