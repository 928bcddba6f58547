"""Recipes for a table of one's own: how it is split, how long it trains, and what its hash stands for."""

import json
import shutil

import numpy as np
import pytest

from narformer.data import split
from narformer.data.table_file import read_table_file
from narformer.errors import BadFile, BadRecipe, UnknownName
from narformer.training.default_recipes import recipe_for_table
from narformer.training.experiment import load_dataset
from narformer.training.recipe import Recipe


@pytest.fixture
def write_table(tmp_path):
    def write(rows=20, name="t.jsonl", shift=0.0, networks=None):
        graphs = [
            {"ops": ["in", *f"{i:012b}"], "edges": [[j, j + 1] for j in range(12)]} for i in range(networks or rows)
        ]
        lines = [json.dumps({"architecture": graphs[i % len(graphs)], "a": i + shift, "b": -i}) for i in range(rows)]
        (tmp_path / name).write_text("\n".join(lines))
        return tmp_path / name

    return write


@pytest.mark.parametrize(
    ("rows", "train", "validation", "epochs"),
    [(10, 6, 2, 500), (400, 240, 80, 400), (1000, 600, 200, 200), (1250, 800, 200, 150), (2204, 1564, 200, 100)],
)
def test_the_fewer_rows_the_more_epochs(write_table, rows, train, validation, epochs):
    recipe = recipe_for_table(write_table(rows))[0]
    assert (recipe.data.train, recipe.data.validation, recipe.training.epochs) == (train, validation, epochs)
    assert (recipe.data.split, recipe.data.split_seed, recipe.system) == ("holdout", 0, "relational")


def test_too_few_networks_and_wrong_labels_are_refused(write_table):
    for rows in (9, 90):
        with pytest.raises(BadRecipe, match=f"9 different networks in {rows} rows"):
            recipe_for_table(write_table(rows, networks=9))
    with pytest.raises(UnknownName, match=r"no column of t\.jsonl is called 'c'"):
        recipe_for_table(write_table(), ["c"])


def test_no_network_that_was_measured_three_times_stands_in_two_parts(tmp_path):
    chance = np.random.default_rng(0)
    lines = []
    for i in range(50):
        names = ["in", *(f"op{bit}" for bit in f"{i:06b}"), "out"]
        for order in (chance.permutation(8) for _ in range(3)):  # written in another order each time
            place = np.argsort(order).tolist()
            edges = [[place[j], place[j + 1]] for j in range(7)]
            graph = {"ops": [names[v] for v in order], "edges": edges}
            lines.append(json.dumps({"architecture": graph, "network": i, "score": chance.normal()}))
    path = tmp_path / "t.jsonl"
    path.write_text("\n".join(chance.permutation(lines)))
    data = recipe_for_table(path, ["score"])[0].data
    dataset = load_dataset(data)
    drawn = split(dataset, data.split, data.train, data.split_seed, data.validation)
    rows = drawn.train, drawn.validation, drawn.test
    networks = [set(read_table_file(path).labels["network"][part]) for part in rows]
    assert sum(map(len, networks)) == len(set.union(*networks)) == 50
    assert all(abs(len(part) - asked) <= 3 for part, asked in zip(rows, (90, 30, 30), strict=True))


def test_changes_and_a_recipe_of_ones_own_count(write_table, content, tmp_path):
    path = write_table()
    changed = recipe_for_table(path, changes={"training.epochs": 3, "data.split_seed": 7})[0]
    assert (changed.training.epochs, changed.data.split_seed) == (3, 7)
    own = tmp_path / "own.toml"
    own.write_text('system = "mine"\n[data]\nname = "nasbench201"\ntrain = 781\n[tokenizer]\nname = "relational"\n')
    with pytest.raises(BadRecipe, match=r"own\.toml: model"):
        recipe_for_table(path, recipe=own)
    own.write_text(own.read_text() + '[model]\nname = "relational"\n[training]\nepochs = 2\nbatch = 4\n')
    recipe = recipe_for_table(path, ["b"], own)[0]
    assert (recipe.system, recipe.data.name, recipe.data.train, recipe.data.label) == ("mine", "t.jsonl", 12, "b")


def test_several_columns_are_learned_at_once(write_table):
    path = write_table()
    recipe, dataset = recipe_for_table(path, ["b", "a"])
    assert recipe.data.labels == dataset.train_labels == dataset.test_labels == ("b", "a")
    assert load_dataset(recipe.data).train_labels == ("b", "a")
    assert Recipe.of(recipe.model_dump(mode="json"), "again").hash() == recipe.hash()
    assert len({recipe_for_table(path, labels)[0].hash() for labels in (["a"], ["b"], ["a", "b"], ["b", "a"])}) == 4


def test_the_hash_stands_for_the_content_wherever_it_lies(write_table, tmp_path):
    path = write_table()
    hashes = [recipe_for_table(path)[0].hash()]
    shutil.copy(path, tmp_path / "moved.jsonl")
    hashes.append(recipe_for_table(tmp_path / "moved.jsonl")[0].hash())
    hashes.append(Recipe.of(recipe_for_table(path)[0].model_dump(mode="json"), "again").hash())
    assert len(set(hashes)) == 1
    hashes.append(recipe_for_table(path, ["a"])[0].hash())
    hashes.append(recipe_for_table(path, ["b"])[0].hash())
    hashes.append(recipe_for_table(write_table(shift=1))[0].hash())
    assert len(set(hashes)) == 4


def test_a_recipe_may_name_a_table(write_table, content):
    path = write_table()
    content["data"] = {
        "file": str(path),
        "train": 12,
        "split": "holdout",
        "split_seed": 0,
        "validation": 4,
        "label": "b",
    }
    recipe = Recipe.of(content, "here")
    dataset = load_dataset(recipe.data)
    assert (dataset.name, dataset.train_labels, dataset.test_labels, len(dataset)) == ("t.jsonl", ("b",), ("b",), 20)
    write_table(shift=1)
    with pytest.raises(BadFile, match="other content"):
        load_dataset(recipe.data)
    content["data"]["file"] = str(path.with_name("none.csv"))
    with pytest.raises(BadFile, match="nothing at this path"):
        Recipe.of(content, "here")


def test_a_recipe_of_a_source_is_hashed_as_before(content):
    explicit = json.loads(json.dumps(content))
    explicit["data"] |= {"file": None, "sha256": None, "validation": 200}
    assert Recipe.of(explicit, "here").hash() == Recipe.of(content, "here").hash()
