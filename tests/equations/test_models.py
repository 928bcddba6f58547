"""Each model against its printed equations, in float64, at a size a person could print."""

import numpy as np
import pytest
import torch
from cells_101 import lists, some_cells
from layers_loop import weights_of
from narformer_loop import narformer
from narformer_v2_loop import narformer_v2
from relational_loop import relational
from tnasp_loop import tnasp

from narformer.models import NarFormer, NarFormerV2, Relational, Tnasp
from narformer.tokens import NarFormerTokenizer, NarFormerV2Tokenizer, RelationalTokenizer, TnaspTokenizer

CELLS = some_cells(10)
SAME = 1e-10

RELEASED = {}
PRINTED = {
    "undirected": False,
    "root": False,
    "unit_rows": False,
    "relu": False,
    "group_norm": False,
    "layer_scale": None,
}


def in_float64(model):
    """Evaluation in float64, with no weight left at a value that would hide it (γ = 1e-4, biases of 0)."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
    model.double().eval()
    model.precision = torch.float64
    return model


@pytest.mark.parametrize("head", ["sigmoid", "linear", "mlp"])
@pytest.mark.parametrize("depths", [(2, 1, 1, 1), (1, 2, 3, 2)])
def test_narformer(head, depths):
    tokenizer = NarFormerTokenizer(vocabulary=CELLS.vocabulary, length=4)
    config = NarFormer.Config(features=24, whole=24, heads=3, depths=depths, head=head, targets=2)
    model = in_float64(NarFormer(config))
    batch = tokenizer.cells(CELLS).double()
    with torch.no_grad():
        y_BT = model(batch).squeeze(2).numpy()
    for row in range(len(CELLS)):
        tokens = list(batch.x_BNF[row][batch.mask_BN[row]].numpy())
        expected = narformer(weights_of(model), config, tokens, batch.whole_BG[row].numpy())
        np.testing.assert_allclose(y_BT[row], expected, rtol=SAME, atol=SAME)


@pytest.mark.parametrize("switches", [RELEASED, PRINTED, *({name: PRINTED[name]} for name in PRINTED)], ids=str)
@pytest.mark.parametrize("cells_or_networks", [{}, {"pooling": "sum", "layer_fusion": False, "whole": 3}], ids=str)
def test_narformer_v2(switches, cells_or_networks):
    tokenizer = NarFormerV2Tokenizer(vocabulary=CELLS.vocabulary, length=3)
    config = NarFormerV2.Config(features=12, width=16, blocks=3, groups=4, **switches, **cells_or_networks)
    model = in_float64(NarFormerV2(config))
    batch = tokenizer.cells(CELLS).double()
    static_BG = torch.randn(len(CELLS), config.whole, generator=torch.Generator().manual_seed(2)).double()
    batch = type(batch)(batch.x_BNF, batch.kind_BN, batch.adj_BNN, batch.mask_BN, static_BG)
    with torch.no_grad():
        y_BT = model(batch).squeeze(2).numpy()
    for row in range(len(CELLS)):
        tokens, edges = list(batch.x_BNF[row][batch.mask_BN[row]].numpy()), lists(CELLS, row)[1]
        expected = narformer_v2(weights_of(model), config, tokens, edges, static_BG[row].numpy())
        np.testing.assert_allclose(y_BT[row], expected, rtol=SAME, atol=SAME)


def test_narformer_v2_without_type_awareness_and_with_a_free_head():
    tokenizer = NarFormerV2Tokenizer(vocabulary=CELLS.vocabulary, length=3)
    config = NarFormerV2.Config(features=12, width=16, blocks=2, groups=2, type_aware=False, head="linear")
    model = in_float64(NarFormerV2(config))
    batch = tokenizer.cells(CELLS).double()
    with torch.no_grad():
        y_BT = model(batch).squeeze(2).numpy()
    for row in range(len(CELLS)):
        tokens, edges = list(batch.x_BNF[row][batch.mask_BN[row]].numpy()), lists(CELLS, row)[1]
        expected = narformer_v2(weights_of(model), config, tokens, edges)
        np.testing.assert_allclose(y_BT[row], expected, rtol=SAME, atol=SAME)


@pytest.mark.parametrize("positions", [True, False])
@pytest.mark.parametrize("divisor", [7, None])
def test_tnasp(positions, divisor):
    tokenizer = TnaspTokenizer(vocabulary=CELLS.vocabulary, vertices=7)
    config = Tnasp.Config(
        kinds=5, features=7, width=12, heads=2, key=5, layers=2, feed_forward=20, regressor=6,
        positions=positions, divisor=divisor, targets=2,
    )  # fmt: skip
    model = in_float64(Tnasp(config))
    batch = tokenizer.cells(CELLS).double()
    with torch.no_grad():
        y_BT = model(batch).squeeze(2).numpy()
    for row in range(len(CELLS)):
        rows = list(batch.x_BNF[row][batch.mask_BN[row]].numpy())
        expected = tnasp(weights_of(model), config, lists(CELLS, row)[0], rows)
        np.testing.assert_allclose(y_BT[row], expected, rtol=SAME, atol=SAME)


def test_the_papers_sizes():
    """≈ 4.8 M weights are quoted for NAR-Former; the others follow from METHODS' sizes."""
    count = lambda model: sum(parameter.numel() for parameter in model.parameters())  # noqa: E731
    assert round(count(NarFormer(NarFormer.Config())) / 1e6, 1) == 4.8
    d, f = 80, 512
    layer = 3 * d * 256 + 256 * d + 2 * d + (d * f + f) + (f * d + d) + 2 * d
    assert count(Tnasp(Tnasp.Config(kinds=5, features=7))) == 5 * d + 7 * d + d + 2 * d + 3 * layer + d * 96 + 96


@pytest.mark.parametrize("size", [{}, {"layers": 1}, {"features": 2, "whole": 3}], ids=str)
def test_relational(size):
    tokenizer = RelationalTokenizer(vocabulary=CELLS.vocabulary)
    sizes = {"features": 0, "whole": 0, "width": 8, "heads": 2, "layers": 2, "inner": 6, "members": 3, "targets": 2}
    config = Relational.Config(kinds=tokenizer.kinds, **sizes | size)
    model = in_float64(Relational(config))
    batch = tokenizer.cells(CELLS).double()
    chance = torch.Generator().manual_seed(2)
    x_BNF = torch.randn(*batch.kind_BN.shape, config.features, generator=chance).double()
    whole_BG = torch.randn(len(CELLS), config.whole, generator=chance).double()
    batch = type(batch)(x_BNF, batch.kind_BN, batch.adj_BNN, batch.mask_BN, whole_BG)
    with torch.no_grad():
        y_BTE = model(batch).numpy()
    for row in range(len(CELLS)):
        kinds, edges = lists(CELLS, row)
        features = [batch.x_BNF[row, node].numpy() for node in range(len(kinds))]
        for member in range(config.members):
            weights = {name: array[member] for name, array in weights_of(model).items()}
            expected = relational(weights, config, kinds, edges, features, whole_BG[row].numpy())
            np.testing.assert_allclose(y_BTE[row, :, member], expected, rtol=SAME, atol=SAME)
