"""What every predictor of PREDICTORS keeps, as models keep the laws of tests/models/test_laws.py."""

import json

import numpy as np
import pytest

from narformer.errors import BadRecipe, NarformerError
from narformer.predictors import PREDICTORS, FittedPredictor, Predictor, Task
from narformer.predictors.saved import load, save
from narformer.spaces import SPACES
from narformer.spaces.families import FAMILIES
from narformer.training.adaptation import adapt
from narformer.training.evaluate import evaluate
from narformer.training.experiment import train
from narformer.training.recipe import Recipe

# name of a case -> name in PREDICTORS, what it reads, options
CASES = {
    "neural-cells": ("neural", "cells", {}),
    "neural-networks": ("neural", "networks", {}),
    "cost-line": ("cost-line", "networks", {"columns": ["flops", "memory access"]}),
    "kernel-forest": ("kernel-forest", "networks", {"trees": 5}),
    "gaussian-process": ("gaussian-process", "cells", {"steps": 5, "networks": 4}),
}
LABELS = {"cells": ("accuracy", "latency"), "networks": ("latency", "memory")}


def test_every_predictor_has_a_case():
    assert {name for name, _, _ in CASES.values()} == set(PREDICTORS)
    assert [name for name, kind in PREDICTORS.items() if not issubclass(kind, FittedPredictor)] == ["neural"]
    assert all(kind.name == name for name, kind in PREDICTORS.items())


def recipe_of(case, tiny, labels, reads=None):
    name, own, options = CASES[case]
    content = tiny[reads or own]
    if name != "neural":
        content = {"system": "tiny", "data": content["data"], "predictor": {"name": name, **options}}
    content["data"]["label"] = list(labels)
    return Recipe.of(content, case)


@pytest.fixture(scope="session")
def made():
    """Predictors that were trained already, by case and labels."""
    return {}


@pytest.fixture(params=CASES)
def case(request):
    return request.param


@pytest.fixture
def toy(case, toy_cells, toy_networks):
    return {"cells": toy_cells, "networks": toy_networks}[CASES[case][1]]


@pytest.fixture
def trained(case, tiny, toy, made):
    def make(*labels):
        key = case, labels
        if key not in made:
            made[key] = train(recipe_of(case, tiny, labels), 0, toy)
        return made[key]

    return make


@pytest.fixture
def both(case, trained):
    """The run that learned both attributes."""
    return trained(*LABELS[CASES[case][1]])


def same(one, other, tolerance=0.0):
    for name in ("value_NT", "low_NT", "high_NT", "opinion_NTE"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=tolerance, atol=tolerance)
    assert one.nearest == other.nearest
    np.testing.assert_array_equal(one.inside_N, other.inside_N)


def test_it_is_a_predictor_of_its_attributes(case, both, toy):
    predictor, names = both.predictor, LABELS[CASES[case][1]]
    assert isinstance(predictor, Predictor)
    assert predictor.attributes == tuple(toy.attributes[name] for name in names)
    assert predictor.reads_networks == (CASES[case][1] == "networks") == (not predictor.vocabulary)
    answer = predictor.ask(toy.rows(np.arange(7)))
    assert answer.value_NT.shape == answer.low_NT.shape == answer.high_NT.shape == (7, 2)
    assert answer.opinion_NTE.shape[:2] == (7, 2)
    assert len(answer) == 7
    np.testing.assert_array_equal(answer.value_NT, predictor.predict(toy.rows(np.arange(7))))


def test_saving_changes_nothing(both, toy, tmp_path):
    save(both.predictor, tmp_path / "saved")
    again = load(tmp_path / "saved")
    assert type(again) is type(both.predictor)
    for field in ("attributes", "space", "targets", "calibrations", "vocabulary", "adaptable"):
        assert getattr(again, field) == getattr(both.predictor, field), field
    same(again.ask(toy.architectures), both.predictor.ask(toy.architectures))
    save(again, tmp_path / "twice")
    first, second = (json.loads((tmp_path / name / "manifest.json").read_text()) for name in ("saved", "twice"))
    assert first == second


def test_order_and_company_change_nothing(both, toy):
    rows = np.random.default_rng(0).permutation(len(toy))[:25]
    together = both.predictor.ask(toy.rows(rows))
    turned = both.predictor.ask(toy.rows(rows[::-1].copy()))
    np.testing.assert_allclose(together.value_NT, turned.value_NT[::-1], rtol=1e-5)
    alone = np.concatenate([both.predictor.ask(toy.rows(rows[i : i + 1])).value_NT for i in range(25)])
    np.testing.assert_allclose(together.value_NT, alone, rtol=1e-5)
    assert together.value_NT.std(axis=0).min() > 0  # networks are told apart, or the law says nothing


def test_progress_counts_every_network(both, toy):
    heard = []
    both.predictor.ask(toy.architectures, heard.append)
    assert sum(heard) == len(toy)


def test_nothing_asked_is_answered(both, toy):
    answer = both.predictor.ask(toy.rows(np.empty(0, dtype=np.int64)))
    assert answer.value_NT.shape == (0, 2)


def test_intervals_are_finite_and_hold_the_value(both, toy):
    answer = both.predictor.ask(toy.architectures)
    assert answer.levels == (0.9, 0.9)
    assert np.isfinite(answer.low_NT).all()
    assert np.isfinite(answer.high_NT).all()
    assert (answer.low_NT <= answer.value_NT + 1e-9).all()
    assert (answer.value_NT <= answer.high_NT + 1e-9).all()
    beats = answer.beats([0, 1], [1, 0], 1)
    np.testing.assert_allclose(beats.sum(), 1)


def test_without_calibration_there_are_no_intervals(both, toy, case, tiny):
    few = recipe_of(case, tiny, LABELS[CASES[case][1]]).model_dump(mode="json")
    few["data"]["validation"] = 2
    answer = train(Recipe.of(few, case), 0, toy).predictor.ask(toy.rows(np.arange(3)))
    assert answer.levels == (None, None)
    assert np.isnan(answer.low_NT).all()
    assert np.isnan(answer.high_NT).all()
    assert answer.beats([0], [1]) is None


def test_the_domain_holds_what_was_trained_on_and_its_absence_is_honest(case, both, toy):
    predictor = both.predictor
    assert predictor.ask(toy.rows(both.split.train)).inside_N.mean() > 0.9
    if predictor.reads_networks:
        other = [FAMILIES["mobilenetv3"].variant(0)]
        answer = predictor.ask(other)
        assert not answer.inside_N.any()
        assert answer.distance_N[0] > 1
        assert len(answer.nearest) == 1
    domain, predictor.domain = predictor.domain, None
    try:
        answer = predictor.ask(toy.rows(np.arange(3)))
    finally:
        predictor.domain = domain
    assert (answer.inside_N, answer.distance_N, answer.nearest) == (None, None, ())


def test_each_attribute_is_learned_from_its_own_labels(case, toy, both):
    name, reads, options = CASES[case]
    answer = both.predictor.ask(toy.architectures)
    assert not np.allclose(answer.value_NT[:, 0], answer.value_NT[:, 1])
    if name == "neural":
        return  # its heads share the layers below them
    together = both.predictor.predict(toy.architectures)
    for t, label in enumerate(LABELS[reads]):
        split, column = both.split, toy.columns([label])
        task = Task(
            attributes=(toy.attributes[label],),
            space=toy.space,
            source=toy.name,
            training=toy.rows(split.train),
            label_MT=column[split.train],
            validation=toy.rows(split.validation),
            label_VT=column[split.validation],
            pool=toy.architectures,
            judged_V=np.arange(len(split.validation)),
            seed=0,
        )
        alone = PREDICTORS[name].fit(task, PREDICTORS[name].Options(**options))
        np.testing.assert_allclose(together[:, t], alone.predict(toy.architectures)[:, 0], rtol=1e-9)


def test_every_attribute_is_scored(case, both):
    scores = evaluate(both.predictor, both.dataset, both.split)
    assert set(scores) == set(LABELS[CASES[case][1]])
    for name, of_one in scores.items():
        assert {"tau", "tau_unseen", "precision_1", "coverage"} <= set(of_one)
        assert ("mape" in of_one) == both.dataset.attributes[name].relative
        assert all(np.isfinite(value) for value in of_one.values())


def test_what_can_be_adapted_says_so(case, trained, toy):
    labels = LABELS[CASES[case][1]][:1]
    predictor = trained(*labels).predictor
    rows = toy.having(labels)[:15]
    networks, latency_N = [toy.architectures[int(row)] for row in rows], 3 * toy.labels[labels[0]][rows]
    if not predictor.adaptable:
        with pytest.raises(BadRecipe, match="expected 'kernel-sum'"):
            adapt(predictor, networks, latency_N, predictor.attributes[0])
        return
    adapted = adapt(predictor, networks, latency_N, predictor.attributes[0])
    before, after = (np.abs(p.predict(networks)[:, 0] / latency_N - 1).mean() for p in (predictor, adapted))
    assert after < before


def test_networks_of_the_other_kind_are_refused(case, tiny, toy_cells, toy_networks, both):
    other = toy_networks if CASES[case][1] == "cells" else toy_cells
    for content in tiny.values():
        content["data"] |= {"train": 20, "validation": 10}
    recipe = recipe_of(case, tiny, LABELS["networks" if CASES[case][1] == "cells" else "cells"])
    with pytest.raises(BadRecipe, match=r"holds (cells|whole networks)"):
        train(recipe, 0, other)
    asked = other.rows(np.arange(2))
    with pytest.raises(NarformerError, match=r"is not one of|found a cell of 8 operations"):
        both.predictor.ask(asked)
    with pytest.raises(NarformerError, match=r"is not one of|found a cell of 8 operations"):
        both.predictor.ask([asked[0]])


def test_a_text_of_another_space_is_refused(both):
    if both.predictor.reads_networks:
        return
    with pytest.raises(NarformerError):
        both.predictor.ask([SPACES["nasbench101"].parse("conv3x3 | 01 12")])


def test_unknown_options_are_named(case, tiny):
    name = CASES[case][0]
    content = recipe_of(case, tiny, LABELS[CASES[case][1]]).model_dump(mode="json", exclude_defaults=True)
    content["predictor"] = {"name": name, "colour": 1}
    with pytest.raises(BadRecipe, match="colour"):
        Recipe.of(content, case)
