"""Fitting a neural predictor, phase by phase: pre-training, training, self-evolution, Gaussian processes, calibration.

Letters: M training networks, V validation networks, T attributes, E members.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from narformer.cells.columns import Cells
from narformer.errors import BadRecipe
from narformer.metrics import kendall_tau
from narformer.models import Model
from narformer.predictors import NeuralPredictor, Task
from narformer.predictors.build import make_model, make_tokenizer
from narformer.predictors.gaussian_process import GaussianProcess
from narformer.predictors.gaussian_process_predictor import unlabelled
from narformer.predictors.target import Target
from narformer.tokens import CellTokenizer, Tokenizer
from narformer.training.augmentation import twin_batches
from narformer.training.checkpoint import Checkpoint
from narformer.training.loop import Fit
from narformer.training.pretraining import pretrain
from narformer.training.recipe import GaussianProcessSection, NeuralRecipe
from narformer.training.self_evolution import SelfEvolution

__all__ = ["check_targets", "fit_neural"]

Float = NDArray[np.float64]


def fit_neural(
    recipe: NeuralRecipe, task: Task, folder: Path | None, device: str
) -> tuple[NeuralPredictor, dict[str, Any]]:
    """The predictor and the facts of its fit; it resumes from ``folder`` if an interrupted run left its state there.

    Raises BadRecipe where tokenizer, model, targets and data do not fit together; Diverged.
    """
    prepared = _prepared(recipe, task)
    fit = _fit(recipe, task, prepared, folder, device)
    fit.run(task.progress)
    facts = fit.facts()
    if recipe.self_evolution is not None:
        evolution = SelfEvolution(fit, recipe.self_evolution)
        evolution.run(task.progress)
        facts |= evolution.facts()
    predictor = NeuralPredictor(
        fit.model,
        prepared.tokenizer,
        getattr(torch, recipe.training.precision),
        attributes=task.attributes,
        space=task.space,
        targets=prepared.targets,
        domain=task.domain(),
    )
    opinion_VTE = predictor.opinions(task.validation)
    if recipe.gaussian_process is not None and isinstance(prepared.tokenizer, CellTokenizer):
        opinion_VTE, more = _second_opinions(recipe.gaussian_process, task, prepared, opinion_VTE)
        predictor.processes = tuple(more.pop("processes"))
        facts |= more
    predictor.calibrate(opinion_VTE[task.judged_V], task.label_VT[task.judged_V])
    facts |= _validation_facts(predictor, task, prepared, opinion_VTE)
    return predictor, facts | {"history": fit.history}


@dataclass(frozen=True, eq=False)
class _Prepared:
    """Inputs of all phases: tokenizer, targets, and the training labels as targets, NaN where there is no label."""

    tokenizer: Tokenizer
    targets: tuple[Target, ...]
    target_MT: Float
    target_VT: Float
    model: Model


def _prepared(recipe: NeuralRecipe, task: Task) -> _Prepared:
    tokenizer = _tokenizer(recipe, task)
    settings, count = recipe.target, len(task.attributes)
    if recipe.self_evolution is not None and count > 1:
        raise BadRecipe("[self_evolution] is for one attribute; leave the section out for several")
    columns = list(task.columns())
    targets = tuple(Target.fit(label_n, settings.transform, settings.scale) for _, label_n in columns)
    target_MT, target_VT = (
        np.stack([target.forward(column) for target, column in zip(targets, label.T, strict=True)], axis=1)
        for label in (task.label_MT, task.label_VT)
    )
    model = make_model(recipe.model.name, recipe.model.options, tokenizer, task.seed, count)
    model.precision = getattr(torch, recipe.training.precision)
    for t, (rows, _) in enumerate(columns):
        check_targets(recipe, target_MT[rows, t], getattr(model.config, "head", "linear"))
    return _Prepared(tokenizer, targets, target_MT, target_VT, model)


def _fit(recipe: NeuralRecipe, task: Task, prepared: _Prepared, folder: Path | None, device: str) -> Fit:
    """The fit before its first epoch: with the model's scales set, and pre-trained if the recipe states it."""
    tokenizer, model, cells = prepared.tokenizer, prepared.model, task.cells
    tokens = tokenizer.batch(task.training)
    model.standardise(tokens, torch.from_numpy(prepared.target_MT).float())
    checkpoint = Checkpoint(folder / "state.safetensors") if folder is not None else None
    twins, pretraining = None, {}
    if cells is not None and isinstance(tokenizer, CellTokenizer):
        training = Cells.of(task.training, cells.vocabulary)
        twins = twin_batches(training, recipe.augmentation.orderings, tokenizer)
        if recipe.pretraining is not None and (checkpoint is None or not checkpoint.path.exists()):
            started = time.perf_counter()
            error = pretrain(model, tokenizer, cells, recipe.pretraining, task.seed, task.progress, device)
            pretraining = {"pretraining_error": error, "pretraining_seconds": time.perf_counter() - started}
    fit = Fit(
        recipe=recipe,
        seed=task.seed,
        model=model,
        tokens=tokens,
        target_MT=prepared.target_MT,
        validation_tokens=tokenizer.batch(task.validation),
        validation_VT=prepared.target_VT,
        targets=prepared.targets,
        twins=twins,
        checkpoint=checkpoint,
        device=device,
        pretraining=pretraining,
    )
    if pretraining and checkpoint is not None:
        checkpoint.save(fit)
    return fit


def _tokenizer(recipe: NeuralRecipe, task: Task) -> Tokenizer:
    """The tokenizer. Raises BadRecipe where it, or a section, does not apply to the networks of the task."""
    cells = task.cells
    held, other = ("whole networks", "cells") if cells is None else ("cells", "whole networks")
    name, options = recipe.tokenizer.name, recipe.tokenizer.options
    tokenizer = make_tokenizer(name, options, () if cells is None else cells.vocabulary)
    if isinstance(tokenizer, CellTokenizer) != (cells is not None):
        raise BadRecipe(f"[tokenizer] '{name}' reads {other}; the data set '{task.source}' holds {held}")
    if cells is not None:
        return tokenizer
    for section in ("pretraining", "gaussian_process"):
        if getattr(recipe, section) is not None:
            raise BadRecipe(f"[{section}] is for cells; the data set '{task.source}' holds {held}")
    if recipe.augmentation.orderings != "none":
        raise BadRecipe(f"[augmentation] is for cells; the data set '{task.source}' holds {held}")
    return tokenizer


def _second_opinions(
    settings: GaussianProcessSection, task: Task, prepared: _Prepared, opinion_VTE: Float
) -> tuple[Float, dict[str, Any]]:
    """The validation opinions blended with a Gaussian process for each attribute; the processes, and their facts."""
    started = time.perf_counter()
    tokenizer, cells = prepared.tokenizer, task.cells
    assert isinstance(tokenizer, CellTokenizer)
    assert cells is not None
    simplified = tokenizer.simplified(cells)
    pool = unlabelled(simplified, np.random.default_rng([task.seed, 3_000_000]))
    training, validation = (
        tokenizer.simplified(Cells.of(networks, cells.vocabulary)) for networks in (task.training, task.validation)
    )
    processes, opinion_VTE = [], opinion_VTE.copy()
    for t, (rows, _) in enumerate(task.columns()):
        process = GaussianProcess.fit(
            training.take(rows),
            prepared.target_MT[rows, t],
            pool,
            task.seed,
            settings.steps,
            settings.networks,
            lambda step: task.progress("Gaussian process", step, settings.steps, None),
        )
        known = np.flatnonzero(np.isfinite(prepared.target_VT[:, t]))
        opinion_VTE[known, t] = process.balance(
            validation.take(known), opinion_VTE[known, t], prepared.target_VT[known, t]
        )
        processes.append(process)
    shares = [process.share.tolist() for process in processes]
    return opinion_VTE, {
        "processes": processes,
        "gaussian_process_seconds": time.perf_counter() - started,
        "shares": shares[0] if len(shares) == 1 else shares,
    }


def _validation_facts(
    predictor: NeuralPredictor, task: Task, prepared: _Prepared, opinion_VTE: Float
) -> dict[str, Any]:
    """τ of the complete saved predictor on the validation networks, and the mean absolute error of each attribute."""
    taus, errors = [], {}
    for t, (attribute, target) in enumerate(zip(task.attributes, prepared.targets, strict=True)):
        known = np.flatnonzero(np.isfinite(prepared.target_VT[:, t]))
        if len(known) > 1:
            mean_v = opinion_VTE[known, t].mean(axis=1)
            taus.append(kendall_tau(mean_v, prepared.target_VT[known, t]))
            errors[attribute.name] = float(np.abs(task.label_VT[known, t] - target.inverse(mean_v)).mean())
    return {"saved_validation_tau": float(np.mean(taus)) if taus else None, "measured_error": errors}


def check_targets(recipe: NeuralRecipe, target_M: NDArray[np.float64], head: str) -> None:
    """Raise BadRecipe where targets (M,) are all equal, or outside the range of the loss or the model's head."""
    low, high = target_M.min(), target_M.max()
    if low == high and len(target_M) > 1:
        raise BadRecipe("[data] found the same label for all training networks; expected labels that differ")
    found = f"[target] makes targets from {low:.4g} to {high:.4g}"
    if recipe.loss.regression == "relative" and low <= 0:
        raise BadRecipe(f"{found}; the relative loss divides by them: use transform 'none', or regression 'mse'")
    if head == "sigmoid" and (low < 0 or high > 1):
        raise BadRecipe(f"{found}; the head 'sigmoid' reaches 0 to 1: scale them (percent: 0.01), or use head 'linear'")
    if head == "softplus" and low < 0:
        raise BadRecipe(f"{found}; the head 'softplus' is positive: use transform 'none', or head 'linear'")
