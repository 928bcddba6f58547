import numpy as np
import pytest
from cells_101 import lists, some_cells
from hypothesis import given, settings
from hypothesis import strategies as st
from narformer_tokens_loop import laplacian_rows, narformer_tokens, narformer_v2_tokens, nerf, trans

from narformer.spaces.nasbench201 import VOCABULARY as VOCABULARY_201
from narformer.spaces.nasbench201 import NasBench201
from narformer.tokens import NarFormerTokenizer, NarFormerV2Tokenizer, TnaspTokenizer
from narformer.tokens.scalar import nerf_code, nerf_table, trans_code

FLOAT32 = 1e-6


@pytest.mark.parametrize("length", [2, 5, 32, 96])
@pytest.mark.parametrize("value", [-1, 0, 1, 7, 61, 100_000])
def test_the_scalar_code_is_exact(value, length):
    np.testing.assert_allclose(nerf_code(value, length), nerf(value, length), atol=FLOAT32)


def test_the_transformers_own_code():
    values = [-3.0, 0.0, 0.5, 12.0, 245.0]
    np.testing.assert_allclose(trans_code(np.array(values), 5), [trans(v, 5) for v in values], atol=FLOAT32)


def test_a_table_is_its_codes():
    np.testing.assert_array_equal(nerf_table(range(3, 9), 32), [nerf_code(v, 32) for v in range(3, 9)])


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), length=st.sampled_from([3, 8, 32]))
def test_narformer_tokens_of_random_cells(seed, length):
    cells = some_cells(6, seed)
    batch = NarFormerTokenizer(vocabulary=cells.vocabulary, length=length).cells(cells)
    for row in range(len(cells)):
        ops, edges = lists(cells, row)
        expected, depth = narformer_tokens(ops, edges, length)
        assert int(batch.mask_BN[row].sum()) == len(expected) == len(ops) + 1
        np.testing.assert_allclose(batch.x_BNF[row, : len(expected)], expected, atol=4 * FLOAT32)
        np.testing.assert_allclose(batch.whole_BG[row], depth, atol=FLOAT32)
        assert not batch.x_BNF[row, len(expected) :].any()


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), operation=st.sampled_from(["pe", "one-hot"]))
def test_narformer_v2_tokens_of_random_cells(seed, operation):
    cells = some_cells(6, seed)
    batch = NarFormerV2Tokenizer(vocabulary=cells.vocabulary, length=8, operation=operation).cells(cells)
    for row in range(len(cells)):
        ops, edges = lists(cells, row)
        expected = narformer_v2_tokens(ops, 8, operation == "one-hot")
        np.testing.assert_allclose(batch.x_BNF[row, : len(ops)], expected, atol=FLOAT32)
        assert {(i, j) for i, j in batch.adj_BNN[row].nonzero().tolist()} == set(edges)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_laplacian_rows_of_random_cells(seed):
    cells = some_cells(6, seed)
    batch = TnaspTokenizer(vocabulary=cells.vocabulary, vertices=7).cells(cells)
    for row in range(len(cells)):
        ops, edges = lists(cells, row)
        np.testing.assert_array_equal(batch.x_BNF[row, : len(ops)], laplacian_rows(ops, edges, 7))
        assert batch.kind_BN[row, : len(ops)].tolist() == ops


def test_laplacian_rows_without_severed_edges():
    cells = NasBench201().enumerate().take(np.random.default_rng(0).integers(0, 15625, 20))
    batch = TnaspTokenizer(vocabulary=VOCABULARY_201, vertices=8, severed=("none",)).cells(cells)
    for row in range(len(cells)):
        ops, edges = lists(cells, row)
        np.testing.assert_array_equal(batch.x_BNF[row], laplacian_rows(ops, edges, 8, (VOCABULARY_201.index("none"),)))
