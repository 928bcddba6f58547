"""Networks are read before any is timed, take turns, and are in the store as soon as they are complete."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from narformer import jobs
from narformer.errors import BadArchitecture, BadFile, MissingExtra, MixedMachines, NotMeasured
from narformer.formats.onnx_writer import to_onnx
from narformer.jobs import measuring
from narformer.measure import OnnxRuntime, environment
from narformer.network import Architecture, Op, cost, fingerprint
from narformer.spaces.families import FAMILIES
from narformer.store import Store

CELLS = [f"nasbench201/{number}" for number in (1462, 7, 8)]


def kept(store: Path) -> list[str]:
    with Store(f"sqlite:///{store}") as opened:
        return [m.name for m in opened.find()]


def test_networks_take_turns_and_every_time_is_kept(quick: list[str], store: Path) -> None:
    steps: list[tuple[str, int, int]] = []
    plan = jobs.Plan(repeats=5, rounds=2, warmup=1)
    found = list(jobs.measure(CELLS, ["quick"], plan, progress=lambda *step: steps.append(step[:3])))
    turn = [f"run {name}" for name in CELLS for _ in range(4)]  # one warm-up and three that count
    assert quick == [f"load {name}" for name in CELLS] + turn * 2
    assert [m.measurement.rounds for m in found] == [(3, 3)] * 3
    assert sorted(kept(store)) == sorted(CELLS)
    assert steps == [("quick", done, 6) for done in range(7)]
    network = FAMILIES["nasbench201"].variant(1462)
    assert found[0].measurement.fingerprint == fingerprint(network)
    assert [m.architecture for m in found] == [FAMILIES["nasbench201"].variant(n) for n in (1462, 7, 8)]
    assert found[0].flops == cost(network).flops
    assert found[0].gflops_per_s == pytest.approx(found[0].flops / found[0].measurement.median_ms / 1e6)
    assert found[0].kept_in == f"sqlite:///{store}"


def test_a_network_that_is_known_is_measured_again(quick: list[str], store: Path) -> None:
    for repeats in (6, 7):
        list(jobs.measure(CELLS[:1], ["quick"], plan=jobs.Plan(repeats=repeats)))
    assert kept(store) == CELLS[:1] * 2


def test_repeats_are_shared_by_no_more_rounds_than_there_are(quick: list[str], store: Path) -> None:
    for repeats, rounds, taken in ((2, 5, (1, 1)), (7, 2, (4, 4)), (30, 3, (10, 10, 10))):
        (found,) = jobs.measure(CELLS[:1], ["quick"], jobs.Plan(repeats=repeats, rounds=rounds))
        assert found.measurement.rounds == taken
    (found,) = jobs.measure(CELLS[:1], ["quick"])
    assert (found.measurement.threads, found.measurement.rounds) == (1, (10, 10, 10))
    assert len(found.measurement.warmup_ns) == 6


def test_a_runtime_states_its_accelerator(quick: list[str], store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (plain,) = jobs.measure(CELLS[:1], ["quick"], jobs.Plan(repeats=1))
    monkeypatch.setattr(measuring.RUNTIMES["quick"], "accelerator", "a chip")
    (found,) = jobs.measure(CELLS[:1], ["quick"], jobs.Plan(repeats=1))
    assert (plain.measurement.accelerator, found.measurement.accelerator) == ("", "a chip")
    with Store(f"sqlite:///{store}") as opened:
        assert {m.accelerator for m in opened.find()} == {"", "a chip"}


def test_groups_are_bounded_by_count_and_by_bytes(
    quick: list[str], store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measuring, "GROUP_NETWORKS", 2)
    answers = jobs.measure(CELLS, ["quick"], plan=jobs.Plan(repeats=1))
    next(answers)
    assert [line for line in quick if line.startswith("load")] == [f"load {name}" for name in CELLS[:2]]
    assert set(kept(store)) == set(CELLS[:2])  # complete, although nobody asked for the second
    assert len(list(answers)) == 2
    monkeypatch.setattr(measuring, "GROUP_BYTES", 1)  # less than any network: one at a time
    quick.clear()
    list(jobs.measure(CELLS, ["quick"], plan=jobs.Plan(repeats=1, warmup=0)))
    assert quick == [f"{verb} {name}" for name in CELLS for verb in ("load", "run")]


@pytest.mark.parametrize(("step", "rounds"), [(2, [1, 1]), (3, [1, 1, 1]), (5, [2, 2, 1])])
def test_rounds_that_are_complete_are_kept_after_an_interrupt(
    quick: list[str], store: Path, step: int, rounds: list[int]
) -> None:
    def interrupt(name: str, done: int, total: int, nothing: None) -> None:
        if done == step:
            raise KeyboardInterrupt

    told = []
    with pytest.raises(KeyboardInterrupt):
        told.extend(jobs.measure(CELLS, ["quick"], plan=jobs.Plan(repeats=3), progress=interrupt))
    with Store(f"sqlite:///{store}") as opened:
        held = {m.name: len(m.rounds) for m in opened.find()}
    assert held == dict(zip(CELLS, rounds, strict=False))


def test_what_is_complete_is_told_before_the_interrupt(quick: list[str], store: Path) -> None:
    def interrupt(name: str, done: int, total: int, nothing: None) -> None:
        if done == 5:
            raise KeyboardInterrupt

    answers = jobs.measure(CELLS, ["quick"], plan=jobs.Plan(repeats=3), progress=interrupt)
    told = [next(answers) for _ in CELLS]
    assert [m.doubts[-1] for m in told] == [f"interrupted after {n} of 3 rounds" for n in (2, 2, 1)]
    with pytest.raises(KeyboardInterrupt):
        next(answers)


def test_another_machine_of_the_same_name_is_refused_before_anything_is_timed(quick: list[str], store: Path) -> None:
    (first,) = jobs.measure(CELLS[:1], ["quick"], plan=jobs.Plan(repeats=1), device="board")
    here = environment()
    elsewhere = replace(here, machine=replace(here.machine, cores=here.machine.cores + 7))
    with Store(f"sqlite:///{store}") as opened:
        foreign = replace(first.measurement, device="phone, float32", environment=elsewhere)
        opened.add(foreign, FAMILIES["nasbench201"].variant(1462))
    quick.clear()
    with pytest.raises(MixedMachines, match="device 'phone, float32' is another machine: found cores"):
        list(jobs.measure(CELLS, ["quick"], device="phone"))
    assert not [line for line in quick if line.startswith("run")]


def test_a_file_is_named_after_itself_and_bound_by_dims(quick: list[str], tmp_path: Path) -> None:
    ops = (Op.of("Input", (4, 3)), Op.of("Relu", (4, 3)))
    model = onnx.load_from_string(to_onnx(Architecture(ops, ((0, 1),), "inside"), "random", np.random.default_rng(0)))
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    model.graph.output[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    path = tmp_path / "my net.onnx"
    path.write_bytes(model.SerializeToString())
    (found,) = jobs.measure([str(path)], ["quick"], plan=jobs.Plan(repeats=1), dims={"batch": 2})
    assert (found.measurement.name, found.measurement.batch) == ("my net", 2)


def test_operations_without_a_rule_are_counted(quick: list[str], tmp_path: Path) -> None:
    ends = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, (1, 4)) for name in "xy"]
    nodes = [helper.make_node("Strange", ["x"], ["y"], domain="my")]
    graph = helper.make_graph(nodes, "odd", ends[:1], ends[1:])
    onnx.save(helper.make_model(graph), tmp_path / "odd.onnx")
    (found,) = jobs.measure([str(tmp_path / "odd.onnx")], ["quick"], plan=jobs.Plan(repeats=1))
    assert (found.uncounted, found.flops) == (1, 0)


def test_networks_that_fail_are_named_after_all_others_were_measured(
    quick: list[str], store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is not there, one that the runtime refuses, one whose third run fails."""
    runtime = measuring.RUNTIMES["quick"]
    load, run = runtime._load, runtime.run

    def loaded(self: Any, library: Any, net: Any, rng: Any) -> str:
        if net.name == CELLS[0]:
            raise BadArchitecture("refused")
        return load(self, library, net, rng)

    def ran(self: Any) -> object:
        run(self)
        if self.name == CELLS[1] and quick.count(f"run {CELLS[1]}") == 3:
            raise BadArchitecture("its memory is full")
        return None

    monkeypatch.setattr(runtime, "_load", loaded)
    monkeypatch.setattr(runtime, "run", ran)
    told: list[str] = []
    measured = jobs.measure([str(tmp_path / "gone.onnx"), *CELLS], ["quick"], jobs.Plan(repeats=4, rounds=2))
    with pytest.raises(NotMeasured, match=r"gone\.onnx.*refused; its memory is full") as error:
        told.extend(m.measurement.name for m in measured)
    assert told == kept(store) == CELLS[2:]
    assert [failure[:2] for failure in error.value.failures] == [
        (str(tmp_path / "gone.onnx"), ""),
        (CELLS[0], "quick"),
        (CELLS[1], "quick"),
    ]


def test_what_is_wrong_with_the_request_itself_stops_at_once(
    quick: list[str], store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> None:
        raise MissingExtra("not there")

    monkeypatch.setattr(measuring.RUNTIMES["quick"], "library", staticmethod(missing))
    with pytest.raises(MissingExtra):
        next(jobs.measure(CELLS, ["quick"]))
    assert quick == []


def test_a_profile_is_taken_after_all_times_are_stored(store: Path) -> None:
    pytest.importorskip("onnxruntime")
    found = jobs.measure(CELLS[:2], plan=jobs.Plan(repeats=2, profile=True))
    first = next(found)
    assert sorted(kept(store)) == sorted(CELLS[:2])
    assert first.profile is not None
    assert first.profile.measurement == first.measurement
    (second,) = found
    assert second.profile is not None
    assert second.profile.operations != first.profile.operations


def test_a_profile_that_cannot_be_taken_stops_no_other(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxruntime")
    original = measuring.profile

    def taken(source: Any, *more: Any) -> Any:
        if source.title == CELLS[0]:
            raise BadFile("it", "a graph that cannot be read", "one that can")
        return original(source, *more)

    monkeypatch.setattr(measuring, "profile", taken)
    told: list[tuple[str, bool]] = []
    measured = jobs.measure(CELLS[:2], plan=jobs.Plan(repeats=2, profile=True))
    with pytest.raises(NotMeasured, match="no profile: it: found a graph"):
        told.extend((m.measurement.name, m.profile is not None) for m in measured)
    assert told == [(CELLS[0], False), (CELLS[1], True)]


def test_only_the_runtime_that_can_is_profiled(quick: list[str], store: Path) -> None:
    (found,) = jobs.measure(CELLS[:1], ["quick"], jobs.Plan(repeats=1, profile=True))
    assert found.profile is None
    assert measuring.RUNTIMES[measuring.PROFILED] is OnnxRuntime
