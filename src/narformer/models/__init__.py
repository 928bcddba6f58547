"""One published architecture = one file; a model knows Batch and no data set by name."""

from narformer.models.narformer import NarFormer
from narformer.models.narformer_v2 import NarFormerV2
from narformer.models.precision import Model
from narformer.models.relational import Relational
from narformer.models.tnasp import Tnasp

MODELS: dict[str, type[Model]] = {
    "narformer": NarFormer,
    "narformer-v2": NarFormerV2,
    "relational": Relational,
    "tnasp": Tnasp,
}

__all__ = ["MODELS", "Model", "NarFormer", "NarFormerV2", "Relational", "Tnasp"]
