"""Where labelled networks come from: attributes with units, data sets, and their named splits."""

from narformer.data.dataset import Attribute, Dataset, Example, Split
from narformer.data.folder import load
from narformer.data.splits import network_numbers, split

__all__ = ["Attribute", "Dataset", "Example", "Split", "load", "network_numbers", "split"]
