"""The nodes of an ONNX model by name, with the values that they read and write: what a runtime's own graph is told by.

The reader makes a network of a model; here the nodes themselves are wanted, as a runtime names them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx
import onnx.inliner

from narformer.errors import BadFile, printable
from narformer.formats import onnx_guard as guard
from narformer.formats import onnx_wire as wire

__all__ = ["OnnxNode", "named_nodes", "nodes_of"]

SUMMED = 4  # inputs of a fused convolution that adds the last of them to its result


@dataclass(frozen=True)
class OnnxNode:
    """A node of the main graph of a model.

    kind:    of the operation, with its domain unless that is ONNX's own: "com.microsoft.nchwc.Conv"
    inputs:  names of the values it reads, those that its subgraphs read included; outputs: of those it writes
    then:    kinds of the operations that a fused convolution computes after its own: a sum, an activation
    """

    name: str
    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    then: tuple[str, ...] = ()


def nodes_of(data: wire.Bytes, path: str | Path = "the given bytes") -> tuple[OnnxNode, ...]:
    """The nodes of the main graph, in the order of the model, which is topological. Raises BadFile as the reader."""
    try:
        model = onnx.ModelProto.FromString(wire.light(data, path))
    except BadFile:
        raise
    except Exception as error:  # the parser's own errors have no common base
        raise BadFile(path, f"no protobuf message ({printable(str(error))})", "an ONNX model") from None
    guard.check(model, path)
    return tuple(_node(node) for node in model.graph.node)


def named_nodes(data: bytes, path: str | Path = "the given bytes") -> bytes:
    """The model with the calls of its own functions expanded, and with a name of its own for every node.

    A node without a name, or with a name that another node has, is called by the first value that it writes. The bytes
    themselves are returned where nothing is to be changed. Raises BadFile as the reader.
    """
    light = onnx.ModelProto.FromString(wire.light(data, path))
    names = [node.name for node in light.graph.node]
    if not light.functions and all(names) and len(set(names)) == len(names):
        return data
    model = onnx.ModelProto.FromString(data)
    if model.functions:
        guard.functions_expanded(model, path)
        model = onnx.inliner.inline_local_functions(model)
    given: set[str] = set()
    written = {name for node in model.graph.node for name in node.output}
    for number, node in enumerate(model.graph.node):
        if not node.name or node.name in given:
            node.name = _free([*node.output, f"node_{number}"], given, written)
        given.add(node.name)
    changed: bytes = model.SerializeToString()
    return changed


def _free(wanted: Sequence[str], given: set[str], written: set[str]) -> str:
    """The first of these names that no node has; another one where each is taken."""
    for name in wanted:
        if name and name not in given:
            return name
    number = 0
    while f"node_{number}" in given | written:
        number += 1
    return f"node_{number}"


def _node(node: onnx.NodeProto) -> OnnxNode:
    kind = node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}.{node.op_type}"
    inputs = dict.fromkeys(name for name in (*node.input, *guard.taken(node)) if name)
    then: list[str] = []
    if node.domain.startswith("com.microsoft"):
        then += ["Add"] if node.op_type.endswith("Conv") and len(node.input) == SUMMED else []
        then += [a.s.decode(errors="replace") for a in node.attribute if a.name == "activation"]
    return OnnxNode(node.name, kind, tuple(inputs), tuple(name for name in node.output if name), tuple(then))
