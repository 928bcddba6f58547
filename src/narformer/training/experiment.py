"""The training pipeline: load, split, fit; from a recipe and a seed to a predictor that can be scored and saved."""

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narformer.data import load, network_numbers, split
from narformer.data.dataset import Dataset, Split
from narformer.data.table_file import read_table_file
from narformer.errors import BadFile, BadRecipe
from narformer.metrics import kendall_tau
from narformer.predictors import Predictor, Task
from narformer.predictors.devices import check_device
from narformer.progress import Progress, silent
from narformer.store import content_digest, measured, open_store
from narformer.training.neural import fit_neural
from narformer.training.recipe import Data, NeuralRecipe, Recipe

__all__ = ["Trained", "divided", "load_dataset", "train"]


@dataclass(frozen=True, eq=False)
class Trained:
    """A predictor, its recipe, and the data that it was trained on."""

    recipe: Recipe
    predictor: Predictor
    dataset: Dataset
    split: Split

    @property
    def facts(self) -> dict[str, Any]:
        """The facts of the run, stored in the predictor."""
        return self.predictor.facts


def train(
    recipe: Recipe,
    seed: int,
    dataset: Dataset | None = None,
    folder: Path | None = None,
    progress: Progress = silent,
    device: str = "cpu",
) -> Trained:
    """Fit the recipe's predictor with this seed; a neural one resumes from ``folder`` after an interruption.

    Raises BadRecipe where the data set lacks something that the recipe names, or the predictor cannot be fitted to it;
    Diverged.
    """
    check_device(device)
    dataset, rows = divided(recipe.data, load_dataset(recipe.data) if dataset is None else dataset)
    task = _task(dataset, rows, seed, progress)
    fitted: tuple[Predictor, dict[str, Any]]
    if isinstance(recipe, NeuralRecipe):
        fitted = fit_neural(recipe, task, folder, device)
    else:
        fitted = _fit_at_once(recipe, task)
    predictor, facts = fitted
    predictor.facts = facts | _provenance(recipe, seed, dataset, rows)
    return Trained(recipe, predictor, dataset, rows)


def _fit_at_once(recipe: Recipe, task: Task) -> tuple[Predictor, dict[str, Any]]:
    """The predictor with its intervals, and the seconds it took."""
    started = time.perf_counter()
    kind, options = recipe.fitting()
    predictor: Predictor = kind.fit(task, options)
    seconds = time.perf_counter() - started
    opinion_VTE = predictor.opinions(task.validation)
    predictor.calibrate(opinion_VTE[task.judged_V], task.label_VT[task.judged_V])
    value_VT, taus = predictor.values(opinion_VTE), []
    errors: dict[str, float] = {}
    for t, attribute in enumerate(predictor.attributes):
        known = np.flatnonzero(np.isfinite(task.label_VT[:, t]))
        if len(known) > 1:
            taus.append(kendall_tau(value_VT[known, t], task.label_VT[known, t]))
            errors[attribute.name] = float(np.abs(value_VT[known, t] - task.label_VT[known, t]).mean())
    tau = float(np.mean(taus)) if taus else None
    return predictor, {"seconds": seconds, "saved_validation_tau": tau, "measured_error": errors}


def _task(dataset: Dataset, rows: Split, seed: int, progress: Progress) -> Task:
    label_MT = dataset.columns(dataset.train_labels)
    return Task(
        attributes=tuple(dataset.attributes[name] for name in dataset.train_labels),
        space=dataset.space,
        source=dataset.name,
        training=dataset.rows(rows.train),
        label_MT=label_MT[rows.train],
        validation=dataset.rows(rows.validation),
        label_VT=label_MT[rows.validation],
        pool=dataset.architectures,
        judged_V=_first_rows(dataset, rows),
        seed=seed,
        progress=progress,
    )


def _provenance(recipe: Recipe, seed: int, dataset: Dataset, rows: Split) -> dict[str, Any]:
    """The facts about the origin of a predictor."""
    one = len(dataset.train_labels) == 1
    return {
        "system": recipe.system,
        "recipe": recipe.model_dump(mode="json"),
        "recipe_hash": recipe.hash(),
        "seed": seed,
        "trained_on": {
            "data": dataset.name,
            "label": dataset.train_labels[0] if one else list(dataset.train_labels),
            "test_label": dataset.test_labels[0] if one else list(dataset.test_labels),
            "split": recipe.data.split,
            "split_seed": recipe.data.split_seed,
            "unseen": recipe.data.unseen,
            "train": len(rows.train),
            "validation": len(rows.validation),
            "test": len(rows.test),
        },
    }


def _first_rows(dataset: Dataset, rows: Split) -> NDArray[np.int64]:
    """Positions among the validation rows for error estimates: one of each network whose rows are kept together."""
    if rows.name != "holdout":
        return np.arange(len(rows.validation))
    return np.sort(np.unique(network_numbers(dataset, rows.validation), return_index=True)[1])


def divided(data: Data, dataset: Dataset) -> tuple[Dataset, Split]:
    """The data set with the labels that the section [data] names, and its split.

    Raises BadRecipe where the set has no such label, or too few rows.
    """
    labels, test_labels = data.labels or dataset.train_labels, data.test_labels
    if not test_labels:
        test_labels = labels if data.labels and data.labels != dataset.train_labels else dataset.test_labels
    for name in (*labels, *test_labels):
        if name not in dataset.labels:
            raise BadRecipe(f"data set '{dataset.name}' has no label '{name}'; it has {', '.join(dataset.labels)}")
    if len(labels) != len(test_labels) or len(set(labels)) < len(labels):
        raise BadRecipe(
            f"found the labels {labels} and test labels {test_labels}; expected one of each, without repetition"
        )
    dataset = replace(dataset, train_labels=labels, test_labels=test_labels)
    return dataset, split(dataset, data.split, data.train, data.split_seed, data.validation, data.unseen)


def load_dataset(data: Data) -> Dataset:
    """The source, the table or the store that the section [data] names.

    Raises as ``load``, ``read_table_file`` and ``measured``: BadFile where a table or a store has changed since the
    recipe was made.
    """
    if data.store is None:
        return load(data.name) if data.file is None else read_table_file(data.file, data.labels, data.sha256)
    with open_store(data.store, new=False) as opened:
        dataset = measured(opened, data.labels[0], **data.condition)
    if content_digest(dataset) != data.sha256:
        raise BadFile(
            opened.place,
            "other measurements than when the recipe was made",
            "the same ones",
            f"Train again, or name it: --data {data.store}",
        )
    return dataset
