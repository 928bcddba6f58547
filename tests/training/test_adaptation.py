"""Another device by a few measurements: what differs by kinds of kernels is learned, intervals are honest."""

import numpy as np
import pytest
from tiny_recipes import NETWORKS, changed

from narformer.attributes import Attribute
from narformer.data.dataset import Dataset
from narformer.errors import BadRecipe
from narformer.metrics import mape, spearman_rho
from narformer.network import Architecture, Op
from narformer.network.cost import cost
from narformer.predictors import saved
from narformer.training.adaptation import adapt
from narformer.training.experiment import train
from narformer.training.recipe import Recipe

RECIPE = changed(
    NETWORKS,
    data={"name": "chains", "train": 120, "validation": 40},
    optimiser={"learning_rate": 2e-2, "schedule": "cosine"},
    training={"epochs": 50, "validate_every": 10},
)
HERE, THERE = (0.02, 2e7, 4e6, 0.01), (0.3, 2e8, 4e7, 0.4)  # ms of a kernel, FLOPs and bytes a ms, ms of a pool


def chain(rng):
    """Convolutions, some of them followed by a pool."""
    ops, size = [Op.of("Input", (1, 3, 32, 32))], 32
    for _ in range(rng.integers(2, 7)):
        wide, kernel = int(rng.integers(4, 65)), int(rng.choice([1, 3, 5]))
        ops.append(Op.of("Conv", (1, wide, size, size), kernel_shape=(kernel, kernel), pads=(kernel // 2,) * 4))
        if rng.random() < 0.5 and size > 4:
            size //= 2
            ops.append(Op.of("MaxPool", (1, wide, size, size), kernel_shape=(2, 2), strides=(2, 2)))
    return Architecture(tuple(ops), tuple((i, i + 1) for i in range(len(ops) - 1)))


def latency(network, device):
    """Milliseconds on a device in closed form."""
    start, flops, bandwidth, pool = device
    counted, kinds = cost(network), [op.kind for op in network.ops]
    moved = counted.activation_bytes + 4 * counted.params
    return start * kinds.count("Conv") + pool * kinds.count("MaxPool") + counted.flops / flops + moved / bandwidth


@pytest.fixture(scope="module")
def networks():
    rng = np.random.default_rng(0)
    return [chain(rng) for _ in range(300)]


@pytest.fixture(scope="module")
def predictor(networks):
    dataset = Dataset(
        name="chains",
        space="families",
        architectures=networks[:200],
        labels={"latency": np.array([latency(network, HERE) for network in networks[:200]])},
        attributes={"latency": Attribute.of("latency", "ms", "here")},
        train_labels=("latency",),
        test_labels=("latency",),
    )
    return train(Recipe.of(RECIPE, "here"), 0, dataset).predictor


@pytest.fixture(scope="module")
def there(networks):
    return np.array([latency(network, THERE) for network in networks[200:]])


def test_a_few_measurements_make_it_true_there(predictor, networks, there, tmp_path):
    rest, true = networks[220:], there[20:]
    before = predictor.predict(rest)[:, 0]
    adapted = adapt(predictor, networks[200:220], there[:20], Attribute.of("latency", "ms", "there"))
    after = adapted.predict(rest)[:, 0]
    assert mape(after, true) < 0.25 * mape(before, true)
    assert mape(after, true) < 0.15
    assert spearman_rho(after, true) > 0.88 > spearman_rho(before, true) + 0.2
    assert adapted.attributes[0].note == "there"
    low, high = (end[:, 0] for end in adapted.intervals(adapted.opinions(rest)))
    assert 0.75 < ((low <= true) & (true <= high)).mean() <= 1
    np.testing.assert_array_equal(predictor.predict(rest)[:, 0], before), "the old one is left alone"
    saved.save(adapted, tmp_path / "there")
    np.testing.assert_array_equal(saved.load(tmp_path / "there").predict(rest)[:, 0], after)


@pytest.mark.parametrize("wrong", [1e-4, 1e4])
def test_a_measurement_that_went_wrong_does_not_move_the_others(predictor, networks, there, wrong):
    measured = there[:20].copy()
    measured[7] *= wrong
    adapted = adapt(predictor, networks[200:220], measured, Attribute.of("latency", "ms", "there"))
    assert mape(adapted.predict(networks[220:])[:, 0], there[20:]) < 0.2


def test_one_factor_is_found_by_one_measurement(predictor, networks):
    """A device that is seven times as slow for everything."""
    slow = 7 * predictor.predict(networks[200:260])[:, 0]
    adapted = adapt(predictor, networks[200:201], slow[:1], Attribute.of("latency", "ms"))
    np.testing.assert_allclose(adapted.predict(networks[200:260])[:, 0], slow, rtol=0.02)
    assert adapted.calibrations == (None,), "one network tells nothing of errors"


def test_more_measurements_do_not_harm(predictor, networks, there):
    errors = []
    for count in (5, 15, 45):
        adapted = adapt(predictor, networks[200 : 200 + count], there[:count], Attribute.of("latency", "ms"))
        errors.append(mape(adapted.predict(networks[250:])[:, 0], there[50:]))
    assert errors[2] < errors[0]
    assert errors[2] < 0.1


def test_what_cannot_be_adapted_is_refused(predictor, networks, there):
    for few, times in ((networks[:2], there[:3]), ([], there[:0]), (networks[:2], -there[:2])):
        with pytest.raises(BadRecipe, match="a positive one for each"):
            adapt(predictor, few, times, Attribute.of("latency", "ms"))


def test_a_predictor_of_several_attributes_is_refused(networks, there):
    labels = {name: np.linspace(1, 2, 200) for name in ("latency", "energy")}
    attributes = {"latency": Attribute.of("latency", "ms"), "energy": Attribute.of("energy", "mJ")}
    dataset = Dataset("chains", "families", networks[:200], labels, attributes, tuple(labels), tuple(labels))
    both = train(Recipe.of(RECIPE | {"training": {"epochs": 1, "batch": 16}}, "here"), 0, dataset).predictor
    with pytest.raises(BadRecipe, match="expected 'kernel-sum' on the logarithms of one attribute"):
        adapt(both, networks[200:220], there[:20], Attribute.of("latency", "ms"))


def test_other_predictors_are_refused(networks, there):
    v2 = {"name": "narformer-v2", "blocks": 1, "width": 16, "pooling": "sum", "layer_fusion": False}
    changes = {"tokenizer": {"name": "narformer-v2-network"}, "model": v2, "training": {"epochs": 1, "batch": 16}}
    dataset = Dataset(
        "chains", "families", networks[:200], {"latency": np.linspace(1, 2, 200)},
        {"latency": Attribute.of("latency", "ms")}, ("latency",), ("latency",),
    )  # fmt: skip
    other = train(Recipe.of(RECIPE | changes, "here"), 0, dataset).predictor
    with pytest.raises(BadRecipe, match="expected 'kernel-sum'"):
        adapt(other, networks[200:220], there[:20], Attribute.of("latency", "ms"))
