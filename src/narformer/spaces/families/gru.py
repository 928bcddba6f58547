"""GRU (Cho et al. 2014) in the place of the LSTM in the language model of Zaremba et al. 2014, and in the tagger."""

from narformer.spaces.families.family import VariedFamily
from narformer.spaces.families.lstm import VERSIONS, recurrent
from narformer.spaces.families.variation import VariedDrawing


def draw(net: VariedDrawing, version: str) -> None:
    """With the sizes of the medium language model it has 18,087,800 parameters. It varies as the LSTM does."""
    recurrent(net, version, "GRU")


FAMILY = VariedFamily("gru", draw, VERSIONS)
