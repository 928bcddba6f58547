"""Networks whose shapes do not fit are refused exactly where ONNX Runtime refuses them."""

import numpy as np
import pytest
from onnx import helper, numpy_helper
from onnxruntime.capi import onnxruntime_pybind11_state as runtime
from random_networks import IR, described, session

from narformer.errors import BadArchitecture, BadFile
from narformer.formats.onnx_reader import read_onnx

FITS, REFUSED, BEFORE = True, False, "before"


def whole(*numbers):
    return np.array(numbers, np.int64)


def reals(*shape):
    return np.zeros(shape, np.float32)


def one(kind, *operands, outputs=1, opset=18, **attributes):
    """A model of one operation; a tuple is an input of this shape, an array is stored, None is left out."""
    return [(kind, operands, outputs, attributes)], opset


def several(*rows, opset=18):
    """A model of operations in a row: (kind, operands, attributes); BEFORE is what the operation before gives."""
    return [(kind, operands, 1, attributes) for kind, operands, attributes in rows], opset


def built(rows, opset):
    """The model, and arrays for its inputs."""
    nodes, entries, stored, feeds = [], [], [], {}
    for number, (kind, operands, outputs, attributes) in enumerate(rows):
        names = []
        for slot, operand in enumerate(operands):
            name = f"n{number}_{slot}"
            if operand is None or operand is BEFORE:
                name = nodes[-1].output[0] if operand else ""
            elif isinstance(operand, np.ndarray):
                stored.append(numpy_helper.from_array(operand, name))
            else:
                feeds[name] = reals(*operand)
                entries.append(described(name, feeds[name], operand))
            names.append(name)
        nodes.append(helper.make_node(kind, names, [f"y{number}_{k}" for k in range(outputs)], **attributes))
    ends = [helper.make_empty_tensor_value_info(name) for name in nodes[-1].output]
    graph = helper.make_graph(nodes, "shapes", entries, ends, stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=IR), feeds


def attention(*shapes, opset=23, outputs=1, **attributes):
    """Attention of (1, 2, 4, 8), or of other shapes."""
    return one("Attention", *shapes, outputs=outputs, opset=opset, **attributes)


def with_past(keys, values):
    return attention((1, 4, 4, 8), (1, 2, 5, 8), (1, 2, 5, 6), None, keys, values, outputs=3)


def recurrent(kind, *operands):
    """Two sequences of five steps of three values, with four values of state."""
    rows = 4 * {"LSTM": 4, "GRU": 3, "RNN": 1}[kind]
    return one(kind, (5, 2, 3), reals(1, rows, 3), reals(1, rows, 4), *operands, hidden_size=4)


def deformed(image, filters, moves, *operands, **attributes):
    return one("DeformConv", image, reals(*filters), moves, *operands, opset=19, **attributes)


CASES = {
    # element counts
    "reshape": (FITS, one("Reshape", (4, 8, 8), whole(4, 64))),
    "reshape to fewer": (REFUSED, one("Reshape", (4, 8, 8), whole(1, 64))),
    "reshape to more": (REFUSED, one("Reshape", (1, 8, 8), whole(4, 64))),
    "reshape, the rest": (FITS, one("Reshape", (4, 6), whole(-1, 8))),
    "reshape, no whole rest": (REFUSED, one("Reshape", (4, 6), whole(-1, 7))),
    "reshape, two rests": (REFUSED, one("Reshape", (4, 6), whole(-1, -1))),
    "reshape, size kept": (FITS, one("Reshape", (4, 6), whole(0, 2, 3))),
    "reshape, size kept of an axis that is not there": (REFUSED, one("Reshape", (4, 6), whole(4, 6, 0))),
    "reshape, size kept and too few": (REFUSED, one("Reshape", (4, 6), whole(0, 5))),
    "reshape to a scalar": (FITS, one("Reshape", (1, 1), whole())),
    "reshape of many to a scalar": (REFUSED, one("Reshape", (2, 1), whole())),
    "reshape of nothing": (FITS, one("Reshape", (0, 3), whole(3, 0), allowzero=1)),
    "reshape after a layer": (
        FITS, several(("Conv", ((2, 3, 4, 4), reals(8, 3, 1, 1)), {}), ("Reshape", (BEFORE, whole(2, 128)), {}))
    ),
    "reshape after a layer, to fewer": (
        REFUSED, several(("Conv", ((2, 3, 4, 4), reals(8, 3, 1, 1)), {}), ("Reshape", (BEFORE, whole(1, 128)), {}))
    ),
    "squeeze": (FITS, one("Squeeze", (1, 4, 1), whole(0, 2))),
    "squeeze of an axis that is not one": (REFUSED, one("Squeeze", (1, 4, 1), whole(1))),
    "squeeze of an axis that is not there": (REFUSED, one("Squeeze", (1, 4, 1), whole(3))),
    "unsqueeze": (FITS, one("Unsqueeze", (4,), whole(0, 2))),
    "unsqueeze of an axis that is not there": (REFUSED, one("Unsqueeze", (4,), whole(3))),
    "unsqueeze of an axis twice": (REFUSED, one("Unsqueeze", (4,), whole(0, 0))),
    "flatten": (FITS, one("Flatten", (2, 3, 4), axis=3)),
    "flatten at an axis that is not there": (REFUSED, one("Flatten", (2, 3, 4), axis=4)),
    # operands that are broadcast
    **{
        f"{kind} {words}": (fits, one(kind, *operands))
        for kind in ("Add", "Sub", "Mul", "Div", "Pow", "Max", "Min", "Sum", "Mean")
        for words, fits, operands in (
            ("of equal shapes", FITS, ((4, 3), (4, 3))),
            ("with a vector", FITS, ((4, 3), reals(3))),
            ("with a vector of other length", REFUSED, ((4, 3), reals(4))),
            ("of a stored vector of other length", REFUSED, (reals(4), (4, 3))),
            ("with ones", FITS, ((4, 1), (1, 3))),
            ("with a scalar", FITS, ((4, 3), reals())),
            ("of unlike shapes", REFUSED, ((2, 4, 3), (2, 5, 3))),
            ("with more axes", FITS, ((3,), reals(2, 4, 3))),
        )
    },
    "three summed": (FITS, one("Sum", (4, 3), (3,), (1, 3))),
    "three summed, the last unlike": (REFUSED, one("Sum", (4, 3), (3,), (2, 3))),
    "where": (FITS, one("Where", np.array([True, False, True]), (4, 3), (4, 1))),
    "where, unlike mask": (REFUSED, one("Where", np.array([True, False]), (4, 3), (4, 3))),
    "where, unlike values": (REFUSED, one("Where", np.array([True]), (4, 3), (2, 3))),
    "prelu per channel": (FITS, one("PRelu", (2, 4, 5), reals(4, 1))),
    "prelu, unlike channels": (REFUSED, one("PRelu", (2, 4, 5), reals(3, 1))),
    "prelu, more axes": (FITS, one("PRelu", (4, 5), reals(2, 4, 5))),
    "prelu, as many slopes as channels, not values": (REFUSED, one("PRelu", (2, 16, 4, 8), reals(16))),
    "prelu, as many slopes as values": (FITS, one("PRelu", (2, 16, 4, 8), reals(8))),
    "prelu, one slope for each channel and value": (FITS, one("PRelu", (2, 16, 4, 8), reals(16, 1, 8))),
    "greater": (FITS, one("Greater", (4, 3), reals(3))),
    "greater, unlike": (REFUSED, one("Greater", (4, 3), reals(2))),
    "expand": (FITS, one("Expand", (3, 1), whole(2, 3, 4))),
    "expand to one": (FITS, one("Expand", (3, 4), whole(1, 1))),
    "expand of no one": (REFUSED, one("Expand", (3, 2), whole(3, 4))),
    "tile": (FITS, one("Tile", (3, 2), whole(2, 2))),
    "tile with too few repeats": (REFUSED, one("Tile", (3, 2), whole(2))),
    # products
    "gemm": (FITS, one("Gemm", (4, 6), reals(6, 5), reals(5))),
    "gemm of unlike lengths": (REFUSED, one("Gemm", (4, 6), reals(7, 5))),
    "gemm, turned": (FITS, one("Gemm", (4, 6), reals(5, 6), transB=1)),
    "gemm, turned, of unlike lengths": (REFUSED, one("Gemm", (4, 6), reals(6, 5), transB=1)),
    "gemm, first turned": (FITS, one("Gemm", (6, 4), reals(6, 5), transA=1)),
    "gemm, first turned, of unlike lengths": (REFUSED, one("Gemm", (4, 6), reals(6, 5), transA=1)),
    "gemm, bias per row": (FITS, one("Gemm", (4, 6), reals(6, 5), reals(4, 1))),
    "gemm, bias of other length": (REFUSED, one("Gemm", (4, 6), reals(6, 5), reals(4))),
    "gemm, bias of more rows": (REFUSED, one("Gemm", (1, 6), reals(6, 5), reals(4, 5))),
    "gemm of a value with three axes": (REFUSED, one("Gemm", (2, 4, 6), reals(6, 5))),
    "gemm of two values": (FITS, one("Gemm", (4, 6), (6, 5))),
    "gemm of two values of unlike lengths": (REFUSED, one("Gemm", (4, 6), (4, 6))),
    "matmul": (FITS, one("MatMul", (2, 4, 6), reals(6, 5))),
    "matmul of unlike lengths": (REFUSED, one("MatMul", (2, 4, 6), reals(4, 5))),
    "matmul, stored first": (FITS, one("MatMul", reals(5, 4), (2, 4, 6))),
    "matmul, stored first, of unlike lengths": (REFUSED, one("MatMul", reals(5, 6), (2, 4, 6))),
    "matmul with a vector": (FITS, one("MatMul", (2, 4, 6), reals(6))),
    "matmul with a vector of other length": (REFUSED, one("MatMul", (2, 4, 6), reals(4))),
    "matmul, batches broadcast": (FITS, one("MatMul", (2, 1, 4, 6), (3, 6, 5))),
    "matmul, unlike batches": (REFUSED, one("MatMul", (2, 4, 6), (3, 6, 5))),
    "matmul of a scalar": (REFUSED, one("MatMul", (4, 6), reals())),
    "einsum": (FITS, one("Einsum", (4, 6), reals(6, 5), equation="ij,jk->ik")),
    "einsum, unlike sizes under a label": (REFUSED, one("Einsum", (4, 6), reals(7, 5), equation="ij,jk->ik")),
    "einsum, too few labels": (REFUSED, one("Einsum", (2, 4, 6), reals(6, 5), equation="ij,jk->ik")),
    "einsum, too few operands": (REFUSED, one("Einsum", (4, 6), equation="ij,jk->ik")),
    # windows
    "conv": (FITS, one("Conv", (1, 6, 8, 8), reals(4, 6, 3, 3), reals(4))),
    "conv, unlike channels": (REFUSED, one("Conv", (1, 5, 8, 8), reals(4, 6, 3, 3))),
    "conv in groups": (FITS, one("Conv", (1, 6, 8, 8), reals(4, 3, 3, 3), group=2)),
    "conv in groups, unlike channels": (REFUSED, one("Conv", (1, 6, 8, 8), reals(4, 6, 3, 3), group=2)),
    "conv in groups that do not divide the filters": (REFUSED, one("Conv", (1, 6, 8, 8), reals(5, 3, 3, 3), group=2)),
    "conv, unlike axes": (REFUSED, one("Conv", (1, 6, 8), reals(4, 6, 3, 3))),
    "conv, kernel of another shape": (REFUSED, one("Conv", (1, 6, 8, 8), reals(4, 6, 3, 3), kernel_shape=[5, 5])),
    "conv, unlike bias": (REFUSED, one("Conv", (1, 6, 8, 8), reals(4, 6, 3, 3), reals(5))),
    "conv, kernel larger than the image": (REFUSED, one("Conv", (1, 6, 2, 2), reals(4, 6, 3, 3))),
    "conv, kernel as large as the padded image": (
        FITS, one("Conv", (1, 6, 2, 2), reals(4, 6, 3, 3), pads=[1, 1, 0, 0])
    ),
    "conv, pads of too few axes": (REFUSED, one("Conv", (1, 6, 8, 8), reals(4, 6, 3, 3), pads=[1, 1])),
    "conv, strides of too few axes": (REFUSED, one("Conv", (1, 6, 8, 8), reals(4, 6, 3, 3), strides=[1])),
    "moved conv": (FITS, deformed((1, 6, 8, 8), (4, 6, 3, 3), (1, 18, 6, 6), reals(4), (1, 9, 6, 6))),
    "moved conv in groups": (FITS, deformed((1, 6, 8, 8), (4, 3, 3, 3), (1, 36, 6, 6), group=2, offset_group=2)),
    **{
        f"moved conv, {words}": (REFUSED, deformed(*operands, **attributes))
        for words, operands, attributes in (
            ("unlike channels", ((1, 5, 8, 8), (4, 6, 3, 3), (1, 18, 6, 6)), {}),
            ("too few moves", ((1, 6, 8, 8), (4, 6, 3, 3), (1, 9, 6, 6)), {}),
            ("moves of another image", ((1, 6, 8, 8), (4, 6, 3, 3), (1, 18, 8, 8)), {}),
            ("moves of another batch", ((2, 6, 8, 8), (4, 6, 3, 3), (1, 18, 6, 6)), {}),
            ("moves for one group", ((1, 6, 8, 8), (4, 6, 3, 3), (1, 18, 6, 6)), {"offset_group": 2}),
            ("channels without whole groups", ((1, 6, 8, 8), (4, 6, 3, 3), (1, 72, 6, 6)), {"offset_group": 4}),
            ("filters without whole groups", ((1, 6, 8, 8), (5, 3, 3, 3), (1, 18, 6, 6)), {"group": 2}),
            ("unlike bias", ((1, 6, 8, 8), (4, 6, 3, 3), (1, 18, 6, 6), reals(5)), {}),
            ("unlike mask", ((1, 6, 8, 8), (4, 6, 3, 3), (1, 18, 6, 6), None, (1, 8, 6, 6)), {}),
            ("another kernel", ((1, 6, 8, 8), (4, 6, 3, 3), (1, 18, 6, 6)), {"kernel_shape": [5, 5]}),
        )
    },
    "transposed conv": (FITS, one("ConvTranspose", (1, 6, 4, 4), reals(6, 3, 2, 2))),
    "transposed conv, unlike channels": (REFUSED, one("ConvTranspose", (1, 5, 4, 4), reals(6, 3, 2, 2))),
    "transposed conv in groups": (FITS, one("ConvTranspose", (1, 6, 4, 4), reals(6, 3, 2, 2), reals(6), group=2)),
    "transposed conv, unlike bias": (REFUSED, one("ConvTranspose", (1, 6, 4, 4), reals(6, 3, 2, 2), reals(4))),
    "max pool": (FITS, one("MaxPool", (1, 2, 4, 4), kernel_shape=[2, 2])),
    "max pool, kernel of too many axes": (REFUSED, one("MaxPool", (1, 2, 4), kernel_shape=[2, 2])),
    "max pool larger than the image": (REFUSED, one("MaxPool", (1, 2, 2, 2), kernel_shape=[4, 4])),
    **{
        f"{kind} {kernel} of 2 by {stride}, {attributes}": (
            fits, one(kind, (1, 2, 2, 6), kernel_shape=[kernel, 2], strides=[stride, 1], **attributes, opset=22)
        )
        for kind in ("MaxPool", "AveragePool", "LpPool")
        for kernel, stride, attributes, fits in (
            (3, 1, {}, FITS), (4, 1, {}, REFUSED), (3, 2, {}, FITS), (5, 2, {}, FITS), (6, 2, {}, REFUSED),
            (3, 1, {"ceil_mode": 1}, FITS), (4, 1, {"ceil_mode": 1}, REFUSED), (5, 2, {"ceil_mode": 1}, FITS),
            (6, 2, {"ceil_mode": 1}, REFUSED), (5, 1, {"pads": [1, 0, 1, 0]}, FITS),
            (6, 1, {"pads": [1, 0, 1, 0]}, REFUSED), (3, 1, {"auto_pad": "VALID"}, FITS),
            (4, 1, {"auto_pad": "VALID"}, REFUSED), (2, 1, {"dilations": [2, 1]}, FITS),
            (2, 1, {"dilations": [3, 1]}, REFUSED), (9, 1, {"auto_pad": "SAME_UPPER"}, FITS),
        )
    },
    **{
        f"conv of {shape[2:]}, {attributes}": (fits, one("Conv", shape, reals(*filters), **attributes))
        for shape, filters, attributes, fits in (
            ((1, 1, 2, 2), (1, 1, 3, 3), {"strides": [2, 2]}, REFUSED),
            ((1, 1, 2, 6), (1, 1, 3, 3), {"strides": [9, 9]}, REFUSED),
            ((1, 1, 2), (1, 1, 3), {"strides": [2]}, REFUSED),
            ((1, 1, 2), (1, 1, 3), {"strides": [2], "auto_pad": "VALID"}, REFUSED),
            ((1, 1, 2), (1, 1, 3), {"strides": [2], "auto_pad": "SAME_LOWER"}, FITS),
            ((1, 1, 2), (1, 1, 2), {"dilations": [2], "strides": [2]}, REFUSED),
        )
    },
    # norms
    "batch norm": (FITS, one("BatchNormalization", (2, 4, 5), *[reals(4)] * 4)),
    "batch norm, unlike channels": (REFUSED, one("BatchNormalization", (2, 4, 5), *[reals(5)] * 4)),
    "batch norm, one unlike": (REFUSED, one("BatchNormalization", (2, 4, 5), *[reals(4)] * 3, reals(3))),
    "layer norm": (FITS, one("LayerNormalization", (2, 4, 5), reals(5), reals(5))),
    "layer norm, unlike scale": (REFUSED, one("LayerNormalization", (2, 4, 5), reals(4), reals(4))),
    "layer norm, unlike offset": (REFUSED, one("LayerNormalization", (2, 4, 5), reals(5), reals(4))),
    "layer norm over two axes": (FITS, one("LayerNormalization", (2, 4, 5), reals(4, 5), axis=1)),
    "instance norm": (FITS, one("InstanceNormalization", (2, 4, 5), reals(4), reals(4))),
    "instance norm, unlike channels": (REFUSED, one("InstanceNormalization", (2, 4, 5), reals(5), reals(5))),
    "group norm": (FITS, one("GroupNormalization", (2, 4, 5), reals(4), reals(4), num_groups=2, opset=21)),
    "group norm, groups do not divide": (
        REFUSED, one("GroupNormalization", (2, 4, 5), reals(4), reals(4), num_groups=3, opset=21)
    ),
    # recurrence and attention
    "lstm": (FITS, one("LSTM", (5, 1, 3), reals(1, 16, 3), reals(1, 16, 4), reals(1, 32), hidden_size=4)),
    "lstm, unlike inputs": (REFUSED, one("LSTM", (5, 1, 3), reals(1, 16, 2), reals(1, 16, 4), hidden_size=4)),
    "lstm, unlike state": (REFUSED, one("LSTM", (5, 1, 3), reals(1, 16, 3), reals(1, 16, 5), hidden_size=4)),
    "lstm, unlike rows": (REFUSED, one("LSTM", (5, 1, 3), reals(1, 12, 3), reals(1, 16, 4), hidden_size=4)),
    "lstm in two directions with weights for one": (
        REFUSED, one("LSTM", (5, 1, 3), reals(1, 16, 3), reals(1, 16, 4), hidden_size=4, direction="bidirectional")
    ),
    "gru": (FITS, one("GRU", (5, 1, 3), reals(1, 12, 3), reals(1, 12, 4), hidden_size=4)),
    "gru, unlike inputs": (REFUSED, one("GRU", (5, 1, 3), reals(1, 12, 2), reals(1, 12, 4), hidden_size=4)),
    **{
        f"{kind}, {words}": (fits, recurrent(kind, *operands))
        for kind, wide in (("LSTM", 32), ("GRU", 24), ("RNN", 8))
        for words, fits, operands in (
            ("offsets", FITS, (reals(1, wide),)),
            ("half the offsets", REFUSED, (reals(1, wide // 2),)),
            ("offsets without directions", REFUSED, (reals(wide),)),
            ("lengths", FITS, (None, np.array([5, 3], np.int32))),
            ("too few lengths", REFUSED, (None, np.array([5], np.int32))),
            ("first states", FITS, (None, None, reals(1, 2, 4))),
            ("first states of another batch", REFUSED, (None, None, reals(1, 1, 4))),
            ("first states of another width", REFUSED, (None, None, reals(1, 2, 5))),
            ("first states for two directions", REFUSED, (None, None, (2, 2, 4))),
        )
    },
    "lstm, cells": (FITS, recurrent("LSTM", None, None, None, reals(1, 2, 4), reals(1, 12))),
    "lstm, cells of another batch": (REFUSED, recurrent("LSTM", None, None, None, reals(1, 1, 4))),
    "lstm, too few peepholes": (REFUSED, recurrent("LSTM", None, None, None, None, reals(1, 8))),
    "lstm, weights without directions": (
        REFUSED, one("LSTM", (5, 2, 3), reals(16, 3), reals(16, 4), hidden_size=4)
    ),
    "attention of rows": (FITS, attention((1, 4, 16), (1, 5, 8), (1, 5, 6), q_num_heads=4, kv_num_heads=2)),
    **{
        f"attention of rows, {words}": (REFUSED, attention(*shapes, q_num_heads=heads, kv_num_heads=2))
        for words, heads, shapes in (
            ("queries without whole heads", 2, ((1, 4, 9), (1, 5, 8), (1, 5, 8))),
            ("keys without whole heads", 2, ((1, 4, 8), (1, 5, 9), (1, 5, 8))),
            ("values without whole heads", 2, ((1, 4, 8), (1, 5, 8), (1, 5, 9))),
            ("heads of unlike sizes", 2, ((1, 4, 8), (1, 5, 6), (1, 5, 6))),
            ("heads without whole groups", 3, ((1, 4, 24), (1, 5, 16), (1, 5, 16))),
            ("unlike batches", 2, ((1, 4, 8), (2, 5, 8), (2, 5, 8))),
            ("unlike keys and values", 2, ((1, 4, 8), (1, 5, 8), (1, 6, 8))),
        )
    },
    "attention in groups": (FITS, attention((1, 4, 4, 8), (1, 2, 5, 8), (1, 2, 5, 8))),
    "attention, heads without whole groups": (REFUSED, attention((1, 3, 4, 8), (1, 2, 5, 8), (1, 2, 5, 8))),
    "attention, unlike heads of values": (REFUSED, attention((1, 2, 4, 8), (1, 2, 5, 8), (1, 1, 5, 8))),
    "attention, other heads than are stated": (
        REFUSED, attention((1, 2, 4, 8), (1, 2, 5, 8), (1, 2, 5, 8), q_num_heads=4)
    ),
    "attention of rows and heads": (
        REFUSED, attention((1, 2, 4, 8), (1, 5, 16), (1, 5, 16), q_num_heads=2, kv_num_heads=2)
    ),
    **{
        f"attention with a mask {list(shape)}": (
            fits, attention((2, 2, 4, 8), (2, 2, 5, 8), (2, 2, 5, 8), reals(*shape), opset=opset)
        )
        for opset in (23, 24)
        for fits, shape in (
            (FITS, (4, 5)), (FITS, (2, 4, 5)), (FITS, (2, 1, 4, 5)), (FITS, (1, 2, 4, 5)), (REFUSED, (4, 6)),
            (REFUSED, (3, 5)), (REFUSED, (3, 4, 5)), (REFUSED, (2, 3, 4, 5)), (REFUSED, (3, 2, 4, 5)),
        )
    },
    "attention with a past": (FITS, with_past((1, 2, 3, 8), (1, 2, 3, 6))),
    "attention, unlike past": (REFUSED, with_past((1, 2, 3, 8), (1, 2, 4, 6))),
    "attention, past of other heads": (REFUSED, with_past((1, 4, 3, 8), (1, 4, 3, 6))),
    "attention, past keys of another size": (REFUSED, with_past((1, 2, 3, 6), (1, 2, 3, 6))),
    "attention, past values of another size": (REFUSED, with_past((1, 2, 3, 8), (1, 2, 3, 8))),
    "attention, past of another batch": (REFUSED, with_past((2, 2, 3, 8), (2, 2, 3, 6))),
    "attention": (FITS, one("Attention", (1, 2, 4, 8), (1, 2, 5, 8), (1, 2, 5, 6), opset=23)),
    "attention, unlike queries and keys": (
        REFUSED, one("Attention", (1, 2, 4, 8), (1, 2, 5, 6), (1, 2, 5, 6), opset=23)
    ),
    "attention, unlike keys and values": (
        REFUSED, one("Attention", (1, 2, 4, 8), (1, 2, 5, 8), (1, 2, 6, 8), opset=23)
    ),
    # parts
    "concat": (FITS, one("Concat", (2, 3), (2, 4), axis=1)),
    "concat of unlike sizes": (REFUSED, one("Concat", (2, 3), (3, 4), axis=1)),
    "concat of a value and a stored one": (FITS, one("Concat", (2, 3), reals(1, 3), axis=0)),
    "concat of a value and an unlike stored one": (REFUSED, one("Concat", (2, 3), reals(1, 4), axis=0)),
    "concat of unlike ranks": (REFUSED, one("Concat", (2, 3), (2, 3, 1), axis=1)),
    "concat on an axis that is not there": (REFUSED, one("Concat", (2, 3), (2, 3), axis=2)),
    "split": (FITS, one("Split", (2, 6), whole(2, 4), outputs=2, axis=1)),
    "split of other sum": (REFUSED, one("Split", (2, 6), whole(2, 3), outputs=2, axis=1)),
    "split into more than there are": (REFUSED, one("Split", (2, 6), whole(2, 5), outputs=2, axis=1)),
    "split in equal parts": (FITS, one("Split", (2, 7), outputs=2, axis=1, num_outputs=2)),
    "slice": (FITS, one("Slice", (4, 6), whole(1), whole(100), whole(1))),
    "slice of an axis that is not there": (REFUSED, one("Slice", (4, 6), whole(1), whole(2), whole(2))),
    "slice, unlike lists": (REFUSED, one("Slice", (4, 6), whole(1), whole(2, 3), whole(1))),
    "gather": (FITS, one("Gather", (4, 6), whole(0, -4), axis=0)),
    **{
        f"{kind} {words}": (fits, one(kind, (4, 6), np.array(index, np.int64), *new, axis=axis))
        for kind, new in (("Gather", ()), ("GatherElements", ()), ("ScatterElements", (reals(1, 2),)))
        for words, fits, axis, index in (
            ("at both ends", FITS, 0, [[3, -4]]),
            ("behind the end", REFUSED, 0, [[3, 4]]),
            ("before the start", REFUSED, 0, [[0, -5]]),
            ("at the end of the last axis", FITS, -1, [[5, 0]]),
            ("behind the end of the last axis", REFUSED, -1, [[6, 0]]),
        )
    },
    "gather of none": (FITS, one("Gather", (4, 6), np.zeros(0, np.int64))),
    "gather of elements with other axes": (REFUSED, one("GatherElements", (4, 6), whole(0, 1))),
    "gather of more elements than there are": (REFUSED, one("GatherElements", (4, 6), np.zeros((1, 7), np.int64))),
    "scatter of too few": (REFUSED, one("ScatterElements", (4, 6), np.zeros((1, 6), np.int64), reals(1, 5))),
    "gather by places": (FITS, one("GatherND", (4, 6), np.array([[3, -6]]))),
    "gather by places behind the end": (REFUSED, one("GatherND", (4, 6), np.array([[3, 6]]))),
    "gather of rows by places behind the end": (REFUSED, one("GatherND", (4, 6), np.array([[4]]))),
    "gather by places in batches": (FITS, one("GatherND", (4, 6), np.full((4, 1), 5), batch_dims=1)),
    "gather by places in batches behind the end": (REFUSED, one("GatherND", (4, 6), np.full((4, 1), 6), batch_dims=1)),
    "scatter by places": (FITS, one("ScatterND", (4, 6), np.array([[3]]), reals(1, 6))),
    "scatter by places behind the end": (REFUSED, one("ScatterND", (4, 6), np.array([[4]]), reals(1, 6))),
    "scatter by places of too few": (REFUSED, one("ScatterND", (4, 6), np.array([[3]]), reals(1, 5))),
    "gather on an axis that is not there": (REFUSED, one("Gather", (4, 6), whole(0), axis=2)),
    "transpose": (FITS, one("Transpose", (2, 3, 4), perm=[2, 0, 1])),
    "transpose of too few axes": (REFUSED, one("Transpose", (2, 3, 4), perm=[1, 0])),
    "transpose of an axis twice": (REFUSED, one("Transpose", (2, 3, 4), perm=[0, 0, 1])),
    "pad": (FITS, one("Pad", (2, 3), whole(0, 1, 0, 1))),
    "pad of too few axes": (REFUSED, one("Pad", (2, 3), whole(0, 1))),
    "reduction": (FITS, one("ReduceMean", (2, 3), whole(1))),
    "reduction of an axis that is not there": (REFUSED, one("ReduceMean", (2, 3), whole(2))),
    "softmax": (FITS, one("Softmax", (2, 3), axis=-2)),
    "softmax on an axis that is not there": (REFUSED, one("Softmax", (2, 3), axis=2)),
    "top of fewer": (FITS, one("TopK", (2, 3), whole(2), outputs=2)),
    "top of more than there are": (REFUSED, one("TopK", (2, 3), whole(4), outputs=2)),
    "depth to space": (FITS, one("DepthToSpace", (1, 8, 2, 2), blocksize=2)),
    "depth to space, channels do not divide": (REFUSED, one("DepthToSpace", (1, 6, 2, 2), blocksize=2)),
    "space to depth, image does not divide": (REFUSED, one("SpaceToDepth", (1, 2, 3, 4), blocksize=2)),
    "resize": (FITS, one("Resize", (1, 2, 4, 4), None, np.array([1, 1, 2, 2], np.float32))),
    "resize of too few axes": (REFUSED, one("Resize", (1, 2, 4, 4), None, np.array([2, 2], np.float32))),
}  # fmt: skip


def runs(model, feeds):
    """Whether ONNX Runtime makes a session of the model and runs it."""
    try:
        session(model).run(None, feeds)
    except (runtime.Fail, runtime.InvalidArgument, runtime.InvalidGraph, runtime.RuntimeException):
        return False
    return True


@pytest.mark.parametrize("name", CASES)
def test_refused_where_onnx_runtime_refuses(name):
    fits, (rows, opset) = CASES[name]
    model, feeds = built(rows, opset)
    assert runs(model, feeds) is fits
    if fits:
        ops = read_onnx(model.SerializeToString()).architecture.ops
        assert None not in [op.shape for op in ops]
        if ops[-1].kind.endswith("Pool"):
            assert ops[-1].shape == session(model).run(None, feeds)[0].shape
    else:
        with pytest.raises((BadFile, BadArchitecture)):
            read_onnx(model.SerializeToString())


@pytest.mark.parametrize("batch", [1, 4])
def test_a_size_that_is_bound_fits_or_not(batch):
    """A Reshape to one row of an input whose batch has a name."""
    (rows, opset), number = one("Reshape", (batch, 8, 8), whole(1, 64)), {"batch": batch}
    model, feeds = built(rows, opset)
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    assert runs(model, feeds) is (batch == 1)
    if batch == 1:
        assert read_onnx(model.SerializeToString(), number).architecture.ops[-1].shape == (1, 64)
    else:
        with pytest.raises((BadFile, BadArchitecture)):
            read_onnx(model.SerializeToString(), number)


def test_a_past_of_unknown_length_may_fit_a_longer_mask():
    (rows, opset) = attention((1, 2, 4, 8), (1, 2, 5, 8), (1, 2, 5, 8), reals(4, 9), (1, 2, 4, 8), (1, 2, 4, 8))
    model, _ = built(rows, opset)
    model.graph.node.insert(0, helper.make_node("Own", ["n0_4"], ["past"], domain="own"))
    model.graph.node[1].input[4] = "past"
    assert read_onnx(model.SerializeToString()).coverage.unknown == {"own.Own": 1}
