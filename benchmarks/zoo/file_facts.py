"""What an exported file holds, from its tensors alone: the parameters that it lacks, and what is new in it, by size."""

from collections import Counter
from math import prod
from pathlib import Path
from typing import Any

import onnx
import torch
from onnx import TensorProto

FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE)
BYTES = (TensorProto.INT8, TensorProto.UINT8)  # of quantised weights
NORM = torch.nn.modules.batchnorm._BatchNorm
SHOWN = 6  # names


def file_facts(path: Path, module: torch.nn.Module, unused: set[str]) -> dict[str, Any]:
    """Sizes of tensors and how many of each size there are.

    norms, unused, others: parameters whose names the file lacks; of BatchNormalization, without effect, and the rest
    names:  of some of the rest
    new:    tensors of the file that are called like no parameter and no buffer
    tied:   names of the file under which a parameter stands once more
    buffers: buffers of the module that the file has
    """
    graph = onnx.load(path, load_external_data=False).graph
    stored = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            stored[node.output[0]] = node.attribute[0].t
    sizes = {name: prod(tensor.dims) for name, tensor in stored.items() if tensor.data_type in FLOATS + BYTES}
    once = {name: tensor.numel() for name, tensor in module.named_parameters()}
    every = {name: tensor.numel() for name, tensor in module.named_parameters(remove_duplicate=False)}
    buffers = dict(module.named_buffers())
    norms = {
        f"{name}.{own}" for name, part in module.named_modules() if isinstance(part, NORM) for own in part._parameters
    }
    lost = {name: size for name, size in once.items() if name not in stored}
    others = [name for name in lost if name not in norms | unused]
    return {
        "norms": _counted(size for name, size in lost.items() if name in norms - unused),
        "unused": _counted(size for name, size in lost.items() if name in unused),
        "others": _counted(lost[name] for name in others),
        "names": others[:SHOWN],
        "new": _counted(size for name, size in sizes.items() if name not in every and name not in buffers),
        "tied": _counted(size for name, size in sizes.items() if name in every and name not in once),
        "buffers": _counted(size for name, size in sizes.items() if name in buffers),
    }


def _counted(sizes: Any) -> dict[int, int]:
    return dict(Counter(sizes))
