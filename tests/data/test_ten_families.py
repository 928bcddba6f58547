"""The file of our own measurements: what is written is read, and nothing else is believed."""

import dataclasses
import io
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from narformer.data.ten_families import BESIDE, FACTS, MeasuredSet, Variants, packaged, read_measured, write_measured
from narformer.errors import BadFile
from narformer.measure import Environment, Machine, Measurement
from narformer.network import fingerprint
from narformer.spaces.families import FAMILIES, TEN

MACHINE = Machine("A CPU", "6/1/2", "x86_64", 2, ("avx2",))
ENVIRONMENT = Environment(MACHINE, "Linux", "3.11", "", (("onnxruntime", "1.0"),))


def measured(name, times_ns=(30, 10, 20), runtime="ort", date="2026-01-01T00:00:00+00:00", others=0.5, warmup=(99,)):
    family, number = name.split("/")
    return Measurement(
        fingerprint=fingerprint(FAMILIES[family].variant(int(number))),
        name=name,
        device="A CPU, 2 cores, float32",
        runtime=runtime,
        threads=1,
        batch=1,
        dtype="float32",
        times_ns=tuple(times_ns),
        warmup_ns=tuple(warmup),
        rounds=(1,) * len(times_ns) if len(times_ns) < 4 else (2, len(times_ns) - 2),
        others=others,
        date=date,
        environment=ENVIRONMENT,
    )


def beside(of, slowdowns, usual_ns=1_000_000):
    """The reference's measurement beside another one, at these slowdowns."""
    return dataclasses.replace(
        of,
        name=BESIDE + of.name,
        fingerprint="ab" * 32,
        times_ns=tuple(round(usual_ns * s) for s in slowdowns),
        rounds=of.rounds,
        warmup_ns=(),
    )


def three():
    return MeasuredSet(
        (
            measured("squeezenet/1", (2_000_000, 4_000_000), others=None),
            measured("alexnet/0", (1_000_000,), warmup=()),
            measured("squeezenet/1", (5_000_000,), "openvino-float32"),
            measured("squeezenet/1", (6_000_000,), date="2026-01-02T00:00:00+00:00"),
            measured("squeezenet/0", (7_000_000,)),
        )
    )


def disturbed(power, slowdowns=((1.0, 1.2, 1.7), (0.8, 1.0, 1.1))):
    """Two networks of 4 and 9 ms on a machine whose state comes and goes, the reference beside each."""
    every = []
    for name, usual_ms, slow in zip(("alexnet/0", "squeezenet/0"), (4, 9), slowdowns, strict=True):
        network = measured(name, [round(usual_ms * 1e6 * s**power) for s in slow])
        every += [network, beside(network, slow)]
    return MeasuredSet(tuple(every))


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "set.npz"
    write_measured(three(), path)
    return path


def test_what_is_written_is_read(file):
    assert read_measured(file).measurements == three().measurements
    assert [path.name for path in file.parent.iterdir()] == ["set.npz"]


@settings(max_examples=20, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["alexnet/0", "squeezenet/3"]),
            st.lists(st.integers(0, 2**50), min_size=1, max_size=4),
            st.lists(st.integers(0, 2**50), max_size=3),
            st.sampled_from(["ort", "openvino-float32"]),
            st.none() | st.floats(0, 9),
        ),
        min_size=1,
        max_size=5,
    )
)
def test_any_times_survive(tmp_path_factory, entries):
    every = tuple(
        measured(name, times, runtime, others=others, warmup=w) for name, times, w, runtime, others in entries
    )
    path = tmp_path_factory.mktemp("any") / "set.npz"
    write_measured(MeasuredSet(every), path)
    assert read_measured(path).measurements == every


def test_the_first_measurement_is_the_label_and_the_second_its_repetition():
    found = three()
    assert found.names == ("alexnet/0", "squeezenet/0", "squeezenet/1")
    assert found.runtimes == ("openvino-float32", "ort")
    np.testing.assert_array_equal(found.latency_ms("ort"), [1.0, 7.0, 3.0])
    np.testing.assert_array_equal(found.latency_ms("ort", again=True), [np.nan, np.nan, 6.0])
    np.testing.assert_array_equal(found.latency_ms("openvino-float32"), [np.nan, np.nan, 5.0])


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
def test_labels_are_of_the_usual_state(power):
    found = disturbed(power)
    assert found.names == ("alexnet/0", "squeezenet/0")
    assert found.sensitivity("ort") == pytest.approx(power, abs=1e-5)
    usual = 1.05  # the middle of the reference's six rounds, on the scale that the networks' times are given on
    np.testing.assert_allclose(found.latency_ms("ort"), np.array([4.0, 9.0]) * usual**power, rtol=1e-4)


def test_slowdowns_are_told_for_each_round():
    found = disturbed(0.5)
    expected = np.array([1.0, 1.2, 1.7]) / np.median([1.0, 1.2, 1.7, 0.8, 1.0, 1.1])
    np.testing.assert_allclose(found.slowdown(found.of_networks[0]), expected, rtol=1e-5)


def test_without_a_reference_times_are_taken_as_they_are():
    found = three()
    assert found.sensitivity("ort") == 0.0
    np.testing.assert_array_equal(found.slowdown(found.measurements[0]), [1.0, 1.0])


def test_the_reference_is_kept_in_the_file(tmp_path):
    write_measured(disturbed(0.5), tmp_path / "set.npz")
    assert read_measured(tmp_path / "set.npz").measurements == disturbed(0.5).measurements


def test_as_a_data_set():
    dataset = three().dataset()
    assert (list(dataset.labels), dataset.train_labels[0]) == (
        ["latency_ort", "latency_openvino-float32"],
        "latency_ort",
    )
    assert dataset.attributes["latency_ort"].unit == "ms"
    assert "ONNX Runtime, A CPU, 2 cores, float32, 1 thread, batch 1" in str(dataset.attributes["latency_ort"])
    example = dataset[2]
    assert (example.architecture, example.labels) == (
        FAMILIES["squeezenet"].variant(1),
        {"latency_ort": 3.0, "latency_openvino-float32": 5.0},
    )


def test_networks_are_built_when_asked_for_and_once():
    networks = Variants(["resnet/0", "vgg/2", "alexnet/1"])
    assert networks[1] is networks[-2]
    assert [network.name for network in networks[1:]] == ["vgg/2", "alexnet/1"]
    with pytest.raises(IndexError):
        networks[3]


@pytest.mark.parametrize("damage", ["cut", "flipped", "member", "format", "lengths", "pickle"])
def test_damage_is_one_error(file, damage):
    content = file.read_bytes()
    if damage == "cut":
        file.write_bytes(content[: len(content) // 2])
    elif damage == "flipped":
        with zipfile.ZipFile(file) as archive:
            place = archive.getinfo("header.npy").header_offset + 30 + len("header.npy") + 40  # within its data
        file.write_bytes(content[:place] + bytes([content[place] ^ 255]) + content[place + 1 :])
    else:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        if damage == "member":
            del members["others_K.npy"]
        else:
            array = {
                "format": ("header", np.frombuffer(b'{"format": 9}', np.uint8)),
                "lengths": ("time_T", np.arange(3)),
                "pickle": ("others_K", np.array([object()])),
            }[damage]
            buffer = io.BytesIO()
            np.save(buffer, array[1], allow_pickle=damage == "pickle")
            members[f"{array[0]}.npy"] = buffer.getvalue()
        with zipfile.ZipFile(file, "w") as archive:
            for name, member in members.items():
                archive.writestr(name, member)
    with pytest.raises(BadFile, match="expected measurements of the ten families"):
        read_measured(file)


@pytest.mark.skipif(packaged() is None, reason="the set has not been measured")
class TestShipped:
    """What ships with the package."""

    def test_it_is_whole(self):
        found = read_measured(packaged())
        dataset = found.dataset()
        assert len(dataset) == FACTS.rows
        for family in TEN:
            mine_M = found.family_M == family
            assert np.isfinite(found.latency_ms("ort")[mine_M]).sum() >= 300
            assert np.isfinite(found.latency_ms("openvino-float32")[mine_M]).sum() >= 150
            for runtime, least in (("ort", 30), ("openvino-float32", 15)):
                assert np.isfinite(found.latency_ms(runtime, again=True)[mine_M]).sum() >= least
        assert len({m.environment.machine for m in found.measurements}) == 1

    def test_measurements_repeat_within_five_percent(self):
        found = read_measured(packaged())
        for runtime in found.runtimes:
            error_M = np.abs(found.latency_ms(runtime, again=True) / found.latency_ms(runtime) - 1)
            assert np.nanmean(error_M) <= 0.05

    def test_names_are_of_the_networks_that_were_measured(self):
        found = read_measured(packaged())
        stated = {m.name: m.fingerprint for m in found.measurements}
        for name in found.names[::100]:
            family, _, number = name.partition("/")
            assert fingerprint(FAMILIES[family].variant(int(number))) == stated[name]
