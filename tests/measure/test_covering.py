"""Every operation that a runtime executes is told by the operations of the network that it does the work of."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from narformer.formats.onnx_nodes import OnnxNode, named_nodes, nodes_of
from narformer.formats.onnx_writer import to_onnx
from narformer.measure.covering import MOVES, covered
from narformer.measure.network import network
from narformer.measure.onnx_runtime import OnnxRuntime
from narformer.spaces.families import FAMILIES, TEN

RNG = np.random.default_rng(0)


def node(text):
    """'conv Conv x y' is the node conv of kind Conv that reads x and writes y; several values with commas."""
    name, kind, read, write, *then = text.split()
    return OnnxNode("" if name == "-" else name, kind, tuple(read.split(",")), tuple(write.split(",")), tuple(then))


def told(network, executed):
    """What each executed node covers, as names."""
    nodes = [node(text) for text in network]
    found = covered(nodes, [node(text) for text in executed])
    return [" ".join(nodes[i].name for i in numbers) for numbers in found]


RESIDUAL = ["c1 Conv x a", "r1 Relu a b", "c2 Conv b c", "plus Add c,b d", "r2 Relu d y"]


@pytest.mark.parametrize(
    ("network", "executed", "covers"),
    [
        pytest.param(RESIDUAL, RESIDUAL, ["c1", "r1", "c2", "plus", "r2"], id="nothing fused"),
        pytest.param(
            RESIDUAL, ["c1 Conv x b", "fused FusedConv b,b y"], ["c1 r1", "c2 plus r2"], id="fused, the last value kept"
        ),
        pytest.param(
            RESIDUAL,
            ["in ReorderInput x t0", "b_nchwc Conv t0 t1", "c_nchwc Conv t1,t1 t2 Add Relu", "out ReorderOutput t2 y"],
            ["", "c1 r1", "c2 plus r2", ""],
            id="another layout",
        ),
        pytest.param(
            RESIDUAL,
            ["b_nchwc_token_7 Conv x t1", "c_nchwc Conv t1,t1 t2 Add", "r2 Relu t2 y"],
            ["c1 r1", "c2 plus", "r2"],
            id="another layout, read by another operation",
        ),
        pytest.param(
            ["m MatMul x a", "plus Add a y"],
            ["first Reshape x t0", "m/MatMulAddFusion Gemm t0 t1", "last Reshape t1 y"],
            ["", "m plus", ""],
            id="a dense layer between reshapes",
        ),
        pytest.param(
            ["m MatMul x a", "r Relu a y"], ["other MatMul x t", "r Relu t y"], ["m r"] * 2, id="an unknown name"
        ),
        pytest.param(
            ["swish HardSwish x y"], ["- HardSigmoid x t", "- Mul x,t y"], ["swish", "swish"], id="one that became two"
        ),
        pytest.param(
            ["r Relu x a", "same Identity a b", "n Neg b y"],
            ["r Relu x a", "n Neg a y"],
            ["r", "same n"],
            id="left out",
        ),
        pytest.param(["k Constant w k", "c Cast k l", "m Mul x,l y"], ["m Mul x,l y"], ["k c m"], id="computed before"),
        pytest.param(
            ["g0 Gather x a", "g1 Gather x b"],
            ["g0/GatherSliceToSplitFusion Split x t0,t1", "s0 Squeeze t0 a", "s1 Squeeze t1 b"],
            ["g0", "", "g1"],
            id="two that became one",
        ),
    ],
)
def test_what_an_executed_node_covers(network, executed, covers):
    executed = [text.replace("Reorder", "com.microsoft.nchwc.Reorder") for text in executed]
    assert told(network, executed) == covers


def own_graph(net, folder, path=Path("it")):
    """The nodes of a network, those that ONNX Runtime executes, and what these cover."""
    net = replace(net, onnx=named_nodes(net.onnx, path))
    OnnxRuntime.write_optimised(net, folder / "own.onnx")
    nodes, executed = nodes_of(net.onnx), nodes_of((folder / "own.onnx").read_bytes())
    return nodes, executed, covered(nodes, executed)


@pytest.mark.parametrize("family", TEN)
def test_onnx_runtime_executes_every_operation_of_a_family_once(family, tmp_path):
    pytest.importorskip("onnxruntime")
    nodes, executed, covers = own_graph(network(FAMILIES[family].variant(0), RNG), tmp_path)
    places = {numbers: place for place, numbers in enumerate(covers) if numbers}
    assert sorted(number for numbers in places for number in numbers) == list(range(len(nodes)))
    for node_, numbers in zip(executed, covers, strict=True):
        assert numbers or node_.kind in MOVES, node_
        assert sum(nodes[number].kind in ("Conv", "Gemm") for number in numbers) <= 1
        if node_.kind.rpartition(".")[2] in ("Conv", "Gemm", "MaxPool", "Concat"):
            assert any(nodes[number].kind == node_.kind.rpartition(".")[2] for number in numbers)


def test_a_block_of_a_transformer(tmp_path):
    """x @ w + b, a scaled product with a transposed operand, softmax, and layer normalization in primitives."""
    pytest.importorskip("onnxruntime")
    weight = numpy_helper.from_array(RNG.standard_normal((8, 8)).astype(np.float32), "w")
    bias = numpy_helper.from_array(RNG.standard_normal(8).astype(np.float32), "b")
    scale = numpy_helper.from_array(np.array(0.35, np.float32), "scale")
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["xw"], "dense"),
        helper.make_node("Add", ["xw", "b"], ["q"], "bias"),
        helper.make_node("Transpose", ["q"], ["qt"], "turn", perm=[0, 2, 1]),
        helper.make_node("MatMul", ["q", "qt"], ["qk"], "scores"),
        helper.make_node("Mul", ["qk", "scale"], ["s"], "scaled"),
        helper.make_node("Softmax", ["s"], ["y"], "softmax"),
    ]
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in (("x", (2, 4, 8)), ("y", (2, 4, 4)))]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], [weight, bias, scale])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9).SerializeToString()
    named, executed, covers = own_graph(network(model, RNG), tmp_path)
    found = {" ".join(named[i].name for i in numbers) for numbers in covers}
    assert {"dense bias", "softmax"} <= found
    (scores,) = (numbers for numbers in covers if any(named[i].name == "scores" for i in numbers))
    assert {named[i].name for i in scores} <= {"turn", "scores", "scaled"}
    assert not [e for e, numbers in zip(executed, covers, strict=True) if not numbers and e.kind not in MOVES]


def test_every_node_gets_a_name_of_its_own():
    ops = [("", "x", "a"), ("twice", "a", "b"), ("twice", "b", "c"), ("d", "c", "d"), ("", "d", "e"), ("e", "e", "y")]
    nodes = [helper.make_node("Relu", [read], [write], name) for name, read, write in ops]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, (1, 2)) for name in "xy"]
    model = helper.make_model(helper.make_graph(nodes, "g", ends[:1], ends[1:]))
    named = nodes_of(named_nodes(model.SerializeToString()))
    assert [n.name for n in named] == ["a", "twice", "c", "d", "e", "y"]
    assert [n.outputs for n in named] == [n.outputs for n in nodes_of(model.SerializeToString())]


def test_names_are_left_where_they_are_all_different():
    data = to_onnx(FAMILIES["squeezenet"].variant(0), "none")
    assert named_nodes(data) is data


def test_functions_of_the_model_are_expanded():
    own = [helper.make_opsetid("", 18), helper.make_opsetid("own", 1)]
    body = [helper.make_node("Relu", ["a"], ["m"], "r"), helper.make_node("Neg", ["m"], ["b"], "n")]
    function = helper.make_function("own", "f", ["a"], ["b"], body, own)
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, (1, 2)) for name in "xy"]
    calls = [helper.make_node("f", [i], [o], f"call{o}", domain="own") for i, o in (("x", "z"), ("z", "y"))]
    graph = helper.make_graph(calls, "g", ends[:1], ends[1:])
    model = helper.make_model(graph, functions=[function], opset_imports=own)
    named = nodes_of(named_nodes(model.SerializeToString()))
    assert [n.kind for n in named] == ["Relu", "Neg"] * 2
    assert len({n.name for n in named}) == 4
    onnx.checker.check_model(onnx.load_from_string(named_nodes(model.SerializeToString())))


def test_a_convolution_that_adds_and_activates_says_so():
    nodes = [
        helper.make_node("FusedConv", ["x", "w", "", "z"], ["y"], "c", domain="com.microsoft", activation="Relu"),
        helper.make_node("Conv", ["x", "w"], ["v"], "d"),
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("x", "w", "z", "y", "v")]
    model = helper.make_model(helper.make_graph(nodes, "g", ends[:3], ends[3:]))
    fused, plain = nodes_of(model.SerializeToString())
    assert (fused.kind, fused.inputs, fused.then) == ("com.microsoft.FusedConv", ("x", "w", "z"), ("Add", "Relu"))
    assert (plain.kind, plain.then) == ("Conv", ())
