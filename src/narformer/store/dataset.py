"""Stored measurements as a data set, for training and testing."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from statistics import median

import numpy as np

from narformer.attributes import Attribute, Condition
from narformer.data import Dataset
from narformer.errors import MissingData, MixedMachines, lookup
from narformer.measure import LATENCY, Measurement, condition
from narformer.network import fingerprint
from narformer.store.records import digest, written
from narformer.store.store import Store

__all__ = ["content_digest", "measured"]

LISTED = 10  # conditions listed in an error
FILTERS = {word: word for word in ("device", "runtime", "threads", "batch", "precision", "accelerator")}


def measured(store: Store, attribute: str = LATENCY, **filters: str | int | None) -> Dataset:
    """The networks whose ``attribute`` was measured, all under one condition, in the order of their fingerprints.

    The label of a network is the median of its measurements' medians: a latency in milliseconds, any other quantity in
    its own unit. Versions of the runtime may differ; the condition then states no version.

    filters: values of FILTERS that a measurement must have; None matches everything
        device:      its name, with or without the precision at the end
        runtime:     its name, "ort"
        accelerator: its name; empty for the CPU alone

    Raises UnknownName for another filter, MissingData where nothing in the store matches, and MixedMachines
    where it holds measurements of several conditions.
    """
    wanted = {lookup(FILTERS, name, "filter of measurements"): value for name, value in filters.items()}
    given = {name: value for name, value in wanted.items() if value is not None}
    found = [m for m in store.find(quantity=attribute) if all(_fits(m, name, given[name]) for name in given)]
    if not found:
        listed = "".join(f", {name} '{value}'" for name, value in given.items())
        raise MissingData(f"{store.place} holds no measurements of {attribute}{listed}; it has {_known(store)}")
    where = _one_condition(found, store.place)
    medians: dict[str, list[float]] = {}
    for m in found:
        medians.setdefault(m.fingerprint, []).append(m.median_ms if attribute == LATENCY else m.median)
    names = {m.fingerprint: m.name for m in found}
    architectures = []
    for print_ in sorted(medians):
        architecture = store.architecture(print_)
        assert architecture is not None  # a measurement refers to its network
        architectures.append(replace(architecture, name=names[print_]))
    unit, values = ("ms", "times") if attribute == LATENCY else (found[0].unit, "values")
    return Dataset(
        name=f"store: {attribute}, {where}",
        space="networks",
        architectures=architectures,
        labels={attribute: np.array([median(medians[print_]) for print_ in sorted(medians)])},
        attributes={attribute: Attribute.of(attribute, unit, f"median of all {values}", where)},
        train_labels=(attribute,),
        test_labels=(attribute,),
    )


def content_digest(dataset: Dataset) -> str:
    """SHA-256 over the fingerprints of the networks and their labels, in their order: 64 hexadecimal digits."""
    prints = [fingerprint(architecture) for architecture in dataset.architectures]
    labels = {name: column.tolist() for name, column in dataset.labels.items()}
    return digest(written({"fingerprints": prints, "labels": labels}))


def _fits(m: Measurement, name: str, value: str | int) -> bool:
    """Whether a measurement passes the filter of this name."""
    return value in ((m.device, condition(m).device) if name == "device" else (_setting(m, name),))


def _setting(m: Measurement, name: str) -> str | int:
    """The value that the filter of this name compares."""
    if name == "runtime":
        return m.runtime
    value: str | int = getattr(condition(m), name)
    return value


def _unversioned(m: Measurement) -> Condition:
    return replace(condition(m), runtime_version="")


def _one_condition(found: Sequence[Measurement], place: str) -> Condition:
    """The condition of all measurements, without a version where versions differ.

    Raises MixedMachines, with the filters that choose one, where there are several conditions or units.
    """
    attribute = found[0].quantity
    of: dict[tuple[Condition, str], Measurement] = {(_unversioned(m), m.unit): m for m in found}
    if len(of) == 1:
        versions = {condition(m).runtime_version for m in found}
        return condition(found[0]) if len(versions) == 1 else next(iter(of))[0]
    units = {unit for _, unit in of}
    if len(units) > 1:
        listed = _listed([f"{where}, in {unit}" for where, unit in of])
    else:
        listed = _listed([str(where) for where, _ in of])
    choices = []
    for name in (field.name for field in fields(Condition) if field.name != "runtime_version"):
        if len({getattr(where, name) for where, _ in of}) > 1:
            values = sorted({str(_setting(m, name)) for m in of.values()})
            choices.append(" or ".join(f"{name}={value}" for value in values))
    remedy = f"Choose one, with --where {', and '.join(choices)}." if choices else "Keep units apart."
    raise MixedMachines(f"{place} holds {attribute} of {len(of)} conditions: {listed}; expected one. {remedy}")


def _known(store: Store) -> str:
    """The quantities and conditions that the store holds, for an error."""
    of: Mapping[str, None] = dict.fromkeys(f"{m.quantity}: {_unversioned(m)}" for m in store.find())
    return _listed(list(of)) or "no measurements yet"


def _listed(texts: Sequence[str]) -> str:
    more = f"; and {len(texts) - LISTED} more" if len(texts) > LISTED else ""
    return "; ".join(sorted(texts)[:LISTED]) + more
