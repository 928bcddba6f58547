"""The ablation's recipes are what their names say, no two alike, and its page is what was stored."""

import json

import pytest

from narformer.papers import read_recipe

SPACES = {"nasbench101": (100, 424), "nasbench201": (78, 781)}


@pytest.fixture(scope="module")
def ablation(benchmark_called):
    return benchmark_called("ablation")


@pytest.mark.parametrize("space", SPACES)
def test_no_two_variants_are_one_recipe(space, ablation):
    """But for those that change nothing: the recipe is so already, and the benchmark passes over them."""
    for size in SPACES[space]:
        whole = read_recipe(f"relational/{space}", "quick", size)
        hashes = {name: ablation.recipe_of(space, size, name).hash() for name in ablation.VARIANTS}
        assert hashes["as it is"] == whole.hash()
        changed = {name: found for name, found in hashes.items() if found != whole.hash()}
        assert len(set(changed.values())) == len(changed) > 30
        assert "no pre-training" in changed


def test_a_share_of_epochs_is_a_multiple(ablation):
    for name, factor in (("as it is", 1), ("half the epochs", 0.5), ("twice the epochs", 2)):
        epochs = ablation.recipe_of("nasbench201", 781, name).training.epochs
        assert epochs == factor * ablation.recipe_of("nasbench201", 781, "as it is").training.epochs


def test_the_page_says_what_was_stored(ablation, tmp_path, monkeypatch):
    monkeypatch.setattr(ablation, "STORED", tmp_path / "ablation.jsonl")
    assert "|" not in ablation.page()
    lines = [
        {
            "space": "nasbench201",
            "size": 78,
            "variant": variant,
            "seed": seed,
            "recipe_hash": variant[:3],
            "scores": {"validation": 0.7 + 0.1 * seed, "test": 0.5, "test, training label": 0.25, "coverage": 0.9},
            "parts": {"of these, the model alone": {"test": 0.4}} if variant == "as it is" else {},
            "seconds": 10.0 + seed,
        }
        for variant, seed in (
            *(("as it is", 0), ("as it is", 2), ("one member", 0)),
            *(("random split 1", 0), ("random split 2", 2)),
        )
    ]
    ablation.STORED.write_text("".join(json.dumps(line) + "\n" for line in lines))
    rows = [line for line in ablation.page().splitlines() if line.startswith("| ")]
    assert rows[1:] == [
        "| as it is | 0.8000 ± 0.1414 | 0.5000 ± 0.0000 | 0.2500 ± 0.0000 | 0.9000 ± 0.0000 | 2 | 11 | as  |",
        "| of these, the model alone | – | 0.4000 ± 0.0000 | – | – | 2 | | |",
        "| one member | 0.7000 | 0.5000 | 0.2500 | 0.9000 | 1 | 10 | one |",
        "| random splits | 0.8000 ± 0.1414 | 0.5000 ± 0.0000 | 0.2500 ± 0.0000 | 0.9000 ± 0.0000 | 2 | 11 | several |",
    ]
