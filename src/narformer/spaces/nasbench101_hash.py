"""The benchmark's MD5 module hash, which is equal for isomorphic NAS-Bench-101 cells.

It refines the colour of every vertex by the colours of its neighbours, as often as there are vertices, after
google-research/nasbench. ``cells.graph_keys`` is faster, and for any cells. Letters: M cells, N vertices.
"""

from collections.abc import Iterable
from hashlib import md5

import numpy as np

from narformer.cells.columns import PADDING, Cells

# The number of each operation in the official hash.
OFFICIAL_LABELS = {"input": -1, "output": -2, "conv3x3-bn-relu": 0, "conv1x1-bn-relu": 1, "maxpool3x3": 2}


def module_hash(cells: Cells) -> list[str]:
    """The official hash of each of M cells: 32 hexadecimal digits, equal for isomorphic cells."""
    labels = [OFFICIAL_LABELS[name] for name in cells.vocabulary]
    ins, outs = (
        [[np.flatnonzero(row).tolist() for row in cell] for cell in adj_MNN.astype(bool)]
        for adj_MNN in (cells.adj_MNN.swapaxes(1, 2), cells.adj_MNN)
    )
    return [
        _hash([labels[k] for k in kinds if k != PADDING], parents, children)
        for kinds, parents, children in zip(cells.kind_MN.tolist(), ins, outs, strict=True)
    ]


def _hash(labels: list[int], parents: list[list[int]], children: list[list[int]]) -> str:
    count = len(labels)
    colours = [_md5(str((len(children[v]), len(parents[v]), labels[v]))) for v in range(count)]
    for _ in range(count):
        colours = [
            _md5(f"{_joined(colours, parents[v])}|{_joined(colours, children[v])}|{colours[v]}") for v in range(count)
        ]
    return _md5(str(sorted(colours)))


def _joined(colours: list[str], vertices: Iterable[int]) -> str:
    return "".join(sorted([colours[v] for v in vertices]))


def _md5(text: str) -> str:
    return md5(text.encode(), usedforsecurity=False).hexdigest()
