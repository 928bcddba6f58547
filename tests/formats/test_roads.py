"""A module and the files that PyTorch's two exporters write of it are one network."""

import io
import warnings

import pytest
import torch

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


def exported(module, inputs, dynamo):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if dynamo:
            program = torch.onnx.export(module, inputs, dynamo=True, verbose=False)
            return program.model_proto.SerializeToString()
        file = io.BytesIO()
        torch.onnx.export(module, inputs, file, dynamo=False)
        return file.getvalue()


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
