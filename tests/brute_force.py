"""Products of operations, counted one by one from the arrays that a runtime made: loops, no formulas.

A multiply-add is a product of two operands that is added up, as in matrices, filters, contractions and attention.
Products of values one by one, such as scales, masks, peepholes and decays, are none.
"""

from collections import defaultdict
from itertools import product as every

import numpy as np

__all__ = ["COUNTED", "products", "shapes_of"]


def steps(*sizes):
    """All index tuples under these sizes."""
    return every(*map(range, sizes))


def count(loop):
    return sum(1 for _ in loop)


def convolution(given, x, w, y):
    """Every output value meets every value of its filter, on padding too."""
    return count((at, tap) for at in steps(*y.shape) for tap in steps(*w.shape[1:]))


def transposed_convolution(given, x, w, y):
    """Every input value is spread over all filters of its channel."""
    assert x.shape[1] == w.shape[0]
    return count((at, tap) for at in steps(*x.shape) for tap in steps(*w.shape[1:]))


def gemm(given, a, b, y):
    a, b = (a.T if given.get("transA") else a), (b.T if given.get("transB") else b)
    assert a.shape[1] == b.shape[0]
    return count((row, column, k) for row, column in steps(*y.shape) for k in range(len(b)))


def matrix_product(given, a, b, y):
    inner = a.shape[-1]
    assert inner == (b.shape[-2] if b.ndim > 1 else len(b))
    return count((at, k) for at in steps(*y.shape) for k in range(inner))


def einsum(given, *operands):
    """Operands meet from the left, two at a time; labels that nothing reads later are added up at once."""
    *operands, y = operands
    left, arrow, right = given["equation"].replace(" ", "").partition("->")
    terms = [spelled(term, operand.ndim) for term, operand in zip(left.split(","), operands, strict=True)]
    size = {}
    for term, operand in zip(terms, operands, strict=True):
        for label, length in zip(term, operand.shape, strict=True):
            size[label] = max(size.get(label, 1), length)
    if not arrow:
        flat = "".join(terms)
        right = "".join(sorted(label for label in set(flat) if flat.count(label) == 1 and label.islower()))
        right = "".join(sorted(label for label in set(flat) if label.isupper())) + right
    kept, done, total = set(spelled(right, y.ndim)), set(terms[0]), 0
    for number, term in enumerate(terms[1:], 1):
        both = sorted(done | set(term))
        total += count(steps(*(size[label] for label in both)))
        done = {label for label in both if label in kept or any(label in later for later in terms[number + 1 :])}
    return total


def spelled(term, rank):
    """The labels of a term; axes under its ellipsis are capitals, the last of them Z."""
    before, dots, after = term.partition("...")
    assert term == term.lower()
    wide = rank - len(before) - len(after) if dots else 0
    return before + "".join(chr(ord("Z") - k) for k in reversed(range(wide))) + after


def attention(given, q, k, v, past, y):
    """Every query of every head meets every key, new and past: one product of queries and keys, one with the values."""
    heads = q.shape[1] if q.ndim == 4 else given["q_num_heads"]
    kept = k.shape[1] if k.ndim == 4 else given["kv_num_heads"]
    wide = q.shape[3] if q.ndim == 4 else q.shape[2] // heads
    deep = v.shape[3] if v.ndim == 4 else v.shape[2] // kept
    keys = k.shape[-2] + (0 if past is None else past.shape[2])
    assert y.size == q.shape[0] * heads * q.shape[-2] * deep
    meetings = count(steps(q.shape[0], heads, q.shape[-2], keys))
    return count((pair, at) for pair in range(meetings) for at in range(wide + deep))


def recurrent(given, x, w, r, p, y):
    """At every step of every sequence each row of the gates meets the input and the state."""
    total = 0
    for _ in steps(*x.shape[:2]):
        for direction in range(len(w)):
            total += count(steps(*w[direction].shape)) + count(steps(*r[direction].shape))
    return total


def linear_attention(given, q, k, v, y):
    """Per token and kept head one outer product, and where the rule is delta one look-up; per query head one read."""
    heads, kept = given["q_num_heads"], given["kv_num_heads"]
    wide, deep = k.shape[2] // kept, v.shape[2] // kept
    passes = kept + (kept if "delta" in given.get("update_rule", "gated_delta") else 0) + heads
    return count(steps(*q.shape[:2], passes, wide, deep))


def causal_convolution(given, x, w, y):
    return count((at, tap) for at in steps(*y.shape) for tap in steps(*w.shape[1:]))


# kind -> (loop, slots of its operands); None stands for an operand that is not there
COUNTED = {
    **dict.fromkeys(("Conv", "ConvInteger", "DeformConv"), (convolution, (0, 1))),
    "QLinearConv": (convolution, (0, 3)),
    "ConvTranspose": (transposed_convolution, (0, 1)),
    "Gemm": (gemm, (0, 1)),
    **dict.fromkeys(("MatMul", "MatMulInteger"), (matrix_product, (0, 1))),
    "QLinearMatMul": (matrix_product, (0, 3)),
    "Einsum": (einsum, None),
    "Attention": (attention, (0, 1, 2, 4)),
    "FlexAttention": (attention, (0, 1, 2, 9)),
    **dict.fromkeys(("LSTM", "GRU", "RNN"), (recurrent, (0, 1, 2, 8))),
    "LinearAttention": (linear_attention, (0, 1, 2)),
    "CausalConvWithState": (causal_convolution, (0, 1)),
}


def products(kind, given, operands, result):
    """Number of products of one operation that ran; 0 where the kind has none.

    given:    attributes by name
    operands: arrays by slot, None where there is none
    result:   its first output
    """
    if kind not in COUNTED:
        return 0
    loop, slots = COUNTED[kind]
    chosen = range(len(operands)) if slots is None else slots
    return loop(given, *(operands[slot] if slot < len(operands) else None for slot in chosen), np.asarray(result))


def shapes_of(imported):
    """Name of a node -> the shapes of its outputs by index, as they were read; those of a Split have no index."""
    found = defaultdict(dict)
    for op, name in zip(imported.architecture.ops, imported.names, strict=True):
        if op.kind == "Take":
            found[name][op.get("index")] = op.shape
        elif op.kind != "Input":
            found[name][0] = op.shape
    return found
