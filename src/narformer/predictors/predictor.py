"""What answers a question about a network: architectures in, an array in the attributes' own units out."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from narformer.arch.graph import Architecture


class Predictor(Protocol):
    """Anything that predicts attributes of networks."""

    def predict(self, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        """(N, T) predictions, one column per attribute, in the attributes' own units."""
        ...
