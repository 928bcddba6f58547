"""One recipe and one seed, from data set to scored predictor."""

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from narformer.cells.columns import Cells
from narformer.data import load, network_numbers, split
from narformer.data.dataset import Dataset, Split
from narformer.data.table_file import read_table_file
from narformer.errors import BadRecipe
from narformer.metrics import kendall_tau
from narformer.predictors.build import make_model, make_tokenizer
from narformer.predictors.calibration import Calibration
from narformer.predictors.domain import Domain
from narformer.predictors.fitted import FITTED
from narformer.predictors.gaussian_process import GaussianProcess
from narformer.predictors.neural import NeuralPredictor
from narformer.predictors.predictor import Predictor
from narformer.predictors.target import Target
from narformer.tokens import CellTokenizer, Tokenizer
from narformer.training.augmentation import twin_batches
from narformer.training.checkpoint import Checkpoint
from narformer.training.loop import Fit, Progress, silent
from narformer.training.pretraining import pretrain, unlabelled
from narformer.training.recipe import Data, ExpertSection, Fitting, Recipe
from narformer.training.self_evolution import SelfEvolution


@dataclass(frozen=True, eq=False)
class Trained:
    """A predictor, what it was trained on, and the facts of the run."""

    predictor: NeuralPredictor
    dataset: Dataset
    split: Split
    facts: dict[str, Any]


def train(
    recipe: Recipe,
    seed: int,
    dataset: Dataset | None = None,
    folder: Path | None = None,
    progress: Progress = silent,
    device: str = "cpu",
) -> Trained:
    """Train the recipe's model with this seed; resumes from ``folder`` where an interrupted run left its state.

    Raises BadRecipe where the data set does not hold what the recipe asks for, or where the targets do not suit the
    loss or the model's head; Diverged.
    """
    check_device(device)
    dataset = load_dataset(recipe.data) if dataset is None else dataset
    dataset, rows = divided(recipe.data, dataset)
    label, labels = dataset.train_label, dataset.labels[dataset.train_label]
    training, validation = dataset.rows(rows.train), dataset.rows(rows.validation)

    tokenizer, of_cells = _tokenizer(recipe, dataset)
    target = Target.fit(labels[rows.train], recipe.target.transform, recipe.target.scale)
    target_M = target.forward(labels[rows.train])
    model = make_model(recipe.model.name, recipe.model.options, tokenizer, seed)
    model.precision = getattr(torch, recipe.training.precision)
    check_targets(recipe, target_M, getattr(model.config, "head", "linear"))
    tokens = tokenizer.batch(training)
    model.standardise(tokens, torch.from_numpy(target_M).float())
    twins = None
    if of_cells:
        twins = twin_batches(of_cells[1].take(rows.train), recipe.augmentation.orderings, of_cells[0])
    checkpoint = Checkpoint(folder / "state.safetensors") if folder is not None else None
    pretraining: dict[str, float] = {}
    if of_cells and recipe.pretraining is not None and (checkpoint is None or not checkpoint.path.exists()):
        started = time.perf_counter()
        told_error = pretrain(model, *of_cells, recipe.pretraining, seed, progress, device)
        pretraining = {"pretraining_error": told_error, "pretraining_seconds": time.perf_counter() - started}
    fit = Fit(
        recipe=recipe,
        seed=seed,
        model=model,
        tokens=tokens,
        target_M=target_M,
        validation_tokens=tokenizer.batch(validation),
        validation_V=target.forward(labels[rows.validation]),
        target=target,
        twins=twins,
        checkpoint=checkpoint,
        device=device,
        pretraining=pretraining,
    )
    if pretraining and checkpoint is not None:
        checkpoint.save(fit)
    fit.run(progress)
    facts = fit.facts()
    if recipe.self_evolution is not None:
        evolution = SelfEvolution(fit, recipe.self_evolution)
        evolution.run(progress)
        facts |= evolution.facts()
    predictor = NeuralPredictor(
        model=fit.model,
        tokenizer=tokenizer,
        target=target,
        attribute=dataset.attributes[label],
        space=dataset.space,
        precision=getattr(torch, recipe.training.precision),
        domain=None if of_cells else Domain.fit(training),
    )
    opinion_VE = predictor.opinions(validation)
    if of_cells and recipe.expert is not None:
        started = time.perf_counter()
        simplified = of_cells[0].simplified(of_cells[1])
        expert = _expert(recipe.expert, simplified, rows.train, target_M, seed, progress)
        opinion_VE = expert.balance(simplified.take(rows.validation), opinion_VE, fit.validation_V)
        predictor.expert = expert
        facts |= {"expert_seconds": time.perf_counter() - started, "shares": expert.share.tolist()}
    alone_V = _first_rows(dataset, rows)
    predictor.calibration = Calibration.fit(opinion_VE[alone_V], fit.validation_V[alone_V])
    facts["saved_validation_tau"] = kendall_tau(opinion_VE.mean(axis=1), fit.validation_V)
    facts |= {
        "system": recipe.system,
        "recipe": recipe.model_dump(mode="json"),
        "recipe_hash": recipe.hash(),
        "seed": seed,
        "trained_on": {
            "data": dataset.name,
            "label": label,
            "test_label": dataset.test_label,
            "split": recipe.data.split,
            "split_seed": recipe.data.split_seed,
            "unseen": recipe.data.unseen,
            "train": len(rows.train),
            "validation": len(rows.validation),
            "test": len(rows.test),
        },
        "history": fit.history,
    }
    if of_cells:
        seen = of_cells[1].take(np.concatenate([rows.train, rows.validation]))
        facts["largest"] = {"vertices": int(seen.count_M.max()), "edges": int(seen.edges_M.max())}
    error = labels[rows.validation] - target.inverse(opinion_VE.mean(axis=1))
    facts["measured_error"] = {"validation_mean_absolute_error": float(np.abs(error).mean())}
    predictor.facts = facts
    return Trained(predictor, dataset, rows, facts)


def _first_rows(dataset: Dataset, rows: Split) -> NDArray[np.int64]:
    """Places among the validation rows by which errors are judged: one of each network whose rows are kept together."""
    if rows.name != "holdout":
        return np.arange(len(rows.validation))
    return np.sort(np.unique(network_numbers(dataset, rows.validation), return_index=True)[1])


@dataclass(frozen=True, eq=False)
class Fitted:
    """A predictor that was fitted at once, what to, and how long it took."""

    predictor: Predictor
    dataset: Dataset
    split: Split
    seconds: float


def fit(recipe: Fitting, seed: int, dataset: Dataset | None = None) -> Fitted:
    """Fit the recipe's predictor to the training networks; the validation ones are left alone.

    Raises BadRecipe where the data set holds cells, or not what the recipe asks for; else as the predictor.
    """
    dataset, rows = divided(recipe.data, load_dataset(recipe.data) if dataset is None else dataset)
    if isinstance(dataset.architectures, Cells):
        raise BadRecipe(f"[predictor] '{recipe.predictor.name}' reads whole networks; '{dataset.name}' holds cells")
    started = time.perf_counter()
    predictor = FITTED[recipe.predictor.name](
        dataset.rows(rows.train), dataset.labels[dataset.train_label][rows.train], seed=seed, **recipe.predictor.options
    )
    return Fitted(predictor, dataset, rows, time.perf_counter() - started)


def _tokenizer(recipe: Recipe, dataset: Dataset) -> tuple[Tokenizer, tuple[CellTokenizer, Cells] | None]:
    """The tokenizer, and where the data set holds cells the same with them; BadRecipe where they do not go together."""
    networks = dataset.architectures
    cells = networks if isinstance(networks, Cells) else None
    held, other = ("whole networks", "cells") if cells is None else ("cells", "whole networks")
    name, options = recipe.tokenizer.name, recipe.tokenizer.options
    tokenizer = make_tokenizer(name, options, () if cells is None else cells.vocabulary)
    if isinstance(tokenizer, CellTokenizer) != (cells is not None):
        raise BadRecipe(f"[tokenizer] '{name}' reads {other}; the data set '{dataset.name}' holds {held}")
    if cells is not None and isinstance(tokenizer, CellTokenizer):
        return tokenizer, (tokenizer, cells)
    for section in ("pretraining", "expert"):
        if getattr(recipe, section) is not None:
            raise BadRecipe(f"[{section}] is for cells; the data set '{dataset.name}' holds {held}")
    if recipe.augmentation.orderings != "none":
        raise BadRecipe(f"[augmentation] is for cells; the data set '{dataset.name}' holds {held}")
    return tokenizer, None


def _expert(
    settings: ExpertSection,
    simplified: Cells,
    train: NDArray[np.int64],
    target_M: NDArray[np.float64],
    seed: int,
    progress: Progress,
) -> GaussianProcess:
    return GaussianProcess.fit(
        simplified.take(train),
        target_M,
        unlabelled(simplified, np.random.default_rng([seed, 3_000_000])),
        seed,
        settings.steps,
        settings.networks,
        lambda step: progress("expert", step, settings.steps, None),
    )


def divided(data: Data, dataset: Dataset) -> tuple[Dataset, Split]:
    """The data set with the labels that the section [data] names, and its split.

    Raises BadRecipe where the set has no such label, or too few rows.
    """
    label, test_label = data.label or dataset.train_label, data.test_label or dataset.test_label
    for name in (label, test_label):
        if name not in dataset.labels:
            raise BadRecipe(f"data set '{dataset.name}' has no label '{name}'; it has {', '.join(dataset.labels)}")
    dataset = replace(dataset, train_label=label, test_label=test_label)
    return dataset, split(dataset, data.split, data.train, data.split_seed, data.validation, data.unseen)


def load_dataset(data: Data) -> Dataset:
    """The source or the table that the section [data] names.

    Raises as ``load`` and ``read_table_file``: BadFile where the table has changed since the recipe was made.
    """
    return load(data.name) if data.file is None else read_table_file(data.file, data.label, data.sha256)


def check_device(device: str) -> None:
    """Raise BadRecipe where torch knows no such device, or this machine has none."""
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError):
        raise BadRecipe(f"there is no device '{device}' here: use cpu, or cuda where torch finds one") from None


def check_targets(recipe: Recipe, target_M: NDArray[np.float64], head: str) -> None:
    """Raise BadRecipe where targets (M,) are all alike, or outside of what the loss or the model's head can reach."""
    low, high = target_M.min(), target_M.max()
    if low == high and len(target_M) > 1:
        raise BadRecipe("[data] found one and the same label for all training networks; expected labels that differ")
    found = f"[target] makes targets from {low:.4g} to {high:.4g}"
    if recipe.loss.regression == "relative" and low <= 0:
        raise BadRecipe(f"{found}; the relative loss divides by them: use transform 'none', or regression 'mse'")
    if head == "sigmoid" and (low < 0 or high > 1):
        raise BadRecipe(f"{found}; the head 'sigmoid' reaches 0 to 1: scale them (percent: 0.01), or use head 'linear'")
    if head == "softplus" and low < 0:
        raise BadRecipe(f"{found}; the head 'softplus' is positive: use transform 'none', or head 'linear'")
