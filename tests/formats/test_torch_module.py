"""PyTorch modules become architectures without their weights, the same ones that ONNX files of them become."""

import contextlib
import importlib.util
import io
import logging
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from narformer.formats.onnx_reader import read_onnx
from narformer.formats.torch_module import trace_module
from narformer.network import canonical, cost, fingerprint


def beside(name):
    """The Python file of this name in this folder."""
    spec = importlib.util.spec_from_file_location(f"arch_{name}", Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[spec.name])
    return sys.modules[spec.name]


ten, hand_built = beside("modules"), beside("hand_built")
MODULES = ten.MODULES

# What the hand-built file of a module says otherwise than the module, where the canonical form does not see that both
# are one network: module -> reason. None is left of the ten.
DIFFERENCES: dict[str, str] = {}
# The same of further spellings that the ten do not use.
APART = {
    "lstm, by its state": "the state after the last step and the last step's output are two outputs of LSTM",
}


def on_meta(name):
    make, shape = MODULES[name]
    with torch.device("meta"):
        return make().eval(), torch.empty(shape)


@pytest.fixture(scope="module")
def traced():
    seen = {}

    def trace(name):
        if name not in seen:
            module, x = on_meta(name)
            seen[name] = trace_module(module, [x])
        return seen[name]

    return trace


@pytest.mark.parametrize("name", MODULES)
def test_work_and_parameters_are_those_that_torch_counts(name, traced):
    module, x = on_meta(name)
    with FlopCounterMode(display=False) as counter:
        module(x)
    counted = cost(traced(name).architecture)
    assert not counted.unknown
    assert 2 * counted.macs == counter.get_total_flops()
    assert counted.params == sum(p.numel() for p in module.parameters())
    assert cost(canonical(traced(name).architecture)).macs == counted.macs


@pytest.mark.parametrize("name", MODULES)
def test_everything_is_known(name, traced):
    coverage = traced(name).coverage
    assert not coverage.unknown
    assert not coverage.shapeless


def test_modules_and_training_mode_are_kept(traced):
    imported = traced("resnet")
    kinds = dict(zip(imported.modules, (op.kind for op in imported.architecture.ops), strict=True))
    assert kinds["head.fc"] == "Gemm"
    assert kinds["stem.0"] == "Conv"
    module = ten.ResNet()
    trace_module(module, [torch.zeros(1, 3, 32, 32)])
    assert all(part.training for part in module.modules())


def test_what_is_unknown_is_kept_under_its_own_name():
    class Turning(nn.Module):
        def forward(self, x):
            return torch.angle(x).relu()

    imported = trace_module(Turning(), [torch.zeros(3)])
    assert imported.coverage.unknown == {"aten.angle": 1}
    assert [op.kind for op in imported.architecture.ops] == ["Input", "aten.angle", "Relu"]


class Handmade(nn.Module):
    """What the ONNX graph below writes out by hand."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8)
        self.depth, self.fc = nn.Conv2d(8, 8, 5, padding=2, groups=8), nn.Linear(8, 10)
        self.wide = nn.Linear(8, 8, bias=False)

    def forward(self, x):
        x = nn.functional.hardswish(self.norm(self.conv(x)))
        y = nn.functional.silu(self.depth(x))
        x = nn.functional.relu6(torch.cat([y, x], 1)[:, 4:12])
        x = nn.functional.adaptive_avg_pool2d(x, 1).flatten(1)
        return self.fc(nn.functional.gelu(self.wide(nn.functional.dropout(x, 0.1, self.training)))) - x.mean(1, True)


def handmade():
    """The same network in the words of older exporters: BatchNormalization, written-out activations, MatMul + Add."""

    def array(*shape):
        return np.full(shape, 0.5, np.float32)

    node = helper.make_node
    nodes = [
        node("Conv", ["x", "w"], ["c"], strides=[2, 2], pads=[1, 1, 1, 1]),
        node("BatchNormalization", ["c", "eight", "eight", "eight", "eight"], ["n"]),
        node("Add", ["n", "three"], ["h1"]),
        node("Clip", ["h1", "zero", "six"], ["h2"]),
        node("Mul", ["n", "h2"], ["h3"]),
        node("Div", ["h3", "six"], ["h"]),
        node("Conv", ["h", "d", "eight"], ["e"], group=8, auto_pad="SAME_UPPER"),
        node("Sigmoid", ["e"], ["s"]),
        node("Mul", ["s", "e"], ["y1"]),
        node("Concat", ["y1", "h"], ["both"], axis=-3),
        node("Slice", ["both", "four", "twelve", "one"], ["part"]),
        node("Clip", ["part", "zero", "six"], ["r"]),
        node("ReduceMean", ["r", "image"], ["p"], keepdims=1),
        node("Squeeze", ["p", "image"], ["f"]),
        node("Dropout", ["f"], ["f2"]),
        node("MatMul", ["f2", "v"], ["g"]),
        node("Div", ["g", "root"], ["g1"]),
        node("Erf", ["g1"], ["g2"]),
        node("Add", ["g2", "unit"], ["g3"]),
        node("Mul", ["g", "g3"], ["g4"]),
        node("Mul", ["g4", "half"], ["g5"]),
        node("MatMul", ["g5", "u"], ["o"]),
        node("Add", ["ten", "o"], ["o1"]),
        node("Identity", ["o1"], ["o2"]),
        node("ReduceMean", ["f", "one"], ["m"]),
        node("Sub", ["o2", "m"], ["y"]),
    ]
    scalars = {"three": 3, "zero": 0, "six": 6, "root": 2**0.5, "unit": 1, "half": 0.5}
    stored = {
        "w": array(8, 3, 3, 3), "eight": array(8), "d": array(8, 1, 5, 5), "v": array(8, 8), "u": array(8, 10),
        "ten": array(10), **{name: np.array(value, np.float32) for name, value in scalars.items()},
        "four": np.array([4]), "twelve": np.array([12]), "one": np.array([1]), "image": np.array([2, 3]),
    }  # fmt: skip
    graph = helper.make_graph(
        nodes,
        "handmade",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 16, 16])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 10])],
        [numpy_helper.from_array(value, name) for name, value in stored.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]).SerializeToString()


def test_a_hand_built_file_and_the_module_are_one_network():
    with torch.device("meta"):
        traced = trace_module(Handmade().eval(), [torch.empty(1, 3, 16, 16)]).architecture
    read = read_onnx(handmade()).architecture
    assert fingerprint(read) == fingerprint(traced)  # the file uses one offset twice, the module has two


def with_values(name):
    """The module with weights of which none is 0: the exporter leaves out a bias that is, so they are two networks."""
    make, shape = MODULES[name]
    module, chance = make().eval(), torch.Generator().manual_seed(0)
    for part, (low, high) in ((module.parameters(), (-0.5, 0.5)), (module.buffers(), (0.5, 1.5))):
        for values in part:
            if values.is_floating_point():
                values.data.uniform_(low, high, generator=chance)
    return module, torch.rand(shape, generator=chance)


def spellings():
    """Name -> (module, function that builds its file)."""
    return {**{name: (name, build) for name, build in hand_built.HAND_BUILT.items()}, **hand_built.FURTHER}


def agree(name, same, reasons):
    """What is said to differ still does; nothing else does."""
    if name in reasons:
        assert not same, f"{name} is one network now: remove its entry ({reasons[name]})"
    else:
        assert same, f"{name} is two networks: mend the canonical form, or state the reason"


def test_every_module_is_built_by_hand():
    assert list(hand_built.HAND_BUILT) == list(MODULES)
    assert set(APART) <= set(hand_built.FURTHER)


@pytest.mark.parametrize("name", spellings())
def test_hand_built_files_compute_what_the_modules_compute(name):
    runtime = pytest.importorskip("onnxruntime")
    made, build = spellings()[name]
    module, x = with_values(made)
    session = runtime.InferenceSession(build(module, x.shape).SerializeToString())
    (found,) = session.run(None, {"x": x.numpy()})
    with torch.no_grad():
        np.testing.assert_allclose(found, module(x).numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", spellings())
def test_hand_built_files_and_the_modules_are_one_network(name, traced):
    made, build = spellings()[name]
    module, x = with_values(made)
    read = read_onnx(build(module, x.shape).SerializeToString())
    assert not read.coverage.unknown
    assert not read.coverage.shapeless
    whole = traced(made).architecture
    assert cost(read.architecture).macs == cost(whole).macs
    agree(name, fingerprint(read.architecture) == fingerprint(whole), {**DIFFERENCES, **APART})


@pytest.mark.slow
@pytest.mark.parametrize("name", MODULES)
def test_three_routes_give_one_fingerprint(name, traced):
    """By ``torch.export``, by the exporter's file, by the file that was built by hand."""
    pytest.importorskip("onnxscript")
    module, x = with_values(name)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        program = torch.onnx.export(module, (x,), dynamo=True, verbose=False)
    assert program is not None
    exported = read_onnx(program.model_proto.SerializeToString())
    counts = [cost(canonical(network.architecture)) for network in (exported, traced(name))]
    assert counts[0].macs == counts[1].macs
    assert counts[0].params == counts[1].params  # the exporter also stores zeros as initial states of an LSTM
    assert fingerprint(exported.architecture) == fingerprint(traced(name).architecture)
    assert any(exported.modules)
    by_hand = read_onnx(hand_built.HAND_BUILT[name](module, x.shape).SerializeToString())
    agree(name, fingerprint(by_hand.architecture) == fingerprint(exported.architecture), DIFFERENCES)


def test_one_image_without_a_batch_costs_what_it_costs_in_a_batch_of_one():
    layers = nn.Sequential(nn.Conv2d(3, 32, 3), nn.ReLU(), nn.ConvTranspose2d(32, 4, 2))
    alone, batched = (trace_module(layers, [torch.zeros(shape)]) for shape in ((3, 16, 16), (1, 3, 16, 16)))
    assert cost(alone.architecture).macs == cost(batched.architecture).macs > 0
    assert alone.precision == batched.precision == "float32"
    assert trace_module(layers, torch.zeros(1, 3, 16, 16)).architecture == batched.architecture
