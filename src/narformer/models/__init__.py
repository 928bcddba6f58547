"""One published architecture = one file; a model knows Batch and no data set by name."""

from torch import nn

from narformer.models.narformer import NarFormer
from narformer.models.narformer_v2 import NarFormerV2
from narformer.models.tnasp import Tnasp

MODELS: dict[str, type[nn.Module]] = {
    "narformer": NarFormer,
    "narformer-v2": NarFormerV2,
    "tnasp": Tnasp,
}

__all__ = ["MODELS", "NarFormer", "NarFormerV2", "Tnasp"]
