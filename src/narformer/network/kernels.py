"""The kernels of a network: a kernel is a group of operations that a runtime computes together.

The rules are those that ONNX Runtime, OpenVINO and TensorRT share. An elementwise operation on the only output of a
kernel joins the kernel. BatchNormalization is folded into the convolution before it. An Add joins the later of its two
convolutions. An operation that only changes the shape costs nothing and joins its producer. Equal operations on the
same value (two activations of one sum) are computed once. A runtime may fuse more or fewer operations; only
measurements can show that. Letters: N operations, K kernels.
"""

from dataclasses import dataclass

from narformer.network.graph import Architecture, Op
from narformer.network.ops import ALIASES

__all__ = ["Kernel", "kernels"]

# Operations with enough work that other operations join them.
ANCHORS = {"Conv", "ConvTranspose", "ConvInteger", "QLinearConv", "Gemm", "MatMul", "MatMulInteger", "QLinearMatMul"}
ACTIVATIONS = {"Relu", "LeakyRelu", "PRelu", "Elu", "Selu", "Gelu", "Clip", "Sigmoid", "HardSigmoid", "HardSwish"}
ACTIVATIONS |= {"Swish", "Mish", "Tanh", "Softplus", "Erf"}
JOINS = {*ACTIVATIONS, "BatchNormalization"}
VIEWS = {"Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Dropout"}
PAIRS = {"Add", "Sum", "Mul"}
# Operations without weights: equal attributes and sources give equal results.
WEIGHTLESS = ACTIVATIONS - {"PRelu"} | {"MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "Zero"}


@dataclass(frozen=True)
class Kernel:
    """Operations that are computed together.

    anchor:   the vertex with the main work
    vertices: all vertices including the anchor, in the network's order
    repeated: vertices with the same value as one of ``vertices``; they cost nothing
    """

    anchor: int
    vertices: tuple[int, ...]
    repeated: tuple[int, ...] = ()


def kernels(architecture: Architecture) -> tuple[Kernel, ...]:
    """The kernels of a network in the order of their anchors. Every vertex except the inputs belongs to one kernel."""
    kinds = [ALIASES.get(op.kind, op.kind) for op in architecture.ops]
    first = _first_alike(architecture, kinds)
    producers = [[first[source] for _, source in operands] for operands in architecture.operands()]
    uses = [0] * len(kinds)
    for source, target in architecture.edges:
        uses[first[source]] += first[target] == target
    home: dict[int, int] = {}  # vertex -> anchor of its kernel
    end: dict[int, int] = {}  # anchor -> the vertex whose output is the kernel's
    for vertex, kind in enumerate(kinds):
        if kind == "Input" or first[vertex] != vertex:
            continue
        host = vertex
        for source in sorted({source for source in producers[vertex] if source in home}):
            anchor = home[source]
            ends_there = end[anchor] == source and uses[source] == 1 and kinds[anchor] in ANCHORS
            joins = kind in JOINS or (kind in PAIRS and kinds[source] not in PAIRS)
            if (kind in VIEWS and len(producers[vertex]) == 1) or (ends_there and joins):
                host = anchor  # of several anchors, the last one
        home[vertex] = host
        end[host] = vertex
    members: dict[int, list[int]] = {}
    repeated: dict[int, list[int]] = {}
    for vertex, anchor in home.items():
        members.setdefault(anchor, []).append(vertex)
    for vertex, original in enumerate(first):
        if original != vertex:
            repeated.setdefault(home[original], []).append(vertex)
    return tuple(
        Kernel(anchor, tuple(vertices), tuple(repeated.get(anchor, ()))) for anchor, vertices in sorted(members.items())
    )


def _first_alike(architecture: Architecture, kinds: list[str]) -> list[int]:
    """For each vertex the first vertex with the same value: equal operations without weights on the same operands."""
    first = list(range(len(kinds)))
    seen: dict[tuple[Op, tuple[tuple[int, int], ...]], int] = {}
    for vertex, (op, operands) in enumerate(zip(architecture.ops, architecture.operands(), strict=True)):
        if kinds[vertex] in WEIGHTLESS and operands:
            key = (op, tuple([(slot, first[source]) for slot, source in operands]))
            first[vertex] = seen.setdefault(key, vertex)
    return first
