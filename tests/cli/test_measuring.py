"""`narformer measure`: what it shows, what it keeps, and one line for everything that it refuses."""

import importlib.util
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from narformer import jobs
from narformer.cli.measuring import four_digits
from narformer.formats.onnx_writer import to_onnx
from narformer.jobs import measuring
from narformer.measure import RUNTIMES, environment
from narformer.network import Architecture, Op
from narformer.store import Store

MODULES = {"ort": "onnxruntime", "openvino": "openvino", "openvino-float32": "openvino"}
INSTALLED = [name for name in RUNTIMES if importlib.util.find_spec(MODULES[name])]
CELL = "nasbench201/1462"
NEEDS_ORT = pytest.mark.skipif("ort" not in INSTALLED, reason="onnxruntime is not installed")


def open_batch(folder: Path, change: Callable[[onnx.ModelProto], object] = lambda model: None) -> Path:
    """A convolution whose batch is open, its weights inside."""
    ops = (
        Op.of("Input", (4, 3, 8, 8)),
        Op.of("Conv", (4, 4, 8, 8), kernel_shape=(3, 3), pads=(1, 1, 1, 1)),
    )
    model = onnx.load_from_string(to_onnx(Architecture(ops, ((0, 1),)), "random", np.random.default_rng(0)))
    for value in (model.graph.input[0], model.graph.output[0]):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    change(model)
    path = folder / "net.onnx"
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.skipif(not INSTALLED, reason="no runtime is installed")
def test_it_measures_a_file_and_a_family_on_every_runtime(run: Callable[..., Any], tmp_path: Path, store: Path) -> None:
    path = open_batch(tmp_path)
    runtimes = [word for name in INSTALLED for word in ("--runtime", name)]
    result = run("measure", str(path), CELL, *runtimes, "--repeats", "9", "--dim", "batch=2", "--device", "bench")
    assert result.returncode == 0
    assert "bench, 1 thread" in result.stdout
    for heading in ("median", "95 %", "spread", "FLOPs", "GFLOP/s", "batch"):
        assert heading in result.stdout
    assert f"kept in sqlite:///{store}" in result.stdout.replace("\n", "")
    with Store(f"sqlite:///{store}") as opened:
        found = opened.find()
    assert {(m.name, m.runtime, m.batch, len(m.times_ns)) for m in found} == {
        (name, runtime, batch, 9) for name, batch in (("net", 2), (CELL, 1)) for runtime in INSTALLED
    }


@NEEDS_ORT
def test_json_holds_raw_times_and_what_they_say(run: Callable[..., Any]) -> None:
    told = json.loads(run("measure", CELL, "--repeats", "12", "--rounds", "4", "--warmup", "1", "--json").stdout)
    (m,) = told["measurements"]
    assert told["failed"] == []
    assert (m["name"], m["runtime"], m["threads"], m["dtype"]) == (CELL, "ort", 1, "float32")
    assert (len(m["times_ns"]), m["rounds"], len(m["warmup_ns"])) == (12, [3, 3, 3, 3], 4)
    assert m["median_ms"] == pytest.approx(np.median(m["times_ns"]) / 1e6)
    assert m["interval_ms"][0] <= m["median_ms"] <= m["interval_ms"][1]
    assert m["gflops_per_s"] == pytest.approx(m["flops"] / m["median_ms"] / 1e6)
    assert m["environment"]["machine"]["cpu"]
    assert isinstance(m["unstable"], list)


@NEEDS_ORT
def test_doubts_stand_below_the_table(run: Callable[..., Any]) -> None:
    result = run("measure", CELL, "--repeats", "3")
    assert f"{CELL} ort: 3 times are too few to estimate the error of the median" in result.stdout
    assert result.stdout.count("too few") == 1
    both = run("measure", CELL, "nasbench201/7", "--repeats", "3").stdout
    assert f"{CELL} ort, nasbench201/7 ort: 3 times are too few" in both


@NEEDS_ORT
def test_an_interrupt_keeps_and_shows_what_is_complete(
    run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, store: Path
) -> None:
    monkeypatch.setattr(measuring, "GROUP_NETWORKS", 1)
    original, calls = measuring.measure_rounds, []

    def interrupted(*arguments: Any, **more: Any) -> Any:
        calls.append(1)
        if len(calls) > 1:
            raise KeyboardInterrupt
        return original(*arguments, **more)

    monkeypatch.setattr(measuring, "measure_rounds", interrupted)
    result = run("measure", CELL, "nasbench201/7", "nasbench201/8", "--repeats", "6")
    assert result.returncode == 130
    assert CELL in result.stdout
    assert result.stderr.strip() == "interrupted: 1 of 3 networks have times; they are shown and kept"
    with Store(f"sqlite:///{store}") as opened:
        assert [m.name for m in opened.find()] == [CELL]


@NEEDS_ORT
def test_what_was_complete_before_an_error_is_shown(
    run: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measuring, "GROUP_NETWORKS", 1)
    stripped = open_batch(tmp_path, lambda model: model.graph.initializer[0].ClearField("raw_data"))
    result = run("measure", CELL, str(stripped), "--repeats", "6", "--dim", "batch=1")
    assert result.returncode == 2
    assert CELL in result.stdout
    assert "net: ONNX Runtime refuses it" in result.stderr
    assert len(result.stderr.splitlines()) == 1


@NEEDS_ORT
def test_what_a_runtime_refuses_keeps_no_other_network_from_being_measured(
    run: Callable[..., Any], tmp_path: Path, store: Path
) -> None:
    stripped = open_batch(tmp_path, lambda model: model.graph.initializer[0].ClearField("raw_data"))
    result = run("measure", CELL, str(stripped), "nasbench201/7", "--repeats", "3", "--dim", "batch=1")
    assert result.returncode == 2
    assert "net: ONNX Runtime refuses it" in result.stderr
    with Store(f"sqlite:///{store}") as opened:
        assert {m.name for m in opened.find()} == {CELL, "nasbench201/7"}


@NEEDS_ORT
@pytest.mark.parametrize("as_json", [False, True])
def test_no_network_that_fails_keeps_another_from_being_measured(
    run: Callable[..., Any], tmp_path: Path, store: Path, as_json: bool
) -> None:
    """Unread, unknown, without its weights, refused: each is named at the end, and the others have times."""
    (tmp_path / "text.onnx").write_text("this is no model\n" * 20)
    stripped = open_batch(tmp_path, lambda model: model.graph.initializer[0].ClearField("raw_data"))
    stripped = stripped.rename(tmp_path / "stripped.onnx")

    def refer(model: onnx.ModelProto) -> None:
        model.graph.initializer[0].data_location = TensorProto.EXTERNAL
        model.graph.initializer[0].external_data.add(key="location", value="gone.bin")

    lost = open_batch(tmp_path, refer).rename(tmp_path / "lost.onnx")
    good = open_batch(tmp_path)
    nets = [
        str(tmp_path / "text.onnx"),
        CELL,
        str(stripped),
        "resnt/0",
        str(lost),
        str(good),
        str(tmp_path / "no.onnx"),
    ]
    result = run("measure", *nets, "--repeats", "3", "--dim", "batch=1", *(["--json"] if as_json else []))
    assert result.returncode == 2
    line = " ".join(result.stderr.split())
    for reason in (
        "text.onnx: found",
        "stripped: ONNX Runtime refuses",
        "'resnt'",
        "gone.bin",
        "no.onnx: found no such",
    ):
        assert reason in line
    with Store(f"sqlite:///{store}") as opened:
        assert {m.name for m in opened.find()} == {CELL, "net"}
    if as_json:
        told = json.loads(result.stdout)
        assert [m["name"] for m in told["measurements"]] == [CELL, "net"]
        assert [(Path(f["network"]).stem, f["runtime"]) for f in told["failed"]] == [
            ("text", ""), ("0", ""), ("no", ""), ("stripped", "ort"), ("lost", "ort"),
        ]  # fmt: skip
        assert "gone.bin" in told["failed"][-1]["reason"]


@NEEDS_ORT
def test_an_input_without_stated_sizes_is_given_one(run: Callable[..., Any], wrong: Callable[..., str], tmp_path: Path):
    def forget(model: onnx.ModelProto) -> None:
        for value in (model.graph.input[0], model.graph.output[0]):
            value.type.tensor_type.shape.dim[0].Clear()

    path = str(open_batch(tmp_path, forget))
    assert "--input" in wrong("measure", path)
    shape = ["--input", "Input_0:2x3x8x8"]
    assert run("measure", path, *shape, "--repeats", "3").returncode == 0
    found = json.loads(run("store", "query", "--network", path, *shape, "--json").stdout)
    assert [m["batch"] for m in found["measurements"]] == [2]


@NEEDS_ORT
def test_a_link_is_followed(run: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "link.onnx").symlink_to(open_batch(tmp_path))
    assert run("measure", str(tmp_path / "link.onnx"), "--dim", "batch=1", "--repeats", "1").returncode == 0


@NEEDS_ORT
@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--threads", "999999999999"], "one for each core"),
        (["--dim", "batch=40000000"], "values; expected 1 to"),
        (["--dim", "batch=0"], "0"),
    ],
)
def test_what_the_machine_cannot_hold_is_refused(
    wrong: Callable[..., str], tmp_path: Path, words: list[str], says: str
) -> None:
    bound = [] if "--dim" in words else ["--dim", "batch=1"]
    assert says in wrong("measure", str(open_batch(tmp_path)), *bound, *words)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["resnet/0", "--runtime", "orrt"], ["orrt", "Did you mean 'ort'"]),
        (["missing.onnx"], ["missing.onnx", "no such file", "resnet/0"]),
        (["resnet"], ["resnet/0"]),
        (["resnt/0"], ["resnt", "Did you mean 'resnet'"]),
        (["resnet/-1"], ["-1"]),
        (["nasbench201/15625"], ["15624"]),
        (["."], ["not a regular file"]),
        (["n" * 5000], ["no such file"]),
        ([CELL, "--store", "n" * 5000], ["too long"]),
        ([CELL, "--dim", "batch=1"], ["batch"]),
        ([CELL, "--dim", "batch"], ["batch=1"]),
        ([CELL, "--store", "mysql://me:secret@host/x"], ["mysql", "me:***@host"]),
        ([CELL, "--store", "no/such/store.sqlite"], ["unable to open"]),
        ([CELL, "--store", "."], ["a folder"]),
    ],
)
def test_wrong_words_are_one_line(
    wrong: Callable[..., str], words: list[str], says: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for runtime in INSTALLED or pytest.skip("no runtime is installed"):
        line = wrong("measure", *words, *([] if "--runtime" in words else ["--runtime", runtime]))
        assert not [word for word in says if word not in line], line
        assert "secret" not in line


def test_open_dimensions_are_asked_for(wrong: Callable[..., str], tmp_path: Path) -> None:
    path = str(open_batch(tmp_path))
    for name in INSTALLED:
        assert "--dim batch=1" in wrong("measure", path, "--runtime", name)
        assert "it has: batch" in wrong("measure", path, "--runtime", name, "--dim", "btach=1")


def test_hostile_files_are_refused_before_a_runtime_sees_them(wrong: Callable[..., str], tmp_path: Path) -> None:
    def refer(model: onnx.ModelProto) -> None:
        model.graph.initializer[0].data_location = TensorProto.EXTERNAL
        model.graph.initializer[0].external_data.add(key="location", value="../../etc/passwd")

    path = open_batch(tmp_path, refer)
    (tmp_path / "link.onnx").symlink_to(path)
    (tmp_path / "text.onnx").write_text("this is no model\n" * 20)
    (tmp_path / "many.onnx").write_bytes(b"\x3a\xc0\x84\x3d" + b"\x0a\x00" * 500_000)  # a graph of half a million nodes
    for name in INSTALLED:
        words = ["--runtime", name, "--dim", "batch=1"]
        line = wrong("measure", str(path), *words)
        assert "net.onnx: found weights in the file '../../etc/passwd'" in line
        assert "weights in the file" in wrong("measure", str(tmp_path / "link.onnx"), *words)
        assert "expected an ONNX model" in wrong("measure", str(tmp_path / "text.onnx"), *words)
        assert "at most 200,000" in wrong("measure", str(tmp_path / "many.onnx"), *words)


@pytest.mark.parametrize("name", RUNTIMES)
def test_a_runtime_that_is_not_installed_says_what_to_install(
    name: str, wrong: Callable[..., str], monkeypatch: pytest.MonkeyPatch, store: Path
) -> None:
    monkeypatch.setitem(sys.modules, MODULES[name], None)
    others = [word for other in INSTALLED if other != name for word in ("--runtime", other)]
    assert "pip install 'narformer[measure]'" in wrong("measure", CELL, *others, "--runtime", name)
    assert not store.exists()  # nor did another runtime begin


@NEEDS_ORT
def test_another_machine_under_the_same_name_is_one_line(wrong: Callable[..., str], store: Path) -> None:
    (first,) = jobs.measure([CELL], plan=jobs.Plan(repeats=1), device="bench")
    here = environment()
    elsewhere = replace(here, machine=replace(here.machine, cpu="6502"))
    with Store(f"sqlite:///{store}") as opened:
        architecture = opened.architecture(first.measurement.fingerprint)
        opened.add(replace(first.measurement, device="phone, float32", environment=elsewhere), architecture)
    assert "device 'phone, float32' is another machine" in wrong("measure", CELL, "--device", "phone")


def test_a_device_is_called_something_printable(run: Callable[..., Any]) -> None:
    result = run("measure", CELL, "--device", "two\nlines")
    assert result.returncode == 2
    assert "--device" in result.stderr


@pytest.mark.parametrize(
    ("ms", "text"), [(0.00123456, "0.001235"), (7.2, "7.2"), (57.214, "57.21"), (1234.5, "1234"), (12345.6, "12,346")]
)
def test_times_have_four_digits_that_count(ms: float, text: str) -> None:
    assert four_digits(ms) == text
