"""How far predictions are off: intervals that hold the truth as often as they say, and who beats whom.

Split conformal prediction (Vovk et al. 2005): the error of networks that were not trained on bounds the error of new
ones of the same kind, whatever its distribution. Errors are taken in units of the members' spread, so that a network
they disagree about gets a wider interval (Lei et al. 2018, Sec. 5.2). All in the units of targets.

Letters: V validation networks, N networks, E members.
"""

from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri  # scipy.stats has the same under other names, and takes a second to import

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Calibration:
    """What validation networks told about errors.

    level:  share of true values that an interval holds
    floor:  added to the members' spread; 1 where there is one member, whose spread is 0
    factor: so many of these units make half an interval
    """

    level: float
    floor: float
    factor: float

    @classmethod
    def fit(cls, opinion_VE: Float, target_V: Float, level: float = 0.9) -> "Calibration | None":
        """From opinions on networks that were not trained on; None where they are too few for the level."""
        rank = ceil((len(target_V) + 1) * level)
        if rank > len(target_V):
            return None
        floor = float(np.median(opinion_VE.std(axis=1))) or 1.0
        error_V = np.abs(target_V - opinion_VE.mean(axis=1)) / (opinion_VE.std(axis=1) + floor)
        return cls(level, floor, float(np.sort(error_V)[rank - 1]))

    def reach(self, opinion_NE: Float) -> Float:
        """(N,) half of each interval."""
        return np.asarray(self.factor * (opinion_NE.std(axis=1) + self.floor))

    def beats(self, opinion_NE: Float, other_NE: Float) -> Float:
        """(N,) probability that the true value of each network is larger than that of the other one.

        Errors are taken as normal and independent: of two networks alike it says less than is known.
        """
        deviations = ndtri((1 + self.level) / 2)
        apart_N = opinion_NE.mean(axis=1) - other_NE.mean(axis=1)
        sd_N = np.hypot(self.reach(opinion_NE), self.reach(other_NE)) / deviations
        return np.asarray(ndtr(apart_N / np.maximum(sd_N, 1e-12)))
