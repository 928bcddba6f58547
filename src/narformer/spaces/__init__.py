"""Families of architectures: how to draw one, write it down, read it back, change it and unroll it."""

from narformer.spaces.darts import Darts
from narformer.spaces.nasbench101 import NasBench101
from narformer.spaces.nasbench201 import NasBench201
from narformer.spaces.space import Space

__all__ = ["SPACES", "Space"]

SPACES: dict[str, Space] = {
    "nasbench101": NasBench101(),
    "nasbench201": NasBench201(),
    "darts": Darts(),
}
