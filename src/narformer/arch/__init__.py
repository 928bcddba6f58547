"""What a network is: operations and edges, whole spaces of cells as columns, its canonical form and its cost."""

from narformer.arch.canonical import canonical, fingerprint
from narformer.arch.cells import Cells
from narformer.arch.cost import Cost, cost
from narformer.arch.graph import Architecture, Op

__all__ = ["Architecture", "Cells", "Cost", "Op", "canonical", "cost", "fingerprint"]
