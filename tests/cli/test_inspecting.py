"""`narformer inspect` of several networks, and the sizes that one command binds in several files."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper


def relu(path: Path, *sizes: str | int) -> str:
    """A file of one Relu whose input x has these sizes."""
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, sizes) for name in ("x", "y"))
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"], "r")], "net", [x], [y])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
    return str(path)


@pytest.fixture
def nets(tmp_path: Path) -> list[str]:
    """Two files that name their first size differently, and one whose sizes are all stated."""
    sizes = {"one": ("batch", 3), "two": ("N", 5), "three": (2, 7)}
    return [relu(tmp_path / f"{name}.onnx", *shape) for name, shape in sizes.items()]


BOUND = ("--dim", "batch=4", "--dim", "N=6")


def test_each_of_several_networks_has_a_screen(run: Callable[..., Any], nets: list[str]) -> None:
    result = run("inspect", *nets, "squeezenet/0", *BOUND)
    assert (result.returncode, result.stderr) == (0, "")
    heads = [line.split()[1] for line in result.stdout.splitlines() if line.startswith("network  ")]
    assert heads == ["one", "two", "three", "squeezenet/0"]
    assert result.stdout.count("by kind") == 4


def test_json_is_an_object_of_one_and_a_list_of_several(run: Callable[..., Any], nets: list[str]) -> None:
    told = json.loads(run("inspect", *nets, *BOUND, "--json").stdout)
    assert [(one["name"], one["inputs"]) for one in told] == [
        ("one", [["x", [4, 3]]]),
        ("two", [["x", [6, 5]]]),
        ("three", [["x", [2, 7]]]),
    ]
    assert json.loads(run("inspect", nets[2], "--json").stdout) == told[2]


@pytest.mark.parametrize("as_json", [False, True])
def test_a_network_that_fails_does_not_stop_the_others(
    run: Callable[..., Any], nets: list[str], tmp_path: Path, as_json: bool
) -> None:
    (tmp_path / "broken.onnx").write_bytes(b"none")
    given = [str(tmp_path / "broken.onnx"), nets[0], "resnt/0", nets[2]]
    result = run("inspect", *given, "--dim", "batch=1", *(["--json"] if as_json else []))
    assert result.returncode == 2
    first, second = result.stderr.splitlines()
    assert "broken.onnx" in first
    assert "Did you mean 'resnet'" in second
    if as_json:
        assert [one["name"] for one in json.loads(result.stdout)] == ["one", "three"]
    else:
        assert result.stdout.count("by kind") == 2


def test_several_optimised_graphs_are_shown_and_one_is_saved(
    run: Callable[..., Any], wrong: Callable[..., str], nets: list[str], tmp_path: Path
) -> None:
    pytest.importorskip("onnxruntime")
    told = json.loads(run("inspect", *nets, *BOUND, "--optimised", "ort", "--json").stdout)
    assert [one["network"] for one in told] == ["one", "two", "three"]
    refused = run("inspect", *nets, *BOUND, "--optimised", "ort", "--save", str(tmp_path / "own.onnx"))
    assert refused.returncode == 2
    assert "of a single network" in refused.stderr
    assert "Did you mean 'ort'" in wrong("inspect", *nets, *BOUND, "--optimised", "orrt")  # once, not three times


def test_a_size_that_a_file_lacks_is_for_the_others(run: Callable[..., Any], nets: list[str]) -> None:
    predicted = json.loads(run("predict", *nets, "squeezenet/0", *BOUND, "--json").stdout)
    assert list(dict.fromkeys(one["network"] for one in predicted)) == ["one", "two", "three", "squeezenet/0"]
    pytest.importorskip("onnxruntime")
    measured = json.loads(run("measure", *nets, *BOUND, "--repeats", "1", "--json").stdout)
    assert [m["batch"] for m in measured["measurements"]] == [4, 6, 2]


def test_an_input_that_a_file_lacks_is_for_the_others(run: Callable[..., Any], nets: list[str], tmp_path: Path) -> None:
    model = onnx.load(nets[0])
    model.graph.input[0].name = model.graph.node[0].input[0] = "image"
    onnx.save(model, tmp_path / "other.onnx")
    given = [nets[1], str(tmp_path / "other.onnx"), "--input", "x:2x5", "--input", "image:8x3"]
    told = json.loads(run("inspect", *given, "--json").stdout)
    assert [one["inputs"] for one in told] == [[["x", [2, 5]]], [["image", [8, 3]]]]


@pytest.mark.parametrize("command", ["inspect", "predict", "measure"])
def test_a_size_that_no_file_has_is_refused_with_what_each_has(
    run: Callable[..., Any], nets: list[str], command: str
) -> None:
    if command == "measure":
        pytest.importorskip("onnxruntime")
    result = run(command, *nets[:2], *BOUND, "--dim", "btach=1")
    assert (result.returncode, result.stdout) == (2, "")
    first, second = result.stderr.splitlines()
    assert "one.onnx has no dimension called 'btach'; it has: batch" in first
    assert "two.onnx has no dimension called 'btach'; it has: N" in second
