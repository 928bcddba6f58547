"""Operands that ONNX Runtime's own operations cannot have: refused here where the runtime refuses them."""

import pytest
from runtime_networks import floats, given, network, run

from narformer.errors import BadFile
from narformer.formats.onnx_reader import read_onnx

CONV = {"kernel_shape": [1, 1], "activation": "Relu"}
MISFITS = {
    "fused product": ("FusedMatMul", [given(2, 3), floats(4, 5)], {}),
    "fused dense layer": ("FusedGemm", [given(2, 3), floats(4, 5)], {"activation": "Relu"}),
    "fused convolution, offsets": ("FusedConv", [given(1, 4, 3, 3), floats(6, 4, 1, 1), floats(5)], CONV),
    "fused convolution, channels": ("FusedConv", [given(1, 4, 3, 3), floats(6, 3, 1, 1)], CONV),
    "offset before an activation": ("BiasGelu", [given(2, 8), floats(7)], {}),
    "factors of a norm": ("SkipLayerNormalization", [given(1, 2, 8), given(1, 2, 8), floats(7)], {}),
    "packed attention": ("Attention", [given(1, 3, 8), floats(7, 24), floats(24)], {"num_heads": 2}),
    "heads": ("MultiHeadAttention", [given(1, 3, 8), given(1, 3, 6), given(1, 3, 8)], {"num_heads": 2}),
}
FITS = {
    "fused product": ("FusedMatMul", [given(2, 3), floats(5, 3)], {"transB": 1}),
    "fused dense layer": ("FusedGemm", [given(3, 2), floats(3, 5)], {"activation": "Relu", "transA": 1}),
    "fused convolution": ("FusedConv", [given(1, 4, 3, 3), floats(6, 2, 1, 1), floats(6)], {**CONV, "group": 2}),
    "offset before an activation": ("BiasGelu", [given(2, 8), floats(8)], {}),
    "heads": ("MultiHeadAttention", [given(1, 3, 8), given(1, 5, 8), given(1, 5, 6)], {"num_heads": 2}),
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
