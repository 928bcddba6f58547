"""A module that changes values in place computes what the same module without it computes, and so costs."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from narformer.formats.torch_module import trace_module
from narformer.network import canonical, cost

X = torch.zeros(1, 4, 8)
MACS = 1 * 4 * 8 * 8  # of one Linear(8, 8) on X


class Around(nn.Module):
    """A function between two dense layers; whatever it does, both are needed."""

    def __init__(self, function):
        super().__init__()
        self.first, self.last, self.function = nn.Linear(8, 8), nn.Linear(8, 8), function
        self.register_buffer("cache", torch.zeros(1, 4, 8))

    def forward(self, x):
        return self.last(self.function(self, self.first(x)))


def traced(function):
    return trace_module(Around(function), X)


def in_the_middle(change):
    """x, after ``change(x)``, whose result is not used."""

    def function(module, x):
        change(module, x)
        return x

    return function


def assign(module, x):
    x[:, 0] = x[:, 1]


def assign_step(module, x):
    x[:, ::2, 1:5] = 0.5


def through_a_view(module, x):
    x.view(32).mul_(2)


def through_two_views(module, x):
    x.transpose(1, 2)[0, 3].relu_()


EVERY_VALUE = {
    "dropout": lambda m, x: functional.dropout(x, 0.5, m.training, inplace=True),
    "relu": lambda m, x: x.relu_(),
    "add": lambda m, x: x.add_(1),
    "masked_fill": lambda m, x: x.masked_fill_(x > 0, -1.0),
    "index_put": lambda m, x: x.index_put_((torch.tensor([0]), torch.tensor([1, 3])), torch.zeros(2, 8)),
    "slice": assign,
    "step": assign_step,
    "view": through_a_view,
    "two views": through_two_views,
    "clamp": lambda m, x: x.clamp_(-1, 1),
    "scatter": lambda m, x: x.scatter_(1, torch.zeros(1, 1, 8, dtype=torch.long), 2.0),
    "out": lambda m, x: torch.exp(x, out=x),
    "fill of a part": lambda m, x: x[:, 2].fill_(0),
}


@pytest.mark.parametrize("name", EVERY_VALUE)
def test_what_comes_before_a_change_in_place_is_needed(name):
    network = traced(in_the_middle(EVERY_VALUE[name]))
    assert cost(network.architecture).macs == 2 * MACS
    assert cost(network.architecture).params == 2 * 72
    assert not network.coverage.unknown
    assert not network.coverage.unreached


# What a change in place computes, and the same without it
PAIRS = {
    "relu": (in_the_middle(lambda m, x: x.relu_()), lambda m, x: x.relu()),
    "relu of a view": (in_the_middle(lambda m, x: x.view(32).relu_()), lambda m, x: x.view(32).relu().view(1, 4, 8)),
    "sum": (in_the_middle(lambda m, x: x.add_(x)), lambda m, x: x + x),
    "dropout": (in_the_middle(EVERY_VALUE["dropout"]), lambda m, x: x),
    "twice": (in_the_middle(lambda m, x: x.relu_().sigmoid_()), lambda m, x: x.relu().sigmoid()),
    "read before": (lambda m, x: (x.exp(), x.relu_())[0] + x, lambda m, x: x.exp() + x.relu()),
    "kept before": (lambda m, x: (x.clone(), x.relu_())[0], lambda m, x: x),
}


@pytest.mark.parametrize("name", PAIRS)
def test_a_change_in_place_is_the_same_network_as_a_new_value(name):
    changed, plain = (canonical(traced(function).architecture) for function in PAIRS[name])
    assert changed == plain


def test_values_that_are_overwritten_are_not_needed():
    network = traced(lambda m, x: x.copy_(x.exp()))
    assert [op.kind for op in canonical(network.architecture).ops] == ["Input", "Gemm", "Exp", "Gemm"]


def test_a_network_ends_in_dropout_as_torchvision_writes_it():
    features = [nn.Flatten(), nn.Linear(32, 16), nn.ReLU(inplace=True), nn.Dropout(inplace=True), nn.Linear(16, 10)]
    network = trace_module(nn.Sequential(*features), X)
    counted = cost(network.architecture)
    assert (counted.macs, counted.params) == (32 * 16 + 16 * 10, 33 * 16 + 17 * 10)
    assert [op.kind for op in canonical(network.architecture).ops] == ["Input", "Reshape", "Gemm", "Relu", "Gemm"]
    assert not network.coverage.unreached


class Cached(nn.Module):
    """A decoder's attention with keys and values of earlier steps in buffers."""

    def __init__(self):
        super().__init__()
        self.both = nn.Linear(16, 48)
        self.register_buffer("keys", torch.zeros(1, 2, 32, 8))
        self.register_buffer("values", torch.zeros(1, 2, 32, 8))

    def forward(self, x):
        query, key, value = self.both(x).view(1, 1, 3, 2, 8).permute(2, 0, 3, 1, 4)
        self.keys[:, :, 5:6] = key
        self.values[:, :, 5:6] = value
        return functional.scaled_dot_product_attention(query, self.keys, self.values)


def test_a_cache_in_buffers_is_written_and_read():
    network = trace_module(Cached(), torch.zeros(1, 1, 16))
    kinds = [op.kind for op in network.architecture.ops]
    assert kinds.count("ScatterND") == 2
    assert cost(network.architecture).macs == 16 * 48 + 2 * 2 * 8 * 32  # 32 keys for each of two heads
    outputs = set(range(len(kinds))) - {source for source, _ in network.architecture.edges}
    assert len(outputs) == 3  # the result, and both caches


def test_a_change_of_an_input_is_an_output():
    class Changing(nn.Module):
        def forward(self, x, state):
            state.mul_(2).add_(x)
            return x.relu()

    network = trace_module(Changing(), [X, X.clone()])
    assert sorted(op.kind for op in network.architecture.ops) == ["Add", "Input", "Input", "Mul", "Relu"]
    assert not network.coverage.unreached


def test_a_module_that_builds_its_output_row_by_row():
    class Rows(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell = nn.Linear(8, 8)

        def forward(self, x):
            out = torch.zeros_like(x)
            for row in range(x.shape[1]):
                out[:, row] = self.cell(x[:, row])
            return out

    counted = cost(trace_module(Rows(), X).architecture)
    assert (counted.macs, counted.params, counted.unknown) == (MACS, 72, {})


def test_a_parameter_whose_shape_alone_is_read_is_not_in_the_network():
    class Shaped(nn.Module):
        def __init__(self):
            super().__init__()
            self.like, self.wide = nn.Parameter(torch.zeros(8)), nn.Parameter(torch.zeros(3, 4, 8))

        def forward(self, x):
            return (x + torch.zeros_like(self.like)).expand_as(self.wide) * 2

    coverage = trace_module(Shaped(), X).coverage
    assert coverage.unreached == {"like": 8, "other parameters": 96}


def test_tracing_leaves_the_module_as_it_was():
    module = Around(in_the_middle(lambda m, x: m.cache.add_(x)))
    module.last.eval()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    network = trace_module(module, X)
    assert network.coverage.nodes
    assert module.training
    assert module.first.training
    assert not module.last.training
    assert all(torch.equal(before[name], tensor) for name, tensor in module.state_dict().items())


def test_what_no_output_depends_on_is_said():
    class Forgetful(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.idle, self.lost = nn.Linear(8, 8), nn.Linear(8, 4), nn.Linear(8, 2)

        def forward(self, x, mask):
            self.lost(x)
            return self.used(x)

    coverage = trace_module(Forgetful(), [X, torch.zeros(1, 4)]).coverage
    expected = {"idle.weight": 32, "idle.bias": 4, "lost.weight": 16, "lost.bias": 2, "mask": 4}
    assert coverage.unreached == expected
    assert "NO OUTPUT DEPENDS ON 58 values (idle.weight, idle.bias, lost.weight, …)" in str(coverage)
    assert coverage.dropped == {"dead": 2}  # the operation, and the input
