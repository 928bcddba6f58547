"""The rules that count the work of an operation; ``ops`` states their conventions.

A rule is called with the operation, the shapes of its inputs in operand order and its output shape, all known.
If the weight is an input and not a constant, its shape is the second one, and it is not counted as a parameter.
"""

from collections.abc import Callable, Sequence
from math import prod

from narformer.network.graph import Op

Shape = tuple[int, ...]
Rule = Callable[[Op, Sequence[Shape], Shape], int]

VALUE_BYTES = 4
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


def nothing(op: Op, inputs: Sequence[Shape], out: Shape) -> int:
    """Zero."""
    return 0


def per_output(op: Op, inputs: Sequence[Shape], out: Shape) -> int:
    """One per value of the output."""
    return prod(out)


def per_input(op: Op, inputs: Sequence[Shape], out: Shape) -> int:
    """One per value of the first input."""
    return prod(inputs[0])


def per_addition(op: Op, inputs: Sequence[Shape], out: Shape) -> int:
    """One per value of the output and per operand after the first."""
    return max(len(inputs) - 1, 1) * prod(out)


def constant_params(op: Op, inputs: Sequence[Shape], out: Shape) -> int:
    """Number of values in the constant operands; a scalar is part of the operation and counts 0."""
    count = integer(op, "constant", 0)
    return count if count > 1 else 0


def read_all(op: Op, inputs: Sequence[Shape], out: Shape) -> int:
    """Bytes of all inputs."""
    return VALUE_BYTES * sum(map(prod, inputs))


def read_kept(op: Op, inputs: Sequence[Shape], out: Shape) -> int:
    """Bytes of the part of the input that is copied to the output."""
    return VALUE_BYTES * prod(out)


def written(op: Op, inputs: Sequence[Shape], out: Shape) -> int:
    """Bytes of the output."""
    return VALUE_BYTES * prod(out)


def integer(op: Op, name: str, default: int) -> int:
    """An attribute if it is an integer, else the default."""
    value = op.get(name, default)
    return value if isinstance(value, int) else default


def window(op: Op) -> int:
    """Number of positions in the kernel. Raises ValueError if kernel_shape is missing."""
    kernel = op.get("kernel_shape")
    if not isinstance(kernel, tuple):
        raise ValueError("no kernel_shape")
    return prod(kernel)


def conv_length(op: Op, inputs: Sequence[Shape]) -> int:
    """Length of the inner product that gives one output value."""
    return inputs[0][1] // integer(op, "group", 1) * window(op)


def conv_macs(op: Op, inputs: Sequence[Shape], out: Shape) -> int:
    """Products of a convolution."""
    return prod(out) * conv_length(op, inputs)


def conv_flops(op: Op, inputs: Sequence[Shape], out: Shape) -> int:
    """Multiplications and additions of a convolution."""
    return prod(out) * (2 * conv_length(op, inputs) - 1 + integer(op, "bias", 0))


def conv_params(op: Op, inputs: Sequence[Shape], out: Shape) -> int:
    """Weights and offsets of a convolution."""
    weights = conv_length(op, inputs) if len(inputs) == 1 else 0
    return out[1] * (weights + integer(op, "bias", 0))


def transposed_macs(op: Op, inputs: Sequence[Shape], out: Shape) -> int:
    """Products of a transposed convolution: each input value is spread over one window of its group's channels."""
    return prod(inputs[0]) * (out[1] // integer(op, "group", 1)) * window(op)


def transposed_flops(op: Op, inputs: Sequence[Shape], out: Shape) -> int:
    """NNLQP counts it as the convolution from input to output channels: prod(out) (2 C_in/g k² - 1 + bias)."""
    return conv_flops(op, inputs, out)


def transposed_params(op: Op, inputs: Sequence[Shape], out: Shape) -> int:
    """Weights and offsets of a transposed convolution."""
    bias = integer(op, "bias", 0) * out[1]
    return bias + (inputs[0][1] * (out[1] // integer(op, "group", 1)) * window(op) if len(inputs) == 1 else 0)


def product_length(op: Op, inputs: Sequence[Shape]) -> int:
    """Length of the inner products of Gemm and MatMul."""
    return inputs[0][-2 if integer(op, "trans_a", 0) else -1]


def product_macs(op: Op, inputs: Sequence[Shape], out: Shape) -> int:
    """Products of a matrix product."""
    return prod(out) * product_length(op, inputs)


def product_flops(op: Op, inputs: Sequence[Shape], out: Shape) -> int:
    """Multiplications and additions of a matrix product."""
    return prod(out) * (2 * product_length(op, inputs) - 1 + integer(op, "bias", 0))


def gemm_params(op: Op, inputs: Sequence[Shape], out: Shape) -> int:
    """Weights and offsets of a dense layer."""
    weights = product_length(op, inputs) if len(inputs) == 1 else 0
    return out[-1] * (weights + integer(op, "bias", 0))


def attention_macs(op: Op, inputs: Sequence[Shape], out: Shape) -> int:
    """Products of queries and keys, and of weights and values: (..., N, D) each, heads before N or inside D."""
    query, key = inputs[0], inputs[1]
    return (prod(query) + prod(out)) * key[-2]


def attention_flops(op: Op, inputs: Sequence[Shape], out: Shape) -> int:
    """Both products, and three per attention weight (softmax)."""
    query, key = inputs[0], inputs[1]
    heads = prod(query[:-1]) if len(query) > 3 else prod(query[:-1]) * integer(op, "q_num_heads", 1)
    return 2 * attention_macs(op, inputs, out) + 3 * heads * key[-2]


def recurrent_directions(op: Op) -> int:
    """2 if the sequence is read in both directions, else 1."""
    return 2 if op.get("direction") == "bidirectional" else 1


def recurrent_macs(op: Op, inputs: Sequence[Shape], out: Shape) -> int:
    """Products of all gates over all steps; inputs[0] is (steps, batch, features)."""
    hidden = integer(op, "hidden_size", 0)
    steps, batch, features = inputs[0][0], inputs[0][1], inputs[0][2]
    return steps * batch * recurrent_directions(op) * GATES[op.kind] * hidden * (features + hidden)


def recurrent_flops(op: Op, inputs: Sequence[Shape], out: Shape) -> int:
    """Twice the products, and eight per value of a gate (offsets, activation, state)."""
    steps, batch = inputs[0][0], inputs[0][1]
    gates = steps * batch * recurrent_directions(op) * GATES[op.kind] * integer(op, "hidden_size", 0)
    return 2 * recurrent_macs(op, inputs, out) + 8 * gates


def recurrent_params(op: Op, inputs: Sequence[Shape], out: Shape) -> int:
    """Input, recurrent and two offset blocks of every gate and direction."""
    hidden, features = integer(op, "hidden_size", 0), inputs[0][-1]
    return recurrent_directions(op) * GATES[op.kind] * hidden * (features + hidden + 2 * integer(op, "bias", 0))


def norm_flops(op: Op, inputs: Sequence[Shape], out: Shape) -> int:
    """Subtract, divide, scale, shift."""
    return 4 * prod(out)


def layer_norm_flops(op: Op, inputs: Sequence[Shape], out: Shape) -> int:
    """Subtract, divide, scale, shift, and the two moments, which have to be computed from the input."""
    return 8 * prod(out)


def norm_params(op: Op, inputs: Sequence[Shape], out: Shape) -> int:
    """Scale and offset of every channel."""
    return 2 * out[1]


def norm_stored(op: Op, inputs: Sequence[Shape], out: Shape) -> int:
    """Scale, offset, running mean and variance of every channel."""
    return 4 * out[1]


def pool_flops(op: Op, inputs: Sequence[Shape], out: Shape) -> int:
    """The size of the window per value of the output."""
    return prod(out) * window(op)


def softmax_flops(op: Op, inputs: Sequence[Shape], out: Shape) -> int:
    """Exponential, sum, division."""
    return 3 * prod(out)
