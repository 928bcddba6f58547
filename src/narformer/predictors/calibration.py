"""Errors of predictions: intervals with a stated coverage, and the probability that one network beats another.

Split conformal prediction (Vovk et al. 2005): the error of networks that were not trained on bounds the error of new
ones of the same kind, whatever its distribution. Errors are in units of the members' spread, so that a network on
which they disagree gets a wider interval (Lei et al. 2018, Sec. 5.2). All in the units of targets.

Letters: V validation networks, N networks, E members, P pairs of validation networks.
"""

from dataclasses import dataclass, replace
from math import ceil
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
PRIOR = 0.5  # deviation of the logarithm of the sharpness, about 0
# scipy is imported where it is needed: it takes half a second, and most predictions do without it.
PAIRS = 40_000  # for the search of the sharpness


@dataclass(frozen=True)
class Calibration:
    """Errors estimated from validation networks.

    level:     share of true values that intervals contain
    floor:     added to the members' spread; 1 where there is one member, whose spread is 0
    factor:    half-width of an interval, in units of spread plus floor
    sharpness: factor on the difference of two networks, relative to independent errors
    """

    level: float
    floor: float
    factor: float
    sharpness: float = 1.0

    @classmethod
    def fit(cls, opinion_VE: Float, target_V: Float, level: float = 0.9) -> "Calibration | None":
        """From opinions on networks that were not trained on; None where there are too few for the level."""
        rank = ceil((len(target_V) + 1) * level)
        if rank > len(target_V):
            return None
        floor = float(np.median(opinion_VE.std(axis=1))) or 1.0
        error_V = np.abs(target_V - opinion_VE.mean(axis=1)) / (opinion_VE.std(axis=1) + floor)
        one = cls(level, floor, float(np.sort(error_V)[rank - 1]))
        return replace(one, sharpness=one._sharpest(opinion_VE, target_V))

    def reach(self, opinion_NE: Float) -> Float:
        """(N,) half-width of each interval."""
        return np.asarray(self.factor * (opinion_NE.std(axis=1) + self.floor))

    def beats(self, opinion_NE: Float, other_NE: Float) -> Float:
        """(N,) probability that the true value of each network is larger than that of the other one.

        Errors are taken as normal. Similar networks have similar errors, so that their difference is more certain than
        with independent errors. The sharpness, fitted to pairs of validation networks, accounts for this.
        """
        from scipy.special import ndtr

        return np.asarray(ndtr(self.sharpness * self._apart(opinion_NE, other_NE)))

    def _apart(self, opinion_NE: Float, other_NE: Float) -> Float:
        """(N,) differences, in standard deviations of independent errors."""
        sd_N = np.hypot(self.reach(opinion_NE), self.reach(other_NE)) / NormalDist().inv_cdf((1 + self.level) / 2)
        return np.asarray((opinion_NE.mean(axis=1) - other_NE.mean(axis=1)) / np.maximum(sd_N, 1e-12))

    def _sharpest(self, opinion_VE: Float, target_V: Float) -> float:
        """The sharpness of largest likelihood; V networks count as V independent pairs."""
        from scipy.optimize import minimize_scalar
        from scipy.special import log_ndtr

        first_P, second_P = _pairs(len(target_V))
        won_P = np.sign(target_V[first_P] - target_V[second_P])
        right_P = (self._apart(opinion_VE[first_P], opinion_VE[second_P]) * won_P)[won_P != 0]
        if not len(right_P):
            return 1.0

        def unlikely(log: float) -> float:
            return float(-len(target_V) * log_ndtr(np.exp(log) * right_P).mean() + (log / PRIOR) ** 2 / 2)

        return float(np.exp(minimize_scalar(unlikely, bounds=(-3, 3), method="bounded").x))


def _pairs(count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Every pair of this number of networks, or each with the next ones where all would exceed PAIRS."""
    farthest = max(1, min(count // 2, PAIRS // count))
    first_P = np.tile(np.arange(count), farthest)
    return first_P, (first_P + np.repeat(np.arange(1, farthest + 1), count)) % count
