"""Measurements, machines and networks as JSON, and back. What is read is checked before it is believed."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from math import isfinite
from types import UnionType
from typing import Any, TypeAlias

from narformer.arch import Architecture, Op, canonical
from narformer.errors import BadArchitecture
from narformer.measure import Environment, Machine, Measurement

__all__ = [
    "Record",
    "architecture_of",
    "architecture_text",
    "digest",
    "measurement_of",
    "measurement_record",
    "written",
]

Record: TypeAlias = dict[str, Any]

MOST_NS = 2**53  # a hundred days; what any reader of JSON holds exactly
MOST_COUNT = 2**31 - 1
MEASUREMENT = {
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
ENVIRONMENT = {"machine": dict, "system": str, "python": str, "governor": str, "versions": list}
MACHINE = {"cpu": str, "model": str, "architecture": str, "cores": int, "instructions": list}


def written(value: object) -> str:
    """The one JSON text of a value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest(text: str) -> str:
    """SHA-256, 64 hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def measurement_record(measurement: Measurement) -> Record:
    """All of a measurement; tuples are lists."""
    record: Record = json.loads(written(asdict(measurement)))
    return record


def measurement_of(record: object) -> Measurement:
    """The measurement of a record. Raises ValueError, and says what is wrong, where it is none."""
    values = _checked(record, MEASUREMENT, "a measurement")
    outside = _checked(values["environment"], ENVIRONMENT, "an environment")
    inside = _checked(outside["machine"], MACHINE, "a machine")
    instructions = tuple(_each(inside["instructions"], str))
    versions = tuple((name, version) for name, version in (_each(pair, str) for pair in outside["versions"]))
    machine = Machine(**{**inside, "instructions": instructions})
    numbers = {key: tuple(_each(values[key], int)) for key in ("times_ns", "warmup_ns", "rounds")}
    if not all(0 <= t < MOST_NS for t in numbers["times_ns"] + numbers["warmup_ns"]):
        raise ValueError(f"a time that is not within 0 to {MOST_NS} ns")
    if not all(1 <= values[key] <= MOST_COUNT for key in ("threads", "batch")):
        raise ValueError(f"threads or batch not within 1 to {MOST_COUNT}")
    if values["others"] is not None:
        values = {**values, "others": float(values["others"])}
        if not isfinite(values["others"]):
            raise ValueError("others, that is no number")
    where = Environment(**{**outside, "machine": machine, "versions": versions})
    return Measurement(**{**values, **numbers, "environment": where})


def architecture_text(architecture: Architecture) -> str:
    """The JSON of a network in canonical form, without its name."""
    form = canonical(architecture)
    ops = [[op.kind, dict(op.attributes), op.shape] for op in form.ops]
    return written({"ops": ops, "edges": form.edges, "slots": form.slots})


def architecture_of(text: str) -> Architecture:
    """The network of a JSON text. Raises ValueError, and says what is wrong, where it is none."""
    values = _checked(json.loads(text), {"ops": list, "edges": list, "slots": list}, "a network")
    ops = []
    for entry in values["ops"]:
        kind, attributes, shape = entry
        if not _is(kind, str) or not isinstance(attributes, dict) or not all(_is(key, str) for key in attributes):
            raise ValueError(f"an operation {str(entry)[:80]}")
        plain = {
            key: tuple(_each(v, int)) if isinstance(v, list) else _each([v], int | float | str)[0]
            for key, v in attributes.items()
        }
        ops.append(Op(kind, tuple(sorted(plain.items())), None if shape is None else tuple(_each(shape, int))))
    edges = tuple((int(source), int(target)) for source, target in (_each(edge, int) for edge in values["edges"]))
    try:
        return Architecture(tuple(ops), edges, slots=tuple(_each(values["slots"], int)))
    except BadArchitecture as error:
        raise ValueError(str(error)) from None


def _checked(record: object, wanted: Mapping[str, type | UnionType], what: str) -> Record:
    if not isinstance(record, dict) or set(record) != set(wanted):
        raise ValueError(f"{what} with other fields than {', '.join(wanted)}")
    for key, kind in wanted.items():
        if not _is(record[key], kind):
            raise ValueError(f"{record[key]!r:.80} as {key} of {what}")
    return record


def _is(value: object, kind: type | UnionType) -> bool:
    """Whether it is of this type; texts are such as a terminal and any database can take."""
    return (
        isinstance(value, kind) and not isinstance(value, bool) and (not isinstance(value, str) or value.isprintable())
    )


def _each(values: Any, kind: type | UnionType) -> list[Any]:
    if not isinstance(values, list) or not all(_is(v, kind) for v in values):
        raise ValueError(f"{values!r:.80} where a list of {kind} belongs")
    return values
