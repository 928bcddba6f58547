"""The latency of a network without running it: one answer by every route, parts that add up, and a word of warning."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from narformer import jobs
from narformer.arch.onnx_writer import to_onnx
from narformer.cli import app, latency
from narformer.errors import BadArchitecture, BadFile, BadPredictor
from narformer.jobs import ranking
from narformer.predictors import saved
from narformer.spaces.families import FAMILIES
from narformer.tokens.kernels import KernelTokenizer


@pytest.fixture(scope="module")
def folder(tmp_path_factory, tiny_predictor) -> str:
    """A predictor of SqueezeNets that has learned next to nothing."""
    path = tmp_path_factory.mktemp("latency") / "predictor"
    saved.save(tiny_predictor(np.linspace(1, 9, 40), "a device that nobody has"), path)
    return str(path)


def test_parts_add_up_and_name_what_the_file_names(folder, tmp_path):
    network = FAMILIES["squeezenet"].variant(3)
    (tmp_path / "net.onnx").write_bytes(to_onnx(network, "none"))
    answer = jobs.predict_latency(tmp_path / "net.onnx", folder)
    assert (answer.unit, answer.device) == ("ms", "a device that nobody has")
    assert 0 < answer.low < answer.value < answer.high
    assert sum(layer.ms for layer in answer.layers) == pytest.approx(answer.value)
    assert [layer.ms for layer in answer.layers] == sorted((layer.ms for layer in answer.layers), reverse=True)
    computed = sum(1 + len(layer.joined) for layer in answer.layers)
    assert computed == sum(op.kind != "Input" for op in network.ops)
    assert sum(count for _, count, _, _ in answer.kinds()) == len(answer.layers)
    assert sum(ms for _, _, ms, _ in answer.kinds()) == pytest.approx(answer.value)
    assert answer.in_domain
    by_name = jobs.predict_latency("squeezenet/3", folder)
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
    module = jobs.predict_module(Small(), [example], folder)
    file = jobs.predict_latency(tmp_path / "small.onnx", folder)
    assert module.fingerprint == file.fingerprint
    assert module.value == file.value
    assert any("stem" in layer.module for layer in module.layers)


def test_what_is_far_or_not_counted_is_flagged(folder):
    far = jobs.predict_latency("alexnet/0", folder)
    assert not far.in_domain
    assert far.distance > 1

    class Strange(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.roll(torch.relu(x), 1, 2)

    strange = jobs.predict_module(Strange(), [torch.zeros(1, 3, 8, 8)], folder)
    assert strange.uncounted == 1
    assert not strange.in_domain


def test_what_is_given_and_the_predictor_go_together_or_both_are_named(folder, tmp_path):
    (tmp_path / "MODEL.ONNX").write_bytes(b"none")
    (tmp_path / "README.md").write_text("none")
    (tmp_path / "cells.csv").write_text("architecture,top1\n")
    for name in ("MODEL.ONNX", "README.md", ""):  # the last is a folder
        assert jobs.suited([str(tmp_path / name)]) == jobs.suited(["resnet/0"])
        with pytest.raises(BadFile):
            jobs.predict_latency(tmp_path / name, folder)
    for net in (str(tmp_path / "MODEL.ONNX"), "resnet/0"):
        with pytest.raises(BadPredictor, match="'nasbench201' predicts cells of nasbench201; found the network"):
            jobs.predict([net], "nasbench201")
    with pytest.raises(BadFile, match="Name the networks one by one"):
        jobs.predict_latency(tmp_path / "cells.csv", folder)


def test_a_predictor_of_cells_is_refused(folder):
    with pytest.raises(BadPredictor, match="expected a predictor of whole networks"):
        jobs.predict_latency("resnet/0", "nasbench201")
    assert jobs.reads_networks(folder)
    assert not jobs.reads_networks("nasbench201")


def test_the_command_tells_it_in_json_in_lines_and_on_a_screen(folder, monkeypatch):
    words = ["predict", "squeezenet/1", "squeezenet/2", "--predictor", folder]
    expected = [jobs.predict_latency(net, folder) for net in words[1:3]]
    told = json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)
    assert told == json.loads(json.dumps([dataclasses.asdict(answer) for answer in expected]))
    lines = CliRunner().invoke(app, words).stdout.splitlines()
    assert [line.split("\t")[0] for line in lines] == ["squeezenet/1", "squeezenet/2"]
    assert float(lines[0].split("\t")[1]) == pytest.approx(expected[0].value, rel=1e-4)
    monkeypatch.setattr(type(latency.out), "is_terminal", True)
    screen = CliRunner().invoke(app, [*words[:2], *words[3:]]).stdout
    for text in ("trust", "in the domain", "90%", "by kind", "cum. %", expected[0].layers[0].name):
        assert text in screen


def test_networks_are_put_in_the_order_that_is_asked_for(folder):
    nets = [f"squeezenet/{number}" for number in range(4)]
    values = sorted(jobs.predict_latency(net, folder).value for net in nets)
    words = ["predict", *nets, "--predictor", folder, "--json"]
    for options, expected in ((["--ascending"], values), (["--best", "2"], values[:1:-1])):
        told = json.loads(CliRunner().invoke(app, [*words, *options]).stdout)
        assert [answer["value"] for answer in told] == expected
    assert CliRunner().invoke(app, [*words, "--device", "cuda"]).exit_code == 2


def test_lists_and_tables_of_networks_are_read_from_where_they_lie(folder, tmp_path):
    (tmp_path / "own.onnx").write_bytes(to_onnx(FAMILIES["squeezenet"].variant(3), "none"))
    (tmp_path / "table.csv").write_text("architecture,latency_ms\nsqueezenet/1,3\nown.onnx,4\n")
    (tmp_path / "list.txt").write_text("own.onnx\n")
    (tmp_path / "none.json").write_text("[]")
    files = [tmp_path / "table.csv", tmp_path / "list.txt"]
    told = [answer.value for (answer,) in jobs.predict_latencies(files, [folder])]
    expected = [jobs.predict_latency(net, folder).value for net in ("squeezenet/1", "squeezenet/3")]
    assert told == [*expected, expected[1]]
    with pytest.raises(BadArchitecture, match="no network was given"):
        list(jobs.predict_latencies([tmp_path / "none.json"], [folder]))


def test_in_a_pipe_what_must_not_be_trusted_is_told_beside_the_answer(folder):
    result = CliRunner().invoke(app, ["predict", "alexnet/0", "squeezenet/1", "--predictor", folder])
    assert len(result.stdout.splitlines()) == 2
    (line,) = result.stderr.splitlines()
    assert "alexnet/0" in line
    assert "OUT OF DOMAIN" in line


def test_a_network_that_computes_nothing_is_refused(folder):
    with pytest.raises(BadArchitecture, match="no operation that takes any time"):
        jobs.predict_module(nn.Identity(), [torch.zeros(1, 3, 8, 8)], folder)


def test_several_predictors_share_what_they_ask_of_a_network(folder, monkeypatch):
    asked = []
    of_kernels = KernelTokenizer.of_kernels
    monkeypatch.setattr(KernelTokenizer, "of_kernels", lambda *of: asked.append(of) or of_kernels(*of))
    shutil.copytree(folder, other := folder + "-other", dirs_exist_ok=True)
    (answers,) = jobs.predict_latencies(["squeezenet/1"], [folder, other])
    assert len(answers) == 2
    assert len(asked) == 2, "its canonical form, and as it is written"


def test_a_folder_that_was_moved_still_answers(folder, tmp_path):
    moved = Path(shutil.copytree(folder, tmp_path / "moved"))
    assert jobs.predict_latency("squeezenet/5", str(moved)).value == jobs.predict_latency("squeezenet/5", folder).value


@pytest.fixture
def two_shipped(folder, tmp_path, monkeypatch):
    """Two predictors of latency and one of cells ship with the package."""
    for name in ("latency-here", "latency-there"):
        shutil.copytree(folder, tmp_path / "shipped" / name)
    shutil.copytree(ranking.PRETRAINED / "nasbench201", tmp_path / "shipped" / "cells")
    monkeypatch.setattr(ranking, "PRETRAINED", tmp_path / "shipped")
    return ("latency-here", "latency-there")


def test_without_a_predictor_all_that_suit_answer(two_shipped, monkeypatch):
    assert jobs.suited(["squeezenet/1", "my/model.onnx"]) == two_shipped
    assert jobs.suited(["nasbench201"]) == ("cells",)
    told = json.loads(CliRunner().invoke(app, ["predict", "squeezenet/1", "--json"]).stdout)
    assert [answer["predictor"] for answer in told] == list(two_shipped)
    lines = CliRunner().invoke(app, ["predict", "squeezenet/1"]).stdout.splitlines()
    assert [line.split("\t")[-1] for line in lines] == list(two_shipped)
    monkeypatch.setattr(type(latency.out), "is_terminal", True)
    screen = CliRunner().invoke(app, ["predict", "squeezenet/1"]).stdout
    assert screen.count("trust") == 2
    assert screen.count("narformer adapt") == 1
    assert screen.count("layers by latency-here") == 1
    assert screen.count("by kind") == 1


@pytest.mark.usefixtures("two_shipped")
@pytest.mark.parametrize("nets", [["|nor_conv_3x3~0|"], ["nasbench201", "squeezenet/1"], ["nasbench101"]])
def test_where_it_is_not_plain_which_predictor_is_meant_it_is_asked_for(nets):
    with pytest.raises(BadPredictor, match="--predictor: cells, latency-here, latency-there, or a folder"):
        jobs.suited(nets)
