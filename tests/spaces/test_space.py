"""Laws that every space of the table obeys."""

import numpy as np
import pytest

from narformer.cells.columns import Cells
from narformer.network import cost
from narformer.spaces import SPACES


@pytest.fixture(params=SPACES)
def space(request):
    return SPACES[request.param]


def test_the_table_knows_each_space_by_its_name(space):
    assert SPACES[space.name] is space


def test_text_and_back(space):
    rng = np.random.default_rng(0)
    for _ in range(100):
        cell = space.sample(rng)
        assert space.parse(space.format(cell)) == cell


def test_the_generator_decides_the_sample(space):
    assert space.sample(np.random.default_rng(3)) == space.sample(np.random.default_rng(3))
    assert len({space.format(space.sample(np.random.default_rng(s))) for s in range(20)}) > 15


def test_neighbours_are_cells_in_fixed_order_none_twice_and_never_the_cell_itself(space):
    rng = np.random.default_rng(1)
    for _ in range(10):
        cell = space.sample(rng)
        texts = [space.format(n) for n in space.neighbours(cell)]
        assert texts == [space.format(n) for n in space.neighbours(cell)]
        assert len(set(texts)) == len(texts) > 0
        assert space.format(cell) not in texts


def test_samples_fit_the_vocabulary(space):
    rng = np.random.default_rng(2)
    cells = [space.sample(rng) for _ in range(20)]
    assert list(Cells.of(cells, space.vocabulary)) == cells


def test_the_whole_network_can_be_counted_to_the_last_operation(space):
    counted = cost(space.unroll(space.sample(np.random.default_rng(4))))
    assert counted.unknown == {}
    assert counted.macs > 0
