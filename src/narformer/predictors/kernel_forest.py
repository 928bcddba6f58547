"""nn-Meter (Zhang et al., MobiSys 2021) without its measurements: a random forest for each kind of kernel, then a sum.

ŷ = Σ_k exp f_kind(k)(x_k)      f a forest on logarithms of milliseconds, x_k nn-Meter's features of kernel k

nn-Meter measures kernels one by one. Here the time of a kernel is attributed from times of whole networks.
Non-negative least squares explain the labels by 1, FLOPs and bytes of the kernels of each kind,

  min_{o,p,w >= 0} Σ_n ((Σ_{k in n} t_k) / y_n - 1)²      t_k = o_kind + p_kind flops_k + w_kind bytes_k,

a roofline with a sum in place of the maximum, by relative errors since latencies span magnitudes. Then the t_k of each
training network are scaled so that they add up to its label, and forests learn those. It is thus a weaker
nn-Meter than that of the paper: kernels that always come together, such as a last pool and a classifier, cannot be
separated by labels of whole networks, and the time of both may be attributed to either.

Sizes are on the logarithmic scale of tokens/kernels.py: a tree splits by order, which logarithms keep. Forests average
logarithms, that is, they give the geometric mean of times. Beyond the largest kernels of training they stay constant.

Letters: N networks, K kernels of all of them, F features, P = parts of the roofline times kinds.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from narformer.errors import BadRecipe, needs
from narformer.network.graph import Architecture
from narformer.predictors.forest import Forest
from narformer.predictors.linear import positive_labels
from narformer.tokens import Packed
from narformer.tokens.kernels import DEPTHWISE, FEATURES, KINDS, POINTWISE, KernelTokenizer

__all__ = ["KernelForest", "KernelTable"]

CHUNK = 64  # networks after which progress is reported
FEW = 20  # a kind with fewer training kernels has no forest of its own
STRANGERS = 1000  # kernels of other kinds for the shared forest where there are few rare ones
LEAST = 1e-3  # share of a network's mean kernel, for kernels without any time: a logarithm needs a positive number
TREES, DEPTH, CHOICES = 320, 70, 6  # nn-Meter's forests for the CPU; a leaf may hold a single kernel

SHARED = "shared"
_WINDOW = ("positions in", "channels in", "channels out", "window", "stride")
_WEIGHTED = ("flops", "bytes of weights")
REST = ("positions in", "channels in")
# nn-Meter's features by kind. For a Concat it has the channels of four operands; here those of the first and of all.
COLUMNS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("Conv", "ConvTranspose", DEPTHWISE), (*_WINDOW, *_WEIGHTED)),
    **dict.fromkeys(("Gemm", "MatMul"), ("channels in", "channels out", *_WEIGHTED)),
    **dict.fromkeys(("MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool"), _WINDOW),
    "Concat": ("positions in", "operands", "channels in", "channels out"),
    SHARED: (*_WINDOW, *_WEIGHTED, "operands"),
}
_BYTES = ("bytes in", "bytes out", "bytes of weights")


@dataclass(frozen=True, eq=False)
class KernelTable:
    """Kernels of N networks, one after the other.

    kind_K:  names of KINDS; nn-Meter treats a convolution of one position like any other
    x_KF:    FEATURES
    owner_K: the network of each, ascending
    count:   N
    """

    kind_K: NDArray[np.str_]
    x_KF: NDArray[np.float64]
    owner_K: NDArray[np.int64]
    count: int

    @classmethod
    def of(cls, batch: Packed) -> "KernelTable":
        """The kernels of a KernelTokenizer's batch."""
        kind_K, x_KF = np.array(KINDS)[batch.kind_N.numpy()], batch.x_NF.double().numpy()
        return cls(np.where(kind_K == POINTWISE, "Conv", kind_K), x_KF, batch.owner_N.numpy(), len(batch))

    def features(self, columns: Sequence[str], rows: NDArray[np.intp]) -> NDArray[np.float64]:
        """The named columns of some kernels."""
        return self.x_KF[rows][:, [FEATURES.index(column) for column in columns]]

    def summed(self, time_K: NDArray[np.float64]) -> NDArray[np.float64]:
        """(N,) sums over the kernels of each network."""
        return np.asarray(np.bincount(self.owner_K, time_K, minlength=self.count), dtype=np.float64)

    def attributed(self, latency_N: NDArray[np.float64]) -> NDArray[np.float64]:
        """(K,) milliseconds of each kernel; those of a network add up to its latency.

        Raises BadRecipe for a network without a kernel.
        """
        from scipy.optimize import nnls  # half a second, which predicting does not need

        size_N = np.bincount(self.owner_K, minlength=self.count)
        if not size_N.all():
            raise BadRecipe(f"network {size_N.argmin()}: found no kernel; expected at least one")
        kinds, kind_K = np.unique(self.kind_K, return_inverse=True)
        parts = self._parts()
        cell_K, cells = self.owner_K * len(kinds) + kind_K, self.count * len(kinds)
        sums = [np.bincount(cell_K, part_K, minlength=cells).reshape(self.count, -1) for part_K in parts]
        share_NP = np.concatenate(sums, axis=1) / latency_N[:, None]
        largest_P = share_NP.max(axis=0)  # columns between 0 and 1: FLOPs and counts lie ten magnitudes apart
        scale_P = np.where(largest_P > 0, largest_P, 1)
        rate_P = nnls(share_NP / scale_P, np.ones(self.count))[0] / scale_P
        rates = rate_P.reshape(len(parts), -1)[:, kind_K]
        time_K = np.maximum((rates * parts).sum(axis=0), LEAST * (latency_N / size_N)[self.owner_K])
        return np.asarray(time_K * (latency_N / self.summed(time_K))[self.owner_K])

    def _parts(self) -> NDArray[np.float64]:
        """(3, K) terms of the time of a kernel: 1, its FLOPs, its bytes."""
        amount_KF = np.expm1(self.x_KF[:, [FEATURES.index(name) for name in ("flops", *_BYTES)]])
        return np.stack([np.ones(len(amount_KF)), amount_KF[:, 0], amount_KF[:, 1:].sum(axis=1)])


@dataclass(frozen=True, eq=False)
class KernelForest:
    """predict(architectures) -> (N, 1) milliseconds.

    forests: by kind of kernel; SHARED is for kinds that were rare in training or absent
    """

    forests: dict[str, Forest]

    @classmethod
    def fit(
        cls, architectures: Sequence[Architecture], latency_N: NDArray[np.float64], seed: int, trees: int = TREES
    ) -> "KernelForest":
        """From the latencies (N,) of training networks, in milliseconds.

        Every tree holds about 0.1 kB for each training kernel: with several thousand networks, choose fewer
        ``trees``. Raises MissingExtra without scikit-learn, BadRecipe for labels that are not positive or for a
        network without a kernel.
        """
        ensemble = needs("sklearn.ensemble", "baselines")
        latency_N = positive_labels(architectures, latency_N)
        table = KernelTable.of(KernelTokenizer().batch(architectures))
        log_K = np.log(table.attributed(latency_N))
        kinds, kind_K, count_C = np.unique(table.kind_K, return_inverse=True, return_counts=True)
        rows = {str(kind): np.flatnonzero(kind_K == c) for c, kind in enumerate(kinds) if count_C[c] >= FEW}
        rows[SHARED] = np.flatnonzero(count_C[kind_K] < FEW)
        if len(rows[SHARED]) < FEW:  # too few for kinds that were never seen
            others = np.setdiff1d(np.arange(len(kind_K)), rows[SHARED])
            drawn = np.random.default_rng(seed).permutation(others)[:STRANGERS]
            rows[SHARED] = np.sort(np.concatenate([rows[SHARED], drawn]))
        forests: dict[str, Forest] = {}
        for kind, row_k in rows.items():
            x_kF = table.features(COLUMNS.get(kind, REST), row_k)
            choices = min(CHOICES, x_kF.shape[1])
            forest = ensemble.RandomForestRegressor(trees, max_depth=DEPTH, max_features=choices, random_state=seed)
            forests[kind] = Forest.of(forest.fit(x_kF, log_K[row_k]))
        return cls(forests)

    def predict(
        self, architectures: Sequence[Architecture], *, advance: Callable[[int], None] = lambda done: None
    ) -> NDArray[np.float64]:
        """(N, 1) milliseconds, 0 for a network without a kernel; ``advance`` gets the size of each chunk."""
        parts = [np.empty(0)]
        for start in range(0, len(architectures), CHUNK):
            table = KernelTable.of(KernelTokenizer().batch(architectures[start : start + CHUNK]))
            parts.append(table.summed(self._times(table)))
            advance(table.count)
        return np.concatenate(parts)[:, None]

    def kernels(self, architecture: Architecture) -> NDArray[np.float64]:
        """(K,) milliseconds of each kernel, in the order of ``network.kernels.kernels``."""
        return self._times(KernelTable.of(KernelTokenizer().network(architecture)))

    def _times(self, table: KernelTable) -> NDArray[np.float64]:
        """(K,) milliseconds."""
        time_K = np.empty(len(table.kind_K))
        own_K = np.where(np.isin(table.kind_K, list(self.forests)), table.kind_K, SHARED)
        for kind in map(str, np.unique(own_K)):
            row_k = np.flatnonzero(own_K == kind)
            x_kF = table.features(COLUMNS.get(kind, REST), row_k)
            time_K[row_k] = np.exp(self.forests[kind].predict(x_kF))
        return time_K
