"""Whole networks from data set to saved predictor: chains of convolutions whose latency is known in closed form."""

import json
from dataclasses import replace

import numpy as np
import pytest
from tiny_recipes import NETWORKS, changed

from narformer.attributes import Attribute
from narformer.data.dataset import Dataset
from narformer.errors import BadRecipe
from narformer.metrics import mape
from narformer.network import Architecture, Op
from narformer.network.cost import cost
from narformer.predictors import saved
from narformer.training.evaluate import evaluate
from narformer.training.experiment import train
from narformer.training.recipe import Recipe

CONTENT = changed(
    NETWORKS,
    data={"name": "chains", "train": 60, "validation": 30},
    optimiser={"learning_rate": 2e-2, "schedule": "cosine"},
    training={"epochs": 60, "selection": "best", "validate_every": 5},
)
V2 = {
    "tokenizer": {"name": "narformer-v2-network"},
    "model": {"name": "narformer-v2", "blocks": 2, "width": 32, "pooling": "sum", "layer_fusion": False},
    "target": {},
    "loss": {"regression": "relative"},
}


def chain(rng):
    """Two to six convolutions with activations between them."""
    ops, size = [Op.of("Input", (1, 3, 32, 32))], 32
    for _ in range(rng.integers(2, 7)):
        wide, kernel = int(rng.integers(4, 65)), int(rng.choice([1, 3, 5]))
        shape = (1, wide, size, size)
        ops += [Op.of("Conv", shape, kernel_shape=(kernel, kernel), pads=(kernel // 2,) * 4), Op.of("Relu", shape)]
    return Architecture(tuple(ops), tuple((i, i + 1) for i in range(len(ops) - 1)))


def latency(network):
    """Milliseconds: 0.02 for each convolution, 20 GFLOP and 4 GB a second."""
    counted = cost(network)
    convolutions = sum(op.kind == "Conv" for op in network.ops)
    return 0.02 * convolutions + counted.flops / 2e7 + counted.activation_bytes / 4e6


@pytest.fixture(scope="module")
def dataset():
    rng = np.random.default_rng(0)
    networks = [chain(rng) for _ in range(150)]
    return Dataset(
        name="chains",
        space="families",
        architectures=networks,
        labels={"latency": np.array([latency(network) for network in networks])},
        attributes={"latency": Attribute.of("latency", "ms")},
        train_labels=("latency",),
        test_labels=("latency",),
    )


def trained(dataset, folder=None, seed=0, **changes):
    return train(Recipe.of(CONTENT | changes, "here"), seed, dataset, folder)


def test_latency_is_learned_and_saved(dataset, tmp_path):
    run = trained(dataset)
    predictor, unseen = run.predictor, dataset.rows(run.split.unseen())
    true = dataset.labels["latency"][run.split.unseen()]
    predicted = predictor.predict(unseen)[:, 0]
    assert mape(predicted, true) < 0.06
    assert run.facts["best_validation_mape"] < 0.06
    saved.save(predictor, tmp_path / "predictor")
    loaded = saved.load(tmp_path / "predictor")
    np.testing.assert_array_equal(loaded.predict(unseen)[:, 0], predicted)
    low, high = (end[:, 0] for end in predictor.intervals(predictor.opinions(unseen)))
    assert (low < predicted).all()
    assert (predicted < high).all()
    held = ((low <= true) & (true <= high)).mean()
    assert 0.7 < held <= 1
    json.dumps(run.facts)


def test_scores_are_those_of_the_unit(dataset):
    run = trained(dataset, training=CONTENT["training"] | {"epochs": 5})
    scores = evaluate(run.predictor, dataset, run.split)["latency"]
    true = dataset.labels["latency"]
    error = np.abs(run.predictor.predict(dataset.architectures)[:, 0] / true - 1)
    unseen = run.split.unseen()
    assert scores["mape"] == pytest.approx(100 * error[unseen].mean())
    assert scores["acc_10"] == pytest.approx(100 * (error[unseen] <= 0.1).mean())
    assert scores["acc_5"] == pytest.approx(100 * (error[unseen] <= 0.05).mean())


def test_v2_learns_it_too(dataset):
    run = trained(dataset, **V2, optimiser={"learning_rate": 2e-3}, training=CONTENT["training"] | {"epochs": 70})
    unseen = run.split.unseen()
    true = dataset.labels["latency"][unseen]
    constant = mape(np.full(len(true), np.median(true)), true)
    assert mape(run.predictor.predict(dataset.rows(unseen))[:, 0], true) < 0.5 * constant


@pytest.mark.parametrize("changes", [{}, V2], ids=["kernel-sum", "narformer-v2"])
def test_an_interrupted_run_ends_alike(dataset, tmp_path, changes):
    changes = changes | {"training": CONTENT["training"] | {"epochs": 6, "validate_every": 1}}

    def stop(phase, done, total, tau):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(Recipe.of(CONTENT | changes, "here"), 0, dataset, tmp_path, stop)
    few = dataset.rows(np.arange(10))
    resumed, whole = trained(dataset, tmp_path, **changes), trained(dataset, **changes)
    np.testing.assert_allclose(resumed.predictor.predict(few), whole.predictor.predict(few), rtol=1e-5)


def test_the_sum_is_of_its_kernels(dataset):
    """The shares of kernels add up to what each member says of the network."""
    predictor = trained(dataset, training=CONTENT["training"] | {"epochs": 5}).predictor
    network = dataset.architectures[0]
    shares = predictor.model.kernels(predictor.tokenizer.network(network)).exp().sum(1)
    np.testing.assert_allclose(np.log(shares.detach().numpy()), predictor.opinions([network])[0, 0], atol=1e-5)


def test_two_attributes_of_whole_networks_are_learned_with_gaps(dataset, tmp_path):
    """Of a tenth of the networks the energy is not known, of another tenth the latency; each has shares of its own."""
    latencies, number_M = dataset.labels["latency"], np.arange(len(dataset))
    macs = np.array([cost(network).macs for network in dataset.architectures])
    both = replace(
        dataset,
        labels={
            "latency": np.where(number_M % 10 == 3, np.nan, latencies),
            "energy": np.where(number_M % 10 == 7, np.nan, 1e3 + macs / 1e2),
        },
        attributes={"latency": Attribute.of("latency", "ms"), "energy": Attribute.of("energy", "mJ")},
        train_labels=("latency", "energy"),
        test_labels=("latency", "energy"),
    )
    run = trained(both)
    scores = evaluate(run.predictor, both, run.split)
    assert max(scores["latency"]["mape"], scores["energy"]["mape"]) < 12
    network = both.architectures[0]
    share_TK = run.predictor.shares(network)
    np.testing.assert_allclose(share_TK.sum(1), [1, 1], rtol=1e-5)
    assert np.abs(share_TK[0] - share_TK[1]).max() > 0.01
    saved.save(run.predictor, tmp_path / "predictor")
    answers = [
        predictor.predict(both.architectures) for predictor in (run.predictor, saved.load(tmp_path / "predictor"))
    ]
    np.testing.assert_array_equal(*answers)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"tokenizer": {"name": "relational"}, "model": {"name": "relational"}},
            "reads cells; .* holds whole networks",
        ),
        ({"pretraining": {}}, r"\[pretraining\] is for cells"),
        ({"gaussian_process": {}}, r"\[gaussian_process\] is for cells"),
        ({"augmentation": {"orderings": "all"}}, r"\[augmentation\] is for cells"),
        ({"tokenizer": {"name": "nnlp"}}, "reads kernels; expected the tokenizer 'kernels'"),
        ({"model": {"name": "relational"}}, "'relational' reads cells; the tokenizer 'kernels' is of whole networks"),
    ],
)
def test_what_is_for_cells_is_refused(dataset, changes, message):
    with pytest.raises(BadRecipe, match=message):
        trained(dataset, **changes)


def test_logarithms_want_positive_labels(dataset):
    labels = {"latency": dataset.labels["latency"] - dataset.labels["latency"].mean()}
    spoiled = Dataset(**{**vars(dataset), "labels": labels})
    with pytest.raises(BadRecipe, match="expected positive ones"):
        trained(spoiled)
