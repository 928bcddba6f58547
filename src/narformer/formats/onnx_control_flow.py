"""If, Loop and Scan of ONNX: their bodies are read in place of the node.

A branch whose condition is constant, and a loop whose trip count is constant, are followed: the graph holds the
operations that run. Otherwise the branch that reads more stored values, or one pass of the loop, is read, and a vertex
of the node's kind stays, so that the network is known to cost more or less than is counted. That of an If also has
what the other branch stores and reads.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from numpy.typing import NDArray

from narformer.errors import BadFile, NarformerError, printable
from narformer.formats.builder import Constant, Operand, slices
from narformer.formats.onnx_guard import outside_of
from narformer.formats.onnx_sequences import Item
from narformer.formats.onnx_shapes import Typed
from narformer.network.graph import Value

if TYPE_CHECKING:
    from narformer.formats.onnx_pass import Reading

__all__ = ["FOLLOWED", "FOLLOWED_FROM", "follow"]

MOST_PASSES = 1_000  # of a loop without a trip count, whose condition is constant in every pass
TRUE = np.asarray(True)
MOST_NODES = 50_000  # in the bodies that are read; longer loops are read once
MOST_WORK = 500_000  # the same for values and bytes, as ``_work`` counts them
BYTES = 64  # that take as long as a value


@dataclass(frozen=True)
class Result:
    """A value outside of a body that is handed in or out.

    unread: what the branch that is not read stores and reads, where it is not known which one runs
    items:  the tensors of a sequence
    """

    operand: Operand
    typed: Typed
    array: NDArray[np.generic] | None = None
    unread: tuple[Operand, ...] = ()
    items: tuple[Item, ...] | None = None


def follow(reading: "Reading", node: onnx.NodeProto) -> None:
    """Read an If, Loop or Scan. Raises BadFile if its body does not fit its inputs and outputs."""
    bodies = {attribute.name: attribute.g for attribute in node.attribute if attribute.HasField("g")}
    try:
        results, certain = FOLLOWED[node.op_type](reading, node, bodies)
    except NarformerError:
        raise
    except (LookupError, ValueError, TypeError, ArithmeticError):
        found = f"{node.op_type} {printable(node.name)!r} whose body does not fit its inputs and outputs"
        raise BadFile(reading.path, found, "a valid ONNX model", "Export the model again.") from None
    reading.label(node)
    for name, result in zip(node.output, results, strict=False):
        if not certain:  # the values that are known are of the body that was read
            condition = reading.operand(node.input[0]) if node.op_type == "If" else None
            operands = [result.operand, condition, *result.unread]
            result = Result(reading.builder.add(node.op_type, result.typed.shape, operands), result.typed)
        _put(reading, name, result)
    for name in node.output[len(results) :]:
        _put(reading, name, Result(Constant(None), Typed()))
    if certain:
        reading.builder.dropped["followed"] += 1


def _if(reading: "Reading", node: onnx.NodeProto, bodies: Mapping[str, onnx.GraphProto]) -> tuple[list[Result], bool]:
    reading.operand(node.input[0])
    condition = reading.arrays.get(node.input[0])
    if condition is not None and condition.size == 1:
        return _body(reading, bodies["then_branch" if condition.item() else "else_branch"], {}), True
    held = {name: reading.unread(body, reading.values) for name, body in bodies.items()}
    chosen = max(held, key=lambda name: (sum(constant.count for constant in held[name]), len(bodies[name].node)))
    others: list[Operand] = []
    for name in bodies.keys() - {chosen}:
        outside = [reading.values.get(value) for value in dict.fromkeys(outside_of(bodies[name]))]
        others += [*held[name], *(value for value in outside if isinstance(value, int))]
    return [replace(result, unread=tuple(others)) for result in _body(reading, bodies[chosen], {})], False


def _loop(reading: "Reading", node: onnx.NodeProto, bodies: Mapping[str, onnx.GraphProto]) -> tuple[list[Result], bool]:
    body = bodies["body"]
    count, start, *state_names = [_get(reading, name) for name in node.input]
    state, carried, start_of = list(state_names), len(state_names), list(state_names)
    trips = MOST_PASSES if not node.input[0] else _whole(count.array)
    certain = trips is not None and (not node.input[1] or start.array is not None)
    goes_on = not node.input[1] or start.array is None or bool(start.array.item())
    if trips is None or (node.input[0] and not _affordable(reading, body, trips)):
        trips, certain = 1, False
    reading.looped(body)
    scanned: list[list[Result]] = [[] for _ in body.output[1 + carried :]]
    once: list[Result] = []
    step = 0
    while step < trips and goes_on:
        names = [value.name for value in body.input]
        now = np.asarray(step, np.int64)
        given = [
            Result(Constant((), (step,)), Typed((), 7), now),
            Result(Constant((), (1,)), Typed((), 9), TRUE),
        ]
        going, *out = _body(reading, body, dict(zip(names, [*given, *state], strict=False)))
        state = out[:carried]
        for values, result in zip(scanned, out[carried:], strict=True):
            values.append(result)
        step += 1
        reading.label(node)
        once = once or [*state, *(_stacked(reading, values, 0) for values in scanned)]
        goes_on = going.array is not None and bool(going.array.reshape(-1)[0])
        endless = goes_on and step == MOST_PASSES and not node.input[0]
        if going.array is None or endless or not _affordable(reading, body, 0):
            return _of_any_length(once, start_of), False
    reading.label(node)
    found = [*state, *(_stacked(reading, values, 0) for values in scanned)]
    return (found if certain else _of_any_length(found, start_of)), certain


def _of_any_length(results: list[Result], starts: list[Result]) -> list[Result]:
    """The outputs of a loop whose trip count is not known: neither what it collects nor what grows has a known size."""
    first = [start.typed.shape for start in starts]
    return [
        result
        if k < len(first) and result.typed.shape == first[k]
        else replace(result, typed=Typed(None, result.typed.type))
        for k, result in enumerate(results)
    ]


def _scan(reading: "Reading", node: onnx.NodeProto, bodies: Mapping[str, onnx.GraphProto]) -> tuple[list[Result], bool]:
    body, stated = bodies["body"], {a.name: a for a in node.attribute}
    count = stated["num_scan_inputs"].i if "num_scan_inputs" in stated else 0
    inputs = [_get(reading, name) for name in node.input]
    state, sequences = inputs[: len(inputs) - count], inputs[len(inputs) - count :]
    axes = _integers(stated, "scan_input_axes", len(sequences))
    out_axes = _integers(stated, "scan_output_axes", len(body.output) - len(state))
    backward = _integers(stated, "scan_input_directions", len(sequences))
    shape = sequences[0].typed.shape if sequences else None
    trips = shape[axes[0]] if shape is not None and -len(shape) <= axes[0] < len(shape) else None
    certain = trips is not None and _affordable(reading, body, trips)
    carried = len(state)
    reading.looped(body)
    scanned: list[list[Result]] = [[] for _ in body.output[carried:]]
    for step in range(trips if certain and trips is not None else 1):
        reading.label(node)
        parts = [
            _slice(reading, values, axis, (trips or 1) - 1 - step if back else step)
            for values, axis, back in zip(sequences, axes, backward, strict=True)
        ]
        out = _body(reading, body, dict(zip([v.name for v in body.input], [*state, *parts], strict=False)))
        state = out[:carried]
        for results, result in zip(scanned, out[carried:], strict=True):
            results.append(result)
    reading.label(node)
    return [*state, *(_stacked(reading, v, axis) for v, axis in zip(scanned, out_axes, strict=True))], certain


FOLLOWED_FROM = {"Scan": 9}  # opset; Scan of opset 8 has a batch and lengths
FOLLOWED = {"If": _if, "Loop": _loop, "Scan": _scan}


def _body(reading: "Reading", body: onnx.GraphProto, given: Mapping[str, Result]) -> list[Result]:
    """Read the nodes of a body, whose inputs are ``given``, and return its outputs. Its names end with it."""
    own = {value.name for value in body.input} | {t.name for t in body.initializer}
    own |= {t.values.name for t in body.sparse_initializer} | {name for node in body.node for name in node.output}
    own.discard("")
    outer, reading.scope = reading.scope, id(body)
    maps: tuple[dict[str, Any], ...] = (reading.values, reading.typed, reading.arrays, reading.sequences)
    outside = [{name: known[name] for name in own if name in known} for known in maps]
    for known in maps:
        for name in own:
            known.pop(name, None)
    reading.enter(body)
    for name, result in given.items():
        _put(reading, name, result)
    reading.followed += len(body.node)
    reading.work += _work(body)
    reading.run(body.node)
    results = [_get(reading, value.name) for value in body.output]
    for known, before in zip(maps, outside, strict=True):
        for name in own:
            known.pop(name, None)
        known.update(before)
    reading.scope = outer
    return results


def _affordable(reading: "Reading", body: onnx.GraphProto, trips: int) -> bool:
    """Whether so many passes of a body are few enough to be read one by one."""
    nodes, work = trips * (len(body.node) + 1), trips * _work(body)
    return nodes <= MOST_NODES - reading.followed and work <= MOST_WORK - reading.work


def _work(body: onnx.GraphProto) -> int:
    """What one pass of a body takes: its values, stated, stored, read and written, and its bytes."""
    values = sum(len(node.input) + len(node.output) + 1 for node in body.node) + len(body.input) + len(body.output)
    values += len(body.value_info) + len(body.initializer) + len(body.sparse_initializer)
    return values + int(body.ByteSize()) // BYTES


def _get(reading: "Reading", name: str) -> Result:
    operand = reading.operand(name) if name else None
    return Result(
        operand, reading.typed.get(name, Typed()), reading.arrays.get(name), items=reading.sequences.get(name)
    )


def _put(reading: "Reading", name: str, result: Result) -> None:
    reading.values[name], reading.typed[name] = result.operand, result.typed
    if result.array is not None and name:
        reading.know(name, result.array)
    if result.items is not None:
        reading.sequences[name] = result.items


def _whole(array: NDArray[np.generic] | None) -> int | None:
    return int(array.reshape(-1)[0]) if array is not None and array.size == 1 else None


def _integers(stated: Mapping[str, onnx.AttributeProto], name: str, count: int) -> Sequence[int]:
    return list(stated[name].ints) if name in stated else [0] * count


def _slice(reading: "Reading", values: Result, axis: int, position: int) -> Result:
    """One slice of a sequence, without the axis."""
    shape = values.typed.shape
    if shape is None or not -len(shape) <= axis < len(shape):
        return Result(values.operand, Typed(None, values.typed.type))
    axis %= len(shape)
    rest = Typed((*shape[:axis], *shape[axis + 1 :]), values.typed.type)
    if values.array is not None:
        return Result(values.operand, rest, np.asarray(np.take(values.array, position, axis)))
    if not isinstance(values.operand, int):
        tensors = values.operand.tensors if values.operand is not None else ()
        return Result(Constant(rest.shape, tensors=tensors), rest)
    op = slices(shape, (axis,), (position,), (position + 1,), (1,))
    part = reading.builder.add("Slice", op.shape, [values.operand], dict(op.attributes))
    return Result(reading.builder.add("Reshape", rest.shape, [part]), rest)


def _stacked(reading: "Reading", values: Sequence[Result], axis: int) -> Result:
    """The values of all passes along a new axis."""
    if not values or not any(isinstance(value.operand, int) for value in values):
        return Result(Constant(None), Typed())
    shapes = {value.typed.shape for value in values}
    one = shapes.pop()
    whole = None
    if one is not None and not shapes and -len(one) <= axis <= len(one):
        axis %= len(one) + 1
        whole = (*one[:axis], len(values), *one[axis:])
    attributes: dict[str, Value] = {"axis": axis, "new_axis": 1}
    operands = [value.operand for value in values]
    vertex = reading.builder.add("ConcatFromSequence", whole, operands, attributes)
    return Result(vertex, Typed(whole, values[0].typed.type))
