"""`narformer train`, `predict` and `evaluate` from end to end: several attributes, stores, and what needs no option."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from narformer import jobs
from narformer.attributes import Attribute, Better
from narformer.cli import terminal
from narformer.measure import Environment, Machine, Measurement
from narformer.network import cost, fingerprint
from narformer.predictors import NeuralPredictor, Target
from narformer.predictors.build import make_model, make_tokenizer
from narformer.predictors.linear import CostLine, CostLinePredictor
from narformer.predictors.saved import load, save
from narformer.spaces import SPACES
from narformer.spaces.families import FAMILIES
from narformer.store import Store

CELLS = {
    "nasbench101": ["conv3x3 conv1x1 maxpool3x3 | 01 02 03 14 24 34", "conv3x3 | 01 12"],
    "nasbench201": ["|nor_conv_3x3~0|+|none~0|none~1|+|skip_connect~0|none~1|nor_conv_1x1~2|"],
}
QUICK = ("training.epochs=2", "model.width=8", "model.members=2", "model.layers=1")
HERE = Environment(Machine("6502", "", "mos", 1), "Apple II", "3.11", "", (("onnxruntime", "1"),))
COUNT = 45


def settings(*changes: str) -> list[str]:
    return [word for change in changes for word in ("--set", change)]


@pytest.mark.parametrize("space", CELLS)
def test_a_cell_finds_the_shipped_predictor_of_its_space(run: Callable[..., Any], space: str, tmp_path: Path) -> None:
    (tmp_path / "cells.txt").write_text("\n".join(CELLS[space]))
    named = json.loads(run("predict", *CELLS[space], "--predictor", space, "--json").stdout)
    for words in (CELLS[space], [str(tmp_path / "cells.txt")]):
        answer = json.loads(run("predict", *words, "--json").stdout)
        assert answer == named
        assert (answer["predictor"], answer["space"], answer["scored"]) == (space, space, len(CELLS[space]))


def test_a_cell_of_a_space_without_a_shipped_predictor_is_one_line(wrong: Callable[..., str]) -> None:
    space = SPACES["darts"]
    cell = space.format(space.sample(np.random.default_rng(0)))
    assert "name one with --predictor" in wrong("predict", cell)


@pytest.mark.parametrize("name", ["nets.txt", "nets.csv", "nets.json", "-"])
def test_lists_and_standard_input_find_their_predictors(
    run: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Whole networks in every kind of list, and cells in a pipe, need no option."""
    nets = ["squeezenet/0", "squeezenet/1"]
    contents = {"nets.csv": "architecture,x\nsqueezenet/0,1\nsqueezenet/1,2\n", "nets.json": json.dumps(nets)}
    (tmp_path / "nets").write_text(contents.get(name, "\n".join(nets)))
    if name == "-":
        monkeypatch.setattr("sys.stdin", (tmp_path / "nets").open())
        words = ["-"]
    else:
        (tmp_path / "nets").rename(tmp_path / name)
        words = [str(tmp_path / name)]
    listed = json.loads(run("predict", *words, "--json").stdout)
    assert listed == json.loads(run("predict", *nets, "--json").stdout)
    (tmp_path / "cells").write_text("\n".join(CELLS["nasbench101"]))
    monkeypatch.setattr("sys.stdin", (tmp_path / "cells").open())
    piped = json.loads(run("predict", "-", "--json").stdout)
    assert piped == json.loads(run("predict", *CELLS["nasbench101"], "--json").stdout)


# --- attributes that are no times ---


@pytest.fixture
def energy(tmp_path: Path) -> str:
    """The folder of a line in FLOPs that predicts an energy, and another one that predicts an accuracy."""
    lines = [CostLine(("flops",), (2.0,), 1.0, 0.5), CostLine(("flops",), (3.0,), 50.0, 0.5)]
    attributes = (Attribute.of("energy", "mJ"), Attribute.of("accuracy", "%"))
    targets = (Target("log"),) * 2
    save(CostLinePredictor(lines, attributes=attributes, space="networks", targets=targets), tmp_path / "energy")
    return str(tmp_path / "energy")


def test_each_attribute_is_printed_in_its_own_unit(
    run: Callable[..., Any], energy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    flops = cost(FAMILIES["squeezenet"].variant(1)).flops / 1e9
    expected = {"energy": ("mJ", 1 + 2 * flops), "accuracy": ("%", 50 + 3 * flops)}
    told = json.loads(run("predict", "squeezenet/1", "-p", energy, "--json").stdout)
    assert {answer["attribute"]: answer["unit"] for answer in told} == {"energy": "mJ", "accuracy": "%"}
    for answer in told:
        assert answer["value"] == pytest.approx(expected[answer["attribute"]][1])
    lines = [line.split("\t") for line in run("predict", "squeezenet/1", "-p", energy).stdout.splitlines()]
    assert [line[-1] for line in lines] == [f"{energy} energy", f"{energy} accuracy"]
    monkeypatch.setattr(type(terminal.out), "is_terminal", True)
    screen = " ".join(run("predict", "squeezenet/1", "-p", energy).stdout.split())
    for name, (unit, value) in expected.items():
        assert f"{name} {value:.3g} {unit} predicted" in screen
    assert " ms" not in screen
    assert "narformer adapt" not in screen


@pytest.mark.parametrize(
    ("options", "lowest_first"), [([], True), (["--descending"], False), (["--by", "energy"], True)]
)
def test_networks_come_in_the_order_of_what_is_better(
    run: Callable[..., Any], energy: str, options: list[str], lowest_first: bool
) -> None:
    nets = [f"squeezenet/{number}" for number in range(5)]
    told = json.loads(run("predict", *nets, "-p", energy, "--best", "5", *options, "--json").stdout)
    values = [answer["value"] for answer in told if answer["attribute"] == "energy"]
    assert len(values) == 5
    assert values == sorted(values, reverse=not lowest_first)


def test_networks_are_ordered_by_the_attribute_that_is_named(
    run: Callable[..., Any], wrong: Callable[..., str], energy: str
) -> None:
    nets = [f"squeezenet/{number}" for number in range(5)]
    told = json.loads(run("predict", *nets, "-p", energy, "--by", "accuracy", "--best", "3", "--json").stdout)
    values = [answer["value"] for answer in told if answer["attribute"] == "accuracy"]
    everything = json.loads(run("predict", *nets, "-p", energy, "--json").stdout)
    largest = sorted((a["value"] for a in everything if a["attribute"] == "accuracy"), reverse=True)
    assert values == largest[:3]
    alone = json.loads(run("predict", *nets, "-p", energy, "--by", "accuracy", "--json").stdout)
    assert [answer["value"] for answer in alone if answer["attribute"] == "accuracy"] == largest
    assert "Did you mean 'accuracy'" in wrong("predict", *nets, "-p", energy, "--by", "acuracy")


@pytest.mark.parametrize("better", ["higher", "lower"])
def test_cells_come_in_the_order_of_what_is_better(run: Callable[..., Any], better: Better, tmp_path: Path) -> None:
    space, rng = SPACES["nasbench101"], np.random.default_rng(0)
    cells = [space.format(space.sample(rng)) for _ in range(6)]
    tokenizer = make_tokenizer("tnasp", {"vertices": 7}, space.vocabulary)
    model = make_model("tnasp", {"width": 16, "heads": 2, "key": 4, "layers": 1, "feed_forward": 16}, tokenizer)
    attributes = (Attribute("score", better=better),)
    predictor = NeuralPredictor(model, tokenizer, attributes=attributes, space=space.name, targets=(Target(),))
    save(predictor, tmp_path / "saved")
    place = str(tmp_path / "saved")

    def values(*options: str) -> list[float]:
        ranked = json.loads(run("predict", *cells, "-p", place, *options, "--json").stdout)["ranked"]
        return [entry["value"] for entry in ranked]

    assert values() == values("--ascending" if better == "lower" else "--descending")
    assert values("--ascending") == sorted(values()) != values("--descending")
    (asked,) = jobs.ask(cells, [place])
    assert [entry.value for entry in jobs.rank(asked).ranked] == values()


# --- several labels, with gaps ---


@pytest.fixture
def gaps(tmp_path: Path) -> Path:
    """Chains with two labels; some rows have the first alone, others the second, some have neither."""
    chance, path, rows = np.random.default_rng(0), tmp_path / "chains.csv", ["architecture,a,b (ms)"]
    for row in range(120):
        ops = ["in", *chance.choice(["conv", "pool"], chance.integers(1, 6)).tolist(), "out"]
        graph = json.dumps({"ops": ops, "edges": [[i, i + 1] for i in range(len(ops) - 1)]}).replace('"', '""')
        a, b = ops.count("conv"), len(ops)
        rows.append(f'"{graph}",{"" if row % 10 == 3 else a},{"" if row % 5 == 3 else b}')
    path.write_text("\n".join(rows))
    return path


def test_two_labels_with_gaps_by_the_command_line(
    run: Callable[..., Any], wrong: Callable[..., str], gaps: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["train", "--data", str(gaps), "--label", "a", "--label", "b (ms)", "--out", str(tmp_path / "run")]
    few = settings("training.epochs=20", "model.width=12", "model.inner=8", "model.members=2", "model.layers=1")
    few += settings("pretraining.steps=5", "gaussian_process.steps=5")
    trained = run(*words, *few)
    assert trained.returncode == 0, trained.stderr
    for text in ("12 of them have no a", "24 of them have no b (ms)", "Kendall τ of a on", "Kendall τ of b (ms) on"):
        assert text in trained.stdout
    facts = json.loads(run(*words, *few, "--json").stdout)
    assert facts["table"]["unlabelled"] == {"a": 12, "b (ms)": 24}
    assert set(facts["scores"]) == {"a", "b (ms)"}
    assert min(scores["tau"] for scores in facts["scores"].values()) > 0.5
    place = str(tmp_path / "run")
    assert json.loads(run("evaluate", place, "--json").stdout) == facts["scores"]
    table = run("evaluate", place).stdout
    assert "b (ms)" in table.partition("Kendall")[0]
    first = json.loads(run("predict", str(gaps), "-p", place, "--json").stdout)
    second = json.loads(run("predict", str(gaps), "-p", place, "--by", "b (ms)", "--json").stdout)
    for answer, name, unit, other in ((first, "a", "", "b (ms)"), (second, "b (ms)", "ms", "a")):
        assert (answer["attribute"], answer["unit"], answer["label"], answer["scored"]) == (name, unit, name, 120)
        assert all([also["attribute"] for also in entry["also"]] == [other] for entry in answer["ranked"])
    values = [entry["value"] for entry in first["ranked"]]
    times = [entry["value"] for entry in second["ranked"]]
    assert values == sorted(values, reverse=True)
    assert times == sorted(times)
    of_row = {entry["row"]: entry["also"][0]["value"] for entry in first["ranked"]}
    assert [of_row[entry["row"]] for entry in second["ranked"]] == times
    lines = [line.split("\t") for line in run("predict", str(gaps), "-p", place).stdout.splitlines()]
    assert [len(line) for line in lines] == [5] * 120
    assert "Did you mean 'b (ms)'" in wrong("predict", str(gaps), "-p", place, "--by", "b (m)")
    monkeypatch.setattr(type(terminal.out), "is_terminal", True)
    assert "b (ms)" in run("predict", str(gaps), "-p", place, "-n", "2").stdout


@pytest.mark.parametrize("empty", ["", "  "])
def test_a_column_without_any_number_is_refused(wrong: Callable[..., str], tmp_path: Path, empty: str) -> None:
    rows = [f"squeezenet/{number},{number + 1},{empty}" for number in range(12)]
    (tmp_path / "table.csv").write_text("\n".join(["architecture,a,b", *rows]))
    line = wrong("train", "--data", str(tmp_path / "table.csv"), "--label", "b", "--out", str(tmp_path / "run"))
    assert "no number in column 'b'" in line


# --- stores ---


def measurement(number: int, **changes: Any) -> Measurement:
    """Of a SqueezeNet whose time is proportional to its FLOPs."""
    network = FAMILIES["squeezenet"].variant(number)
    plain = Measurement(
        fingerprint=fingerprint(network),
        name=f"squeezenet/{number}",
        device="bench, float32",
        runtime="ort",
        threads=1,
        batch=1,
        dtype="float32",
        times_ns=(cost(network).flops // 100,) * 3,
        warmup_ns=(),
        rounds=(3,),
        others=None,
        date="2026-01-01",
        environment=HERE,
    )
    return replace(plain, **changes)


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    """A store of measurements of SqueezeNets: times on two machines, and energies."""
    path = tmp_path / "measured.sqlite"
    with Store(f"sqlite:///{path}") as opened:
        for number in range(COUNT):
            network, one = FAMILIES["squeezenet"].variant(number), measurement(number)
            opened.add(one, network)
            opened.add(replace(one, runtime="openvino", times_ns=(10**9,) * 3), network)
            energies = tuple(time // 1000 for time in one.times_ns)
            opened.add(replace(one, quantity="energy", unit="mJ", times_ns=energies), network)
    return path


def test_measurements_are_learned_scored_and_asked_about(
    run: Callable[..., Any], wrong: Callable[..., str], filled: Path, tmp_path: Path
) -> None:
    words = ["train", "--store", str(filled), "--where", "runtime=ort", "--out", str(tmp_path / "run")]
    few = settings(*QUICK, "training.epochs=40")
    trained = run(*words, *few)
    assert trained.returncode == 0, trained.stderr
    count = len({measurement(number).fingerprint for number in range(COUNT)})
    for text in (f"{count} networks; 0 repeat", "Kendall τ of latency on", "predict FILES --predictor"):
        assert text in trained.stdout
    facts = json.loads(run(*words, *few, "--json").stdout)
    assert facts["scores"]["latency"]["mape"] < 20
    place = str(tmp_path / "run")
    predictor = load(tmp_path / "run" / "predictor")
    assert (predictor.attributes[0].name, predictor.attributes[0].unit) == ("latency", "ms")
    assert predictor.attributes[0].condition.runtime == "ONNX Runtime"
    assert jobs.evaluate(place) == facts["scores"]
    assert json.loads(run("evaluate", place, "--json").stdout) == facts["scores"]["latency"]
    (answer,) = jobs.predict_network("squeezenet/3", place)
    assert answer.device == "ONNX Runtime, bench, float32, 1 thread, batch 1"
    assert answer.value == pytest.approx(cost(FAMILIES["squeezenet"].variant(3)).flops / 1e8, rel=0.3)
    told = json.loads(run("predict", str(filled), "-p", place, "--json").stdout)
    assert len({one["fingerprint"] for one in told}) == len(told) == count
    with Store(f"sqlite:///{filled}") as opened:
        new = FAMILIES["alexnet"].variant(0)
        opened.add(measurement(0, fingerprint=fingerprint(new), name="alexnet/0"), new)
    assert "other measurements than when the recipe was made" in wrong("evaluate", place)
    assert "Choose another --out" in wrong(*words, *few)


def test_another_quantity_of_a_store_is_learned_by_name(run: Callable[..., Any], filled: Path, tmp_path: Path) -> None:
    words = ["train", "--store", str(filled), "--attribute", "energy", "--out", str(tmp_path / "run")]
    assert run(*words, *settings(*QUICK)).returncode == 0
    (answer,) = jobs.predict_network("squeezenet/3", str(tmp_path / "run"))
    assert (answer.attribute, answer.unit) == ("energy", "mJ")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "Choose one, with --where runtime=openvino or runtime=ort"),
        (["--where", "runtime=tflite"], "no measurements of latency, runtime 'tflite'"),
        (["--where", "runtme=ort"], "Did you mean 'runtime'"),
        (["--attribute", "power"], "no measurements of power"),
        (["--label", "latency", "--label", "energy"], "one at a time"),
        (["--data", "x.csv"], "one of --data and --store"),
    ],
)
def test_what_a_store_does_not_hold_is_one_line(
    wrong: Callable[..., str], filled: Path, tmp_path: Path, words: list[str], says: str
) -> None:
    assert says in wrong("train", "--store", str(filled), "--out", str(tmp_path / "run"), *words)
    assert not (tmp_path / "run").exists()


def test_a_store_is_asked_about_like_a_list(run: Callable[..., Any], filled: Path, energy: str) -> None:
    prints = sorted({measurement(number).fingerprint for number in range(COUNT)})
    asked = list(jobs.ask([filled], [energy]))
    assert [fingerprint(one.networks[0]) for one in asked] == prints
    told = json.loads(run("predict", str(filled), "squeezenet/0", "-p", energy, "--json").stdout)
    assert [one["fingerprint"] for one in told[::2]] == [*prints, measurement(0).fingerprint]
    without = json.loads(run("predict", str(filled), "--best", "1", "--json").stdout)
    assert {one["predictor"] for one in without} == {"latency_ort", "latency_openvino-float32"}


def test_a_store_that_is_not_there_is_one_line(wrong: Callable[..., str], energy: str, tmp_path: Path) -> None:
    missing = tmp_path / "missing.sqlite"
    assert "no such file" in wrong("predict", str(missing), "-p", energy)
    assert not missing.exists()


def test_other_attributes_are_not_scored_by_mistake(wrong: Callable[..., str], tmp_path: Path, energy: str) -> None:
    """Energy against milliseconds, or against cells, is one line."""
    assert "predicts energy, accuracy; 'ten-families' has latency_ort" in wrong(
        "evaluate", energy, "--data", "ten-families"
    )
    one = CostLinePredictor(
        [CostLine(("flops",), (2.0,), 1.0, 0.5)],
        attributes=(Attribute.of("energy", "mJ"),),
        space="networks",
        targets=(Target("log"),),
    )
    save(one, tmp_path / "one")
    assert "predicts energy in mJ; 'ten-families' has 'latency_ort' in ms" in wrong(
        "evaluate", str(tmp_path / "one"), "--data", "ten-families"
    )
    (tmp_path / "c.csv").write_text(f"architecture,energy,accuracy\n{CELLS['nasbench201'][0]},1,1\n")
    assert "predicts whole networks" in wrong("evaluate", energy, "--data", str(tmp_path / "c.csv"))


def test_an_attribute_with_hardly_any_label_does_not_end_in_a_traceback(
    run: Callable[..., Any], tmp_path: Path
) -> None:
    space, rng = SPACES["nasbench201"], np.random.default_rng(0)
    rows = [f"{space.format(space.sample(rng))},{rng.normal():.3f},{5.0 if n < 12 else ''}" for n in range(60)]
    rows = [row if row.endswith(",") else f"{row}"[:-3] + f"{rng.normal():.3f}" for row in rows]
    (tmp_path / "t.csv").write_text("architecture,a,b\n" + "\n".join(rows) + "\n")
    words = ["--data", tmp_path / "t.csv", "--label", "a", "--label", "b", "--set", "predictor.name=gaussian-process"]
    shown = run("train", *map(str, words), "--set", "predictor.steps=3", "--out", str(tmp_path / "run"))
    assert shown.returncode == 0, shown.stderr
    assert "gaussian-process trained on" in shown.stdout


def test_where_is_for_stores(wrong: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("architecture,x\nsqueezenet/0,1\n")
    assert "--where chooses among" in wrong("train", "--data", str(tmp_path / "t.csv"), "--where", "runtime=ort")
