"""The Gaussian process: its equations as dense algebra, what it learns, its blend, and what is refused of its file."""

import copy
import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from narformer.cells.columns import Cells
from narformer.cells.statistics import statistics, structure
from narformer.errors import BadPredictor
from narformer.metrics import kendall_tau
from narformer.predictors import gaussian_process as module
from narformer.predictors.gaussian_process import GaussianProcess, GaussianProcessFacts
from narformer.predictors.saved import load, save
from narformer.spaces.nasbench101 import VOCABULARY, NasBench101

NETWORKS = 4


@pytest.fixture(scope="module")
def pool():
    space, rng = NasBench101(), np.random.default_rng(5)
    return Cells.of([space.sample(rng) for _ in range(300)], VOCABULARY)


@pytest.fixture(scope="module")
def target_M(pool):
    """A curved function of two statistics of a cell."""
    table = dict(zip(statistics(VOCABULARY), structure(pool).T, strict=True))
    value_M = table["count of conv3x3-bn-relu"] - 0.3 * table["longest path"] ** 2
    return (value_M - value_M.mean()) / value_M.std()


@pytest.fixture(scope="module")
def fitted(pool, target_M):
    return GaussianProcess.fit(pool.take(slice(60)), target_M[:60], pool, seed=0, steps=60, networks=NETWORKS)


@pytest.fixture
def process(fitted):
    """One of this test's own: shares may be chosen."""
    return copy.deepcopy(fitted)


def literal(process, cells):
    """Opinions by the formula: features, distances in each group, kernel, its product with alpha."""
    asked, trained = ([x.numpy() for x in process._features(c)] for c in (cells, process.trained))
    amplitude, length = process.amplitude.numpy(), process.length.numpy()
    out = np.full(len(cells), process.center.item())
    for m in range(len(cells)):
        for n in range(len(process.trained)):
            apart = np.array([((x[m] - y[n]) ** 2).sum() for x, y in zip(asked, trained, strict=True)])
            kernel = sum(a * np.exp(-d / one) for a, d, one in zip(amplitude[:-1], apart, length[0], strict=True))
            kernel += amplitude[-1] * np.exp(-(apart / length[1]).sum())
            out[m] += kernel * float(process.alpha[n])
    return out


def test_opinions_are_those_of_the_formula(process, pool):
    few = pool.take(slice(55, 65))
    np.testing.assert_allclose(process(few).numpy(), literal(process, few), atol=1e-9)


def test_it_learns_a_curve_from_sixty_cells(process, pool, target_M):
    assert kendall_tau(process(pool.take(slice(60, None))).numpy(), target_M[60:]) > 0.9


def test_the_seed_decides_and_noise_is_no_message(pool, target_M):
    train, rest = pool.take(slice(60)), pool.take(slice(60, None))
    one, same, other = (
        GaussianProcess.fit(train, target_M[:60], pool, seed=seed, steps=3, networks=NETWORKS)(rest)
        for seed in (0, 0, 1)
    )
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    noise = np.random.default_rng(0).normal(size=60)
    opinion = GaussianProcess.fit(train, noise, pool, seed=0, steps=100, networks=NETWORKS)(rest)
    assert opinion.std() < 0.5


def test_chunks_and_the_order_of_cells_change_nothing(process, pool, monkeypatch):
    whole = process(pool)
    monkeypatch.setattr(module, "CHUNK", 7)
    monkeypatch.setattr(module, "PIECE", 3)
    turned = np.arange(len(pool))[::-1].copy()
    torch.testing.assert_close(process(pool.take(turned)), whole[turned], atol=1e-6, rtol=0)
    assert len(process(pool.take(slice(0)))) == 0


def test_where_cells_are_more_than_it_holds_chance_draws_them(pool, target_M, monkeypatch):
    monkeypatch.setattr(module, "MOST", 20)
    monkeypatch.setattr(module, "TUNED", 10)
    one, other = (GaussianProcess.fit(pool, target_M, pool, seed=seed, steps=3, networks=NETWORKS) for seed in (0, 1))
    assert one.config.cells == other.config.cells == 20
    assert not np.array_equal(one.trained.adj_MNN, other.trained.adj_MNN)
    rows = {(*kind, *adj.ravel()) for kind, adj in zip(pool.kind_MN, pool.adj_MNN, strict=True)}
    held = {(*kind, *adj.ravel()) for kind, adj in zip(one.trained.kind_MN, one.trained.adj_MNN, strict=True)}
    assert held <= rows
    assert one.alpha.isfinite().all()


def test_what_all_targets_have_in_common_is_added(pool, target_M):
    train, rest = pool.take(slice(60)), pool.take(slice(60, None))
    one, raised = (
        GaussianProcess.fit(train, target_M[:60] + more, pool, seed=0, steps=20, networks=NETWORKS)(rest)
        for more in (0, 7)
    )
    torch.testing.assert_close(raised, one + 7, atol=1e-9, rtol=0)


def test_labels_that_fit_exactly_leave_a_finite_kernel(pool):
    found = GaussianProcess.fit(pool.take(slice(40)), np.zeros(40), pool, seed=0, steps=400, networks=NETWORKS)
    bound = np.exp(module.FARTHEST) * (1 + 1e-9)
    for value in (found.amplitude, found.length):
        assert (value <= bound).all()
        assert (value >= 1 / bound).all()


@pytest.mark.parametrize(
    ("own", "other", "expected"), [(0.8, 0.0, (0, 0.8)), (0.0, 2.0, (2, 0)), (0.4, 0.7, (0.7, 0.4))]
)
def test_the_blend_is_the_best_sum_without_negative_shares(process, pool, own, other, expected):
    rest = pool.take(slice(60, 200))
    model_VE = np.random.default_rng(0).normal(size=(140, 3))
    target_V = own * process(rest).numpy() + other * model_VE.mean(axis=1)
    process.balance(rest, model_VE, target_V)
    np.testing.assert_allclose(process.share.numpy(), expected, atol=1e-6)
    held_out_VE = process.balance(rest, model_VE, target_V)
    np.testing.assert_allclose(held_out_VE.mean(axis=1), target_V, atol=1e-6)  # the target is such a sum everywhere
    blend_VE = process.blended(rest, model_VE)
    np.testing.assert_allclose(blend_VE.mean(axis=1), target_V, atol=1e-5)
    np.testing.assert_allclose(blend_VE.std(axis=1), expected[0] * model_VE.std(axis=1), atol=1e-6)


def test_one_failed_training_does_not_decide_the_shares(process, pool):
    """By squares a single label far off would turn to the process, which is never right here."""
    rest = pool.take(slice(60, 200))
    model_VE = np.random.default_rng(0).normal(size=(140, 2))
    target_V = model_VE.mean(axis=1) + 0.1 * np.random.default_rng(1).normal(size=140)
    worst = process(rest).numpy().argmax()
    target_V[worst] = 1000.0
    process.balance(rest, model_VE, target_V)
    np.testing.assert_allclose(process.share.numpy(), (1, 0), atol=0.15)


def test_the_blend_of_a_validation_cell_does_not_know_its_label(process, pool, target_M):
    rest = pool.take(slice(60, 160))
    model_VE = np.random.default_rng(0).normal(size=(100, 3))
    before_VE = process.balance(rest, model_VE, target_M[60:160])
    other_V = target_M[60:160].copy()
    other_V[17] += 100
    after_VE = process.balance(rest, model_VE, other_V)
    same_V = (np.arange(100) % module.FOLDS) == 17 % module.FOLDS
    np.testing.assert_array_equal(before_VE[same_V], after_VE[same_V])
    assert not np.allclose(before_VE[~same_V], after_VE[~same_V])


@pytest.mark.parametrize("count", range(module.FEW - 1, module.FEW + 6))
def test_validation_cells_are_blended_by_the_rule_of_what_is_saved(process, pool, count):
    """Where the model alone is right, no cell is blended by halves as soon as the saved shares are not halves."""
    rest = pool.take(slice(60, 60 + count))
    model_VE = np.random.default_rng(0).normal(size=(count, 2))
    held_out_VE = process.balance(rest, model_VE, model_VE.mean(axis=1))
    if count < module.FEW:
        assert process.share.tolist() == [0.5, 0.5]
    np.testing.assert_allclose(held_out_VE, process.blended(rest, model_VE), atol=1e-5)


def test_as_many_cells_as_it_keeps_can_be_loaded():
    sizes = {"vertices": 7, "kinds": 5, "features": 100, "networks": 32, "width": 8}
    assert GaussianProcessFacts(cells=module.MOST, **sizes)
    with pytest.raises(ValueError, match="less than or equal"):
        GaussianProcessFacts(cells=module.MOST + 1, **sizes)


def test_few_validation_cells_leave_halves(pool, target_M):
    fresh = GaussianProcess.fit(pool.take(slice(20)), target_M[:20], pool, seed=0, steps=2, networks=NETWORKS)
    fresh.balance(pool.take(slice(29)), np.ones((29, 1)), target_M[:29])
    assert fresh.share.tolist() == [0.5, 0.5]


@pytest.fixture
def folder(v2, process, tmp_path):
    v2.processes = (process,)
    save(v2, tmp_path / "saved")
    return tmp_path / "saved"


def test_it_is_saved_with_the_model(folder, v2, pool):
    loaded = load(folder)
    # NumPy's products may round by where in memory an array begins
    np.testing.assert_allclose(loaded.predict(pool), v2.predict(pool), rtol=1e-6)
    assert [process.config for process in loaded.processes] == [v2.processes[0].config]
    expected = v2.predict(pool)
    v2.processes = (None,)
    assert not np.array_equal(v2.predict(pool), expected)


@pytest.mark.parametrize("field", ["cells", "vertices", "kinds", "networks", "width"])
def test_a_process_of_another_size_is_refused(folder, field):
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["predictor"]["gaussian_processes"][0][field] += 1
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BadPredictor, match="found shape"):
        load(folder)


def test_features_that_cells_do_not_have_are_refused(folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["predictor"]["gaussian_processes"][0]["features"] += 1
    (folder / "manifest.json").write_text(json.dumps(manifest))
    weights = load_file(folder / "weights.safetensors")
    for name in ("gaussian_process.0.mean", "gaussian_process.0.scale"):
        weights[name] = torch.cat([weights[name], torch.zeros(1)])
    save_file(weights, folder / "weights.safetensors")
    with pytest.raises(BadPredictor, match="features; expected"):
        load(folder)


@pytest.mark.parametrize("kind", [-2.0, 5.0, 1e9])
def test_operations_that_do_not_exist_are_refused(folder, kind):
    weights = load_file(folder / "weights.safetensors")
    weights["gaussian_process.0.kind"][3, 0] = kind
    save_file(weights, folder / "weights.safetensors")
    with pytest.raises(BadPredictor, match=r"[Gg]aussian.process"):
        load(folder)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("kind", 0.5), ("kind", -1.0), ("adj", 0.5), ("adj", 256.0), ("adj", -1.0), ("length", 0.0)],
        *[("length", -1.0), ("amplitude", -1.0), ("share", -1e38)],
    ],
)
def test_numbers_that_describe_no_cell_and_no_kernel_are_refused(folder, name, value):
    weights = load_file(folder / "weights.safetensors")
    weights[f"gaussian_process.0.{name}"].view(-1)[0 if name != "adj" else 1] = value
    save_file(weights, folder / "weights.safetensors")
    with pytest.raises(BadPredictor, match=r"[Gg]aussian.process"):
        load(folder)


def test_a_process_larger_than_any_memory_is_refused_before_it_is_made(folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["predictor"]["gaussian_processes"][0] |= {"cells": 1000, "vertices": 1000}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BadPredictor, match="expected at most"):
        load(folder)
