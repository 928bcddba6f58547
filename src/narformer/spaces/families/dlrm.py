"""DLRM (Naumov et al. 2019), a recommender that joins its vectors side by side: 13 numbers and 26 categories.

Its dense layers are those for Criteo's clicks; every table has 20,000 rows, as categories are hashed. A variant has
other tables and layers, one or several categories of each kind, and 1 to 256 clicks.
"""

from narformer.spaces.families.family import VariedFamily
from narformer.spaces.families.variation import VariedDrawing

NUMBERS, TABLES = 13, 26
BOTTOM, TOP = (512, 256, 64), (512, 256)


def draw(net: VariedDrawing, version: str) -> None:
    """8,829,265 parameters."""
    clicks, size = net.choose(1, (1, 4, 16, 64, 128, 256)), net.choose(16, (8, 16, 32, 64))
    tables, several = net.choose(TABLES, range(4, 41)), net.choose(1, (1, 1, 1, 4))
    x = net.input(clicks, NUMBERS)
    for width in BOTTOM:
        x = net.relu(net.dense(x, net.width(width)))
    parts = [net.relu(net.dense(x, size))]
    for _ in range(tables):
        chosen = net.input(clicks, several) if several > 1 else net.input(clicks)
        row = net.embedding(chosen, net.choose(20_000, (1_000, 5_000, 20_000, 50_000)), size)
        row = net.op("ReduceSum", (clicks, 1, size), row, axes=(1,), keepdims=1) if several > 1 else row
        parts.append(net.reshape(row, clicks, size))
    x = net.concat(*parts)
    for width in TOP:
        x = net.relu(net.dense(x, net.width(width)))
    net.same("Sigmoid", net.dense(x, 1))


FAMILY = VariedFamily("dlrm", draw)
