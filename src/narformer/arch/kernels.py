"""The kernels that a runtime makes of a network: operations that it computes in one go are one kernel.

The rules are those that ONNX Runtime, OpenVINO and TensorRT share: what works value by value on a kernel's only output
joins it, BatchNormalization disappears into the convolution before it, one Add joins the later of its two convolutions,
and what only states another shape costs nothing and joins its producer. A runtime may do better or worse; which rules
hold is for measurements to say. Letters: N operations, K kernels.
"""

from dataclasses import dataclass

from narformer.arch.graph import Architecture
from narformer.arch.ops import ALIASES

__all__ = ["Kernel", "kernels"]

# What does enough work of its own that others join it.
ANCHORS = {"Conv", "ConvTranspose", "ConvInteger", "QLinearConv", "Gemm", "MatMul", "MatMulInteger", "QLinearMatMul"}
ACTIVATIONS = {"Relu", "LeakyRelu", "PRelu", "Elu", "Selu", "Gelu", "Clip", "Sigmoid", "HardSigmoid", "HardSwish"}
ACTIVATIONS |= {"Swish", "Mish", "Tanh", "Softplus", "Erf"}
JOINS = {*ACTIVATIONS, "BatchNormalization"}
VIEWS = {"Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Dropout"}
PAIRS = {"Add", "Sum", "Mul"}


@dataclass(frozen=True)
class Kernel:
    """Operations computed in one go.

    anchor:   the vertex that does the work
    vertices: all of them, the anchor among them, in the network's order
    """

    anchor: int
    vertices: tuple[int, ...]


def kernels(architecture: Architecture) -> tuple[Kernel, ...]:
    """The kernels of a network, in the order of their anchors; inputs belong to none, every other vertex to one."""
    kinds = [ALIASES.get(op.kind, op.kind) for op in architecture.ops]
    producers = [[source for _, source in operands] for operands in architecture.operands()]
    uses = [0] * len(kinds)
    for source, _ in architecture.edges:
        uses[source] += 1
    home: dict[int, int] = {}  # vertex -> anchor of its kernel
    end: dict[int, int] = {}  # anchor -> the vertex whose output is the kernel's
    for vertex, kind in enumerate(kinds):
        if kind == "Input":
            continue
        host = vertex
        for source in sorted({source for source in producers[vertex] if source in home}):
            anchor = home[source]
            ends_there = end[anchor] == source and uses[source] == 1 and kinds[anchor] in ANCHORS
            joins = kind in JOINS or (kind in PAIRS and kinds[source] not in PAIRS)
            if (kind in VIEWS and len(producers[vertex]) == 1) or (ends_there and joins):
                host = anchor  # of several, the latest
        home[vertex] = host
        end[host] = vertex
    members: dict[int, list[int]] = {}
    for vertex, anchor in home.items():
        members.setdefault(anchor, []).append(vertex)
    return tuple(Kernel(anchor, tuple(vertices)) for anchor, vertices in sorted(members.items()))
