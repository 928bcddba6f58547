"""The domain: what was trained on lies in it, other families do not, and it is saved with the predictor."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from narformer.attributes import Attribute
from narformer.errors import BadPredictor
from narformer.network import Architecture, Op
from narformer.predictors import domain as module
from narformer.predictors.build import make_model, make_tokenizer
from narformer.predictors.domain import CellDomain, NetworkDomain, described
from narformer.predictors.neural import NeuralPredictor
from narformer.predictors.saved import load, save
from narformer.predictors.target import Target
from narformer.spaces.families import FAMILIES
from narformer.spaces.nasbench101 import VOCABULARY
from narformer.tokens.kernels import KINDS, POINTWISE, KernelTokenizer


def tokens(networks):
    return KernelTokenizer().batch(networks)


@pytest.fixture(scope="module")
def networks():
    return {name: [FAMILIES[name].variant(number) for number in range(12)] for name in ("squeezenet", "alexnet")}


@pytest.fixture(scope="module")
def domain(networks):
    return NetworkDomain.fit(networks["squeezenet"][:9])


def test_training_networks_are_at_no_distance(networks, domain):
    distance, names = domain.nearest(tokens(networks["squeezenet"][:9]))
    np.testing.assert_allclose(distance, 0, atol=1e-3)
    assert names == [network.name for network in networks["squeezenet"][:9]]


def test_a_family_is_near_and_another_one_is_far(networks, domain):
    own, _ = domain.nearest(tokens(networks["squeezenet"][9:]))
    other, _ = domain.nearest(tokens(networks["alexnet"]))
    assert np.median(own) < 1
    assert other.min() > 1
    assert other.min() > own.max()


def test_a_kind_that_no_training_network_has_is_far(domain):
    shape = (1, 64, 56, 56)
    ops = (Op.of("Input", shape), *[Op.of("LayerNormalization", shape) for _ in range(9)])
    assert domain.nearest(tokens([Architecture(ops, tuple((i, i + 1) for i in range(9)))]))[0] > 2


def test_a_strange_kind_that_takes_no_time_is_near(networks, domain):
    network = networks["squeezenet"][0]
    last = len(network) - 1
    end = Architecture((*network.ops, Op.of("Softmax", network.ops[last].shape)), (*network.edges, (last, last + 1)))
    assert domain.nearest(tokens([end]))[0] < 1


def test_a_description_tells_where_the_time_goes(networks):
    several = [*networks["squeezenet"][:3], *networks["alexnet"][:2]]
    described_B = described(tokens(several))
    assert described_B.shape == (5, NetworkDomain.Config(names=()).features)
    for row, network in zip(described_B, several, strict=True):
        assert (row[: len(KINDS)] ** 2).sum() == pytest.approx(1)
        present = {kind for kind, root in zip(KINDS, row, strict=False) if root > 0}
        assert present & {"Conv", POINTWISE}
        assert "LSTM" not in present
        assert ("GlobalAveragePool" in present) == any(op.kind == "GlobalAveragePool" for op in network.ops)
        assert np.expm1(row[-1]) == pytest.approx(len(KernelTokenizer().network(network).kind_N))


def test_of_very_many_networks_every_so_many_are_held(networks, monkeypatch):
    monkeypatch.setattr(module, "MOST", 4)
    held = NetworkDomain.fit(networks["squeezenet"])
    assert held.config.names == tuple(network.name for network in networks["squeezenet"][::3])


def test_looking_up_is_the_nearest_in_chunks(networks, domain, monkeypatch):
    several = [*networks["squeezenet"], *networks["alexnet"]]
    distance_B, names = domain.nearest(tokens(several))
    for chunk in (module.CHUNK, 5):
        monkeypatch.setattr(module, "CHUNK", chunk)
        inside_N, distance_N, nearest = domain.look_up(several, ())
        np.testing.assert_allclose(distance_N, distance_B, atol=1e-6)
        np.testing.assert_array_equal(inside_N, distance_N <= 1)
        assert list(nearest) == names
    assert [len(part) for part in domain.look_up([], ())] == [0, 0, 0]


def test_cells_as_large_as_those_of_training_are_in_the_domain(cells):
    domain = CellDomain.fit(cells)
    assert (domain.vertices, domain.edges) == (cells.count_M.max(), cells.edges_M.max())
    for smaller in (CellDomain(domain.vertices - 1, domain.edges), CellDomain(domain.vertices, domain.edges - 1)):
        inside_N, distance_N, nearest = smaller.look_up(cells, VOCABULARY)
        fits_N = (cells.count_M <= smaller.vertices) & (cells.edges_M <= smaller.edges)
        assert inside_N.tolist() == fits_N.tolist()
        assert not inside_N.all()
        assert (distance_N, nearest) == (None, ())
    assert domain.look_up(list(cells), VOCABULARY)[0].all()


@pytest.fixture
def folder(domain, tmp_path):
    tokenizer = make_tokenizer("kernels", {}, ())
    predictor = NeuralPredictor(
        model=make_model("kernel-sum", {"width": 8, "layers": 1}, tokenizer, 0),
        tokenizer=tokenizer,
        targets=(Target.fit(np.array([1.0, 2.0]), "log", 1.0),),
        attributes=(Attribute.of("latency", "ms"),),
        space="families",
        domain=domain,
    )
    save(predictor, tmp_path / "saved")
    return tmp_path / "saved"


def test_it_is_saved_with_the_predictor(folder, networks, domain):
    loaded = load(folder).domain
    for network in (networks["squeezenet"][11], networks["alexnet"][3]):
        ours, theirs = domain.nearest(tokens([network])), loaded.nearest(tokens([network]))
        np.testing.assert_array_equal(ours[0], theirs[0])
        assert ours[1] == theirs[1]


@pytest.mark.parametrize(("name", "value"), [("scale", 0.0), ("scale", -1.0), ("reach", -1.0), ("point", np.nan)])
def test_impossible_numbers_are_refused(folder, name, value):
    weights = load_file(folder / "weights.safetensors")
    weights[f"domain.{name}"].view(-1)[0] = value
    save_file(weights, folder / "weights.safetensors")
    with pytest.raises(BadPredictor, match="domain"):
        load(folder)


def test_a_description_of_another_version_is_refused(folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["domain"]["features"] += 1
    (folder / "manifest.json").write_text(json.dumps(manifest))
    weights = load_file(folder / "weights.safetensors")
    for name in ("center", "scale", "point"):
        tensor = weights[f"domain.{name}"]
        weights[f"domain.{name}"] = torch.cat([tensor, torch.ones(*tensor.shape[:-1], 1)], -1)
    save_file(weights, folder / "weights.safetensors")
    with pytest.raises(BadPredictor, match="in another way than this version"):
        load(folder)


def test_fewer_names_than_points_are_refused(folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["domain"]["names"].pop()
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BadPredictor, match="found shape"):
        load(folder)
