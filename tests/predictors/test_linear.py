"""Latency as a line in what a network costs: exact where it is one, in its units, never below its floor."""

import json

import numpy as np
import pytest

from narformer.attributes import Attribute
from narformer.errors import BadArchitecture, BadPredictor, BadRecipe, UnknownName
from narformer.network import Architecture, Op, cost
from narformer.predictors.linear import COLUMNS, CostLine, CostLinePredictor
from narformer.predictors.saved import load, save
from narformer.predictors.target import Target
from narformer.spaces.families import FAMILIES, variants

BOTH = tuple(COLUMNS)


@pytest.fixture(scope="module")
def networks():
    return [network for name in ("squeezenet", "alexnet", "resnet") for network in variants(FAMILIES[name], 4).values()]


@pytest.fixture(scope="module")
def flops_N(networks):
    return np.array([cost(network).flops for network in networks], dtype=float)


@pytest.fixture(scope="module")
def values_N(networks):
    return np.array([cost(network).memory_access for network in networks], dtype=float)


def test_a_line_in_flops_is_found(networks, flops_N):
    latency_N = 1.25 + 0.4e-9 * flops_N
    line = CostLine.fit(networks[::2], latency_N[::2])
    assert line.columns == ("flops",)
    assert line.slopes == pytest.approx((0.4,), rel=1e-9)  # milliseconds per 1e9
    assert line.intercept == pytest.approx(1.25, rel=1e-9)
    np.testing.assert_allclose(line.predict(networks), latency_N, rtol=1e-9)


def test_a_line_in_flops_and_memory_access_is_found(networks, flops_N, values_N):
    latency_N = 0.5 + 0.4e-9 * flops_N + 0.05e-6 * values_N
    line = CostLine.fit(networks[::2], latency_N[::2], columns=BOTH)
    assert line.slopes == pytest.approx((0.4, 0.05), rel=1e-9)
    np.testing.assert_allclose(line.predict(networks), latency_N, rtol=1e-9)
    alone = CostLine.fit(networks[::2], latency_N[::2])
    assert abs(alone.predict(networks) / latency_N - 1).max() > 0.01  # memory access tells what FLOPs do not


def test_no_other_line_has_smaller_squares(networks, flops_N, values_N):
    rng = np.random.default_rng(0)
    latency_N = rng.uniform(1, 20, len(networks))
    line = CostLine.fit(networks, latency_N, columns=BOTH)
    error_N = line.intercept + line.slopes[0] * flops_N / 1e9 + line.slopes[1] * values_N / 1e6 - latency_N
    assert error_N.sum() == pytest.approx(0, abs=1e-9)
    for x_N in (flops_N, values_N):
        assert error_N @ x_N == pytest.approx(0, abs=1e-9 * np.abs(error_N) @ x_N)


def test_what_it_says_of_itself(networks, flops_N):
    line = CostLine.fit(networks, 1.25 + 0.4e-9 * flops_N)
    assert str(line).startswith("1.25 ms + 0.4 ms per GFLOP, at least ")
    told = CostLine(BOTH, (0.4, -0.05), 1.25, 0.5)
    assert str(told) == "1.25 ms + 0.4 ms per GFLOP - 0.05 ms per million values of memory access, at least 0.5 ms"


def test_no_prediction_is_below_half_the_smallest_label(networks, flops_N):
    by_size = [networks[row] for row in np.argsort(flops_N)]
    latency_N = np.sort(flops_N)[4:] * 1e-9
    latency_N += 0.1 - latency_N.min()  # the line meets zero between the small networks and these
    line = CostLine.fit(by_size[4:], latency_N)
    assert line.floor == latency_N.min() / 2
    assert line.intercept < 0
    assert line.predict(by_size[:1]).item() == line.floor
    np.testing.assert_allclose(line.predict(by_size[4:]), latency_N, rtol=1e-9)


def test_the_order_of_networks_changes_nothing(networks):
    latency_N = np.random.default_rng(0).uniform(1, 20, len(networks))
    one, other = (
        CostLine.fit(networks, latency_N, columns=BOTH),
        CostLine.fit(networks[::-1], latency_N[::-1], columns=BOTH),
    )
    np.testing.assert_allclose(other.predict(networks), one.predict(networks[::-1])[::-1], rtol=1e-9)


def test_progress_and_no_networks_at_all(networks):
    line, told = CostLine(("flops",), (1.0,), 0.0, 0.1), []
    assert line.predict([]).shape == (0,)
    latency = (Attribute.of("latency", "ms"),)
    predictor = CostLinePredictor([line], attributes=latency, space="networks", targets=(Target("log"),))
    np.testing.assert_allclose(predictor.predict(networks, told.append)[:, 0], line.predict(networks), rtol=1e-12)
    assert sum(told) == len(networks)
    assert predictor.predict([]).shape == (0, 1)
    assert predictor.opinions([]).shape == (0, 1, 1)


def test_every_number_of_a_line_is_in_the_file(networks, tmp_path):
    lines = [CostLine(BOTH, (0.4, -0.05), 1.25, 0.5), CostLine(BOTH, (1 / 3, 1e-9), -2.0, 1e-300)]
    attributes = (Attribute.of("latency", "ms"), Attribute.of("energy", "mJ"))
    log = (Target("log"),) * 2
    save(CostLinePredictor(lines, attributes=attributes, space="networks", targets=log), tmp_path / "lines")
    assert json.loads((tmp_path / "lines" / "manifest.json").read_text())["predictor"] == {
        "columns": list(BOTH),
        "name": "cost-line",
    }
    loaded = load(tmp_path / "lines")
    assert loaded.lines == tuple(lines)
    assert loaded.attributes == attributes


@pytest.mark.parametrize("floor", [0.0, -1.0])
def test_a_floor_that_is_not_positive_is_refused(tmp_path, floor):
    line = CostLine(("flops",), (1.0,), 0.0, floor)
    latency = (Attribute.of("latency", "ms"),)
    save(CostLinePredictor([line], attributes=latency, space="networks", targets=(Target("log"),)), tmp_path / "line")
    with pytest.raises(BadPredictor, match="'floors' holds a number that is not positive"):
        load(tmp_path / "line")


@pytest.mark.parametrize("latencies", [(3.0,), (3.0, 5.0)])
def test_networks_that_cost_alike_have_their_mean(networks, latencies):
    line = CostLine.fit([networks[0]] * len(latencies), np.array(latencies), columns=BOTH)
    assert line.slopes == (0, 0)
    assert line.predict(networks[:2]).tolist() == [np.mean(latencies)] * 2


@pytest.mark.parametrize("label", [0.0, -1.0, np.nan, np.inf])
def test_labels_that_are_no_latency_are_refused(networks, label):
    with pytest.raises(BadRecipe, match="1 of 2 latencies"):
        CostLine.fit(networks[:2], np.array([1.0, label]))


@pytest.mark.parametrize(("count", "labels"), [(0, 0), (2, 3)])
def test_networks_without_labels_are_refused(networks, count, labels):
    with pytest.raises(BadRecipe, match="at least one network, and one latency for each"):
        CostLine.fit(networks[:count], np.ones(labels))


def test_a_column_that_is_none_is_refused(networks):
    with pytest.raises(UnknownName, match="Did you mean 'flops'"):
        CostLine.fit(networks[:1], np.ones(1), columns=("flop",))


def test_a_network_that_cannot_be_counted_is_refused():
    cell = Architecture((Op.of("input"), Op.of("conv3x3-bn-relu")), ((0, 1),), "a cell")
    with pytest.raises(BadArchitecture, match="'a cell': 2 of 2 operations cannot be counted, vertex 0 is input"):
        CostLine.fit([cell], np.ones(1))
