"""A module and the files that PyTorch's two exporters write of it are one network."""

import pytest
import torch
from exporters import exported

from narformer.formats.onnx_reader import read_onnx
from narformer.formats.torch_module import trace_module
from narformer.network import cost, fingerprint

MASKS = {"no mask": None, "a mask of truth values": torch.bool, "an added mask": torch.float32, "a causal mask": None}


class SelfAttention(torch.nn.Module):
    """Four heads of four values; ``causal``: no token sees a later one."""

    def __init__(self, causal):
        super().__init__()
        self.qkv, self.causal = torch.nn.Linear(16, 48), causal

    def forward(self, x, mask=None):
        batch, tokens, width = x.shape
        q, k, v = self.qkv(x).view(batch, tokens, 3, 4, 4).permute(2, 0, 3, 1, 4).unbind(0)
        mask = None if mask is None else mask[:, None, None, :].expand(batch, 1, tokens, tokens)
        y = torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=self.causal)
        return y.transpose(1, 2).reshape(batch, tokens, width)


@pytest.mark.parametrize("name", MASKS)
@pytest.mark.parametrize("dynamo", [True, False], ids=["dynamo", "TorchScript"])
def test_attention_is_one_network_by_every_road(name, dynamo):
    module = SelfAttention(name == "a causal mask").eval()
    dtype = MASKS[name]
    inputs = (torch.randn(2, 5, 16), *([torch.ones(2, 5).to(dtype)] if dtype else []))
    traced, read = trace_module(module, inputs), read_onnx(exported(module, inputs, dynamo))
    assert fingerprint(read.architecture) == fingerprint(traced.architecture)
    assert cost(read.architecture).params == cost(traced.architecture).params == 16 * 48 + 48
    assert cost(traced.architecture).macs == 2 * 5 * 16 * 48 + 2 * 2 * 4 * 5 * 5 * 4


class Written(torch.nn.Module):
    """A function of a value as a module."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


class Groups(torch.nn.Module):
    """A GroupNorm before and after the image is a sequence of tokens."""

    def __init__(self):
        super().__init__()
        self.first, self.second = torch.nn.GroupNorm(2, 8), torch.nn.GroupNorm(8, 8)

    def forward(self, x):
        return self.second(self.first(x).flatten(2)).transpose(1, 2)


class Heads(torch.nn.Module):
    """PyTorch's own attention, tokens first."""

    def __init__(self):
        super().__init__()
        self.attention = torch.nn.MultiheadAttention(8, 2)
        torch.nn.init.normal_(self.attention.out_proj.bias)

    def forward(self, x):
        tokens = x.flatten(2).permute(2, 0, 1)
        return self.attention(tokens, tokens, tokens, need_weights=False)[0]


WAYS = {
    "fold": lambda x: torch.nn.functional.fold(x.reshape(1, 8, 16), (8, 16), (2, 4), stride=(2, 4)),
    "softplus": lambda x: torch.nn.functional.softplus(x),
    "square": lambda x: x**2,
    "at least zero": lambda x: x.clamp(min=0),
    "an equation with spaces": lambda x: torch.einsum("b c h w, b c w k -> b c h k", x, x),
    "every second pixel": lambda x: x[:, :, 1::2, 0::2],
    "nested concatenation": lambda x: torch.cat([x.relu(), torch.cat([x.sigmoid(), x.tanh()], 1)], 1),
}


@pytest.mark.parametrize("name", [*WAYS, "groups", "heads"])
@pytest.mark.parametrize("dynamo", [True, False], ids=["dynamo", "TorchScript"])
def test_ways_of_writing_one_operation(name, dynamo):
    module = {"groups": Groups, "heads": Heads}[name]() if name not in WAYS else Written(WAYS[name])
    for tensor in module.parameters():
        torch.nn.init.normal_(tensor)
    inputs = (torch.randn(1, 8, 4, 4),)
    traced, read = trace_module(module.eval(), inputs), read_onnx(exported(module, inputs, dynamo))
    assert fingerprint(read.architecture) == fingerprint(traced.architecture)
    costs = [cost(source.architecture) for source in (read, traced)]
    assert costs[0].macs == costs[1].macs
    assert costs[0].params == costs[1].params == sum(tensor.numel() for tensor in module.parameters())


def test_transforms_go_along_the_same_axes():
    module, inputs = Written(lambda x: torch.fft.fftn(x, dim=(1, 3)).real).eval(), (torch.randn(1, 8, 4, 16),)
    for network in (trace_module(module, inputs), read_onnx(exported(module, inputs, dynamo=True))):
        transforms = [op for op in network.architecture.ops if op.kind == "DFT"]
        assert [op.get("axis") for op in transforms] == [3, 1]
        counted = cost(network.architecture)
        flops = [number for kind, number in zip(counted.kinds, counted.flops_N, strict=True) if kind == "DFT"]
        assert flops == [5 * 512 * 4, 5 * 512 * 3]


@pytest.mark.parametrize("dynamo", [True, False], ids=["dynamo", "TorchScript"])
def test_a_bias_of_one_value(dynamo):
    module = torch.nn.Sequential(torch.nn.Linear(8, 1), torch.nn.Sigmoid()).eval()
    inputs = (torch.randn(2, 5, 8),)
    traced, read = trace_module(module, inputs), read_onnx(exported(module, inputs, dynamo))
    assert fingerprint(read.architecture) == fingerprint(traced.architecture)
    assert cost(read.architecture).params == cost(traced.architecture).params == 9
