"""Scores of a saved predictor, on its own data or on other data."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from narformer.cells import Cells
from narformer.data import load as load_data
from narformer.data import split as split_data
from narformer.data.dataset import Dataset, Split
from narformer.data.splits import VALIDATION
from narformer.data.table_file import digest, is_table, read_table_file
from narformer.errors import BadPredictor
from narformer.jobs.known_predictors import load_predictor
from narformer.predictors import Predictor
from narformer.predictors.devices import check_device
from narformer.progress import Progress, silent
from narformer.store import is_store, measured, open_store
from narformer.training.evaluate import Scores
from narformer.training.evaluate import evaluate as score
from narformer.training.experiment import load_dataset
from narformer.training.recipe import Data

__all__ = ["evaluate"]


def evaluate(
    predictor: str,
    data: str | None = None,
    split: str | None = None,
    train: int | None = None,
    seed: int | None = None,
    device: str = "cpu",
    progress: Progress = silent,
) -> dict[str, Scores]:
    """Scores of each attribute of a saved predictor; data, split and training size default to those of its training.

    data: a data set's name, the path of a table, or a store. The table of the training is recognised at any path; in
        another one, or in a store, all rows are test rows, unless a split is named.

    ``tau_unseen`` leaves out the rows that the predictor was trained on or selected with, whatever the split; on data
    other than its own they are unknown, and the score is left out. Raises BadPredictor for data of another space, or
    where its own table is missing or was changed.
    """
    check_device(device)
    loaded = load_predictor(predictor).to(device)
    own = loaded.facts.get("trained_on") or {}
    dataset = _dataset(loaded, predictor, data)
    cells = isinstance(dataset.architectures, Cells)
    if cells == loaded.reads_networks or (cells and dataset.space != loaded.space):
        reads = "whole networks" if loaded.reads_networks else f"cells of {loaded.space}"
        holds = f"cells of {dataset.space}" if cells else "whole networks"
        raise BadPredictor(f"'{predictor}' predicts {reads}; '{dataset.name}' holds {holds}")
    at_home = own.get("data") == dataset.name
    if at_home:
        dataset = replace(dataset, train_labels=_labels(own["label"]), test_labels=_labels(own["test_label"]))
    else:
        dataset = _with_labels_of(loaded, predictor, dataset)
    rows = _rows(
        dataset, own, at_home, (split, train, seed), every=data is not None and (is_table(data) or is_store(data))
    )
    scores = score(loaded, dataset, rows, progress)
    if at_home:
        return scores
    return {name: {k: v for k, v in of_one.items() if k != "tau_unseen"} for name, of_one in scores.items()}


def _with_labels_of(loaded: Predictor, predictor: str, dataset: Dataset) -> Dataset:
    """The data set with the labels that the predictor's attributes are judged by, when it was trained on other data.

    They are the labels of the same names, or of a predictor of one attribute the set's own. Raises BadPredictor where
    a label is missing, or its unit is another one.
    """
    names = tuple(attribute.name for attribute in loaded.attributes)
    if set(names) <= dataset.labels.keys():
        dataset = replace(dataset, train_labels=names, test_labels=names)
    if len(dataset.train_labels) != len(names):
        raise BadPredictor(
            f"'{predictor}' predicts {', '.join(names)}; '{dataset.name}' has {', '.join(dataset.labels)}"
        )
    for attribute, label in zip(loaded.attributes, dataset.test_labels, strict=True):
        unit = dataset.attributes[label].unit
        if attribute.unit and unit and attribute.unit != unit:
            found = f"'{label}' in {unit}"
            raise BadPredictor(
                f"'{predictor}' predicts {attribute.name} in {attribute.unit}; '{dataset.name}' has {found}"
            )
    return dataset


def _rows(
    dataset: Dataset, own: dict[str, Any], at_home: bool, asked: tuple[str | None, int | None, int | None], every: bool
) -> Split:
    """The rows to score on, and of a predictor's own data those that it has seen."""
    name, size, seed = asked
    seed = own.get("split_seed") if seed is None else seed
    validation = own.get("validation", VALIDATION) if at_home else VALIDATION
    unseen = own.get("unseen") if at_home else None
    if every and not at_home and name is None:
        no_rows = np.empty(0, dtype=np.int64)
        return Split("all", no_rows, no_rows, np.arange(len(dataset)), None)
    chosen = name or own.get("split", "paper")
    rows = split_data(dataset, chosen, size or own.get("train", 1), seed, validation, unseen)
    if not at_home:
        return rows
    seen = split_data(dataset, own["split"], own["train"], own["split_seed"], validation, unseen)
    return replace(rows, train=np.union1d(seen.train, seen.validation))


def _dataset(loaded: Predictor, predictor: str, data: str | None) -> Dataset:
    """The data set of ``evaluate``; a table that the predictor was trained on keeps its name of that time."""
    own = loaded.facts.get("trained_on") or {}
    trained: dict[str, Any] = (loaded.facts.get("recipe") or {}).get("data") or {}
    if data is None and trained.get("store"):
        return load_dataset(Data.model_validate(trained))
    if data is not None and is_store(data):
        with open_store(data, new=False) as opened:
            return measured(opened, loaded.attributes[0].name, **trained.get("condition", {}))
    path: str | None = trained.get("file") if data is None else data
    if path is None or not is_table(path):
        return load_data(data or own.get("data", loaded.space))
    if data is None and not Path(path).is_file():
        raise BadPredictor(f"'{predictor}' was trained on '{path}', which is missing; give its path with --data")
    at_home = digest(path) == trained.get("sha256")
    labels = _labels(own.get("label")) or tuple(attribute.name for attribute in loaded.attributes)
    dataset = read_table_file(path, labels, trained.get("sha256") if data is None else None)
    name = own["data"] if at_home else f"{path}, another table"
    return replace(dataset, name=name)


def _labels(label: str | list[str] | None) -> tuple[str, ...]:
    return () if label is None else (label,) if isinstance(label, str) else tuple(label)
