"""Adaptation of a latency predictor to another device by a few measurements there.

The times of an operation, a byte and the start of a kernel are learned again, for all kernels, for each kind of them
and for the cache, starting from the old values times one factor; the corrections for the surroundings of a kernel stay.
With a normal prior on the logarithms this is

  min_θ Σ_n 2 ρ((log ŷ_n - log y_n) / σ) + Σ_θ ((θ - θ_0) / τ_θ)²    σ error of a measurement, τ how far devices differ

for each member by itself. ρ is half the square, linear beyond δ (Huber 1964), so that a failed measurement, or a
network that computes almost nothing, has little effect on all others. Intervals come from predictions of networks that
were left out in turn.
"""

import copy
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from narformer.attributes import Attribute
from narformer.errors import BadRecipe
from narformer.models import KernelSum
from narformer.network.graph import Architecture
from narformer.predictors import NeuralPredictor, Predictor
from narformer.predictors.calibration import Calibration
from narformer.progress import Progress, silent
from narformer.tokens import Packed

__all__ = ["adapt", "check_adaptable"]

ERROR = 0.05  # σ
SPREADS = {"rates": 1.0, "apart": 0.3, "cache": 0.3}  # τ by the parameters of KernelSum
FARTHEST = 3.0  # δ: errors up to this many σ count by their square
STEPS, RATE = 200, 0.05
FOLDS = 5


def adapt(
    predictor: Predictor,
    networks: Sequence[Architecture],
    latency_N: NDArray[np.float64],
    attribute: Attribute,
    progress: Progress = silent,
) -> Predictor:
    """The predictor for the device on which ``latency_N``, milliseconds, were measured; ``attribute`` names it.

    Raises BadRecipe for a predictor that does not sum kernels in logarithms, or latencies that are not positive.
    """
    predictor = check_adaptable(predictor)
    if len(networks) != len(latency_N) or not len(networks) or not (latency_N > 0).all():
        raise BadRecipe(f"found {len(networks)} networks, {len(latency_N)} latencies; expected a positive one for each")
    target_N = predictor.targets[0].forward(latency_N)
    fold_N = np.arange(len(networks)) % FOLDS
    held_out = [np.flatnonzero(fold_N == fold) for fold in range(FOLDS) if 0 < (fold_N == fold).sum() < len(networks)]
    opinion_NE = np.empty((len(networks), predictor.members))
    for done, row_v in enumerate(held_out):
        kept = np.setdiff1d(np.arange(len(networks)), row_v)
        model = _adapted(predictor, [networks[row] for row in kept.tolist()], target_N[kept])
        opinion_NE[row_v] = _with(predictor, model).opinions([networks[row] for row in row_v.tolist()])[:, 0]
        progress("adapt", done + 1, FOLDS + 1, None)
    adapted = _with(predictor, _adapted(predictor, networks, target_N))
    adapted.attributes = (attribute,)
    adapted.calibrations = (Calibration.fit(opinion_NE, target_N) if held_out else None,)
    progress("adapt", FOLDS + 1, FOLDS + 1, None)
    return adapted


def check_adaptable(predictor: Predictor) -> NeuralPredictor:
    """The same predictor. Raises BadRecipe for one that does not sum kernels in logarithms."""
    if not isinstance(predictor, NeuralPredictor) or not predictor.adaptable:
        raise BadRecipe("found one that cannot be adapted; expected 'kernel-sum' on the logarithms of one attribute")
    return predictor


def _with(predictor: NeuralPredictor, model: KernelSum) -> NeuralPredictor:
    """The same predictor with another model."""
    other = copy.copy(predictor)
    other.model = model
    return other


def _adapted(predictor: NeuralPredictor, networks: Sequence[Architecture], target_N: NDArray[np.float64]) -> KernelSum:
    model = copy.deepcopy(predictor.model)
    assert isinstance(model, KernelSum)
    model.eval().requires_grad_(False)
    batch = predictor.tokenizer.batch(networks)
    assert isinstance(batch, Packed)
    target_N1 = torch.from_numpy(target_N).float()[:, None]
    with torch.no_grad():
        correction_EK = model.correction(batch)
        model.rates.add_((target_N1 - model(batch)[:, 0]).median(0).values[:, None])
    learned = {name: model.get_parameter(name) for name in SPREADS}
    begun = {name: parameter.clone() for name, parameter in learned.items()}
    optimiser = torch.optim.Adam([parameter.requires_grad_() for parameter in learned.values()], lr=RATE)
    for step in range(STEPS):
        for group in optimiser.param_groups:
            group["lr"] = RATE * (1 - step / STEPS)
        opinion_NE = batch.log_sums((model.roofline(batch) + correction_EK).T)
        off_NE = (opinion_NE - target_N1) / ERROR
        error = 2 * functional.huber_loss(off_NE, torch.zeros_like(off_NE), reduction="sum", delta=FARTHEST)
        changes = [((learned[name] - begun[name]) / spread).square().sum() for name, spread in SPREADS.items()]
        optimiser.zero_grad()
        (error + torch.stack(changes).sum()).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return model.requires_grad_(True)
