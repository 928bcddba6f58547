"""Pre-training on structure: before it sees a label, a model learns to tell what unlabelled cells are made of.

The targets are the statistics of arch/structure.py, standardised; the layer that tells them is thrown away.
Letters: P cells of the pool, S statistics, E members, B cells of a step.
"""

import numpy as np
import torch
from torch import Tensor

from narformer.arch.cells import Cells
from narformer.arch.structure import structure
from narformer.errors import BadRecipe
from narformer.models import Model, Relational
from narformer.models.relational import Members
from narformer.tokens.tokenizer import Tokenizer
from narformer.training.loop import Progress, schedule, silent
from narformer.training.recipe import Pretraining

POOL = 2**15  # cells, drawn once: more than the steps can learn by heart
WARMUP = 0.1


def pretrain(
    model: Model,
    tokenizer: Tokenizer,
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
    pool = cells.take(rng.permutation(len(cells))[:POOL])
    tokens, target_PS = tokenizer.batch(pool), standardised_structure(tokenizer.simplified(pool))
    members, width = model.config.members, model.config.width
    errors = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(rng.integers(2**63)))
        head = Members(members, width, target_PS.shape[1]).to(device)
        model.to(device).train()
        optimiser = torch.optim.AdamW(
            [*model.parameters(), *head.parameters()], lr=settings.learning_rate, weight_decay=0.01, fused=True
        )
        for step in range(settings.steps):
            for group in optimiser.param_groups:
                group["lr"] = settings.learning_rate * schedule("cosine", (step + 1) / settings.steps, WARMUP)
            rows = torch.from_numpy(rng.integers(len(pool), size=settings.batch))
            told_EBS = head(model.hidden(tokens.take(rows).to(device)))
            loss = (told_EBS - target_PS[rows].to(device)).square().mean()
            loss.backward()
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
            errors.append(loss.detach())
            progress("pre-train", step + 1, settings.steps, None)
    return float(torch.stack(errors[-max(1, len(errors) // 10) :]).mean())


def standardised_structure(cells: Cells) -> Tensor:
    """(P, S) statistics of mean 0 and variance 1; those that are the same for all cells are left out."""
    statistic_PS = structure(cells)
    spread_S = statistic_PS.std(axis=0)
    statistic_PS = statistic_PS[:, spread_S > 0]
    return torch.from_numpy((statistic_PS - statistic_PS.mean(axis=0)) / statistic_PS.std(axis=0)).float()
