"""Laws over every entry of MODELS. Run this file as a script, with tests/equations on PYTHONPATH, to write
golden.json anew.
"""

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cells_101 import some_cells

from narformer.models import MODELS
from narformer.predictors.build import make_model, make_tokenizer
from narformer.spaces.nasbench101 import VOCABULARY, NasBench101
from narformer.tokens import Batch
from narformer.training.augmentation import twins

GOLDEN = Path(__file__).parent / "golden.json"
FLOAT64 = 1e-10


@dataclass(frozen=True)
class Case:
    """A model at a size for tests: its tokenizer, and where it does not see the order of vertices.

    free:      options with a linear head and without dropout
    unordered: further options under which the order of vertices cannot matter; None where there are none
    positions: first and end of the numbers of a token that tell its position, blanked for the same law
    """

    tokenizer: str
    tokens: dict[str, Any]
    options: dict[str, Any]
    free: dict[str, Any] = field(default_factory=dict)
    unordered: dict[str, Any] | None = None
    positions: tuple[int, int] = (0, 0)


CASES = {
    "narformer": Case(
        "narformer", {"length": 6}, {"heads": 3, "depths": (2, 1, 2, 1)}, {"head": "linear", "dropout": 0.0}
    ),
    "narformer-v2": Case(
        "narformer-v2",
        {"length": 6},
        {"width": 32, "blocks": 2, "groups": 4},
        {"head": "linear", "dropout": 0.0},
        unordered={},
        positions=(12, 24),
    ),
    "relational": Case(
        "relational",
        {},
        {"width": 24, "heads": 2, "inner": 32, "layers": 2, "members": 2},
        {"dropout": 0.0},
        unordered={},
    ),
    "tnasp": Case(
        "tnasp",
        {"vertices": 7},
        {"width": 24, "heads": 2, "key": 8, "layers": 2, "feed_forward": 48, "regressor": 16},
        {"dropout": 0.0},
        unordered={"positions": False},
    ),
}


def build(name, **options):
    case = CASES[name]
    tokenizer = make_tokenizer(case.tokenizer, case.tokens, VOCABULARY)
    return tokenizer, make_model(name, case.options | options, tokenizer, seed=1).eval()


def in_float64(name, **options):
    tokenizer, model = build(name, **options)
    model.double().precision = torch.float64
    return tokenizer, model


@pytest.fixture(scope="module")
def cells():
    return some_cells(24)


def answers(tokenizer, model, cells):
    with torch.inference_mode():
        return model(tokenizer.batch(cells).double())


def test_every_model_has_a_case():
    """Those that read whole networks alone have laws of their own (test_network_models.py)."""
    assert set(CASES) == {name for name, model in MODELS.items() if Batch in model.reads}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("attributes", [1, 2, 3])
def test_there_is_a_column_for_each_attribute_and_a_number_for_each_member(name, attributes, cells):
    tokenizer, _ = build(name)
    model = make_model(name, CASES[name].options, tokenizer, seed=1, attributes=attributes).eval()
    with torch.inference_mode():
        y_BTE = model(tokenizer.batch(cells))
    assert y_BTE.shape == (len(cells), attributes, CASES[name].options.get("members", 1))
    assert y_BTE.isfinite().all()
    for first in range(attributes):
        for second in range(first):
            assert (y_BTE[:, first] - y_BTE[:, second]).abs().min() > 1e-6


@pytest.mark.parametrize("name", CASES)
def test_padding_changes_nothing(name, cells):
    tokenizer, model = in_float64(name)
    together = answers(tokenizer, model, cells)
    alone = torch.cat([answers(tokenizer, model, [cell]) for cell in cells])
    torch.testing.assert_close(together, alone, atol=FLOAT64, rtol=0)
    with torch.inference_mode():
        padded = model(tokenizer.batch(cells).padded(13).double())
    torch.testing.assert_close(together, padded, atol=FLOAT64, rtol=0)
    assert together.std() > 1e-4  # the cells are told apart, or the law says nothing


@pytest.mark.parametrize("name", CASES)
def test_the_order_of_a_batch_changes_nothing(name, cells):
    tokenizer, model = in_float64(name)
    order = np.random.default_rng(0).permutation(len(cells))
    torch.testing.assert_close(
        answers(tokenizer, model, cells)[order], answers(tokenizer, model, cells.take(order)), atol=FLOAT64, rtol=0
    )


@pytest.mark.parametrize("name", CASES)
def test_the_order_of_tokens_changes_nothing(name, cells):
    """Positions are numbers in the tokens; the place of a token in the batch carries nothing, padding included."""
    tokenizer, model = in_float64(name)
    batch = tokenizer.batch(cells).double()
    order = torch.randperm(batch.kind_BN.shape[1], generator=torch.Generator().manual_seed(0))
    mixed = replace(
        batch,
        x_BNF=batch.x_BNF[:, order],
        kind_BN=batch.kind_BN[:, order],
        adj_BNN=batch.adj_BNN[:, order][:, :, order],
        mask_BN=batch.mask_BN[:, order],
    )
    with torch.inference_mode():
        torch.testing.assert_close(model(mixed), model(batch), atol=FLOAT64, rtol=0)


@pytest.mark.parametrize("name", CASES)
def test_legal_reorderings_change_nothing_where_no_position_is_told(name, cells):
    case = CASES[name]
    found = twins(cells, "all")
    owners = cells.take(np.repeat(np.arange(len(cells)), found.count_M))
    assert len(owners) > 10

    def both(options, blank):
        tokenizer, model = in_float64(name, **options)
        out = []
        for side in (owners, found.cells):
            batch = tokenizer.batch(side).double()
            batch.x_BNF[:, :, slice(*blank)] = 0
            with torch.inference_mode():
                out.append(model(batch))
        return out

    if case.unordered != {} or case.positions != (0, 0):  # with positions, order matters
        told = both({}, (0, 0))
        assert (told[0] - told[1]).abs().max() > 1e-6
    if case.unordered is not None:
        torch.testing.assert_close(*both(case.unordered, case.positions), atol=FLOAT64, rtol=0)


@pytest.mark.parametrize("name", CASES)
def test_sixteen_cells_can_be_learnt_by_heart(name):
    tokenizer, model = build(name, **CASES[name].free)
    model.train()
    batch = tokenizer.batch(some_cells(16, seed=5))
    target = torch.randn(16, generator=torch.Generator().manual_seed(0))
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(400):
        loss = (model(batch)[:, 0, 0] - target).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if loss < 0.005:
            break
    assert loss < 0.01


@pytest.mark.parametrize("name", CASES)
def test_every_parameter_gets_a_gradient(name, cells):
    tokenizer, model = build(name)
    model.train()
    model(tokenizer.batch(cells)).square().sum().backward()
    silent = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert silent == []


@pytest.mark.parametrize("name", CASES)
def test_the_seed_decides_the_weights_and_leaves_chance_alone(name):
    tokenizer, one = build(name)
    torch.manual_seed(7)
    before = torch.get_rng_state()
    other = make_model(name, CASES[name].options, tokenizer, seed=2)
    assert torch.equal(torch.get_rng_state(), before)
    again = make_model(name, CASES[name].options, tokenizer, seed=1)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), again.parameters(), strict=True))
    assert any(not torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


@pytest.mark.parametrize("name", CASES)
def test_bfloat16_is_near_float32(name, cells):
    tokenizer, model = build(name)
    batch = tokenizer.batch(cells)
    with torch.inference_mode():
        exact = model(batch)
        model.precision = torch.bfloat16
        rough = model(batch)
    assert rough.dtype == torch.float32
    assert (exact - rough).abs().max() < 0.03


@pytest.mark.parametrize("name", CASES)
def test_dropout_is_for_training_only(name, cells):
    tokenizer, model = build(name)
    batch = tokenizer.batch(cells)
    with torch.no_grad():
        assert torch.equal(model(batch), model(batch))
        model.train()
        assert not torch.equal(model(batch), model(batch))


def golden_numbers(name):
    """Answers for five cells with weights that no generator of random numbers decides."""
    tokenizer, model = in_float64(name)
    with torch.no_grad():
        for number, parameter in enumerate(model.parameters()):
            count = torch.arange(parameter.numel(), dtype=torch.float64)
            spread = (torch.sin(12.9898 * count + number) * 43758.5453).frac().abs() - 0.5
            parameter.copy_((0.8 * spread + (parameter.dim() == 1) * 0.5).view(parameter.shape))
    space = NasBench101()
    texts = (
        "| 01",
        "maxpool3x3 | 01 12",
        "conv3x3 conv1x1 | 01 02 13 23",
        "conv1x1 conv3x3 maxpool3x3 conv3x3 conv1x1 | 01 12 23 34 45 56 06 15",
        "conv3x3 conv3x3 conv3x3 maxpool3x3 conv1x1 | 01 02 03 04 15 25 36 46 56",
    )
    return answers(tokenizer, model, [space.parse(text) for text in texts])[:, 0, 0].tolist()


@pytest.mark.parametrize("name", CASES)
def test_golden_numbers(name):
    golden = json.loads(GOLDEN.read_text())
    # Tokens are float32: another machine's sine may round one of them the other way.
    np.testing.assert_allclose(golden_numbers(name), golden[name], rtol=1e-6)


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps({name: golden_numbers(name) for name in CASES}, indent=1) + "\n")
