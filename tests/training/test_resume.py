"""A run that was interrupted and resumed ends as one that was not, bit for bit."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from narformer.errors import BadFile
from narformer.predictors.build import make_model, make_tokenizer
from narformer.predictors.target import Target
from narformer.training.augmentation import twin_batches
from narformer.training.checkpoint import Checkpoint
from narformer.training.loop import Fit
from narformer.training.recipe import Recipe


class Interrupted(Exception):
    pass


def make_fit(recipe, dataset, path=None, seed=3, interval=0.0):
    cells, labels = dataset.architectures, dataset.labels["valid"]
    tokenizer = make_tokenizer(recipe.tokenizer.name, recipe.tokenizer.options, cells.vocabulary)
    target = Target.fit(labels[:40], recipe.target.transform, recipe.target.scale)
    return Fit(
        recipe=recipe,
        seed=seed,
        model=make_model(recipe.model.name, recipe.model.options, tokenizer, seed),
        tokens=tokenizer.batch(cells.take(slice(0, 40))),
        target_MT=target.forward(labels[:40])[:, None],
        validation_tokens=tokenizer.batch(cells.take(slice(40, 80))),
        validation_VT=target.forward(labels[40:80])[:, None],
        targets=(target,),
        twins=twin_batches(cells.take(slice(0, 40)), recipe.augmentation.orderings, tokenizer),
        checkpoint=None if path is None else Checkpoint(path, interval),
    )


def stop_after(epoch):
    def report(phase, done, total, tau):
        if done == epoch:
            raise Interrupted

    return report


def assert_same_weights(one, other):
    for (name, a), b in zip(one.items(), other.values(), strict=True):
        assert torch.equal(a, b), name


@pytest.mark.parametrize("orderings", ["none", "first", "all"])
@pytest.mark.parametrize("ema", [None, 0.9])
@pytest.mark.parametrize("selection", ["best", "last"])
def test_resuming_changes_nothing(content, dataset, tmp_path, orderings, ema, selection):
    content["augmentation"]["orderings"] = orderings
    content["optimiser"]["ema"] = ema
    content["training"]["selection"] = selection
    recipe = Recipe.of(content, "here")
    whole = make_fit(recipe, dataset)
    whole.run()

    path = tmp_path / "state.safetensors"
    for epoch in (2, 4):  # interrupted twice
        with pytest.raises(Interrupted):
            make_fit(recipe, dataset, path).run(stop_after(epoch))
    torch.manual_seed(12345)  # chance elsewhere in the program is of no effect
    resumed = make_fit(recipe, dataset, path)
    started = []
    resumed.run(lambda phase, done, total, tau: started.append(done))
    assert started == [4, 5]
    assert_same_weights(whole.model.state_dict(), resumed.model.state_dict())
    assert whole.history == resumed.history
    assert whole.best_score == resumed.best_score


@pytest.mark.parametrize("model", ["narformer", "tnasp"])
def test_resuming_changes_nothing_for_the_other_models(content, dataset, tmp_path, model):
    options = {
        "narformer": ({"length": 4}, {"heads": 2, "depths": [1, 1, 1, 1], "head": "linear"}),
        "tnasp": ({"vertices": 8, "severed": ["none"]}, {"width": 16, "heads": 2, "key": 4, "layers": 1}),
    }[model]
    content["tokenizer"] = {"name": model} | options[0]
    content["model"] = {"name": model} | options[1]
    recipe = Recipe.of(content, "here")
    whole = make_fit(recipe, dataset)
    whole.run()
    with pytest.raises(Interrupted):
        make_fit(recipe, dataset, tmp_path / "state").run(stop_after(3))
    resumed = make_fit(recipe, dataset, tmp_path / "state")
    resumed.run()
    assert_same_weights(whole.model.state_dict(), resumed.model.state_dict())


def test_seeds_decide_and_repeat(recipe, dataset):
    fits = [make_fit(recipe, dataset, seed=seed) for seed in (3, 3, 4)]
    for fit in fits:
        fit.run()
    same, other = zip(
        *((fits[0].model.state_dict()[n], fits[2].model.state_dict()[n]) for n in fits[0].average), strict=True
    )
    assert_same_weights(fits[0].model.state_dict(), fits[1].model.state_dict())
    assert any(not torch.equal(a, b) for a, b in zip(same, other, strict=True))


def test_a_kill_between_writing_and_renaming_keeps_the_old_state(recipe, dataset, tmp_path, monkeypatch):
    path = tmp_path / "state.safetensors"
    with pytest.raises(Interrupted):
        make_fit(recipe, dataset, path).run(stop_after(3))
    old = path.read_bytes()

    def killed(self, target):
        raise Interrupted

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        with pytest.raises(Interrupted):
            make_fit(recipe, dataset, path).run()
    assert path.read_bytes() == old
    whole, resumed = make_fit(recipe, dataset), make_fit(recipe, dataset, path)
    whole.run()
    resumed.run()
    assert_same_weights(whole.model.state_dict(), resumed.model.state_dict())


def test_a_state_is_saved_no_more_often_than_asked(recipe, dataset, tmp_path):
    fit = make_fit(recipe, dataset, tmp_path / "state", interval=3600.0)
    saved, save = [], fit.checkpoint.save
    fit.checkpoint.save = lambda fit: (saved.append(fit.epoch), save(fit))
    fit.run()
    assert saved == [1, fit.recipe.training.epochs], "after the first and the last epoch, and by the clock between"


def test_the_state_of_another_run_is_refused(recipe, content, dataset, tmp_path):
    path = tmp_path / "state.safetensors"
    with pytest.raises(Interrupted):
        make_fit(recipe, dataset, path).run(stop_after(2))
    with pytest.raises(BadFile, match="seed 3"):
        make_fit(recipe, dataset, path, seed=4).run()
    content["optimiser"]["learning_rate"] = 1e-3
    with pytest.raises(BadFile, match="a folder of its own"):
        make_fit(Recipe.of(content, "here"), dataset, path).run()


@pytest.mark.parametrize(
    "damage", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b"{}" + b], ids=["half", "none", "more"]
)
def test_a_damaged_state_is_refused_and_named(recipe, dataset, tmp_path, damage):
    path = tmp_path / "state.safetensors"
    with pytest.raises(Interrupted):
        make_fit(recipe, dataset, path).run(stop_after(2))
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(BadFile, match=r"state\.safetensors: found an unreadable state"):
        make_fit(recipe, dataset, path).run()


def test_history_and_best_are_of_the_validation_labels(recipe, dataset):
    fit = make_fit(recipe, dataset)
    fit.run()
    taus = [entry["validation_tau"] for entry in fit.history]
    assert [entry["epoch"] for entry in fit.history] == [1, 2, 3, 4, 5]
    assert fit.best_score == max(taus)
    json.dumps(fit.facts())
    assert np.isfinite([entry["loss"] for entry in fit.history]).all()


def test_training_learns(content, dataset):
    content["training"] |= {"epochs": 60, "batch": 20}
    content["model"]["dropout"] = 0.0
    fit = make_fit(Recipe.of(content, "here"), dataset)
    fit.run()
    assert fit.best_score > 0.6


def test_the_averaged_weights_are_the_exponential_mean(content, dataset):
    content["training"] |= {"epochs": 1, "batch": 40, "selection": "last"}
    content["optimiser"] |= {"ema": 0.75, "schedule": "constant", "warmup": 0.0}
    fit = make_fit(Recipe.of(content, "here"), dataset)
    before = {name: value.clone() for name, value in fit.average.items()}
    seen = {}
    step = fit.optimiser.step

    def spy():
        step()
        seen.update({name: value.detach().clone() for name, value in fit.model.named_parameters()})

    fit.optimiser.step = spy
    fit.run()
    for name, value in fit.model.state_dict().items():
        torch.testing.assert_close(value, 0.75 * before[name] + 0.25 * seen[name])


def test_biases_are_spared_from_decay(recipe, dataset):
    decayed, spared = make_fit(recipe, dataset).optimiser.param_groups
    assert (decayed["weight_decay"], spared["weight_decay"]) == (0.01, 0.0)
    names = {id(p): n for n, p in make_fit(recipe, dataset).model.named_parameters()}
    assert len(decayed["params"]) + len(spared["params"]) == len(names)


@pytest.mark.parametrize(("count", "steps"), [(2, 1), (16, 1), (17, 1), (31, 1), (32, 2), (40, 2)])
def test_an_epoch_is_of_full_batches(recipe, dataset, count, steps):
    """Batches hold 16 cells; fewer cells than that are one batch."""
    fit = make_fit(recipe, dataset)
    fit.tokens = fit.tokens.take(torch.arange(count))
    assert fit.steps_per_epoch == steps


def test_chance_outside_is_left_alone(recipe, dataset):
    torch.manual_seed(5)
    state = torch.get_rng_state()
    make_fit(recipe, dataset).run()
    assert torch.equal(torch.get_rng_state(), state)
