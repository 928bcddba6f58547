"""PyTorch operations in the op table: known, in consistent shapes, with the values and the work that torch has."""

from math import prod

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from narformer.formats.onnx_writer import to_onnx
from narformer.formats.torch_module import trace_module
from narformer.network import canonical, cost

X = torch.linspace(-1.0, 2.0, 48).reshape(2, 4, 6)
IMAGE = torch.linspace(-1.0, 2.0, 2 * 4 * 6 * 6).reshape(2, 4, 6, 6)
INDEX = torch.tensor([[0, 3], [2, 1]])
OTHER = X.flip(0)


class Of(nn.Module):
    """A function as a module."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *inputs):
        return self.function(*inputs)


def traced(function, *inputs):
    return trace_module(Of(function), list(inputs))


def positions(shape, perm):
    return tuple(shape[axis] for axis in perm)


def consistent(architecture):
    """Check the shape of each operation whose rule is simple against the shapes of its operands."""
    for vertex, (op, operands) in enumerate(zip(architecture.ops, architecture.operands(), strict=True)):
        shapes = [architecture.ops[source].shape for _, source in operands]
        shapes += [constant.shape for constant in op.constants if op.kind in PAIRS]
        found = f"{vertex} {op.kind} {shapes} -> {op.shape}"
        if op.kind in ("Reshape", "Squeeze", "Unsqueeze"):
            assert prod(shapes[0]) == prod(op.shape), found
        elif op.kind in PAIRS:
            assert np.broadcast_shapes(*shapes) == op.shape or op.get("constant") is not None, found
        elif op.kind == "Transpose":
            assert positions(shapes[0], op.get("perm")) == op.shape, found
        elif op.kind == "Expand":
            assert np.broadcast_shapes(shapes[0], op.shape) == op.shape, found
        elif op.kind == "Slice":
            cuts = zip(*(op.get(name) for name in ("axes", "starts", "ends", "steps")), strict=True)
            assert len(shapes[0]) == len(op.shape), found
            for axis, start, end, step in cuts:
                assert len(range(*slice(start, end, step).indices(shapes[0][axis]))) == op.shape[axis], found
        elif op.kind == "Concat" and not op.constants:
            axis = op.get("axis")
            assert sum(shape[axis] for shape in shapes) == op.shape[axis], found
        elif op.kind.startswith("Reduce"):
            axes, keep = op.get("axes"), op.get("keepdims")
            kept = [1 if k in axes else size for k, size in enumerate(shapes[0]) if keep or k not in axes]
            assert tuple(kept) == op.shape, found
        elif op.kind in ONES:
            assert shapes[0] == op.shape, found


PAIRS = ("Add", "Sub", "Mul", "Div", "Pow", "Max", "Min", "Equal", "Greater", "Less", "And", "Or", "Mod", "Where")
ONES = ("Relu", "Exp", "Log", "Sqrt", "Abs", "Sign", "Floor", "Not", "Softmax", "Identity", "Sigmoid", "Clip")

# Functions of X that take no weights; what each computes is checked on ONNX Runtime.
EXACT = {
    "roll": lambda x: torch.roll(x, (1, -2), (1, 2)),
    "roll of all": lambda x: torch.roll(x, 5),
    "glu": lambda x: functional.glu(x, 1),
    "select": lambda x: x[:, -1],
    "every second": lambda x: x[:, ::2],
    "narrow": lambda x: x.narrow(2, 1, 3),
    "unbind": lambda x: x.unbind(1)[2],
    "chunk": lambda x: torch.cat(x.chunk(3, 2)[::2], 1),
    "stack": lambda x: torch.stack([x, x.exp()], 1),
    "movedim": lambda x: x.movedim((0, 2), (1, 0)),
    "movedim back": lambda x: x.movedim(0, -1),
    "swapaxes": lambda x: x.swapaxes(0, 2),
    "mT": lambda x: x.mT,
    "pixel_unshuffle": lambda x: functional.pixel_unshuffle(x.reshape(2, 1, 4, 6), 2),
    "pixel_shuffle": lambda x: functional.pixel_shuffle(x.reshape(2, 4, 2, 3), 2),
    "channel_shuffle": lambda x: functional.channel_shuffle(x.reshape(2, 4, 2, 3), 2),
    "square": lambda x: x.square(),
    "trunc": lambda x: x.trunc(),
    "rsqrt": lambda x: x.abs().rsqrt(),
    "clamp by tensors": lambda x: x.clamp(x * x, x.exp()),
    "var": lambda x: x.var(1, correction=0),
    "std": lambda x: x.std((1, 2), correction=0, keepdim=True),
    "std_mean": lambda x: torch.cat(torch.std_mean(x, 2, correction=0), 1),
    "max": lambda x: x.max(1).values,
    "min of all": lambda x: x.min(),
    "amax": lambda x: x.amax((0, 2)),
    "addcmul": lambda x: torch.addcmul(x, x, x.exp()),
    "lerp": lambda x: torch.lerp(x, x.exp(), x.sigmoid()),
    "outer": lambda x: torch.outer(x[0, 0], x[1, :, 0]),
    "flip": lambda x: x.flip(1, 2),
}


@pytest.mark.parametrize("name", EXACT)
def test_values_are_those_of_torch(name):
    runtime = pytest.importorskip("onnxruntime")
    network = traced(EXACT[name], X)
    assert not network.coverage.unknown
    consistent(network.architecture)
    session = runtime.InferenceSession(to_onnx(network.architecture, rng=np.random.default_rng(0)))
    (found,) = session.run(None, {session.get_inputs()[0].name: X.numpy()})
    np.testing.assert_allclose(found, EXACT[name](X).numpy(), rtol=1e-5, atol=1e-6)


# Further functions, of which only coverage and shapes are checked: function, inputs
KNOWN = {
    "repeat_interleave": (lambda x: x.repeat_interleave(3, 1), X),
    "repeat_interleave of all": (lambda x: x.repeat_interleave(2), X),
    "meshgrid": (lambda x: [*torch.meshgrid(x[0, 0], x[0, :, 0], indexing="xy")], X),
    "reflected": (lambda x: functional.pad(x, (2, 1), "reflect"), X),
    "ne": (lambda x: x != 0, X),
    "eq": (lambda x, y: x == y, X, OTHER),
    "log1p": (torch.log1p, X),
    "expm1": (torch.expm1, X),
    "log2": (torch.log2, X),
    "log10": (torch.log10, X),
    "exp2": (torch.exp2, X),
    "erfc": (torch.erfc, X),
    "pow of a number": (lambda x: 2**x, X),
    "floor_divide": (lambda x: x // 2, X),
    "trunc division": (lambda x: torch.div(x, 2, rounding_mode="trunc"), X),
    "rsub": (lambda x: torch.rsub(x, 1, alpha=2), X),
    "add with alpha": (lambda x, y: torch.add(x, y, alpha=3), X, OTHER),
    "where with numbers": (lambda x: torch.where(x > 0, x, 0), X),
    "where of numbers": (lambda x: torch.where(x > 0, 1.0, 0.0), X),
    "masked_fill": (lambda x, y: x.masked_fill(x > 0, y.sum()), X, OTHER),
    "bitwise": (lambda x: ~((x > 0) & (x < 1) | (x == 2) ^ (x != 3)), X),
    "isfinite": (torch.isfinite, X),
    "hardshrink": (functional.hardshrink, X),
    "softshrink": (functional.softshrink, X),
    "logsigmoid": (functional.logsigmoid, X),
    "var_mean": (lambda x: torch.var_mean(x, 1), X),
    "norm": (lambda x: x.norm(dim=1), X),
    "norm of order 3": (lambda x: torch.linalg.vector_norm(x, 3, 2), X),
    "norm of order inf": (lambda x: torch.linalg.vector_norm(x, float("inf")), X),
    "normalize": (functional.normalize, X),
    "logsumexp": (lambda x: x.logsumexp(1), X),
    "any": (lambda x: (x > 0).any(1), X),
    "all": (lambda x: (x > 0).all(), X),
    "cumsum": (lambda x: x.cumsum(1), X),
    "sort": (lambda x: torch.cat([x.sort(1).values, x.argsort(1).float()]), X),
    "topk": (lambda x: [*x.topk(2, 1)], X),
    "cosine_similarity": (lambda x, y: functional.cosine_similarity(x, y, 1), X, OTHER),
    "cdist": (torch.cdist, X, OTHER),
    "cdist of order 1": (lambda x, y: torch.cdist(x, y, 1.0), X, OTHER),
    "index of an axis": (lambda x, i: x[:, i], X, INDEX),
    "index of axes": (lambda x, i: x[i[0], i[1]], X, INDEX % 2),
    "index_select": (lambda x, i: x.index_select(1, i[0]), X, INDEX),
    "gather": (lambda x, i: x.gather(1, i[:, None]), X, INDEX),
    "take_along_dim": (lambda x, i: x.take_along_dim(i[:, None, :1], 1), X, INDEX),
    "index_put": (lambda x, i: x.index_put((i[0] % 2, i[1]), x[0, :2]), X, INDEX),
    "scatter": (lambda x, i: x.scatter(1, i[:, None], 0.0), X, INDEX),
    "scatter_add": (lambda x, i: x.scatter_add(1, i[:, None].float().long(), x), X, INDEX),
    "index_add": (lambda x, i: x.index_add(1, i[0], x[:, :2]), X, INDEX),
    "masked_scatter": (lambda x, y: x.masked_scatter(x > 0, y), X, OTHER),
    "as_strided": (lambda x: x.as_strided((3, 4), (2, 1)), X),
    "diagonal": (lambda x: x.diagonal(dim1=1, dim2=2), X),
    "Tensor.unfold": (lambda x: x.unfold(1, 2, 1), X),
    "unfold": (lambda x: functional.unfold(x, 3, padding=1, stride=2), IMAGE),
    "fold": (lambda x: functional.fold(x.reshape(2, 4, 6), (4, 3), 2, padding=0), torch.zeros(2, 4, 6)),
    "grid_sample": (lambda x: functional.grid_sample(x, x[:, :2].movedim(1, -1), align_corners=False), IMAGE),
    "pool of uneven windows": (lambda x: functional.adaptive_avg_pool2d(x, 4), IMAGE),
    "largest of uneven windows": (lambda x: functional.adaptive_max_pool2d(x, (4, 5)), IMAGE),
    "cumprod": (lambda x: x.cumprod(1), X),
    "multinomial": (lambda x: torch.multinomial(x[0].softmax(1), 2), X),
    "one_hot": (lambda i: functional.one_hot(i, 5), INDEX),
    "tril": (lambda x: x.tril(), X),
    "full_like": (lambda x: x + torch.full_like(x, 2) + x.new_zeros(6) + x.new_ones(6), X),
    "arange": (lambda x: x + torch.arange(6) + torch.linspace(0, 1, 6), X),
    "bicubic": (lambda x: functional.interpolate(x, scale_factor=2, mode="bicubic"), IMAGE),
    "antialiased": (lambda x: functional.interpolate(x, size=4, mode="bilinear", antialias=True), IMAGE),
    "nearest-exact": (lambda x: functional.interpolate(x, size=9, mode="nearest-exact"), IMAGE),
    "max_pool with indices": (lambda x: [*functional.max_pool2d(x, 2, return_indices=True)], IMAGE),
    "adaptive_max_pool": (lambda x: functional.adaptive_max_pool2d(x, 3), IMAGE),
    "pool of one image": (lambda x: functional.avg_pool2d(x[0], 2), IMAGE),
    "group_norm": (lambda x: functional.group_norm(x, 2), IMAGE),
    "instance_norm": (functional.instance_norm, IMAGE),
    "local_response_norm": (lambda x: functional.local_response_norm(x, 3), IMAGE),
    "rms_norm": (lambda x: functional.rms_norm(x, (6,)), X),
    "batch moments": (lambda x: functional.batch_norm(x, None, None, training=True), IMAGE),
    "view_as_complex": (
        lambda x: torch.view_as_real(torch.view_as_complex(x.reshape(2, 4, 3, 2)).conj().resolve_conj()),
        X,
    ),
    "imag": (lambda x: torch.view_as_complex(x.reshape(2, 4, 3, 2)).imag, X),
    "broadcast_tensors": (lambda x: sum(torch.broadcast_tensors(x, x[:1])), X),
    "empty part": (lambda x: torch.cat([torch.empty(0), x], 1), X),
    "dropout in training": (lambda x: functional.dropout(x, 0.5, training=True), X),
}


@pytest.mark.parametrize("name", KNOWN)
def test_operations_are_known(name):
    function, *inputs = KNOWN[name]
    network = traced(function, *inputs)
    assert not network.coverage.unknown
    assert not network.coverage.shapeless
    consistent(network.architecture)
    counted = cost(network.architecture)
    assert not counted.unknown
    assert (counted.macs, counted.params) == (0, 0)


W = torch.zeros(6, 6)
PRODUCTS = {
    "matmul": (lambda x, w: x @ w, X, W),
    "vector": (lambda x, w: x @ w[0], X, W),
    "mv": (lambda x, w: torch.mv(w, x[0, 0]), X, W),
    "dot": (lambda x: torch.dot(x[0, 0], x[0, 1]), X),
    "bmm": (lambda x, y: torch.bmm(x, y.mT), X, OTHER),
    "addmm": (lambda x, w: torch.addmm(w, x[0, :1].mT, x[1, :1], alpha=2, beta=3), X, W),
    "baddbmm": (lambda x, y: torch.baddbmm(x.new_empty(2, 4, 4), x, y.mT, beta=0, alpha=0.5), X, OTHER),
    "einsum": (lambda x, w: torch.einsum("bij, jk -> bik", x, w), X, W),
    "linear by the input": (lambda x, w: functional.linear(x, w), X, W),
    "grouped queries": (
        lambda q, k: functional.scaled_dot_product_attention(q, k, k, enable_gqa=True),
        torch.zeros(1, 4, 5, 8),
        torch.zeros(1, 2, 7, 8),
    ),
    "affine_grid": (lambda x: functional.affine_grid(x[:, :2, :3], (2, 4, 6, 6), align_corners=False), X),
    "same padding": (lambda x, w: functional.conv2d(x, w, padding="same"), IMAGE, torch.zeros(3, 4, 3, 3)),
    "transposed": (lambda x, w: functional.conv_transpose2d(x, w, stride=2), IMAGE, torch.zeros(4, 3, 2, 2)),
}
BY_HAND = {
    "vector": 48,
    "mv": 36,
    "dot": 6,
    "grouped queries": 2 * 4 * 5 * 8 * 7,
    "affine_grid": 2 * 36 * 3 * 2,
}  # FlopCounterMode lacks these


@pytest.mark.parametrize("name", PRODUCTS)
def test_products_are_those_that_torch_counts(name):
    function, *inputs = PRODUCTS[name]
    counted = cost(traced(function, *inputs).architecture)
    assert not counted.unknown
    with FlopCounterMode(display=False) as counter:
        function(*inputs)
    assert counted.macs == BY_HAND.get(name, counter.get_total_flops() // 2)


class Weighted(nn.Module):
    def __init__(self, layer, function=None):
        super().__init__()
        self.layer, self.function = layer, function or (lambda layer, *inputs: layer(*inputs))

    def forward(self, *inputs):
        return self.function(self.layer, *inputs)


def ten_steps(cell, x):
    state = None
    for _ in range(10):
        state = cell(x, state)
    return state


def ten_hidden_steps(cell, x):
    state = x.new_zeros(1, 64)
    for _ in range(10):
        state = cell(x, state)
    return state


def of_weight(layer, x):
    return torch.einsum("bij,jk->bik", x, layer.weight)


# Name -> module, input shapes, MACs, parameters
LAYERS = {
    # each step multiplies 4 gates of 64 by 32 inputs and 64 states
    "LSTMCell": (Weighted(nn.LSTMCell(32, 64), ten_steps), [(1, 32)], 245_760, 25_088),
    "GRUCell": (Weighted(nn.GRUCell(32, 64), ten_hidden_steps), [(1, 32)], 184_320, 18_816),
    "RNNCell": (Weighted(nn.RNNCell(32, 64), ten_hidden_steps), [(1, 32)], 61_440, 6_272),
    # 4 gates of 64 from 32 inputs and 16 states, and the projection of 64 to 16
    "projected LSTM": (nn.LSTM(32, 64, proj_size=16), [(10, 1, 32)], 133_120, 13_824),
    "two-way LSTM": (nn.LSTM(8, 4, 2, bidirectional=True), [(3, 5, 8)], 15 * 2 * 16 * (8 + 4 + 8 + 4), 2 * 2 * 16 * 14),
    "GRU without offsets": (nn.GRU(8, 4, bias=False, batch_first=True), [(5, 3, 8)], 15 * 12 * 12, 12 * 12),
    "RNN": (nn.RNN(8, 4, nonlinearity="relu"), [(3, 5, 8)], 15 * 4 * 12, 4 * 14),
    # for each of 16 rows and 4 outputs: 6 x 5 products with the weight, then 5 with the second input
    "Bilinear": (nn.Bilinear(6, 5, 4), [(16, 6), (16, 5)], 16 * 4 * (6 * 5 + 5), 4 * 30 + 4),
    "Einsum of a weight": (Weighted(nn.Linear(64, 64, bias=False), of_weight), [(1, 16, 64)], 65_536, 4_096),
    "unbatched Conv": (nn.Conv1d(4, 6, 3, padding=1), [(4, 10)], 10 * 6 * 12, 78),
    "no affine BatchNorm": (nn.BatchNorm2d(4, affine=False), [(1, 4, 3, 3)], 0, 0),
    "affine InstanceNorm": (nn.InstanceNorm2d(4, affine=True), [(1, 4, 3, 3)], 0, 8),
    "tracked InstanceNorm": (nn.InstanceNorm2d(4, affine=True, track_running_stats=True), [(1, 4, 3, 3)], 0, 8),
    "GroupNorm": (nn.GroupNorm(2, 4), [(1, 4, 3, 3)], 0, 8),
    "LayerNorm without offset": (nn.LayerNorm(4, bias=False), [(2, 4)], 0, 4),
    "RMSNorm": (nn.RMSNorm(4), [(2, 4)], 0, 4),
    "PReLU": (nn.PReLU(4), [(2, 4, 3)], 0, 4),
    "one PReLU": (nn.PReLU(), [(2, 4, 3)], 0, 1),
}  # fmt: skip


@pytest.mark.parametrize("name", LAYERS)
def test_layers_by_hand(name):
    module, shapes, macs, params = LAYERS[name]
    network = trace_module(module, [torch.zeros(shape) for shape in shapes])
    counted = cost(network.architecture)
    assert not network.coverage.unknown
    assert not counted.unknown
    assert (counted.macs, counted.params) == (macs, params)
    assert params == sum(p.numel() for p in module.parameters())


def test_what_decides_the_first_state_is_needed():
    class Translator(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder, self.decoder = nn.LSTM(4, 8), nn.LSTM(4, 8)

        def forward(self, source, target):
            return self.decoder(target, self.encoder(source)[1])[0]

    network = trace_module(Translator(), [torch.zeros(3, 1, 4), torch.zeros(5, 1, 4)])
    assert cost(network.architecture).macs == (3 + 5) * 32 * 12
    assert not network.coverage.unreached


def test_bags_of_rows_are_sums_of_rows():
    bags = nn.EmbeddingBag(100, 4, mode="sum")
    network = trace_module(bags, torch.zeros(3, 5, dtype=torch.long))
    kinds = [op.kind for op in network.architecture.ops]
    assert kinds == ["Input", "Reshape", "Gather", "Reshape", "ReduceSum"]
    counted = cost(network.architecture)
    assert (counted.params, counted.flops) == (400, 3 * 5 * 4)


def shifted_windows(x):
    """The mask of a transformer with shifted windows, as its authors write it: regions are numbered, then compared."""
    numbers, count = x.new_zeros((6, 6)), 0
    for rows in ((0, 2), (2, 4), (4, 6)):
        for columns in ((0, 2), (2, 4), (4, 6)):
            numbers[rows[0] : rows[1], columns[0] : columns[1]] = count
            count += 1
    numbers = numbers.view(3, 2, 3, 2).permute(0, 2, 1, 3).reshape(9, 4)
    mask = numbers.unsqueeze(1) - numbers.unsqueeze(2)
    mask = mask.masked_fill(mask != 0, -100.0).masked_fill(mask == 0, 0.0)
    windows = torch.roll(x, (-1, -1), (1, 2)).view(2, 3, 2, 3, 2, 4).permute(0, 1, 3, 2, 4, 5).reshape(18, 4, 4)
    scores = windows @ windows.transpose(1, 2)
    scores = scores.view(2, 9, 4, 4) + mask.unsqueeze(0)
    return (scores.softmax(-1).view(18, 4, 4) @ windows).roll((1,), (1,))


def test_shifted_windows_are_known_and_their_mask_is_a_constant():
    network = traced(shifted_windows, torch.zeros(2, 6, 6, 4))
    assert not network.coverage.unknown
    consistent(network.architecture)
    counted = cost(network.architecture)
    assert (counted.macs, counted.params, counted.unknown) == (2 * 18 * 4 * 4 * 4, 0, {})
    assert "ScatterND" not in network.coverage.known


def test_sizes_that_depend_on_values_are_named_and_weights_still_counted():
    class Chosen(nn.Module):
        def __init__(self):
            super().__init__()
            self.dense, self.conv = nn.Linear(6, 3), nn.Conv1d(3, 2, 1)

        def forward(self, x):
            return self.conv(self.dense(x[x[:, :, 0] > 0]).t())

    network = trace_module(Chosen(), X)
    counted = cost(network.architecture)
    assert counted.params == 21 + 8
    assert network.coverage.unknown["aten.index"] == 1
    assert network.coverage.shapeless


class Two(nn.Module):
    """Two dense layers, and a function of both."""

    def __init__(self, function):
        super().__init__()
        self.one, self.other, self.function = nn.Linear(8, 8), nn.Linear(8, 8), function

    def forward(self, x):
        return self.function(self.one, self.other, x)


def under_settings(one, other, x):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        x = one(x)
    with torch.no_grad(), torch.autocast("cpu", enabled=False):
        x = x.float().relu()
    with torch.enable_grad():
        return other(x)


def checkpointed(one, other, x):
    return other(torch.utils.checkpoint.checkpoint(one, x, use_reentrant=False).float().relu())


@pytest.mark.parametrize("function", [under_settings, checkpointed])
def test_settings_of_torch_do_not_hide_operations(function):
    network = trace_module(Two(function), torch.zeros(3, 8))
    assert [op.kind for op in canonical(network.architecture).ops if op.kind != "Cast"] == [
        "Input",
        "Gemm",
        "Relu",
        "Gemm",
    ]
    assert network.modules[1] == "one"
    assert cost(network.architecture).macs == 2 * 3 * 64


class Choice(nn.Module):
    """Layers of 8 values, one before and three in the ways of a choice; ``function`` is called with them and x."""

    def __init__(self, function):
        super().__init__()
        self.before, self.one, self.two, self.three = (nn.Linear(8, 8) for _ in range(4))
        self.function = function

    def forward(self, x):
        return self.function(self, x)


def chosen(m, x):
    return torch.cond(x.sum() > 0, lambda x, z: m.one(x), lambda x, z: m.three(m.two(x + z)), (x, m.before(x)))


def shared(m, x):
    """The ways have a layer in common; two results."""
    ways = lambda x: (m.one(x), x.relu()), lambda x: (m.two(m.one(x)).relu(), m.three(x))
    first, second = torch.cond(x.sum() > 0, *ways, (m.before(x),))
    return first + second


def nested(m, x):
    def inner(x):
        return torch.cond(x.max() > 1, lambda x: m.two(x) + 0, lambda x: m.three(m.one(x)), (x,))

    return torch.cond(x.sum() > 0, inner, lambda x: x + 1, (m.before(x),))


@pytest.mark.parametrize(("function", "macs", "named"), [(chosen, 3 * 64, 1), (shared, 4 * 64, 2), (nested, 3 * 64, 2)])
def test_the_way_with_more_weights_is_counted_and_named_with_the_weights_of_the_other(function, macs, named):
    network = trace_module(Choice(function), torch.zeros(3, 8))
    assert network.coverage.unknown == {"torch.cond": named}
    counted = cost(network.architecture)
    assert (counted.params, counted.macs) == (4 * 72, 3 * macs)
    assert not network.coverage.unreached
    assert not network.coverage.shapeless


def test_a_choice_that_is_known_is_followed():
    network = trace_module(Choice(lambda m, x: torch.cond(x.shape[0] > 2, m.one, m.two, (x,))), torch.zeros(3, 8))
    assert not network.coverage.unknown
    assert cost(network.architecture).params == 72


def test_what_only_the_other_way_reads_is_computed():
    """A layer before the choice runs in any case."""

    def function(m, x):
        return torch.cond(x.sum() > 0, lambda x, z: m.one(x), lambda x, z: z + 1, (x, m.before(x)))

    assert cost(trace_module(Choice(function), torch.zeros(3, 8)).architecture).macs == 2 * 3 * 64


def test_attention_with_a_function_of_its_scores():
    attention = torch.nn.attention.flex_attention.flex_attention
    q, k = torch.zeros(1, 2, 5, 8), torch.zeros(1, 2, 7, 8)
    network = traced(lambda q, k: attention(q, k, k, score_mod=lambda score, *places: score * 2), q, k)
    assert [op.kind for op in network.architecture.ops] == ["Input", "Input", "Attention"]
    assert cost(network.architecture).macs == 2 * 2 * 5 * 7 * 8


def test_experts_keep_their_weights():
    class Experts(nn.Module):
        def __init__(self):
            super().__init__()
            self.experts = nn.Parameter(torch.zeros(4, 16, 32, dtype=torch.bfloat16))

        def forward(self, x, ends):
            return torch._grouped_mm(x, self.experts, ends)

    given = [torch.zeros(64, 16, dtype=torch.bfloat16), torch.tensor([16, 32, 48, 64], dtype=torch.int32)]
    network = trace_module(Experts(), given)
    counted = cost(network.architecture)
    assert [op.kind for op in network.architecture.ops] == ["Input", "Input", "GroupedMatMul"]
    assert (counted.params, counted.stored_bytes) == (4 * 16 * 32, 2 * 4 * 16 * 32)


COMPOSITES = {  # function of x (2, 4, 6) -> multiply-adds
    "tensordot": (lambda x: torch.tensordot(x, torch.ones(6, 5), 1), 2 * 4 * 6 * 5),
    "multi_dot": (lambda x: torch.linalg.multi_dot([x[0], x[1].T, torch.ones(4, 2)]), 6 * 4 * 2 + 4 * 6 * 2),
    "kron": (lambda x: torch.kron(x[0, :1], x[1]), 0),
    "pairwise_distance": (lambda x: functional.pairwise_distance(x[0], x[1]), 0),
}


@pytest.mark.parametrize("name", COMPOSITES)
def test_composite_operations_are_counted_by_their_parts(name):
    function, macs = COMPOSITES[name]
    network = traced(function, X)
    assert not network.coverage.unknown
    assert cost(network.architecture).macs == macs
