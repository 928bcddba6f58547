"""The DARTS cells of SWAP: the facts of the file, a row by hand, the authors' CSV, and splits."""

import dataclasses

import numpy as np
import pytest

from narformer.cells.columns import Cells
from narformer.data import darts_swap, folder, load, split
from narformer.data.facts import Facts
from narformer.data.sources import SOURCES
from narformer.data.splits import network_numbers
from narformer.errors import BadFile
from narformer.spaces.darts import VOCABULARY, Darts

CELL = (
    "[('none', 0), ('dil_conv_5x5', 0), ('sep_conv_5x5', 0), ('sep_conv_3x3', 1), "
    "('sep_conv_3x3', 1), ('dil_conv_5x5', 2), ('sep_conv_5x5', 3), ('skip_connect', 4)]"
)
FIRST = f"Genotype(normal={CELL}, normal_concat=[2, 3, 4, 5], reduce={CELL}, reduce_concat=[2, 3, 4, 5])"
OTHER = FIRST.replace("('none', 0)", "('max_pool_3x3', 1)")


@pytest.fixture
def official(tmp_path, monkeypatch):
    """A file of two rows in the authors' layout, and a data folder and facts for it."""
    monkeypatch.setenv("NARFORMER_DATA", str(tmp_path / "data"))
    facts = Facts(rows=2, best={"val_acc": (86.61, 0.005)})
    monkeypatch.setattr(darts_swap, "FACTS", facts)
    monkeypatch.setitem(SOURCES, "darts-swap1000", dataclasses.replace(SOURCES["darts-swap1000"], facts=facts))
    path = tmp_path / "DARTS_archs_CIFAR10.csv"
    path.write_text(f'"{FIRST}",85.0\n"{OTHER}",86.61000061035156\n')
    return path


def test_the_authors_file_is_added_and_found(official):
    folder.add("darts-swap1000", official)
    dataset = load("darts-swap1000")
    assert [Darts().format(cell) for cell in dataset.architectures] == [FIRST, OTHER]
    assert dataset.labels["val_acc"].tolist() == [85.0, 86.61000061035156]
    assert dataset.attributes["val_acc"].unit == "%"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("none", "noone", "an invalid architecture in row 0 .*Did you mean 'none'"),
        (",85.0", "", "1 fields in line 1; expected 2"),
        ("85.0", "nan", "the value 'nan'; expected a finite number"),
        ("85.0", "high", "the value 'high'"),
        ("86.61", "76.61", "a best val_acc of 85;"),
        (f'"{FIRST}",85.0\n', "", "1 networks; expected 2"),
        ('",', ",", "invalid CSV in line"),
        ("85.0", "85.0\udcff", "not UTF-8"),
    ],
)
def test_damaged_files_are_one_clear_error(official, old, new, words):
    text = official.read_text().replace(old, new)
    official.write_text(text, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(BadFile, match=words) as caught:
        folder.add("darts-swap1000", official)
    assert "\n" not in str(caught.value)


@pytest.fixture(scope="module")
def dataset(data_folder):
    """All rows of our file."""
    return darts_swap.read_parquet(data_folder / "darts_swap1000_cifar10.parquet")


@pytest.mark.data
class TestParquet:
    def test_facts(self, dataset):
        accuracy = dataset.labels["val_acc"]
        assert len(dataset) == 1000
        assert accuracy.max() == pytest.approx(86.61, abs=0.001)
        assert np.sum(accuracy < 60) == 2  # two did not learn at all
        assert isinstance(dataset.architectures, Cells)
        assert dataset.architectures.kind_MN.shape == (1000, 30)
        assert dataset.architectures.vocabulary == VOCABULARY

    def test_the_first_row_by_hand(self, dataset):
        first = dataset[0]
        assert first.labels == {"val_acc": 85.0}
        assert first.architecture == Darts().parse(FIRST)
        normal = [op.kind for op in first.architecture.ops[:15]]
        assert normal[:5] == ["input", "input", "none", "dil_conv_5x5", "concat"]
        assert normal[-2:] == ["concat", "output"]
        assert {(0, 2), (0, 3), (2, 4), (3, 4)} <= set(first.architecture.edges)

    def test_the_reduction_cell_repeats_the_normal_one(self, dataset):
        cells = dataset.architectures
        assert np.array_equal(cells.kind_MN[:, :15], cells.kind_MN[:, 15:])
        assert np.array_equal(cells.adj_MNN[:, :15, :15], cells.adj_MNN[:, 15:, 15:])

    def test_texts_go_both_ways(self, dataset):
        space = Darts()
        assert all(space.parse(space.format(cell)) == cell for cell in dataset.architectures[:100])

    def test_all_are_different(self, dataset):
        assert len(np.unique(network_numbers(dataset))) == 1000

    @pytest.mark.parametrize("name", ["random", "holdout"])
    def test_splits(self, dataset, name):
        rows = split(dataset, name, 200, 0, 100)
        assert (len(rows.train), len(rows.validation), len(rows.unseen())) == (200, 100, 700)

    def test_it_is_ready(self, dataset, data_folder, monkeypatch):
        monkeypatch.setenv("NARFORMER_DATA", str(data_folder))
        assert {entry.source.name: entry.state for entry in folder.listing()}["darts-swap1000"] == "ready"
        assert np.array_equal(load("darts-swap1000").labels["val_acc"], dataset.labels["val_acc"])
