"""The one training loop of all neural models: batches of twins, warm-up, EMA, selection, resume.

Random numbers depend on (seed, epoch) alone, so a run that was interrupted and resumed ends with the same weights.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call

from narformer.errors import Diverged
from narformer.metrics import kendall_tau, mape
from narformer.models import Model
from narformer.predictors.target import Target
from narformer.progress import Progress, silent
from narformer.tokens import Batch, Packed, packed
from narformer.training import losses
from narformer.training.checkpoint import Checkpoint
from narformer.training.recipe import NeuralRecipe

CHUNK = 64  # validation networks at once: many large graphs would take gigabytes


@dataclass(eq=False)
class Fit:
    """The state of one training run; ``run`` brings it to the recipe's last epoch.

    target_MT: of each training network and attribute, NaN where it is not labelled
    validation_VT: the same of the validation networks, used to select only
    targets:   the way from targets to labels, of each attribute
    twins:     draws another batch of the same networks in each epoch, if they have twins
    """

    recipe: NeuralRecipe
    seed: int
    model: Model
    tokens: Batch | Packed
    target_MT: NDArray[np.float64]
    validation_tokens: Batch | Packed
    validation_VT: NDArray[np.float64]
    targets: tuple[Target, ...] = (Target(),)
    twins: Callable[[np.random.Generator], Batch | Packed] | None = None
    checkpoint: Checkpoint | None = None
    device: str = "cpu"
    best_score: float = float("-inf")
    epoch: int = 0
    seconds: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)
    pretraining: dict[str, float] = field(default_factory=dict)  # its facts, if the model was pre-trained
    evolution: dict[str, Tensor] = field(default_factory=dict)  # the state of self-evolution, once it has begun

    def __post_init__(self) -> None:
        recipe = self.recipe
        self.model.to(self.device)
        self.optimiser = make_optimiser(self.model, recipe)
        self.average = {k: v.detach().clone() for k, v in self.model.state_dict().items()}
        self.best = {k: v.clone() for k, v in self.average.items()}
        self.validation_tokens = self.validation_tokens.to(self.device)
        self.target_tensor_MT = torch.from_numpy(self.target_MT).float().to(self.device)
        self.gaps = bool(np.isnan(self.target_MT).any())

    @property
    def steps_per_epoch(self) -> int:
        """Optimiser steps of one epoch; the remainder after the last full batch is left for another epoch."""
        return max(1, len(self.tokens) // self.recipe.training.batch)

    def run(self, progress: Progress = silent) -> None:
        """Train from the checkpoint, or the beginning, to the last epoch; then hold the selected weights.

        Raises Diverged where the loss is NaN or infinite.
        """
        training = self.recipe.training
        if self.checkpoint is not None:
            self.checkpoint.restore(self)
        with torch.random.fork_rng(devices=[]):
            while self.epoch < training.epochs:
                started = time.perf_counter()
                loss = self._train_epoch()
                self.epoch += 1
                if not np.isfinite(loss):
                    raise Diverged(
                        f"the loss of epoch {self.epoch} is {loss}: lower optimiser.learning_rate "
                        f"({self.recipe.optimiser.learning_rate:g}), or set optimiser.clip"
                    )
                score = None
                if self.epoch % training.validate_every == 0 or self.epoch == training.epochs:
                    score = self._validate()
                    named = f"validation_{training.score}"
                    self.history.append({"epoch": self.epoch, "loss": loss, named: self._stated(score)})
                self.seconds += time.perf_counter() - started
                progress("train", self.epoch, training.epochs, score if training.score == "tau" else None)
                if self.checkpoint is not None:
                    self.checkpoint.save_now_and_then(self, last=self.epoch == training.epochs)
        if not self.evolution:
            self.model.load_state_dict(self.best if training.selection == "best" else self._kept())

    def _train_epoch(self) -> float:
        size = self.recipe.training.batch
        rng = np.random.default_rng([self.seed, self.epoch])
        torch.manual_seed(int(rng.integers(2**63)))
        twin_tokens = None if self.twins is None else self.twins(rng)
        order = torch.from_numpy(rng.permutation(len(self.tokens)))
        self.model.train()
        total = torch.zeros(())
        for index in range(self.steps_per_epoch):
            rows = order[index * size : (index + 1) * size]
            self._set_rate(self.epoch * self.steps_per_epoch + index)
            batch, target_BT = self.tokens.take(rows).to(self.device), self.target_tensor_MT[rows]
            if twin_tokens is not None:
                batch = stack(batch, twin_tokens.take(rows).to(self.device))
            elif self.recipe.loss.consistency:  # of the same networks under another dropout
                batch = stack(batch, batch)
            loss = self.loss(self.model(batch), target_BT) + self.model.strain
            self.step(loss)
            total += loss.detach().cpu()
        return float(total) / self.steps_per_epoch

    def loss(self, y_BTE: Tensor, target_BT: Tensor) -> Tensor:
        """The mean over attributes of the recipe's loss on the networks that are labelled.

        Predictions are (2B, T, E) where the second half are the twins. An attribute without labels in the batch adds
        nothing.
        """
        losses = []
        for y_BE, target_B in zip(y_BTE.unbind(1), target_BT.unbind(1), strict=True):
            if self.gaps:
                kept_B = target_B.isfinite()
                if not kept_B.any():
                    continue
                y_BE, target_B = y_BE[kept_B.repeat(len(y_BE) // len(target_B))], target_B[kept_B]
            losses.append(self._loss_of(y_BE, target_B))
        return torch.stack(losses).mean() if losses else 0.0 * y_BTE.sum()

    def _loss_of(self, y_BE: Tensor, target_B: Tensor) -> Tensor:
        """The recipe's loss of one attribute: members' predictions (B, E), or (2B, E) with twins."""
        weights = self.recipe.loss
        twin = len(y_BE) == 2 * len(target_B)
        all_B1 = (target_B.repeat(2) if twin else target_B)[:, None]
        loss = losses.REGRESSION[weights.regression](y_BE, all_B1)
        if weights.ranking:
            loss = loss + weights.ranking * losses.sequence_ranking(y_BE, all_B1, torch.randperm(len(y_BE)))
        if weights.consistency and twin:
            loss = loss + weights.consistency * losses.architecture_consistency(*y_BE.chunk(2))
        if weights.pairwise:
            loss = loss + weights.pairwise * losses.PAIRWISE[weights.pairs](y_BE, all_B1)
        return loss

    def step(self, loss: Tensor) -> None:
        """One step of the optimiser, and of the average if the recipe has one."""
        optimiser = self.recipe.optimiser
        loss.backward()  # type: ignore[no-untyped-call]
        if optimiser.clip is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), optimiser.clip)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        if optimiser.ema is not None:
            averages = [self.average[name] for name, _ in self.model.named_parameters()]
            current = [parameter.detach() for parameter in self.model.parameters()]
            torch._foreach_lerp_(averages, current, 1 - optimiser.ema)

    def _set_rate(self, step: int) -> None:
        optimiser = self.recipe.optimiser
        total = self.recipe.training.epochs * self.steps_per_epoch
        factor = schedule(optimiser.schedule, (step + 1) / total, optimiser.warmup)
        for group in self.optimiser.param_groups:
            group["lr"] = optimiser.learning_rate * factor

    def _kept(self) -> dict[str, Tensor]:
        return self.average if self.recipe.optimiser.ema is not None else self.model.state_dict()

    def predict_validation(self, state: dict[str, Tensor] | None = None) -> NDArray[np.float64]:
        """(V, T) outputs for the validation networks, with the given weights or the current ones; some at a time."""
        self.model.eval()
        parts, count = [], len(self.validation_tokens)
        with torch.inference_mode():
            for start in range(0, count, CHUNK):
                rows = torch.arange(start, min(start + CHUNK, count), device=self.device)
                batch = self.validation_tokens.take(rows)
                y_BTE = self.model(batch) if state is None else functional_call(self.model, state, (batch,))
                parts.append(y_BTE.double().mean(2).cpu().numpy())
        return np.concatenate(parts)

    def _validate(self) -> float:
        kept = self._kept()
        score = self.score(self.predict_validation(kept)) if len(self.validation_VT) > 1 else 0.0
        if score > self.best_score:
            self.best_score = score
            self.best = {name: value.detach().clone() for name, value in kept.items()}
        return score

    def score(self, predicted_VT: NDArray[np.float64]) -> float:
        """Score of predicted targets on the validation networks, larger is better: τ, or the negative MAPE of labels.

        The mean over attributes with at least two labels among them; 0 where there is no such attribute.
        """
        scores = []
        for t, target in enumerate(self.targets):
            rows = np.flatnonzero(np.isfinite(self.validation_VT[:, t]))
            if len(rows) < 2:
                continue
            predicted_v, true_v = predicted_VT[rows, t], self.validation_VT[rows, t]
            if self.recipe.training.score == "tau":
                scores.append(kendall_tau(predicted_v, true_v))
            else:
                scores.append(-mape(target.inverse(predicted_v), target.inverse(true_v)))
        return float(np.mean(scores)) if scores else 0.0

    def _stated(self, score: float) -> float:
        return score if self.recipe.training.score == "tau" else -score

    def facts(self) -> dict[str, Any]:
        """Epochs, seconds of training, the best validation score, and the facts of pre-training."""
        best = {f"best_validation_{self.recipe.training.score}": self._stated(self.best_score)}
        facts = {"epochs": self.epoch, "seconds": self.seconds} | best
        return facts | self.pretraining


def stack(first: Batch | Packed, second: Batch | Packed) -> Batch | Packed:
    """Two batches of networks, one after the other."""
    if isinstance(first, Packed) and isinstance(second, Packed):
        return packed([first, second])
    if not (isinstance(first, Batch) and isinstance(second, Batch)):
        raise TypeError("found a Batch and a Packed one; expected two of one kind")
    longest = max(first.kind_BN.shape[1], second.kind_BN.shape[1])
    pairs = [(getattr(first.padded(longest), f.name), getattr(second.padded(longest), f.name)) for f in fields(Batch)]
    return Batch(*map(torch.cat, pairs))


def make_optimiser(model: Model, recipe: NeuralRecipe) -> torch.optim.Optimizer:
    """AdamW that spares biases from decay, as NAR-Former was released; or Adam, decay in all gradients."""
    optimiser = recipe.optimiser
    if optimiser.decay == "coupled":
        return torch.optim.Adam(
            model.parameters(), lr=optimiser.learning_rate, weight_decay=optimiser.weight_decay, fused=True
        )
    named = list(model.named_parameters())
    groups = [
        {"params": [p for n, p in named if "bias" not in n], "weight_decay": optimiser.weight_decay},
        {"params": [p for n, p in named if "bias" in n], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=optimiser.learning_rate, fused=True)


def schedule(name: str, share: float, warmup: float) -> float:
    """Factor on the learning rate after ``share`` of all steps: linear warm-up, then the named decay to 0."""
    if warmup and share < warmup:
        return share / warmup
    rest = (share - warmup) / (1 - warmup)
    if name == "linear":
        return 1 - rest
    return 0.5 * (1 + float(np.cos(np.pi * rest))) if name == "cosine" else 1.0
