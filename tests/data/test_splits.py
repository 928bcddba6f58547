import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from narformer.attributes import Attribute
from narformer.cells.columns import Cells
from narformer.data import Dataset, PaperRows, Split, nasbench101, nasbench201, split
from narformer.data.splits import SPLITS, load_split, network_numbers, portions, save_split
from narformer.errors import BadFile, BadRecipe, UnknownName
from narformer.network.graph import Architecture, Op
from narformer.spaces.nasbench201 import NasBench201, function_classes

PAPERS = {"nasbench101": nasbench101.PAPER, "nasbench201": nasbench201.PAPER}


def toy(name="nasbench201", rows=1000, unlabelled=(), networks=None):
    """A data set whose labels count the rows; row r holds network ``networks[r]``, by default one of its own."""
    networks = np.arange(rows) if networks is None else np.asarray(networks)
    cells = chains(networks)
    valid, test = np.arange(len(cells), dtype=float), np.arange(len(cells), dtype=float)
    valid[list(unlabelled)] = np.nan
    attributes = {label: Attribute.of(label, "%") for label in ("valid", "test")}
    labels = {"valid": valid, "test": test}
    return Dataset(name, "graphs", cells, labels, attributes, ("valid",), ("test",), paper=PAPERS.get(name))


def chains(networks):
    """Columns of chains of three operations: the digits of each number to the base of 100."""
    kind_MN = np.stack([networks // 10_000, networks // 100 % 100, networks % 100], axis=1).astype(np.int8)
    adj_MNN = np.zeros((len(networks), 3, 3), dtype=np.uint8)
    adj_MNN[:, [0, 1], [1, 2]] = 1
    return Cells(tuple(f"op{i}" for i in range(100)), kind_MN, adj_MNN)


def of_sizes(sizes, seed=0):
    """The network of each row, in any order, where network g fills ``sizes[g]`` rows."""
    return np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))


def apart(networks, drawn):
    """Whether no network stands in two parts."""
    parts = [set(networks[rows].tolist()) for rows in (drawn.train, drawn.validation, drawn.test)]
    return sum(map(len, parts)) == len(set.union(*parts))


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


@pytest.mark.parametrize("name", ["paper", "random"])
def test_further_test_parts_follow_one_another_after_validation(name):
    dataset = replace(toy("mine"), paper=PaperRows({"few": 10, "many": 50}))
    drawn = split(dataset, name, 300, seed=1)
    plain = split(replace(dataset, paper=PaperRows()), name, 360, seed=1)
    assert plain.parts == {}
    assert list(drawn.parts) == ["few", "many"]
    after = np.concatenate([plain.train, plain.validation])[500:]
    assert np.array_equal(np.concatenate([drawn.parts["few"], drawn.parts["many"]]), after)
    assert len(drawn.parts["few"]) == 10


def test_holdout_parts_are_disjoint_and_cover_the_rest():
    drawn = split(toy("mine"), "holdout", 300, seed=0, validation=50)
    together = np.concatenate([drawn.train, drawn.validation, drawn.test])
    assert np.array_equal(np.sort(together), np.arange(1000))


def test_networks_that_stand_three_times_stay_together():
    networks = of_sizes([3] * 133)
    dataset = toy("mine", networks=networks)
    for seed in range(5):
        drawn = split(dataset, "holdout", 241, seed=seed, validation=79)
        assert apart(networks, drawn)
        assert [len(drawn.train), len(drawn.validation), len(drawn.test)] == [240, 78, 81], "nearest multiples of 3"
    again = split(dataset, "holdout", 241, seed=4, validation=79)
    assert np.array_equal(again.train, drawn.train)
    assert np.array_equal(again.validation, drawn.validation)
    assert not np.array_equal(split(dataset, "holdout", 241, seed=5, validation=79).train, drawn.train)


@pytest.mark.parametrize("sizes", [[1, 2, 3] * 70, [1] * 300 + [7] * 14, [60] + [1] * 340, [70, 3] + [1] * 330])
def test_sizes_are_those_asked_for_where_networks_of_one_row_fill_the_gaps(sizes):
    networks = of_sizes(sizes)
    for seed in range(20):
        train, validation = portions(toy("mine", networks=networks))
        drawn = split(toy("mine", networks=networks), "holdout", train, seed=seed, validation=validation)
        assert (len(drawn.train), len(drawn.validation)) == (train, validation)
        assert apart(networks, drawn)


@given(st.lists(st.one_of(st.integers(1, 4), st.integers(1, 90)), min_size=10, max_size=40), st.integers(0, 3))
def test_sizes_are_within_one_network_of_those_asked_for(sizes, seed):
    networks = of_sizes(sizes)
    dataset = toy("mine", networks=networks)
    train, validation = portions(dataset)
    drawn = split(dataset, "holdout", train, seed=seed, validation=validation)
    parts = drawn.train, drawn.validation, drawn.test
    assert apart(networks, drawn)
    assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(len(dataset)))
    asked = train, validation, len(dataset) - train - validation
    assert all(len(rows) and abs(len(rows) - size) <= max(sizes) for rows, size in zip(parts, asked, strict=True))


def test_a_network_that_fills_the_table_leaves_the_others_to_validate_and_test():
    drawn = split(toy("mine", networks=of_sizes([391] + [1] * 9)), "holdout", 240, seed=0, validation=80)
    assert [len(drawn.train), len(drawn.validation), len(drawn.test)] == [391, 4, 5]


def test_without_repeats_the_order_is_that_of_random():
    dataset = toy("mine", unlabelled=range(100, 400))
    drawn, random = (split(dataset, name, 300, seed=3) for name in ("holdout", "random"))
    assert np.array_equal(drawn.train, random.train)
    assert np.array_equal(drawn.validation, random.validation)


def test_unlabelled_rows_of_a_network_that_trains_do_not_test():
    networks = np.arange(1000) % 500
    drawn = split(toy("mine", networks=networks, unlabelled=range(500, 1000)), "holdout", 200, seed=0)
    assert apart(networks, drawn)
    assert len(drawn.test) == 2 * 100, "both rows of each network that is left"


def test_the_papers_rows_take_no_notice_of_repeats():
    networks = np.arange(1000) % 10
    for name in ("paper", "random"):
        one, other = (split(toy(networks=n), name, 300, seed=2) for n in (networks, None))
        assert np.array_equal(one.train, other.train)
        assert np.array_equal(one.validation, other.validation)


def in_families(unlabelled=()):
    """Ninety networks of three families; the authors' test rows are the last nine."""
    dataset = toy("families", 90, unlabelled)
    official = Split("official", np.arange(81), np.empty(0, np.int64), np.arange(81, 90))
    return replace(dataset, official=official, family_M=np.repeat(["a", "b", "c"], 30))


def test_a_family_left_unseen_tests_and_the_others_share_the_rest():
    found = split(in_families(), "paper", 40, validation=10, unseen="b")
    assert found.test.tolist() == list(range(30, 60))
    rows = np.concatenate([found.train, found.validation])
    assert (len(found.train), len(found.validation), len(np.unique(rows))) == (40, 10, 50)
    assert not np.intersect1d(rows, found.test).size
    for part, share in ((found.train, 20), (found.validation, 5)):
        assert abs((part < 30).sum() - share) <= 1, "both families have their share"


def test_rows_without_a_label_neither_train_nor_test():
    dataset = in_families(unlabelled=range(0, 90, 2))
    found = split(replace(dataset, test_labels=("valid",)), "paper", 20, validation=5, unseen="b")
    assert np.isfinite(dataset.labels["valid"][np.concatenate([found.train, found.validation, found.test])]).all()
    assert len(found.test) == 15


def test_only_a_known_family_can_be_left_unseen():
    with pytest.raises(UnknownName, match="family"):
        split(in_families(), "paper", 40, validation=10, unseen="d")
    with pytest.raises(BadRecipe, match="has no families"):
        split(toy(), "paper", 40, validation=10, unseen="b")
    with pytest.raises(BadRecipe, match="the split 'paper'"):
        split(in_families(), "random", 40, 0, 10, unseen="b")


def test_networks_are_numbered_by_first_appearance():
    assert network_numbers(toy(networks=[7, 3, 7, 9, 3])).tolist() == [0, 1, 0, 2, 1]
    swapped = Architecture.sorted([Op("b"), Op("a"), Op("in"), Op("out")], [(2, 0), (2, 1), (0, 3), (1, 3)])
    straight = Architecture.sorted([Op("in"), Op("a"), Op("b"), Op("out")], [(0, 1), (0, 2), (1, 3), (2, 3)])
    chain = Architecture.sorted([Op("in"), Op("a"), Op("b"), Op("out")], [(0, 1), (1, 2), (2, 3)])
    rows = [swapped, chain, straight]
    for kept in (Cells.of(rows, ("in", "a", "b", "out")), rows):
        assert network_numbers(Dataset("mine", "graphs", kept, {}, {}, (), ())).tolist() == [0, 1, 0]
    cells = NasBench201().enumerate()
    classes = network_numbers(Dataset("mine", "nasbench201", cells, {}, {}, (), ()))
    assert np.array_equal(classes, function_classes(cells))
    with pytest.raises(UnknownName, match="no space is called 'mine'"):
        network_numbers(Dataset("mine", "mine", cells, {}, {}, (), ()))


def test_impossible_splits_are_refused():
    with pytest.raises(BadRecipe, match="1,000 rows"):
        split(toy(), "paper", 900)
    with pytest.raises(BadRecipe, match="no test row"):
        split(toy(), "holdout", 800, seed=0)
    with pytest.raises(BadRecipe, match="no split of a paper"):
        split(toy("mine"), "paper", 10)
    for sizes, part in (([20], "validation"), ([10, 10], "test")):
        with pytest.raises(BadRecipe, match=rf"no {part} row .* \(different networks: {len(sizes)}\)"):
            split(toy("mine", networks=of_sizes(sizes)), "holdout", 12, seed=0, validation=8)
    with pytest.raises(UnknownName, match="Did you mean 'random'"):
        split(toy(), "randon", 10, seed=0)


@pytest.mark.parametrize(
    ("rows", "train", "validation"),
    [(10, 6, 2), (400, 240, 80), (999, 601, 199), (1000, 600, 200), (10_000, 7800, 200)],
)
def test_a_fifth_of_a_table_is_left_to_test(rows, train, validation):
    dataset = toy("mine", rows)
    assert portions(dataset) == (train, validation)
    drawn = split(dataset, "holdout", train, seed=0, validation=validation)
    assert len(drawn.test) == rows // 5


def test_nine_networks_are_too_few_however_often_they_stand():
    for times in (1, 50):
        with pytest.raises(BadRecipe, match=rf"9 different networks in {9 * times} rows .* expected 10"):
            portions(toy("mine", networks=of_sizes([times] * 9)))


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
        ({"train": "all"}, "not a list of rows"),
        ({"train": [True]}, "not a list of rows"),
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
