"""What an exported file holds, from its tensors alone: the parameters that it lacks, and what is new in it."""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

import onnx
import torch
from onnx import TensorProto

FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE)
BYTES = (TensorProto.INT8, TensorProto.UINT8)  # of quantised weights
NORM = torch.nn.modules.batchnorm._BatchNorm
KIND = "pkg.torch.export.graph_signature.InputSpec.kind"
FOLDED = "pkg.onnxscript.optimizer.folded_from"
SHOWN = 6  # names
SHAPES = 10  # of new tensors, the largest sums first
Shapes = Mapping[str, tuple[int, ...]]


def file_facts(path: Path, module: torch.nn.Module, unused: set[str]) -> dict[str, Any]:
    """Numbers of values, after tensors of the file are matched with parameters by name, then by sizes in any order.

    Where the exporter states which tensors are parameters, and from which it computed others, sizes are not compared.
    Nodes Constant are matched with none, because exporters write parameters as initializers.

    lost:  parameters that the file lacks: of BatchNormalizations, unused, others
    added: tensors of two real values or more that the module lacks: shape -> values in each, and how many there are;
           ``copies`` of tied parameters apart
    buffers: real values of the module's buffers that the file has under their names
    """
    graph = onnx.load(path, load_external_data=False).graph
    stored = {tensor.name: tensor for tensor in graph.initializer}
    initializers = set(stored)
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            stored[node.output[0]] = node.attribute[0].t
    parameters = {name: tuple(tensor.shape) for name, tensor in module.named_parameters()}
    buffers = dict(module.named_buffers())
    lost = {name: shape for name, shape in parameters.items() if name not in stored}
    added = {
        name: tuple(tensor.dims)
        for name, tensor in stored.items()
        if name not in parameters
        and name not in buffers
        and tensor.data_type in FLOATS + BYTES
        and prod(tensor.dims) > 1
    }
    sources = _sources(graph)
    known = {name: added.pop(name) for name in list(added) if name in sources or name not in initializers}
    for name, shape in list(known.items()):
        named = [source for source in sources.get(name, ()) if source in lost]
        if len(named) == 1 and prod(lost[named[0]]) == prod(shape):
            del lost[named[0]], known[name]
    if not any(entry.key == KIND for value in graph.value_info for entry in value.metadata_props):
        _match(lost, added)
    added |= known
    added = {name: shape for name, shape in added.items() if stored[name].data_type in FLOATS}
    norms = {
        f"{name}.{own}" for name, part in module.named_modules() if isinstance(part, NORM) for own in part._parameters
    }
    twice = Counter(id(tensor) for _, tensor in module.named_parameters(remove_duplicate=False))
    tied = {name: tuple(x.shape) for name, x in module.named_parameters() if twice[id(x)] > 1 and name not in lost}
    copies = dict(added)
    _match(tied, copies)
    others = {name: shape for name, shape in lost.items() if name not in norms | unused}
    shapes = Counter("x".join(map(str, shape)) for shape in copies.values())
    each = {"x".join(map(str, shape)): prod(shape) for shape in copies.values()}
    largest = sorted(shapes, key=lambda shape: -each[shape] * shapes[shape])[:SHAPES]
    return {
        "lost": {"norms": _values(lost, norms - unused), "unused": _values(lost, unused), "others": _values(others)},
        "lost_names": [f"{name} {list(shape)}" for name, shape in others.items()][:SHOWN],
        "buffers": sum(
            prod(stored[name].dims) for name in buffers if name in stored and stored[name].data_type in FLOATS
        ),
        "copies": _values(added) - _values(copies),
        "added": {shape: [each[shape], shapes[shape]] for shape in largest},
    }


def _sources(graph: onnx.GraphProto) -> dict[str, list[str]]:
    """Name of a value that the exporter computed -> names of the values from which it did."""
    found = {}
    for value in graph.value_info:
        for entry in value.metadata_props:
            if entry.key == FOLDED:
                found[value.name] = re.findall(r"'([^']*)'", entry.value)
    return found


def _match(lost: dict[str, tuple[int, ...]], added: dict[str, tuple[int, ...]]) -> None:
    """Take out of both what has the same sizes, whatever their order: exporters turn matrices and rename them."""
    turned: defaultdict[tuple[int, ...], list[str]] = defaultdict(list)
    for name, shape in lost.items():
        turned[_plain(shape)].append(name)
    for name, shape in list(added.items()):
        if turned[_plain(shape)]:
            del lost[turned[_plain(shape)].pop()], added[name]


def _plain(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sorted(size for size in shape if size != 1))


def _values(shapes: Shapes, among: set[str] | None = None) -> int:
    return sum(prod(shape) for name, shape in shapes.items() if among is None or name in among)
