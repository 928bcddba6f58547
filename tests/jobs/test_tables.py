"""A printed table of the data that it was printed for: the official folder in, the row out."""

import dataclasses
import json

import pytest
from typer.testing import CliRunner

from narformer import jobs
from narformer.cli import app
from narformer.data.facts import Facts
from narformer.data.sources import SOURCES
from narformer.errors import BadRecipe
from narformer.formats.onnx_writer import to_onnx
from narformer.network.cost import cost
from narformer.spaces.families import FAMILIES

COUNT = {"alexnet": 130, "squeezenet": 130, "vgg": 130}


@pytest.fixture(scope="module")
def official_folder(tmp_path_factory):
    """Files of small networks under names of NNLQP's, one in ten of which tests."""
    place, lines = tmp_path_factory.mktemp("nnlqp") / "unseen_structure", []
    for family, count in COUNT.items():
        networks = [FAMILIES[family].variant(number) for number in range(5)]
        inside = place / "onnx" / f"nnmeter_{family}"
        inside.mkdir(parents=True)
        for i in range(count):
            path = inside / f"nnmeter_{family}_transform_{i:04}.onnx"
            path.write_bytes(to_onnx(networks[i % 5], "none"))
            role, latency = "train" if i % 10 else "test", 0.1 + cost(networks[i % 5]).flops / 1e10
            lines.append(f"{len(lines) + 1:05} {path.relative_to(place)} 1 {latency:g} {family} 1 {role}\n")
    (place / "gt.txt").write_text("".join(lines))
    return place


def test_whoever_has_the_official_folder_gets_the_printed_table(official_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("NARFORMER_DATA", str(tmp_path / "data"))
    facts = Facts(rows=sum(COUNT.values()), ranges={"latency_ms": (0.05, 20.0)})
    monkeypatch.setitem(SOURCES, "nnlqp", dataclasses.replace(SOURCES["nnlqp"], facts=facts))
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(app, ["data", "add", "nnlqp", str(official_folder)]).exit_code == 0
    words = [
        "table",
        "narformer_v2/latency",
        "--data",
        "nnlqp",
        "--row",
        "FLOPs",
        "--seeds",
        "1",
        "--json",
    ]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    cells = {c["column"]: c for c in json.loads(result.stdout)["cells"] if c["system"] == "FLOPs"}
    for column in ("MAPE All", "MAPE AlexNet", "MAPE VGG"):
        assert cells[column]["mean"] < 0.1, "the latencies are a line through FLOPs"
    assert cells["MAPE ResNet"]["mean"] is None
    printed = jobs.table("narformer_v2/latency", tmp_path / "results", jobs.Which(data="nnlqp")).table
    assert {column.n for column in printed.columns} == {351 - 200}
    assert not printed.other_data
    unseen = jobs.table("narformer_v2/latency_unseen", tmp_path / "results", jobs.Which(data="nnlqp")).table
    assert {column.n for column in unseen.columns if not column.mean} == {260 - 200}


@pytest.mark.data
def test_a_data_set_of_cells_has_no_such_table(data_folder, monkeypatch):
    monkeypatch.setenv("NARFORMER_DATA", str(data_folder))
    with pytest.raises(BadRecipe, match="no split by its authors"):
        jobs.table("narformer_v2/latency", which=jobs.Which(data="nasbench201"))
