"""The cost of a prediction: milliseconds to tokenise and to predict a cell, one at a time (NAR-Former Table 4)."""

import time

import numpy as np
import torch

from narformer.data.dataset import Dataset
from narformer.papers.recipes import read_recipe
from narformer.predictors import NeuralPredictor
from narformer.progress import Progress
from narformer.training.experiment import train
from narformer.training.recipe import NeuralRecipe, Recipe

CELLS = 100
REPEATS = 3
WARM_UP = 20


def cost_recipe(name: str) -> Recipe:
    """The paper recipe cut to one epoch of 100 cells: it gives the predictor, whose weights do not matter here."""
    recipe = read_recipe(name, "paper", 100)
    content = recipe.model_dump(mode="json") | {"system": f"{recipe.system}-cost"}
    return Recipe.of(content, f"{name}/paper.toml", {"training.epochs": 1})


def measure_cost(
    recipe: NeuralRecipe, seed: int, dataset: Dataset | None, progress: Progress
) -> tuple[dict[str, float], dict[str, tuple[float, ...]]]:
    """Medians over CELLS random cells, each timed REPEATS times after WARM_UP cells; and all single times.

    encode_ms: from the Architecture to its tokens; infer_ms: from the tokens to the number
    """
    trained = train(recipe, seed, dataset=dataset, progress=progress)
    assert isinstance(trained.predictor, NeuralPredictor)
    tokenizer, model = trained.predictor.tokenizer, trained.predictor.model
    rng = np.random.default_rng(seed)
    rows = rng.choice(len(trained.dataset), min(CELLS, len(trained.dataset)), replace=False)
    singles = [[architecture] for architecture in trained.dataset.rows(rows)]
    order = [*singles[:WARM_UP], *singles * REPEATS]
    encode_ms, infer_ms = [], []
    model.eval()
    with torch.inference_mode():
        for done, architectures in enumerate(order, 1):
            started = time.perf_counter_ns()
            batch = tokenizer.batch(architectures)
            encoded = time.perf_counter_ns()
            model(batch)
            predicted = time.perf_counter_ns()
            encode_ms.append((encoded - started) / 1e6)
            infer_ms.append((predicted - encoded) / 1e6)
            progress("cost", done, len(order), None)
    warm = min(WARM_UP, len(singles))
    encode, infer = np.array(encode_ms[warm:]), np.array(infer_ms[warm:])
    scores = {"encode_ms": encode, "infer_ms": infer, "total_ms": encode + infer}
    return (
        {name: round(float(np.median(times)), 4) for name, times in scores.items()},
        {"encode": tuple(np.round(encode, 4).tolist()), "infer": tuple(np.round(infer, 4).tolist())},
    )
