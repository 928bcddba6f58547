"""Stored measurements as a data set: one condition, labels in the order of fingerprints, a digest of its content."""

from dataclasses import replace

import numpy as np
import pytest

from narformer.attributes import Condition
from narformer.errors import MissingData, MixedMachines
from narformer.measure import Environment, Machine, Measurement
from narformer.network import Architecture, Op, canonical, fingerprint
from narformer.store import Store, content_digest, measured

HERE = Environment(Machine("6502", "", "mos", 1), "Apple II", "3.11", "", (("onnxruntime", "1"), ("openvino", "2")))
BENCH = "ONNX Runtime, bench, float32, 1 thread, batch 1"
ENERGY = {"quantity": "energy", "unit": "mJ"}


def net(width=4):
    return Architecture((Op.of("Input", (1, width)), Op.of("Relu", (1, width))), ((0, 1),))


PLAIN = Measurement(
    fingerprint=fingerprint(net()),
    name="net",
    device="bench, float32",
    runtime="ort",
    threads=1,
    batch=1,
    dtype="float32",
    times_ns=(1_000_000,),
    warmup_ns=(),
    rounds=(1,),
    others=None,
    date="2026-01-01",
    environment=HERE,
)


@pytest.fixture
def store(tmp_path):
    with Store(f"sqlite:///{tmp_path}/store.sqlite") as store:
        yield store


def keep(store, width=4, **changes):
    assert store.add(replace(PLAIN, fingerprint=fingerprint(net(width)), **changes), net(width))


def prints(dataset):
    return [fingerprint(network) for network in dataset.architectures]


def test_networks_have_the_median_of_their_measurements_in_milliseconds(store):
    for width, time_ns in ((4, 1_000_000), (4, 4_000_000), (4, 2_000_000), (5, 9_000_000), (6, 8_000_000)):
        keep(store, width, times_ns=(time_ns,))
    found = measured(store)
    label = {fingerprint(net(4)): 2.0, fingerprint(net(5)): 9.0, fingerprint(net(6)): 8.0}
    assert prints(found) == sorted(label)
    assert found.labels["latency"].tolist() == [label[print_] for print_ in sorted(label)]
    assert all(network in [canonical(net(width)) for width in (4, 5, 6)] for network in found.architectures)
    attribute = found.attributes["latency"]
    assert (attribute.unit, attribute.better, attribute.note) == ("ms", "lower", "median of all times")
    assert attribute.condition == Condition("ONNX Runtime", "1", "bench", "", 1, 1, "float32")
    assert (found.space, found.train_labels, found.test_labels) == ("networks", ("latency",), ("latency",))
    assert found.name == f"store: latency, {BENCH}"


def test_another_quantity_keeps_its_unit(store):
    keep(store)
    keep(store, 4, **ENERGY, times_ns=(3, 5, 4), rounds=(3,))
    found = measured(store, "energy")
    assert found.labels["energy"].tolist() == [4.0]
    assert (found.attributes["energy"].unit, found.name) == ("mJ", f"store: energy, {BENCH}")
    assert measured(store).labels["latency"].tolist() == [1.0]


def test_versions_of_a_runtime_may_mix_and_are_then_not_stated(store):
    keep(store)
    keep(store, 5, environment=replace(HERE, versions=(("onnxruntime", "7"),)))
    found = measured(store)
    assert len(found) == 2
    assert found.attributes["latency"].condition == Condition("ONNX Runtime", "", "bench", "", 1, 1, "float32")


FILTERS = {  # name of a filter: its value for PLAIN, another value, and the fields that this one is of
    "device": ("bench", "phone", {"device": "phone, float32"}),
    "runtime": ("ort", "openvino", {"runtime": "openvino"}),
    "threads": (1, 2, {"threads": 2}),
    "batch": (1, 8, {"batch": 8}),
    "precision": ("float32", "int8", {"dtype": "int8", "device": "bench, int8"}),
    "accelerator": ("", "a chip", {"accelerator": "a chip"}),
}


@pytest.mark.parametrize("name", FILTERS)
def test_several_conditions_are_listed_with_the_filter_that_chooses_one(store, name):
    plain, other, changes = FILTERS[name]
    keep(store)
    keep(store, 5, **changes)
    with pytest.raises(MixedMachines, match="holds latency of 2 conditions: ") as error:
        measured(store)
    text = str(error.value)
    for width, value in ((4, plain), (5, other)):
        found = measured(store, **{name: value})
        assert prints(found) == [fingerprint(net(width))]
        assert str(found.attributes["latency"].condition) in text
    choices = " or ".join(f"{name}={value}" for value in sorted(map(str, (plain, other))))
    assert text.endswith(f"; expected one. Choose one, with --where {choices}.")
    with pytest.raises(MissingData):
        measured(store, **{name: "no such"})


def test_several_filters_may_be_needed_and_each_leaves_fewer(store):
    keep(store)
    keep(store, threads=2)
    keep(store, threads=2, batch=8)
    with pytest.raises(MixedMachines, match=r"3 conditions.*--where threads=1 or threads=2, and batch=1 or batch=8"):
        measured(store)
    with pytest.raises(MixedMachines, match=r"2 conditions.*--where batch=1 or batch=8"):
        measured(store, threads=2)
    assert measured(store, threads=2, batch=8).attributes["latency"].condition.batch == 8


def test_a_device_is_called_with_or_without_its_precision(store):
    keep(store)
    assert prints(measured(store, device="bench")) == prints(measured(store, device="bench, float32"))
    with pytest.raises(MissingData):
        measured(store, device="ben")


def test_two_names_of_a_runtime_under_one_condition_are_one_data_set(store):
    keep(store, 4, runtime="openvino")
    keep(store, 5, runtime="openvino-float32")
    assert len(measured(store)) == 2
    assert prints(measured(store, runtime="openvino-float32")) == [fingerprint(net(5))]


def test_units_never_mix(store):
    keep(store, **ENERGY)
    keep(store, 5, **ENERGY | {"unit": "J"})
    with pytest.raises(MixedMachines, match=f"{BENCH}, in J; {BENCH}, in mJ; expected one. Keep units apart"):
        measured(store, "energy")


def test_many_conditions_are_cut(store):
    for threads in range(1, 14):
        keep(store, threads=threads)
    with pytest.raises(MixedMachines, match=r"13 conditions: .*; and 3 more; expected one"):
        measured(store)


def test_nothing_of_a_kind_names_everything_there_is(store):
    with pytest.raises(MissingData, match="holds no measurements of latency; it has no measurements yet"):
        measured(store)
    keep(store)
    keep(store, **ENERGY)
    known = f"it has energy: {BENCH}; latency: {BENCH}"
    with pytest.raises(MissingData, match=f"no measurements of latency, device 'desk', threads '2'; {known}"):
        measured(store, device="desk", threads=2)
    with pytest.raises(MissingData, match=f"no measurements of memory; {known}"):
        measured(store, "memory")


def test_the_digest_is_that_of_networks_and_labels(store, tmp_path):
    for width in (4, 5):
        keep(store, width)
    found = measured(store)
    before = content_digest(found)
    assert len(before) == 64
    store.export(tmp_path / "all.jsonl")
    with Store(f"sqlite:///{tmp_path}/other.sqlite") as other:
        other.import_(tmp_path / "all.jsonl")
        assert content_digest(measured(other)) == before
    times = found.labels["latency"]
    others = [
        replace(found, labels={"latency": np.nextafter(times, 2)}),
        replace(found, labels={"energy": times}),
        replace(found, architectures=found.architectures[::-1]),
        replace(found, architectures=[net(6), net(7)]),
    ]
    assert len({before, *map(content_digest, others)}) == 5
    keep(store, 4, times_ns=(5_000_000,))
    assert content_digest(measured(store)) != before
