import numpy as np
import pytest

from narformer.data import folder, help_latency, load, split
from narformer.data.help_latency import measured
from narformer.data.splits import network_numbers
from narformer.errors import BadFile, UnknownName
from narformer.spaces import Graphs, ofa_mobilenetv3
from narformer.spaces.nasbench201 import NasBench201

NAMES = ("nasbench201-latency", "fbnet-latency", "ofa-latency")


@pytest.fixture(scope="module")
def sets(data_folder):
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("NARFORMER_DATA", str(data_folder))
        return {name: load(name) for name in NAMES}


@pytest.mark.parametrize(("name", "count"), list(zip(NAMES, (25, 23, 12), strict=True)))
def test_modelled_devices_are_not_among_the_measured(name, count):
    """Of 27, 27 and 12 settings."""
    assert len(measured(name)) == count
    assert not {"eyeriss", "fpga"} & set(measured(name))
    assert ({"pixel3", "raspi4"} <= set(measured(name))) == (name == "nasbench201-latency")
    with pytest.raises(UnknownName, match=f"Did you mean '{name}'"):
        measured(name[:-1])


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "rows", "labels"), list(zip(NAMES, (15_625, 5_000, 5_000), (27, 27, 12), strict=True))
)
def test_counts_and_notes(name, rows, labels, sets):
    data = sets[name]
    assert (len(data), len(data.labels)) == (rows, labels)
    for label, attribute in data.attributes.items():
        assert attribute.unit == "ms"
        assert ("not measured" in attribute.note) == (label not in measured(name))
        assert (data.labels[label] > 0).all()
    assert data.train_labels[0] in measured(name)
    drawn = split(data, "holdout", 900, seed=0, validation=100)
    assert (len(drawn.train), len(drawn.validation)) == (900, 100)


@pytest.mark.data
def test_cells_stand_in_the_order_of_the_benchmark(sets, data_folder, monkeypatch):
    monkeypatch.setenv("NARFORMER_DATA", str(data_folder))
    cells, benchmark = sets["nasbench201-latency"], load("nasbench201")
    assert np.array_equal(cells.architectures.kind_MN, benchmark.architectures.kind_MN)
    assert NasBench201().format(cells[1].architecture) == (
        "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|skip_connect~2|"
    )
    assert cells[1].labels["pixel2"] == 17
    assert cells[1].labels["titan_rtx_256"] == pytest.approx(26.512874, abs=1e-6)


@pytest.mark.data
def test_fbnet_networks_are_chains_of_22_kinds(sets):
    data = sets["fbnet-latency"]
    network = data[0].architecture
    kinds = [op.kind for op in network.ops]
    assert kinds[:6] == ["input", "k5_e6", "skip", "k3_e1_g2", "skip", "k5_e1"]
    assert (len(kinds), kinds[-1]) == (24, "output")
    assert network.edges == tuple((i, i + 1) for i in range(23))
    assert len(np.unique(network_numbers(data))) == 5_000
    space = Graphs(data.architectures.vocabulary)
    assert space.parse(space.format(network)) == network


@pytest.mark.data
def test_the_order_of_kinds_explains_the_modelled_latency(sets):
    """What runs nothing is cheapest, larger expansions cost more: modelled latencies are sums over the blocks."""
    data = sets["fbnet-latency"]
    kind_MP = data.architectures.kind_MN[:, 1:-1]
    used_MX = (kind_MP[:, :, None] == np.arange(1, 10)).reshape(len(data), -1).astype(float)
    latency_M = data.labels["eyeriss"]
    weight_X, *_ = np.linalg.lstsq(used_MX, latency_M - latency_M.mean(), rcond=None)
    mean = dict(zip(help_latency.FBNET_KINDS, weight_X.reshape(22, 9).mean(axis=0), strict=True))
    assert min(mean, key=mean.__getitem__) == "skip"
    assert mean["k3_e1_g2"] < mean["k3_e1"] < mean["k3_e3"] < mean["k3_e6"] < mean["k5_e6"]


@pytest.mark.data
def test_ofa_subnets_are_those_of_the_space(sets, data_folder):
    data = sets["ofa-latency"]
    settings = help_latency.read_columns(data_folder / "ofa_latency_help.parquet", 5_000, help_latency.OFA)
    assert data[0].architecture.ops[0].kind == "input 204"
    for row in range(0, 5_000, 250):
        network = data[row].architecture
        subnet = ofa_mobilenetv3.from_settings(*(settings[column][row].tolist() for column in ("ks", "e", "d")))
        assert network.ops[1:] == subnet.ops[1:]
        assert network.edges == subnet.edges
        assert network.ops[0].kind == f"input {settings['r'][row]}"
    assert len(np.unique(network_numbers(data))) == 5_000


@pytest.mark.data
@pytest.mark.parametrize("name", NAMES)
def test_added_parquet_is_the_same_data(name, sets, data_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("NARFORMER_DATA", str(tmp_path))
    file = f"{name.removesuffix('-latency').replace('nasbench', 'nb')}_latency_help.parquet"
    assert folder.add(name, data_folder / file).name == f"{name}.npz"
    again = load(name)
    assert np.array_equal(again.architectures.kind_MN, sets[name].architectures.kind_MN)
    assert np.array_equal(again.architectures.adj_MNN, sets[name].architectures.adj_MNN)
    assert again.attributes == sets[name].attributes
    assert all(np.array_equal(again.labels[label], column) for label, column in sets[name].labels.items())


def test_the_official_files_are_not_read(tmp_path, monkeypatch):
    monkeypatch.setenv("NARFORMER_DATA", str(tmp_path / "data"))
    (tmp_path / "fpga.pt").write_bytes(b"\x80\x02.")
    for name in NAMES:
        with pytest.raises(BadFile, match="the official files are not read"):
            folder.add(name, tmp_path / "fpga.pt")
        entry = next(entry for entry in folder.listing() if entry.source.name == name)
        assert entry.state == "missing"
        assert "_latency_help.parquet there" in entry.needs
