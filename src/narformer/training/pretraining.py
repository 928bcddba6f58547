"""Pre-training on structure: before training on labels, a model learns statistics of unlabelled cells.

The targets are the statistics of cells/features.py, standardised; the layer that predicts them is discarded. One member
learns them, and all members of the ensemble begin as copies of it, except for their last layer: the shared start
contains no labels, and costs 1/E of pre-training all members.
Letters: P cells of the pool, S statistics, E members, B cells of a step.
"""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from narformer.cells.columns import Cells
from narformer.cells.features import flows
from narformer.errors import BadRecipe
from narformer.models import Model, Relational
from narformer.models.relational import Members
from narformer.predictors.gaussian_process_predictor import unlabelled
from narformer.progress import Progress, silent
from narformer.tokens import CellTokenizer
from narformer.training.loop import schedule
from narformer.training.recipe import Pretraining

WARMUP = 0.1


def pretrain(
    model: Model,
    tokenizer: CellTokenizer,
    cells: Cells,
    settings: Pretraining,
    seed: int,
    progress: Progress = silent,
    device: str = "cpu",
) -> float:
    """Train the model in place on the structure of ``cells``; the mean squared error of the last tenth of all steps.

    Raises BadRecipe for a model that cannot be pre-trained.
    """
    if not isinstance(model, Relational):
        raise BadRecipe("[pretraining] is for the model 'relational'; leave the section out for others")
    rng = np.random.default_rng([seed, 2_000_000])
    pool = unlabelled(cells, rng)
    tokens, target_PS = tokenizer.batch(pool), standardised_structure(tokenizer.simplified(pool))
    errors = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(rng.integers(2**63)))
        # always in float32: a single member is too small for bfloat16 to be faster
        first = Relational(replace(model.config, members=1, targets=1)).to(device).train()
        head = Members(1, model.config.width, target_PS.shape[1]).to(device)
        optimiser = torch.optim.AdamW(
            [*first.parameters(), *head.parameters()], lr=settings.learning_rate, weight_decay=0.01, fused=True
        )
        for step in range(settings.steps):
            for group in optimiser.param_groups:
                group["lr"] = settings.learning_rate * schedule("cosine", (step + 1) / settings.steps, WARMUP)
            rows = torch.from_numpy(rng.integers(len(pool), size=settings.batch))
            told_1BS = head(first.hidden(tokens.take(rows).to(device)))
            loss = (told_1BS - target_PS[rows].to(device)).square().mean()
            loss.backward()
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
            errors.append(loss.detach())
            progress("pre-train", step + 1, settings.steps, None)
    told = dict(first.named_parameters())
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if not name.startswith("out."):
                times = weight.shape[-1] // told[name].shape[-1]  # every attribute's own layer begins as the same one
                weight.copy_(torch.cat([told[name]] * times, -1).expand_as(weight))
    return float(torch.stack(errors[-max(1, len(errors) // 10) :]).mean())


def standardised_structure(cells: Cells) -> Tensor:
    """(P, S) statistics of mean 0 and variance 1; those that are the same for all cells are left out."""
    statistic_PS = np.concatenate(flows(cells), axis=1)
    spread_S = statistic_PS.std(axis=0)
    statistic_PS = statistic_PS[:, spread_S > 1e-9]  # sums of one value many times over differ in their last digits
    return torch.from_numpy((statistic_PS - statistic_PS.mean(axis=0)) / statistic_PS.std(axis=0)).float()
