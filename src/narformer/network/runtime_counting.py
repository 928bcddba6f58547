"""Rules that count the operations that ONNX Runtime adds to ONNX, and those of ``ai.onnx.ml``.

``counting`` states how a rule is called, ``ops`` the conventions. Images may have their channels first, last, or in
blocks, so that rules use only what does not depend on the layout. Letters: B batch, S queries, T keys, H heads,
D channels.
"""

from collections.abc import Callable
from math import ceil, log2, prod

from narformer.network.counting import Operands, Rule, Shape
from narformer.network.graph import Op
from narformer.network.weights import integer

FREE = ("", "Relu", "Clip", "RELU", "NONE", "none", "identity")  # activations that count 0


def _positive(op: Op, name: str) -> int:
    """An attribute that counts something; 1 if it is missing. Raises ValueError if it is not positive."""
    value = integer(op, name, 1)
    if value < 1:
        raise ValueError(f"{name} {value}")
    return value


def each(count: int, *further: int) -> Rule:
    """``count`` per value of the output, one for each operand in the slots ``further``, and the fused activation."""

    def rule(op: Op, inputs: Operands, out: Shape) -> int:
        return prod(out) * (count + sum(slot in inputs for slot in further)) + activation(op, out)

    return rule


def activation(op: Op, out: Shape) -> int:
    """One per value of the output if the operation ends in an activation that counts."""
    name = op.get("activation", "")
    return 0 if name in FREE or name == 0 else prod(out)


def twice(macs: Rule, *offsets: int) -> Rule:
    """Twice the products, the operands in the slots ``offsets`` added to the output, and the fused activation."""

    def rule(op: Op, inputs: Operands, out: Shape) -> int:
        added = sum(slot in inputs for slot in offsets)
        return 2 * macs(op, inputs, out) + prod(out) * added + activation(op, out)

    return rule


def less_one(macs: Rule, *offsets: int) -> Rule:
    """As ``twice``, less one addition per value of the output: a sum of n products has n - 1 additions."""

    def rule(op: Op, inputs: Operands, out: Shape) -> int:
        return twice(macs, *offsets)(op, inputs, out) - prod(out)

    return rule


def filters(slot: int) -> Rule:
    """Products of a convolution whose filters (M, C/g, ...) are in ``slot``."""

    def rule(op: Op, inputs: Operands, out: Shape) -> int:
        return prod(out) * prod(inputs[slot][1:])

    return rule


def transposed(slot: int) -> Rule:
    """Products of a transposed convolution: each input value is spread over the filters (M/g, ...) of its channel."""

    def rule(op: Op, inputs: Operands, out: Shape) -> int:
        return prod(inputs[0]) * prod(inputs[slot][1:])

    return rule


def _length(op: Op, inputs: Operands) -> int:
    """Length of the inner products of a matrix product, with the matrix or its batch axes turned."""
    left = inputs[0]
    if not op.get("trans_a") or len(left) == 1:
        return left[-1]
    return left[0] if op.get("trans_batch_a") else left[-2]


def product(op: Op, inputs: Operands, out: Shape) -> int:
    """Products of a matrix product."""
    return prod(out) * _length(op, inputs)


def gated(op: Op, inputs: Operands, out: Shape) -> int:
    """Products of two matrices of one shape with the same rows."""
    return 2 * product(op, inputs, out)


def three_products(op: Op, inputs: Operands, out: Shape) -> int:
    """Products of the rows with the matrices of queries, keys and values."""
    return prod(inputs[0]) * (_positive(op, "Nq") + 2 * _positive(op, "Nkv"))


def two_products(op: Op, inputs: Operands, out: Shape) -> int:
    """Products of the rows and a small matrix, of slots 0 and 3."""
    return prod(inputs[0]) * inputs[3][-1]


def distances(op: Op, inputs: Operands, out: Shape) -> int:
    """One product per pair of rows and channel."""
    return prod(out) * inputs[0][-1]


def distances_flops(op: Op, inputs: Operands, out: Shape) -> int:
    """Difference, square and sum."""
    return 3 * distances(op, inputs, out)


def inverse(op: Op, inputs: Operands, out: Shape) -> int:
    """n³ per matrix of n rows."""
    return prod(out) * out[-1]


# --- attention ---


def _keys(op: Op, new: int, inputs: Operands, past: int) -> int:
    """Number of keys that a query meets: all that the output ``present`` states, else new and past ones."""
    stated = integer(op, "total_sequence_length", 0)
    return stated or new + (inputs[past][-2] if past in inputs else 0)


def _attended(queries: int, keys: int, out: Shape, heads: int, rows: int) -> tuple[int, int]:
    """Products of queries and keys and of weights and values; attention weights."""
    return (queries + prod(out)) * keys, heads * rows * keys


Work = Callable[[Op, Operands, Shape], tuple[int, int]]


def projected(past: int, *weights: int) -> Work:
    """Attention with the projections of its input, whose matrices, or the one that holds all, are in ``weights``."""

    def work(op: Op, inputs: Operands, out: Shape) -> tuple[int, int]:
        rows, sizes = prod(inputs[0][:-1]), op.get("qkv_hidden_sizes")
        width = sum(inputs[slot][-1] for slot in weights)
        wide = sizes[0] if isinstance(sizes, tuple) else width // 3
        if not 0 <= wide <= width:
            raise ValueError(f"queries of {wide} values for matrices of {width} columns")
        new = inputs[3][-1] if op.kind.endswith(".PackedAttention") else inputs[0][-2]
        keys = _keys(op, new, inputs, past)
        macs, scores = _attended(rows * wide, keys, out, _positive(op, "num_heads"), rows)
        return rows * inputs[0][-1] * width + macs, scores

    return work


def multi_head(op: Op, inputs: Operands, out: Shape) -> tuple[int, int]:
    """Queries (B, S, HD) with keys (B, T, HD), (B, T, H, 2, D) or (B, H, T, D), or all of them in (B, S, H, 3, D)."""
    query = inputs[0]
    rows = query[0] * query[1]
    queries = prod(query) // (3 if len(query) == 5 else 1)
    key = inputs[1 if 1 in inputs else 0]
    keys = _keys(op, key[2] if len(key) == 4 else key[1], inputs, 6)
    return _attended(queries, keys, out, _positive(op, "num_heads"), rows)


def packed_multi_head(op: Op, inputs: Operands, out: Shape) -> tuple[int, int]:
    """Rows of several sequences without padding; every query meets as many keys as the longest sequence may have."""
    query = inputs[0]
    queries = prod(query) // (3 if len(query) == 4 else 1)
    return _attended(queries, inputs[4][-1], out, _positive(op, "num_heads"), query[0])


def grouped(op: Op, inputs: Operands, out: Shape) -> tuple[int, int]:
    """Every head of queries counts, though several of them share a head of keys."""
    new = inputs[1][-2] if 1 in inputs else inputs[0][1]
    keys = _keys(op, new, inputs, 3)
    return _attended(prod(out), keys, out, _positive(op, "num_heads"), prod(out[:-1]))


def one_query(op: Op, inputs: Operands, out: Shape) -> tuple[int, int]:
    """One new query; keys are new ones after those of the past, or (B, H, T, D) of another sequence."""
    if 1 not in inputs:  # queries, keys and values in one row
        queries, new = prod(inputs[0][:-1]) * (inputs[0][-1] - out[-1]) // 2, 1
    else:
        queries, new = prod(inputs[0]), inputs[1][-2]
    keys = _keys(op, new, inputs, 5)
    return _attended(queries, keys, out, _positive(op, "num_heads"), prod(out[:-1]))


def attention_macs(work: Work) -> Rule:
    """The products of an attention."""

    def rule(op: Op, inputs: Operands, out: Shape) -> int:
        return work(op, inputs, out)[0]

    return rule


def attention_flops(work: Work) -> Rule:
    """Twice the products, and three per attention weight (softmax)."""

    def rule(op: Op, inputs: Operands, out: Shape) -> int:
        macs, scores = work(op, inputs, out)
        return 2 * macs + 3 * scores

    return rule


def gated_delta(op: Op, inputs: Operands, out: Shape) -> int:
    """Per token: the state (D, Dv) of each head is read by its queries, and a product of key and value is added.

    A delta rule reads it once more, with the key. The output is (tokens, H, Dv), the state (B, H, Dv, D).
    """
    tokens, reading, value = out
    heads = inputs[6][1] if 6 in inputs else inputs[2][1]
    key = inputs[6][-1] if 6 in inputs else inputs[1][-1]
    looked_up = heads if "delta" in str(op.get("update_rule", "gated_delta")) else 0
    return tokens * key * value * (heads + looked_up + reading)


# --- experts, recurrent layers, transforms ---


def experts(*weights: int) -> Rule:
    """Products of the k experts that each row is sent to; the matrices (E, N, K) of all experts are in ``weights``."""

    def rule(op: Op, inputs: Operands, out: Shape) -> int:
        one = sum(prod(inputs[slot][1:]) for slot in weights if slot in inputs)
        return prod(inputs[0][:-1]) * _positive(op, "k") * one

    return rule


def dynamic_lstm_macs(op: Op, inputs: Operands, out: Shape) -> int:
    """Products of all gates over all steps; the matrices are (directions, inputs, gates)."""
    return inputs[0][0] * inputs[0][1] * (prod(inputs[1]) + prod(inputs[2]))


def dynamic_lstm_flops(op: Op, inputs: Operands, out: Shape) -> int:
    """Twice the products, and eight per value of a gate (offsets, activation, state)."""
    gates = inputs[0][0] * inputs[0][1] * inputs[1][0] * inputs[1][2]
    return 2 * dynamic_lstm_macs(op, inputs, out) + 8 * gates


def fourier(op: Op, inputs: Operands, out: Shape) -> int:
    """Half of 5 n log2 n per signal of n real values."""
    axes = _positive(op, "signal_ndim")
    real = inputs[0] if op.kind.endswith(".Rfft") else out
    length = prod(real[-axes:])
    return prod(real[:-axes]) * 5 * length * ceil(log2(max(length, 2))) // 2


def rotary_pair(op: Op, inputs: Operands, out: Shape) -> int:
    """Sine and cosine of each angle, and three per value of queries and keys."""
    return 2 * prod(inputs[0]) + 3 * (prod(inputs[1]) + prod(inputs[3]))


# --- ai.onnx.ml: the coefficients follow the inputs ---


def linear_model(op: Op, inputs: Operands, out: Shape) -> int:
    """Rows times coefficients, one for each feature and target."""
    return _rows(inputs) * prod(inputs[1])


def support_vectors(op: Op, inputs: Operands, out: Shape) -> int:
    """Rows times support vectors (1) and their coefficients (2); a linear classifier has coefficients only."""
    return _rows(inputs) * (prod(inputs[1]) + prod(inputs[2]))


def _rows(inputs: Operands) -> int:
    return prod(inputs[0][:-1])
