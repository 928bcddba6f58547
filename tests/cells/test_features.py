"""Flows through cells against sums over the paths themselves, and random networks against their literal recursion."""

import numpy as np
import pytest

from narformer.cells import features as module
from narformer.cells.columns import Cells
from narformer.cells.features import GROUPS, _backwards, answers, flows
from narformer.cells.simplification import simplified
from narformer.cells.statistics import structure
from narformer.spaces.nasbench101 import VOCABULARY, NasBench101
from narformer.spaces.nasbench201 import NasBench201
from narformer.training.augmentation import twins


@pytest.fixture(scope="module")
def cells():
    space, rng = NasBench101(), np.random.default_rng(0)
    return Cells.of([space.parse("| 01"), *(space.sample(rng) for _ in range(30))], VOCABULARY)


@pytest.fixture(scope="module")
def networks():
    rng = np.random.default_rng(1)
    return rng.normal(size=(2, 3, 5, 4, 4)).astype(np.float32), rng.normal(size=(2, 3, 5, 4)).astype(np.float32)


def groups(cells):
    return dict(zip(GROUPS, flows(cells), strict=True))


def test_operations_on_a_path_are_counted_on_average(cells, paths):
    def counted(path, cell):
        return np.array([sum(cell.ops[v].kind == kind for v in path[1:]) for kind in VOCABULARY])

    found = groups(cells)
    np.testing.assert_array_equal(found["structure"], structure(cells))
    for row, cell in enumerate(cells):
        every = paths(cell)
        counts = [counted(path, cell) for path in every]
        np.testing.assert_allclose(found["mean path"][row], np.mean(counts, axis=0), atol=1e-12)
        out = [sum(source == v for source, _ in cell.edges) for v in range(len(cell.ops))]
        into = [sum(target == v for _, target in cell.edges) for v in range(len(cell.ops))]
        forwards = [np.prod([1 / out[v] for v in path[:-1]]) for path in every]
        backwards = [np.prod([1 / into[v] for v in path[1:]]) for path in every]
        walks = [np.average(counts, axis=0, weights=weights) for weights in (forwards, backwards)]
        np.testing.assert_allclose(found["walks"][row], np.concatenate(walks), atol=1e-12)
        kinds = np.array([VOCABULARY.index(op.kind) for op in cell.ops])
        depth = [max((len(p) for p in paths_to(cell, v)), default=1) - 1 for v in range(len(cell.ops))]
        for name, value in (("degrees", into + out), ("depths", depth)):
            twice = np.concatenate([kinds, kinds + len(VOCABULARY)])[: len(value)]
            expected = np.bincount(twice, weights=value, minlength=found[name].shape[1])
            np.testing.assert_allclose(found[name][row], expected)


def test_chunks_change_nothing(cells, networks, monkeypatch):
    whole, said = flows(cells), answers(cells, networks)
    monkeypatch.setattr(module, "CHUNK", 4)
    for group, in_chunks in zip(whole, flows(cells), strict=True):
        np.testing.assert_allclose(in_chunks, group, atol=1e-12)
    np.testing.assert_allclose(answers(cells, networks), said, atol=1e-6)
    assert [len(group) for group in flows(cells.take(slice(0)))] == [0] * len(GROUPS)


def paths_to(cell, vertex):
    """Every path that ends in a vertex, from wherever it begins."""
    before = [source for source, target in cell.edges if target == vertex]
    return [[vertex]] + [[*path, vertex] for source in before for path in paths_to(cell, source)]


def test_random_networks_follow_their_recursion(cells, networks):
    found = answers(cells, networks).reshape(len(cells), 2, 3, 4)
    for row, cell in enumerate(cells):
        for way in (0, 1):
            edges = cell.edges if not way else [(target, source) for source, target in cell.edges]
            order = range(len(cell.ops)) if not way else range(len(cell.ops))[::-1]
            for k in range(3):
                hidden = {}
                for v in order:
                    kind = VOCABULARY.index(cell.ops[v].kind)
                    total = sum((hidden[s] for s, t in edges if t == v), np.zeros(4))
                    hidden[v] = np.tanh(total @ networks[0][way, k, kind] + networks[1][way, k, kind])
                np.testing.assert_allclose(found[row, way, k], hidden[order[-1]], atol=1e-5)


def test_twice_backwards_is_forwards(cells):
    again = _backwards(_backwards(cells))
    np.testing.assert_array_equal(again.kind_MN, cells.kind_MN)
    np.testing.assert_array_equal(again.adj_MNN, cells.adj_MNN)


def test_padding_and_the_order_of_vertices_change_nothing(cells, networks):
    def everything(given):
        return np.concatenate([*flows(given), answers(given, networks)], axis=1)

    whole = everything(cells)
    for row in range(len(cells)):
        alone = cells.take(slice(row, row + 1)).trimmed()
        np.testing.assert_allclose(everything(alone)[0], whole[row], atol=1e-5)
    found = twins(cells, "all")
    owners = np.repeat(np.arange(len(cells)), found.count_M)
    np.testing.assert_allclose(whole[owners], everything(found.cells), atol=1e-5)


def test_a_cell_without_a_path_meets_nothing(networks):
    cell = NasBench201().parse("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|")
    empty = simplified(Cells.of([cell], NasBench201().vocabulary), ("none",), ("skip_connect",))
    found = groups(empty)
    assert not found["mean path"].any()
    assert not found["walks"].any()
    assert all(np.isfinite(values).all() for values in found.values())
