"""Operands that ONNX Runtime's own operations cannot have: refused here where the runtime refuses them."""

import pytest
from runtime_networks import floats, given, integers, network, run

from narformer.errors import BadFile
from narformer.formats.onnx_reader import read_onnx

CONV = {"kernel_shape": [1, 1], "activation": "Relu"}
LENGTHS = [integers(4), integers(5)]
GROUPED = {"num_heads": 4, "kv_num_heads": 2, "outputs": 3}
HEADS = {"num_heads": 2}


def grouped(query, keys, values, *past, lengths=LENGTHS, **attributes):
    """Four heads of queries and two of keys."""
    past = past or (None, None)
    operands = [query, keys, values, *past]
    entries = [None if shape is None else given(*shape) for shape in operands]
    return "GroupQueryAttention", [*entries, *lengths], {**GROUPED, **attributes}


def headed(query, keys, values, *operands, **attributes):
    return "MultiHeadAttention", [given(*query), given(*keys), given(*values), *operands], {**HEADS, **attributes}


def packed(matrix, offset, *operands, **attributes):
    return "Attention", [given(1, 3, 8), floats(*matrix), floats(*offset), *operands], {**HEADS, **attributes}


ROW, KEYS, PAST = (1, 1, 32), (1, 1, 16), (1, 2, 4, 8)
MISFITS = {
    "fused product": ("FusedMatMul", [given(2, 3), floats(4, 5)], {}),
    "fused dense layer": ("FusedGemm", [given(2, 3), floats(4, 5)], {"activation": "Relu"}),
    "fused convolution, offsets": ("FusedConv", [given(1, 4, 3, 3), floats(6, 4, 1, 1), floats(5)], CONV),
    "fused convolution, channels": ("FusedConv", [given(1, 4, 3, 3), floats(6, 3, 1, 1)], CONV),
    "offset before an activation": ("BiasGelu", [given(2, 8), floats(7)], {}),
    "factors of a norm": ("SkipLayerNormalization", [given(1, 2, 8), given(1, 2, 8), floats(7)], {}),
    "packed attention": ("Attention", [given(1, 3, 8), floats(7, 24), floats(24)], {"num_heads": 2}),
    "groups, queries without whole heads": grouped((1, 5, 34), (1, 5, 16), (1, 5, 16)),
    "groups, keys of another size": grouped((1, 5, 32), (1, 5, 24), (1, 5, 24)),
    "groups, values of another size": grouped((1, 5, 32), (1, 5, 16), (1, 5, 24)),
    "groups, other keys than queries": grouped((1, 5, 32), (1, 6, 16), (1, 6, 16)),
    "groups, other keys than values": grouped((1, 5, 32), (1, 5, 16), (1, 6, 16)),
    "groups, another batch": grouped((2, 5, 32), (1, 5, 16), (1, 5, 16), lengths=[integers(4, 4), integers(5)]),
    "groups, lengths of another batch": grouped(
        (1, 5, 32), (1, 5, 16), (1, 5, 16), lengths=[integers(4, 4), integers(5)]
    ),
    "groups that do not divide the heads": grouped((1, 5, 24), (1, 5, 16), (1, 5, 16), num_heads=3),
    "groups, all in one without whole heads": grouped((1, 5, 68), None, None),
    "groups, all in one and values": grouped((1, 5, 64), None, (1, 5, 16)),
    "groups, past of other heads": grouped(ROW, KEYS, KEYS, (1, 4, 4, 8), (1, 4, 4, 8)),
    "groups, past of another size": grouped(ROW, KEYS, KEYS, (1, 2, 4, 16), (1, 2, 4, 16)),
    "groups, unlike past": grouped(ROW, KEYS, KEYS, (1, 2, 4, 8), (1, 2, 5, 8)),
    "groups, past of another batch": grouped(ROW, KEYS, KEYS, (2, 2, 4, 8), (2, 2, 4, 8)),
    "heads, unlike keys": headed((1, 3, 8), (1, 3, 6), (1, 3, 8)),
    "heads, values without whole heads": headed((1, 3, 8), (1, 5, 8), (1, 5, 7)),
    "heads, other keys than values": headed((1, 3, 8), (1, 5, 8), (1, 6, 8)),
    "heads, another batch": headed((2, 3, 8), (1, 5, 8), (1, 5, 8)),
    "heads, too few offsets": headed((1, 3, 8), (1, 5, 8), (1, 5, 8), floats(23)),
    "heads apart, keys of another size": headed((1, 3, 8), (1, 2, 5, 3), (1, 2, 5, 4)),
    "heads apart, more of them": headed((1, 3, 8), (1, 3, 5, 4), (1, 3, 5, 4)),
    "heads apart, other keys than values": headed((1, 3, 8), (1, 2, 5, 4), (1, 2, 6, 4)),
    "heads, a bias for other keys": headed((1, 3, 8), (1, 5, 8), (1, 5, 8), None, None, floats(1, 2, 3, 6)),
    "heads, past of other heads": headed(
        (1, 3, 8), (1, 3, 8), (1, 3, 8), None, None, None, given(1, 1, 4, 4), given(1, 1, 4, 4), outputs=3
    ),
    "heads, past of another size": headed(
        (1, 3, 8), (1, 3, 8), (1, 3, 8), None, None, None, given(1, 2, 4, 5), given(1, 2, 4, 5), outputs=3
    ),
    "heads, unlike past": headed(
        (1, 3, 8), (1, 3, 8), (1, 3, 8), None, None, None, given(1, 2, 4, 4), given(1, 2, 5, 4), outputs=3
    ),
    "packed attention, too few offsets": packed((8, 24), (23,)),
    "packed attention, no third of the columns": packed((8, 25), (25,)),
    "packed attention, columns without whole heads": packed((8, 27), (27,)),
    "packed attention, other columns than are stated": packed((8, 24), (24,), qkv_hidden_sizes=[8, 8, 4]),
    "packed attention, keys of another size": packed((8, 24), (24,), qkv_hidden_sizes=[8, 12, 4]),
    "packed attention, past of other heads": packed((8, 24), (24,), None, given(2, 1, 3, 5, 4), outputs=2),
    "packed attention, past of another size": packed((8, 24), (24,), None, given(2, 1, 2, 5, 5), outputs=2),
}
FITS = {
    "fused product": ("FusedMatMul", [given(2, 3), floats(5, 3)], {"transB": 1}),
    "fused dense layer": ("FusedGemm", [given(3, 2), floats(3, 5)], {"activation": "Relu", "transA": 1}),
    "fused convolution": ("FusedConv", [given(1, 4, 3, 3), floats(6, 2, 1, 1), floats(6)], {**CONV, "group": 2}),
    "offset before an activation": ("BiasGelu", [given(2, 8), floats(8)], {}),
    "groups": grouped((1, 5, 32), (1, 5, 16), (1, 5, 16)),
    "groups, all in one": grouped((1, 5, 64), None, None),
    "groups with a past": grouped(ROW, KEYS, KEYS, PAST, PAST),
    "heads": headed((1, 3, 8), (1, 5, 8), (1, 5, 6)),
    "heads with offsets": headed((1, 3, 8), (1, 5, 8), (1, 5, 6), floats(22)),
    "heads apart": headed((1, 3, 8), (1, 2, 5, 4), (1, 2, 5, 4)),
    "heads with one bias": headed((1, 3, 8), (1, 5, 8), (1, 5, 8), None, None, floats(1, 1, 3, 5)),
    "heads with a past": headed(
        (1, 3, 8), (1, 3, 8), (1, 3, 8), None, None, None, given(1, 2, 4, 4), given(1, 2, 4, 4), outputs=3
    ),
    "packed attention": packed((8, 24), (24,), None, given(2, 1, 2, 5, 4), outputs=2),
    "packed attention of stated sizes": packed((8, 20), (20,), qkv_hidden_sizes=[8, 8, 4]),
}


@pytest.mark.parametrize("name", MISFITS)
def test_operands_that_do_not_fit_are_refused(name):
    kind, operands, attributes = MISFITS[name]
    data, feed = network(kind, operands, **attributes)
    with pytest.raises(Exception, match=r"."):  # the runtime's errors have no common base
        run(data, feed)
    with pytest.raises(BadFile, match=kind):
        read_onnx(data)


@pytest.mark.parametrize("name", FITS)
def test_operands_that_fit_are_read(name):
    kind, operands, attributes = FITS[name]
    data, feed = network(kind, operands, **attributes)
    run(data, feed)
    assert not read_onnx(data).coverage.shapeless
