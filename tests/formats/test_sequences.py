"""Lists of tensors leave nothing in the network, and what loops and outputs hold of stored tensors counts."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from exporters import exported
from onnx import TensorProto, helper, numpy_helper

from narformer.formats.onnx_reader import read_onnx
from narformer.formats.torch_module import trace_module
from narformer.network import cost

node = helper.make_node


def value(name, shape=None, type_=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, type_, shape)


def model(nodes, stored, inputs=None, outputs=("y",)):
    ends = [value(name, shape) for name, shape in (inputs or {"x": (2, 4)}).items()]
    tensors = [numpy_helper.from_array(np.asarray(array), name) for name, array in stored.items()]
    graph = helper.make_graph(nodes, "sequences", ends, [value(name) for name in outputs], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10).SerializeToString()


def run(file, **inputs):
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    return session.run(None, inputs)


BUILT = {
    "constructed": [node("SequenceConstruct", ["x", "r"], ["s"])],
    "inserted": [
        node("SequenceEmpty", [], ["e"]),
        node("SequenceInsert", ["e", "x"], ["f"]),
        node("SequenceInsert", ["f", "r"], ["s"]),
    ],
    "inserted before": [
        node("SequenceEmpty", [], ["e"]),
        node("SequenceInsert", ["e", "r"], ["f"]),
        node("SequenceInsert", ["f", "x", "zero"], ["s"]),
    ],
    "erased": [
        node("SequenceConstruct", ["r", "x", "r"], ["e"]),
        node("SequenceErase", ["e", "zero"], ["s"]),
    ],
}


@pytest.mark.parametrize("name", BUILT)
@pytest.mark.parametrize("new_axis", [0, 1])
def test_a_sequence_that_is_concatenated(name, new_axis):
    nodes = [
        node("Relu", ["x"], ["r"]),
        *BUILT[name],
        node("ConcatFromSequence", ["s"], ["y"], axis=1, new_axis=new_axis),
    ]
    file = model(nodes, {"zero": np.int64(0)})
    network = read_onnx(file).architecture
    assert {op.kind for op in network.ops} == {"Input", "Relu", "ConcatFromSequence" if new_axis else "Concat"}
    x = np.array([[-1.0, 2, 3, -4]] * 2, np.float32)
    (y,) = run(file, x=x)
    assert network.ops[-1].shape == y.shape
    first = y[:, 0] if new_axis else y[:, :4]
    assert (first == x).all()
    operands = [source for _, source in sorted(network.operands()[-1])]
    assert [network.ops[source].kind for source in operands] == ["Input", "Relu"]


@pytest.mark.parametrize(("place", "kind"), [(0, "Relu"), (1, "Tanh"), (-1, "Tanh"), (-2, "Relu")])
def test_a_tensor_of_a_sequence(place, kind):
    nodes = [
        node("Relu", ["x"], ["r"]),
        node("Tanh", ["x"], ["t"]),
        node("SequenceConstruct", ["r", "t"], ["s"]),
        node("SequenceAt", ["s", "place"], ["y"]),
    ]
    network = read_onnx(model(nodes, {"place": np.int64(place)})).architecture
    assert [op.kind for op in network.ops] == ["Input", kind]


def test_a_sequence_at_a_place_that_is_not_known_is_named():
    nodes = [node("SequenceConstruct", ["x", "x"], ["s"]), node("SequenceAt", ["s", "place"], ["y"])]
    graph = onnx.load_from_string(model(nodes, {}))
    graph.graph.input.append(value("place", (), TensorProto.INT64))
    source = read_onnx(graph.SerializeToString())
    assert "SequenceConstruct" in source.coverage.unknown
    assert [op.kind for op in source.architecture.ops] == ["Input", "Input", "SequenceConstruct", "SequenceAt"]


@pytest.mark.parametrize("mode", ["sum", "mean"])
@pytest.mark.parametrize("dynamo", [True, False], ids=["dynamo", "TorchScript"])
def test_bags_of_an_embedding(mode, dynamo):
    module = torch.nn.Sequential(torch.nn.EmbeddingBag(100, 8, mode=mode), torch.nn.Linear(8, 4)).eval()
    inputs = (torch.randint(0, 99, (4, 5)),)
    counts = [
        cost(network.architecture)
        for network in (trace_module(module, inputs), read_onnx(exported(module, inputs, dynamo)))
    ]
    assert [(count.params, count.macs) for count in counts] == [(836, 128)] * 2
    assert not counts[1].unknown


def gathering_loop(trips):
    """A loop whose pass i collects row i of a stored table."""
    body = helper.make_graph(
        [node("Gather", ["table", "i"], ["row"]), node("Identity", ["go"], ["on"])],
        "body",
        [value("i", (), TensorProto.INT64), value("go", (), TensorProto.BOOL)],
        [value("on", (), TensorProto.BOOL), value("row")],
    )
    nodes = [node("Loop", ["n", "t"], ["rows"], body=body), node("Add", ["rows", "x"], ["y"])]
    stored = {"table": np.ones((100, 8), np.float32), "t": np.array(True)}
    file = model(nodes, stored | ({} if trips is None else {"n": np.int64(trips)}), {"x": (6, 8)})
    if trips is not None:
        return file
    graph = onnx.load_from_string(file)
    graph.graph.input.append(value("n", (), TensorProto.INT64))
    return graph.SerializeToString()


def test_rows_that_a_loop_collects_of_a_stored_table():
    network = read_onnx(gathering_loop(6)).architecture
    assert cost(network).params == 800
    assert network.ops[-1].shape == (6, 8)


def test_a_loop_of_unknown_length_keeps_its_table_and_what_decides_its_length():
    source = read_onnx(gathering_loop(None))
    assert cost(source.architecture).params == 800
    assert [op.kind for op in source.architecture.ops].count("Input") == 2
    assert source.coverage.unknown == {"Loop": 1}


def test_a_value_of_one_branch_is_not_the_value_of_an_if():
    branches = {
        f"{name}_branch": helper.make_graph(
            [node("Constant", [], [name], value_ints=size)], name, [], [value(name, None, 7)]
        )
        for name, size in (("then", [2, 4]), ("else", [4, 2]))
    }
    nodes = [node("If", ["c"], ["size"], **branches), node("Reshape", ["x", "size"], ["y"])]
    graph = onnx.load_from_string(model(nodes, {}))
    graph.graph.input.append(value("c", (), TensorProto.BOOL))
    network = read_onnx(graph.SerializeToString()).architecture
    assert network.ops[-1].shape is None


class Returned(torch.nn.Module):
    """A parameter that is an output as it is."""

    def __init__(self):
        super().__init__()
        self.layer, self.query = torch.nn.Linear(8, 8), torch.nn.Parameter(torch.randn(5, 8))

    def forward(self, x):
        return self.layer(x), self.query


@pytest.mark.parametrize("dynamo", [None, True, False], ids=["module", "dynamo", "TorchScript"])
def test_a_parameter_that_is_an_output_counts(dynamo):
    module, inputs = Returned().eval(), (torch.randn(2, 8),)
    network = trace_module(module, inputs) if dynamo is None else read_onnx(exported(module, inputs, dynamo))
    assert cost(network.architecture).params == 112
    assert not network.coverage.unreached
