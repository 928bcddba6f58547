"""The scale on which a model learns labels, and the way back to the label's unit."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from narformer.errors import BadRecipe

Transform = Literal["none", "log", "standard", "normal-scores"]
MOST_KNOTS = 256


@dataclass(frozen=True)
class Target:
    """A monotone map from labels to targets, fitted on training labels.

    none:          label x scale
    log:           logarithm of label x scale
    standard:      (label x scale - mean) / sd
    normal-scores: normal quantile of the label's rank, by linear interpolation between ``knots``
                   (label, score); beyond them the outermost slope goes on. Up to 256 distinct labels every
                   one is a knot; of more, at most 256 are: both ends and normal quantiles at even steps of
                   score between them, and the targets of all other labels are interpolated
    """

    transform: Transform = "none"
    scale: float = 1.0
    mean: float = 0.0
    sd: float = 1.0
    knots: tuple[tuple[float, float], ...] = ()

    @classmethod
    def fit(cls, labels: NDArray[np.float64], transform: Transform, scale: float) -> "Target":
        """The target of the training labels (n,).

        Raises BadRecipe for a scale that is not positive, or for logarithms of labels that are not positive.
        """
        if not 0 < scale < np.inf:
            raise BadRecipe(f"[target] scale: found {scale}; expected a positive number")
        if transform == "log" and labels.min() <= 0:
            raise BadRecipe(f"[target] transform 'log': found the label {labels.min():.4g}; expected positive ones")
        scaled = labels * scale
        if transform == "standard":
            return cls(transform, scale, float(scaled.mean()), float(scaled.std()) or 1.0)
        if transform == "normal-scores":
            distinct, counts = np.unique(scaled, return_counts=True)
            share = (np.cumsum(counts) - counts / 2) / counts.sum()
            from scipy.special import ndtri  # takes a third of a second, which predicting does not need

            scores = ndtri(share)
            if len(distinct) > MOST_KNOTS:  # evenly by score, not by rank: the tails keep their steps
                kept = np.unique(np.searchsorted(scores, np.linspace(scores[0], scores[-1], MOST_KNOTS)))
                distinct, scores = distinct[kept], scores[kept]
            return cls(transform, scale, knots=tuple(zip(distinct.tolist(), scores.tolist(), strict=True)))
        return cls(transform, scale)

    def forward(self, labels: NDArray[np.float64]) -> NDArray[np.float64]:
        """Labels to targets."""
        scaled = labels * self.scale
        if self.transform == "normal-scores":
            labels_knots, scores = np.array(self.knots).T
            return _interpolate(scaled, labels_knots, scores)
        if self.transform == "log":
            return np.asarray(np.log(scaled))
        return (scaled - self.mean) / self.sd

    def inverse(self, targets: NDArray[np.float64]) -> NDArray[np.float64]:
        """Targets to labels."""
        if self.transform == "normal-scores":
            scores, labels = np.array(self.knots).T[::-1]
            return _interpolate(targets, scores, labels) / self.scale
        if self.transform == "log":
            return np.asarray(np.exp(targets) / self.scale)
        return (targets * self.sd + self.mean) / self.scale

    @property
    def span(self) -> tuple[float, float]:
        """Bounds of intervals: the range of training labels, extended by its width; infinite except for normal scores.

        Beyond the outermost knot the slope of the last two labels continues, and may be arbitrary.
        """
        if self.transform != "normal-scores":
            return -np.inf, np.inf
        low, high = self.knots[0][0] / self.scale, self.knots[-1][0] / self.scale
        return low - (high - low), high + (high - low)


def _interpolate(x: NDArray[np.float64], xs: NDArray[np.float64], ys: NDArray[np.float64]) -> NDArray[np.float64]:
    """Piecewise linear through the knots, strictly increasing beyond them: order survives extrapolation."""
    if len(xs) < 2:
        return np.asarray(ys[0] + (x - xs[0]), dtype=np.float64)
    low = (ys[1] - ys[0]) / (xs[1] - xs[0]) * np.minimum(x - xs[0], 0)
    high = (ys[-1] - ys[-2]) / (xs[-1] - xs[-2]) * np.maximum(x - xs[-1], 0)
    return np.asarray(np.interp(x, xs, ys) + low + high, dtype=np.float64)
