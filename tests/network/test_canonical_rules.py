"""Two ways of writing one network have one fingerprint; two networks have two."""

from math import inf

import numpy as np
import pytest
from chains import BIASED, CONV, IMAGE, Chain, kinds, unary

from narformer.network import Architecture, canonical, cost, fingerprint

FLAT = (1, 288)

SAME = {
    "a folded norm": ([CONV, ("BatchNormalization", IMAGE, {})], [BIASED]),
    "an added offset": ([CONV, ("Add", IMAGE, {"constant": 8})], [BIASED]),
    "a scale and an offset": ([CONV, ("Mul", IMAGE, {"constant": 8}), ("Add", IMAGE, {"constant": 8})], [BIASED]),
    "padding": (
        [
            ("Pad", (1, 8, 8, 8), {"mode": "constant", "pads": (0, 0, 1, 1, 0, 0, 1, 1)}),
            ("Conv", IMAGE, {"kernel_shape": (3, 3)}),
        ],
        [CONV],
    ),
    "dense": ([("Gemm", (1, 4), {"bias": 0}), ("Add", (1, 4), {"constant": 4})], [("Linear", (1, 4), {"bias": 1})]),
    "views": ([("Flatten", FLAT, {"axis": 1})], [("Reshape", (1, 8, 36), {}), ("Reshape", FLAT, {})]),
    "no view": ([("Reshape", FLAT, {}), ("Reshape", IMAGE, {}), ("Relu", IMAGE, {})], [("Relu", IMAGE, {})]),
    "relu": ([("Clip", IMAGE, {"min": 0.0})], [("Relu", IMAGE, {})]),
    "relu without an upper bound": ([("Clip", IMAGE, {"min": 0.0, "max": inf})], [("Relu", IMAGE, {})]),
    "the larger of zero": ([("Max", IMAGE, {"constant": 1, "value": 0.0})], [("Relu", IMAGE, {})]),
    "slices": (
        [
            ("Slice", (1, 8, 3, 6), {"axes": (2,), "starts": (1,), "ends": (6,), "steps": (2,)}),
            ("Slice", (1, 4, 3, 6), {"axes": (1,), "starts": (0,), "ends": (4,), "steps": (1,)}),
        ],
        [("Slice", (1, 4, 3, 6), {"axes": (1, 2), "starts": (0, 1), "ends": (4, 6), "steps": (1, 2)})],
    ),
    "a diagonal": (
        [("Einsum", (1, 8), {"equation": "n c h h -> n c"})],
        [("Einsum", (1, 8), {"equation": "ABCC->AB"})],
    ),
    "an output that is not written": (
        [("Einsum", (6, 8, 6, 1), {"equation": "zyxw"})],
        [("Einsum", (6, 8, 6, 1), {"equation": "abcd->dcba"})],
    ),
    "division": ([("Div", IMAGE, {"constant": 1, "value": 8.0})], [("Mul", IMAGE, {"constant": 1, "value": 0.125})]),
    "constants": ([("Mul", IMAGE, {"constant": 1, "value": 3.0})], [("Mul", IMAGE, {"constant": 1, "value": 2.0})]),
    "root": ([("Pow", IMAGE, {"constant": 1, "value": 0.5})], [("Sqrt", IMAGE, {})]),
    "a pool of all": (
        [("AveragePool", (1, 8, 1, 1), {"kernel_shape": (6, 6)})],
        [("ReduceMean", (1, 8, 1, 1), {"axes": (2, 3), "keepdims": 1})],
    ),
    "a mean that drops axes": (
        [("ReduceMean", (1, 8), {"axes": (2, 3), "keepdims": 0})],
        [("GlobalAveragePool", (1, 8, 1, 1), {}), ("Flatten", (1, 8), {})],
    ),
    "transpositions": (
        [
            ("Transpose", (1, 6, 6, 8), {"perm": (0, 2, 3, 1)}),
            ("Transpose", (1, 8, 6, 6), {"perm": (0, 3, 1, 2)}),
            ("Relu", IMAGE, {}),
        ],
        [("Relu", IMAGE, {})],
    ),
    "nothing": ([("Add", IMAGE, {"constant": 1, "value": 0.0}), ("Relu", IMAGE, {})], [("Relu", IMAGE, {})]),
    "a pool of one pixel": (
        [("GlobalAveragePool", (1, 8, 1, 1), {}), ("GlobalMaxPool", (1, 8, 1, 1), {}), ("Flatten", (1, 8), {})],
        [("GlobalAveragePool", (1, 8, 1, 1), {}), ("ReduceMean", (1, 8), {"axes": (2, 3), "keepdims": 0})],
    ),
    "windows of one value": (
        [
            ("AveragePool", IMAGE, {"kernel_shape": (1, 1)}),
            ("MaxPool", IMAGE, {"kernel_shape": (1, 1), "ceil_mode": 1}),
            ("Relu", IMAGE, {}),
        ],
        [("Relu", IMAGE, {})],
    ),
    "precision": (
        [("BatchNormalization", IMAGE, {"epsilon": 9.999999747378752e-06})],
        [("BatchNormalization", IMAGE, {})],
    ),
}


@pytest.mark.parametrize("name", SAME)
def test_two_ways_of_writing_one_network(name):
    one, other = (unary(*steps) for steps in SAME[name])
    assert canonical(one) == canonical(other)


OTHER = {
    "a norm of one value": (
        [("GlobalMaxPool", (1, 8, 1, 1), {}), ("ReduceL2", (1, 8, 1, 1), {"axes": (2, 3), "keepdims": 1})],
        [("GlobalMaxPool", (1, 8, 1, 1), {})],
    ),
    "windows that skip": (
        [("MaxPool", IMAGE, {"kernel_shape": (1, 1), "strides": (2, 2), "pads": (3,) * 4}), ("Relu", IMAGE, {})],
        [("Relu", IMAGE, {})],
    ),
    "less than one": ([("Max", IMAGE, {"constant": 1, "value": 1.0})], [("Relu", IMAGE, {})]),
    "slices of one axis": (
        [
            ("Slice", (1, 6, 6, 6), {"axes": (1,), "starts": (0,), "ends": (6,), "steps": (1,)}),
            ("Slice", (1, 4, 6, 6), {"axes": (1,), "starts": (2,), "ends": (6,), "steps": (1,)}),
        ],
        [("Slice", (1, 4, 6, 6), {"axes": (1,), "starts": (0,), "ends": (4,), "steps": (1,)})],
    ),
    "equations": ([("Einsum", (1, 8), {"equation": "abcc->ab"})], [("Einsum", (1, 8), {"equation": "abcd->ab"})]),
    "which relu": ([("Clip", IMAGE, {"min": 0.0, "max": 6.0})], [("Relu", IMAGE, {})]),
    "the exponent": ([("Pow", IMAGE, {"constant": 1, "value": 2.0})], [("Pow", IMAGE, {"constant": 1, "value": 3.0})]),
    "a norm before": ([("BatchNormalization", IMAGE, {}), CONV], [BIASED]),
    "reflected padding": (
        [
            ("Pad", (1, 8, 8, 8), {"mode": "reflect", "pads": (0, 0, 1, 1, 0, 0, 1, 1)}),
            ("Conv", IMAGE, {"kernel_shape": (3, 3)}),
        ],
        [CONV],
    ),
}


@pytest.mark.parametrize("name", OTHER)
def test_two_networks(name):
    one, other = (unary(*steps) for steps in OTHER[name])
    assert fingerprint(one) != fingerprint(other)


def test_a_norm_is_not_folded_where_the_convolution_is_read_twice():
    c = Chain()
    a = c("Conv", IMAGE, c.inputs[0], kernel_shape=(1, 1), bias=0)
    n = c("BatchNormalization", IMAGE, a)
    c("Add", IMAGE, a, n)
    assert kinds(c.done()) == ["Input", "Conv", "BatchNormalization", "Add"]


def test_a_square_is_a_product():
    c = Chain()
    c("Mul", IMAGE, c.inputs[0], c.inputs[0])
    assert canonical(unary(("Pow", IMAGE, {"constant": 1, "value": 2.0}))) == canonical(c.done())


def test_a_concatenation_that_another_one_alone_reads_is_part_of_it():
    def network(nested, read_twice=False):
        c = Chain()
        a, b, d = (c(kind, IMAGE, c.inputs[0]) for kind in ("Relu", "Sigmoid", "Tanh"))
        if nested:
            inner = c("Concat", (1, 16, 6, 6), b, d, axis=1)
            if read_twice:
                c("Abs", (1, 16, 6, 6), inner)
            c("Concat", (1, 24, 6, 6), a, inner, axis=1)
        else:
            c("Concat", (1, 24, 6, 6), a, b, d, axis=1)
        return c.done()

    assert kinds(network(True)) == kinds(network(False))
    assert fingerprint(network(True)) == fingerprint(network(False))
    assert kinds(network(True, read_twice=True)).count("Concat") == 2


TOKENS, HEADS = (2, 5, 8), [("Reshape", (2, 5, 2, 4), {}), ("Relu", (2, 5, 2, 4), {})]
ROWS = ("Reshape", (10, 8), {})
# Dense layers that see the tokens as rows of a matrix, and on the last axis.
BY_ROWS = {
    "back": ([ROWS, ("Gemm", (10, 4), {}), ("Reshape", (2, 5, 4), {})], [("Gemm", (2, 5, 4), {})]),
    "a bias behind": (
        [ROWS, ("Gemm", (10, 4), {"bias": 0}), ("Reshape", (2, 5, 4), {}), ("Add", (2, 5, 4), {"constant": 4})],
        [("Gemm", (2, 5, 4), {})],
    ),
    "one after the other": (
        [
            *(ROWS, ("Gemm", (10, 8), {}), ("Dropout", (10, 8), {}), ("Reshape", TOKENS, {})),
            *(ROWS, ("Gemm", (10, 4), {}), ("Reshape", (2, 5, 4), {})),
        ],
        [("Gemm", TOKENS, {}), ("Gemm", (2, 5, 4), {})],
    ),
    "heads behind": (
        [ROWS, ("Gemm", (10, 12), {}), ("Reshape", (2, 5, 3, 4), {})],
        [("Gemm", (2, 5, 12), {}), ("Reshape", (2, 5, 3, 4), {})],
    ),
    "heads before": (
        [*HEADS, ROWS, ("Gemm", (10, 4), {}), ("Reshape", (2, 5, 4), {})],
        [*HEADS, ("Reshape", TOKENS, {}), ("Gemm", (2, 5, 4), {})],
    ),
    "heads on both sides": (
        [*HEADS, ROWS, ("Gemm", (10, 12), {}), ("Reshape", (2, 5, 3, 4), {})],
        [*HEADS, ("Reshape", TOKENS, {}), ("Gemm", (2, 5, 12), {}), ("Reshape", (2, 5, 3, 4), {})],
    ),
}


@pytest.mark.parametrize("name", BY_ROWS)
def test_dense_layers_by_rows(name):
    rows, last = (unary(*steps, shape=TOKENS) for steps in BY_ROWS[name])
    form = canonical(rows)
    assert form == canonical(last) == canonical(form)
    assert cost(form).macs == cost(rows).macs


def test_rows_of_another_length_are_another_dense_layer():
    short = unary(
        ("Reshape", (20, 4), {}), ("Gemm", (20, 4), {}), ("Reshape", TOKENS, {}), ("Relu", TOKENS, {}), shape=TOKENS
    )
    assert fingerprint(short) != fingerprint(unary(("Gemm", TOKENS, {}), ("Relu", TOKENS, {}), shape=TOKENS))
    assert [op.shape for op in canonical(short).ops if op.kind == "Gemm"] == [(20, 4)]


def test_rows_that_are_read_as_they_are_stay():
    c = Chain(TOKENS)
    y = c("Gemm", (10, 4), c("Reshape", (10, 8), c.inputs[0]))
    c("Reshape", (2, 5, 4), y)
    c("Relu", (10, 4), y)
    assert [op.shape for op in canonical(c.done()).ops if op.kind == "Gemm"] == [(10, 4)]


@pytest.mark.parametrize(("gate", "kind"), [("Sigmoid", "Swish"), ("HardSigmoid", "HardSwish"), ("Tanh", "Mish")])
@pytest.mark.parametrize("turned", [False, True])
def test_gated_activations(gate, kind, turned):
    c = Chain()
    x = c.inputs[0]
    inner = c("Softplus", IMAGE, x) if gate == "Tanh" else x
    g = c(gate, IMAGE, inner, **({"alpha": 1 / 6, "beta": 0.5} if gate == "HardSigmoid" else {}))
    c("Mul", IMAGE, *((g, x) if turned else (x, g)))
    assert kinds(c.done()) == ["Input", kind]


def test_a_gate_that_is_not_its_own():
    c = Chain(IMAGE, IMAGE)
    g = c("Sigmoid", IMAGE, c.inputs[1])
    c("Mul", IMAGE, c.inputs[0], g)
    assert kinds(c.done()).count("Mul") == 1


def test_gelu_by_tanh():
    c = Chain()
    x = c.inputs[0]
    cube = c("Pow", IMAGE, x, constant=1, value=3.0)
    total = c("Add", IMAGE, x, c("Mul", IMAGE, cube, constant=1, value=0.044715))
    curve = c("Tanh", IMAGE, c("Mul", IMAGE, total, constant=1, value=0.7978845608))
    half = c("Mul", IMAGE, x, constant=1, value=0.5)
    c("Mul", IMAGE, half, c("Add", IMAGE, curve, constant=1, value=1.0))
    assert canonical(c.done()) == canonical(unary(("Gelu", IMAGE, {"approximate": "tanh"})))


def test_layer_normalisation_written_out():
    shape, row = (2, 5, 16), (2, 5, 1)
    c = Chain(shape)
    x = c.inputs[0]
    d = c("Sub", shape, x, c("ReduceMean", row, x, axes=(2,), keepdims=1))
    v = c("ReduceMean", row, c("Pow", shape, d, constant=1, value=2.0), axes=(2,), keepdims=1)
    s = c("Sqrt", row, c("Add", row, v, constant=1, value=1e-5))
    c("Add", shape, c("Mul", shape, c("Div", shape, d, s), constant=16), constant=16)
    assert canonical(c.done()) == canonical(unary(("LayerNormalization", shape, {"constant": 32}), shape=shape))


@pytest.mark.parametrize("masked", [False, True])
def test_attention_written_out(masked):
    shape, square = (1, 2, 7, 8), (1, 2, 7, 7)

    def written(fused):
        c = Chain(shape, shape, shape, square)
        q, k, v, mask = c.inputs
        if fused:
            c("Attention", shape, q, k, v, *([mask] if masked else []), is_causal=0)
        else:
            t = c("Transpose", (1, 2, 8, 7), k, perm=(0, 1, 3, 2))
            scores = c("Div", square, c("MatMul", square, q, t), constant=1, value=8**0.5)
            scores = c("Add", square, scores, mask) if masked else scores
            c("MatMul", shape, c("Softmax", square, scores, axis=-1), v)
        if not masked:
            c("Relu", square, mask)
        return c.done()

    assert canonical(written(False)) == canonical(written(True))
    assert fingerprint(written(False)) == fingerprint(written(True))


def test_operands_of_what_does_not_commute_keep_their_order():
    def pair(kind, turned):
        c = Chain((1, 4))
        r = c("Relu", (1, 4), c.inputs[0])
        operands = (r, c.inputs[0]) if turned else (c.inputs[0], r)
        c(kind, (1, 8) if kind == "Concat" else (1, 4), *operands)
        return fingerprint(c.done())

    for kind in ("Sub", "Div", "Pow", "MatMul", "Concat", "Greater"):
        assert pair(kind, False) != pair(kind, True)
    for kind in ("Add", "Mul", "Max", "Min", "And", "Equal"):
        assert pair(kind, False) == pair(kind, True)


def test_slots_survive_another_numbering():
    rng = np.random.default_rng(0)
    c = Chain((1, 4), (1, 4))
    x = list(c.inputs)
    for _ in range(30):
        a, b = rng.choice(x, 2)
        x.append(c(str(rng.choice(["Sub", "Add", "MatMul", "Relu"])), (1, 4), int(a), int(b)))
    network = c.done()
    for _ in range(10):
        order = rng.permutation(len(network)).tolist()
        place = {vertex: position for position, vertex in enumerate(order)}
        edges = [(place[i], place[j]) for i, j in network.edges]
        other = Architecture.sorted([network.ops[v] for v in order], edges, slots=network.slots)
        assert fingerprint(other) == fingerprint(network)
