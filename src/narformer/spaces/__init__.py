"""Families of architectures: draw, write, read, change and unroll an architecture."""

from narformer.errors import lookup
from narformer.spaces.darts import Darts
from narformer.spaces.graphs import Graphs
from narformer.spaces.nasbench101 import NasBench101
from narformer.spaces.nasbench201 import NasBench201
from narformer.spaces.ofa_mobilenetv3 import OfaMobileNetV3
from narformer.spaces.space import Space

__all__ = ["SPACES", "Graphs", "Space", "recognised", "space_called"]

SPACES: dict[str, Space] = {
    "nasbench101": NasBench101(),
    "nasbench201": NasBench201(),
    "darts": Darts(),
    "ofa-mobilenetv3": OfaMobileNetV3(),
}


def space_called(name: str, vocabulary: tuple[str, ...]) -> Space:
    """The space of SPACES, or the "graphs" over this vocabulary. Raises UnknownName."""
    graphs = Graphs(vocabulary)
    return graphs if name == graphs.name else lookup(SPACES, name, "space")


def recognised(text: str) -> tuple[str, ...]:
    """Names of the spaces, including "graphs", whose cells a text looks like; the text may still be invalid."""
    return tuple(space.name for space in (*SPACES.values(), Graphs(())) if space.recognises(text))
