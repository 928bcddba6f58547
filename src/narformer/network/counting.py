"""The rules that count the work of an operation; ``ops`` states their conventions.

A rule is called with the operation, its operands by slot (inputs, constants and weights), and its output shape.
"""

from collections.abc import Callable, Mapping
from math import log2, prod

from narformer.network.graph import Op
from narformer.network.weights import WEIGHT_SLOT, integer, kernel

Shape = tuple[int, ...]

VALUE_BYTES = 4


class Operands:
    """The shapes of the operands of an operation, by slot.

    vertices: slots of the operands that other vertices compute
    """

    __slots__ = ("_shapes", "vertices")

    def __init__(self, shapes: Mapping[int, Shape | None], vertices: tuple[int, ...]) -> None:
        self._shapes, self.vertices = shapes, vertices

    def __getitem__(self, slot: int) -> Shape:
        """The shape at a slot. Raises ValueError if there is no operand, or its shape is not known."""
        shape = self._shapes.get(slot)
        if shape is None:
            raise ValueError(f"its operand {slot} is missing, or of unknown shape")
        return shape

    def __contains__(self, slot: int) -> bool:
        return self._shapes.get(slot) is not None

    def __len__(self) -> int:
        return len(self._shapes)

    def first(self) -> Shape:
        """The shape of the first operand that a vertex computes."""
        return self[self.vertices[0]] if self.vertices else ()

    def moved(self) -> int:
        """Number of values in the operands that vertices compute."""
        return sum(prod(self[slot]) for slot in self.vertices)


Rule = Callable[[Op, Operands, Shape], int]


def nothing(op: Op, inputs: Operands, out: Shape) -> int:
    """Zero."""
    return 0


def per_output(op: Op, inputs: Operands, out: Shape) -> int:
    """One per value of the output."""
    return prod(out)


def per_input(op: Op, inputs: Operands, out: Shape) -> int:
    """One per value of the first input."""
    return prod(inputs.first())


def per_addition(op: Op, inputs: Operands, out: Shape) -> int:
    """One per value of the output and per operand after the first."""
    return max(len(inputs) - 1, 1) * prod(out)


def read_all(op: Op, inputs: Operands, out: Shape) -> int:
    """Bytes of all inputs."""
    return VALUE_BYTES * inputs.moved()


def read_kept(op: Op, inputs: Operands, out: Shape) -> int:
    """Bytes of the part of the input that is copied to the output."""
    return VALUE_BYTES * prod(out)


def written(op: Op, inputs: Operands, out: Shape) -> int:
    """Bytes of the output."""
    return VALUE_BYTES * prod(out)


def window(op: Op) -> int:
    """Number of positions in the kernel. Raises ValueError if kernel_shape is missing."""
    return prod(kernel(op))


def conv_length(op: Op, inputs: Operands) -> int:
    """Length of the inner product that gives one output value: that of one filter."""
    return prod(inputs[WEIGHT_SLOT.get(op.kind, 1)][1:])


def conv_macs(op: Op, inputs: Operands, out: Shape) -> int:
    """Products of a convolution."""
    return prod(out) * conv_length(op, inputs)


def conv_flops(op: Op, inputs: Operands, out: Shape) -> int:
    """Multiplications and additions of a convolution."""
    return prod(out) * (2 * conv_length(op, inputs) - 1 + integer(op, "bias", 0))


def transposed_macs(op: Op, inputs: Operands, out: Shape) -> int:
    """Products of a transposed convolution: each input value is spread over one window of its group's channels."""
    return prod(inputs[0]) * prod(inputs[1][1:])


def transposed_flops(op: Op, inputs: Operands, out: Shape) -> int:
    """NNLQP counts it as the convolution from input to output channels: prod(out) (2 C_in/g k² - 1 + bias)."""
    length = inputs[0][1] // integer(op, "group", 1) * prod(inputs[1][2:])
    return prod(out) * (2 * length - 1 + integer(op, "bias", 0))


def product_length(op: Op, inputs: Operands) -> int:
    """Length of the inner products of Gemm and MatMul."""
    if 0 in inputs:
        return inputs[0][-2 if op.get("trans_a") else -1]
    return inputs[1][-2 if len(inputs[1]) > 1 else 0]  # an old record of a constant times a value


def product_macs(op: Op, inputs: Operands, out: Shape) -> int:
    """Products of a matrix product."""
    return prod(out) * product_length(op, inputs)


def product_flops(op: Op, inputs: Operands, out: Shape) -> int:
    """Multiplications and additions of a matrix product."""
    return prod(out) * (2 * product_length(op, inputs) - 1 + integer(op, "bias", 0))


def attended(op: Op, inputs: Operands) -> int:
    """Number of keys that every query meets: the new ones and those of the past. A causal mask leaves none out."""
    return inputs[1][-2] + (inputs[4][-2] if 4 in inputs else 0)


def attention_macs(op: Op, inputs: Operands, out: Shape) -> int:
    """Products of queries and keys, and of weights and values: (..., N, D) each, heads before N or inside D."""
    return (prod(inputs[0]) + prod(out)) * attended(op, inputs)


def attention_flops(op: Op, inputs: Operands, out: Shape) -> int:
    """Both products, and three per attention weight (softmax)."""
    query = inputs[0]
    heads = prod(query[:-1]) if len(query) > 3 else prod(query[:-1]) * integer(op, "q_num_heads", 1)
    return 2 * attention_macs(op, inputs, out) + 3 * heads * attended(op, inputs)


def recurrent_macs(op: Op, inputs: Operands, out: Shape) -> int:
    """Products of all gates over all steps, and of the projection of the state; the input is (steps, batch, ...)."""
    matrices = prod(inputs[1]) + prod(inputs[2]) + (prod(inputs[8]) if op.get("projection_size") else 0)
    return inputs[0][0] * inputs[0][1] * matrices


def recurrent_flops(op: Op, inputs: Operands, out: Shape) -> int:
    """Twice the products, and eight per value of a gate (offsets, activation, state)."""
    gates = inputs[0][0] * inputs[0][1] * prod(inputs[1][:2])
    return 2 * recurrent_macs(op, inputs, out) + 8 * gates


def einsum_macs(op: Op, inputs: Operands, out: Shape) -> int:
    """Products of the contractions, two operands at a time from the left; a single operand has none."""
    return _contractions(op, inputs)[0]


def einsum_flops(op: Op, inputs: Operands, out: Shape) -> int:
    """Twice the products less one per value of each contraction; one per value of a single operand that is summed."""
    macs, values = _contractions(op, inputs)
    if len(inputs) == 1:
        return prod(inputs[0]) if prod(inputs[0]) > prod(out) else 0
    return 2 * macs - values


def _contractions(op: Op, inputs: Operands) -> tuple[int, int]:
    """Products of all contractions, and the values that they write."""
    equation = op.get("equation")
    if not isinstance(equation, str):
        raise ValueError("no equation")
    left, arrow, right = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != len(inputs):
        raise ValueError(f"an equation of {len(terms)} operands for {len(inputs)}")
    sizes: dict[str, int] = {}
    labels = [_labels(term, inputs[slot], sizes) for slot, term in enumerate(terms)]
    every = [label for term in labels for label in term]
    kept = {label for label in every if label[0] == "." or (label in right if arrow else every.count(label) == 1)}
    macs = values = 0
    done = set(labels[0])
    for number, term in enumerate(labels[1:], start=1):
        joined = done | set(term)
        later = {label for rest in labels[number + 1 :] for label in rest}
        done = joined & (kept | later)
        macs += prod(sizes[label] for label in joined)
        values += prod(sizes[label] for label in done)
    return macs, values


def _labels(term: str, shape: Shape, sizes: dict[str, int]) -> list[str]:
    """The labels of an operand's axes; those under an ellipsis are ".1", ".2" … counted from its end."""
    before, dots, after = term.partition("...")
    wide = len(shape) - len(before) - len(after)
    if wide < 0 or (wide and not dots):
        raise ValueError(f"the term {term[:20]!r} for {len(shape)} axes")
    labels = [*before, *(f".{wide - k}" for k in range(wide)), *after]
    for label, size in zip(labels, shape, strict=True):
        if size != sizes.setdefault(label, size) and 1 not in (size, sizes[label]):
            raise ValueError(f"the sizes {sizes[label]} and {size} under one label")
        sizes[label] = max(sizes[label], size)
    return labels


def linear_attention_macs(op: Op, inputs: Operands, out: Shape) -> int:
    """Per token: the outer products that update the state, its look-ups by the keys (delta rules), and the reads."""
    heads, groups = integer(op, "q_num_heads", 1), integer(op, "kv_num_heads", 1)
    if heads < 1 or groups < 1:
        raise ValueError(f"{heads} heads of queries and {groups} of keys")
    looked_up = groups if "delta" in str(op.get("update_rule", "gated_delta")) else 0
    state = inputs[0][-1] // heads * (inputs[2][-1] // groups)
    return prod(inputs[0][:-1]) * state * (groups + looked_up + max(heads, groups))


def linear_attention_flops(op: Op, inputs: Operands, out: Shape) -> int:
    """Twice the products."""
    return 2 * linear_attention_macs(op, inputs, out)


def grouped_macs(op: Op, inputs: Operands, out: Shape) -> int:
    """Products of rows and the matrix of their group: (rows, K) and (groups, K, N)."""
    return prod(out) * inputs[1][-2]


def grouped_flops(op: Op, inputs: Operands, out: Shape) -> int:
    """Multiplications and additions of ``grouped_macs``."""
    return prod(out) * (2 * inputs[1][-2] - 1)


def affine_macs(op: Op, inputs: Operands, out: Shape) -> int:
    """Products of each position of a grid and the matrix (D, D + 1)."""
    return prod(out) * (out[-1] + 1)


def affine_flops(op: Op, inputs: Operands, out: Shape) -> int:
    """Multiplications and additions of ``affine_macs``."""
    return prod(out) * (2 * out[-1] + 1)


def fourier_flops(op: Op, inputs: Operands, out: Shape) -> int:
    """5 n log2 n for each transform of n complex values, as the literature counts the fast Fourier transform."""
    axis = integer(op, "axis", -2)
    length = inputs.first()[axis] if op.kind == "DFT" else out[-2]
    return int(2.5 * prod(out) * log2(max(length, 2)))


def determinant_flops(op: Op, inputs: Operands, out: Shape) -> int:
    """Elimination: 2 n³ / 3."""
    return prod(out) * 2 * inputs.first()[-1] ** 3 // 3


def sampled_flops(op: Op, inputs: Operands, out: Shape) -> int:
    """Weighted sum of the neighbours of each sampled position: 2 n - 1 for n neighbours, of which a nearest has one."""
    neighbours = {"nearest": 1, "cubic": 4}.get(str(op.get("mode")), 2)
    return prod(out) * (2 * prod([neighbours] * (len(out) - 2)) - 1)


def adaptive_flops(op: Op, inputs: Operands, out: Shape) -> int:
    """The values in all windows; window i of n values in m windows is floor(i n / m) to ceil((i + 1) n / m)."""
    pairs = list(zip(inputs.first()[2:], out[2:], strict=True))
    return prod(out[:2]) * prod(sum(-(-(i + 1) * n // m) - i * n // m for i in range(m)) for n, m in pairs)


def norm_flops(op: Op, inputs: Operands, out: Shape) -> int:
    """Subtract, divide, scale, shift."""
    return 4 * prod(out)


def layer_norm_flops(op: Op, inputs: Operands, out: Shape) -> int:
    """Subtract, divide, scale, shift, and the two moments, which have to be computed from the input."""
    return 8 * prod(out)


def pool_flops(op: Op, inputs: Operands, out: Shape) -> int:
    """The size of the window per value of the output."""
    return prod(out) * window(op)


def softmax_flops(op: Op, inputs: Operands, out: Shape) -> int:
    """Exponential, sum, division."""
    return 3 * prod(out)


__all__ = ["VALUE_BYTES", "Operands", "Rule", "Shape"]
