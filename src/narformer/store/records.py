"""Measurements, profiles, machines and networks as JSON, and back. Records are validated on reading."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from types import UnionType
from typing import Any, TypeAlias, TypeVar

from narformer.errors import BadArchitecture
from narformer.measure import LATENCY, Environment, Machine, Measurement, Profile, ProfiledNode
from narformer.network import Architecture, Op, canonical
from narformer.network.tensors import ConstantOperand, Tensor

__all__ = [
    "Record",
    "architecture_of",
    "architecture_text",
    "checked",
    "digest",
    "first_record",
    "measurement_digest",
    "measurement_of",
    "measurement_record",
    "profile_of",
    "profile_record",
    "written",
]

T = TypeVar("T")
Record: TypeAlias = dict[str, Any]

MOST_NS = 2**53  # a hundred days; every reader of JSON holds whole numbers up to it exactly
MOST_COUNT = 2**31 - 1
SHOWN = 60  # characters of an invalid value
FIRST = {  # the fields of a measurement in version 1
    "fingerprint": str,
    "name": str,
    "device": str,
    "runtime": str,
    "threads": int,
    "batch": int,
    "dtype": str,
    "times_ns": list,
    "warmup_ns": list,
    "rounds": list,
    "others": float | int | None,
    "date": str,
    "environment": dict,
}
SINCE = {"quantity": LATENCY, "unit": "ns", "accelerator": ""}  # later fields, with their values in version 1
MEASUREMENT = FIRST | dict.fromkeys(SINCE, str)
ENVIRONMENT = {"machine": dict, "system": str, "python": str, "governor": str, "versions": list}
PROFILE = {
    "measurement": dict,
    "operations": list,
    "runs": int,
    "plain_ns": float | int,
    "overhead_ns": float | int,
    "nodes": list,
}
NODE = {"name": str, "kind": str, "time_ns": float | int, "covers": list}
MACHINE = {"cpu": str, "model": str, "architecture": str, "cores": int, "instructions": list}

_NOUNS: dict[type | UnionType, tuple[str, str]] = {  # one, and several
    str: ("a printable text", "printable texts"),
    int: ("a whole number", "whole numbers"),
    list: ("a list", "lists"),
    dict: ("a record", "records"),
    float | int: ("a number", "numbers"),
    float | int | None: ("a number or null", "numbers or null"),
}


def written(value: object) -> str:
    """The one JSON text of a value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest(text: str) -> str:
    """SHA-256, 64 hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def measurement_digest(record: Record) -> str:
    """The digest of a measurement's record, without the fields of SINCE that have their value in version 1.

    A measurement thus has the same digest in every version.
    """
    return digest(written({key: value for key, value in record.items() if key not in SINCE or value != SINCE[key]}))


def measurement_record(measurement: Measurement) -> Record:
    """All of a measurement; tuples are lists."""
    record: Record = json.loads(written(asdict(measurement)))
    return record


def first_record(record: object) -> Record:
    """The record of a measurement in version 1 with the later fields. Raises ValueError, with the reason."""
    return checked(record, FIRST, "a measurement") | SINCE


def measurement_of(record: object) -> Measurement:
    """The measurement of a record. Raises ValueError, with the reason, for an invalid record."""
    values = checked(record, MEASUREMENT, "a measurement")
    outside = checked(values["environment"], ENVIRONMENT, "an environment")
    inside = checked(outside["machine"], MACHINE, "a machine")
    instructions = tuple(_each(inside["instructions"], str))
    versions = tuple((name, version) for name, version in (_each(pair, str, 2) for pair in outside["versions"]))
    machine = Machine(**{**inside, "instructions": instructions})
    whole = values["quantity"] == LATENCY
    numbers: dict[str, tuple[float, ...]] = {key: _amounts(values[key], whole) for key in ("times_ns", "warmup_ns")}
    numbers["rounds"] = tuple(_each(values["rounds"], int))
    if not all(0 <= t < MOST_NS for t in numbers["times_ns"] + numbers["warmup_ns"]):
        raise ValueError(f"a time that is not within 0 to {MOST_NS} ns")
    if not all(1 <= values[key] <= MOST_COUNT for key in ("threads", "batch")):
        raise ValueError(f"threads or batch not within 1 to {MOST_COUNT}")
    if not 0 <= inside["cores"] <= MOST_COUNT:
        raise ValueError(f"cores of a machine not within 0 to {MOST_COUNT}")
    if not values["quantity"]:
        raise ValueError('"" as quantity of a measurement, where its name belongs')
    if values["quantity"] == LATENCY and values["unit"] != "ns":
        raise ValueError(f'{_shown(values["unit"])} as unit of a latency, where "ns" belongs')
    if values["others"] is not None:
        if not abs(values["others"]) <= MOST_COUNT:  # NaN is refused, too, because its comparison is false
            raise ValueError(f"{_shown(values['others'])} as others of a measurement, where a number of cores belongs")
        values = {**values, "others": float(values["others"])}
    where = Environment(**{**outside, "machine": machine, "versions": versions})
    try:
        return Measurement(**{**values, **numbers, "environment": where})
    except ValueError:
        rounds, count = _shown(values["rounds"]), len(values["times_ns"])
        raise ValueError(f"rounds {rounds} of {count} times, where they add up to one or more") from None


def profile_record(profile: Profile) -> Record:
    """All of a profile; tuples are lists."""
    record: Record = json.loads(written(asdict(profile)))
    return record


def profile_of(record: object) -> Profile:
    """The profile of a record. Raises ValueError, with the reason, for an invalid record."""
    values = checked(record, PROFILE, "a profile")
    operations = tuple(_each(values["operations"], str))
    nodes = []
    for entry in values["nodes"]:
        node = checked(entry, NODE, "a node of a profile")
        covers = tuple(_each(node["covers"], int))
        if not all(0 <= vertex < len(operations) for vertex in covers) or len(set(covers)) < len(covers):
            raise ValueError(f"{_shown(node['covers'])} as covers of a node, where numbers of operations belong")
        if not 0 <= node["time_ns"] < MOST_NS:  # NaN is refused, too, because its comparison is false
            raise ValueError(f"a time that is not within 0 to {MOST_NS} ns")
        nodes.append(ProfiledNode(node["name"], node["kind"], float(node["time_ns"]), covers))
    if not all(0 <= values[key] < MOST_NS for key in ("plain_ns", "overhead_ns")):
        raise ValueError(f"a time that is not within 0 to {MOST_NS} ns")
    if not 1 <= values["runs"] <= MOST_COUNT:
        raise ValueError(f"runs of a profile not within 1 to {MOST_COUNT}")
    return Profile(
        measurement=measurement_of(values["measurement"]),
        operations=operations,
        runs=values["runs"],
        plain_ns=float(values["plain_ns"]),
        overhead_ns=float(values["overhead_ns"]),
        nodes=tuple(nodes),
    )


def architecture_text(architecture: Architecture) -> str:
    """The JSON of a network in canonical form, without its name."""
    form = canonical(architecture)
    ops = [[op.kind, dict(op.attributes), op.shape, *([_listed(op)] if op.constants else [])] for op in form.ops]
    return written({"ops": ops, "edges": form.edges, "slots": form.slots})


def architecture_of(text: str) -> Architecture:
    """The network of a JSON text. Raises ValueError, with the reason, for an invalid text."""
    values = checked(json.loads(text), {"ops": list, "edges": list, "slots": list}, "a network")
    ops = []
    for entry in values["ops"]:
        is_op = isinstance(entry, list) and len(entry) in (3, 4)
        kind, attributes, shape, *constants = entry if is_op else ("", None, None)
        if not _is(kind, str) or not isinstance(attributes, dict) or not all(_is(key, str) for key in attributes):
            raise ValueError(f"{_shown(entry)} where an operation belongs: its kind, attributes and shape")
        plain = {key: tuple(_each(v, int)) if isinstance(v, list) else _scalar(v) for key, v in attributes.items()}
        operands = tuple(map(_constant, _each(constants[0], list))) if constants else ()
        ops.append(Op(kind, tuple(sorted(plain.items())), _shape(shape), operands))
    edges = tuple((int(source), int(target)) for source, target in (_each(edge, int, 2) for edge in values["edges"]))
    try:
        return Architecture(tuple(ops), edges, slots=tuple(_each(values["slots"], int)))
    except BadArchitecture as error:
        raise ValueError(str(error)) from None


def _listed(op: Op) -> list[list[object]]:
    """The constants of an operation: slot, shape, and the count, type, training and identity of each tensor."""
    tensors = [[[t.count, t.dtype, int(t.trained), t.identity] for t in c.tensors] for c in op.constants]
    return [[c.slot, c.shape, listed] for c, listed in zip(op.constants, tensors, strict=True)]


def _constant(entry: list[Any]) -> ConstantOperand:
    slot, shape, tensors = entry if len(entry) == 3 else (None, None, None)
    found = []
    for tensor in _each(tensors, list):
        count, dtype, trained, identity = tensor if len(tensor) == 4 else (-1, "", 0, 0)
        if not (_is(dtype, str) and all(_is(number, int) and number >= 0 for number in (count, trained, identity))):
            raise ValueError(f"{_shown(tensor)} where a stored tensor belongs: count, type, trained (0 or 1), identity")
        found.append(Tensor(count, dtype, bool(trained), identity))
    if not isinstance(slot, int) or slot < 0:
        raise ValueError(f"{_shown(slot)} where the slot of a constant belongs")
    return ConstantOperand(slot, _shape(shape), tuple(found))


def _shape(shape: object) -> tuple[int, ...] | None:
    return None if shape is None else tuple(_each(shape, int))


def checked(record: object, wanted: Mapping[str, type | UnionType], noun: str) -> Record:
    """The record, with these fields and no others, each of its type. Raises ValueError, with the reason."""
    if not isinstance(record, dict):
        raise ValueError(f"{_shown(record)} where {noun} belongs")
    for key in record:
        if key not in wanted:
            raise ValueError(f"{noun} with the unknown field {_shown(key)}")
    for key, kind in wanted.items():
        if key not in record:
            raise ValueError(f"{noun} without the field {_shown(key)}")
        if not _is(record[key], kind):
            raise ValueError(f"{_shown(record[key])} as {key} of {noun}, where {_NOUNS[kind][0]} belongs")
    return record


def _shown(value: object) -> str:
    """The beginning of a value of the file, printable."""
    text = json.dumps(value)
    return text if len(text) <= SHOWN else text[:SHOWN] + "…"


def _is(value: object, kind: type | UnionType) -> bool:
    """Whether it is of this type; a text must be valid for a terminal and any database."""
    return (
        isinstance(value, kind) and not isinstance(value, bool) and (not isinstance(value, str) or value.isprintable())
    )


def _scalar(value: object) -> int | float | str:
    if isinstance(value, int | float | str) and _is(value, int | float | str):
        return value
    raise ValueError(f"{_shown(value)} where a number, a text or a list of whole numbers belongs")


def _amounts(values: object, whole: bool) -> tuple[float, ...]:
    """Values of a quantity: whole numbers for nanoseconds, any numbers for others."""
    if whole:
        return tuple(_each(values, int))
    if not isinstance(values, list) or not all(_is(value, int | float) for value in values):
        raise ValueError(f"{_shown(values)} where a list of numbers belongs")
    return tuple(values)


def _each(values: object, kind: type[T], count: int | None = None) -> list[T]:
    if not isinstance(values, list) or not all(_is(v, kind) for v in values) or len(values) != (count or len(values)):
        number = f"{count} " if count else ""
        raise ValueError(f"{_shown(values)} where a list of {number}{_NOUNS[kind][1]} belongs")
    return values
