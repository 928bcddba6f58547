"""Many small architectures as columns: whole spaces of cells, and features of their structure."""

from narformer.cells.columns import Cells

__all__ = ["Cells"]
