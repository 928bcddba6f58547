"""What a newcomer gives for a network is named, with the road from it to an answer."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from onnx import TensorProto, helper
from safetensors.torch import save_file

from narformer import jobs


def written(folder: Path, name: str) -> str:
    """A file as its makers write it; of formats whose makers are not installed, the first bytes."""
    path = folder / name
    linear = torch.nn.Linear(2, 3)
    if name == "weights.pt":
        torch.save(linear.state_dict(), path)
    elif name == "whole.pth" or name == "unnamed":
        torch.save(linear, path)
    elif name == "model.safetensors":
        save_file(linear.state_dict(), path)
    else:
        path.write_bytes(BYTES[name])
    return str(path)


BYTES = {
    "old.ckpt": b"\x80\x02}q\x00" + bytes(40),
    "graph.pb": b"\x0a\x10\x0a\x01x\x12\x0bPlaceholder",
    "model.tflite": b"\x1c\x00\x00\x00TFL3" + bytes(100),
    "model.h5": b"\x89HDF\r\n\x1a\n" + bytes(100),
    "model.keras": b"PK\x03\x04" + bytes(100),
    "model.gguf": b"GGUF\x03" + bytes(100),
    "model.ort": b"\x1c\x00\x00\x00ORTM" + bytes(100),
    "net.xml": b'<?xml version="1.0"?>\n<net name="n" version="11"></net>\n',
    "notes.md": "Notizen über Netze\n".encode(),
    "text.onnx": b"this is no model\n" * 20,
    "inputs.npy": b"\x93NUMPY\x01\x00" + bytes(100),
}


@pytest.mark.parametrize(
    ("name", "what", "remedy"),
    [
        ("weights.pt", "a PyTorch file", "torch.onnx.export("),
        ("whole.pth", "a PyTorch file", "narformer.jobs.predict_module"),
        ("unnamed", "a PyTorch file", "torch.onnx.export("),
        ("old.ckpt", "a pickle, as PyTorch wrote them", "torch.onnx.export("),
        ("model.safetensors", "a safetensors file", "weights without the network"),
        ("graph.pb", "a TensorFlow graph", "python -m tf2onnx.convert"),
        ("model.tflite", "a TensorFlow Lite model", "--tflite FILE"),
        ("model.h5", "an HDF5 file", "model.export('model.onnx', format='onnx')"),
        ("model.keras", "a Keras model", "format='onnx'"),
        ("model.gguf", "a GGUF file", "weights without the network"),
        ("model.ort", "a model in ONNX Runtime's own format", "that this one was made from"),
        ("net.xml", "a network of OpenVINO", "that this one was made from"),
        ("notes.md", "a text file", "Export the network to ONNX"),
        ("text.onnx", "a text file", "expected an ONNX model"),
        ("inputs.npy", "an array of NumPy", "not its inputs"),
    ],
)
def test_files_of_other_formats_are_named(
    wrong: Callable[..., str], tmp_path: Path, name: str, what: str, remedy: str
) -> None:
    for command in ("inspect", "predict"):
        line = wrong(command, written(tmp_path, name))
        assert f"{name}: found {what}" in line
        assert remedy in line


def test_a_model_with_another_ending_keeps_its_own_error(
    run: Callable[..., Any], wrong: Callable[..., str], tmp_path: Path
) -> None:
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, (1, 4)) for name in "xy"]
    nodes = [helper.make_node("Relu", [value], ["y"], value) for value in "xy"]
    onnx.save(helper.make_model(helper.make_graph(nodes[:1], "net", ends[:1], ends[1:])), tmp_path / "good.pb")
    assert run("inspect", str(tmp_path / "good.pb")).returncode == 0
    onnx.save(helper.make_model(helper.make_graph(nodes, "net", ends[:1], ends[1:])), tmp_path / "twice.pb")
    assert "TensorFlow" not in wrong("inspect", str(tmp_path / "twice.pb"))


@pytest.mark.parametrize(
    ("content", "inspected", "predicted"),
    [
        ("My notes\nabout networks\n", "a text file", "the first line 'My notes'; expected a list"),
        ("no/such.onnx\n", "a list of networks", "no such file"),
    ],
)
def test_a_text_is_told_from_a_list(
    wrong: Callable[..., str], tmp_path: Path, content: str, inspected: str, predicted: str
) -> None:
    path = tmp_path / "notes.txt"
    path.write_text(content)
    for command in ("inspect", "measure"):
        assert f"found {inspected}; expected an ONNX file. Name the networks one by one" in wrong(command, str(path))
    assert predicted in wrong("predict", str(path))


@pytest.mark.parametrize(
    ("net", "says"),
    [
        ("resnet", "found a family of networks without a number; expected one of its networks, such as resnet/0"),
        ("resnet50", "Did you mean 'resnet/0'?"),
        ("something", "The families are: alexnet, vgg, resnet"),
    ],
)
def test_a_family_is_named_or_all_are(wrong: Callable[..., str], net: str, says: str) -> None:
    for command in ("inspect", "measure", "predict"):
        assert says in wrong(command, net)


def test_cells_are_sent_to_predict(wrong: Callable[..., str]) -> None:
    assert "found a cell of nasbench101; expected an ONNX file" in wrong("inspect", "conv3x3 | 01 12")
    assert "`narformer predict` ranks its cells" in wrong("inspect", "nasbench101")
    assert "Did you mean 'nasbench201'?" in wrong("predict", "nasbench21")


def test_cells_and_networks_are_predicted_separately(wrong: Callable[..., str]) -> None:
    line = wrong("predict", "nasbench201", "resnet/0")
    assert "the cells 'nasbench201' and the network 'resnet/0'; expected one kind. Predict them separately" in line


def decoder(path: Path) -> str:
    """y = Concat(past, x) along the second axis; sizes: batch, past."""
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in (("x", ("batch", 1)), ("past", ("batch", "past")), ("y", ("batch", None)))
    ]
    graph = helper.make_graph([helper.make_node("Concat", ["past", "x"], ["y"], axis=1)], "net", ends[:2], ends[2:])
    onnx.save(helper.make_model(graph), path)
    return str(path)


def test_a_size_of_0_is_refused_where_nothing_is_left_to_compute(wrong: Callable[..., str], tmp_path: Path) -> None:
    path = decoder(tmp_path / "net.onnx")
    for words in (["--dim", "batch=0", "--dim", "past=4"], ["--input", "x:0x1", "--input", "past:0x4"]):
        assert "which leaves every output empty; expected 1 or more" in wrong("inspect", path, *words)
    empty_past = jobs.inspect(path, {"batch": 2, "past": 0})
    assert empty_past.outputs[0][1] == (2, 1)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["store", "show"], "no command is called 'show'. Known: export, import, query."),
        (["store", "qery", "--limit", "3"], "Did you mean 'query'?"),
        (["data", "show"], "Known: add, doctor, fetch."),
        (["inspekt", "net.onnx"], "Did you mean 'inspect'?"),
    ],
)
def test_a_command_that_is_not_known_is_one_line_with_those_that_are(
    wrong: Callable[..., str], words: list[str], says: str
) -> None:
    assert says in wrong(*words)
