"""One recipe and one seed, from data set to scored predictor."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from narformer.arch.cells import Cells
from narformer.data import load, split
from narformer.data.dataset import Dataset, Split
from narformer.errors import BadRecipe
from narformer.predictors.build import make_model, make_tokenizer
from narformer.predictors.neural import NeuralPredictor
from narformer.predictors.target import Target
from narformer.training.checkpoint import Checkpoint
from narformer.training.loop import Fit
from narformer.training.recipe import Recipe
from narformer.training.self_evolution import SelfEvolution

Progress = Callable[[str, int, int, float | None], None]


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
    progress: Progress = lambda phase, done, total, tau: None,
    device: str = "cpu",
) -> Trained:
    """Train the recipe's model with this seed; resumes from ``folder`` where an interrupted run left its state.

    Raises BadRecipe where the data set does not hold what the recipe asks for.
    """
    dataset = load(recipe.data.name) if dataset is None else dataset
    rows = split(dataset, recipe.data.split, recipe.data.train, recipe.data.split_seed)
    label = recipe.data.label or dataset.train_label
    if label not in dataset.labels:
        raise BadRecipe(f"data set '{dataset.name}' has no label '{label}'; it has {', '.join(dataset.labels)}")
    labels = dataset.labels[label]
    cells = dataset.architectures
    if not isinstance(cells, Cells):
        raise BadRecipe(f"data set '{dataset.name}' does not hold cells")

    tokenizer = make_tokenizer(recipe.tokenizer.name, recipe.tokenizer.options, cells.vocabulary)
    target = Target.fit(labels[rows.train], recipe.target.transform, recipe.target.scale)
    fit = Fit(
        recipe=recipe,
        seed=seed,
        model=make_model(recipe.model.name, recipe.model.options, tokenizer, seed),
        tokenizer=tokenizer,
        cells=cells.take(rows.train),
        target_M=target.forward(labels[rows.train]),
        validation=cells.take(rows.validation),
        validation_V=target.forward(labels[rows.validation]),
        checkpoint=Checkpoint(folder / "state.safetensors") if folder is not None else None,
        device=device,
    )
    fit.run(lambda epoch, epochs, tau: progress("train", epoch, epochs, tau))
    facts = fit.facts()
    if recipe.self_evolution is not None:
        evolution = SelfEvolution(fit, recipe.self_evolution)
        evolution.run(lambda epoch, epochs, tau: progress("self-evolution", epoch, epochs, tau))
        facts |= evolution.facts()
    predictor = NeuralPredictor(
        model=fit.model,
        tokenizer=tokenizer,
        target=target,
        attribute=dataset.attributes[label],
        space=dataset.space,
        precision=getattr(torch, recipe.training.precision),
    )
    facts |= {
        "system": recipe.system,
        "recipe": recipe.model_dump(mode="json"),
        "recipe_hash": recipe.hash(),
        "seed": seed,
        "trained_on": {
            "data": dataset.name,
            "label": label,
            "split": recipe.data.split,
            "train": len(rows.train),
            "validation": len(rows.validation),
        },
        "history": fit.history,
    }
    error = labels[rows.validation] - predictor.predict(cells.take(rows.validation))[:, 0]
    facts["measured_error"] = {"validation_mean_absolute_error": float(np.abs(error).mean())}
    predictor.facts = facts
    return Trained(predictor, dataset, rows, facts)
