import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from narformer.predictors.target import Target

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
