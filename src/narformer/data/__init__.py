"""Sources of labelled networks: data sets, and their named splits."""

from narformer.data.dataset import Dataset, Example, PaperRows, Split
from narformer.data.folder import load
from narformer.data.splits import network_numbers, split

__all__ = ["Dataset", "Example", "PaperRows", "Split", "load", "network_numbers", "split"]
