"""How much ONNX Runtime adds when it pads the channels of convolutions to the blocks of its layout.

A convolution of the file with blocks is called after the value that its original writes, with an ending. Its additional
work follows from the sizes of both weights alone.
"""

from collections.abc import Mapping
from math import prod
from pathlib import Path

import numpy as np
import onnx

from narformer.network.cost import cost
from narformer.network.source_network import SourceNetwork

BLOCKED, ENDING = "com.microsoft.nchwc", "_nchwc"


def padding(plain: SourceNetwork, plain_file: Path, blocked_file: Path) -> dict[str, int]:
    """Multiply-adds and stored values that the file with blocks has beyond the plain file, which was read before."""
    macs: dict[str, float] = {}
    for name, count in zip(plain.names, np.nan_to_num(cost(plain.architecture).macs_N), strict=True):
        macs[name] = macs.get(name, 0) + count
    before = {node.output[0]: node for node in _graph(plain_file).node}
    stored = _sizes(plain_file)
    blocked = _sizes(blocked_file)
    more = {"macs": 0, "values": 0}
    for node in _graph(blocked_file).node:
        source = before.get(node.name.removesuffix(ENDING))
        if node.domain != BLOCKED or node.op_type != "Conv" or source is None:
            continue
        sizes = [(stored.get(a, 0), blocked.get(b, 0)) for a, b in zip(source.input, node.input, strict=False)]
        weight, padded = sizes[1]
        if weight and padded:
            work = round(macs[source.name])
            more["macs"] += work * padded // weight - work
            more["values"] += sum(b - a for a, b in sizes[1:3] if a and b)
    return more


def _graph(path: Path) -> onnx.GraphProto:
    return onnx.load(path, load_external_data=False).graph


def _sizes(path: Path) -> Mapping[str, int]:
    return {tensor.name: prod(tensor.dims) for tensor in _graph(path).initializer}
