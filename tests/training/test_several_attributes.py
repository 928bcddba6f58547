"""Several attributes at once, networks without some of their labels; and one attribute as before, to the last digit."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from narformer.attributes import Attribute
from narformer.errors import BadRecipe
from narformer.metrics import kendall_tau
from narformer.predictors import PREDICTORS, saved
from narformer.predictors.build import make_model, make_tokenizer
from narformer.predictors.target import Target
from narformer.spaces.nasbench201 import NasBench201
from narformer.training import losses
from narformer.training.evaluate import evaluate
from narformer.training.experiment import train
from narformer.training.loop import Fit
from narformer.training.recipe import Recipe
from narformer.training.runs import Run, scored

NAMES = ("valid", "steps")
CELL = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|nor_conv_1x1~2|"
LOSSES = [
    {"regression": "mse"},
    {"regression": "relative", "ranking": 0.1, "consistency": 0.5},
    {"regression": "absolute", "pairwise": 2.0, "pairs": "gap"},
    {"regression": "none", "pairwise": 1.0},
    {"regression": "mse", "ranking": 0.3, "consistency": 0.7, "pairwise": 0.5},
]


def gappy(dataset, share=0.4):
    """The toy and a second attribute, the larger the more a cell averages; each is missing for a part of the cells."""
    rng = np.random.default_rng(2)
    steps = 3.0 - (dataset.architectures.kind_MN == 3).sum(1) / 5 + rng.normal(0, 0.01, len(dataset))
    valid = dataset.labels["valid"].copy()
    drawn = rng.random(len(dataset))
    valid[drawn < share / 2], steps[drawn > 1 - share] = np.nan, np.nan
    return replace(
        dataset,
        labels={**dataset.labels, "valid": valid, "steps": steps},
        attributes={**dataset.attributes, "steps": Attribute.of("steps", "ms")},
    )


@pytest.fixture
def two(content):
    content["data"]["label"] = list(NAMES)
    return content


@pytest.fixture
def relational(two):
    """Members, pre-training, and a Gaussian process of each attribute."""
    names = {"absent": ["none"], "identities": ["skip_connect"]}
    return two | {
        "tokenizer": {"name": "relational", **names},
        "model": {"name": "relational", "width": 16, "heads": 2, "layers": 2, "inner": 16, "members": 2},
        "loss": {"pairwise": 1.0, "pairs": "gap"},
        "augmentation": {},
        "pretraining": {"steps": 5, "batch": 16},
        "gaussian_process": {"steps": 5, "networks": 2},
        "training": {"epochs": 20, "batch": 16},
    }


def make_fit(content, target_MT):
    """A fit whose networks play no part."""
    recipe, count = Recipe.of(content, "here"), target_MT.shape[1]
    tokenizer = make_tokenizer(recipe.tokenizer.name, recipe.tokenizer.options, NasBench201().vocabulary)
    tokens = tokenizer.batch([NasBench201().parse(CELL)])
    model = make_model(recipe.model.name, recipe.model.options, tokenizer, 0, count)
    return Fit(recipe, 0, model, tokens, target_MT, tokens, target_MT, (Target(),) * count)


def loss_before(recipe, y_BE, target_B):
    """As the loop computed it when a model had one attribute."""
    weights = recipe.loss
    twin = len(y_BE) == 2 * len(target_B)
    all_B1 = (target_B.repeat(2) if twin else target_B)[:, None]
    loss = losses.REGRESSION[weights.regression](y_BE, all_B1)
    if weights.ranking:
        loss = loss + weights.ranking * losses.sequence_ranking(y_BE, all_B1, torch.randperm(len(y_BE)))
    if weights.consistency and twin:
        loss = loss + weights.consistency * losses.architecture_consistency(*y_BE.chunk(2))
    if weights.pairwise:
        loss = loss + weights.pairwise * losses.PAIRWISE[weights.pairs](y_BE, all_B1)
    return loss


def made_up(attributes, twins=1, members=3, batch=12):
    chance = torch.Generator().manual_seed(0)
    y_BTE = torch.randn(twins * batch, attributes, members, generator=chance, requires_grad=True)
    return y_BTE, 0.5 + torch.rand(batch, attributes, generator=chance)


@pytest.mark.parametrize("weights", LOSSES, ids=str)
@pytest.mark.parametrize("twins", [1, 2])
def test_the_loss_of_one_attribute_is_that_of_before(content, weights, twins):
    content["loss"] = weights
    fit = make_fit(content, np.ones((12, 1)))
    y_BTE, target_BT = made_up(1, twins)
    torch.manual_seed(3)
    found = fit.loss(y_BTE, target_BT)
    torch.manual_seed(3)
    expected = loss_before(fit.recipe, y_BTE[:, 0], target_BT[:, 0])
    assert torch.equal(found, expected)
    slopes = [torch.autograd.grad(loss, y_BTE)[0] for loss in (found, expected)]
    assert torch.equal(*slopes)


@pytest.mark.parametrize("weights", LOSSES, ids=str)
@pytest.mark.parametrize("twins", [1, 2])
def test_the_loss_of_several_is_the_mean_over_what_is_labelled(content, weights, twins):
    """Of each attribute by itself, on its own networks, twins included."""
    content["loss"] = weights
    y_BTE, target_BT = made_up(3, twins)
    target_BT[:5, 0], target_BT[7:, 1], target_BT[:, 2] = torch.nan, torch.nan, torch.nan
    fit = make_fit(content, target_BT.double().numpy())
    kept = torch.cat([torch.arange(5, 12) + 12 * twin for twin in range(twins)]), torch.arange(5, 12)
    other = torch.cat([torch.arange(7) + 12 * twin for twin in range(twins)]), torch.arange(7)
    torch.manual_seed(3)
    found = fit.loss(y_BTE, target_BT)
    torch.manual_seed(3)
    parts = [
        loss_before(fit.recipe, y_BTE[rows, t], target_BT[labelled, t])
        for t, (rows, labelled) in enumerate((kept, other))
    ]
    torch.testing.assert_close(found, torch.stack(parts).mean(), atol=0, rtol=1e-6)
    slope_BTE = torch.autograd.grad(found, y_BTE)[0]
    assert slope_BTE.isfinite().all()
    labelled_BT = target_BT.isfinite().repeat(twins, 1)
    assert not slope_BTE[~labelled_BT].any(), "what is not labelled moves nothing"
    assert slope_BTE[labelled_BT].any()


@pytest.mark.parametrize("weights", LOSSES, ids=str)
def test_an_attribute_without_a_label_in_the_batch_adds_nothing(content, weights):
    content["loss"] = weights
    y_BTE, target_BT = made_up(2)
    target_BT[:, 1] = torch.nan
    fit = make_fit(content, target_BT.double().numpy())
    torch.manual_seed(3)
    found = fit.loss(y_BTE, target_BT)
    torch.manual_seed(3)
    assert torch.equal(found, loss_before(fit.recipe, y_BTE[:, 0], target_BT[:, 0]))
    none = fit.loss(y_BTE, torch.full_like(target_BT, torch.nan))
    assert none.item() == 0
    assert not torch.autograd.grad(none, y_BTE)[0].any()


def test_the_score_is_the_mean_over_attributes_that_are_labelled(content):
    fit = make_fit(content, np.ones((4, 3)))
    rng = np.random.default_rng(0)
    predicted_VT, true_VT = rng.random((2, 20, 3))
    true_VT[:8, 0], true_VT[1:, 2] = np.nan, np.nan
    fit.validation_VT = true_VT
    taus = [kendall_tau(predicted_VT[8:, 0], true_VT[8:, 0]), kendall_tau(predicted_VT[:, 1], true_VT[:, 1])]
    assert fit.score(predicted_VT) == pytest.approx(np.mean(taus))
    fit.validation_VT = np.full((20, 3), np.nan)
    assert fit.score(predicted_VT) == 0


def agree(trained, dataset):
    """τ of each attribute on the labelled rows that neither train nor validate."""
    predicted = trained.predictor.predict(dataset.architectures)
    assert np.isfinite(predicted).all()
    unseen = np.setdiff1d(np.arange(len(dataset)), np.concatenate([trained.split.train, trained.split.validation]))
    taus = {}
    for t, name in enumerate(NAMES):
        rows = unseen[np.isfinite(dataset.labels[name][unseen])]
        taus[name] = kendall_tau(predicted[rows, t], dataset.labels[name][rows])
    return taus


def test_two_attributes_with_gaps_train(two, dataset):
    two["data"]["train"] = 80
    two["model"]["dropout"] = 0.0
    two["training"] |= {"epochs": 60}
    data = gappy(dataset)
    trained = train(Recipe.of(two, "here"), 0, data)
    assert [attribute.name for attribute in trained.predictor.attributes] == list(NAMES)
    assert min(agree(trained, data).values()) > 0.4
    assert set(trained.facts["measured_error"]) == set(NAMES)
    assert all(calibration is not None for calibration in trained.predictor.calibrations)
    assert all(np.isfinite([entry["loss"], entry["validation_tau"]]).all() for entry in trained.facts["history"])
    json.dumps(trained.facts)


def test_pretraining_members_and_gaussian_processes_of_two_attributes(relational, dataset, tmp_path):
    data = gappy(dataset)
    trained = train(Recipe.of(relational, "here"), 0, data)
    assert min(agree(trained, data).values()) > 0.3
    assert len(trained.predictor.processes) == len(trained.facts["shares"]) == 2
    assert trained.predictor.opinions(data.architectures).shape == (len(data), 2, 2)
    saved.save(trained.predictor, tmp_path / "predictor")
    loaded = saved.load(tmp_path / "predictor")
    one, other = (predictor.predict(data.architectures) for predictor in (trained.predictor, loaded))
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("selection", ["best", "last"])
def test_labels_of_other_rows_decide_nothing(two, dataset, selection):
    """Those of rows that neither train nor validate: with other numbers there the weights are the same."""
    two["training"]["selection"] = selection
    data, recipe = gappy(dataset), Recipe.of(two, "here")
    whole = train(recipe, 0, data)
    elsewhere = np.setdiff1d(np.arange(len(data)), np.concatenate([whole.split.train, whole.split.validation]))
    changed = {name: data.labels[name].copy() for name in NAMES}
    for column in changed.values():
        column[elsewhere] *= 7.0
    other = train(recipe, 0, replace(data, labels={**data.labels, **changed}))
    for name, value in whole.predictor.model.state_dict().items():
        assert torch.equal(value, other.predictor.model.state_dict()[name])


def test_an_interrupted_run_of_two_attributes_ends_alike(relational, dataset, tmp_path):
    def stop(phase, done, total, tau):
        if (phase, done) == ("train", 7):
            raise KeyboardInterrupt

    data, recipe = gappy(dataset), Recipe.of(relational, "here")
    with pytest.raises(KeyboardInterrupt):
        train(recipe, 0, data, tmp_path, stop)
    resumed, whole = train(recipe, 0, data, tmp_path), train(recipe, 0, data)
    for name, value in whole.predictor.model.state_dict().items():
        assert torch.equal(value, resumed.predictor.model.state_dict()[name])


def test_scores_are_of_each_attribute(two, dataset):
    data = gappy(dataset)
    trained = train(Recipe.of(two, "here"), 0, data)
    scores = evaluate(trained.predictor, trained.dataset, trained.split)
    assert set(scores) == set(NAMES)
    assert {"tau", "tau_unseen", "precision_1", "coverage"} <= set(scores["valid"])
    assert "mape" not in scores["valid"]
    assert {"tau", "tau_unseen", "precision_1", "coverage", "mape", "acc_10"} <= set(scores["steps"])
    taus = agree(trained, data)
    for name in NAMES:
        assert scores[name]["tau_unseen"] == pytest.approx(taus[name])
    run = scored(trained)
    assert run.scores == scores
    assert Run.model_validate_json(run.model_dump_json()) == run


def test_an_attribute_that_no_test_row_is_labelled_with_has_no_scores(two, dataset):
    """All of its labels are those that it was trained on and selected with."""
    two["data"] |= {"split": "holdout", "validation": 60}
    data = gappy(dataset)
    recipe = Recipe.of(two, "here")
    first = train(recipe, 0, data)
    steps = data.labels["steps"].copy()
    steps[first.split.test] = np.nan
    valid = data.labels["valid"].copy()
    valid[first.split.test] = 0.5 + np.arange(len(first.split.test)) / 1000
    trained = train(recipe, 0, replace(data, labels={**data.labels, "steps": steps, "valid": valid}))
    run = scored(trained)
    assert run.scores["steps"] == {}
    assert {"tau", "tau_unseen", "precision_1", "coverage"} <= set(run.scores["valid"])
    assert Run.model_validate_json(run.model_dump_json()) == run


def test_self_evolution_is_for_one_attribute_and_says_so_before_it_trains(two, dataset):
    two["self_evolution"] = {"rounds": 1, "epochs": 1}
    phases = set()
    with pytest.raises(BadRecipe) as caught:
        train(Recipe.of(two, "here"), 0, gappy(dataset), progress=lambda phase, *_: phases.add(phase))
    assert str(caught.value) == "[self_evolution] is for one attribute; leave the section out for several"
    assert not phases


def test_an_attribute_without_any_label_to_train_on_is_refused(two, dataset):
    data = gappy(dataset)
    spoiled = replace(data, labels={**data.labels, "steps": np.full(len(data), np.nan)})
    with pytest.raises(BadRecipe, match="no training network with a label 'steps'"):
        train(Recipe.of(two, "here"), 0, spoiled)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"label": ["valid", "valid"]}, "without repetition"),
        ({"test_label": "test"}, "one of each"),
        ({"label": ["valid", "stops"]}, "no label 'stops'"),
    ],
)
def test_labels_that_do_not_go_together_are_refused(two, dataset, changes, message):
    two["data"] |= changes
    with pytest.raises(BadRecipe, match=message):
        train(Recipe.of(two, "here"), 0, gappy(dataset))


def test_a_predictor_that_is_fitted_at_once_learns_both(two, dataset):
    content = {"system": "tiny", "data": two["data"]}
    content["predictor"] = {"name": "gaussian-process", "steps": 20, "networks": 4, "absent": ["none"]}
    data = gappy(dataset)
    trained = train(Recipe.of(content, "here"), 0, data)
    assert isinstance(trained.predictor, PREDICTORS["gaussian-process"])
    assert min(agree(trained, data).values()) > 0.4
    assert set(scored(trained).scores) == set(NAMES)
