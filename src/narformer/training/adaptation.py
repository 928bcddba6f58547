"""A predictor of latency made true for another device by a few measurements there.

What a kind of kernel takes for an operation, for a byte and for being started is learned anew, from the old values
moved by one factor for all; what surrounds a kernel keeps its meaning. With a normal prior on the logarithms this is

  min_θ Σ_n ((log ŷ_n - log y_n) / σ)² + Σ_θ ((θ - θ_0) / τ)²      σ error of a measurement, τ how far devices differ

for each member by itself. Intervals come from predictions of networks that were left out in turn.
"""

import copy
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from narformer.arch.graph import Architecture
from narformer.data.dataset import Attribute
from narformer.errors import BadRecipe
from narformer.models import KernelSum
from narformer.predictors.calibration import Calibration
from narformer.predictors.neural import NeuralPredictor
from narformer.tokens import Packed
from narformer.training.loop import Progress, silent

__all__ = ["adapt"]

ERROR, SPREAD = 0.05, 0.5  # σ and τ
STEPS, RATE = 200, 0.05
FOLDS = 5


def adapt(
    predictor: NeuralPredictor,
    networks: Sequence[Architecture],
    latency_N: NDArray[np.float64],
    attribute: Attribute,
    progress: Progress = silent,
) -> NeuralPredictor:
    """The predictor for the device on which ``latency_N``, milliseconds, were measured; ``attribute`` names it.

    Raises BadRecipe for a predictor that does not sum kernels in logarithms, or latencies that are not positive.
    """
    if not isinstance(predictor.model, KernelSum) or predictor.target.transform != "log":
        raise BadRecipe("found a predictor of another kind; expected 'kernel-sum' on logarithms, to adapt it")
    if len(networks) != len(latency_N) or not len(networks) or not (latency_N > 0).all():
        raise BadRecipe(f"found {len(networks)} networks, {len(latency_N)} latencies; expected a positive one for each")
    target_N = predictor.target.forward(latency_N)
    fold_N = np.arange(len(networks)) % FOLDS
    held_out = [np.flatnonzero(fold_N == fold) for fold in range(FOLDS) if 0 < (fold_N == fold).sum() < len(networks)]
    opinion_NE = np.empty((len(networks), predictor.members))
    for done, row_v in enumerate(held_out):
        kept = np.setdiff1d(np.arange(len(networks)), row_v)
        model = _adapted(predictor, [networks[row] for row in kept.tolist()], target_N[kept])
        opinion_NE[row_v] = replace(predictor, model=model).opinions([networks[row] for row in row_v.tolist()])
        progress("adapt", done + 1, FOLDS + 1, None)
    adapted = replace(
        predictor,
        model=_adapted(predictor, networks, target_N),
        attribute=attribute,
        calibration=Calibration.fit(opinion_NE, target_N) if held_out else None,
    )
    progress("adapt", FOLDS + 1, FOLDS + 1, None)
    return adapted


def _adapted(predictor: NeuralPredictor, networks: Sequence[Architecture], target_N: NDArray[np.float64]) -> KernelSum:
    model = copy.deepcopy(predictor.model)
    assert isinstance(model, KernelSum)
    model.eval().requires_grad_(False)
    batch = predictor.tokenizer.batch(networks)
    assert isinstance(batch, Packed)
    target_N1 = torch.from_numpy(target_N).float()[:, None]
    rates = (model.flops, model.bandwidth, model.overhead)  # logarithms: one number added to all is one factor
    with torch.no_grad():
        correction_EK = model.correction(batch)
        apart_E1 = (target_N1 - model(batch)).mean(0)[:, None]
        for rate_EC in rates:
            rate_EC.add_(apart_E1)
    begun = [rate_EC.clone() for rate_EC in rates]
    optimiser = torch.optim.Adam([rate_EC.requires_grad_() for rate_EC in rates], lr=RATE)
    for step in range(STEPS):
        for group in optimiser.param_groups:
            group["lr"] = RATE * (1 - step / STEPS)
        opinion_NE = batch.log_sums((model.roofline(batch) + correction_EK).T)
        error = ((opinion_NE - target_N1) / ERROR).square().sum()
        change = sum(((now - then) / SPREAD).square().sum() for now, then in zip(rates, begun, strict=True))
        optimiser.zero_grad()
        (error + change).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return model.requires_grad_(True)
