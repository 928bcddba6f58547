"""Weights that follow from the kind and the shapes of an operation, and need not be listed among its constants.

Networks of families and cells have no other weights. A reader leaves weights out if they are as described here:
float32, trained as usual, and read once.
"""

from collections.abc import Callable, Mapping
from math import prod

from narformer.network.graph import Op
from narformer.network.tensors import ConstantOperand, Tensor

__all__ = ["WEIGHTS", "Shapes", "implied", "integer"]

Shape = tuple[int, ...]
Shapes = Mapping[int, Shape]  # slot -> shape of an operand
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
WEIGHT_SLOT = {"QLinearConv": 3, "QLinearMatMul": 3}  # of the filters or the matrix; 1 in all other kinds
RUNNING = {"BatchNormalization": (3, 4)}  # slots of running mean and variance, which training does not change


def integer(op: Op, name: str, default: int) -> int:
    """An attribute if it is an integer, else the default."""
    value = op.get(name, default)
    return value if isinstance(value, int) else default


def implied(op: Op, inputs: Shapes) -> tuple[ConstantOperand, ...]:
    """The weights of an operation of known shape whose ``constants`` are empty; ``inputs`` are its vertices' shapes.

    Raises ValueError, IndexError or KeyError if the shapes do not fit the kind.
    """
    rule = WEIGHTS.get(op.kind)
    shapes = rule(op, inputs, op.shape or ()) if rule else {}
    running = RUNNING.get(op.kind, ())
    found = [
        ConstantOperand(slot, shape, (Tensor(prod(shape), trained=slot not in running),))
        for slot, shape in shapes.items()
        if slot not in inputs
    ]
    count = integer(op, "constant", 0)
    if not found and count > 1:
        found = [ConstantOperand(max(inputs, default=-1) + 1, (count,), (Tensor(count),))]
    return tuple(found)


def kernel(op: Op) -> Shape:
    """The attribute kernel_shape. Raises ValueError if it is missing."""
    size = op.get("kernel_shape")
    if not isinstance(size, tuple):
        raise ValueError("no kernel_shape")
    return size


def _with_bias(op: Op, weight: Shape, width: int) -> dict[int, Shape]:
    return {1: weight, 2: (width,)} if op.get("bias") else {1: weight}


def _conv(op: Op, inputs: Shapes, out: Shape) -> dict[int, Shape]:
    return _with_bias(op, (out[1], inputs[0][1] // integer(op, "group", 1), *kernel(op)), out[1])


def _transposed(op: Op, inputs: Shapes, out: Shape) -> dict[int, Shape]:
    return _with_bias(op, (inputs[0][1], out[1] // integer(op, "group", 1), *kernel(op)), out[1])


def _gemm(op: Op, inputs: Shapes, out: Shape) -> dict[int, Shape]:
    return _with_bias(op, (inputs[0][-2 if op.get("trans_a") else -1], out[-1]), out[-1])


def _batch_norm(op: Op, inputs: Shapes, out: Shape) -> dict[int, Shape]:
    return dict.fromkeys((1, 2, 3, 4), (out[1],))


def _norm(op: Op, inputs: Shapes, out: Shape) -> dict[int, Shape]:
    """Scale, and offset if there are twice the values of the normalised axes, as the attribute ``constant`` states."""
    axis = integer(op, "axis", 1)
    count = integer(op, "constant", 0)
    shape = out[axis:] if "Layer" in op.kind or "RMS" in op.kind else out[1:2]
    return dict.fromkeys((1, 2), shape) if count == 2 * prod(shape) else {1: shape} if count == prod(shape) else {}


def _recurrent(op: Op, inputs: Shapes, out: Shape) -> dict[int, Shape]:
    """W, R and B of ONNX, and P, the projection of the state that torch has."""
    both = 2 if op.get("direction") == "bidirectional" else 1
    hidden, projected = integer(op, "hidden_size", 0), integer(op, "projection_size", 0)
    gates = GATES[op.kind] * hidden
    found: dict[int, Shape] = {1: (both, gates, inputs[0][-1]), 2: (both, gates, projected or hidden)}
    if op.get("bias"):
        found[3] = (both, 2 * gates)
    if projected:
        found[8] = (both, projected, hidden)
    return found


WEIGHTS: dict[str, Callable[[Op, Shapes, Shape], dict[int, Shape]]] = {
    "Conv": _conv,
    "ConvTranspose": _transposed,
    "Gemm": _gemm,
    "BatchNormalization": _batch_norm,
    "LayerNormalization": _norm,
    "RMSNormalization": _norm,
    "GroupNormalization": _norm,
    "InstanceNormalization": _norm,
    **dict.fromkeys(GATES, _recurrent),
}
