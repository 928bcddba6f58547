"""A neural model with its tokenizer and target: the Predictor that is trained, saved and loaded."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from narformer.attributes import Attribute
from narformer.cells.columns import Cells
from narformer.models import Model
from narformer.network.graph import Architecture
from narformer.predictors.calibration import Calibration
from narformer.predictors.domain import Domain
from narformer.predictors.gaussian_process import GaussianProcess
from narformer.predictors.target import Target
from narformer.tokens import Batch, CellTokenizer, Packed, Tokenizer

BLOCK, CHUNK = 2048, 64  # cells, and whole networks, after which progress is told


@dataclass(eq=False)
class NeuralPredictor:
    """predict(architectures) -> (N, 1) in the attribute's unit.

    facts:       what the manifest tells about the training: recipe, data, measured error
    calibration: how far predictions are off; None where too few networks were left to tell
    expert:      a second opinion that is blended with the model's; None where the model stands alone
    domain:      tells how far a whole network is from those trained on; None for cells
    """

    model: Model
    tokenizer: Tokenizer
    target: Target
    attribute: Attribute
    space: str
    facts: dict[str, Any] = field(default_factory=dict)
    precision: torch.dtype = torch.float32
    calibration: Calibration | None = None
    expert: GaussianProcess | None = None
    domain: Domain | None = None

    def predict(
        self,
        architectures: Sequence[Architecture],
        chunk: int = 512,
        advance: Callable[[int], None] = lambda done: None,
    ) -> NDArray[np.float64]:
        """(N, 1) predictions in the attribute's unit; ``advance`` is told how many each chunk held.

        Raises BadArchitecture for operations outside the vocabulary.
        """
        return self.target.inverse(self.opinions(architectures, chunk, advance).mean(axis=1, keepdims=True))

    @property
    def members(self) -> int:
        """E, opinions that the model has; 1 where it is no ensemble."""
        return int(getattr(self.model.config, "members", 1))

    def interval(self, opinion_NE: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
        """Lower and upper ends (N,) of the intervals of opinions, in the attribute's unit; None without calibration.

        None ends farther from the labels of training than those reach (``Target.span``).
        """
        if self.calibration is None:
            return None
        middle_N, reach_N = opinion_NE.mean(axis=1), self.calibration.reach(opinion_NE)
        ends = self.target.inverse(middle_N - reach_N), self.target.inverse(middle_N + reach_N)
        return np.clip(ends[0], *self.target.span), np.clip(ends[1], *self.target.span)

    def opinions(
        self,
        architectures: Sequence[Architecture],
        chunk: int = 512,
        advance: Callable[[int], None] = lambda done: None,
    ) -> NDArray[np.float64]:
        """(N, E) what each member says, blended with the expert, in the units of targets. As ``predict`` otherwise."""
        if isinstance(self.tokenizer, CellTokenizer):
            cells = Cells.of(architectures, self.tokenizer.vocabulary)
            return self._of_cells(self.tokenizer, cells, chunk, advance)
        parts = [np.empty((0, self.members))]
        for start in range(0, len(architectures), CHUNK):
            networks = [architectures[row] for row in range(start, min(start + CHUNK, len(architectures)))]
            parts.append(self.opinions_on(self.tokenizer.batch(networks)))
            advance(len(networks))
        return np.concatenate(parts)

    def _of_cells(
        self, tokenizer: CellTokenizer, cells: Cells, chunk: int, advance: Callable[[int], None]
    ) -> NDArray[np.float64]:
        """(N, E) in blocks of cells of one size, which need no padding; as many at once as torch has threads."""
        by_size = np.argsort(cells.count_M, kind="stable")
        out_ME = np.empty((len(cells), self.members))
        chunk = max(1, chunk // self.members)  # small ones stay in the cache, and members make them larger

        def opinions_BE(rows: NDArray[np.intp]) -> NDArray[np.float64]:
            block = cells.take(rows).trimmed()
            chunks = [block.take(slice(begin, begin + chunk)).trimmed() for begin in range(0, len(block), chunk)]
            opinion_BE = np.concatenate([self.opinions_on(tokenizer.batch(part)) for part in chunks])
            return opinion_BE if self.expert is None else self.expert.blended(tokenizer.simplified(block), opinion_BE)

        blocks = [by_size[start : start + BLOCK] for start in range(0, len(cells), BLOCK)]
        with spread_over_threads(len(blocks)) as each:
            for rows, opinion_BE in zip(blocks, each(opinions_BE, blocks), strict=True):
                out_ME[rows] = opinion_BE
                advance(len(rows))
        return out_ME

    def opinions_on(self, batch: Batch | Packed) -> NDArray[np.float64]:
        """(B, E) what each member of the model says of tokens, before any expert."""
        self.model.eval()
        self.model.precision = self.precision
        with torch.inference_mode():
            opinion_BE: torch.Tensor = self.model(batch.to(next(self.model.parameters()).device))
        return opinion_BE.double().cpu().numpy()


@contextmanager
def spread_over_threads(count: int) -> Iterator[Callable[..., Iterable[Any]]]:
    """A ``map`` that has each of ``count`` pieces of work done by one of torch's threads, as many at once as it has.

    Small operations, and those of NumPy, gain nothing from several threads of their own.
    """
    threads = torch.get_num_threads()
    if min(threads, count) < 2:
        yield map
        return
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(threads) as pool:
            yield pool.map
    finally:
        torch.set_num_threads(threads)
