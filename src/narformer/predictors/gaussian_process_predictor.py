"""A Gaussian process on the structure of cells alone as a predictor: fitted in seconds, without training steps.

Letters: N cells, T attributes, K random networks.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from typing_extensions import Unpack

from narformer.cells.columns import Cells
from narformer.errors import BadPredictor, BadRecipe
from narformer.network.graph import Architecture
from narformer.predictors.build import make_tokenizer
from narformer.predictors.gaussian_process import PREFIX, GaussianProcess, GaussianProcessFacts, with_prefix
from narformer.predictors.predictor import Advance, Common, FittedPredictor, unheard
from narformer.predictors.target import Target, Transform
from narformer.predictors.task import Task
from narformer.progress import Progress
from narformer.tokens.relational import RelationalTokenizer

__all__ = ["GaussianProcessPredictor", "simplifier", "unlabelled"]

CHUNK = 2048  # cells after which progress is reported
POOL = 2**15  # unlabelled cells, drawn once: too many to be memorised in training


class GaussianProcessPredictor(FittedPredictor):
    """A Gaussian process for each of T attributes of cells, without any network."""

    name = "gaussian-process"

    class Options(BaseModel):
        """steps: for choosing the kernel; networks: K; absent, identities: operations that compute nothing.

        transform: of labels, before they are learned
        """

        model_config = ConfigDict(extra="forbid", frozen=True)
        steps: int = Field(default=150, gt=0)
        networks: int = Field(default=32, gt=0, le=1024)
        absent: tuple[str, ...] = ()
        identities: tuple[str, ...] = ()
        transform: Transform = "normal-scores"

    class Config(BaseModel):
        """Its section of the manifest."""

        model_config = ConfigDict(extra="forbid")
        name: Literal["gaussian-process"] = "gaussian-process"
        vocabulary: tuple[str, ...]
        absent: tuple[str, ...] = ()
        identities: tuple[str, ...] = ()
        gaussian_processes: tuple[GaussianProcessFacts, ...]

    def __init__(
        self, processes: Sequence[GaussianProcess], tokenizer: RelationalTokenizer, **common: Unpack[Common]
    ) -> None:
        super().__init__(**common)
        self.processes, self.tokenizer = tuple(processes), tokenizer

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """The operations of its cells."""
        return self.tokenizer.vocabulary

    @classmethod
    def fit(cls, task: Task, options: Options) -> Self:
        """A process for each attribute. Raises BadRecipe for whole networks or unknown operations."""
        cells = task.cells
        if cells is None:
            raise BadRecipe(f"[predictor] '{cls.name}' reads cells; '{task.source}' holds whole networks")
        tokenizer = simplifier(cells.vocabulary, options.absent, options.identities)
        pool = tokenizer.simplified(unlabelled(cells, np.random.default_rng([task.seed, 3_000_000])))
        training = tokenizer.simplified(Cells.of(task.training, cells.vocabulary))
        processes, targets = [], []
        for attribute, (rows, label_n) in zip(task.attributes, task.columns(), strict=True):
            target = Target.fit(label_n, options.transform, 1.0)
            step = partial(_report, task.progress, f"Gaussian process {attribute.name}", options.steps)
            known = training.take(rows), target.forward(label_n)
            processes.append(GaussianProcess.fit(*known, pool, task.seed, options.steps, options.networks, step))
            targets.append(target)
        return cls(
            processes,
            tokenizer,
            attributes=task.attributes,
            space=task.space,
            targets=tuple(targets),
            domain=task.domain(),
        )

    def opinions(self, architectures: Sequence[Architecture], advance: Advance = unheard) -> NDArray[np.float64]:
        """(N, T, 1), in the units of targets. Raises BadArchitecture for operations outside the vocabulary."""
        cells = Cells.of(architectures, self.vocabulary)
        parts = [np.empty((0, len(self.processes)))]
        for start in range(0, len(cells), CHUNK):
            some = self.tokenizer.simplified(cells.take(slice(start, start + CHUNK)))
            parts.append(np.stack([process(some).numpy() for process in self.processes], axis=1))
            advance(len(some))
        return np.concatenate(parts)[:, :, None]

    def config(self) -> Config:
        """The vocabulary, and the sizes of the processes."""
        facts = [GaussianProcessFacts.of(process) for process in self.processes]
        return self.Config(**self.tokenizer.config(), gaussian_processes=tuple(facts))

    def tensors(self) -> dict[str, Tensor]:
        """The numbers of the processes."""
        return with_prefix(self.processes)

    @classmethod
    def empty(cls, config: Config, common: Common) -> Self:
        """Processes with blank numbers. Raises BadPredictor or BadRecipe where they do not fit the attributes."""
        if len(config.gaussian_processes) != len(common["attributes"]):
            raise BadPredictor(f"found {len(config.gaussian_processes)} processes; expected one for each attribute")
        tokenizer = simplifier(config.vocabulary, config.absent, config.identities)
        return cls([GaussianProcess(facts.config()) for facts in config.gaussian_processes], tokenizer, **common)

    def fill(self, tensors: Mapping[str, Tensor]) -> None:
        """Take the numbers. Raises BadPredictor where they are impossible."""
        for t, process in enumerate(self.processes):
            process.fill({name.partition(f"{PREFIX}{t}.")[2]: value for name, value in tensors.items()})
            process.check(len(self.vocabulary))


def unlabelled(cells: Cells, rng: np.random.Generator) -> Cells:
    """At most POOL of the cells, drawn once."""
    return cells.take(rng.permutation(len(cells))[:POOL])


def simplifier(
    vocabulary: tuple[str, ...], absent: tuple[str, ...], identities: tuple[str, ...]
) -> RelationalTokenizer:
    """The tokenizer that takes out operations that compute nothing. Raises BadRecipe for unknown names."""
    tokenizer = make_tokenizer("relational", {"absent": absent, "identities": identities}, vocabulary)
    assert isinstance(tokenizer, RelationalTokenizer)
    return tokenizer


def _report(progress: Progress, phase: str, steps: int, step: int) -> None:
    progress(phase, step, steps, None)
