"""Run a row of a table: train and score, or measure; unless that run is already stored."""

import time
from dataclasses import dataclass
from pathlib import Path

from narformer.data.dataset import Dataset
from narformer.errors import BadRecipe
from narformer.papers.cost import cost_recipe, measure_cost
from narformer.papers.recipes import Variant, read_recipe
from narformer.papers.tables import Row, Setting, Table
from narformer.progress import Progress, silent
from narformer.training.experiment import train
from narformer.training.recipe import NeuralRecipe, Recipe
from narformer.training.runs import Run, find, keep, run_name, scored

__all__ = ["Place", "row_recipe", "run_row"]


@dataclass(frozen=True)
class Place:
    """The places of runs.

    results: folder of stored runs and tables
    folder:  of the states of interrupted runs; None where no state is kept
    fresh:   whether a stored run and the state of an interrupted one are ignored
    """

    results: Path
    folder: Path | None = None
    fresh: bool = False


def row_recipe(table: Table, row: Row, setting: Setting, variant: Variant) -> Recipe:
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
    place: Place,
    variant: Variant = "quick",
    progress: Progress = silent,
    dataset: Dataset | None = None,
) -> Run:
    """The run of a row in a setting with a seed: the stored one, or a new one, which is then stored.

    An interrupted run leaves its state under ``place.folder`` and resumes from there.
    Raises as ``row_recipe``, and MissingData where the benchmark is not in the data folder.
    """
    recipe = row_recipe(table, row, setting, variant)
    run = None if place.fresh else find(place.results, recipe, seed)
    if run is not None:
        return run
    own = None if place.folder is None else place.folder / run_name(recipe, seed)
    if own is not None and place.fresh:
        _forget(own)
    if setting.n is None:
        run = _measured(recipe, seed, dataset, progress)
    else:
        run = _trained(recipe, seed, dataset, own, progress)
    keep(place.results, recipe, run)
    if own is not None:
        _forget(own)
    return run


def _trained(recipe: Recipe, seed: int, dataset: Dataset | None, folder: Path | None, progress: Progress) -> Run:
    return scored(train(recipe, seed, dataset=dataset, folder=folder, progress=progress), progress)


def _measured(recipe: Recipe, seed: int, dataset: Dataset | None, progress: Progress) -> Run:
    assert isinstance(recipe, NeuralRecipe)
    started = time.perf_counter()
    scores, times_ms = measure_cost(recipe, seed, dataset, progress)
    return Run.here(
        recipe,
        seed,
        recipe.training.precision,
        scores={"cost": scores},
        seconds_training=0.0,
        seconds_scoring=round(time.perf_counter() - started, 1),
        times_ms=times_ms,
    )


def _forget(folder: Path) -> None:
    """Remove the state of an interrupted run."""
    for name in ("state.safetensors", "state.partial"):
        (folder / name).unlink(missing_ok=True)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
