"""What is written as ONNX is valid, runs, has the architecture's shapes, and is read back as the same network."""

from dataclasses import replace
from math import prod

import numpy as np
import onnx
import pytest
import torch
from onnx.reference import ReferenceEvaluator

from narformer.errors import BadArchitecture
from narformer.formats import onnx_reader
from narformer.formats.onnx_writer import to_onnx
from narformer.formats.onnx_writer_layers import window_mask
from narformer.network import Architecture, Op, canonical, cost, fingerprint
from narformer.network.tensors import ConstantOperand, Tensor
from narformer.spaces import SPACES
from narformer.spaces.drawing import Drawing
from narformer.spaces.families import FAMILIES, TEN
from narformer.spaces.sequence_drawing import SequenceDrawing

SOME_CELL = 7443  # without none: conv 3x3, pool, skip, conv 3x3, conv 1x1, conv 1x1
NETWORKS = [(name, number) for name in FAMILIES if name != "nasbench201" for number in (0, 1, 2)]
NETWORKS += [("nasbench201", SOME_CELL), ("nasbench201", 7812)]
# Files of up to a gigabyte are for the slow tests.
QUICK = {*TEN, "swin", "shufflenetv2", "ghostnet", "ssdlite", "whisper", "gru", "dlrm", "mobilevit"}
QUICK -= {"alexnet", "vgg"}
RUN = [
    pytest.param(name, number, marks=[pytest.mark.slow] if number or name not in QUICK else [])
    for name, number in NETWORKS
]


def random(seed=0):
    return np.random.default_rng(seed)


def small(*ops, shape=(2, 4, 6, 6)):
    """A chain of operations below one input; each is (kind, output shape, attributes)."""
    vertices = [Op.of("Input", shape), *(Op.of(kind, out, **attributes) for kind, out, attributes in ops)]
    return Architecture(tuple(vertices), tuple((v, v + 1) for v in range(len(ops))))


def evaluated(network, *values):
    model = onnx.load_from_string(to_onnx(network, "random", random()))
    onnx.checker.check_model(model, full_check=True)
    feeds = {given.name: value for given, value in zip(model.graph.input, values, strict=True)}
    return ReferenceEvaluator(model).run(None, feeds)[0], {
        t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer
    }


X = random(1).standard_normal((2, 4, 6, 6), dtype=np.float32)


def feeds(session, rng):
    """Random inputs: numbers, or rows of tables."""
    return {
        given.name: rng.integers(0, 1000, given.shape)
        if "int" in given.type
        else rng.standard_normal(given.shape, np.float32)
        for given in session.get_inputs()
    }


@pytest.mark.parametrize(("name", "number"), NETWORKS)
def test_onnx_infers_the_shapes_of_the_architecture(name, number):
    network = FAMILIES[name].variant(number)
    model = onnx.load_from_string(to_onnx(network, "none"))
    stated = [value.name for value in [*model.graph.input, *model.graph.value_info, *model.graph.output]]
    assert len(set(stated)) == len(stated) == len(network)
    del model.graph.value_info[:]
    graph = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True).graph
    inferred = {
        value.name: tuple(size.dim_value for size in value.type.tensor_type.shape.dim)
        for value in [*graph.input, *graph.value_info, *graph.output]
    }
    for vertex, op in enumerate(network.ops):
        assert inferred[f"{op.kind}_{vertex}"] == op.shape


@pytest.mark.parametrize(("name", "number"), RUN)
def test_the_checker_accepts_it_and_a_runtime_runs_it(name, number):
    runtime = pytest.importorskip("onnxruntime")
    network = FAMILIES[name].variant(number)
    file = to_onnx(network, "random", random())
    onnx.checker.check_model(file, full_check=True)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = runtime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    first, second = (session.run(None, feeds(session, random(seed))) for seed in (1, 2))
    ends = sorted(op.shape for op, below in zip(network.ops, network.children(), strict=True) if not below)
    assert sorted(values.shape for values in first) == ends
    assert all(np.isfinite(values).all() for values in first)
    assert all(1e-3 < values.std() < 1e6 for values in first if values.size > 1)
    assert not any(np.allclose(one, other) for one, other in zip(first, second, strict=True))


@pytest.mark.parametrize(("name", "number"), NETWORKS)
def test_it_is_read_back_as_the_same_network(name, number):
    importer = onnx_reader
    network = FAMILIES[name].variant(number)
    back = importer.read_onnx(to_onnx(network, "none"))
    assert fingerprint(back.architecture) == fingerprint(network)


SCALARS = ("llama", "swin", "t5", "whisper")  # a canonical form does not hold their values


@pytest.mark.parametrize("name", [name for name in FAMILIES if name not in SCALARS])
def test_the_canonical_form_is_written_and_read_back_too(name):
    importer = onnx_reader
    network = FAMILIES[name].variant(SOME_CELL if name == "nasbench201" else 1)
    back = importer.read_onnx(to_onnx(canonical(network), "none"))
    assert fingerprint(back.architecture) == fingerprint(network)


def test_a_cell_with_none_is_read_back_as_the_same_network():
    importer = onnx_reader
    network = FAMILIES["nasbench201"].variant(0)
    assert fingerprint(importer.read_onnx(to_onnx(network, "none")).architecture) == fingerprint(network)


@pytest.mark.parametrize("name", ["nasbench101", "nasbench201"])
def test_unrolled_cells_are_written(name):
    network = SPACES[name].unroll(SPACES[name].sample(random()))
    onnx.checker.check_model(to_onnx(network, "random", random()), full_check=True)


@pytest.mark.parametrize("name", TEN)
def test_stripped_of_weights_it_keeps_their_names_and_shapes_only(name):
    network = FAMILIES[name].variant(SOME_CELL if name == "nasbench201" else 0)
    file = to_onnx(network, "none")
    weights = [t for t in onnx.load_from_string(file).graph.initializer if "zero" not in t.name and t.dims]
    assert not any(t.raw_data or t.float_data for t in weights)
    assert sum(prod(t.dims) for t in weights) == cost(network).weights_N.sum()
    assert len(file) < 100_000


def test_the_generator_decides_the_weights():
    network = FAMILIES["squeezenet"].variant(0)
    file = to_onnx(network, "random", random())
    assert file == to_onnx(network, "random", random())
    assert file != to_onnx(network, "random", random(1))
    with pytest.raises(ValueError, match="generator"):
        to_onnx(network)


def test_operands_keep_their_order():
    a, b = Op.of("Input", (3,)), Op.of("Input", (3,))
    network = Architecture((a, b, Op.of("Sub", (3,))), ((0, 2), (1, 2)), slots=(1, 0))
    one, two = np.float32([1, 2, 3]), np.float32([5, 5, 5])
    assert np.array_equal(evaluated(network, one, two)[0], two - one)
    net = Drawing()
    x = net.input(2, 4, 6, 6)
    early, late = net.relu(x), net.same("Neg", x)
    net.concat(late, early, x)
    assert np.array_equal(evaluated(net.finished(""), X)[0], np.concatenate([-X, np.maximum(X, 0), X], axis=1))


@pytest.mark.parametrize(
    ("op", "wanted"),
    [
        (("Clip", X.shape, {"min": 0.0, "max": 0.5}), np.clip(X, 0, 0.5)),
        (("Clip", X.shape, {"max": 0.5}), np.minimum(X, 0.5)),
        (("Swish", X.shape, {"alpha": 1.0}), X / (1 + np.exp(-X))),
        (("HardSigmoid", X.shape, {"alpha": 1 / 6, "beta": 0.5}), np.clip(X / 6 + 0.5, 0, 1)),
        (("Zero", X.shape, {}), 0 * X),
        (("Dropout", X.shape, {"ratio": 0.5}), X),
        (("Slice", (2, 4, 2, 6), {"starts": (1,), "ends": (5,), "axes": (2,), "steps": (2,)}), X[:, :, 1:5:2]),
        (("Reshape", (2, 144), {}), X.reshape(2, 144)),
        (("Unsqueeze", (2, 1, 4, 6, 6), {}), X[:, None]),
        (("ReduceMean", (2, 4), {"axes": (2, 3), "keepdims": 0}), X.mean(axis=(2, 3))),
        (("Transpose", (2, 6, 6, 4), {"perm": (0, 2, 3, 1)}), X.transpose(0, 2, 3, 1)),
        (("Silu", X.shape, {}), X / (1 + np.exp(-X))),
    ],
    ids=lambda case: case[0] if isinstance(case, tuple) else "",
)  # fmt: skip
def test_an_operation_computes_what_its_kind_says(op, wanted):
    assert np.allclose(evaluated(small(op), X)[0], wanted, atol=1e-6)


def test_an_operand_that_is_missing_between_others_is_refused():
    three = (Op.of("Input", (3,)), Op.of("Input", (3,)), Op.of("Sub", (3,)))
    with pytest.raises(BadArchitecture, match="gaps"):
        to_onnx(Architecture(three, ((0, 2), (1, 2)), slots=(0, 2)), "none")


@pytest.mark.parametrize("bias", [0, 1])
def test_a_dense_layer_over_two_axes_and_over_more(bias):
    rows = X.reshape(2, 4, 36)
    for shape, value in (((2, 144), X.reshape(2, 144)), (rows.shape, rows)):
        out, weights = evaluated(small(("Gemm", (*shape[:-1], 5), {"bias": bias}), shape=shape), value)
        weight = weights["Gemm_1.weight"].T if len(shape) == 2 else weights["Gemm_1.weight"]
        assert np.allclose(out, value @ weight + (weights["Gemm_1.bias"] if bias else 0), atol=1e-5)


@pytest.mark.parametrize(
    ("op", "why"),
    [
        (("Wavelet", (2, 4, 6, 6), {}), "no operation 'Wavelet'"),
        (("Relu", None, {}), "found no shape"),
        (("Add", (2, 4, 6, 6), {"constant": 1}), "constant operands"),
        (("Relu", (2, 4, 6, 6), {"slope": 2}), "attribute 'slope'"),
        (("Conv", (2, 4, 6, 6), {}), "kernel_shape"),
        (("Zero", (2, 4, 3, 3), {}), "another shape"),
        (("Swish", (2, 4, 6, 6), {"alpha": 2.0}), "alpha 1"),
        (("Clip", (2, 4, 6, 6), {"min": 0.0, "max": "unknown"}), "without its value"),
    ],
    ids=lambda case: case[0] if isinstance(case, tuple) else "",
)
def test_what_cannot_be_written_is_named(op, why):
    with pytest.raises(BadArchitecture, match=why):
        to_onnx(small(op), "none")


def constant(kind, shape, *operands):
    """An input and a constant operand of its own shape, in slot 1 of a commutative operation."""
    op = replace(Op.of(kind, shape, constant=prod(operands[0].shape)), constants=operands)
    return Architecture((Op.of("Input", shape), op), ((0, 1),))


@pytest.mark.parametrize(
    ("shapes", "attributes", "why"),
    [
        ([(1, 2, 3, 4)] * 3, {"is_causal": 1}, "is_causal"),
        ([(1, 3, 8)] * 3, {"q_num_heads": 2}, "q_num_heads"),
        ([(1, 4, 3, 4), (1, 2, 3, 4), (1, 2, 3, 4)], {}, "heads of other numbers"),
        ([(1, 2, 3, 4)] * 2, {}, "queries, keys, values"),
    ],
)
def test_attention_that_the_formula_does_not_hold_for_is_refused(shapes, attributes, why):
    inputs = [Op.of("Input", shape) for shape in shapes]
    edges = tuple((v, len(shapes)) for v in range(len(shapes)))
    network = Architecture(
        (*inputs, Op.of("Attention", shapes[0], **attributes)), edges, slots=tuple(range(len(shapes)))
    )
    with pytest.raises(BadArchitecture, match=why):
        to_onnx(network, "none")


def test_a_number_beside_two_operands_is_refused():
    three = (Op.of("Input", (3,)), Op.of("Input", (3,)), Op.of("Sub", (3,), constant=1, value=2.0))
    with pytest.raises(BadArchitecture, match="constant operands"):
        to_onnx(Architecture(three, ((0, 2), (1, 2)), slots=(0, 1)), "none")


def test_what_is_trained_is_an_initializer_and_what_is_not_is_in_a_node():
    for trained in (True, False):
        tensor = Tensor(4, trained=trained)
        model = onnx.load_from_string(
            to_onnx(constant("Add", (3, 4), ConstantOperand(1, (4,), (tensor,))), "random", random())
        )
        assert [tuple(t.dims) for t in model.graph.initializer] == [(4,)] * trained
        assert [node.op_type for node in model.graph.node] == ["Constant"] * (not trained) + ["Add"]
        back = onnx_reader.read_onnx(model.SerializeToString()).architecture
        assert (cost(back).params, cost(back).constants) == ((4, 0) if trained else (0, 4))


def test_a_tensor_that_is_read_twice_is_stored_once():
    net = SequenceDrawing()
    net.tied(net.embedding(net.input(1, 3), 10, 4, identity=1), 10, identity=1)
    model = onnx.load_from_string(to_onnx(net.finished("tied"), "random", random()))
    assert [tuple(t.dims) for t in model.graph.initializer] == [(10, 4)]
    table = onnx.numpy_helper.to_array(model.graph.initializer[0])
    found = ReferenceEvaluator(model).run(None, {"Input_0": np.array([[1, 5, 9]])})[0]
    assert np.allclose(found[0], table[[1, 5, 9]] @ table.T, atol=1e-5)
    assert cost(onnx_reader.read_onnx(model.SerializeToString()).architecture).params == 40


@pytest.mark.parametrize("masked", [False, True])
def test_attention_is_written_as_its_formula(masked):
    net = SequenceDrawing()
    q, k, v = net.input(1, 2, 3, 4), net.input(1, 2, 5, 4), net.input(1, 2, 5, 4)
    net.attention(q, k, v, (1, 1, 3, 5) if masked else ())
    rng = random(2)
    query, key, value = (rng.standard_normal((1, 2, n, 4), np.float32) for n in (3, 5, 5))
    model = onnx.load_from_string(to_onnx(net.finished("attention"), "random", random()))
    constants = [node.attribute[0].t for node in model.graph.node if node.op_type == "Constant"]
    scores = query @ key.swapaxes(2, 3) / 2 + (onnx.numpy_helper.to_array(constants[0]) if masked else 0)
    shares = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    assert np.allclose(evaluated(net.finished("attention"), query, key, value)[0], shares @ value, atol=1e-5)


@pytest.mark.parametrize("approximate", ["none", "tanh"])
def test_gelu_is_written_as_its_formula(approximate):
    found = evaluated(small(("Gelu", X.shape, {"approximate": approximate})), X)[0]
    wanted = torch.nn.functional.gelu(torch.from_numpy(X), approximate=approximate).numpy()
    assert np.allclose(found, wanted, atol=1e-5)


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_recurrent_layers_are_those_of_torch(kind, both):
    net = SequenceDrawing()
    net.recurrent(kind, net.input(2, 5, 3), 4, both)
    values = random(3).standard_normal((2, 5, 3), np.float32)
    found, weights = evaluated(net.finished(kind), values)
    layer = getattr(torch.nn, kind)(3, 4, batch_first=True, bidirectional=both)
    for way in range(1 + both):
        parts = [weights[f"{kind}_2.{name}"][way] for name in ("input_weight", "state_weight", "bias")]
        order = [0, 2, 3, 1] if kind == "LSTM" else [1, 0, 2]  # ONNX: i o f c, z r h; torch: i f g o, r z n
        turned = [_gates(part, order) for part in (*parts[:2], *np.split(parts[2], 2))]
        for name, part in zip(("weight_ih", "weight_hh", "bias_ih", "bias_hh"), turned, strict=True):
            getattr(layer, f"{name}_l0{'_reverse' * way}").data = torch.from_numpy(part)
    assert np.allclose(found, layer(torch.from_numpy(values))[0].detach().numpy(), atol=1e-5)


def _gates(rows, order):
    gates = np.split(rows, len(order))
    return np.concatenate([gates[place] for place in order])


def test_a_transposed_convolution_is_that_of_torch():
    net = Drawing()
    net.conv_transpose(net.input(2, 4, 6, 6), 3, 2, 2)
    found, weights = evaluated(net.finished("up"), X)
    kernel, bias = (torch.tensor(weights[f"ConvTranspose_1.{name}"]) for name in ("weight", "bias"))
    assert np.allclose(found, torch.nn.functional.conv_transpose2d(torch.from_numpy(X), kernel, bias, 2), atol=1e-5)


@pytest.mark.parametrize("mode", ["nearest", "linear"])
def test_images_are_resized_as_in_torch(mode):
    net = Drawing()
    net.resized(net.input(2, 4, 6, 6), 2, mode)
    mode = {"linear": "bilinear"}.get(mode, mode)
    wanted = torch.nn.functional.interpolate(torch.from_numpy(X), scale_factor=2, mode=mode).numpy()
    assert np.allclose(evaluated(net.finished("resized"), X)[0], wanted, atol=1e-5)


def test_shifted_windows_keep_apart_what_was_not_beside_each_other():
    #  Columns 0 to 5 in windows of 2, shifted by 1: the windows hold 1 2, 3 4, 5 0.
    mask = window_mask((1, 9, 1, 4, 4)).reshape(3, 3, 4, 4)
    across = np.array([[0, 1, 0, 1], [1, 0, 1, 0]] * 2)
    assert not mask[:2, :2].any()
    assert np.array_equal(mask[0, 2], -100 * across)
    assert np.array_equal(mask[2, 0], -100 * np.kron([[0, 1], [1, 0]], np.ones((2, 2))))
    assert np.array_equal(mask[2, 2], -100 * (1 - np.eye(4)))
    assert window_mask((9, 4, 4)) is None


def test_layer_normalisation_is_its_formula():
    found, weights = evaluated(small(("LayerNormalization", X.shape, {"axis": -1, "constant": 12})), X)
    scale, offset = (weights[f"LayerNormalization_1.{name}"] for name in ("scale", "offset"))
    wanted = (X - X.mean(-1, keepdims=True)) / np.sqrt(X.var(-1, keepdims=True) + 1e-5) * scale + offset
    assert np.allclose(found, wanted, atol=1e-4)
