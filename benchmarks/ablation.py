"""Ablation of our own predictor: its recipe with one change at a time, with the same seeds, side by side.

    python benchmarks/ablation.py --space nasbench201 --size 781 --seeds 3     stored runs are not repeated
    python benchmarks/ablation.py --page                                      docs/ablation.md from the stored runs

Decisions are based on τ on the 200 validation cells; τ on test cells is also stored, and shown in the page only.
"""

import argparse
import copy
import json
import statistics
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from narformer.data import load
from narformer.data.dataset import Dataset
from narformer.metrics import kendall_tau
from narformer.papers import read_recipe
from narformer.predictors import NeuralPredictor
from narformer.training.experiment import train
from narformer.training.recipe import NeuralRecipe, Recipe

ROOT = Path(__file__).resolve().parents[1]
STORED, PAGE = ROOT / "results" / "ablation.jsonl", ROOT / "docs" / "ablation.md"
SECONDS = ("seconds", "pretraining_seconds", "gaussian_process_seconds")
TESTED = 20_000  # cells of the test set, drawn once; all of NAS-Bench-101 would take longer than the training

AS_IT_IS, MODEL, PROCESS = "as it is", "of these, the model alone", "of these, the expert alone"
TRAINING_LABEL = "test, training label"
SCORES = ("validation", "test", TRAINING_LABEL, "coverage")

# name -> its changes to the recipe of papers/relational
VARIANTS: dict[str, dict[str, Any]] = {
    AS_IT_IS: {},
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
    "no relations in the attention": {"model.relations": False},
    "no graph step in the feed-forward part": {"model.graph_step": False},
    "neither: edges tell the sinks alone": {"model.relations": False, "model.graph_step": False},
    "cells as they are, not simplified": {"tokenizer": {"name": "relational"}},
    "no pairwise loss": {"loss.pairwise": 0.0},
    "pairs counted alike": {"loss.pairs": "equal"},
    "pairwise loss alone": {"loss.regression": "none"},
    "pairwise loss twice as heavy": {"loss.pairwise": 4.0},
    "consistency of two dropouts, 0.5": {"loss.consistency": 0.5},
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
    "no pre-training": {"pretraining": None},
    "pre-training of 1,500 steps": {"pretraining": {"steps": 1500}},
    "pre-training of 5,000 steps": {"pretraining": {"steps": 5000}},
    "expert of 16 networks": {"gaussian_process.networks": 16},
    "expert of 128 networks": {"gaussian_process.networks": 128},
    "n/5 validation cells": {"data.validation": 0.2},
}
SHARES = ("training.epochs", "data.validation")  # a fraction is one of the recipe's epochs, of the training cells
RANDOM = "random split"
VARIANTS |= {f"{RANDOM} {k}": {"data.split": "random", "data.split_seed": k} for k in range(1, 6)}


def recipe_of(space: str, size: int, name: str) -> NeuralRecipe:
    """The recipe with a variant's change."""
    recipe = read_recipe(f"relational/{space}", "quick", size)
    assert isinstance(recipe, NeuralRecipe)
    changes = dict(VARIANTS[name])
    for key, whole in zip(SHARES, (recipe.training.epochs, size), strict=True):
        if isinstance(changes.get(key), float):
            changes[key] = round(changes[key] * whole)
    content = recipe.model_dump(mode="json", exclude_defaults=True)
    return Recipe.of(content, name, changes)


def run(space: str, size: int, name: str, seed: int, dataset: Dataset) -> dict[str, Any]:
    """One training, scored on the validation cells and on test cells, as in the tables, including those trained on.

    ``coverage`` is for test cells with a label of the kind that was trained on, without those trained on.
    """
    recipe = recipe_of(space, size, name)
    trained = train(recipe, seed, dataset)
    predictor, labels = trained.predictor, dataset.labels[dataset.train_labels[0]]
    rows = np.sort(np.random.default_rng(0).permutation(trained.split.test)[:TESTED])
    answer = predictor.ask(dataset.rows(rows))
    scores = {"validation": trained.facts["saved_validation_tau"]}
    scores |= _ranked(dataset, rows, answer.opinion_NTE[:, 0].mean(axis=1))
    new = np.isin(rows, trained.split.unseen()) & np.isfinite(labels[rows])
    if predictor.calibrations[0] is not None and new.any():
        inside = (answer.low_NT[:, 0] <= labels[rows]) & (labels[rows] <= answer.high_NT[:, 0])
        scores["coverage"] = float(inside[new].mean())
    parts = {}
    assert isinstance(predictor, NeuralPredictor)
    process = predictor.processes[0]
    if process is not None and name == AS_IT_IS:
        alone = copy.copy(predictor)
        alone.processes = (None,)
        model_N = alone.opinions(dataset.rows(rows))[:, 0].mean(axis=1)
        cells = predictor.tokenizer.simplified(dataset.rows(rows))
        parts = {
            MODEL: _ranked(dataset, rows, model_N),
            PROCESS: _ranked(dataset, rows, process(cells).numpy()),
        }
    return {
        "space": space,
        "size": size,
        "variant": name,
        "seed": seed,
        "recipe_hash": recipe.hash(),
        "scores": _rounded(scores),
        "parts": {part: _rounded(found) for part, found in parts.items()},
        "seconds": round(sum(trained.facts.get(name, 0.0) for name in SECONDS), 1),
    }


def _ranked(dataset: Dataset, rows: NDArray[np.int64], value_N: NDArray[np.float64]) -> dict[str, float]:
    labels, test = dataset.labels[dataset.train_labels[0]][rows], dataset.labels[dataset.test_labels[0]][rows]
    known = np.isfinite(labels)
    return {"test": kendall_tau(value_N, test), TRAINING_LABEL: kendall_tau(value_N[known], labels[known])}


def _rounded(scores: dict[str, float]) -> dict[str, float]:
    return {key: round(score, 4) for key, score in scores.items()}


def stored() -> list[dict[str, Any]]:
    """All stored runs, in the order of time."""
    return [json.loads(line) for line in STORED.read_text(encoding="utf-8").splitlines()] if STORED.exists() else []


def page() -> str:
    """A table for each space and size: mean ± sd of the scores, seeds, seconds; the recipe as it is first."""
    parts = [
        "# Ablation of our own predictor",
        "Each line is the recipe of `papers/relational` with one change. The scores are Kendall's τ, mean ± standard "
        "deviation over seeds: on the 200 (or n/5) validation cells, which decisions are based on; on the test cells "
        f"of the tables ({TESTED:,} of NAS-Bench-101, all of NAS-Bench-201) against test labels; and on the same cells "
        "against labels of the kind used in training. Coverage is the share of these labels that lie in 90 % "
        "prediction intervals, on unseen cells. The random splits share one line, whose spread is over splits. "
        "`benchmarks/ablation.py` produces this page. Each line names its recipe, because a change of the recipe makes "
        "runs outdated.",
    ]
    runs = stored()
    for space, size in dict.fromkeys((r["space"], r["size"]) for r in runs):
        mine = [r for r in runs if (r["space"], r["size"]) == (space, size)]
        lines = [f"| | {' | '.join(SCORES)} | seeds | s | recipe |", "|---|---|---|---|---|---|---|---|"]
        for name, recipe in dict.fromkeys(map(line_of, mine)):
            same = [r for r in mine if line_of(r) == (name, recipe)]
            seconds = statistics.fmean(r["seconds"] for r in same)
            lines.append(
                f"| {name} | {_spreads([r['scores'] for r in same])} | {len(same)} | {seconds:.0f} | {recipe} |"
            )
            lines += [
                f"| {part} | {_spreads([r['parts'][part] for r in same])} | {len(same)} | | |"
                for part in same[0]["parts"]
            ]
        parts += [f"## {space}, {size} cells", "\n".join(lines)]
    return "\n\n".join(parts) + "\n"


def line_of(run: dict[str, Any]) -> tuple[str, str]:
    """The name and the recipe of the line that a run belongs to."""
    if run["variant"].startswith(RANDOM):
        return f"{RANDOM}s", "several"
    return run["variant"], run["recipe_hash"]


def _spreads(scores: list[dict[str, float]]) -> str:
    return " | ".join(_spread([one[key] for one in scores if key in one]) for key in SCORES)


def _spread(values: list[float]) -> str:
    if not values:
        return "–"
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
        if name != AS_IT_IS and recipe == recipe_of(given.space, given.size, AS_IT_IS).hash():
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
