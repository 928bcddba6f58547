"""Intervals hold what they promise, whatever the errors look like; probabilities are those of the errors."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from narformer.predictors.calibration import Calibration

CHANCE = np.random.default_rng(0)


def made(count, members=4, scale=1.0, heavy=False):
    """Opinions and truths; where the members spread more, they are further off."""
    spread_N1 = CHANCE.uniform(0.2, 2.0, (count, 1))
    middle_N1 = CHANCE.normal(size=(count, 1))
    opinion_NE = middle_N1 + spread_N1 * CHANCE.normal(size=(count, members))
    error = CHANCE.standard_t(2, count) if heavy else CHANCE.normal(size=count)
    return scale * opinion_NE, scale * (middle_N1 + spread_N1 * error[:, None])[:, 0]


@pytest.mark.parametrize("heavy", [False, True])
@pytest.mark.parametrize("level", [0.5, 0.9])
@pytest.mark.parametrize("members", [1, 4])
def test_intervals_hold_as_often_as_they_say(level, heavy, members):
    held = []
    for _ in range(60):
        opinion, true = made(1200, members, heavy=heavy)
        calibration = Calibration.fit(opinion[:200], true[:200], level)
        reach = calibration.reach(opinion[200:])
        held.append(np.mean(np.abs(true[200:] - opinion[200:].mean(1)) <= reach))
    assert np.mean(held) == pytest.approx(level, abs=0.012)


def test_a_network_they_disagree_about_gets_a_wider_interval():
    calibration = Calibration.fit(*made(200))
    agreed, disputed = calibration.reach(np.array([[1.0, 1.1, 0.9], [0.0, 2.0, 4.0]]))
    assert agreed < disputed


def test_too_few_networks_tell_nothing():
    opinion, true = made(9)
    assert Calibration.fit(opinion[:8], true[:8], 0.9) is None
    assert Calibration.fit(opinion, true, 0.9).factor == pytest.approx(
        np.max(np.abs(true - opinion.mean(1)) / (opinion.std(1) + np.median(opinion.std(1))))
    )


@settings(deadline=None, max_examples=30)
@given(st.floats(0.01, 100), st.floats(-50, 50))
def test_units_do_not_matter(scale, shift):
    opinion, true = made(60)
    one = Calibration.fit(opinion, true)
    other = Calibration.fit(scale * opinion + shift, scale * true + shift)
    np.testing.assert_allclose(other.reach(scale * opinion + shift), scale * one.reach(opinion), rtol=1e-6)
    np.testing.assert_allclose(
        other.beats(scale * opinion[:30] + shift, scale * opinion[30:] + shift),
        one.beats(opinion[:30], opinion[30:]),
        atol=1e-6,
    )


def test_the_probability_to_win_is_how_often_they_win():
    """Where errors are what the interval takes them for: normal, as wide as the spread and a floor say."""
    spread_N1 = CHANCE.uniform(0.2, 2.0, (40_000, 1))
    opinion = CHANCE.normal(size=(40_000, 1)) + spread_N1 * np.array([-1.0, 1.0])
    true = opinion.mean(1) + (spread_N1[:, 0] + np.median(spread_N1)) * CHANCE.normal(size=40_000)
    calibration = Calibration.fit(opinion[:10_000], true[:10_000])
    a, b = slice(10_000, 25_000), slice(25_000, 40_000)
    said, won = calibration.beats(opinion[a], opinion[b]), true[a] > true[b]
    for low in np.arange(0.1, 0.9, 0.2):
        among = (said >= low) & (said < low + 0.2)
        assert won[among].mean() == pytest.approx(said[among].mean(), abs=0.03)


def test_errors_in_common_do_not_count_between_two_networks():
    """All networks of a trial are off by the same amount, and each by a little of its own."""
    won, said = [], []
    for _ in range(200):
        common, own = CHANCE.normal(), 0.5 * CHANCE.normal(size=300)
        middle = CHANCE.normal(size=300)
        true = middle + common + own
        opinion = middle[:, None] + 0.1 * np.array([-1.0, 1.0])
        calibration = Calibration.fit(opinion[:100], true[:100])
        assert calibration.sharpness > 0.5
        said.append(calibration.beats(opinion[100:200], opinion[200:]))
        won.append(true[100:200] > true[200:])
    said, won = np.concatenate(said), np.concatenate(won)
    for low in np.arange(0.1, 0.9, 0.2):
        among = (said >= low) & (said < low + 0.2)
        assert won[among].mean() == pytest.approx(said[among].mean(), abs=0.04)


def test_labels_all_alike_have_no_order():
    assert Calibration.fit(made(60)[0], np.zeros(60)).sharpness == 1


def test_two_networks_share_what_is_certain():
    calibration, (opinion, _) = Calibration.fit(*made(200)), made(50)
    forth, back = calibration.beats(opinion[:25], opinion[25:]), calibration.beats(opinion[25:], opinion[:25])
    np.testing.assert_allclose(forth + back, 1)
    np.testing.assert_allclose(calibration.beats(opinion, opinion), 0.5)
