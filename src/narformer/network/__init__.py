"""What a network is: operations and edges, its canonical form and fingerprint, and its cost."""

from narformer.network.canonical import canonical, fingerprint
from narformer.network.cost import Cost, cost
from narformer.network.graph import Architecture, Op

__all__ = ["Architecture", "Cost", "Op", "canonical", "cost", "fingerprint"]
