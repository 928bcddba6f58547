"""What an exported file holds, from its tensors alone: which parameters of the module it has, and what is new in it."""

from collections import Counter, defaultdict
from math import prod
from pathlib import Path
from typing import Any

import onnx
import torch
from onnx import TensorProto

FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE)
SHOWN = 8


def file_facts(path: Path, module: torch.nn.Module) -> dict[str, Any]:
    """Sums over the tensors of the file, matched with those of the module by name, then by their sizes in any order.

    gone: parameters that the file lacks; new: float tensors of two values or more that the module lacks.
    """
    graph = onnx.load(path, load_external_data=False).graph
    stored = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        for attribute in node.attribute:
            if node.op_type == "Constant" and attribute.name == "value":
                stored[node.output[0]] = attribute.t
    parameters = dict(module.named_parameters())
    buffers = dict(module.named_buffers())
    gone = {name: tuple(tensor.shape) for name, tensor in parameters.items() if name not in stored}
    new = {
        name: tuple(tensor.dims)
        for name, tensor in stored.items()
        if name not in parameters and name not in buffers and tensor.data_type in FLOATS and prod(tensor.dims) > 1
    }
    turned: defaultdict[tuple[int, ...], list[str]] = defaultdict(list)
    for name, shape in gone.items():
        turned[_plain(shape)].append(name)
    for name, shape in list(new.items()):
        if turned[_plain(shape)]:
            del gone[turned[_plain(shape)].pop()], new[name]
    kinds = Counter(f"{node.domain}.{node.op_type}".removeprefix(".") for node in graph.node)
    return {
        "operations": dict(sorted(kinds.items())),
        "gone": sum(map(prod, gone.values())),
        "gone_names": [f"{name} {list(shape)}" for name, shape in list(gone.items())[:SHOWN]],
        "new": sum(map(prod, new.values())),
        "new_names": [f"{name} {list(shape)}" for name, shape in list(new.items())[:SHOWN]],
    }


def _plain(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sorted(size for size in shape if size != 1))
