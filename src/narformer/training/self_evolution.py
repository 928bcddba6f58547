"""TNASP's self-evolution (Lu et al., NeurIPS 2021, Eq. 8-13), for any model.

  min_{θ,ȳ} max_λ  Σ_i (f(x_i) - y_i)² + α Σ_j (f(v_j) - ȳ_j)² + 1/T Σ_t λ_t [ 1/V Σ_j (ŷ_j^t - ȳ_j)² - e_t ]

ȳ are pseudo-labels of the V validation cells. Their labels enter only through the scalars
e_t = 1/V Σ_j (ŷ_j^t - y_j)², the evaluation score of the predictions ŷ^t of round t: geometrically, ȳ is sought
at the intersection of T spheres around past predictions. θ and ȳ descend, λ ascends, simultaneously.
The two sums are taken as means over a batch, so that α does not depend on how many cells there are; the first one is
the recipe's loss, without twins.

Letters: V validation cells, W of them in a step, T rounds so far.
"""

import time
from typing import Any

import numpy as np
import torch
from torch import Tensor

from narformer.metrics import kendall_tau
from narformer.progress import Progress, silent
from narformer.training.loop import Fit, stack
from narformer.training.recipe import SelfEvolution as Settings

ROUND = ("error", "pseudo_label_error", "validation_tau")


class SelfEvolution:
    """Rounds of self-evolution on a trained Fit of one attribute.

    It changes the fit's model in place and resumes after whole rounds.

    pseudo_V: ȳ; predicted_TV: ŷ^t; error_T: e_t; multiplier_T: λ_t, one more of each per round
    round_T3: values at the start of each round: e_t, the error of ȳ, τ on the validation cells
    """

    def __init__(self, fit: Fit, settings: Settings) -> None:
        self.fit, self.settings = fit, settings
        self.label_V = torch.from_numpy(fit.validation_VT[:, 0]).float()
        self.seconds = 0.0
        state = fit.evolution or {
            "pseudo_V": torch.from_numpy(fit.predict_validation()[:, 0]).float(),
            "predicted_TV": torch.empty(0, len(self.label_V)),
            "error_T": torch.empty(0),
            "multiplier_T": torch.empty(0),
            "round_T3": torch.empty(0, len(ROUND), dtype=torch.float64),
        }
        self.pseudo_V, self.predicted_TV = state["pseudo_V"], state["predicted_TV"]
        self.error_T, self.multiplier_T, self.round_T3 = state["error_T"], state["multiplier_T"], state["round_T3"]

    def run(self, progress: Progress = silent) -> None:
        """The rounds that are left; the model keeps its last weights (its average, where the recipe has an EMA)."""
        settings, fit = self.settings, self.fit
        started = time.perf_counter()
        if not fit.evolution:
            fit.average = {name: value.detach().clone() for name, value in fit.model.state_dict().items()}
        for group in fit.optimiser.param_groups:
            group["lr"] = settings.learning_rate
        with torch.random.fork_rng(devices=[]):
            for round_ in range(len(self.error_T), settings.rounds):
                self.constrain()
                for epoch in range(round_ * settings.epochs, (round_ + 1) * settings.epochs):
                    self._epoch(np.random.default_rng([fit.seed, 1_000_000 + epoch]))
                    progress("self-evolution", epoch + 1, settings.rounds * settings.epochs, None)
                fit.evolution = {
                    "pseudo_V": self.pseudo_V,
                    "predicted_TV": self.predicted_TV,
                    "error_T": self.error_T,
                    "multiplier_T": self.multiplier_T,
                    "round_T3": self.round_T3,
                }
                if fit.checkpoint is not None:
                    fit.checkpoint.save(fit)
        if fit.recipe.optimiser.ema is not None:
            fit.model.load_state_dict(fit.average)
        self.seconds = time.perf_counter() - started

    def constrain(self) -> None:
        """Add the constraint of a new round: this round's predictions and their evaluation error."""
        predicted_V = torch.from_numpy(self.fit.predict_validation()[:, 0]).float()
        error = (predicted_V - self.label_V).square().mean()
        self.predicted_TV = torch.cat([self.predicted_TV, predicted_V[None]])
        self.error_T = torch.cat([self.error_T, error[None]])
        self.multiplier_T = torch.cat([self.multiplier_T, torch.zeros(1)])
        pseudo_label_error = (self.pseudo_V - self.label_V).square().mean()
        tau = kendall_tau(predicted_V.numpy(), self.fit.validation_VT[:, 0])
        row = torch.tensor([[float(error), float(pseudo_label_error), tau]], dtype=torch.float64)
        self.round_T3 = torch.cat([self.round_T3, row])

    def _epoch(self, rng: np.random.Generator) -> None:
        fit, size = self.fit, self.fit.recipe.training.batch
        torch.manual_seed(int(rng.integers(2**63)))
        order = torch.from_numpy(rng.permutation(len(fit.tokens)))
        fit.model.train()
        for index in range(fit.steps_per_epoch):
            rows = order[index * size : (index + 1) * size]
            rows_W = torch.from_numpy(rng.choice(len(self.pseudo_V), min(size, len(self.pseudo_V)), replace=False))
            batch = fit.tokens.take(rows).to(fit.device)
            validation = fit.validation_tokens.take(rows_W.to(fit.device))
            y_BTE, y_WTE = fit.model(stack(batch, validation)).split([len(rows), len(rows_W)])
            self.step(y_BTE, fit.target_tensor_MT[rows], y_WTE[:, 0], rows_W)

    def step(self, y_BTE: Tensor, target_BT: Tensor, y_WE: Tensor, rows_W: Tensor) -> None:
        """One simultaneous step of Eq. 11-13; ``rows_W`` are the validation cells of this step."""
        settings, fit = self.settings, self.fit
        pseudo_gradient_V, multiplier_gradient_T = self.gradients(y_WE.detach().mean(1).cpu(), rows_W)
        pseudo_W1 = self.pseudo_V[rows_W, None].to(y_WE.device)
        fit.step(fit.loss(y_BTE, target_BT) + settings.alpha * (y_WE - pseudo_W1).square().mean())
        self.pseudo_V = self.pseudo_V - settings.label_rate * pseudo_gradient_V
        self.multiplier_T = self.multiplier_T + settings.multiplier_rate * multiplier_gradient_T

    def gradients(self, y_W: Tensor, rows_W: Tensor) -> tuple[Tensor, Tensor]:
        """∂L/∂ȳ (V,) and ∂L/∂λ (T,) at the present point."""
        V, T = len(self.pseudo_V), len(self.error_T)
        apart_TV = self.pseudo_V - self.predicted_TV
        pseudo_V = (self.multiplier_T[:, None] * apart_TV).sum(0) * 2 / (T * V)
        pseudo_V[rows_W] += 2 * self.settings.alpha * (self.pseudo_V[rows_W] - y_W)
        return pseudo_V, (apart_TV.square().mean(1) - self.error_T) / T

    @property
    def rounds(self) -> list[dict[str, float]]:
        """Values at the start of each round."""
        return [dict(zip(ROUND, map(float, row), strict=True)) for row in self.round_T3]

    def facts(self) -> dict[str, Any]:
        """The rounds, and the seconds since the start or the resumption."""
        return {"self_evolution_rounds": self.rounds, "self_evolution_seconds": self.seconds}
