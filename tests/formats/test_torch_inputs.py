"""Modules are traced with inputs and outputs of any structure, and in any wrapping."""

import dataclasses
from collections import OrderedDict, namedtuple
from math import log2

import pytest
import torch
from torch import nn
from torch.nn import functional

from narformer.errors import BadArchitecture
from narformer.formats.torch_module import trace_module
from narformer.network import canonical, cost, fingerprint

X = torch.zeros(2, 4)


def inputs(network):
    return [
        (name, op.shape) for name, op in zip(network.names, network.architecture.ops, strict=True) if op.kind == "Input"
    ]


class Scaled(nn.Module):
    def __init__(self):
        super().__init__()
        self.dense = nn.Linear(4, 4)

    def forward(self, x, offset=None, *, scale, times=2):
        x = self.dense(x) * scale
        for _ in range(times):
            x = x.relu()
        return x if offset is None else x + offset


def test_arguments_by_name():
    network = trace_module(Scaled(), {"x": X, "scale": torch.zeros(4)})
    assert inputs(network) == [("x", (2, 4)), ("scale", (4,))]
    assert cost(network.architecture).macs == 2 * 4 * 4
    assert [op.kind for op in network.architecture.ops].count("Relu") == 2


def test_numbers_and_none_keep_the_value_of_the_example():
    network = trace_module(Scaled(), {"x": X, "offset": torch.zeros(4), "scale": 0.5, "times": 3})
    kinds = [op.kind for op in network.architecture.ops]
    assert (kinds.count("Relu"), kinds.count("Add"), len(inputs(network))) == (3, 1, 2)


def test_positional_arguments_may_be_numbers_and_none():
    class Plain(nn.Module):
        def forward(self, x, mask, power):
            return x**power if mask is None else x

    network = trace_module(Plain(), [X, None, 3])
    assert [op.get("value") for op in network.architecture.ops if op.kind == "Pow"] == [3.0]


class Batch(nn.Module):
    def forward(self, batch):
        image, (one, other) = batch["image"], batch["states"]
        return image + one * other


def test_a_dict_as_one_argument_goes_into_a_list():
    batch = {"image": X, "states": [X, torch.zeros(4)]}
    expected = [("batch.image", (2, 4)), ("batch.states.0", (2, 4)), ("batch.states.1", (4,))]
    assert inputs(trace_module(Batch(), [batch])) == expected
    assert inputs(trace_module(Batch(), {"batch": batch})) == expected
    with pytest.raises(BadArchitecture, match=r"Batch.forward\(batch\).*goes into a list: \[batch\]"):
        trace_module(Batch(), batch)


Pair = namedtuple("Pair", "left right")


@dataclasses.dataclass
class Sides:
    left: torch.Tensor
    right: torch.Tensor
    name: str = "sides"


class Store:
    """A cache: an object that holds lists of tensors."""

    def __init__(self, *tensors):
        self.held, self.steps = [{"keys": tensor} for tensor in tensors], len(tensors)


def structures():
    return {
        "list": [X, X],
        "tuple": (X, X),
        "named": Pair(X, X),
        "dict": {"a": X, "b": X},
        "ordered": OrderedDict(a=X, b=X),
        "data class": Sides(X, X),
        "object": Store(X, X),
        "nested": [{"a": (X, None, 1)}, Sides(X, "text")],
    }


class Through(nn.Module):
    """Two dense layers on the two tensors of any structure, which it gives back in the same structure."""

    def __init__(self, read, write):
        super().__init__()
        self.one, self.other, self.read, self.write = nn.Linear(4, 4), nn.Linear(4, 2), read, write

    def forward(self, given):
        left, right = self.read(given)
        return self.write(self.one(left), self.other(right))


READ = {
    "list": lambda x: x,
    "tuple": lambda x: x,
    "named": lambda x: (x.left, x.right),
    "dict": lambda x: (x["a"], x["b"]),
    "ordered": lambda x: x.values(),
    "data class": lambda x: (x.left, x.right),
    "object": lambda x: [entry["keys"] for entry in x.held],
    "nested": lambda x: (x[0]["a"][0], x[1].left),
}
WRITE = {
    "list": lambda left, right: [left, right],
    "tuple": lambda left, right: (left, right),
    "named": Pair,
    "dict": lambda left, right: {"a": left, "b": right},
    "ordered": lambda left, right: OrderedDict(a=left, b=right),
    "data class": Sides,
    "object": Store,
    "nested": lambda left, right: [{"a": (left, None, 1)}, Sides(right, "text")],
}


@pytest.mark.parametrize("name", READ)
def test_structures_in_and_out(name):
    given = structures()[name]
    network = trace_module(Through(READ[name], WRITE[name]), [given])
    assert len(inputs(network)) == 2
    read = {source for source, _ in network.architecture.edges}
    shapes = [op.shape for vertex, op in enumerate(network.architecture.ops) if vertex not in read]
    assert sorted(shapes) == [(2, 2), (2, 4)]
    assert cost(network.architecture).params == 20 + 10


def test_the_example_is_not_changed():
    given = structures()["object"]
    trace_module(Through(READ["object"], WRITE["object"]), [given])
    assert [entry["keys"] is X for entry in given.held] == [True, True]


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (X, "missing a required.*'scale'"),
        ({"x": X}, "missing a required.*'scale'"),
        ([X, X, X], "too many positional"),
        ({"x": X, "scale": X, "mask": X}, "unexpected keyword argument 'mask'"),
    ],
)
def test_inputs_that_do_not_fit_are_refused_with_the_arguments(given, reason):
    with pytest.raises(BadArchitecture, match=reason) as refused:
        trace_module(Scaled(), given)
    assert "Scaled.forward(x, offset=None, *, scale, times=2)" in str(refused.value)


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ({"x": X.numpy(), "scale": 1.0}, "x"),
        ({"x": X, "scale": X.numpy()}, "scale"),
        ({"x": X, "scale": 1.0, "offset": {"a": [X.numpy()]}}, "offset.a.0"),
    ],
)
def test_arrays_of_numpy_are_refused_by_their_place(given, place):
    with pytest.raises(BadArchitecture, match=rf"found numpy\.ndarray in place of '{place}'; expected torch tensors"):
        trace_module(Scaled(), given)


def test_what_holds_no_tensor_is_refused_with_what_to_give():
    for given in (1, None, "1x4", [1.0, 2.0]):
        with pytest.raises(BadArchitecture, match=r"on no tensor: .* expected torch tensors as inputs"):
            trace_module(nn.Linear(4, 4), [given])
    with pytest.raises(BadArchitecture, match=r"A shape is no input: give torch\.zeros\(1, 4\)"):
        trace_module(nn.Linear(4, 4), (1, 4))


def test_names_of_modules_and_parameters_are_those_of_the_module():
    class Outer(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.idle = nn.Sequential(nn.Linear(4, 4), nn.ReLU()), nn.Linear(4, 1)

        def forward(self, x):
            return self.inner(self.inner(x)) + 1

    network = trace_module(Outer(), X)
    assert network.modules == ("", "inner.0", "inner.1", "inner.0", "inner.1", "")
    assert list(network.coverage.unreached) == ["idle.weight", "idle.bias"]


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 8), nn.ReLU(inplace=True), nn.Linear(8, 2))

    def forward(self, x):
        return self.layers(x)


def test_wrapped_and_compiled_modules_are_read_as_the_module_inside():
    plain = trace_module(Small(), X)
    compiled_inside = nn.Sequential(Small())
    compiled_inside[0] = torch.compile(compiled_inside[0])
    in_place = Small()
    in_place.compile()
    for module in (torch.compile(Small()), nn.DataParallel(Small()), compiled_inside, in_place):
        network = trace_module(module, X)
        assert canonical(network.architecture) == canonical(plain.architecture)
    assert trace_module(torch.compile(Small()), X).title == "Small"


def test_meta_and_memory_give_one_network():
    with torch.device("meta"):
        on_meta = Small()
    mixed = Small()
    mixed.layers[0].to("meta")
    weight = mixed.layers[2].weight
    plain = trace_module(Small(), X)
    for module in (on_meta, mixed):
        assert fingerprint(trace_module(module, X).architecture) == fingerprint(plain.architecture)
    assert mixed.layers[2].weight is weight


def test_tensors_that_a_module_on_meta_makes_are_on_meta():
    class Making(nn.Module):
        def __init__(self):
            super().__init__()
            self.dense = nn.Linear(4, 4, device="meta")

        def forward(self, x):
            return self.dense(x) + torch.arange(4) + torch.tensor([1.0, 2.0, 3.0, 4.0])

    assert cost(trace_module(Making(), X).architecture).macs == 32


WIDTH, TOKENS = 8, 5
TEXT = torch.zeros(2, TOKENS, WIDTH)
PROJECTIONS = 2 * TOKENS * 4 * WIDTH * WIDTH  # queries, keys, values and result
PRODUCTS = 2 * 2 * TOKENS * TOKENS * WIDTH  # queries and keys; weights and values


@pytest.mark.parametrize("needed", [True, False])
@pytest.mark.parametrize("trained", [True, False])
def test_attention_has_separate_operations(needed, trained):
    class Attending(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = nn.MultiheadAttention(WIDTH, 2, batch_first=True)

        def forward(self, x):
            return self.attention(x, x, x, need_weights=needed)[0]

    module = Attending().requires_grad_(trained)
    counted = cost(trace_module(module, TEXT).architecture)
    assert counted.macs == PROJECTIONS + PRODUCTS
    assert counted.params == sum(p.numel() for p in module.parameters())
    assert not counted.unknown


def test_the_encoder_of_torch_has_no_hidden_operation():
    layer = nn.TransformerEncoderLayer(WIDTH, 2, 16, batch_first=True)
    module = nn.TransformerEncoder(layer, 2).requires_grad_(False)
    before = torch.backends.mha.get_fastpath_enabled()
    network = trace_module(module, TEXT)
    counted = cost(network.architecture)
    assert counted.macs == 2 * (PROJECTIONS + PRODUCTS + 2 * 2 * TOKENS * WIDTH * 16)
    assert counted.params == sum(p.numel() for p in module.parameters())
    assert not network.coverage.unknown
    assert torch.backends.mha.get_fastpath_enabled() == before


def test_tied_weights_count_once():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.out = nn.Embedding(1000, 64), nn.Linear(64, 1000, bias=False)
            self.out.weight = self.table.weight

        def forward(self, x):
            return self.out(self.table(x))

    network = trace_module(Tied(), torch.zeros(1, 16, dtype=torch.long))
    counted = cost(network.architecture)
    assert (counted.params, counted.macs) == (64_000, 1_024_000)
    assert not network.coverage.unreached


def test_buffers_and_masks_are_not_parameters():
    class Placed(nn.Module):
        def __init__(self):
            super().__init__()
            self.dense = nn.Linear(64, 64)
            self.register_buffer("places", torch.zeros(16, 64))
            self.register_buffer("mask", torch.ones(16, 16, dtype=torch.bool).tril())

        def forward(self, x):
            x = self.dense(x) + self.places
            return (x @ x.transpose(1, 2)).masked_fill(~self.mask, float("-inf"))

    counted = cost(trace_module(Placed(), torch.zeros(1, 16, 64)).architecture)
    assert (counted.params, counted.constants) == (4_160, 16 * 64 + 16 * 16)
    assert counted.stored_bytes == 4 * (4_160 + 16 * 64) + 16 * 16


def test_parameters_behind_a_parametrization_are_counted():
    plain = nn.Linear(4, 4)
    normed = nn.utils.parametrizations.weight_norm(nn.Linear(4, 4))
    old = nn.Sequential(torch.nn.utils.spectral_norm(nn.Linear(4, 4)))
    for module, extra in ((normed, 4), (old, 0)):
        network = trace_module(module, X)
        counted = cost(network.architecture)
        assert (counted.macs, counted.params) == (32, cost(trace_module(plain, X).architecture).params + extra)
        assert not network.coverage.unreached


def test_queries_that_are_a_parameter():
    class Learned(nn.Module):
        def __init__(self):
            super().__init__()
            self.queries, self.both = nn.Parameter(torch.zeros(1, 4, 8, 16)), nn.Linear(64, 128)

        def forward(self, x):
            keys, values = self.both(x).view(1, 256, 2, 4, 16).permute(2, 0, 3, 1, 4)
            return functional.scaled_dot_product_attention(self.queries, keys, values)

    counted = cost(trace_module(Learned(), torch.zeros(1, 256, 64)).architecture)
    assert (counted.macs, counted.params) == (2_359_296, 64 * 128 + 128 + 8 * 64)


class Rotary(nn.Module):
    """Positions as rotations of pairs of values: complex numbers, as in the first published Llama."""

    def __init__(self):
        super().__init__()
        self.dense = nn.Linear(8, 8)
        angles = torch.outer(torch.arange(5.0), torch.ones(4))
        self.register_buffer("turns", torch.polar(torch.ones(5, 4), angles), persistent=False)

    def forward(self, x):
        pairs = torch.view_as_complex(self.dense(x).reshape(2, 5, 4, 2))
        return torch.view_as_real(pairs * self.turns).flatten(2)


def test_complex_numbers_are_known():
    network = trace_module(Rotary(), TEXT)
    counted = cost(network.architecture)
    assert not network.coverage.unknown
    assert (counted.macs, counted.params, counted.constants) == (2 * 5 * 64, 72, 20)


def test_transforms():
    class Mixing(nn.Module):
        def __init__(self):
            super().__init__()
            self.dense = nn.Linear(8, 8)

        def forward(self, x):
            return self.dense(torch.fft.fft2(x).real)

    network = trace_module(Mixing(), TEXT)
    counted = cost(network.architecture)
    assert not counted.unknown
    assert [op.kind for op in network.architecture.ops].count("DFT") == 2
    # Ten rows of eight values along one axis and sixteen of five along the other, 5 n log2 n each
    of_transforms = sum(flops for kind, flops in zip(counted.kinds, counted.flops_N, strict=True) if kind == "DFT")
    assert of_transforms == int(5 * 80 * log2(8)) + int(5 * 80 * log2(5))
    assert counted.params == 72
