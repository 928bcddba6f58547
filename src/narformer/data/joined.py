"""Two data sets of the same cells as one: accuracies of one beside latencies of the other.

Letters: M cells, N vertices.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from narformer.cells.columns import PADDING, Cells
from narformer.data.dataset import Dataset
from narformer.errors import BadRecipe

__all__ = ["joined"]


def joined(first: Dataset, second: Dataset) -> Dataset:
    """The cells of both, each once, with the labels of both; NaN where a set does not hold a cell.

    Cells of the first set come first, in its order. Cells are the same where their operations and edges are equal,
    vertex by vertex. Splits and default labels are those of the first set.
    Raises BadRecipe where the sets are not cells over the same operations, or both have a label of the same name.
    """
    one, other = first.architectures, second.architectures
    name = f"{first.name}+{second.name}"
    if not (isinstance(one, Cells) and isinstance(other, Cells) and one.vocabulary == other.vocabulary):
        raise BadRecipe(f"'{name}': found sets over different operations; expected cells of one space in both")
    twice = first.labels.keys() & second.labels.keys()
    if twice:
        raise BadRecipe(f"'{name}': found the label '{min(twice)}' in both sets; expected it in one of them")
    size = max(one.kind_MN.shape[1], other.kind_MN.shape[1])
    keys = _keys(one, size), _keys(other, size)
    place = {key: row for row, key in reversed(list(enumerate(keys[1])))}
    found_M = np.array([place.get(key, -1) for key in keys[0]])
    known = set(keys[0])
    more = np.array([row for row, key in enumerate(keys[1]) if key not in known], dtype=np.int64)
    parts = [_padded(one, size), _padded(other.take(more), size)]
    cells = Cells(one.vocabulary, *(np.concatenate(columns) for columns in zip(*parts, strict=True)))
    labels = {label: np.append(column, np.full(len(more), np.nan)) for label, column in first.labels.items()}
    for label, column in second.labels.items():
        own_M = np.where(found_M >= 0, column[found_M], np.nan)
        labels[label] = np.append(own_M, column[more])
    attributes = {**first.attributes, **second.attributes}
    return replace(first, name=name, architectures=cells, labels=labels, attributes=attributes)


def _padded(cells: Cells, size: int) -> tuple[NDArray[np.int8], NDArray[np.uint8]]:
    """Columns of ``size`` vertices."""
    more = size - cells.kind_MN.shape[1]
    kind_MN = np.pad(cells.kind_MN, ((0, 0), (0, more)), constant_values=PADDING)
    return kind_MN, np.pad(cells.adj_MNN, ((0, 0), (0, more), (0, more)))


def _keys(cells: Cells, size: int) -> list[bytes]:
    """A key of each cell: its operations and edges."""
    kind_MN, adj_MNN = _padded(cells, size)
    return [kind_N.tobytes() + adj_NN.tobytes() for kind_N, adj_NN in zip(kind_MN, adj_MNN, strict=True)]
