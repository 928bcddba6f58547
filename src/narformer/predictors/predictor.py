"""What answers a question about a network: architectures in, an array in the attributes' own units out."""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from narformer.network.graph import Architecture


class Predictor(Protocol):
    """Anything that predicts attributes of networks."""

    def predict(
        self, architectures: Sequence[Architecture], *, advance: Callable[[int], None] = ...
    ) -> NDArray[np.float64]:
        """(N, T) predictions, one column per attribute, in the attributes' own units.

        ``advance`` is told how many more are done, as they are.
        """
        ...
