"""Files that ONNX Runtime's optimiser and quantiser write cost what the files cost that they were given.

The networks are exported with random weights. Every file is run, so that it is one.
"""

import logging
from math import sqrt
from time import process_time

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_dynamic, quantize_static
from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer
from onnxruntime.transformers import optimizer
from onnxruntime.transformers.fusion_options import FusionOptions
from torch import nn

from narformer.formats.onnx_reader import read_onnx
from narformer.measure.network import network as prepared
from narformer.network import cost
from narformer.network.runtime_ops import NCHWC, RUNTIME

LEVELS = ("ORT_ENABLE_BASIC", "ORT_ENABLE_EXTENDED", "ORT_ENABLE_LAYOUT", "ORT_ENABLE_ALL")
BLOCK = 32  # multiple of the number of channels that any processor puts into a block


@pytest.fixture(autouse=True)
def quiet():
    onnxruntime.set_default_logger_severity(3)
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


class Images(nn.Module):
    """Convolutions with every fusion: activation, sum, norm, depthwise; pools and a dense layer."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, BLOCK, 3, padding=1, stride=2)
        self.norm = nn.BatchNorm2d(BLOCK)
        self.second = nn.Conv2d(BLOCK, BLOCK, 3, padding=1)
        self.depthwise = nn.Conv2d(BLOCK, BLOCK, 3, padding=1, groups=BLOCK)
        self.wide = nn.Conv2d(BLOCK, 2 * BLOCK, 1)
        self.dense = nn.Linear(2 * BLOCK, 10)

    def forward(self, x):
        x = torch.relu(self.norm(self.first(x)))
        x = torch.relu(x + self.second(x))
        x = nn.functional.max_pool2d(nn.functional.silu(self.depthwise(x)), 2)
        x = nn.functional.interpolate(nn.functional.leaky_relu(self.wide(x)), scale_factor=2)
        return self.dense(nn.functional.avg_pool2d(x, 2, ceil_mode=True).mean((2, 3)))


class Layer(nn.Module):
    """Attention and two dense layers, written as the optimiser knows them."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.out, self.wide, self.narrow = nn.Linear(width, width), nn.Linear(width, 256), nn.Linear(256, width)
        self.norm, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)

    def split(self, x):
        return x.view(*x.shape[:2], self.heads, -1).permute(0, 2, 1, 3)

    def forward(self, x, mask):
        query, key, value = self.split(self.query(x)), self.split(self.key(x)), self.split(self.value(x))
        weights = torch.softmax(query @ key.transpose(-1, -2) / sqrt(query.shape[-1]) + mask, -1)
        heads = (weights @ value).permute(0, 2, 1, 3).contiguous()
        x = self.norm(self.out(heads.view(*x.shape)) + x)
        return self.norm2(self.narrow(nn.functional.gelu(self.wide(x))) + x)


class Texts(nn.Module):
    """An encoder of two layers."""

    def __init__(self, tokens=16, width=64):
        super().__init__()
        self.words, self.kinds = nn.Embedding(100, width), nn.Embedding(2, width)
        self.places = nn.Parameter(torch.rand(1, tokens, width))
        self.norm = nn.LayerNorm(width)
        self.layers = nn.ModuleList(Layer(width, 4) for _ in range(2))
        self.pool = nn.Linear(width, width)

    def forward(self, words, kinds, mask):
        x = self.norm(self.words(words) + self.kinds(kinds) + self.places)
        hidden = (1 - mask[:, None, None, :].to(torch.float32)) * -10000.0
        for layer in self.layers:
            x = layer(x, hidden)
        return torch.tanh(self.pool(x[:, 0]))


def exported(folder, name):
    """The path of an exported network, and a feed."""
    torch.manual_seed(0)
    if name == "images":
        module, feed = Images(), {"x": torch.rand(2, 3, 32, 32)}
    else:
        words = torch.randint(0, 100, (2, 16))
        module, feed = Texts(), {"words": words, "kinds": torch.zeros_like(words), "mask": torch.ones_like(words)}
    path = folder / f"{name}.onnx"
    torch.onnx.export(module.eval(), tuple(feed.values()), path, opset_version=17, dynamo=False, input_names=list(feed))
    return path, {key: value.numpy() for key, value in feed.items()}


@pytest.fixture(scope="module", params=["images", "texts"])
def network(request, tmp_path_factory):
    return exported(tmp_path_factory.mktemp(request.param), request.param)


def counted(path, bare=False):
    """The cost of a file in which nothing is unknown; ``bare`` drops all shapes that it states but the inputs'."""
    model = onnx.load(path)
    if bare:
        del model.graph.value_info[:]
        for value in model.graph.output:
            value.type.tensor_type.ClearField("shape")
    source = read_onnx(model.SerializeToString())
    assert not source.coverage.unknown
    assert not source.coverage.shapeless
    found = cost(source.architecture)
    assert not found.unknown
    return found


def optimised(path, level="ORT_ENABLE_ALL"):
    """The path of the file that ONNX Runtime makes of a file."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
    options.optimized_model_filepath = str(path.with_suffix(f".{level}.onnx"))
    onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return path.with_suffix(f".{level}.onnx")


def run(path, feed):
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, feed)


def kinds(path):
    return set(read_onnx(path).coverage.known)


@pytest.mark.parametrize("level", LEVELS)
def test_an_optimised_file_costs_the_same(network, level):
    path, feed = network
    before, result = counted(path), optimised(path, level)
    run(result, feed)
    for bare in (False, True):
        after = counted(result, bare)
        assert (after.macs, after.params) == (before.macs, before.params)
        assert after.flops == pytest.approx(before.flops, rel=0.02)


def test_the_optimiser_writes_what_is_tested(tmp_path):
    images, texts = exported(tmp_path, "images")[0], exported(tmp_path, "texts")[0]
    assert RUNTIME + "FusedConv" in kinds(optimised(images, "ORT_ENABLE_EXTENDED"))
    assert {RUNTIME + "SkipLayerNormalization", RUNTIME + "FusedMatMul"} <= kinds(optimised(texts))


def test_padded_blocks_count_as_the_runtime_computes_them(tmp_path):
    """20 channels take blocks of at least 8: the products with zeros are computed, and the zeros are stored."""
    path = tmp_path / "padded.onnx"
    module = nn.Sequential(nn.Conv2d(3, 20, 3, padding=1), nn.ReLU(), nn.Conv2d(20, 9, 3))
    torch.onnx.export(module.eval(), (torch.zeros(1, 3, 16, 16),), path, opset_version=17, dynamo=False)
    result = optimised(path)
    if NCHWC + "Conv" not in kinds(result):
        pytest.skip("this processor has no blocks of channels")
    wide = [[*tensor.dims] for tensor in onnx.load(result).graph.initializer if len(tensor.dims) == 4]
    (first, _, _, _), (second, depth, _, _) = sorted(wide, key=lambda dims: dims[1])
    assert counted(result, bare=False).macs == 256 * first * 27 + 196 * second * depth * 9


@pytest.mark.parametrize("multi_head", [False, True])
def test_the_optimiser_of_transformers_keeps_the_cost(tmp_path, multi_head):
    path, feed = exported(tmp_path, "texts")
    options = FusionOptions("bert")
    options.use_multi_head_attention = multi_head
    made = optimizer.optimize_model(
        str(path), "bert", num_heads=4, hidden_size=64, opt_level=0, optimization_options=options
    )
    result = tmp_path / "fused.onnx"
    onnx.save(made.model, result)
    run(result, feed)
    wanted = {"BiasGelu", "SkipLayerNormalization", "MultiHeadAttention" if multi_head else "Attention"}
    assert {RUNTIME + kind for kind in wanted} <= kinds(result)
    before = counted(path)
    for bare in (False, True):
        after = counted(result, bare)
        assert (after.macs, after.params) == (before.macs, before.params)


class Feeds(CalibrationDataReader):
    def __init__(self, feed):
        self.left = [feed]

    def get_next(self):
        return self.left.pop() if self.left else None


def quantised(way, path, feed, result):
    if way == "dynamic":
        quantize_dynamic(path, result)
    elif way == "pairs":
        quantize_static(path, result, Feeds(feed), quant_format=QuantFormat.QDQ, per_channel=True)
    else:
        quantize_static(path, result, Feeds(feed), quant_format=QuantFormat.QOperator, activation_type=QuantType.QUInt8)


@pytest.mark.parametrize("way", ["dynamic", "pairs", "operators"])
def test_a_quantised_file_costs_the_same(network, way, tmp_path):
    """Products and parameters stay, scales and zero points are constants, and weights take a byte each."""
    path, feed = network
    result = tmp_path / f"{way}.onnx"
    quantised(way, path, feed, result)
    before = counted(path)
    for file in (result, optimised(result)):
        run(file, feed)
        for bare in (False, True):
            after = counted(file, bare)
            assert (after.macs, after.params) == (before.macs, before.params)
            assert after.stored_bytes < 0.5 * before.stored_bytes


@pytest.mark.parametrize("bits", [4, 8])
def test_a_file_of_packed_weights_costs_the_same(tmp_path, bits):
    path, feed = exported(tmp_path, "texts")
    packer = MatMulNBitsQuantizer(onnx.load(path), bits=bits, block_size=32)
    packer.process()
    result = tmp_path / "packed.onnx"
    onnx.save(packer.model.model, result)
    run(result, feed)
    before, source = counted(path), read_onnx(result)
    assert source.coverage.known[RUNTIME + "MatMulNBits"] == 12
    assert prepared(result, np.random.default_rng(0)).quantised == f"int{bits}"
    packed = 2 * (4 * 64 * 64 + 2 * 64 * 256)  # values of the matrices; the last one is a Gemm, which stays as it is
    for bare in (False, True):
        after = counted(result, bare)
        assert (after.macs, after.params) == (before.macs, before.params)
        assert after.constants > 0
        dense = (before.params - packed) * 4
        assert after.stored_bytes - dense - packed * bits // 8 == pytest.approx(packed / 32 * 4, rel=0.3)


def test_a_long_chain_of_fused_operations_is_read_quickly():
    """Ten thousand operations, half of them unknown to the onnx library, without stated shapes."""
    fused = {1: ("BiasGelu", ["offset"], "com.microsoft"), 0: ("Relu", [], "")}
    nodes = [
        helper.make_node(kind, [f"v{i}", *further], [f"v{i + 1}"], domain=domain)
        for i in range(10_000)
        for kind, further, domain in [fused[i % 2]]
    ]
    entry, end = (helper.make_tensor_value_info(name, 1, shape) for name, shape in (("v0", [2, 8]), ("v10000", None)))
    offset = onnx.numpy_helper.from_array(np.ones(8, np.float32), "offset")
    graph = helper.make_graph(nodes, "long", [entry], [end], [offset])
    versions = [helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)]
    data = helper.make_model(graph, opset_imports=versions).SerializeToString()
    start = process_time()
    source = read_onnx(data)
    assert process_time() - start < 2  # alone on a machine about .7 s
    assert not source.coverage.shapeless
    assert cost(source.architecture).params == 8
