"""A random forest of plain arrays predicts what scikit-learn's does, and refuses damaged arrays."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from narformer.errors import BadPredictor
from narformer.predictors import forest as module
from narformer.predictors.forest import Forest

ensemble = pytest.importorskip("sklearn.ensemble", reason="narformer[baselines] is not installed")

F = 3


def fit(x_KF, y_K, trees=5, seed=0, **options):
    return ensemble.RandomForestRegressor(trees, random_state=seed, **options).fit(x_KF, y_K)


def table(seed, count, levels):
    """Features of a few levels, so that many rows tie, and thresholds lie between neighbouring float32 numbers."""
    rng = np.random.default_rng(seed)
    level_L = rng.choice(np.array([1.0, 1e-30, 1e30, 7.0])) * rng.normal(size=levels).astype(np.float32)
    level_L = np.concatenate([level_L, np.nextafter(level_L, np.float32(np.inf), dtype=np.float32)])
    return rng.choice(level_L, size=(count, F)).astype(np.float64), rng.normal(size=count)


@pytest.fixture(scope="module")
def tensors():
    return Forest.of(fit(*table(0, 60, 6))).tensors()


@given(seed=st.integers(0, 10_000), count=st.integers(1, 80), levels=st.integers(1, 8), depth=st.integers(1, 12))
@settings(max_examples=40, deadline=None)
def test_it_predicts_what_scikit_learn_does(seed, count, levels, depth):
    x_KF, y_K = table(seed, count, levels)
    fitted = fit(x_KF, y_K, seed=seed, max_depth=depth)
    forest = Forest.of(fitted)
    np.testing.assert_array_equal(forest.predict(x_KF), fitted.predict(x_KF))
    at_DF = np.repeat(forest.threshold_D[:, None], F, axis=1)  # every threshold itself, and its neighbours
    for probe_DF in (at_DF, np.nextafter(at_DF, np.float32(-np.inf)), np.nextafter(at_DF, np.float32(np.inf))):
        np.testing.assert_array_equal(forest.predict(probe_DF), fitted.predict(probe_DF))


def test_thresholds_at_the_ends_of_float32_keep_their_branch():
    most, least = np.finfo(np.float32).max, np.float32(1e-45)
    threshold_D = np.array([1e300, float(most), 1e-46, -1e-46, 0.1, -0.1, 0.0])
    rounded_D = module._rounded_down(threshold_D)
    for x in np.array([most, -most, least, -least, 0.0, 0.1, -0.1], dtype=np.float32):
        np.testing.assert_array_equal(x <= rounded_D, float(x) <= threshold_D)


@pytest.mark.parametrize("block", [1, 7, 100])
def test_blocks_change_nothing(monkeypatch, block):
    x_KF, y_K = table(3, 50, 20)
    fitted = fit(x_KF, y_K)
    monkeypatch.setattr(module, "BLOCK", block)
    np.testing.assert_array_equal(Forest.of(fitted).predict(x_KF), fitted.predict(x_KF))


def test_trees_grown_best_first_are_the_same_to_it():
    x_KF, y_K = table(4, 200, 50)
    fitted = fit(x_KF, y_K, max_leaf_nodes=20)
    forest = Forest.from_tensors(Forest.of(fitted).tensors(), F)
    np.testing.assert_array_equal(forest.predict(x_KF), fitted.predict(x_KF))


def test_no_rows_and_a_constant_label():
    forest = Forest.of(fit(np.zeros((4, F)), np.full(4, 2.5)))
    assert forest.predict(np.empty((0, F))).shape == (0,)
    assert forest.predict(np.ones((2, F))).tolist() == [2.5, 2.5]


def test_tensors_come_back(tensors):
    x_KF = table(1, 30, 6)[0]
    again = Forest.from_tensors({name: tensor.copy() for name, tensor in tensors.items()}, F)
    np.testing.assert_array_equal(again.predict(x_KF), Forest(**tensors).predict(x_KF))
    assert sum(tensor.nbytes for tensor in tensors.values()) == 22 * len(tensors["left_D"]) + 4 * len(tensors["root_T"])


def test_several_labels_are_refused():
    with pytest.raises(BadPredictor, match="2 labels"):
        Forest.of(fit(np.zeros((4, F)), np.zeros((4, 2))))


def test_rows_of_too_few_columns_are_refused(tensors):
    with pytest.raises(BadPredictor, match="found 2 features; expected at least 3"):
        Forest(**tensors).predict(np.zeros((4, F - 1)))


def changed(tensors, name, index, value):
    tensor = tensors[name].copy()
    tensor[index] = value
    return {**tensors, name: tensor}


def inner(tensors):
    """An inner node with an inner left child."""
    own_D = np.arange(len(tensors["left_D"]))
    inner_D = tensors["left_D"] != own_D
    return int(np.flatnonzero(inner_D & inner_D[tensors["left_D"]])[0])


DAMAGES = {
    "a missing tensor": (lambda t: {k: v for k, v in t.items() if k != "value_D"}, "found tensors"),
    "another tensor": (lambda t: {**t, "more": t["root_T"]}, "found tensors .*more"),
    "a wrong type": (lambda t: {**t, "left_D": t["left_D"].astype(np.float32)}, "left_D of type float32"),
    "two axes": (lambda t: {**t, "value_D": t["value_D"][:, None]}, "value_D of type float64 and shape"),
    "a scalar": (
        lambda t: {**t, "left_D": np.array(3, np.int32)},
        r"shape",
    ),
    "another length": (lambda t: {**t, "right_D": t["right_D"][:-1]}, "right_D of type int32"),
    "no nodes": (lambda t: {k: v if k == "root_T" else v[:0] for k, v in t.items()}, r"shape \(0,\)"),
    "no trees": (lambda t: {**t, "root_T": t["root_T"][:0]}, r"root_T of type int32 and shape \(0,\)"),
    "a NaN threshold": (lambda t: changed(t, "threshold_D", 1, np.nan), "1 infinite or NaN numbers in threshold_D"),
    "an infinite value": (lambda t: changed(t, "value_D", 1, np.inf), "1 infinite or NaN numbers in value_D"),
    "a feature too many": (lambda t: changed(t, "feature_D", 0, F), "features from 0 to 3; expected .* 0 to 2"),
    "a negative feature": (lambda t: changed(t, "feature_D", 0, -1), "features from -1"),
    "a root outside": (lambda t: changed(t, "root_T", 0, len(t["left_D"])), "in root_T"),
    "a negative root": (lambda t: changed(t, "root_T", 0, -1), "in root_T"),
    "a child outside": (lambda t: changed(t, "left_D", 0, 2**31 - 1), "in left_D"),
    "a negative child": (lambda t: changed(t, "right_D", 0, -5), "in right_D"),
    "a cycle": (lambda t: changed(t, "left_D", t["left_D"][inner(t)], inner(t)), "with children"),
    "half a leaf": (lambda t: changed(t, "left_D", inner(t), inner(t)), "with children"),
    "a node with two parents": (
        lambda t: changed(t, "left_D", 0, t["left_D"][inner(t) + 1]),
        "times as a child or root",
    ),
    "a node without a parent": (lambda t: changed(t, "root_T", 1, 0), "times as a child or root"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_tensors_are_refused(tensors, damage):
    damaged, message = DAMAGES[damage]
    with pytest.raises(BadPredictor, match=message):
        Forest.from_tensors(damaged(tensors), F)


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_random_damage_is_refused_or_harmless(tensors, data):
    name = data.draw(st.sampled_from(["root_T", "feature_D", "left_D", "right_D"]))
    index = data.draw(st.integers(0, len(tensors[name]) - 1))
    value = data.draw(st.integers(-3, len(tensors["left_D"]) + 3))
    try:
        forest = Forest.from_tensors(changed(tensors, name, index, value), F)
    except BadPredictor:
        return
    assert np.isfinite(forest.predict(table(1, 30, 6)[0])).all()


def test_it_is_about_as_fast_as_scikit_learn():
    rng = np.random.default_rng(0)
    x_KF = rng.normal(size=(5000, 8))
    fitted = fit(x_KF[:2000], x_KF[:2000, 0] * x_KF[:2000, 1] + rng.normal(size=2000), trees=100, max_features=6)
    forest = Forest.of(fitted)
    seconds = {}
    for name, predictor in (("narformer", forest), ("scikit-learn", fitted)):
        times = []
        for _ in range(3):
            start = time.perf_counter()
            predictor.predict(x_KF)
            times.append(time.perf_counter() - start)
        seconds[name] = min(times)
    print("; ".join(f"{name} {second:.3f} s" for name, second in seconds.items()))
    assert seconds["narformer"] < 10 * seconds["scikit-learn"]  # about 1.5; the machine may be busy
