"""Each stored tensor counts once, whoever reads it: through nodes with several outputs, bodies and slices."""

import warnings

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from exporters import exported
from onnx import TensorProto, helper, numpy_helper

from narformer.errors import BadFile
from narformer.formats.onnx_reader import read_onnx
from narformer.network import cost, fingerprint


def real(*shape):
    return np.ones(shape, np.float32)


def value(name, shape=None, type_=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, type_, shape)


def file(nodes, inputs, weights=None, opset=18, outputs=("y",)):
    ends = [value(name, shape) for name, shape in inputs.items()]
    stored = [numpy_helper.from_array(array, name) for name, array in (weights or {}).items()]
    graph = helper.make_graph(nodes, "stored", ends, [value(name) for name in outputs], stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)]).SerializeToString()


def counted(*arguments, **options):
    return cost(read_onnx(file(*arguments, **options)).architecture)


def constant(name, array):
    return helper.make_node("Constant", [], [name], value=numpy_helper.from_array(array))


def branch(name, weight, *stored, nodes=(), x="x"):
    """A body that multiplies x by a weight."""
    product = helper.make_node("MatMul", [x, weight], [f"{name}_y"])
    return helper.make_graph([*nodes, product], name, [], [value(f"{name}_y")], stored)


def test_a_weight_that_is_split_in_the_graph():
    nodes = [
        helper.make_node("Split", ["w"], ["q", "k", "v"], axis=1, num_outputs=3),
        *(helper.make_node("MatMul", ["x", name], [f"y{name}"]) for name in "qkv"),
    ]
    found = counted(nodes, {"x": (2, 64)}, {"w": real(64, 192)}, outputs=("yq", "yk", "yv"))
    assert (found.params, found.stored_bytes, found.macs) == (64 * 192, 4 * 64 * 192, 2 * 64 * 192)


@pytest.mark.parametrize("in_node", [False, True], ids=["initializer", "Constant"])
def test_a_weight_of_a_loop_body(in_node):
    go, step = value("go", [], TensorProto.BOOL), value("k", [], TensorProto.INT64)
    nodes = [constant("w", real(8, 8))] if in_node else []
    nodes += [helper.make_node("MatMul", ["v", "w"], ["v2"]), helper.make_node("Identity", ["go"], ["go2"])]
    stored = [] if in_node else [numpy_helper.from_array(real(8, 8), "w")]
    body = helper.make_graph(
        nodes, "body", [step, go, value("v", [1, 8])], [value("go2", [], TensorProto.BOOL), value("v2")], stored
    )
    loop = helper.make_node("Loop", ["n", "", "x"], ["y"], body=body)
    found = counted([loop], {"x": (1, 8)}, {"n": np.array(5)})
    assert (found.params, found.macs) == (64, 5 * 64)


def test_the_branch_with_more_weights_is_read_where_the_condition_is_not_known():
    heavy = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["a"])], "then", [], [value("a")])
    light = [helper.make_node("Relu", [f"r{k}" if k else "x"], [f"r{k + 1}"]) for k in range(3)]
    other = helper.make_graph(light, "else", [], [value("r3")])
    node = helper.make_node("If", ["c"], ["y"], then_branch=heavy, else_branch=other)
    model = onnx.load_from_string(file([node], {"x": (2, 8)}, {"w": real(8, 8)}))
    model.graph.input.append(value("c", [], TensorProto.BOOL))
    network = read_onnx(model.SerializeToString())
    assert cost(network.architecture).params == 64
    assert network.coverage.unknown == {"If": 1}


@pytest.mark.parametrize("known", [True, False], ids=["known", "unknown"])
def test_the_weights_of_both_branches_are_counted_where_the_condition_is_not_known(known):
    """Of three nodes, with weights as initializers, in nodes, and outside; each weight once."""
    nodes = []
    for k in range(3):
        then = branch(f"then{k}", "v", numpy_helper.from_array(real(8, 8 + k), "v"))
        node = constant("w", real(8, 4)) if k else helper.make_node("Identity", ["outer"], ["w"])
        other = branch(f"else{k}", "w", nodes=[node])
        nodes.append(helper.make_node("If", ["c"], [f"y{k}"], then_branch=then, else_branch=other))
    weights = {"outer": real(8, 4)} | ({"c": np.array(True)} if known else {})
    model = onnx.load_from_string(file(nodes, {"x": (2, 8)}, weights, outputs=("y0", "y1", "y2")))
    if not known:
        model.graph.input.append(value("c", [], TensorProto.BOOL))
    network = read_onnx(model.SerializeToString())
    found = cost(network.architecture)
    assert found.params + found.constants == 8 * (8 + 9 + 10) + (0 if known else 3 * 32)
    assert network.coverage.unknown == ({} if known else {"If": 3})
    assert found.macs == 2 * 8 * (8 + 9 + 10)


def test_what_only_the_other_branch_reads_is_computed():
    """A layer before an If runs in any case."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["h"]),
        helper.make_node("If", ["c"], ["y"], then_branch=branch("then", "v"), else_branch=branch("else", "u", x="h")),
    ]
    weights = {"w": real(8, 8), "v": real(8, 9), "u": real(8, 4)}
    model = onnx.load_from_string(file(nodes, {"x": (2, 8)}, weights))
    model.graph.input.append(value("c", [], TensorProto.BOOL))
    found = cost(read_onnx(model.SerializeToString()).architecture)
    assert (found.params, found.macs) == (64 + 72 + 32, 2 * (64 + 72))


def test_weights_that_both_branches_read_and_give_twice_count_once():
    """An If of two outputs in a loop, whose branches have one weight of their own each and one from outside."""

    def two(name):
        own = numpy_helper.from_array(real(8, 8), name)
        nodes = [
            helper.make_node("MatMul", ["v", name], [f"{name}1"]),
            helper.make_node("MatMul", ["v", "w"], [f"{name}2"]),
        ]
        return helper.make_graph(nodes, name, [], [value(f"{name}1"), value(f"{name}2")], [own])

    inner = helper.make_node("If", ["c"], ["a", "b"], then_branch=two("p"), else_branch=two("q"))
    nodes = [inner, helper.make_node("Add", ["a", "b"], ["v2"]), helper.make_node("Identity", ["go"], ["go2"])]
    starts = [value("k", [], TensorProto.INT64), value("go", [], TensorProto.BOOL), value("v", [1, 8])]
    body = helper.make_graph(nodes, "body", starts, [value("go2", [], TensorProto.BOOL), value("v2")])
    loop = helper.make_node("Loop", ["n", "", "x"], ["y"], body=body)
    model = onnx.load_from_string(file([loop], {"x": (1, 8)}, {"n": np.array(3), "w": real(8, 8)}))
    model.graph.input.append(value("c", [], TensorProto.BOOL))
    found = cost(read_onnx(model.SerializeToString()).architecture)
    assert (found.params, found.macs) == (3 * 64, 3 * 2 * 64)


def test_a_body_in_a_loop_that_is_not_read_stores_its_weights_once():
    element = helper.make_graph(
        [helper.make_node("MatMul", ["e", "w"], ["m"])], "each", [value("e", [1, 8])], [value("m")],
        [numpy_helper.from_array(real(8, 8), "w")],
    )  # fmt: skip
    nodes = [
        helper.make_node("SequenceConstruct", ["v", "v"], ["s"]),
        helper.make_node("SequenceMap", ["s"], ["t"], body=element),
        helper.make_node("SequenceAt", ["t", "zero"], ["v2"]),
        helper.make_node("Identity", ["go"], ["go2"]),
    ]
    starts = [value("k", [], TensorProto.INT64), value("go", [], TensorProto.BOOL), value("v", [1, 8])]
    body = helper.make_graph(nodes, "body", starts, [value("go2", [], TensorProto.BOOL), value("v2")])
    loop = helper.make_node("Loop", ["n", "", "x"], ["y"], body=body)
    weights = {"n": np.array(3), "zero": np.array(0)}
    assert counted([loop], {"x": (1, 8)}, weights).params == 64


def test_weights_in_bodies_that_are_not_read_are_counted():
    body = helper.make_graph(
        [helper.make_node("MatMul", ["e", "w"], ["m"])],
        "body",
        [value("e", [1, 8])],
        [value("m")],
        [numpy_helper.from_array(real(8, 8), "w")],
    )
    nodes = [
        helper.make_node("SequenceConstruct", ["x", "x"], ["s"]),
        helper.make_node("SequenceMap", ["s"], ["t"], body=body),
        helper.make_node("ConcatFromSequence", ["t"], ["y"], axis=0),
    ]
    network = read_onnx(file(nodes, {"x": (1, 8)}))
    assert network.coverage.unknown["SequenceMap"] == 1
    assert cost(network.architecture).params == 64


@pytest.mark.parametrize("kind", ["MatMul", "Gemm", "Einsum"])
def test_a_weight_on_the_left_is_trained(kind):
    options = {"equation": "ij,jk->ik"} if kind == "Einsum" else {}
    nodes = [constant("w", real(4, 8)), helper.make_node(kind, ["w", "x"], ["y"], **options)]
    found = counted(nodes, {"x": (8, 2)})
    assert (found.params, found.macs) == (32, 64)


def test_a_sparse_weight_stores_its_values_and_their_places():
    dense = real(4, 4)
    values = numpy_helper.from_array(real(3), "w")
    places = numpy_helper.from_array(np.array([1, 5, 9]), "places")
    model = onnx.load_from_string(file([helper.make_node("MatMul", ["x", "w"], ["y"])], {"x": (2, 4)}, {"w": dense}))
    del model.graph.initializer[:]
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, places, [4, 4]))
    found = cost(read_onnx(model.SerializeToString()).architecture)
    assert (found.params, found.stored_bytes) == (3, 3 * 4 + 3 * 8)


def test_numbers_in_the_short_form_of_a_constant_are_stored():
    nodes = [
        helper.make_node("Constant", [], ["c"], value_floats=[1.0] * 64),
        helper.make_node("Mul", ["x", "c"], ["y"]),
    ]
    found = counted(nodes, {"x": (2, 64)})
    assert (found.params, found.constants, found.stored_bytes) == (0, 64, 256)


def test_a_loop_whose_state_grows_has_an_output_of_no_known_size():
    nodes = [helper.make_node("Concat", ["v", "v"], ["v2"], axis=0), helper.make_node("Identity", ["go"], ["go2"])]
    ends = [value("go2", [], TensorProto.BOOL), value("v2")]
    starts = [value("k", [], TensorProto.INT64), value("go", [], TensorProto.BOOL), value("v", None)]
    loop = helper.make_node("Loop", ["n", "", "x"], ["z"], body=helper.make_graph(nodes, "body", starts, ends))
    model = onnx.load_from_string(file([loop, helper.make_node("Relu", ["z"], ["y"])], {"x": (2, 4)}))
    model.graph.input.append(value("n", [], TensorProto.INT64))
    assert read_onnx(model.SerializeToString()).architecture.ops[-1].shape is None


@pytest.mark.parametrize("passes", [2**40, 10**6])
def test_a_loop_of_endless_passes_without_work_ends(passes):
    ends = [value("go", [], TensorProto.BOOL), value("v", [1, 4])]
    starts = [value("k", [], TensorProto.INT64), value("go", [], TensorProto.BOOL), value("v", [1, 4])]
    loop = helper.make_node("Loop", ["n", "", "x"], ["y"], body=helper.make_graph([], "body", starts, ends))
    assert read_onnx(file([loop], {"x": (1, 4)}, {"n": np.array(passes)})).coverage.unknown == {"Loop": 1}


@pytest.mark.parametrize("kind", ["Gemm", "MatMul"])
def test_nodes_that_lack_operands_are_refused(kind):
    node = helper.make_node(kind, ["x"], ["y"])
    with pytest.raises(BadFile, match=kind):
        read_onnx(file([node], {"x": (2, 4)}))


def test_transposing_a_computed_matrix_makes_another_network():
    found = {
        fingerprint(read_onnx(file([helper.make_node("Gemm", ["x", "z"], ["y"], transB=turned)], ends)).architecture)
        for turned in (0, 1)
        for ends in ({"x": (8, 8), "z": (8, 8)},)
    }
    assert len(found) == 2


class Cross(torch.nn.Module):
    """Attention between two sequences: the exporter splits one stored weight in the graph."""

    def __init__(self):
        super().__init__()
        self.attention = torch.nn.MultiheadAttention(16, 2, batch_first=True)
        self.inner = torch.nn.Linear(16, 16)

    def forward(self, x, y):
        attended = self.attention(x, y, y)[0]
        halves = torch.nn.functional.linear(attended, self.inner.weight[:8], self.inner.bias[:8])
        return halves + torch.nn.functional.linear(attended.relu(), self.inner.weight[8:], self.inner.bias[8:])


@pytest.mark.parametrize("dynamo", [True, False], ids=["dynamo", "TorchScript"])
def test_weights_that_exporters_split_and_slice(dynamo):
    module = Cross().eval()
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter)
    data = exported(module, (torch.randn(1, 5, 16), torch.randn(1, 7, 16)), dynamo)
    expected = sum(parameter.numel() for parameter in module.parameters())
    assert cost(read_onnx(data).architecture).params == expected


class Scaled(torch.nn.Module):
    """Parameters of one number each, and numbers that are none."""

    def __init__(self):
        super().__init__()
        self.logit_scale = torch.nn.Parameter(torch.tensor(2.6))
        self.act = torch.nn.ModuleDict({"lab": torch.nn.Module()})
        self.act.lab.scale, self.act.lab.bias = (torch.nn.Parameter(torch.tensor([n])) for n in (0.9, 0.1))
        self.norm = torch.nn.GroupNorm(2, 8)
        self.slope, self.out = torch.nn.PReLU(), torch.nn.Linear(8, 1)
        self.register_buffer("limit", torch.tensor(3.0))

    def forward(self, x):
        x = self.norm(x).transpose(1, 2) / self.limit + 1e-3
        x = torch.nn.functional.gelu(self.act.lab.scale * x + self.act.lab.bias)
        return self.out(self.slope(x)) * self.logit_scale


@pytest.mark.parametrize("optimised", [False, True], ids=["", "optimised"])
@pytest.mark.parametrize("dynamo", [True, False], ids=["dynamo", "TorchScript"])
def test_parameters_of_one_number_count_and_other_numbers_do_not(dynamo, optimised, tmp_path):
    module = Scaled().eval()
    for parameter in module.norm.parameters():
        torch.nn.init.normal_(parameter)
    data = exported(module, (torch.randn(2, 8, 5),), dynamo)
    expected = sum(parameter.numel() for parameter in module.parameters())
    if optimised:
        options = onnxruntime.SessionOptions()
        options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
        onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        data = (tmp_path / "optimised.onnx").read_bytes()
    assert cost(read_onnx(data).architecture).params == expected


NUMBERS = {
    "attn.temperature": 1,
    "tau": 1,
    "block.0.resweight": 1,
    "block.0.act.scale": 1,
    "fc.bias": 1,
    "logit_scale": 1,
    "attn.skip_gain": 1,
}
NUMBERS |= dict.fromkeys(("onnx::Mul_12", "/act/Constant_1_output_0", "val_3", "h.masked_bias", "fc.weight_scale"), 0)
NUMBERS |= dict.fromkeys(("ortshared_1_0_1_0_token_10", "x.embed_scale", "model/Const:0", "norm.eps", "divisor"), 0)


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("kind", ["Mul", "Add"])
def test_a_single_number_is_trained_where_its_name_says_so(kind, name):
    found = counted([helper.make_node(kind, ["x", name], ["y"])], {"x": (2, 4)}, {name: real(1)})
    assert found.params == NUMBERS[name]


def test_the_scale_of_quantised_values_is_not_trained():
    weights = {"table_scale": real(1), "table_zero_point": np.zeros(1, np.uint8)}
    nodes = [helper.make_node("Mul", ["x", "table_scale"], ["y"])]
    assert counted(nodes, {"x": (2, 4)}, weights).params == 0


@pytest.mark.parametrize("name", ["val_3", "/norm/Constant_1_output_0"])
def test_the_ones_of_a_group_norm_are_not_trained(name):
    weights = {name: real(4), "norm.bias": real(4)}
    nodes = [helper.make_node("InstanceNormalization", ["x", name, "norm.bias"], ["y"])]
    found = counted(nodes, {"x": (2, 4, 5)}, weights)
    assert (found.params, found.constants) == (4, 4)


def test_marks_of_the_exporter_survive_shapes_that_the_user_states():
    module = torch.nn.Sequential(torch.nn.Linear(4, 4))
    module.register_buffer("table", torch.randn(3, 4))
    module.forward = lambda x: module[0](x + module.table)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(module.eval(), (torch.randn(3, 4),), dynamo=True, verbose=False)
    data, name = program.model_proto.SerializeToString(), program.model_proto.graph.input[0].name
    for inputs in (None, {name: (3, 4)}):
        found = cost(read_onnx(data, inputs=inputs).architecture)
        assert (found.params, found.constants) == (20, 12)


def test_a_buffer_that_is_multiplied_by_a_parameter_stays_a_buffer():
    nodes = [helper.make_node("MatMul", ["table", "w"], ["m"]), helper.make_node("Add", ["x", "m"], ["y"])]
    model = onnx.load_from_string(file(nodes, {"x": (3, 5)}, {"table": real(3, 4), "w": real(4, 5)}))
    for name, kind in (("table", "BUFFER"), ("w", "PARAMETER")):
        stated = value(name, real(1).shape)
        stated.metadata_props.add(key="pkg.torch.export.graph_signature.InputSpec.kind", value=kind)
        model.graph.value_info.append(stated)
    found = cost(read_onnx(model.SerializeToString()).architecture)
    assert (found.params, found.constants) == (20, 12)


class Rotary(torch.nn.Module):
    """A table of angles that the exporter computes from a buffer of an inner module."""

    def __init__(self):
        super().__init__()
        self.inner = torch.nn.Linear(4, 4)
        self.inner.register_buffer("inv_freq", torch.rand(4))

    def forward(self, x):
        return self.inner(x) * torch.cos(torch.arange(6)[:, None] * self.inner.inv_freq)


def test_a_table_that_is_computed_of_a_buffer_is_not_trained():
    network = read_onnx(exported(Rotary().eval(), (torch.rand(6, 4),), dynamo=True))
    assert cost(network.architecture).params == 20
    assert cost(network.architecture).constants == 24


IMAGE = (1, 2, 4, 4)
FIXED = {  # kind -> (operands: a shape of an input or a stored array, attributes, opset)
    "STFT": (((1, 16), np.array(4), real(4)), {}, 17),
    "Upsample": ((IMAGE, np.array([1, 1, 2, 2], np.float32)), {}, 9),
    "Resize": ((IMAGE, None, np.array([1, 1, 2, 2], np.float32)), {}, 18),
    "GridSample": ((IMAGE, real(1, 3, 3, 2)), {}, 20),
    "MaxRoiPool": ((IMAGE, real(3, 5)), {"pooled_shape": [2, 2]}, 18),
    "RoiAlign": ((IMAGE, real(3, 4), np.zeros(3, np.int64)), {}, 18),
    "NonMaxSuppression": ((real(1, 6, 4), (1, 1, 6)), {}, 18),
    "SoftmaxCrossEntropyLoss": (((3, 5), np.zeros(3, np.int64), real(5)), {}, 18),
    "CausalConvWithState": (((1, 2, 6), real(2, 1, 3), None, real(1, 2, 2)), {}, 27),
    "Attention": ((*[(1, 2, 4, 8)] * 3, None, real(1, 2, 3, 8), real(1, 2, 3, 8)), {}, 23),
    "Greater": (((4, 5), real(5)), {}, 18),
    "LessOrEqual": ((real(4, 5), (4, 5)), {}, 18),
    "CastLike": (((4, 5), real(5)), {}, 18),
}
WEIGHTS = {"CausalConvWithState": 6}


@pytest.mark.parametrize("kind", FIXED)
def test_tables_that_say_what_an_operation_does_are_not_trained(kind):
    operands, attributes, opset = FIXED[kind]
    names = ["" if operand is None else f"n{slot}" for slot, operand in enumerate(operands)]
    entries = {name: o for name, o in zip(names, operands, strict=True) if isinstance(o, tuple)}
    stored = {name: o for name, o in zip(names, operands, strict=True) if isinstance(o, np.ndarray)}
    assert counted([helper.make_node(kind, names, ["y"], **attributes)], entries, stored, opset).params == WEIGHTS.get(
        kind, 0
    )
