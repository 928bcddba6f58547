import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from narformer.errors import BadRecipe
from narformer.metrics import kendall_tau
from narformer.predictors.target import MOST_KNOTS, Target

TRANSFORMS = ("none", "standard", "normal-scores")
LABELS = st.lists(st.integers(0, 10_000), min_size=2, max_size=60, unique=True)


@pytest.mark.parametrize("transform", TRANSFORMS)
@settings(max_examples=60, deadline=None)
@given(labels=LABELS, others=LABELS, scale=st.sampled_from([0.01, 1.0, 100.0]))
def test_targets_are_increasing_and_lead_back(transform, labels, others, scale):
    fitted = Target.fit(np.array(labels) / 10_000, transform, scale)
    inside_and_out = np.sort(np.array(others)) / 5_000 - 0.5
    targets = fitted.forward(inside_and_out)
    assert (np.diff(targets) > 0).all()
    np.testing.assert_allclose(fitted.inverse(targets), inside_and_out, atol=1e-7)


def test_standard_targets_have_mean_0_and_sd_1():
    labels = np.random.default_rng(0).normal(0.9, 0.02, 500)
    targets = Target.fit(labels, "standard", 100.0).forward(labels)
    assert targets.mean() == pytest.approx(0, abs=1e-10)
    assert targets.std() == pytest.approx(1)


def test_normal_scores_are_the_quantiles_of_ranks():
    labels = np.array([3.0, 1.0, 2.0])
    scores = Target.fit(labels, "normal-scores", 1.0).forward(labels)
    np.testing.assert_allclose(scores, [0.967422, -0.967422, 0.0], atol=1e-6)
    many = np.random.default_rng(0).exponential(size=2000)
    assert Target.fit(many, "normal-scores", 1.0).forward(many).std() == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_equal_labels_do_no_harm(transform):
    fitted = Target.fit(np.full(5, 0.9), transform, 1.0)
    values = fitted.forward(np.array([0.8, 0.9, 1.0]))
    assert np.isfinite(values).all()
    assert (np.diff(values) > 0).all()
    np.testing.assert_allclose(fitted.inverse(values), [0.8, 0.9, 1.0])


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_equal_labels_have_equal_targets(transform):
    labels = np.array([0.1, 0.5, 0.5, 0.5, 0.9])
    assert len(set(Target.fit(labels, transform, 1.0).forward(labels).tolist())) == 3


def test_up_to_256_labels_every_one_is_a_knot():
    labels = np.random.default_rng(0).normal(size=MOST_KNOTS)
    fitted = Target.fit(labels, "normal-scores", 1.0)
    assert [label for label, _ in fitted.knots] == sorted(labels.tolist())
    expected = stats.norm.ppf((stats.rankdata(labels) - 0.5) / MOST_KNOTS)
    np.testing.assert_allclose(fitted.forward(labels), expected, rtol=1e-12)


@pytest.mark.parametrize("count", [257, 2_000, 21_180])
@pytest.mark.parametrize("draw", ["normal", "exponential", "ties"])
def test_of_more_labels_256_are_knots(count, draw):
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 500, count) / 500 if draw == "ties" else getattr(rng, draw)(size=count)
    fitted = Target.fit(labels, "normal-scores", 100.0)
    knots = np.array(fitted.knots)
    assert len(knots) <= MOST_KNOTS
    assert (np.diff(knots, axis=0) > 0).all()
    assert (knots[0, 0], knots[-1, 0]) == (labels.min() * 100, labels.max() * 100)
    targets = fitted.forward(labels)
    back = fitted.inverse(targets)
    assert kendall_tau(back, labels) > 0.999
    assert kendall_tau(targets, labels) > 0.999
    np.testing.assert_allclose(back, labels, atol=1e-9)
    exact = stats.norm.ppf((stats.rankdata(labels) - 0.5) / count)
    inside = slice(None) if draw == "ties" else np.argsort(labels)[10:-10]  # steps of single labels at the ends
    assert np.abs(targets - exact)[inside].max() < 0.05


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan"), float("inf")])
def test_a_scale_that_is_not_positive_is_refused(scale):
    with pytest.raises(BadRecipe, match="scale: found"):
        Target.fit(np.arange(3.0), "none", scale)
