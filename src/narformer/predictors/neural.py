"""A neural model with its tokenizer: the predictor that is trained in steps, for cells or for whole networks.

Letters: N networks, B networks of a batch, T attributes, E members, K kernels of one network.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from torch import Tensor
from typing_extensions import Unpack

from narformer.cells.columns import Cells
from narformer.errors import BadPredictor, lookup
from narformer.models import MODELS, KernelSum, Model
from narformer.network.graph import Architecture
from narformer.predictors.build import DERIVED, make_model, make_tokenizer, model_options
from narformer.predictors.gaussian_process import GaussianProcess, GaussianProcessFacts, with_prefix
from narformer.predictors.predictor import Advance, Common, Float, Predictor, unheard
from narformer.tokens import TOKENIZERS, Batch, CellTokenizer, NetworkTokenizer, Packed, Tokenizer

__all__ = ["NeuralPredictor"]

BLOCK, CHUNK = 2048, 64  # cells, and whole networks, after which progress is reported
MEMORY = 512  # cells of a batch, divided among the members


class TokenizerFacts(BaseModel):
    """The tokenizer's name in TOKENIZERS, its operations (empty for whole networks), and its options."""

    model_config = ConfigDict(extra="allow")
    name: str
    vocabulary: tuple[str, ...]

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> Self:
        """The facts of a tokenizer."""
        return cls(name=_name(TOKENIZERS, tokenizer), **tokenizer.config())


class ModelFacts(BaseModel):
    """The model's name in MODELS, and every field of its Config."""

    model_config = ConfigDict(extra="allow")
    name: str

    @classmethod
    def of(cls, model: Model) -> Self:
        """The facts of a model."""
        return cls(name=_name(MODELS, model), **model_options(model))


class NeuralPredictor(Predictor):
    """A model, its tokenizer, and for cells a Gaussian process for each attribute that is blended with the model.

    precision: of the model's computation
    processes: of each attribute; None where the model stands alone
    """

    name = "neural"

    class Config(BaseModel):
        """Its section of the manifest."""

        model_config = ConfigDict(extra="forbid")
        name: Literal["neural"] = "neural"
        tokenizer: TokenizerFacts
        model: ModelFacts
        precision: Literal["float32", "bfloat16"] = "float32"
        gaussian_processes: tuple[GaussianProcessFacts | None, ...] = ()

    def __init__(
        self,
        model: Model,
        tokenizer: Tokenizer,
        precision: torch.dtype = torch.float32,
        processes: Sequence[GaussianProcess | None] = (),
        **common: Unpack[Common],
    ) -> None:
        super().__init__(**common)
        self.model, self.tokenizer, self.precision = model, tokenizer, precision
        self.processes = tuple(processes) or (None,) * len(self.attributes)

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """The operations of its cells; empty where it reads whole networks."""
        return self.tokenizer.vocabulary if isinstance(self.tokenizer, CellTokenizer) else ()

    @property
    def members(self) -> int:
        """E, members of the model; 1 where it is not an ensemble."""
        return int(getattr(self.model.config, "members", 1))

    @property
    def adaptable(self) -> bool:
        """Whether it sums kernels and predicts the logarithm of one attribute."""
        return (
            isinstance(self.model, KernelSum)
            and len(self.attributes) == 1
            and all(target.transform == "log" for target in self.targets)
        )

    def to(self, device: str) -> Self:
        """The same predictor with its model on another device; Gaussian processes stay on the CPU."""
        self.model.to(device)
        return self

    def opinions(self, architectures: Sequence[Architecture], advance: Advance = unheard) -> Float:
        """(N, T, E) predictions of each member, blended with the Gaussian processes, in the units of targets.

        Raises BadArchitecture for operations outside the vocabulary.
        """
        if isinstance(self.tokenizer, CellTokenizer):
            return self._of_cells(self.tokenizer, Cells.of(architectures, self.tokenizer.vocabulary), advance)
        parts = [np.empty((0, len(self.attributes), self.members))]
        for start in range(0, len(architectures), CHUNK):
            networks = [architectures[row] for row in range(start, min(start + CHUNK, len(architectures)))]
            parts.append(self.opinions_on(self.tokenizer.batch(networks)))
            advance(len(networks))
        return np.concatenate(parts)

    def _of_cells(self, tokenizer: CellTokenizer, cells: Cells, advance: Advance) -> Float:
        """(N, T, E) in blocks of cells of one size, which need no padding; one for each thread of torch at once."""
        by_size = np.argsort(cells.count_M, kind="stable")
        out_NTE = np.empty((len(cells), len(self.attributes), self.members))
        chunk = max(1, MEMORY // self.members)  # small blocks fit in the cache; members make them larger

        def opinions_BTE(rows: NDArray[np.intp]) -> Float:
            block = cells.take(rows).trimmed()
            chunks = [block.take(slice(begin, begin + chunk)).trimmed() for begin in range(0, len(block), chunk)]
            opinion_BTE = np.concatenate([self.opinions_on(tokenizer.batch(part)) for part in chunks])
            if any(self.processes):
                simplified = tokenizer.simplified(block)
                for t, process in enumerate(self.processes):
                    if process is not None:
                        opinion_BTE[:, t] = process.blended(simplified, opinion_BTE[:, t])
            return opinion_BTE

        blocks = [by_size[start : start + BLOCK] for start in range(0, len(cells), BLOCK)]
        with spread_over_threads(len(blocks)) as each:
            for rows, opinion_BTE in zip(blocks, each(opinions_BTE, blocks), strict=True):
                out_NTE[rows] = opinion_BTE
                advance(len(rows))
        return out_NTE

    def opinions_on(self, batch: Batch | Packed) -> Float:
        """(B, T, E) predictions of each member of the model from tokens, before any Gaussian process."""
        self.model.eval()
        self.model.precision = self.precision
        with torch.inference_mode():
            opinion_BTE: Tensor = self.model(batch.to(next(self.model.parameters()).device))
        return opinion_BTE.double().cpu().numpy()

    def shares(self, architecture: Architecture) -> Float | None:
        """(T, K) where the model sums kernels; see Predictor."""
        if not isinstance(self.model, KernelSum) or not isinstance(self.tokenizer, NetworkTokenizer):
            return None
        self.model.eval()
        with torch.inference_mode():
            device = next(self.model.parameters()).device
            kernel_XK = self.model.kernels(self.tokenizer.batch([architecture]).to(device))
            kernel_TEK = kernel_XK.view(len(self.attributes), self.members, -1)
            return np.asarray(kernel_TEK.softmax(2).mean(1).double().cpu().numpy())

    def config(self) -> Config:
        """Tokenizer, model and precision by name, and the sizes of the Gaussian processes."""
        sizes = tuple(None if process is None else GaussianProcessFacts.of(process) for process in self.processes)
        return self.Config(
            tokenizer=TokenizerFacts.of(self.tokenizer),
            model=ModelFacts.of(self.model),
            precision="bfloat16" if self.precision == torch.bfloat16 else "float32",
            gaussian_processes=sizes if any(sizes) else (),
        )

    def tensors(self) -> dict[str, Tensor]:
        """The model's weights, and the numbers of the Gaussian processes."""
        return self.model.state_dict() | with_prefix(self.processes)

    @classmethod
    def empty(cls, config: Config, common: Common) -> Self:
        """A model without weights. Raises BadRecipe, UnknownName or BadPredictor where it cannot be built."""
        count = len(common["attributes"])
        facts, options = config.tokenizer, config.model.model_extra or {}
        tokenizer = make_tokenizer(facts.name, facts.model_extra or {}, facts.vocabulary)
        free = {name: value for name, value in options.items() if name not in DERIVED}
        model = make_model(config.model.name, free, tokenizer, attributes=count)
        for name, value in model_options(model).items():
            if name in DERIVED and options.get(name, value) != value:
                raise BadPredictor(f"[model] {name}: found {options[name]!r:.80}; its tokenizer needs {value}")
        if len(config.gaussian_processes) not in (0, count):
            raise BadPredictor(f"found {len(config.gaussian_processes)} Gaussian processes for {count} attributes")
        processes = [None if size is None else GaussianProcess(size.config()) for size in config.gaussian_processes]
        return cls(model.eval(), tokenizer, getattr(torch, config.precision), processes, **common)

    def fill(self, tensors: Mapping[str, Tensor]) -> None:
        """Take weights and numbers. Raises BadPredictor for a Gaussian process with impossible numbers."""
        self.model.load_state_dict({name: tensors[name] for name in self.model.state_dict()}, assign=True)
        for parameter in self.model.parameters():
            parameter.requires_grad_(True)
        for t, process in enumerate(self.processes):
            if process is not None:
                process.fill({name.partition(f"gaussian_process.{t}.")[2]: value for name, value in tensors.items()})
                process.check(len(self.vocabulary))


def _name(table: Mapping[str, type[Any]], part: object) -> str:
    name = next((name for name, kind in table.items() if kind is type(part)), "")
    lookup(table, name, "tokenizer or model")
    return name


@contextmanager
def spread_over_threads(count: int) -> Iterator[Callable[..., Iterable[Any]]]:
    """A ``map`` that runs each of ``count`` pieces of work in one of torch's threads, all threads in parallel.

    Small operations, and those of NumPy, do not gain from several threads each.
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
