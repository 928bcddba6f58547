"""What the program writes into a pipe: whole columns, and layers where they are asked for."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

LONG = "a_module_with_a_name_that_is_longer_than_the_line_of_a_terminal_" * 2


def piped(*words: str) -> str:
    """Standard output of the program in a process of its own, whose output is a pipe."""
    command = [sys.executable, "-m", "narformer", *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def long_names(tmp_path: Path) -> str:
    """A file of one Relu whose name does not fit into 80 columns."""
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in ("x", "y"))
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"], name=LONG)], "net", [x], [y])
    onnx.save(helper.make_model(graph), tmp_path / "net.onnx")
    return str(tmp_path / "net.onnx")


def test_a_pipe_gets_whole_columns(long_names: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")  # that of the terminal, not of the pipe
    lines = piped("inspect", long_names).splitlines()
    assert any(line.split()[:2] == [LONG, "Relu"] for line in lines)
    (flops,) = (line for line in lines if line.startswith("FLOPs  "))
    assert flops.rstrip().endswith("Relu and moves 0")


def test_layers_that_are_asked_for_are_shown_in_a_pipe(run: Callable[..., Any]) -> None:
    plain = run("predict", "squeezenet/0").stdout.splitlines()
    assert [line.split("\t")[0] for line in plain] == ["squeezenet/0"] * 2
    assert "layers by latency_ort, the longest first" in run("predict", "squeezenet/0", "--all").stdout
