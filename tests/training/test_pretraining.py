"""Pre-training: it learns structure, sees no label, and leaves everything else to the training after it."""

import numpy as np
import pytest
import torch

from narformer.cells.columns import Cells
from narformer.errors import BadRecipe
from narformer.predictors.build import make_model, make_tokenizer
from narformer.training.experiment import train
from narformer.training.pretraining import pretrain, standardised_structure
from narformer.training.recipe import Pretraining, Recipe

SIZES = {"width": 16, "heads": 2, "layers": 2, "inner": 16, "members": 2}


@pytest.fixture
def small(content):
    content |= {
        "tokenizer": {"name": "relational", "absent": ["none"], "identities": ["skip_connect"]},
        "model": {"name": "relational", **SIZES},
        "loss": {"pairwise": 1.0, "pairs": "gap"},
        "augmentation": {},
        "pretraining": {"steps": 20, "batch": 32},
    }
    return content


def built(dataset, seed=1):
    names = {"absent": ("none",), "identities": ("skip_connect",)}
    tokenizer = make_tokenizer("relational", names, dataset.architectures.vocabulary)
    return tokenizer, make_model("relational", SIZES, tokenizer, seed)


def weights(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def test_it_learns_to_tell_structure(dataset):
    tokenizer, model = built(dataset)
    few = pretrain(model, tokenizer, dataset.architectures, Pretraining(steps=10, batch=64), seed=0)
    tokenizer, model = built(dataset)
    many = pretrain(model, tokenizer, dataset.architectures, Pretraining(steps=300, batch=64), seed=0)
    assert many < 0.4 < few  # the statistics have variance 1


def test_the_seed_decides_and_chance_is_left_alone(dataset):
    found = []
    torch.manual_seed(3)
    before = torch.get_rng_state()
    for seed in (0, 0, 1):
        tokenizer, model = built(dataset)
        pretrain(model, tokenizer, dataset.architectures, Pretraining(steps=3, batch=8), seed)
        found.append(weights(model))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])
    assert any(not torch.equal(found[0][name], found[2][name]) for name in found[0])


def test_the_last_layer_is_left_as_it_was(dataset):
    tokenizer, model = built(dataset)
    before = weights(model)
    pretrain(model, tokenizer, dataset.architectures, Pretraining(steps=3, batch=8), 0)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]) == name.startswith("out.")


def test_statistics_are_standardised_and_none_is_constant(dataset):
    statistic_PS = standardised_structure(built(dataset)[0].simplified(dataset.architectures))
    torch.testing.assert_close(statistic_PS.mean(0), torch.zeros(statistic_PS.shape[1]), atol=1e-4, rtol=0)
    torch.testing.assert_close(statistic_PS.std(0), torch.ones(statistic_PS.shape[1]), atol=1e-2, rtol=0)


def test_labels_decide_nothing_before_training(small, make_dataset):
    """Runs that differ in labels have the same error of pre-training, and say what it was."""
    recipe = Recipe.of(small, "here")
    one = train(recipe, 0, make_dataset())
    other = train(recipe, 0, make_dataset(np.random.default_rng(1).random(320)))
    assert one.facts["pretraining_error"] == other.facts["pretraining_error"]
    assert one.facts["pretraining_seconds"] > 0


def test_an_interrupted_run_is_not_pretrained_again(small, dataset, tmp_path):
    class Stop(Exception):
        pass

    def interrupt(phase, done, total, tau):
        if (phase, done) == ("train", 3):
            raise Stop

    recipe, phases = Recipe.of(small, "here"), set()
    with pytest.raises(Stop):
        train(recipe, 0, dataset, tmp_path, interrupt)
    resumed = train(recipe, 0, dataset, tmp_path, lambda phase, *_: phases.add(phase))
    whole = train(recipe, 0, dataset)
    assert phases == {"train"}
    assert all(
        torch.equal(value, whole.predictor.model.state_dict()[name])
        for name, value in resumed.predictor.model.state_dict().items()
    )


def test_what_pretraining_was_survives_an_interruption_right_after_it(small, dataset, tmp_path):
    def interrupt(phase, done, total, tau):
        if phase == "train":
            raise KeyboardInterrupt

    recipe, phases, told = Recipe.of(small, "here"), set(), ("pretraining_error", "pretraining_seconds")
    with pytest.raises(KeyboardInterrupt):
        train(recipe, 0, dataset, tmp_path, interrupt)
    resumed = train(recipe, 0, dataset, tmp_path, lambda phase, *_: phases.add(phase))
    assert phases == {"train"}
    again = train(recipe, 0, dataset, tmp_path)
    assert [again.facts[name] for name in told] == [resumed.facts[name] for name in told]
    assert resumed.facts["pretraining_error"] == train(recipe, 0, dataset).facts["pretraining_error"]


def test_other_models_are_refused(content, dataset):
    with pytest.raises(BadRecipe, match=r"\[pretraining\] is for the model 'relational'"):
        train(Recipe.of(content | {"pretraining": {}}, "here"), 0, dataset)


def test_statistics_that_vary_by_rounding_alone_are_left_out():
    """In chains a walk meets every operation the same number of times, but for the last digits of its mean."""
    vocabulary = ("input", *(f"block {i}" for i in range(3)), "output")
    rng = np.random.default_rng(0)
    middle_MN = rng.integers(1, 4, size=(500, 20))
    kind_MN = np.concatenate([np.zeros((500, 1)), middle_MN, np.full((500, 1), 4)], axis=1).astype(np.int8)
    adj_MNN = np.broadcast_to(np.eye(22, k=1, dtype=np.uint8), (500, 22, 22)).copy()
    statistic_PS = standardised_structure(Cells(vocabulary, kind_MN, adj_MNN))
    assert statistic_PS.isfinite().all()
    torch.testing.assert_close(statistic_PS.std(0), torch.ones(statistic_PS.shape[1]), atol=1e-2, rtol=0)
