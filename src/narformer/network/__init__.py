"""Networks: operations and edges, the canonical form and the fingerprint, and the cost."""

from narformer.network.canonical import canonical, fingerprint
from narformer.network.cost import Cost, cost
from narformer.network.graph import Architecture, Op

__all__ = ["Architecture", "Cost", "Op", "canonical", "cost", "fingerprint"]
