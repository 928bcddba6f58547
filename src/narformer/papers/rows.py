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
from narformer.papers.tables import Row, Setting, Table
from narformer.training.evaluate import evaluate
from narformer.training.experiment import fit, train
from narformer.training.loop import Progress, silent
from narformer.training.recipe import AnyRecipe, Fitting, Recipe

PARTS = ("pretraining", "expert", "self_evolution")  # of a training, timed by themselves


def row_recipe(table: Table, row: Row, setting: Setting, variant: Variant) -> Recipe | Fitting:
    """The recipe that runs a row in a setting.

    Raises BadRecipe where the row has no recipe, or no number is printed for the setting.
    """
    if row.recipe is None:
        known = ", ".join(f"'{other.system}'" for other in table.rows if other.recipe is not None)
        raise BadRecipe(f"'{row.system}' has no recipe: this release runs {known} of {table.name}")
    if setting not in table.settings(row):
        known = ", ".join(map(str, table.settings(row)))
        raise BadRecipe(f"{table.name} has no number of '{row.system}' for {setting}; it has {known}")
    if setting.n is None:
        return cost_recipe(row.recipe)
    changes = {"data.name": table.data, **row.changes}
    if setting.unseen is not None:
        changes["data.unseen"] = setting.unseen
    return read_recipe(row.recipe, variant, setting.n, row.self_evolution, changes)


def run_row(
    table: Table,
    row: Row,
    setting: Setting,
    seed: int,
    variant: Variant = "quick",
    *,
    results: Path,
    folder: Path | None = None,
    progress: Progress = silent,
    fresh: bool = False,
    dataset: Dataset | None = None,
) -> Run:
    """The run of a row in a setting with a seed: the stored one, or a new one, which is then stored.

    An interrupted run leaves its state under ``folder`` and goes on from there. ``fresh`` ignores both the stored
    run and such a state. Raises as ``row_recipe``, and MissingData where the benchmark is not in the data folder.
    """
    recipe = row_recipe(table, row, setting, variant)
    run = None if fresh else find(results, recipe, seed)
    if run is not None:
        return run
    own = None if folder is None else folder / run_name(recipe, seed)
    if own is not None and fresh:
        _forget(own)
    if isinstance(recipe, Fitting):
        run = _fitted(recipe, seed, dataset, progress)
    else:
        run = (_measured if setting.n is None else _trained)(recipe, seed, dataset, own, progress)
    keep(results, recipe, run)
    if own is not None:
        _forget(own)
    return run


def _trained(recipe: Recipe, seed: int, dataset: Dataset | None, folder: Path | None, progress: Progress) -> Run:
    trained = train(recipe, seed, dataset=dataset, folder=folder, progress=progress)
    started = time.perf_counter()
    scores = evaluate(trained.predictor, trained.dataset, trained.split, progress)
    facts, tau = trained.facts, float(trained.facts.get("best_validation_tau", math.nan))
    return _run(
        recipe,
        seed,
        recipe.training.precision,
        scores=scores,
        validation_tau=tau if math.isfinite(tau) else None,
        saved_tau=round(facts["saved_validation_tau"], 6),
        seconds_training=round(facts["seconds"] + sum(facts.get(f"{part}_seconds", 0.0) for part in PARTS), 1),
        seconds_scoring=round(time.perf_counter() - started, 1),
        self_evolution=facts.get("self_evolution_rounds"),
    )


def _fitted(recipe: Fitting, seed: int, dataset: Dataset | None, progress: Progress) -> Run:
    fitted = fit(recipe, seed, dataset)
    started = time.perf_counter()
    scores = evaluate(fitted.predictor, fitted.dataset, fitted.split, progress)
    scoring = round(time.perf_counter() - started, 1)
    seconds = round(fitted.seconds, 1)
    return _run(recipe, seed, "float64", scores=scores, seconds_training=seconds, seconds_scoring=scoring)


def _measured(recipe: Recipe, seed: int, dataset: Dataset | None, folder: Path | None, progress: Progress) -> Run:
    started = time.perf_counter()
    scores, times_ms = measure_cost(recipe, seed, dataset, progress)
    return _run(
        recipe,
        seed,
        recipe.training.precision,
        scores=scores,
        seconds_training=0.0,
        seconds_scoring=round(time.perf_counter() - started, 1),
        times_ms=times_ms,
    )


def _run(recipe: AnyRecipe, seed: int, precision: str, **facts: object) -> Run:
    return Run.model_validate(
        {
            "system": recipe.system,
            "data": recipe.data.name,
            "n": recipe.data.train,
            "seed": seed,
            "recipe": recipe.model_dump(mode="json"),
            "recipe_hash": recipe.hash(),
            "machine": Machine.here(precision),
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
