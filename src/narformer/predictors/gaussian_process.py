"""The second opinion of our own predictor: a Gaussian process on features of cells, without a trained network.

From a few hundred labels it ranks cells about as well as a transformer, in seconds, and its errors differ; so both
together rank better. Features come in groups g: those of cells/features.py, and the answers of random networks. Kernel
of two cells with squared distances d_g: k = Σ_g a_g exp(-d_g / l_g) + a Π_g exp(-d_g / m_g), its numbers by the largest
marginal likelihood (Rasmussen & Williams 2006, eq. 5.8) with a weak normal prior on their logarithms.

Letters: n training cells, M cells, N vertices, C operations, G groups, F features, K random networks, D their width,
E members.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from narformer.cells.columns import MOST_EDGES, Cells
from narformer.cells.features import GROUPS, answers, flows
from narformer.errors import BadPredictor
from narformer.models.sizes import STRICT, Size

__all__ = ["GaussianProcess", "GaussianProcessFacts", "with_prefix"]

RATE, PRIOR, JITTER, NOISE = 0.1, 0.04, 1e-5, -2.0  # of the fit: Adam's rate, 1/variance of logs, log noise to begin
FARTHEST = 8.0  # bounds on logarithms of the kernel's numbers: a few labels that fit exactly would let them diverge
CHUNK = 2048  # cells whose features are in memory together
PIECE = 64  # cells whose kernel rows are in memory together: MOST numbers each, within the cache
MOST = 1000  # maximum number of cells held: the cost grows with it, and with more labels the model needs it less
TUNED = 500  # maximum number of cells for choosing the kernel: the cost of a step grows with their cube
DOUBLE = frozenset({"amplitude", "length", "center", "alpha"})  # terms of an opinion nearly cancel
FEW, FOLDS = 30, 10  # with fewer validation cells both opinions count alike; parts in which shares are checked
ROUNDS = 20  # iterations of reweighted least squares until shares converge
LARGEST = 2**28  # numbers at once while a process describes its cells
PREFIX = "gaussian_process."  # of tensors in a file, before the number of the attribute


class GaussianProcess(nn.Module):
    """Cells to the opinion of a Gaussian process, and to its blend with the opinions of a model.

    Everything is in buffers, so that it is saved with the model's weights.
    """

    @dataclass(frozen=True, kw_only=True, config=STRICT)
    class Config:
        """cells: trained on, n; vertices: N; kinds: C; features: F; networks, width: K, D."""

        cells: Size
        vertices: Size
        kinds: Size
        features: Size
        networks: Size = 32
        width: Size = 8

    kind: Tensor
    adj: Tensor
    weights: Tensor
    biases: Tensor
    mean: Tensor
    scale: Tensor
    amplitude: Tensor
    length: Tensor
    center: Tensor
    alpha: Tensor
    share: Tensor

    def __init__(self, config: Config) -> None:
        super().__init__()
        n, N, C, K, D = config.cells, config.vertices, config.kinds, config.networks, config.width
        self.config = config
        G = len(GROUPS) + 1
        shapes = {
            "kind": (n, N),
            "adj": (n, N, N),
            "weights": (2, K, C, D, D),
            "biases": (2, K, C, D),
            "mean": (config.features,),
            "scale": (config.features,),  # 0 for a feature that is the same everywhere
            "amplitude": (G + 1,),
            "length": (2, G),
            "center": (1,),
            "alpha": (n,),
            "share": (2,),  # of the model and of this in the blend
        }
        for name, shape in shapes.items():
            dtype = torch.double if name in DOUBLE else torch.float
            self.register_buffer(name, torch.zeros(shape, dtype=dtype))

    @classmethod
    def fit(
        cls,
        cells: Cells,
        target_n: NDArray[np.float64],
        pool: Cells,
        seed: int,
        steps: int = 150,
        networks: int = 32,
        advance: Callable[[int], None] = lambda done: None,
    ) -> "GaussianProcess":
        """From training cells, at most MOST of them, drawn at random, and their targets.

        ``pool``: unlabelled cells, for the standardisation of features.
        """
        rng = np.random.default_rng([seed, 4_000_000])
        drawn = rng.permutation(len(cells))[:MOST]
        cells, target_n = cells.take(drawn), target_n[drawn]
        K, C, D = networks, len(cells.vocabulary), cls.Config.width
        weights = (rng.standard_normal((2, K, C, D, D)) * D**-0.5).astype(np.float32)
        biases = (rng.standard_normal((2, K, C, D)) * 0.5).astype(np.float32)
        feature_PF = np.concatenate([*flows(pool), answers(pool, (weights, biases))], axis=1)
        spread_F = feature_PF.std(axis=0)
        varies_F = spread_F > 1e-9
        config = cls.Config(
            cells=len(cells), vertices=cells.kind_MN.shape[1], kinds=C, features=len(spread_F), networks=K, width=D
        )
        process = cls(config)
        held = {
            "kind": cells.kind_MN,
            "adj": cells.adj_MNN,
            "weights": weights,
            "biases": biases,
            "mean": feature_PF.mean(axis=0),
            "scale": varies_F / np.where(varies_F, spread_F, 1),
            "center": target_n.mean(keepdims=True),
            "share": np.array([0.5, 0.5]),
        }
        for name, value in held.items():
            process.get_buffer(name).copy_(torch.from_numpy(np.ascontiguousarray(value)))
        process._fit(torch.from_numpy(target_n) - process.center, steps, advance)
        return process

    def _fit(self, target_n: Tensor, steps: int, advance: Callable[[int], None]) -> None:
        G = len(self._held)
        log = torch.zeros(3 * G + 2, dtype=torch.double)
        log[-1] = NOISE
        log.requires_grad_()
        optimiser = torch.optim.Adam([log], lr=RATE)

        def solved(distances: Iterable[Tensor], target_n: Tensor) -> tuple[Tensor, Tensor]:
            kernel_nn = _kernel(distances, log[: G + 1].exp(), log[G + 1 : -1].view(2, G).exp())
            kernel_nn.diagonal().add_(log[-1].exp() + JITTER)
            lower_nn = torch.linalg.cholesky(kernel_nn)
            return torch.cholesky_solve(target_n[:, None], lower_nn)[:, 0], lower_nn

        target_t, distances = target_n[:TUNED], [_distances(x[:TUNED], x[:TUNED]) for x in self._held]
        for step in range(steps):
            alpha_t, lower_tt = solved(distances, target_t)
            loss = (target_t @ alpha_t + PRIOR * log.square().sum()) / 2 + lower_tt.diagonal().log().sum()
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            with torch.no_grad():
                log.clamp_(-FARTHEST, FARTHEST)
            advance(step + 1)
        with torch.no_grad():
            alpha_n, _ = solved((_distances(x, x) for x in self._held), target_n)
            self.alpha.copy_(alpha_n)
            self.amplitude.copy_(log[: G + 1].exp())
            self.length.copy_(log[G + 1 : -1].view(2, G).exp())

    @property
    def trained(self) -> Cells:
        """The n training cells."""
        vocabulary = tuple(map(str, range(self.config.kinds)))  # names are ignored
        return Cells(vocabulary, self.kind.numpy().astype(np.int8), self.adj.numpy().astype(np.uint8))

    @cached_property
    def _held(self) -> list[Tensor]:
        """Features of the training cells, computed once."""
        return self._features(self.trained)

    @torch.inference_mode()
    def forward(self, cells: Cells) -> Tensor:
        """(M,) opinions, in the units of targets, float64."""
        parts = [torch.zeros(0, dtype=torch.double)]
        for start in range(0, len(cells), CHUNK):
            asked = self._features(cells.take(slice(start, start + CHUNK)))
            parts += [
                self._answered(piece) for piece in zip(*(torch.split(x_MF, PIECE) for x_MF in asked), strict=True)
            ]
        return torch.cat(parts)

    def _answered(self, asked: Sequence[Tensor]) -> Tensor:
        """(M,) opinions on features of each group: ``_kernel``, one exponent after the other, in place.

        This is most of the cost of scoring. -d/l is linear in [x, |x|²], so that one product gives it.
        """
        amplitude, (alone_G, together_G) = self.amplitude.tolist(), self.length.tolist()
        apart_Mn = torch.zeros((), dtype=torch.double)
        said_M: Tensor = self.center.repeat(len(asked[0]))
        for x_MF, (y_nF, square_n), a, alone, together in zip(
            asked, self._squared, amplitude, alone_G, together_G, strict=False
        ):
            minus_Mn = torch.addmm(square_n, x_MF, y_nF.T, beta=-1, alpha=2).sub_(x_MF.square().sum(1)[:, None])
            apart_Mn = torch.add(apart_Mn, minus_Mn, alpha=1 / together)
            said_M += a * (minus_Mn.mul_(1 / alone).exp_() @ self.alpha)
        said_M += amplitude[-1] * (apart_Mn.exp_() @ self.alpha)
        return said_M

    @cached_property
    def _squared(self) -> list[tuple[Tensor, Tensor]]:
        """Features of the training cells, and the squares of their lengths (n,), of each group."""
        return [(x_nF, x_nF.square().sum(1)) for x_nF in self._held]

    def balance(
        self, cells: Cells, opinion_VE: NDArray[np.float64], target_V: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Choose the shares of the blend by validation cells (``_shares``); not negative; halves below FEW.

        Returns (V, E) blends, each by shares found without that cell, so that errors are those of new cells.
        """
        own_V = self(cells).numpy()
        share_V2 = np.full((len(cells), 2), 0.5)
        both_V2 = np.stack([opinion_VE.mean(axis=1), own_V], axis=1)
        enough = len(cells) >= FEW  # decided once: folds use the same rule as the saved blend
        self.share.copy_(torch.from_numpy(_shares(both_V2, target_V) if enough else share_V2[0]))
        fold_V = np.arange(len(cells)) % FOLDS
        for fold in range(FOLDS if enough else 0):
            share_V2[fold_V == fold] = _shares(both_V2[fold_V != fold], target_V[fold_V != fold])
        return np.asarray(share_V2[:, :1] * opinion_VE + share_V2[:, 1:] * own_V[:, None])

    def blended(self, cells: Cells, opinion_ME: NDArray[np.float64]) -> NDArray[np.float64]:
        """(M, E) opinions of the members of a model, each times its share, plus this one times its share."""
        own_M1 = self(cells).numpy()[:, None]
        model, own = self.share.double().numpy()
        return np.asarray(model * opinion_ME + own * own_M1)

    def fill(self, tensors: Mapping[str, Tensor]) -> None:
        """Take these numbers."""
        self.load_state_dict({name: tensors[name] for name in self.state_dict()}, assign=True)

    def check(self, kinds: int) -> None:
        """Raises BadPredictor where its numbers describe no cells over ``kinds`` operations, or no kernel."""
        real_nN = self.kind >= 0
        wrong = {
            "kind": (self.kind != self.kind.round()).any()
            or not real_nN[:, 0].all()
            or (real_nN.int().diff(dim=1) > 0).any(),
            "adj": ((self.adj != self.adj.triu(1).round()) | (self.adj < 0) | (self.adj > MOST_EDGES)).any(),
            "length": (self.length <= 0).any(),
            "amplitude": (self.amplitude < 0).any(),
            "share": (self.share < 0).any(),
        }
        for name, found in wrong.items():
            if found:
                raise BadPredictor(f"'{PREFIX}{name}' holds impossible values; it is damaged, train it again")
        low, high = self.kind.min(), self.kind.max()
        if self.config.kinds != kinds or not (low >= -1 and high < kinds):
            raise BadPredictor(
                f"its Gaussian process has operations {low:g} to {high:g} of {self.config.kinds}; "
                f"the vocabulary has {kinds}; it is damaged, train it again"
            )
        if self.described != self.config.features:
            raise BadPredictor(
                f"its Gaussian process has {self.config.features} features; expected {self.described}; "
                "it is damaged or of another version, train it again"
            )

    @property
    def described(self) -> int:
        """Number of features computed for a cell; another number in the configuration is an error."""
        return sum(group.shape[1] for group in self._groups(self.trained.take(slice(1))))

    def _groups(self, cells: Cells) -> tuple[NDArray[np.float64], ...]:
        return *flows(cells), answers(cells, (self.weights.numpy(), self.biases.numpy()))

    def _features(self, cells: Cells) -> list[Tensor]:
        """Standardised features (M, ·) of each group, so that a distance is a mean over those that vary."""
        features, begin = [], 0
        for group in self._groups(cells):
            end = begin + group.shape[1]
            scale = self.scale[begin:end]
            x = (torch.from_numpy(group) - self.mean[begin:end]) * scale
            features.append(x / max(1, int((scale > 0).sum())) ** 0.5)
            begin = end
        return features


class GaussianProcessFacts(BaseModel):
    """The fields of a GaussianProcess's Config, as a manifest may state them."""

    model_config = ConfigDict(extra="forbid")
    cells: int = Field(gt=0, le=MOST)
    vertices: int = Field(gt=0, le=2**10)
    kinds: int = Field(gt=0, le=127)
    features: int = Field(gt=0, le=2**20)
    networks: int = Field(gt=0, le=2**10)
    width: int = Field(gt=0, le=2**7)

    @model_validator(mode="after")
    def _fits_in_memory(self) -> Self:
        size = self.cells * self.vertices * (self.vertices + self.networks * self.width)
        if size > LARGEST:
            raise ValueError(f"found a Gaussian process of {size:,} numbers; expected at most {LARGEST:,}")
        return self

    @classmethod
    def of(cls, process: GaussianProcess) -> Self:
        """The sizes of a process."""
        return cls.model_validate(vars(process.config))

    def config(self) -> GaussianProcess.Config:
        """The Config with these fields."""
        return GaussianProcess.Config(**self.model_dump())


def with_prefix(processes: Sequence[GaussianProcess | None]) -> dict[str, Tensor]:
    """The tensors of the Gaussian processes of T attributes, by their names in a file."""
    return {
        f"{PREFIX}{t}.{name}": value
        for t, process in enumerate(processes)
        if process is not None
        for name, value in process.state_dict().items()
    }


def _distances(x_MF: Tensor, y_nF: Tensor) -> Tensor:
    """(M, n) squared."""
    products_Mn = x_MF @ y_nF.T
    return (x_MF.square().sum(1)[:, None] + y_nF.square().sum(1) - 2 * products_Mn).clamp(min=0)


def _kernel(distances: Iterable[Tensor], amplitude: Tensor, length_2G: Tensor) -> Tensor:
    """(M, n) from the distances (M, n) of each group."""
    total = apart = torch.zeros((), dtype=amplitude.dtype)
    for distance_Mn, a, alone, together in zip(distances, amplitude, *length_2G, strict=False):
        total = total + a * (distance_Mn * (-1 / alone)).exp()
        apart = apart + distance_Mn * (-1 / together)
    return total + amplitude[-1] * apart.exp()


def _shares(both_V2: NDArray[np.float64], target_V: NDArray[np.float64]) -> NDArray[np.float64]:
    """(2,) shares of the model and of the process; halves where neither helps.

    Large errors count linearly, not squared: otherwise a single failed training would decide.
    """
    from scipy.optimize import nnls  # half a second, which predicting does not need

    share = np.array([0.5, 0.5])
    for _ in range(ROUNDS):
        error_V = np.abs(target_V - both_V2 @ share)
        weight_V = (1 + (error_V / (np.median(error_V) or 1.0)) ** 2) ** -0.25
        share = nnls(both_V2 * weight_V[:, None], target_V * weight_V)[0]
    return np.asarray(share if share.any() else [0.5, 0.5])
