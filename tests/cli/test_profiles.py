"""`measure --profile`, and what `inspect` and `predict` show of it; `inspect --optimised`."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from narformer.attributes import Attribute
from narformer.cli import profile_screens, terminal
from narformer.jobs import Compared, Comparison
from narformer.predictors import Target
from narformer.predictors.linear import CostLine, CostLinePredictor
from narformer.predictors.saved import save

CELL = "nasbench201/1462"


@pytest.fixture
def profiled(run: Callable[..., Any], tmp_path: Path) -> str:
    """A file with the profile of a cell."""
    pytest.importorskip("onnxruntime")
    path = tmp_path / "profile.json"
    result = run("measure", CELL, "--repeats", "3", "--profile", str(path))
    assert result.returncode == 0
    assert f"profiled in {path}" in result.stdout.replace("\n", "")
    return str(path)


def test_inspect_shows_measured_times_by_layer(run: Callable[..., Any], profiled: str) -> None:
    text = run("inspect", CELL, "--profile", profiled).stdout
    assert "layers by measured time, the slowest first" in text
    assert "predicted" not in text
    assert "medians of 3 runs" in " ".join(text.split())
    told = json.loads(run("inspect", CELL, "--profile", profiled, "--json").stdout)["comparison"]
    assert sum(layer["measured_ms"] for layer in told["layers"]) == pytest.approx(told["nodes_ms"])
    assert told["layers"] == sorted(told["layers"], key=lambda layer: -layer["measured_ms"])
    assert json.loads(run("inspect", CELL, "--json").stdout)["comparison"] is None


def test_predict_shows_predicted_beside_measured(
    run: Callable[..., Any], profiled: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = json.loads(run("predict", CELL, "--profile", profiled, "--json").stdout)
    for answer in answers:
        told = answer["comparison"]
        assert told["predicted_ms"] == answer["value"]
        assert sum(layer["predicted_ms"] or 0 for layer in told["layers"]) == pytest.approx(answer["value"])
    for terminal_there in (False, True):  # a pipe gets the same
        monkeypatch.setattr(terminal.out, "_force_terminal", terminal_there)
        text = run("predict", CELL, "--profile", profiled).stdout
        assert "ms measured" in text
        assert "predicted (" in text
        assert text.count("layers by measured time") == 1
        assert "layers by latency" not in text


def test_a_profile_is_of_no_use_without_a_latency(wrong: Callable[..., str], profiled: str, tmp_path: Path) -> None:
    lines = [CostLine(("flops",), (2.0,), 1.0, 0.5)]
    energy = CostLinePredictor(
        lines, attributes=(Attribute.of("energy", "mJ"),), space="networks", targets=(Target("log"),)
    )
    save(energy, tmp_path / "energy")
    line = wrong("predict", CELL, "--predictor", str(tmp_path / "energy"), "--profile", profiled)
    assert "predictions of energy; expected a latency" in line


def test_a_wrong_profile_is_one_line(wrong: Callable[..., str], profiled: str, tmp_path: Path) -> None:
    for command in ("inspect", "predict"):
        assert f"profiles of other networks ({CELL})" in wrong(command, "squeezenet/0", "--profile", profiled)
        assert "no such file" in wrong(command, CELL, "--profile", str(tmp_path / "none.json"))


def test_only_onnx_runtime_is_profiled(run: Callable[..., Any], tmp_path: Path) -> None:
    result = run("measure", CELL, "--runtime", "openvino", "--profile", str(tmp_path / "p.json"))
    assert result.returncode == 2
    assert "--runtime ort" in result.stderr
    assert not (tmp_path / "p.json").exists()


@pytest.mark.parametrize("place", [".", "no/such/folder/p.json"])
def test_a_place_that_cannot_hold_a_profile_is_refused_before_measuring(
    run: Callable[..., Any], store: Path, place: str
) -> None:
    result = run("measure", CELL, "--profile", place)
    assert result.returncode == 2
    assert "--profile" in result.stderr
    assert not store.exists()


def test_cells_have_no_profile(run: Callable[..., Any], profiled: str) -> None:
    result = run("predict", "conv3x3 | 01 12", "--profile", profiled)
    assert result.returncode == 2
    assert "cells have no profile" in result.stderr


def test_the_graph_of_a_runtime_is_shown_and_saved(run: Callable[..., Any], tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    path = tmp_path / "own.onnx"
    text = run("inspect", CELL, "--optimised", "ort", "--save", str(path)).stdout
    assert f"makes of {CELL}" in text
    assert "coverage" in text
    assert f"saved to {path}" in text.replace("\n", "")
    told = json.loads(run("inspect", CELL, "--optimised", "ort", "--json").stdout)
    assert told["network"] == CELL
    assert told["graph"]["fingerprint"] == json.loads(run("inspect", str(path), "--json").stdout)["fingerprint"]


def test_what_openvino_executes_is_listed(run: Callable[..., Any]) -> None:
    pytest.importorskip("openvino")
    text = run("inspect", CELL, "--optimised", "openvino").stdout
    for word in ("Convolution", "implementation", "layout", "replaces"):
        assert word in text
    told = json.loads(run("inspect", CELL, "--optimised", "openvino", "--json").stdout)
    assert "Convolution" in {operation["kind"] for operation in told["graph"]["operations"]}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--save", "x.onnx"], "--optimised ort"),
        (["--optimised", "ort", "--profile", "x.json"], "--profile"),
    ],
)
def test_options_that_do_not_fit_together(run: Callable[..., Any], words: list[str], says: str) -> None:
    result = run("inspect", CELL, *words)
    assert result.returncode == 2
    assert says in result.stderr


def comparison(plain_ms: float, added_ms: float) -> Comparison:
    layer = Compared("[red]x", "", "Conv", ("Relu",), ("own.Conv",), 2.0, 4.0, 0.8)
    own = Compared("", "", "runtime's own", (), ("own.Out x 2",), None, 1.0, 0.2)
    return Comparison("board", "2026", 6.0, plain_ms, 5.0, added_ms, 3, 3.0, (layer, own))


@pytest.mark.parametrize(
    ("plain_ms", "says"),
    [
        (5.5, ""),
        (3.0, "runs took 0.5 times as long"),
        (12.0, "a run took 2.4 times as long as its nodes"),
    ],
)
def test_doubts_about_a_profile_are_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, plain_ms: float, says: str
) -> None:
    monkeypatch.setattr(terminal.out, "width", 100)
    profile_screens.print_comparison(comparison(plain_ms, 0.004), everything=True)
    text = capsys.readouterr().out
    assert says in text
    assert (" times as long" in text) == bool(says)
    assert "[red]x" in text  # markup in a name is not interpreted
    assert "Conv + Relu" in text
    assert "6 ms measured, 3 ms predicted (-50%)" in text
    assert f"5 ms in nodes, of {plain_ms:.3g} ms" in text
    assert "without 4 µs that profiling adds to each node" in " ".join(text.split())
    (line,) = (line for line in text.splitlines() if "runtime's own" in line)
    assert line.split()[2:] == ["Out", "x", "2", "–", "1", "20.0", "███"]
    profile_screens.print_comparison(comparison(plain_ms, 0.0), everything=False)
    assert "profiling adds" not in capsys.readouterr().out
