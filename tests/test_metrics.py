"""Each metric against its definition over all pairs or values, ties included."""

import numpy as np
import pytest

from narformer.metrics import accuracy_within, kendall_tau, mape, mean_absolute_error, precision_at, spearman_rho

METRICS = (
    kendall_tau,
    spearman_rho,
    mape,
    mean_absolute_error,
    lambda x, y: accuracy_within(x, y, 0.1),
    lambda x, y: precision_at(x, y, 0.5),
)


def tau_b(x, y):
    """(concordant - discordant) / √((pairs - ties in x)(pairs - ties in y))."""
    score, untied_x, untied_y = 0, 0, 0
    for i in range(len(x)):
        for j in range(i):
            a, b = np.sign(x[i] - x[j]), np.sign(y[i] - y[j])
            score, untied_x, untied_y = score + a * b, untied_x + abs(a), untied_y + abs(b)
    return score / np.sqrt(untied_x * untied_y)


def ranks(x):
    """From 1, equal values sharing the mean of their places."""
    return np.array([(x < value).sum() + ((x == value).sum() + 1) / 2 for value in x])


def pairs(levels):
    rng = np.random.default_rng(levels)
    for size in (2, 3, 10, 60):
        for _ in range(10):
            x, y = rng.integers(0, levels, (2, size)).astype(float)
            if np.ptp(x) and np.ptp(y):
                yield x, y


@pytest.mark.parametrize("levels", [2, 5, 1000])
def test_kendall_tau_counts_every_pair(levels):
    found = list(pairs(levels))
    assert len(found) > 15
    for x, y in found:
        assert kendall_tau(x, y) == pytest.approx(tau_b(x, y), abs=1e-12)


@pytest.mark.parametrize("levels", [2, 5, 1000])
def test_spearman_rho_is_the_correlation_of_ranks(levels):
    for x, y in pairs(levels):
        assert spearman_rho(x, y) == pytest.approx(np.corrcoef(ranks(x), ranks(y))[0, 1], abs=1e-12)


def test_ranks_survive_what_keeps_the_order():
    x, y = np.random.default_rng(0).normal(size=(2, 50))
    for metric in (kendall_tau, spearman_rho):
        assert metric(x, x) == pytest.approx(1)
        assert metric(x, -x) == pytest.approx(-1)
        assert metric(np.exp(x), y) == pytest.approx(metric(x, y))


def test_errors_of_three_latencies():
    predicted, true = [11.0, 18.0, 30.0], [10.0, 20.0, 40.0]
    assert mape(predicted, true) == pytest.approx((0.1 + 0.1 + 0.25) / 3)
    assert mean_absolute_error(predicted, true) == pytest.approx((1 + 2 + 10) / 3)
    assert mape([-11.0, 20.0], [-10.0, 20.0]) == pytest.approx(0.05)


def test_accuracy_within_counts_the_border_in():
    predicted, true = [12.0, 20.0, 50.0], [16.0, 16.0, 40.0]  # each off by a quarter, exactly
    assert accuracy_within(predicted, true, 0.25) == 1
    assert accuracy_within(predicted, true, 0.2499) == 0
    assert accuracy_within([16.0, 20.0], [16.0, 16.0], 0.1) == 0.5
    assert accuracy_within([-12.0, 1.0], [-16.0, 1.0], 0.25) == 1


def test_precision_at_is_the_share_of_the_best_that_was_found():
    true = np.arange(10.0)
    assert precision_at(true, true, 0.3) == 1
    assert precision_at(-true, true, 0.3) == 0
    swapped = true.copy()
    swapped[[9, 0]] = swapped[[0, 9]]
    assert precision_at(swapped, true, 0.2) == 0.5
    assert precision_at(swapped, true, 0.01) == 0  # at least one is asked for
    assert precision_at(-true, true, 1.0) == 1


@pytest.mark.parametrize("metric", [kendall_tau, spearman_rho])
def test_a_constant_prediction_scores_0_with_a_warning(metric):
    for x, y in (([1, 1, 1], [1, 2, 3]), ([1, 2, 3], [1, 1, 1])):
        with pytest.warns(UserWarning, match="constant"):
            assert metric(x, y) == 0


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused(metric, bad):
    for x, y in (([1.0, bad, 3.0], [1.0, 2.0, 3.0]), ([1.0, 2.0, 3.0], [1.0, bad, 3.0])):
        with pytest.raises(ValueError, match="finite"):
            metric(x, y)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(("x", "y"), [([1.0], [1.0]), ([], []), ([1, 2], [1, 2, 3]), ([[1, 2]], [[1, 2]])])
def test_two_arrays_of_one_length_are_needed(metric, x, y):
    with pytest.raises(ValueError, match="same length"):
        metric(x, y)
