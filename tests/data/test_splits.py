import json

import numpy as np
import pytest

from narformer.arch.cells import Cells
from narformer.data import Attribute, Dataset, nasbench101, nasbench201, split
from narformer.data.splits import SPLITS, load_split, portions, save_split
from narformer.errors import BadFile, BadRecipe, UnknownName


def toy(name="nasbench201", rows=1000, unlabelled=()):
    """A data set of empty cells whose labels count the rows."""
    cells = Cells(("input",), np.zeros((rows, 1), dtype=np.int8), np.zeros((rows, 1, 1), dtype=np.uint8))
    valid, test = np.arange(rows, dtype=float), np.arange(rows, dtype=float)
    valid[list(unlabelled)] = np.nan
    attributes = {label: Attribute(label, "%") for label in ("valid", "test")}
    return Dataset(name, "toy", cells, {"valid": valid, "test": test}, attributes, "valid", "test")


@pytest.mark.parametrize("name", SPLITS)
def test_train_and_validation_are_disjoint_and_labelled(name):
    dataset = toy(unlabelled=range(100, 400))
    drawn = split(dataset, name, 300, seed=1)
    assert (len(drawn.train), len(drawn.validation)) == (300, 200)
    chosen = np.concatenate([drawn.train, drawn.validation])
    assert len(np.unique(chosen)) == 500
    assert not np.isnan(dataset.labels["valid"][chosen]).any()
    assert not np.intersect1d(drawn.unseen(), chosen).size


@pytest.mark.parametrize("name", ["random", "holdout"])
def test_the_seed_decides(name):
    dataset = toy()
    first, again, other = (split(dataset, name, 300, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first.train, again.train)
    assert np.array_equal(first.validation, again.validation)
    assert not np.array_equal(first.train, other.train)
    with pytest.raises(BadRecipe, match="seed"):
        split(dataset, name, 300)


def test_paper_takes_labelled_rows_in_order():
    dataset = toy("nasbench101", unlabelled=range(100, 400))
    drawn = split(dataset, "paper", 150)
    assert np.array_equal(drawn.train, np.r_[0:100, 400:450])
    assert np.array_equal(drawn.validation, np.r_[450:650])
    assert np.array_equal(drawn.parts["100"], np.r_[650:750])
    assert len(drawn.test) == 1000


def test_holdout_parts_are_disjoint_and_cover_the_rest():
    drawn = split(toy("mine"), "holdout", 300, seed=0, validation=50)
    together = np.concatenate([drawn.train, drawn.validation, drawn.test])
    assert np.array_equal(np.sort(together), np.arange(1000))


def test_impossible_splits_are_refused():
    with pytest.raises(BadRecipe, match="1,000 rows"):
        split(toy(), "paper", 900)
    with pytest.raises(BadRecipe, match="no test row"):
        split(toy(), "holdout", 800, seed=0)
    with pytest.raises(BadRecipe, match="no paper"):
        split(toy("mine"), "paper", 10)
    with pytest.raises(UnknownName, match="Did you mean 'random'"):
        split(toy(), "randon", 10, seed=0)


@pytest.mark.parametrize(
    ("rows", "train", "validation"),
    [(10, 6, 2), (400, 240, 80), (999, 601, 199), (1000, 600, 200), (10_000, 7800, 200)],
)
def test_a_fifth_of_a_table_is_left_to_test(rows, train, validation):
    assert portions(rows) == (train, validation)
    drawn = split(toy("mine", rows), "holdout", train, seed=0, validation=validation)
    assert len(drawn.test) == rows // 5


def test_nine_rows_are_too_few():
    with pytest.raises(BadRecipe, match=r"9 rows .* expected 10"):
        portions(9)


@pytest.mark.parametrize("name", SPLITS)
def test_saving_changes_nothing(name, tmp_path):
    dataset = toy("nasbench101")
    drawn = split(dataset, name, 300, seed=5)
    save_split(drawn, dataset, tmp_path / "split.json")
    loaded = load_split(tmp_path / "split.json", dataset)
    assert (loaded.name, loaded.seed) == (drawn.name, drawn.seed)
    for part in ("train", "validation", "test"):
        assert np.array_equal(getattr(loaded, part), getattr(drawn, part))
        assert getattr(loaded, part).dtype == np.int64
    assert loaded.parts.keys() == drawn.parts.keys()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train": [0, 1000]}, "rows 0 to 999"),
        ({"train": [-1]}, "rows 0 to 999"),
        ({"train": {"from": 0, "to": 1001}}, "rows 0 to 999"),
        ({"train": [1, 1]}, "twice"),
        ({"train": [300]}, "both train and validation"),
        ({"train": "all"}, "no list of rows"),
        ({"train": [True]}, "no list of rows"),
        ({"rows": 999}, "one of 'nasbench201' with 1000"),
        ({"format": 99}, "format 99"),
    ],
)
def test_a_wrong_split_file_is_refused(change, message, tmp_path):
    dataset, path = toy(), tmp_path / "split.json"
    save_split(split(dataset, "paper", 300), dataset, path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(BadFile, match=message) as caught:
        load_split(path, dataset)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("text", ["", "no json", "[]", "[" * 100_000])
def test_a_file_that_is_no_split_is_refused(text, tmp_path):
    (tmp_path / "split.json").write_text(text)
    with pytest.raises(BadFile, match=r"split\.json"):
        load_split(tmp_path / "split.json", toy())


@pytest.mark.data
def test_the_papers_rows(data_folder):
    cells = nasbench101.read_parquet(data_folder / "nasbench101_full.parquet")
    for n in (100, 172, 424, 4_236):
        drawn = split(cells, "paper", n)
        assert np.array_equal(drawn.train, np.arange(n))
        assert np.array_equal(drawn.validation, np.arange(n, n + 200))
        assert np.array_equal(drawn.parts["100"], np.arange(n + 200, n + 300))
    drawn = split(cells, "paper", 21_180)
    assert np.array_equal(drawn.train, np.r_[0:20_001, 36_202:37_381])
    assert len(drawn.test) == 423_624

    cells = nasbench201.read_parquet(data_folder / "nasbench201.parquet")
    for n in (78, 156, 469, 781, 1_563, 7_812):
        drawn = split(cells, "paper", n)
        assert np.array_equal(np.concatenate([drawn.train, drawn.validation]), np.arange(n + 200))
        assert len(drawn.test) == 15_625
        assert len(drawn.unseen()) == 15_625 - n - 200
