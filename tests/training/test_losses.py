"""Losses against numbers worked out by hand, and the learning-rate schedule."""

import math

import numpy as np
import pytest
import torch

from narformer.training import losses
from narformer.training.loop import schedule

Y = torch.tensor([1.0, 2.0, 4.0])
TARGET = torch.tensor([1.0, 4.0, 2.0])


def test_by_hand():
    assert float(losses.mse(Y, TARGET)) == pytest.approx((0 + 4 + 4) / 3)
    assert float(losses.relative_mse(Y, TARGET)) == pytest.approx((0 + 0.25 + 1) / 3)
    # I = (1, 2, 0): ŷ differs by -1, -2, 3; y by -3, 2, 1
    assert float(losses.sequence_ranking(Y, TARGET, torch.tensor([1, 2, 0]))) == pytest.approx((2 + 4 + 2) / 3)
    assert float(losses.architecture_consistency(Y, TARGET)) == pytest.approx(4 / 3)
    # y orders 4 > 2, 4 > 1, 2 > 1; ŷ differs by -2, 1, 3
    by_hand = sum(math.log1p(math.exp(-d)) for d in (-2, 1, 3)) / 3
    assert float(losses.pairwise_logistic(Y, TARGET)) == pytest.approx(by_hand)
    # the same differences twice over; y is apart by 2, 3 and 1, of which 1 counts
    by_hand = sum(math.log1p(math.exp(-2 * d)) for d in (-2, 1, 3)) / 3
    assert float(losses.pairwise_gap(Y, TARGET)) == pytest.approx(by_hand)
    near = math.log1p(math.exp(-2 * 3)) / 4  # y apart by a quarter, ŷ by 3
    assert float(losses.pairwise_gap(torch.tensor([3.0, 0.0]), torch.tensor([0.25, 0.0]))) == pytest.approx(near)


@pytest.mark.parametrize("loss", [*losses.REGRESSION.values(), *losses.PAIRWISE.values()])
def test_the_loss_of_members_is_the_mean_of_their_losses(loss):
    y_BE = torch.stack([Y, Y.flip(0), Y * 0.3], 1)
    each = torch.stack([torch.as_tensor(loss(y_BE[:, e], TARGET)) for e in range(3)])
    torch.testing.assert_close(loss(y_BE, TARGET[:, None]), each.mean())


def test_losses_of_perfect_predictions():
    assert float(losses.mse(TARGET, TARGET)) == 0
    assert float(losses.relative_mse(TARGET, TARGET)) == 0
    assert float(losses.sequence_ranking(TARGET, TARGET, torch.tensor([2, 0, 1]))) == 0


def test_pairs_that_are_equal_cost_nothing():
    assert float(losses.pairwise_logistic(Y, torch.ones(3))) == 0
    assert float(losses.pairwise_gap(Y, torch.ones(3))) == 0


@pytest.mark.parametrize("name", ["linear", "cosine", "constant"])
def test_schedules(name):
    shares = np.linspace(0, 1, 101)
    rates = np.array([schedule(name, share, 0.1) for share in shares])
    np.testing.assert_allclose(rates[:11], shares[:11] * 10, atol=1e-12)
    assert (np.diff(rates[10:]) <= 1e-12).all()
    assert rates.max() == pytest.approx(1)
    assert rates[-1] == pytest.approx(1 if name == "constant" else 0, abs=1e-12)
    halfway = {"linear": 0.5, "cosine": 0.5, "constant": 1.0}[name]
    assert schedule(name, 0.55, 0.1) == pytest.approx(halfway)
    assert schedule(name, 0.0, 0.0) == pytest.approx(1)
