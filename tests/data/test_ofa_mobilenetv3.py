"""The OFA-MobileNetV3 subnets of DyNAS-T: the facts of the file, rows by hand, the authors' CSV files, and splits."""

import dataclasses

import numpy as np
import pytest

from narformer.cells.columns import Cells
from narformer.data import folder, load, ofa_mobilenetv3, split
from narformer.data.facts import Facts
from narformer.data.sources import SOURCES
from narformer.data.splits import network_numbers
from narformer.errors import BadFile
from narformer.network import cost
from narformer.spaces.ofa_mobilenetv3 import VOCABULARY, OfaMobileNetV3

SPACE = OfaMobileNetV3()
SETTINGS = (
    "{'wid': None, 'ks': [5, 7, 5, 5, 3, 3, 3, 7, 5, 5, 3, 7, 7, 3, 3, 3, 5, 5, 5, 5], "
    "'e': [4, 3, 4, 4, 4, 6, 3, 4, 4, 3, 4, 3, 3, 6, 6, 6, 4, 3, 4, 4], 'd': [2, 3, 2, 4, 3], 'r': [224]}"
)
TEXT = "k5e4 k7e3 | k3e4 k3e6 k3e3 | k5e4 k5e3 | k7e3 k3e6 k3e6 k3e6 | k5e4 k5e3 k5e4"
HEADER = "Sub-network,Date,Model Parameters,Latency (ms),MACs,Top-1 Acc (%)\n"


@pytest.fixture
def official(tmp_path, monkeypatch):
    """Five files of one row each in the authors' layout; the path of the first."""
    monkeypatch.setenv("NARFORMER_DATA", str(tmp_path / "data"))
    facts = Facts(rows=5, best={"top1": (77.466, 0.001)})
    monkeypatch.setattr(ofa_mobilenetv3, "FACTS", facts)
    monkeypatch.setitem(SOURCES, "ofa-mbv3", dataclasses.replace(SOURCES["ofa-mbv3"], facts=facts))
    for row, name in enumerate(ofa_mobilenetv3.FILES):
        (tmp_path / name).write_text(f'{HEADER}"{SETTINGS}",2022-11-01,5029656,0,255502624,{77.466 - row}\n')
    return tmp_path / ofa_mobilenetv3.FILES[0]


def test_the_authors_files_are_added_together_and_found(official):
    folder.add("ofa-mbv3", official.with_name(ofa_mobilenetv3.FILES[3]))
    dataset = load("ofa-mbv3")
    assert [SPACE.format(subnet) for subnet in dataset.architectures] == [TEXT] * 5
    assert dataset.labels["top1"].tolist() == [77.466 - row for row in range(5)]
    assert dataset[0].labels == {"top1": 77.466, "params": 5_029_656, "macs": 255_502_624}


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("'d': [2,", "'d': [5,", "an invalid subnet: found the depths"),
        ("{'wid': None,", "{'wid': open('x'),", "expected a dictionary with lists 'ks', 'e' and 'd'"),
        ("'ks'", "'kz'", "expected a dictionary"),
        ("MACs", "macs", "expected a column 'MACs'"),
        ("255502624", "", "the value ''"),
        (",5029656", "", "5 fields in line 2; expected 6"),
    ],
)
def test_damaged_files_are_one_clear_error(official, old, new, words):
    official.write_text(official.read_text().replace(old, new))
    with pytest.raises(BadFile, match=words) as caught:
        folder.add("ofa-mbv3", official)
    assert official.name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_all_five_files_are_needed(official):
    official.with_name(ofa_mobilenetv3.FILES[4]).unlink()
    with pytest.raises(BadFile, match=r"mbnv3w10_linasnsga2_acc_macs\.csv: found nothing"):
        folder.add("ofa-mbv3", official)
    with pytest.raises(BadFile, match="All five must lie in one folder"):
        folder.add("ofa-mbv3", official.rename(official.with_name("other.csv")))


def test_an_empty_file_is_refused(official):
    official.write_text("\n")
    with pytest.raises(BadFile, match=official.name):
        folder.add("ofa-mbv3", official)


@pytest.fixture(scope="module")
def dataset(data_folder):
    """All rows of our file."""
    return ofa_mobilenetv3.read_parquet(data_folder / "ofa_mbv3_w10_imagenet.parquet")


@pytest.mark.data
class TestParquet:
    def test_facts(self, dataset):
        assert len(dataset) == 2373
        assert len(np.unique(network_numbers(dataset))) == 2162
        assert dataset.labels["top1"].min() == pytest.approx(70.998)
        assert dataset.labels["top1"].max() == pytest.approx(77.466)
        assert isinstance(dataset.architectures, Cells)
        assert dataset.architectures.vocabulary == VOCABULARY
        assert set(np.unique(dataset.architectures.count_M)) <= set(range(12, 23))

    def test_the_first_row_by_hand(self, dataset):
        assert SPACE.format(dataset[0].architecture) == TEXT
        assert dataset[0].labels == {"top1": 75.448, "params": 5_029_656, "macs": 255_502_624}

    def test_whole_networks_have_the_size_that_the_authors_state(self, dataset):
        for row in range(0, 2373, 200):
            counted = cost(SPACE.unroll(dataset[row].architecture))
            assert (counted.params, counted.macs) == (dataset.labels["params"][row], dataset.labels["macs"][row])

    def test_repeats_differ_by_a_tenth_at_most(self, dataset):
        number_M, top1_M = network_numbers(dataset), dataset.labels["top1"]
        low_U, high_U = np.full(2162, np.inf), np.full(2162, -np.inf)
        np.minimum.at(low_U, number_M, top1_M)
        np.maximum.at(high_U, number_M, top1_M)
        assert 0.09 < (high_U - low_U).max() <= 0.1

    def test_texts_go_both_ways(self, dataset):
        assert all(SPACE.parse(SPACE.format(subnet)) == subnet for subnet in dataset.architectures[:100])

    def test_random_split(self, dataset):
        rows = split(dataset, "random", 200, 0, 100)
        assert (len(rows.train), len(rows.validation), len(rows.test)) == (200, 100, 2373)

    def test_a_held_out_split_keeps_repeats_together(self, dataset):
        rows, number_M = split(dataset, "holdout", 200, 0, 100), network_numbers(dataset)
        assert (len(rows.train), len(rows.validation), len(rows.test)) == (200, 100, 2073)
        train, validation, test = (set(number_M[part]) for part in (rows.train, rows.validation, rows.test))
        assert not train & validation
        assert not (train | validation) & test

    def test_it_is_ready(self, dataset, data_folder, monkeypatch):
        monkeypatch.setenv("NARFORMER_DATA", str(data_folder))
        assert {entry.source.name: entry.state for entry in folder.listing()}["ofa-mbv3"] == "ready"
        assert np.array_equal(load("ofa-mbv3").labels["top1"], dataset.labels["top1"])
