"""What the released code does that an evaluation in float64 does not show: the order of dropout, the first weights."""

import math

import torch

from narformer.models import NarFormerV2, Tnasp
from narformer.models.narformer_v2 import GroupedLinear
from narformer.spaces.nasbench101 import VOCABULARY, NasBench101
from narformer.tokens import TnaspTokenizer


def test_tnasp_drops_out_before_its_first_norm():
    """Sum of embeddings, dropout, LayerNorm: what enters the first layer is normalised in training, too."""
    torch.manual_seed(0)
    batch = TnaspTokenizer(vocabulary=VOCABULARY, vertices=7).batch([NasBench101().parse("conv3x3 | 01 12")])
    model = Tnasp(Tnasp.Config(kinds=5, features=7, dropout=0.5)).train()
    seen = []
    model.layers[0].register_forward_pre_hook(lambda layer, inputs: seen.append(inputs[0]))
    model(batch)
    torch.testing.assert_close(seen[0].mean(-1), torch.zeros(1, 3), atol=1e-5, rtol=0)
    torch.testing.assert_close(seen[0].var(-1, correction=0), torch.ones(1, 3), atol=1e-3, rtol=0)


def test_grouped_weights_start_as_released():
    """Xavier's rule applied to the (groups, in, out) array as a whole: fan in is in × out, fan out groups × out."""
    torch.manual_seed(0)
    config = NarFormerV2.Config()
    for inputs, outputs in ((512, 2048), (2048, 512)):
        layer = GroupedLinear(inputs, outputs, config)
        groups, rows, columns = layer.weight_GIO.shape
        bound = math.sqrt(6 / (rows * columns + groups * columns))
        assert 0.99 * bound < layer.weight_GIO.abs().max().item() <= bound
        assert not layer.bias_G1O.any()


def test_biases_of_the_v2_head_start_as_released():
    """Uniform within 1/√(number of biases), not 1/√(number of inputs)."""
    starts = []
    for seed in range(20):
        torch.manual_seed(seed)
        model = NarFormerV2(NarFormerV2.Config(width=64, blocks=2, groups=2))
        starts.append((model.head[6].bias, model.fusion[2].bias))
    last, fusion = (torch.cat(column).detach().abs().max().item() for column in zip(*starts, strict=True))
    assert 0.6 < last <= 1
    assert 0.55 < fusion <= 1 / math.sqrt(2)
