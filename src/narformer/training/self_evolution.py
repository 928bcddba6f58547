"""TNASP's self-evolution (Lu et al., NeurIPS 2021, Eq. 8-13), for any model.

  min_{θ,ȳ} max_λ  Σ_i (f(x_i) - y_i)² + α Σ_j (f(v_j) - ȳ_j)² + 1/T Σ_t λ_t [ 1/V Σ_j (ŷ_j^t - ȳ_j)² - e_t ]

ȳ are pseudo-labels of the V validation cells. Their labels enter only through the scalars
e_t = 1/V Σ_j (ŷ_j^t - y_j)², the evaluation score of the predictions ŷ^t of round t: geometrically, ȳ is sought
where T spheres around past predictions meet. θ and ȳ descend, λ ascends, at the same time.
The two sums are taken as means over a batch, so that α does not depend on how many cells there are; the first one is
the recipe's whole loss.

Letters: V validation cells, T rounds so far.
"""

import time
from typing import Any

import numpy as np
import torch

from narformer.metrics import kendall_tau
from narformer.training.loop import Fit, Report, stack
from narformer.training.recipe import SelfEvolution as Settings


class SelfEvolution:
    """Rounds of self-evolution on a trained Fit; it changes the fit's model in place.

    pseudo_V: ȳ; predicted_TV: ŷ^t; error_T: e_t; multiplier_T: λ_t, one more of each per round
    """

    def __init__(self, fit: Fit, settings: Settings) -> None:
        self.fit, self.settings = fit, settings
        self.label_V = torch.from_numpy(fit.validation_V).float()
        self.pseudo_V = torch.from_numpy(fit.predict_validation()).float()
        self.predicted_TV = torch.empty(0, len(self.label_V))
        self.error_T = torch.empty(0)
        self.multiplier_T = torch.empty(0)
        self.rounds: list[dict[str, float]] = []
        self.seconds = 0.0

    def run(self, report: Report = lambda epoch, epochs, tau: None) -> None:
        """All rounds; the model keeps its last weights (its average, where the recipe has an EMA)."""
        settings, fit = self.settings, self.fit
        started = time.perf_counter()
        fit.average = {name: value.detach().clone() for name, value in fit.model.state_dict().items()}
        for group in fit.optimiser.param_groups:
            group["lr"] = settings.learning_rate
        with torch.random.fork_rng(devices=[]):
            for round_ in range(settings.rounds):
                self.constrain()
                for epoch in range(settings.epochs):
                    rng = np.random.default_rng([fit.seed, 1_000_000 + round_ * settings.epochs + epoch])
                    self._epoch(rng)
                    report(round_ * settings.epochs + epoch + 1, settings.rounds * settings.epochs, None)
        if fit.recipe.optimiser.ema is not None:
            fit.model.load_state_dict(fit.average)
        self.seconds = time.perf_counter() - started

    def constrain(self) -> None:
        """Add the constraint of a new round: this round's predictions and their evaluation error."""
        predicted_V = torch.from_numpy(self.fit.predict_validation()).float()
        error = (predicted_V - self.label_V).square().mean()
        self.predicted_TV = torch.cat([self.predicted_TV, predicted_V[None]])
        self.error_T = torch.cat([self.error_T, error[None]])
        self.multiplier_T = torch.cat([self.multiplier_T, torch.zeros(1)])
        self.rounds.append(
            {
                "error": float(error),
                "pseudo_label_error": float((self.pseudo_V - self.label_V).square().mean()),
                "validation_tau": kendall_tau(predicted_V.numpy(), self.fit.validation_V),
            }
        )

    def _epoch(self, rng: np.random.Generator) -> None:
        fit, size = self.fit, self.fit.recipe.training.batch
        torch.manual_seed(int(rng.integers(2**63)))
        order = torch.from_numpy(rng.permutation(len(fit.cells)))
        fit.model.train()
        for index in range(fit.steps_per_epoch):
            rows = order[index * size : (index + 1) * size]
            cells_V = torch.from_numpy(rng.choice(len(self.pseudo_V), min(size, len(self.pseudo_V)), replace=False))
            batch = fit.tokens.take(rows)
            validation = fit.validation_tokens.take(cells_V)
            y_B = fit.model(stack(*_equally_padded(batch, validation)))[:, 0]
            y_train, y_validation = y_B[: len(rows)], y_B[len(rows) :]
            self.step(y_train, fit.target_tensor_M[rows], y_validation, cells_V)

    def step(self, y_B: torch.Tensor, target_B: torch.Tensor, y_W: torch.Tensor, rows_W: torch.Tensor) -> None:
        """One simultaneous step of Eq. 11-13; ``rows_W`` are the validation cells of this step."""
        settings, fit = self.settings, self.fit
        pseudo_gradient_V, multiplier_gradient_T = self.gradients(y_W.detach(), rows_W)
        loss = fit.loss(y_B, target_B) + settings.alpha * (y_W - self.pseudo_V[rows_W]).square().mean()
        fit._step(loss)
        self.pseudo_V = self.pseudo_V - settings.label_rate * pseudo_gradient_V
        self.multiplier_T = self.multiplier_T + settings.multiplier_rate * multiplier_gradient_T

    def gradients(self, y_W: torch.Tensor, rows_W: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """∂L/∂ȳ (V,) and ∂L/∂λ (T,) at the present point."""
        V, T = len(self.pseudo_V), len(self.error_T)
        apart_TV = self.pseudo_V - self.predicted_TV
        pseudo_V = (self.multiplier_T[:, None] * apart_TV).sum(0) * 2 / (T * V)
        pseudo_V[rows_W] += 2 * self.settings.alpha * (self.pseudo_V[rows_W] - y_W)
        return pseudo_V, (apart_TV.square().mean(1) - self.error_T) / T

    def facts(self) -> dict[str, Any]:
        """What happened: the rounds and the seconds they took."""
        return {"self_evolution_rounds": self.rounds, "self_evolution_seconds": self.seconds}


def _equally_padded(first: Any, second: Any) -> tuple[Any, Any]:
    """Two batches padded to the longer one's length."""
    longest = max(first.kind_BN.shape[1], second.kind_BN.shape[1])
    return first.padded(longest), second.padded(longest)
