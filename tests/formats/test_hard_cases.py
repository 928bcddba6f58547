"""Small inputs whose counts other tools got wrong; the right values were worked out by hand."""

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from narformer.errors import BadArchitecture
from narformer.formats.onnx_reader import read_onnx
from narformer.network import cost, fingerprint


def file(nodes, inputs, weights=(), opset=23, outputs=("y",)):
    """The bytes of a model; inputs: name -> shape, weights: name -> array."""
    types = {"ids": TensorProto.INT64}
    ends = [helper.make_tensor_value_info(n, types.get(n, TensorProto.FLOAT), shape) for n, shape in inputs.items()]
    out = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
    stored = [numpy_helper.from_array(array, name) for name, array in dict(weights).items()]
    graph = helper.make_graph(nodes, "hard", ends, out, stored)
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString()


def real(*shape):
    return np.ones(shape, np.float32)


def test_a_tied_table_counts_once():
    nodes = [
        helper.make_node("Gather", ["w", "ids"], ["e"]),
        helper.make_node("Transpose", ["w"], ["t"], perm=[1, 0]),
        helper.make_node("MatMul", ["e", "t"], ["y"]),
    ]
    counted = cost(read_onnx(file(nodes, {"ids": (1, 16)}, {"w": real(1000, 64)})).architecture)
    assert (counted.params, counted.macs, counted.stored_bytes) == (64_000, 1_024_000, 256_000)


def test_attention_meets_the_keys_of_the_past():
    node = helper.make_node("Attention", ["q", "k", "v", "", "pk", "pv"], ["y", "k2", "v2"])
    new, past = (1, 8, 1, 64), (1, 8, 1023, 64)
    data = file([node], {"q": new, "k": new, "v": new, "pk": past, "pv": past})
    assert cost(read_onnx(data).architecture).macs == 1_048_576


def test_learned_queries_attend_to_computed_keys():
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["kv"]),
        helper.make_node("Split", ["kv"], ["k", "v"], axis=-1, num_outputs=2),
        helper.make_node("Reshape", ["k", "heads"], ["k4"]),
        helper.make_node("Reshape", ["v", "heads"], ["v4"]),
        helper.make_node("Transpose", ["k4"], ["kh"], perm=[0, 2, 1, 3]),
        helper.make_node("Transpose", ["v4"], ["vh"], perm=[0, 2, 1, 3]),
        helper.make_node("Attention", ["q", "kh", "vh"], ["y"]),
    ]
    weights = {"w": real(64, 128), "q": real(1, 4, 8, 16), "heads": np.array([1, 256, 4, 16])}
    counted = cost(read_onnx(file(nodes, {"x": (1, 256, 64)}, weights)).architecture)
    assert (counted.macs, counted.params) == (2_359_296, 64 * 128 + 8 * 64)


def test_masks_are_no_parameters():
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["a"]),
        helper.make_node("Add", ["a", "b"], ["c"]),
        helper.make_node("Transpose", ["c"], ["t"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["c", "t"], ["s"]),
        helper.make_node("Where", ["mask", "s", "low"], ["y"]),
    ]
    weights = {"w": real(64, 64), "b": real(64), "mask": np.ones((16, 16), bool), "low": np.float32(-1e9)}
    counted = cost(read_onnx(file(nodes, {"x": (1, 16, 64)}, weights)).architecture)
    assert (counted.params, counted.constants) == (4_160, 257)


@pytest.mark.parametrize(
    ("equation", "shapes", "weight", "macs"),
    [
        ("bij,jk->bik", [(1, 16, 64)], (64, 64), 65_536),
        ("bij,bjk->bik", [(1, 16, 64)], (1, 64, 64), 65_536),
        ("...d,de->...e", [(2, 8, 64)], (64, 64), 65_536),
        ("bihd,bjhd->bhij", [(1, 4, 2, 8), (1, 4, 2, 8)], None, 2 * 4 * 4 * 8),
        ("ij->ji", [(3, 4)], None, 0),
        ("i,j", [(3,), (4,)], None, 12),
        ("ab,bc,cd->ad", [(2, 3), (3, 4), (4, 5)], None, 2 * 3 * 4 + 2 * 4 * 5),
    ],
)
def test_an_einsum_counts_its_contraction(equation, shapes, weight, macs):
    inputs = {f"x{k}": shape for k, shape in enumerate(shapes)}
    names = [*inputs, *(["w"] if weight else [])]
    data = file(
        [helper.make_node("Einsum", names, ["y"], equation=equation)], inputs, {"w": real(*weight)} if weight else {}
    )
    counted = cost(read_onnx(data).architecture)
    assert not counted.unknown
    assert (counted.macs, counted.params) == (macs, 4096 if weight else 0)


def linear():
    nodes = [helper.make_node("Gemm", ["x", "w", "b"], ["y"], transB=1)]
    return file(nodes, {"x": (-1, 10)}, {"w": real(5, 10), "b": real(5)})


def test_a_batch_of_minus_one_is_bound_by_the_user():
    assert cost(read_onnx(linear(), inputs={"x": (1, 10)}).architecture).macs == 50
    with pytest.raises(BadArchitecture, match="--input x:"):
        read_onnx(linear())


def test_a_view_of_another_number_of_values_is_refused():
    entry = helper.make_tensor_value_info("x", TensorProto.FLOAT, ("batch", 8, 8))
    shape = numpy_helper.from_array(np.array([1, 64]), "s")
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph([helper.make_node("Reshape", ["x", "s"], ["y"])], "view", [entry], [out], [shape])
    data = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]).SerializeToString()
    with pytest.raises(BadArchitecture, match=r"Reshape .*\[4, 8, 8\]"):
        read_onnx(data, {"batch": 4})
    assert read_onnx(data, {"batch": 1}).architecture.ops[-1].shape == (1, 64)


def test_shapes_are_followed_through_arithmetic_on_sizes():
    nodes = [
        helper.make_node("Shape", ["x"], ["s"]),
        helper.make_node("Gather", ["s", "first"], ["b"]),
        helper.make_node("Unsqueeze", ["b", "axis"], ["b1"]),
        helper.make_node("Concat", ["b1", "rest"], ["whole"], axis=0),
        helper.make_node("Reshape", ["x", "whole"], ["r"]),
        helper.make_node("Transpose", ["r"], ["t"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["r", "t"], ["y"]),
    ]
    weights = {"first": np.array(0), "axis": np.array([0]), "rest": np.array([-1, 4])}
    entry = {"x": ("batch", 8)}
    found = read_onnx(file(nodes, entry, weights), {"batch": 3})
    assert not found.coverage.shapeless
    assert cost(found.architecture).macs == 3 * 2 * 2 * 4


@pytest.mark.parametrize("channels", [16, 20, 24])
def test_channels_that_the_runtime_rounds_up_have_shapes(channels, tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"]),
        helper.make_node("GlobalAveragePool", ["a"], ["p"]),
        helper.make_node("Conv", ["p", "v"], ["g"]),
        helper.make_node("Mul", ["a", "g"], ["m"]),
        helper.make_node("Conv", ["m", "v"], ["y"]),
    ]
    weights = {"w": real(channels, 3, 3, 3), "v": real(channels, channels, 1, 1)}
    options = runtime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    data = file(nodes, {"x": (1, 3, 8, 8)}, weights, opset=18)
    runtime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    found, plain = read_onnx(tmp_path / "optimised.onnx"), read_onnx(data)
    assert not found.coverage.shapeless
    assert cost(found.architecture).macs >= cost(plain.architecture).macs


def test_a_cast_to_the_type_that_a_value_has_is_dropped():
    nodes = [helper.make_node("Cast", ["x"], ["c"], to=TensorProto.FLOAT), helper.make_node("Relu", ["c"], ["y"])]
    plain = [helper.make_node("Relu", ["x"], ["y"])]
    found, wanted = (read_onnx(file(n, {"x": (1, 4)})).architecture for n in (nodes, plain))
    assert fingerprint(found) == fingerprint(wanted)
