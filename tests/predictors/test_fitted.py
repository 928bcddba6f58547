"""Predictors that are fitted at once: several attributes with gaps, saved and loaded, and what they refuse."""

import numpy as np
import pytest

from narformer.attributes import Attribute
from narformer.cells import Cells
from narformer.errors import BadPredictor, BadRecipe
from narformer.network.canonical import canonical
from narformer.network.kernels import kernels
from narformer.predictors import PREDICTORS, FittedPredictor, Task
from narformer.predictors.saved import load, save
from narformer.spaces.families import FAMILIES
from narformer.spaces.nasbench101 import VOCABULARY, NasBench101

FITTED = [name for name, kind in PREDICTORS.items() if issubclass(kind, FittedPredictor)]

ATTRIBUTES = (Attribute.of("latency", "ms"), Attribute.of("energy", "mJ"))
OPTIONS = {"cost-line": {"columns": ("flops",)}, "kernel-forest": {"trees": 2}}
OPTIONS |= {"gaussian-process": {"steps": 5, "networks": 2}}


def task(whole, label_MT, attributes=ATTRIBUTES):
    """Labels of 20 cells or whole networks, then of 12 that validate."""
    if whole:
        networks = [FAMILIES["squeezenet"].variant(number) for number in range(32)]
        training, validation = networks[:20], networks[20:]
    else:
        space, rng = NasBench101(), np.random.default_rng(0)
        networks = Cells.of([space.sample(rng) for _ in range(32)], VOCABULARY)
        training, validation = networks.take(slice(20)), networks.take(slice(20, None))
    return Task(
        attributes=attributes,
        space="networks" if whole else "nasbench101",
        source="drawn by chance",
        training=training,
        label_MT=label_MT[:20],
        validation=validation,
        label_VT=label_MT[20:],
        pool=networks,
        judged_V=np.arange(12),
        seed=0,
    )


@pytest.fixture
def label_MT():
    labels = np.random.default_rng(1).uniform(1, 9, (32, 2))
    labels[3, 1] = labels[30, 0] = np.nan
    return labels


@pytest.fixture(params=FITTED)
def fitted(request, label_MT):
    """A calibrated predictor, the networks that validate, and their labels."""
    kind = PREDICTORS[request.param]
    if request.param == "kernel-forest":
        pytest.importorskip("sklearn", reason="narformer[baselines] is not installed")
    given = task(request.param != "gaussian-process", label_MT)
    predictor = kind.fit(given, kind.Options(**OPTIONS[request.param]))
    predictor.calibrate(predictor.opinions(given.validation), given.label_VT)
    return predictor, given.validation, given.label_VT


def test_it_answers_in_both_units_and_its_intervals_hold_the_labels(fitted):
    predictor, networks, label_VT = fitted
    answer = predictor.ask(networks)
    assert answer.attributes == ATTRIBUTES
    assert answer.value_NT.shape == answer.low_NT.shape == answer.high_NT.shape == (12, 2)
    assert (answer.value_NT > 0).all()
    assert ((answer.low_NT < answer.value_NT) & (answer.value_NT < answer.high_NT)).all()
    assert answer.levels == (0.9, 0.9)
    for t, known in enumerate(np.isfinite(label_VT.T)):
        inside = (answer.low_NT[known, t] <= label_VT[known, t]) & (label_VT[known, t] <= answer.high_NT[known, t])
        assert inside.mean() >= 0.9
    assert answer.inside_N.any()


def test_saving_changes_nothing(fitted, tmp_path):
    predictor, networks, _ = fitted
    save(predictor, tmp_path / "saved")
    loaded = load(tmp_path / "saved")
    assert type(loaded) is type(predictor) is PREDICTORS[predictor.name]
    for name in ("attributes", "space", "targets", "calibrations", "facts", "vocabulary"):
        assert getattr(loaded, name) == getattr(predictor, name)
    ours, theirs = predictor.ask(networks), loaded.ask(networks)
    np.testing.assert_allclose(theirs.value_NT, ours.value_NT, rtol=1e-6)
    np.testing.assert_allclose(theirs.low_NT, ours.low_NT, rtol=1e-6)
    np.testing.assert_array_equal(theirs.inside_N, ours.inside_N)
    assert theirs.nearest == ours.nearest
    assert loaded.config() == predictor.config()


def test_a_gap_of_one_attribute_does_not_change_the_other(fitted, label_MT):
    predictor, networks, _ = fitted
    other = label_MT.copy()
    other[:10, 1] = np.nan
    kind = type(predictor)
    again = kind.fit(task(not predictor.vocabulary, other), kind.Options(**OPTIONS[predictor.name]))
    before_NT, after_NT = predictor.predict(networks), again.predict(networks)
    np.testing.assert_allclose(after_NT[:, 0], before_NT[:, 0], rtol=1e-9)
    assert not np.allclose(after_NT[:, 1], before_NT[:, 1])


def test_numbers_of_another_count_of_attributes_are_refused(fitted, tmp_path):
    predictor, _, _ = fitted
    predictor.attributes, predictor.targets, predictor.calibrations = ATTRIBUTES[:1], predictor.targets[:1], (None,)
    save(predictor, tmp_path / "saved")
    with pytest.raises(BadPredictor):
        load(tmp_path / "saved")


def test_shares_of_kernels_add_up(label_MT):
    pytest.importorskip("sklearn", reason="narformer[baselines] is not installed")
    kind = PREDICTORS["kernel-forest"]
    predictor = kind.fit(task(True, label_MT), kind.Options(trees=2))
    network = FAMILIES["squeezenet"].variant(25)
    share_TK = predictor.shares(network)
    assert share_TK.shape == (2, len(kernels(canonical(network))))
    assert (share_TK > 0).all()
    np.testing.assert_allclose(share_TK.sum(axis=1), 1, rtol=1e-9)


@pytest.mark.parametrize("name", FITTED)
def test_what_it_does_not_read_is_refused(name, label_MT):
    kind = PREDICTORS[name]
    with pytest.raises(BadRecipe, match=rf"\[predictor\] '{name}' reads"):
        kind.fit(task(name == "gaussian-process", label_MT), kind.Options())


@pytest.mark.parametrize("name", ["cost-line", "kernel-forest"])
@pytest.mark.parametrize("label", [0.0, -2.0])
def test_a_label_that_is_not_positive_is_named(name, label, label_MT):
    label_MT[7, 1] = label
    with pytest.raises(BadRecipe, match=rf"found the label {label:.4g} of 'energy'; expected positive ones"):
        PREDICTORS[name].fit(task(True, label_MT), PREDICTORS[name].Options())


@pytest.mark.parametrize("name", FITTED)
def test_an_attribute_without_any_label_is_named(name, label_MT):
    label_MT[:20, 0] = np.nan
    with pytest.raises(BadRecipe, match="no training network with a label 'latency'"):
        PREDICTORS[name].fit(task(name != "gaussian-process", label_MT), PREDICTORS[name].Options())
