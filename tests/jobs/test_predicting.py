"""The latency of a network without running it: one answer by every route, parts that add up, and a word of warning."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from narformer import jobs
from narformer.attributes import Condition
from narformer.cli import app, network_screens
from narformer.errors import BadArchitecture, BadFile, BadPredictor, BadRecipe, NotAnswered
from narformer.formats.onnx_writer import to_onnx
from narformer.jobs import known_predictors
from narformer.network import Architecture, Op, canonical
from narformer.predictors import saved
from narformer.spaces.families import FAMILIES, TEN
from narformer.tokens.kernels import KernelTokenizer

CELL = "|nor_conv_3x3~0|+|none~0|none~1|+|skip_connect~0|none~1|nor_conv_1x1~2|"


def predict_one(*words, **more) -> jobs.NetworkPrediction:
    """The one prediction of one predictor of one attribute."""
    (answer,) = jobs.predict_network(*words, **more)
    return answer


def predict_module(*words) -> jobs.NetworkPrediction:
    """As predict_one, of a module."""
    (answer,) = jobs.predict_module(*words)
    return answer


@pytest.fixture(scope="module")
def folder(tmp_path_factory, tiny_predictor) -> str:
    """A predictor of SqueezeNets that has learned next to nothing."""
    path = tmp_path_factory.mktemp("latency") / "predictor"
    saved.save(tiny_predictor(np.linspace(1, 9, 40), Condition(device="a device that nobody has")), path)
    return str(path)


def test_parts_add_up_and_name_what_the_file_names(folder, tmp_path):
    network = FAMILIES["squeezenet"].variant(3)
    (tmp_path / "net.onnx").write_bytes(to_onnx(network, "none"))
    answer = predict_one(tmp_path / "net.onnx", folder)
    assert (answer.unit, answer.device) == ("ms", "a device that nobody has")
    assert 0 < answer.low < answer.value < answer.high
    assert sum(layer.value for layer in answer.layers) == pytest.approx(answer.value)
    assert [layer.value for layer in answer.layers] == sorted((layer.value for layer in answer.layers), reverse=True)
    computed = sum(1 + len(layer.joined) for layer in answer.layers)
    assert computed == sum(op.kind != "Input" for op in canonical(network).ops)
    assert all(layer.name for layer in answer.layers)
    assert sum(count for _, count, _, _ in answer.kinds()) == len(answer.layers)
    assert sum(value for _, _, value, _ in answer.kinds()) == pytest.approx(answer.value)
    assert answer.in_domain
    by_name = predict_one("squeezenet/3", folder)
    assert (by_name.value, by_name.fingerprint) == (answer.value, answer.fingerprint)


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, bias=False), nn.BatchNorm2d(8), nn.ReLU())
        nn.init.normal_(self.stem[1].running_mean)  # the exporter drops a bias of zeros, which fresh statistics give
        self.head = nn.Linear(8, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.stem(x).mean((2, 3)))


def test_a_module_and_its_file_have_one_answer(folder, tmp_path):
    pytest.importorskip("onnxscript", reason="torch's exporter needs it")
    example = torch.zeros(1, 3, 32, 32)
    torch.onnx.export(Small().eval(), (example,), tmp_path / "small.onnx", dynamo=True, verbose=False)
    module = predict_module(Small(), [example], folder)
    file = predict_one(tmp_path / "small.onnx", folder)
    assert module.fingerprint == file.fingerprint
    assert module.value == file.value
    assert any("stem" in layer.module for layer in module.layers)


@pytest.mark.parametrize("family", TEN)
def test_the_layers_are_those_behind_the_value(family, folder):
    """Of ways of writing that a canonical form unifies, too: x sigmoid(x), BatchNormalization, a global pool."""
    answer, loaded = predict_one(f"{family}/0", folder), saved.load(Path(folder))
    batch = loaded.tokenizer.batch([FAMILIES[family].variant(0)])
    with torch.no_grad():
        sums_E = loaded.model.kernels(batch).exp().sum(1)
    assert loaded.targets[0].inverse(sums_E.log().mean().numpy()) == pytest.approx(answer.value, rel=1e-4)
    assert len(answer.layers) == len(batch.x_NF)
    assert all(layer.name for layer in answer.layers)


def test_what_became_one_has_the_name_of_what_does_the_work(folder):
    layers = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.SiLU(), nn.Conv2d(8, 8, 3), nn.Sigmoid())
    answer = predict_module(layers, torch.zeros(1, 3, 32, 32), folder)
    told = sorted((layer.module, layer.kind, layer.joined) for layer in answer.layers)
    assert told == [("0", "Conv", ("Swish",)), ("3", "Conv", ("Sigmoid",))]


def test_a_single_input_may_come_without_a_list(folder):
    layers, example = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU()), torch.zeros(2, 3, 16, 16)
    one, other = (predict_module(layers, given, folder) for given in (example, [example]))
    assert one == other
    assert one.macs == 2 * 8 * 14 * 14 * 27


def test_another_batch_or_precision_than_was_measured_is_out_of_the_domain(tmp_path, tiny_predictor):
    measured = tiny_predictor(
        np.linspace(1, 9, 40), Condition(device="a device", threads=1, batch=1, precision="float32")
    )
    saved.save(measured, tmp_path / "measured")
    network = FAMILIES["squeezenet"].variant(3)
    onnx_bytes = to_onnx(network, "none")
    (tmp_path / "own.onnx").write_bytes(onnx_bytes)
    model = onnx.load_from_string(onnx_bytes)
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.elem_type = onnx.TensorProto.FLOAT16
    for tensor in model.graph.initializer:
        tensor.data_type = onnx.TensorProto.FLOAT16
    onnx.save(model, tmp_path / "half.onnx")
    model = onnx.load_from_string(onnx_bytes)
    name = model.graph.input[0].name
    place = str(tmp_path / "measured")
    shape = {name: (4, *FAMILIES["squeezenet"].variant(3).ops[0].shape[1:])}
    own, half = (predict_one(tmp_path / f"{name}.onnx", place) for name in ("own", "half"))
    many = predict_one(tmp_path / "own.onnx", place, shapes=shape)
    assert (own.unlike, own.in_domain) == ((), True)
    assert (half.unlike, half.in_domain) == (("float16, measured with float32",), False)
    assert (many.unlike, many.in_domain) == (("batch 4, measured with batch 1",), False)
    double = predict_module(Small().double(), torch.zeros(1, 3, 32, 32).double(), place)
    assert double.unlike == ("float64, measured with float32",)


def test_a_module_is_not_taken_for_a_path(folder):
    with pytest.raises(BadArchitecture, match=r"found Small; expected a path.*predict_module takes"):
        jobs.predict_network(Small(), folder)


def test_a_mask_before_the_data_is_not_taken_for_the_batch():
    ops = (Op.of("Input", (16, 16)), Op.of("Input", (1, 16, 16)), Op.of("Add", (1, 16, 16)))
    assert predict_one(Architecture(ops, ((0, 2), (1, 2)), "masked"), "latency_ort").unlike == ()


def test_networks_of_families_leave_nothing_open(folder):
    for dims, shapes in (({"batch": 4}, {}), ({}, {"Input_0": (4, 3, 224, 224)})):
        with pytest.raises(BadArchitecture, match="dimensions are all fixed"):
            predict_one("squeezenet/0", folder, dims, shapes)


def test_one_broken_file_does_not_lose_the_others(folder, tmp_path):
    (tmp_path / "broken.onnx").write_bytes(b"none")
    nets = ["squeezenet/0", str(tmp_path / "broken.onnx"), "squeezenet/1", "nofamily/3"]
    result = CliRunner().invoke(app, ["predict", *nets, "--predictor", folder, "--json"])
    assert [answer["network"] for answer in json.loads(result.stdout)] == ["squeezenet/0", "squeezenet/1"]
    assert isinstance(result.exception, NotAnswered)
    assert [name for name, _ in result.exception.failures] == [nets[1], nets[3]]
    assert all(
        name in reason for name, reason in zip(("broken.onnx", "nofamily"), result.exception.reasons, strict=True)
    )


def test_what_is_far_or_not_counted_is_flagged(folder):
    far = predict_one("alexnet/0", folder)
    assert not far.in_domain
    assert far.distance > 1

    class Strange(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.angle(torch.relu(x))

    strange = predict_module(Strange(), [torch.zeros(1, 3, 8, 8)], folder)
    assert strange.uncounted == 1
    assert not strange.in_domain


def test_what_is_given_and_the_predictor_go_together_or_both_are_named(folder, tmp_path):
    (tmp_path / "MODEL.ONNX").write_bytes(b"none")
    (tmp_path / "README.md").write_text("none")
    (tmp_path / "cells.csv").write_text("architecture,top1\n")
    for name in ("MODEL.ONNX", "README.md", ""):  # the last is a folder
        assert jobs.suited([str(tmp_path / name)]) == jobs.suited(["resnet/0"])
        with pytest.raises(BadFile):
            predict_one(tmp_path / name, folder)
    for net in (str(tmp_path / "MODEL.ONNX"), "resnet/0"):
        with pytest.raises(BadPredictor, match="'nasbench201' predicts cells of nasbench201; found the network"):
            list(jobs.ask([net], ["nasbench201"]))
    with pytest.raises(BadFile, match="Name the networks one by one"):
        predict_one(tmp_path / "cells.csv", folder)


def test_a_predictor_of_cells_is_refused(folder):
    with pytest.raises(BadPredictor, match="'nasbench201' predicts cells of nasbench201; found the network 'resnet/0'"):
        predict_one("resnet/0", "nasbench201")
    with pytest.raises(BadPredictor, match="'nasbench201' predicts cells of nasbench201; found the network"):
        predict_module(nn.Conv2d(3, 8, 3), torch.zeros(1, 3, 8, 8), "nasbench201")
    assert jobs.load_predictor(folder).reads_networks
    assert not jobs.load_predictor("nasbench201").reads_networks


def test_the_command_tells_it_in_json_in_lines_and_on_a_screen(folder, monkeypatch):
    words = ["predict", "squeezenet/1", "squeezenet/2", "--predictor", folder]
    expected = [predict_one(net, folder) for net in words[1:3]]
    told = json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)
    assert told == json.loads(json.dumps([dataclasses.asdict(answer) for answer in expected]))
    lines = CliRunner().invoke(app, words).stdout.splitlines()
    assert [line.split("\t")[0] for line in lines] == ["squeezenet/1", "squeezenet/2"]
    assert float(lines[0].split("\t")[1]) == pytest.approx(expected[0].value, rel=1e-4)
    monkeypatch.setattr(type(network_screens.out), "is_terminal", True)
    screen = CliRunner().invoke(app, [*words[:2], *words[3:]]).stdout
    for text in ("trust", "in the domain", "90%", "by kind", "cum. %", expected[0].layers[0].name):
        assert text in screen


def test_networks_are_put_in_the_order_that_is_asked_for(folder):
    nets = [f"squeezenet/{number}" for number in range(4)]
    values = sorted(predict_one(net, folder).value for net in nets)
    words = ["predict", *nets, "--predictor", folder, "--json"]
    for options, expected in ((["--ascending"], values), (["--best", "2"], values[:2])):  # the fastest are best
        told = json.loads(CliRunner().invoke(app, [*words, *options]).stdout)
        assert [answer["value"] for answer in told] == expected
    refused = CliRunner().invoke(app, [*words, "--device", "cudda"])
    assert isinstance(refused.exception, BadRecipe)
    assert "no device 'cudda'" in str(refused.exception)


def test_lists_and_tables_of_networks_are_read_from_where_they_lie(folder, tmp_path):
    (tmp_path / "own.onnx").write_bytes(to_onnx(FAMILIES["squeezenet"].variant(3), "none"))
    (tmp_path / "table.csv").write_text("architecture,latency_ms\nsqueezenet/1,3\nown.onnx,4\n")
    (tmp_path / "list.txt").write_text("own.onnx\n")
    (tmp_path / "none.json").write_text("[]")
    files = [tmp_path / "table.csv", tmp_path / "list.txt"]
    told = [float(asked.answers[folder].value_NT[0, 0]) for asked in jobs.ask(files, [folder])]
    expected = [predict_one(net, folder).value for net in ("squeezenet/1", "squeezenet/3")]
    assert told == [*expected, expected[1]]
    with pytest.raises(BadArchitecture, match="no network was given"):
        list(jobs.ask([tmp_path / "none.json"], [folder]))


def test_in_a_pipe_what_must_not_be_trusted_is_told_beside_the_answer(folder):
    result = CliRunner().invoke(app, ["predict", "alexnet/0", "squeezenet/1", "--predictor", folder])
    assert len(result.stdout.splitlines()) == 2
    (line,) = result.stderr.splitlines()
    assert "alexnet/0" in line
    assert "OUT OF DOMAIN" in line


def test_a_network_that_computes_nothing_is_refused(folder):
    for nothing in (nn.Identity(), nn.Dropout()):
        with pytest.raises(BadArchitecture, match="no operation that takes any time"):
            predict_module(nothing, torch.zeros(1, 3, 8, 8), folder)


def test_several_predictors_share_what_they_ask_of_a_network(folder, monkeypatch):
    told = []
    network = KernelTokenizer.network
    monkeypatch.setattr(KernelTokenizer, "network", lambda *of: told.append(of) or network(*of))
    shutil.copytree(folder, other := folder + "-other", dirs_exist_ok=True)
    (asked,) = jobs.ask(["squeezenet/17"], [folder, other])
    answers = jobs.predictions(asked)
    assert len(answers) == 2
    assert len(told) == 1


def test_a_folder_that_was_moved_still_answers(folder, tmp_path):
    moved = Path(shutil.copytree(folder, tmp_path / "moved"))
    assert predict_one("squeezenet/5", str(moved)).value == predict_one("squeezenet/5", folder).value


@pytest.fixture
def two_shipped(folder, tmp_path, monkeypatch):
    """Two predictors of latency and one of cells ship with the package."""
    for name in ("latency-here", "latency-there"):
        shutil.copytree(folder, tmp_path / "shipped" / name)
    shutil.copytree(known_predictors.PRETRAINED / "nasbench201", tmp_path / "shipped" / "cells")
    monkeypatch.setattr(known_predictors, "PRETRAINED", tmp_path / "shipped")
    return ("latency-here", "latency-there")


def test_without_a_predictor_all_that_suit_answer(two_shipped, monkeypatch):
    assert jobs.suited(["squeezenet/1", "my/model.onnx"]) == two_shipped
    for nets in (["nasbench201"], [CELL], [CELL, CELL], ["|nor_conv_3x3~0|"]):
        assert jobs.suited(nets) == ("cells",)
    told = json.loads(CliRunner().invoke(app, ["predict", "squeezenet/1", "--json"]).stdout)
    assert [answer["predictor"] for answer in told] == list(two_shipped)
    lines = CliRunner().invoke(app, ["predict", "squeezenet/1"]).stdout.splitlines()
    assert [line.split("\t")[-1] for line in lines] == list(two_shipped)
    monkeypatch.setattr(type(network_screens.out), "is_terminal", True)
    screen = CliRunner().invoke(app, ["predict", "squeezenet/1"]).stdout
    assert screen.count("trust") == 2
    assert screen.count("narformer adapt") == 1
    assert screen.count("layers by latency-here") == 1
    assert screen.count("by kind") == 1


@pytest.mark.usefixtures("two_shipped")
@pytest.mark.parametrize(
    ("nets", "error", "says"),
    [
        (["my cell"], BadFile, "no such file"),
        ([CELL, "my cell"], BadFile, "my cell: found no such file"),
        (["nasbench201", "squeezenet/1"], BadPredictor, "the cells 'nasbench201' and the network 'squeezenet/1'"),
        (["nasbench201", "nasbench101"], BadPredictor, "cells of nasbench101 and nasbench201; expected cells of one"),
        (
            ["nasbench101"],
            BadPredictor,
            "of nasbench101; name one with --predictor: cells, or a run's folder",
        ),
    ],
)
def test_where_it_is_not_plain_which_predictor_is_meant_the_reason_is_told(nets, error, says):
    with pytest.raises(error, match=says):
        jobs.suited(nets)
