"""One file for each published architecture; a model reads Batch or Packed, and does not depend on any data set."""

from narformer.models.brp_nas import BrpNas
from narformer.models.kernel_sum import KernelSum
from narformer.models.narformer import NarFormer
from narformer.models.narformer_v2 import NarFormerV2
from narformer.models.nnlp import Nnlp
from narformer.models.precision import Model
from narformer.models.relational import Relational
from narformer.models.tnasp import Tnasp
from narformer.models.tpu_cost import TpuCost

MODELS: dict[str, type[Model]] = {
    "brp-nas": BrpNas,
    "kernel-sum": KernelSum,
    "narformer": NarFormer,
    "narformer-v2": NarFormerV2,
    "nnlp": Nnlp,
    "relational": Relational,
    "tnasp": Tnasp,
    "tpu-cost": TpuCost,
}

__all__ = [
    "MODELS",
    "BrpNas",
    "KernelSum",
    "Model",
    "NarFormer",
    "NarFormerV2",
    "Nnlp",
    "Relational",
    "Tnasp",
    "TpuCost",
]
