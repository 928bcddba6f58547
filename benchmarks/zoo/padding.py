"""How much ONNX Runtime adds when it pads the channels of convolutions to the blocks of its layout.

A convolution of the file with blocks is called after the value that its original writes, with an ending. Its additional
work follows from the sizes of both weights alone. BatchNormalization becomes a convolution in this layout, too.
"""

from collections.abc import Mapping
from math import prod
from pathlib import Path

import numpy as np
import onnx

from narformer.network.cost import cost
from narformer.network.source_network import SourceNetwork

BLOCKED, ENDING = "com.microsoft.nchwc", "_nchwc"


def padding(plain: SourceNetwork, blocked: SourceNetwork, plain_file: Path, blocked_file: Path) -> dict[str, int]:
    """Multiply-adds and stored values that the file with blocks has beyond the plain file, both as they were read.

    macs, values: by padding; norms: multiply-adds of convolutions that were BatchNormalization
    """
    of_plain, of_blocked = _macs(plain), _macs(blocked)
    before = {node.output[0]: node for node in _graph(plain_file).node}
    sizes, padded_sizes = _sizes(plain_file), _sizes(blocked_file)
    more = {"macs": 0, "values": 0, "norms": 0}
    for node in _graph(blocked_file).node:
        if node.domain != BLOCKED or node.op_type != "Conv":
            continue
        source = before.get(node.name.removesuffix(ENDING))
        if source is None or "Conv" not in source.op_type:
            more["norms"] += of_blocked.get(node.name, 0)
            continue
        pairs = [(sizes.get(a, 0), padded_sizes.get(b, 0)) for a, b in zip(source.input, node.input, strict=False)]
        weight, padded = pairs[1]
        if weight and padded:
            work = of_plain[source.name]
            more["macs"] += work * padded // weight - work
            more["values"] += sum(b - a for a, b in pairs[1:3] if a and b)
    return more


def _macs(network: SourceNetwork) -> dict[str, int]:
    found: dict[str, int] = {}
    for name, count in zip(network.names, np.nan_to_num(cost(network.architecture).macs_N), strict=True):
        found[name] = found.get(name, 0) + round(count)
    return found


def _graph(path: Path) -> onnx.GraphProto:
    return onnx.load(path, load_external_data=False).graph


def _sizes(path: Path) -> Mapping[str, int]:
    return {tensor.name: prod(tensor.dims) for tensor in _graph(path).initializer}
