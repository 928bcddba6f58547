"""Training a recipe, from the file to the saved predictor and its scores."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from narformer.data.dataset import Dataset
from narformer.data.splits import save_split
from narformer.data.table_file import repeated
from narformer.errors import BadFile, BadRecipe
from narformer.predictors import saved
from narformer.progress import Progress, silent
from narformer.training import experiment
from narformer.training.default_recipes import recipe_for_store, recipe_for_table
from narformer.training.recipe import Recipe
from narformer.training.runs import Run, read_run, scored, write_whole

__all__ = ["Learned", "Material", "Run", "train"]


@dataclass(frozen=True)
class Material:
    """The user's own data in place of a recipe's data.

    table:      the user's own file (data/table_file.py)
    store:      a store of measurements, as ``open_store`` takes it
    labels:     the columns of the table to learn, its first by default; of a store, the one attribute to learn
    condition:  of a store, values that select measurements: runtime, device, threads, batch, precision
    """

    table: Path | None = None
    store: str | None = None
    labels: tuple[str, ...] = ()
    condition: Mapping[str, str | int] = field(default_factory=dict)


@dataclass(frozen=True)
class Learned:
    """A run, and the path of its predictor.

    rows, repeated, unlabelled: numbers of rows of the user's own data: all, those that repeat the network of an earlier
        row, and those without each label; None and empty for a recipe's source
    unused: number of rows without any of the labels
    """

    run: Run
    predictor: Path
    space: str
    rows: int | None = None
    repeated: int | None = None
    unlabelled: Mapping[str, int] = field(default_factory=dict)
    unused: int = 0


def train(
    recipe: Path | None = None,
    seed: int = 0,
    out: Path | None = None,
    changes: dict[str, Any] | None = None,
    device: str = "cpu",
    progress: Progress = silent,
    material: Material | None = None,
) -> Learned:
    """Train a recipe and save the predictor to ``out`` (runs/<system>-<hash>-s<seed>).

    With a table or a store, no recipe is needed. The rows of each part are written to ``split.json``, the scores to
    ``run.json``. An interrupted run resumes from its folder; a finished one is not trained again.
    Raises BadRecipe where there is neither recipe nor material.
    """
    read, dataset = _recipe(recipe, changes, material or Material())
    folder = out or Path("runs") / f"{read.system}-{read.hash()}-s{seed}"
    if folder.exists() and not folder.is_dir():
        raise BadFile(folder, "a file", "a folder for the run", "Choose another --out.")
    if (folder / "run.json").exists() and (folder / "predictor").exists():
        run = read_run(folder / "run.json")
        if (run.recipe_hash, run.seed) != (read.hash(), seed):
            found = f"the run of recipe {run.recipe_hash}, seed {run.seed}"
            raise BadFile(folder / "run.json", found, f"recipe {read.hash()}, seed {seed}", "Choose another --out.")
        return _learned(run, folder, dataset, saved.read_manifest(folder / "predictor").space)
    trained = experiment.train(read, seed, dataset, folder, progress=progress, device=device)
    run = scored(trained, progress)
    saved.save(trained.predictor, folder / "predictor")
    save_split(trained.split, trained.dataset, folder / "split.json")
    write_whole(folder / "run.json", run.model_dump_json(indent=1, exclude_none=True) + "\n")
    (folder / "state.safetensors").unlink(missing_ok=True)
    return _learned(run, folder, dataset, trained.dataset.space)


def _learned(run: Run, folder: Path, dataset: Dataset | None, space: str) -> Learned:
    if dataset is None:
        return Learned(run, folder / "predictor", space)
    labels: Sequence[str] = dataset.train_labels
    missing = {name: len(dataset) - len(dataset.having([name])) for name in labels}
    unlabelled = {name: count for name, count in missing.items() if count}
    unused = len(dataset) - len(dataset.having(labels))
    return Learned(run, folder / "predictor", space, len(dataset), repeated(dataset), unlabelled, unused)


def _recipe(recipe: Path | None, changes: dict[str, Any] | None, material: Material) -> tuple[Recipe, Dataset | None]:
    if material.table is not None and material.store is not None:
        raise BadRecipe("found both a table and a store; expected one of --data and --store")
    if material.condition and material.store is None:
        raise BadRecipe("--where chooses among the measurements of a store: name one with --store")
    if material.table is not None:
        return recipe_for_table(material.table, material.labels, recipe, changes)
    if material.store is not None:
        if len(material.labels) > 1:
            raise BadRecipe(f"found the attributes {', '.join(material.labels)}; from a store, learn one at a time")
        attribute = material.labels[0] if material.labels else "latency"
        return recipe_for_store(material.store, attribute, material.condition, recipe, changes)
    if recipe is None:
        raise BadRecipe("nothing to train on: give a recipe, a table with --data, or measurements with --store")
    if material.labels:
        label = material.labels[0] if len(material.labels) == 1 else list(material.labels)
        changes = {"data.label": label} | (changes or {})
    return Recipe.read(recipe, changes), None
