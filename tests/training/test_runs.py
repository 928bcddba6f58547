"""Stored runs: what is kept is found again; files of format 1 are read as those of format 2."""

import json

import pytest

from narformer.errors import BadFile
from narformer.measure import environment
from narformer.training.experiment import train
from narformer.training.recipe import Recipe
from narformer.training.runs import Run, find, keep, read_run, run_name, scored, stored

FORMAT_1 = {
    "format": 1,
    "system": "relational",
    "data": "nasbench201",
    "n": 78,
    "seed": 0,
    "scores": {"tau": 0.8, "tau_unseen": 0.79},
    "validation_tau": 0.81,
    "saved_tau": 0.82,
    "recipe": {"system": "relational", "data": {"name": "nasbench201", "label": None}, "expert": {"steps": 150}},
    "recipe_hash": "28e3d6636d07",
    "seconds_training": 12.5,
    "seconds_scoring": 1.0,
    "machine": {"cpu": "An Abacus", "cores": 10, "threads": 1, "torch": "2.13.0", "precision": "bfloat16"},
    "date": "2026-01-01",
}


def test_a_run_of_format_1_is_read(tmp_path):
    path = tmp_path / "run.json"
    path.write_text(json.dumps(FORMAT_1))
    run = read_run(path)
    assert run.format == 2
    assert run.scores == {"nasbench201": FORMAT_1["scores"]}
    assert run.attribute_scores == FORMAT_1["scores"]
    assert (run.threads, run.torch, run.precision) == (1, "2.13.0", "bfloat16")
    assert (run.machine.cpu, run.machine.cores, run.machine.model) == ("An Abacus", 10, "")
    assert run.recipe == FORMAT_1["recipe"]
    assert (run.validation_tau, run.saved_tau, run.recipe_hash) == (0.81, 0.82, "28e3d6636d07")
    assert run.where == "An Abacus, 10 cores, 1 thread, torch 2.13.0, bfloat16"
    assert Run.model_validate_json(run.model_dump_json()) == run


def test_the_label_of_a_run_of_format_1_names_its_scores(tmp_path):
    data = FORMAT_1["recipe"]["data"] | {"label": "cifar100_valid"}
    (tmp_path / "run.json").write_text(json.dumps(FORMAT_1 | {"recipe": FORMAT_1["recipe"] | {"data": data}}))
    assert read_run(tmp_path / "run.json").scores == {"cifar100_valid": FORMAT_1["scores"]}


@pytest.mark.parametrize(
    "damage",
    [{"machine": {"cpu": "An Abacus"}}, {"machine": None}, {"recipe": None}, {"recipe": []}, {"format": 3}, {"n": "x"}],
    ids=str,
)
def test_damaged_files_are_named(tmp_path, damage):
    path = tmp_path / "run.json"
    path.write_text(json.dumps(FORMAT_1 | damage))
    with pytest.raises(BadFile, match=r"run\.json.*expected a stored run"):
        read_run(path)


def test_what_is_kept_is_found(recipe, dataset, content, tmp_path):
    runs = [scored(train(recipe, seed, dataset)) for seed in (1, 0)]
    for run in runs:
        assert keep(tmp_path, recipe, run).name == f"{run_name(recipe, run.seed)}.json"
    assert find(tmp_path, recipe, 1) == runs[0]
    assert stored(tmp_path, recipe) == runs[::-1]
    assert find(tmp_path, recipe, 2) is None
    other = Recipe.of(content, "here", {"training.epochs": 3})
    assert stored(tmp_path, other) == []


def test_a_run_says_where_it_was_made_and_its_facts_get_the_scores(recipe, dataset):
    trained = train(recipe, 0, dataset)
    run = scored(trained)
    assert set(run.scores) == {"valid"}
    assert trained.facts["scores"] == run.scores
    assert run.machine == environment().machine
    assert (run.threads, run.precision) == (1, "float32")
    assert run.trained_on == trained.facts["trained_on"]
