"""Run what a row of a table names: train and score, or measure; unless that run is stored already."""

import math
import time
from datetime import UTC, datetime
from pathlib import Path

from narformer.data.dataset import Dataset
from narformer.errors import BadRecipe
from narformer.papers.cost import cost_recipe, measure_cost
from narformer.papers.recipes import Variant, read_recipe
from narformer.papers.runs import Machine, Run, find, keep, run_name
from narformer.papers.tables import Row, Table
from narformer.training.evaluate import evaluate
from narformer.training.experiment import train
from narformer.training.loop import Progress, silent
from narformer.training.recipe import Recipe

PARTS = ("pretraining", "expert", "self_evolution")  # of a training, timed by themselves


def row_recipe(table: Table, row: Row, n: int | None, variant: Variant) -> Recipe:
    """The recipe that runs a row for ``n`` training cells; None where the table's columns have no such number.

    Raises BadRecipe where the row has no recipe, or no number is printed for n.
    """
    if row.recipe is None:
        known = ", ".join(f"'{other.system}'" for other in table.rows if other.recipe is not None)
        raise BadRecipe(f"'{row.system}' has no recipe: this release runs {known} of {table.name}")
    if n not in table.sizes(row):
        sizes = ", ".join(map(str, table.sizes(row)))
        raise BadRecipe(f"{table.name} has no number of '{row.system}' for {n} training cells; it has {sizes}")
    if n is None:
        return cost_recipe(row.recipe)
    return read_recipe(row.recipe, variant, n, row.self_evolution)


def run_row(
    table: Table,
    row: Row,
    n: int | None,
    seed: int,
    variant: Variant = "quick",
    *,
    results: Path,
    folder: Path | None = None,
    progress: Progress = silent,
    fresh: bool = False,
    dataset: Dataset | None = None,
) -> Run:
    """The run of a row for ``n`` training cells and a seed: the stored one, or a new one, which is then stored.

    An interrupted run leaves its state under ``folder`` and goes on from there. ``fresh`` ignores both the stored
    run and such a state. Raises as ``row_recipe``, and MissingData where the benchmark is not in the data folder.
    """
    recipe = row_recipe(table, row, n, variant)
    run = None if fresh else find(results, recipe, seed)
    if run is not None:
        return run
    own = None if folder is None else folder / run_name(recipe, seed)
    if own is not None and fresh:
        _forget(own)
    run = (_measured if n is None else _trained)(recipe, seed, dataset, own, progress)
    keep(results, recipe, run)
    if own is not None:
        _forget(own)
    return run


def _trained(recipe: Recipe, seed: int, dataset: Dataset | None, folder: Path | None, progress: Progress) -> Run:
    trained = train(recipe, seed, dataset=dataset, folder=folder, progress=progress)
    started = time.perf_counter()
    scores = evaluate(
        trained.predictor, trained.dataset, trained.split, recipe.data.test_label, recipe.data.label, progress
    )
    facts, tau = trained.facts, float(trained.facts.get("best_validation_tau", math.nan))
    return _run(
        recipe,
        seed,
        scores=scores,
        validation_tau=tau if math.isfinite(tau) else None,
        saved_tau=round(facts["saved_validation_tau"], 6),
        seconds_training=round(facts["seconds"] + sum(facts.get(f"{part}_seconds", 0.0) for part in PARTS), 1),
        seconds_scoring=round(time.perf_counter() - started, 1),
        self_evolution=facts.get("self_evolution_rounds"),
    )


def _measured(recipe: Recipe, seed: int, dataset: Dataset | None, folder: Path | None, progress: Progress) -> Run:
    started = time.perf_counter()
    scores, times_ms = measure_cost(recipe, seed, dataset, progress)
    return _run(
        recipe,
        seed,
        scores=scores,
        seconds_training=0.0,
        seconds_scoring=round(time.perf_counter() - started, 1),
        times_ms=times_ms,
    )


def _run(recipe: Recipe, seed: int, **facts: object) -> Run:
    return Run.model_validate(
        {
            "system": recipe.system,
            "data": recipe.data.name,
            "n": recipe.data.train,
            "seed": seed,
            "recipe": recipe.model_dump(mode="json"),
            "recipe_hash": recipe.hash(),
            "machine": Machine.here(recipe.training.precision),
            "date": datetime.now(UTC).date().isoformat(),
            **facts,
        }
    )


def _forget(folder: Path) -> None:
    """Remove what an interrupted run left."""
    for name in ("state.safetensors", "state.partial"):
        (folder / name).unlink(missing_ok=True)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
