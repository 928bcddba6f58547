from types import SimpleNamespace

import numpy as np
import pytest

from narformer.data import folder, load, nnlqp_nasbench201, split
from narformer.data.parquet import read_columns
from narformer.errors import BadFile
from narformer.network.cost import cost
from narformer.spaces.families import FAMILIES

FILE = "nnlqp_nasbench201_decoded.parquet"
TEXT = "18001 onnx/nasbench201/10062.onnx 1 0.714539 nasbench201 1 train\n"


@pytest.fixture(scope="module")
def networks(data_folder):
    return nnlqp_nasbench201.read_parquet(data_folder / FILE)


@pytest.mark.data
def test_known_rows(networks):
    assert len(networks) == 2_000
    assert networks.architectures.names[0] == "nasbench201/10062"
    assert networks.labels["latency_ms"][0] == pytest.approx(0.714539)
    assert networks.labels["latency_ms"].min() == pytest.approx(0.231812)
    assert networks.labels["latency_ms"].max() == pytest.approx(1.09619)
    assert networks.labels["latency_ms"].mean() == pytest.approx(0.70, abs=5e-3)
    assert networks.attributes["latency_ms"].unit == "ms"
    network = networks[0].architecture
    assert network.ops[0].shape == (1, 3, 32, 32)
    assert network.name == "nasbench201/10062"


@pytest.mark.data
def test_networks_are_built_only_when_asked_for(data_folder, monkeypatch):
    built = []
    monkeypatch.setitem(FAMILIES, "nasbench201", SimpleNamespace(variant=built.append))
    networks = nnlqp_nasbench201.read_parquet(data_folder / FILE)
    split(networks, "paper", 1_600)
    assert (len(networks), built) == (2_000, [])
    networks.architectures[0]
    assert built == [10_062]


@pytest.mark.data
def test_the_numbers_agree_with_the_cost_of_the_benchmark(networks, data_folder):
    """NAS-Bench-201 counts multiply-adds of convolutions and classifier, and trainable parameters, in millions."""
    pinned = {"mflops": 0xC480CE82, "params_m": 0xCFF765C3}
    known = read_columns(data_folder / FILE, 2_000, pinned)
    for row in range(0, 2_000, 97):
        counted = cost(networks.architectures[row])
        assert counted.macs / 1e6 == pytest.approx(known["mflops"][row], abs=1e-9)
        assert counted.params / 1e6 == pytest.approx(known["params_m"][row], abs=1e-9)


@pytest.mark.data
def test_the_split_is_that_of_the_authors(networks):
    drawn = split(networks, "paper", 1_800, validation=0)
    assert np.array_equal(drawn.train, np.arange(1_800))
    assert np.array_equal(drawn.test, np.arange(1_800, 2_000))
    drawn = split(networks, "paper", 1_600)
    assert (len(drawn.train), len(drawn.validation)) == (1_600, 200)
    assert np.array_equal(np.sort(np.concatenate([drawn.train, drawn.validation])), np.arange(1_800))
    assert np.array_equal(drawn.test, np.arange(1_800, 2_000))


@pytest.mark.data
def test_added_parquet_is_copied_and_found(data_folder, tmp_path, monkeypatch, networks):
    monkeypatch.setenv("NARFORMER_DATA", str(tmp_path / "data"))
    assert folder.add("nnlqp-nasbench201", data_folder / FILE).name == "nnlqp-nasbench201.parquet"
    again = load("nnlqp-nasbench201")
    assert again.architectures.names == networks.architectures.names
    assert np.array_equal(again.official.test, networks.official.test)


@pytest.mark.data
def test_the_text_gives_the_same(networks, tmp_path, monkeypatch):
    """The other families of the text are passed over."""
    monkeypatch.setenv("NARFORMER_DATA", str(tmp_path / "data"))
    text = "00001 onnx/nnmeter_alexnet/nnmeter_alexnet_transform_0000.onnx 1 2.06137 alexnet 1 train\n"
    latency_M = networks.labels["latency_ms"]
    for row, name in enumerate(networks.architectures.names):
        role = "train" if row < 1_800 else "test"
        text += f"{18_001 + row} onnx/{name}.onnx 1 {latency_M[row]:g} nasbench201 1 {role}\n"
    (tmp_path / "gt_stage.txt").write_text(text)
    assert folder.add("nnlqp-nasbench201", tmp_path / "gt_stage.txt").name == "nnlqp-nasbench201.txt"
    read = load("nnlqp-nasbench201")
    assert read.architectures.names == networks.architectures.names
    assert np.array_equal(read.labels["latency_ms"], latency_M)
    assert np.array_equal(read.official.test, networks.official.test)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("10062", "15625", "a number of a cell, 0 to 15624"),
        ("10062", "resnet", "a number of a cell"),
        (" 1 0.7", " 8 0.7", "batch size 8"),
    ],
)
def test_wrong_texts_are_refused(old, new, message, tmp_path):
    (tmp_path / "gt.txt").write_text(TEXT.replace(old, new, 1))
    with pytest.raises(BadFile, match=message):
        nnlqp_nasbench201.read_text(tmp_path / "gt.txt")


@pytest.mark.parametrize("text", ["", "no table\n", TEXT])
def test_what_is_not_the_set_is_not_added(text, tmp_path, monkeypatch):
    monkeypatch.setenv("NARFORMER_DATA", str(tmp_path / "data"))
    (tmp_path / "gt.txt").write_text(text)
    with pytest.raises(BadFile, match=r"gt\.txt: found"):
        folder.add("nnlqp-nasbench201", tmp_path / "gt.txt")
    assert not (tmp_path / "data").exists()
