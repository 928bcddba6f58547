from types import SimpleNamespace

import numpy as np
import pytest
import torch
from cells_101 import lists, some_cells
from hypothesis import given, settings
from hypothesis import strategies as st
from training_loop import (
    ac_loss,
    kendall_tau_b,
    lagrangian,
    mse_loss,
    pairwise_loss,
    relative_mse_loss,
    reorderings,
    sr_loss,
)

from narformer.cells.columns import PADDING
from narformer.metrics import kendall_tau
from narformer.training import losses
from narformer.training.augmentation import twins
from narformer.training.recipe import SelfEvolution as Settings
from narformer.training.self_evolution import SelfEvolution


@settings(max_examples=50, deadline=None)
@given(pairs=st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3)), min_size=2, max_size=30))
def test_kendalls_tau_b_with_ties(pairs):
    x, y = zip(*pairs, strict=True)
    if len(set(x)) > 1 and len(set(y)) > 1:
        assert kendall_tau(x, y) == pytest.approx(kendall_tau_b(x, y), abs=1e-10)


def test_losses():
    rng = np.random.default_rng(0)
    y, target = rng.random(12), 0.5 + rng.integers(0, 5, 12) / 10
    order = rng.permutation(12)
    y_B, target_B, order_B = map(torch.from_numpy, (y, target, order))
    close = lambda tensor, number: float(tensor) == pytest.approx(number, abs=1e-10)  # noqa: E731
    assert close(losses.mse(y_B, target_B), mse_loss(y, target))
    assert close(losses.relative_mse(y_B, target_B), relative_mse_loss(y, target))
    assert close(losses.sequence_ranking(y_B, target_B, order_B), sr_loss(y, target, order))
    assert close(losses.architecture_consistency(y_B, target_B), ac_loss(y, target))
    assert close(losses.pairwise_logistic(y_B, target_B), pairwise_loss(y, target))


def evolution(validation=9, rounds=3, alpha=0.7):
    """A SelfEvolution in the middle of its third round, its fit a stand-in, everything in float64."""
    generator = torch.Generator().manual_seed(0)
    labels, first = torch.randn(2, validation, generator=generator).double()
    fit = SimpleNamespace(
        evolution={}, validation_VT=labels.numpy()[:, None], predict_validation=lambda: first.numpy()[:, None]
    )
    it = SelfEvolution(fit, Settings(alpha=alpha, label_rate=0.3, multiplier_rate=0.2))
    it.pseudo_V = torch.randn(validation, generator=generator).double()
    it.predicted_TV = torch.randn(rounds, validation, generator=generator).double()
    it.error_T = (it.predicted_TV - labels).square().mean(1)
    it.multiplier_T = torch.randn(rounds, generator=generator).double()
    return it


def test_self_evolutions_gradients_are_those_of_equation_10():
    it, rows = evolution(), torch.tensor([7, 0, 3])
    y = torch.randn(3, generator=torch.Generator().manual_seed(1)).double()
    pseudo, multipliers = it.pseudo_V.clone().requires_grad_(), it.multiplier_T.clone().requires_grad_()
    value = lagrangian(y, rows, pseudo, multipliers, it.predicted_TV, it.error_T, it.settings.alpha)
    expected = torch.autograd.grad(value, (pseudo, multipliers))
    for found, right in zip(it.gradients(y, rows), expected, strict=True):
        torch.testing.assert_close(found, right, atol=1e-10, rtol=1e-10)


def test_a_step_of_self_evolution_is_equations_11_to_13():
    """θ and ȳ go down, λ up, all three from the same point."""
    it, rows, targets = evolution(), torch.tensor([1, 4]), torch.tensor([0.3, -0.2]).double()
    theta = torch.tensor([0.5, -1.0], dtype=torch.float64, requires_grad=True)
    x_train, x_validation = torch.eye(2).double(), torch.tensor([[1.0, 2.0], [-1.0, 1.0]]).double()
    seen = {}
    it.fit.loss = lambda y_BTE, target_BT: losses.mse(y_BTE[:, 0, 0], target_BT[:, 0])
    it.fit.step = lambda loss: seen.update(theta=torch.autograd.grad(loss, theta)[0])
    before = (it.pseudo_V.clone(), it.multiplier_T.clone())
    slopes = it.gradients((x_validation @ theta).detach(), rows)
    it.step((x_train @ theta)[:, None, None], targets[:, None], (x_validation @ theta)[:, None], rows)
    torch.testing.assert_close(it.pseudo_V, before[0] - 0.3 * slopes[0])
    torch.testing.assert_close(it.multiplier_T, before[1] + 0.2 * slopes[1])
    loss = (x_train @ theta - targets).square().mean() + 0.7 * (x_validation @ theta - before[0][rows]).square().mean()
    torch.testing.assert_close(seen["theta"], torch.autograd.grad(loss, theta)[0])


def as_lists(cells):
    """The vertices and edges of each cell, edges in any direction."""
    return [
        (
            tuple(kinds[kinds != PADDING].tolist()),
            frozenset(map(tuple, np.argwhere(adj).tolist())),
        )
        for kinds, adj in zip(cells.kind_MN, cells.adj_MNN, strict=True)
    ]


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_reorderings_are_those_found_by_trying_all_permutations(seed):
    cells = some_cells(6, seed)
    for rule in ("all", "unrestricted"):
        found = twins(cells, rule)
        shown = as_lists(found.cells)
        for row in range(len(cells)):
            mine = shown[found.first_M[row] : found.first_M[row] + found.count_M[row]]
            expected = reorderings(*lists(cells, row), forward_only=rule == "all")
            assert len(mine) == len(set(mine)) == len(expected)
            assert set(mine) == set(expected)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_released_rules_take_the_first_reordering_in_the_order_of_permutations(seed):
    cells = some_cells(6, seed)
    first, swap = twins(cells, "first"), twins(cells, "swap")
    shown, swapped = as_lists(first.cells), as_lists(swap.cells)
    for row in range(len(cells)):
        ops, edges = lists(cells, row)
        expected = reorderings(ops, edges, forward_only=True)[:1]
        assert shown[first.first_M[row] : first.first_M[row] + first.count_M[row]] == expected
        last, name = len(ops) - 1, dict(enumerate(range(len(ops))))
        if last < 3:
            assert swap.count_M[row] == 0
            continue
        name[last - 2], name[last - 1] = last - 1, last - 2
        moved = frozenset((name[i], name[j]) for i, j in edges)
        cell = (tuple(ops[name[vertex]] for vertex in range(len(ops))), moved)
        legal = all(i < j for i, j in moved) and cell != (tuple(ops), frozenset(edges))
        assert swapped[swap.first_M[row] : swap.first_M[row] + swap.count_M[row]] == ([cell] if legal else [])
