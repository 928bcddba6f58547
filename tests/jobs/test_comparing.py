"""A profile laid beside predictions: nothing is lost, and what is fused differently on both sides is one row."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from narformer import jobs
from narformer.errors import BadFile
from narformer.formats.onnx_writer import to_onnx
from narformer.jobs.comparing import Predicted, compared
from narformer.measure import Environment, Machine, Measurement, Profile, ProfiledNode
from narformer.network import Architecture, Op, cost
from narformer.network.source_network import SourceNetwork
from narformer.spaces.families import FAMILIES
from narformer.store.profiles import write_profiles

HERE = Environment(Machine("6502", "", "mos", 1), "Apple II", "3.11", "", (("onnxruntime", "1"),))
MS = 1_000_000


def four() -> SourceNetwork:
    """Input, Conv, Relu, Conv, Relu; the second convolution has more work."""
    conv = {"kernel_shape": (3, 3), "pads": (1, 1, 1, 1)}
    ops = (
        Op.of("Input", (1, 3, 8, 8)),
        Op.of("Conv", (1, 4, 8, 8), **conv),
        Op.of("Relu", (1, 4, 8, 8)),
        Op.of("Conv", (1, 32, 8, 8), **conv),
        Op.of("Relu", (1, 32, 8, 8)),
    )
    return SourceNetwork.of(Architecture(ops, tuple((v, v + 1) for v in range(4)), "four"))


def taken(
    source: SourceNetwork,
    *nodes: ProfiledNode,
    name: str = "four",
    fingerprint: str = "ab" * 32,
    plain_ms: float = 11,
) -> Profile:
    measurement = Measurement(
        fingerprint=fingerprint,
        name=name,
        device="board, float32",
        runtime="ort",
        threads=1,
        batch=1,
        dtype="float32",
        times_ns=(10 * MS,),
        warmup_ns=(),
        rounds=(1,),
        others=None,
        date="2026-01-01T00:00:00+00:00",
        environment=HERE,
    )
    return Profile(
        measurement=measurement, operations=source.names, runs=3, plain_ns=plain_ms * MS, overhead_ns=MS, nodes=nodes
    )


def node(ms: float, *covers: int, kind: str = "Conv") -> ProfiledNode:
    return ProfiledNode(f"{kind} of {covers}", kind, ms * MS, covers)


def test_rows_are_the_pieces_that_were_executed_the_slowest_first() -> None:
    source = four()
    found = compared(
        source, taken(source, node(1, 1, 2), node(5, 3, 4), node(2, kind="own.Out"), node(2, kind="own.Out"))
    )
    assert [(row.name, row.kind, row.joined, row.executed, row.measured_ms) for row in found.layers] == [
        ("Conv_3", "Conv", ("Relu",), ("Conv",), 5.0),
        ("", "runtime's own", (), ("own.Out x 2",), 4.0),
        ("Conv_1", "Conv", ("Relu",), ("Conv",), 1.0),
    ]
    assert [row.share for row in found.layers] == [0.5, 0.4, 0.1]
    assert (found.latency_ms, found.plain_ms, found.nodes_ms, found.added_ms) == (10.0, 11.0, 10.0, 0.0)
    assert found.predicted_ms is None
    assert all(row.predicted_ms is None for row in found.layers)


def test_the_time_that_profiling_adds_belongs_to_no_layer() -> None:
    source = four()
    profile = taken(source, node(1, 1, 2), node(5, 3, 4), node(4), plain_ms=4)
    found = compared(source, profile)
    assert found.added_ms == 2.0  # ten milliseconds in three nodes, four in a plain run
    assert {row.name: row.measured_ms for row in found.layers} == {"Conv_1": 0.0, "Conv_3": 3.0, "": 2.0}
    assert {row.name: row.share for row in found.layers} == {"Conv_1": 0.0, "Conv_3": 0.6, "": 0.4}


@pytest.mark.parametrize(
    ("executed", "predicted", "rows"),
    [
        ([(1, 2), (3, 4)], [(1, 2), (3, 4)], [("Conv_1", 1, 1), ("Conv_3", 1, 1)]),
        ([(1,), (2,), (3, 4)], [(1, 2), (3, 4)], [("Conv_1", 2, 1), ("Conv_3", 1, 1)]),
        ([(1, 2), (3, 4)], [(1,), (2,), (3, 4)], [("Conv_1", 1, 2), ("Conv_3", 1, 1)]),
        ([(1,), (2, 3), (4,)], [(1, 2), (3, 4)], [("Conv_3", 3, 2)]),
        ([(3, 4)], [(1, 2), (3, 4)], [("Conv_1", 0, 1), ("Conv_3", 1, 1)]),
        ([(1, 2), (3, 4)], [(3, 4)], [("Conv_1", 1, None), ("Conv_3", 1, 1)]),
        ([(1, 2), (1, 2), (3, 4)], [(1, 2), (3, 4)], [("Conv_1", 2, 1), ("Conv_3", 1, 1)]),
        ([(1, 2)], [(1, 2), ()], [("", 0, 1), ("Conv_1", 1, 1)]),
    ],
)
def test_what_either_side_takes_together_is_one_row(
    executed: list[tuple[int, ...]], predicted: list[tuple[int, ...]], rows: list[tuple[str, float, float | None]]
) -> None:
    source = four()
    profile = taken(source, *(node(1, *covers) for covers in executed))
    found = compared(source, profile, [Predicted(vertices, 1.0) for vertices in predicted], 7.0)
    assert sorted((row.name, row.measured_ms, row.predicted_ms) for row in found.layers) == rows
    assert found.predicted_ms == 7.0


@pytest.mark.parametrize("name", ["squeezenet/0", "mobilenetv3/0", "nasbench201/7"])
def test_measured_and_predicted_times_add_up_to_their_totals(name: str, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    plan = jobs.Plan(repeats=2, rounds=1, warmup=0, profile=True)
    (measured,) = jobs.measure([name], plan=plan)
    assert measured.profile is not None
    write_profiles(tmp_path / "p.json", [measured.profile])
    inspected = jobs.inspect(name, profile=tmp_path / "p.json").comparison
    assert inspected is not None
    (answer,) = jobs.predict_network(name, "latency_ort", profile=tmp_path / "p.json")
    beside = answer.comparison
    assert beside is not None
    total_ms = sum(measured.profile.times_ns) / 1e6
    for found in (inspected, beside):
        assert sum(row.measured_ms for row in found.layers) == pytest.approx(total_ms)
        assert sum(row.share for row in found.layers) == pytest.approx(1)
        assert found.nodes_ms == pytest.approx(total_ms)
        assert found.latency_ms == measured.measurement.median_ms
    assert sum(row.predicted_ms or 0 for row in beside.layers) == pytest.approx(answer.value)
    assert beside.predicted_ms == answer.value
    alone = [row for row in beside.layers if row.predicted_ms is None]
    assert [row.kind for row in alone] == ["runtime's own"]
    counted = sum(op.kind in ("Conv", "Gemm") for op in measured.architecture.ops)
    kinds = [kind for row in beside.layers if row.executed for kind in (row.kind, *row.joined)]
    assert sum(kind in ("Conv", "Gemm") for kind in kinds) == counted


def test_a_predictor_without_shares_has_its_total_beside_the_measured_layers(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    (measured,) = jobs.measure(["squeezenet/0"], plan=jobs.Plan(repeats=1, profile=True))
    assert measured.profile is not None
    source = SourceNetwork.of(measured.architecture)
    found = compared(source, measured.profile, (), 12.5)
    assert found.predicted_ms == 12.5
    assert cost(measured.architecture).macs > 0
    assert all(row.predicted_ms is None for row in found.layers)


def test_a_profile_of_another_network_is_refused(tmp_path: Path) -> None:
    source = four()
    path = tmp_path / "p.json"
    write_profiles(path, [taken(source, name="that"), taken(source, name="the other")])
    with pytest.raises(BadFile, match=r"other networks \(that, the other\).*one of squeezenet/0.*measure"):
        jobs.inspect("squeezenet/0", profile=path)
    with pytest.raises(BadFile, match="other networks"):
        jobs.predict_network("squeezenet/0", "latency_ort", profile=path)
    write_profiles(path, [])
    with pytest.raises(BadFile, match=r"other networks \(none\)"):
        jobs.inspect("squeezenet/0", profile=path)


def test_a_profile_of_another_file_of_the_same_network_is_refused(tmp_path: Path) -> None:
    """Equal fingerprints, but vertices may stand in another order."""
    network = FAMILIES["squeezenet"].variant(0)
    (tmp_path / "net.onnx").write_bytes(to_onnx(network, "random", np.random.default_rng(0)))
    inspection = jobs.inspect(tmp_path / "net.onnx")
    source = SourceNetwork.of(network)
    other = dataclasses.replace(source, names=tuple(f"other {name}" for name in source.names))
    write_profiles(tmp_path / "p.json", [taken(other, fingerprint=inspection.fingerprint)])
    with pytest.raises(BadFile, match="from another file of it"):
        jobs.inspect("squeezenet/0", profile=tmp_path / "p.json")
    write_profiles(tmp_path / "p.json", [taken(source, node(3, 1), fingerprint=inspection.fingerprint)])
    found = jobs.inspect("squeezenet/0", profile=tmp_path / "p.json").comparison
    assert found is not None
    assert found.layers[0].name == "Conv_1"


def test_the_last_of_several_profiles_of_a_network_counts(tmp_path: Path) -> None:
    source = SourceNetwork.of(FAMILIES["squeezenet"].variant(0))
    print_ = jobs.inspect("squeezenet/0").fingerprint
    write_profiles(tmp_path / "p.json", [taken(source, node(ms, 1), fingerprint=print_) for ms in (3, 8)])
    found = jobs.inspect("squeezenet/0", profile=tmp_path / "p.json").comparison
    assert found is not None
    assert found.nodes_ms == 8
