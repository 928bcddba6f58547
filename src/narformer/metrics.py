"""Metrics of predictions: arrays in, floats out.

Kendall's tau is tau-b, corrected for ties, O(n log n) (scipy), as in the tables of all papers here.
"""

import warnings

import numpy as np
from numpy.typing import ArrayLike


def kendall_tau(predicted: ArrayLike, true: ArrayLike) -> float:
    """Kendall's tau-b of two (n,) arrays; 0 with a warning if one of them is constant."""
    x, y = _pair(predicted, true)
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        warnings.warn("Kendall's tau of constant values is taken as 0", stacklevel=2)
        return 0.0
    from scipy import stats  # the import takes a second, and predicting does not need it

    return float(stats.kendalltau(x, y).statistic)


def spearman_rho(predicted: ArrayLike, true: ArrayLike) -> float:
    """Spearman's rank correlation of two (n,) arrays; 0 with a warning if one is constant."""
    x, y = _pair(predicted, true)
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        warnings.warn("Spearman's rho of constant values is taken as 0", stacklevel=2)
        return 0.0
    from scipy import stats

    return float(stats.spearmanr(x, y).statistic)


def mape(predicted: ArrayLike, true: ArrayLike) -> float:
    """Mean absolute percentage error, as a fraction of the true value."""
    x, y = _pair(predicted, true)
    return float(np.mean(np.abs(x - y) / np.abs(y)))


def accuracy_within(predicted: ArrayLike, true: ArrayLike, tolerance: float) -> float:
    """Share of predictions whose relative error is at most ``tolerance``; Acc(10 %) has tolerance 0.1."""
    x, y = _pair(predicted, true)
    return float(np.mean(np.abs(x - y) <= tolerance * np.abs(y)))


def mean_absolute_error(predicted: ArrayLike, true: ArrayLike) -> float:
    """Mean absolute error, in the unit of the values."""
    x, y = _pair(predicted, true)
    return float(np.mean(np.abs(x - y)))


def precision_at(predicted: ArrayLike, true: ArrayLike, share: float) -> float:
    """Share of the predicted best ``share`` that is among the true best ``share`` (larger values are better)."""
    x, y = _pair(predicted, true)
    k = max(1, round(share * len(x)))
    best_x = np.argsort(-x, kind="stable")[:k]
    best_y = np.argsort(-y, kind="stable")[:k]
    return len(np.intersect1d(best_x, best_y)) / k


def _pair(predicted: ArrayLike, true: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    x, y = np.asarray(predicted, dtype=np.float64), np.asarray(true, dtype=np.float64)
    if x.ndim != 1 or x.shape != y.shape or len(x) < 2:
        raise ValueError(f"found arrays of shapes {x.shape} and {y.shape}; expected two of the same length, at least 2")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError("predictions and labels must be finite; drop rows without a label first")
    return x, y
