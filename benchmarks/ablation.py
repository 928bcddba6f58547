"""What each part of our own predictor is worth: its recipe with one thing changed, the same seeds, side by side.

    python benchmarks/ablation.py --space nasbench201 --size 781 --seeds 3     what is stored is not run again
    python benchmarks/ablation.py --page                                      docs/ablation.md from what is stored

Decisions are taken by τ on the 200 validation cells; τ on test cells is stored beside it and shown in the page only.
"""

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

import numpy as np
import torch

from narformer.data import load
from narformer.data.dataset import Dataset
from narformer.metrics import kendall_tau
from narformer.papers import read_recipe
from narformer.training.experiment import train
from narformer.training.recipe import Recipe

ROOT = Path(__file__).resolve().parents[1]
STORED, PAGE = ROOT / "results" / "ablation.jsonl", ROOT / "docs" / "ablation.md"
SECONDS = ("seconds", "pretraining_seconds", "expert_seconds")
TESTED = 20_000  # cells of the test set, drawn once; all of NAS-Bench-101 would take longer than to train

# name -> what it changes in the recipe of papers/relational
VARIANTS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "one member": {"model.members": 1},
    "two members": {"model.members": 2},
    "eight members": {"model.members": 8},
    "two layers": {"model.layers": 2},
    "five layers": {"model.layers": 5},
    "width 64, 4 heads": {"model.width": 64, "model.heads": 4, "model.inner": 128},
    "width 128, 8 heads": {"model.width": 128, "model.heads": 8, "model.inner": 256},
    "inner 384": {"model.inner": 384},
    "no dropout": {"model.dropout": 0.0},
    "dropout .2": {"model.dropout": 0.2},
    "cells as they are, not contracted": {"tokenizer": {"name": "relational"}},
    "no pairwise loss": {"loss.pairwise": 0.0},
    "pairs counted alike": {"loss.pairs": "equal"},
    "pairwise loss alone": {"loss.regression": "none"},
    "pairwise loss twice as heavy": {"loss.pairwise": 4.0},
    "standardised targets": {"target.transform": "standard"},
    "averaged weights .99": {"optimiser.ema": 0.99},
    "averaged weights .998": {"optimiser.ema": 0.998},
    "best validation weights": {"training.selection": "best", "training.validate_every": 2},
    "half the epochs": {"training.epochs": 0.5},
    "twice the epochs": {"training.epochs": 2.0},
    "rate 1e-3": {"optimiser.learning_rate": 1e-3},
    "rate 4e-3": {"optimiser.learning_rate": 4e-3},
    "weight decay .2": {"optimiser.weight_decay": 0.2},
    "batches of 32": {"training.batch": 32},
    "batches of 128": {"training.batch": 128},
    "bfloat16": {"training.precision": "bfloat16"},
    "float32": {"training.precision": "float32"},
    "no expert": {"expert": None},
    "no pre-training": {"pretraining": None},
    "pre-training of 1,500 steps": {"pretraining": {"steps": 1500}},
    "pre-training of 5,000 steps": {"pretraining": {"steps": 5000}},
    "expert of 16 networks": {"expert.networks": 16},
    "expert of 128 networks": {"expert.networks": 128},
    "n/5 validation cells": {"data.validation": 0.2},
}
SHARES = ("training.epochs", "data.validation")  # a fraction is one of the recipe's epochs, of the training cells
RANDOM = "random split"
VARIANTS |= {f"{RANDOM} {k}": {"data.split": "random", "data.split_seed": k} for k in range(1, 6)}


def recipe_of(space: str, size: int, name: str) -> Recipe:
    """The recipe with a variant's change."""
    recipe = read_recipe(f"relational/{space}", "quick", size)
    assert isinstance(recipe, Recipe)
    changes = dict(VARIANTS[name])
    for key, whole in zip(SHARES, (recipe.training.epochs, size), strict=True):
        if isinstance(changes.get(key), float):
            changes[key] = round(changes[key] * whole)
    content = recipe.model_dump(mode="json", exclude_defaults=True)
    return Recipe.of(content, name, changes)


def run(space: str, size: int, name: str, seed: int, dataset: Dataset) -> dict[str, Any]:
    """One training, scored on the validation cells and on test cells, as the tables score: those it saw among them."""
    recipe = recipe_of(space, size, name)
    trained = train(recipe, seed, dataset)
    rows = np.sort(np.random.default_rng(0).permutation(trained.split.test)[:TESTED])
    labels, test = dataset.labels[dataset.train_label], dataset.labels[dataset.test_label]
    scores = {"validation": trained.facts["saved_validation_tau"]}
    value = trained.predictor.predict(dataset.rows(rows))[:, 0]
    scores["test"] = kendall_tau(value, test[rows])
    known = np.isfinite(labels[rows])
    scores["test, training label"] = kendall_tau(value[known], labels[rows][known])
    return {
        "space": space,
        "size": size,
        "variant": name,
        "seed": seed,
        "recipe_hash": recipe.hash(),
        "scores": {key: round(score, 4) for key, score in scores.items()},
        "seconds": round(sum(trained.facts.get(name, 0.0) for name in SECONDS), 1),
    }


def stored() -> list[dict[str, Any]]:
    """Every run that was stored, in the order of time."""
    return [json.loads(line) for line in STORED.read_text(encoding="utf-8").splitlines()] if STORED.exists() else []


def page() -> str:
    """A table for each space and size: mean ± sd of the scores, seeds, seconds; the recipe as it is first."""
    parts = [
        "# What each part of our own predictor is worth",
        "The recipe of `papers/relational` with one thing changed. Mean ± standard deviation over the seeds of "
        "Kendall's τ: on the 200 validation cells (or n/5 of them), by which decisions are taken; on the test cells of "
        f"the tables ({TESTED:,} of NAS-Bench-101, all of NAS-Bench-201) against test labels; and against labels "
        "of the kind that was trained on. The random splits are one line: the spread is over splits. "
        "`benchmarks/ablation.py` makes it; a change of the recipe makes runs stale, so each line names its recipe.",
    ]
    runs = stored()
    for space, size in dict.fromkeys((r["space"], r["size"]) for r in runs):
        mine = [r for r in runs if (r["space"], r["size"]) == (space, size)]
        lines = ["| | validation | test | test, training label | seeds | s | recipe |", "|---|---|---|---|---|---|---|"]
        for name, recipe in dict.fromkeys(map(line_of, mine)):
            same = [r for r in mine if line_of(r) == (name, recipe)]
            spreads = [_spread([r["scores"][key] for r in same]) for key in same[0]["scores"]]
            seconds = statistics.fmean(r["seconds"] for r in same)
            lines.append(f"| {name} | {' | '.join(spreads)} | {len(same)} | {seconds:.0f} | {recipe} |")
        parts += [f"## {space}, {size} cells", "\n".join(lines)]
    return "\n\n".join(parts) + "\n"


def line_of(run: dict[str, Any]) -> tuple[str, str]:
    """The name and the recipe of the line that a run belongs to."""
    if run["variant"].startswith(RANDOM):
        return f"{RANDOM}s", "several"
    return run["variant"], run["recipe_hash"]


def _spread(values: list[float]) -> str:
    sd = f" ± {statistics.stdev(values):.4f}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.4f}{sd}"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--space", choices=("nasbench101", "nasbench201"))
    arguments.add_argument("--size", type=int)
    arguments.add_argument("--seeds", type=int, default=3)
    arguments.add_argument("--variant", choices=VARIANTS, action="append", help="only these")
    arguments.add_argument("--threads", type=int, default=1)
    arguments.add_argument("--page", action="store_true")
    given = arguments.parse_args()
    if given.page:
        PAGE.write_text(page(), encoding="utf-8")
        return
    if given.space is None or given.size is None:
        arguments.error("give --space and --size, or --page")
    torch.set_num_threads(given.threads)
    dataset = load(given.space)
    for name in given.variant or VARIANTS:
        recipe = recipe_of(given.space, given.size, name).hash()
        if name != "as it is" and recipe == recipe_of(given.space, given.size, "as it is").hash():
            print(f"{name}: the recipe is so already")
            continue
        for seed in range(given.seeds):
            if any((r["recipe_hash"], r["seed"], r["size"]) == (recipe, seed, given.size) for r in stored()):
                continue
            found = run(given.space, given.size, name, seed, dataset)
            with STORED.open("a", encoding="utf-8") as file:
                file.write(json.dumps(found) + "\n")
            print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
