"""Laws over every entry of TOKENIZERS, and the facts about the scalar codes that they rest on."""

from dataclasses import FrozenInstanceError

import numpy as np
import pytest
import torch

from narformer.cells.columns import Cells
from narformer.errors import BadArchitecture
from narformer.network.graph import Architecture, Op
from narformer.spaces.nasbench101 import VOCABULARY, NasBench101
from narformer.tokens import (
    TOKENIZERS,
    CellTokenizer,
    NarFormerTokenizer,
    NarFormerV2Tokenizer,
    TnaspTokenizer,
    collate,
)
from narformer.tokens.scalar import nerf_code, nerf_table

OPTIONS = {"narformer": {"length": 5}, "narformer-v2": {"length": 5}, "relational": {}, "tnasp": {"vertices": 7}}
FIELDS = ("x_BNF", "kind_BN", "adj_BNN", "mask_BN", "whole_BG")


def tokenizer(name):
    return TOKENIZERS[name](vocabulary=VOCABULARY, **OPTIONS[name])


@pytest.fixture(scope="module")
def cells():
    space, rng = NasBench101(), np.random.default_rng(3)
    return Cells.of([space.parse("| 01"), *(space.sample(rng) for _ in range(30))], VOCABULARY)


def test_every_tokenizer_is_tested():
    """Those of whole networks in test_kernels.py and test_nnlqp.py."""
    assert set(OPTIONS) == {name for name, kind in TOKENIZERS.items() if issubclass(kind, CellTokenizer)}


def assert_same(one, other):
    for field in FIELDS:
        torch.testing.assert_close(getattr(one, field), getattr(other, field), atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", OPTIONS)
def test_one_by_one_collated_is_the_column(name, cells):
    assert_same(collate([tokenizer(name).tokens(cell) for cell in cells]), tokenizer(name).cells(cells))
    assert_same(tokenizer(name).batch(list(cells)), tokenizer(name).cells(cells))


@pytest.mark.parametrize("name", OPTIONS)
def test_widths_are_as_stated_and_padding_is_zero(name, cells):
    batch = tokenizer(name).cells(cells)
    assert batch.x_BNF.shape[2] == tokenizer(name).features
    assert batch.whole_BG.shape == (len(cells), tokenizer(name).whole)
    for value in (batch.x_BNF, batch.kind_BN, batch.adj_BNN):
        assert not value[~batch.mask_BN].any()
    assert not batch.adj_BNN.transpose(1, 2)[~batch.mask_BN].any()


@pytest.mark.parametrize("name", OPTIONS)
def test_taking_and_padding_rows_of_a_batch(name, cells):
    batch, rows = tokenizer(name).cells(cells), torch.tensor([4, 0, 9])
    assert_same(batch.take(rows), tokenizer(name).cells(cells.take(rows.numpy()).trimmed()))
    small = batch.take(torch.tensor([0]))
    assert small.kind_BN.shape[1] < batch.kind_BN.shape[1]
    assert_same(small.padded(30).take(torch.tensor([0])), small)


@pytest.mark.parametrize("name", OPTIONS)
def test_an_unknown_operation_is_named(name):
    strange = Architecture((Op("input"), Op("conv7x7"), Op("output")), ((0, 1), (1, 2)), name="mine")
    with pytest.raises(BadArchitecture, match="'conv7x7' of mine"):
        tokenizer(name).batch([strange])


def test_tnasp_refuses_cells_larger_than_its_laplacian(cells):
    with pytest.raises(BadArchitecture, match="built for up to 5"):
        TnaspTokenizer(vocabulary=VOCABULARY, vertices=5).cells(cells)


def test_sizes_of_the_papers():
    assert (NarFormerTokenizer(vocabulary=VOCABULARY).features, NarFormerTokenizer(vocabulary=VOCABULARY).whole) == (
        192,
        192,
    )
    assert NarFormerV2Tokenizer(vocabulary=VOCABULARY).features == 128
    for operation in ("pe", "one-hot"):
        assert NarFormerV2Tokenizer(vocabulary=VOCABULARY, operation=operation).features == 128


def test_codes_of_integers_are_orthogonal_unless_equal_mod_62():
    """In exact arithmetic b_l ≡ 1 + l/31 (mod 2): a discrete Fourier code, with period 62."""
    codes = nerf_table(range(-1, 61), 32).astype(np.float64)
    cosines = codes @ codes.T / 32
    np.testing.assert_allclose(np.diag(cosines), 1, atol=1e-6)
    # 32 frequencies over half a period, both ends counted: neighbours share one part in 32, the others nothing
    apart = cosines - np.diag(np.diag(cosines))
    assert np.abs(apart).max() <= 1 / 32 + 1e-6
    np.testing.assert_array_equal(nerf_code(-1, 32), nerf_code(61, 32))
    np.testing.assert_array_equal(nerf_code(100_000, 32), nerf_code(56, 32))


def test_float32_arithmetic_gives_noise_that_is_nearly_orthogonal():
    exact = nerf_table(range(-1, 9), 32).astype(np.float64)
    noise = nerf_table(range(-1, 9), 32, "float32").astype(np.float64)
    assert np.isfinite(noise).all()
    same = [(a @ b) / 32 for a, b in zip(exact[2:], noise[2:], strict=True)]
    assert np.abs(same).mean() < 0.3  # nothing of the exact code is left
    cosines = np.abs(noise @ noise.T / 32)[~np.eye(10, dtype=bool)]
    assert np.median(cosines) < 0.15
    assert cosines.max() < 0.6


def test_the_float32_option_reaches_depth_codes_of_96_frequencies():
    batch = NarFormerTokenizer(vocabulary=VOCABULARY, precision="float32").batch([NasBench101().parse("| 01")])
    assert torch.isfinite(batch.whole_BG).all()
    assert torch.isfinite(batch.x_BNF).all()


def test_a_tokenizer_is_rebuilt_from_its_config():
    for name in OPTIONS:
        assert TOKENIZERS[name](**tokenizer(name).config()) == tokenizer(name)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("narformer", {"length": 1}),
        ("narformer", {"length": "32"}),
        ("narformer", {"precision": "float16"}),
        ("narformer", {"length": 41, "precision": "float32"}),
        ("narformer-v2", {"operation": "onehot"}),
        ("narformer-v2", {"operation": "one-hot", "length": 2}),
        ("narformer-v2", {"colour": "red"}),
        ("relational", {"absent": ("conv7x7",)}),
        ("tnasp", {"vertices": 0}),
        ("tnasp", {"severed": ("conv7x7",)}),
        ("tnasp", {"vocabulary": ("input", "input")}),
        ("tnasp", {"vocabulary": "input"}),
    ],
)
def test_fields_are_validated(name, options):
    with pytest.raises(ValueError, match=next(iter(options))):
        TOKENIZERS[name](**{"vocabulary": VOCABULARY} | OPTIONS[name] | options)


@pytest.mark.parametrize("name", ["narformer", "narformer-v2"])
def test_the_longest_float32_codes_are_finite(name):
    longest = {"narformer": 40, "narformer-v2": 100}[name]
    made = TOKENIZERS[name](vocabulary=VOCABULARY, length=longest, precision="float32")
    batch = made.batch([NasBench101().parse("conv3x3 conv3x3 conv3x3 conv3x3 conv3x3 | 01 12 23 34 45 56")])
    assert torch.isfinite(batch.x_BNF).all()
    assert torch.isfinite(batch.whole_BG).all()


def test_a_tokenizer_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        tokenizer("narformer").length = 6
