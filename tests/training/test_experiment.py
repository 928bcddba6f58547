"""From data set to scored predictor: what each part of a split may decide."""

import json

import numpy as np
import pytest
import torch

from narformer.data import split
from narformer.errors import BadRecipe
from narformer.metrics import kendall_tau
from narformer.training.evaluate import evaluate
from narformer.training.experiment import train
from narformer.training.recipe import Recipe


def weights(trained):
    return trained.predictor.model.state_dict()


def same(one, other):
    return all(torch.equal(weights(one)[name], value) for name, value in weights(other).items())


@pytest.fixture
def rows(dataset):
    return split(dataset, "random", 40, 1)


def test_test_labels_decide_nothing(recipe, make_dataset):
    plain, spoiled = make_dataset(), make_dataset(test=np.random.default_rng(9).random(320))
    assert same(train(recipe, 0, plain), train(recipe, 0, spoiled))


def test_train_labels_outside_train_and_validation_decide_nothing(recipe, make_dataset, rows):
    labels = make_dataset().labels["valid"].copy()
    elsewhere = np.setdiff1d(np.arange(320), np.concatenate([rows.train, rows.validation]))
    labels[elsewhere] += np.random.default_rng(9).normal(0, 10, len(elsewhere))
    assert same(train(recipe, 0, make_dataset()), train(recipe, 0, make_dataset(labels)))


def test_validation_labels_select_but_do_not_train(content, make_dataset, rows):
    """With other validation labels the last weights, and the target's scale, are the same."""
    content["training"]["selection"] = "last"
    recipe = Recipe.of(content, "here")
    labels = make_dataset().labels["valid"].copy()
    labels[rows.validation] = np.random.default_rng(9).normal(0, 10, len(rows.validation))
    one, other = train(recipe, 0, make_dataset()), train(recipe, 0, make_dataset(labels))
    assert same(one, other)
    assert one.predictor.targets == other.predictor.targets
    assert one.facts["history"] != other.facts["history"]


def test_the_best_weights_are_those_of_the_best_validation_tau(recipe, dataset, rows):
    trained = train(recipe, 0, dataset)
    predicted = trained.predictor.predict(dataset.rows(rows.validation))[:, 0]
    tau = kendall_tau(predicted, dataset.labels["valid"][rows.validation])
    assert tau == pytest.approx(trained.facts["best_validation_tau"], abs=0.002)


def test_an_interrupted_experiment_is_resumed(recipe, dataset, tmp_path, monkeypatch):
    from narformer.training import neural

    whole = train(recipe, 0, dataset)
    plain = neural.Checkpoint
    monkeypatch.setattr(neural, "Checkpoint", lambda path: plain(path, interval=0.0))

    def stop(phase, done, total, tau):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(recipe, 0, dataset, folder=tmp_path, progress=stop)
    assert same(whole, train(recipe, 0, dataset, folder=tmp_path))


EVOLUTION = {"rounds": 2, "epochs": 2, "learning_rate": 1e-3}


def test_self_evolution_runs_and_says_what_it_did(content, dataset):
    content["self_evolution"] = EVOLUTION
    seen = []
    trained = train(Recipe.of(content, "here"), 0, dataset, progress=lambda *state: seen.append(state[:3]))
    assert [state for state in seen if state[0] == "self-evolution"] == [("self-evolution", i, 4) for i in (1, 2, 3, 4)]
    assert len(trained.facts["self_evolution_rounds"]) == 2
    json.dumps(trained.facts)
    del content["self_evolution"]
    assert not same(trained, train(Recipe.of(content, "here"), 0, dataset))


@pytest.mark.parametrize("ema", [None, 0.9])
def test_self_evolution_repeats_itself(content, dataset, ema):
    content["self_evolution"], content["optimiser"]["ema"] = EVOLUTION, ema
    recipe = Recipe.of(content, "here")
    one = train(recipe, 0, dataset)
    torch.manual_seed(99)
    assert same(one, train(recipe, 0, dataset))


def test_self_evolution_sees_validation_labels_through_their_errors_only(content, make_dataset, rows):
    """Labels mirrored about the first round's predictions have the same error, so the run is the same."""
    content["self_evolution"] = EVOLUTION | {"rounds": 1}
    content["training"]["selection"] = "last"
    recipe = Recipe.of(content, "here")
    del content["self_evolution"]
    first = train(Recipe.of(content, "here"), 0, make_dataset())
    labels = make_dataset().labels["valid"].copy()
    predicted = first.predictor.predict(make_dataset().rows(rows.validation))[:, 0]
    labels[rows.validation] = 2 * predicted - labels[rows.validation]
    one, other = train(recipe, 0, make_dataset()), train(recipe, 0, make_dataset(labels))
    for name, value in weights(one).items():
        torch.testing.assert_close(value, weights(other)[name], atol=1e-4, rtol=1e-3)


def test_facts_are_json_and_tell_what_was_trained_on(recipe, dataset):
    facts = json.loads(json.dumps(train(recipe, 7, dataset).facts))
    assert facts["seed"] == 7
    assert facts["recipe_hash"] == recipe.hash()
    assert facts["trained_on"]["train"] == 40
    assert facts["trained_on"]["validation"] == 200
    assert facts["measured_error"]["valid"] > 0


def test_an_unknown_label_is_named(content, dataset):
    content["data"]["label"] = "vaild"
    with pytest.raises(BadRecipe, match="no label 'vaild'; it has valid, test"):
        train(Recipe.of(content, "here"), 0, dataset)


def test_a_single_training_cell_does_no_harm(content, dataset):
    content["data"]["train"] = 1
    trained = train(Recipe.of(content, "here"), 0, dataset)
    assert np.isfinite(trained.predictor.predict(dataset.architectures)).all()


def test_scores_are_of_the_labels_they_name(recipe, dataset, rows):
    trained = train(recipe, 0, dataset)
    (scores,) = evaluate(trained.predictor, dataset, trained.split).values()
    predicted = trained.predictor.predict(dataset.architectures)[:, 0]
    assert scores["tau"] == pytest.approx(kendall_tau(predicted, dataset.labels["test"]), abs=1e-3)
    assert scores["tau_valid"] == pytest.approx(kendall_tau(predicted, dataset.labels["valid"]), abs=1e-3)
    unseen = rows.unseen()
    assert len(unseen) == 80
    assert scores["tau_unseen"] == pytest.approx(
        kendall_tau(predicted[unseen], dataset.labels["test"][unseen]), abs=2e-3
    )


def test_labels_that_are_all_alike_are_refused(recipe, make_dataset):
    with pytest.raises(BadRecipe, match="the same label"):
        train(recipe, 0, make_dataset(np.full(320, 0.5)))
