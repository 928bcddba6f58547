"""The proof of the house: a predictor, an attribute, a space and a runtime are one file and one entry of a table each.

Every test adds an entry to one table of the package, and goes from training to the command line with it.
"""

import json

import numpy as np
import pytest
from scipy.stats import kendalltau

from narformer import measure, spaces
from narformer.measure import Measurement
from narformer.network import cost
from narformer.predictors import PREDICTORS
from narformer.spaces.families import FAMILIES
from narformer.store import open_store


def test_a_predictor_is_one_file_and_its_entry(addition, run, monkeypatch, tmp_path):
    nearest, chains = addition("nearest_predictor"), addition("chain_space")
    monkeypatch.setitem(PREDICTORS, "nearest", nearest.NearestPredictor)
    monkeypatch.setitem(spaces.SPACES, "chains", chains.Chains())
    texts = chains.table(tmp_path / "chains.csv")
    recipe = 'system = "nearest"\n[predictor]\nname = "nearest"\npower = 1\n'
    (tmp_path / "nearest.toml").write_text(recipe)
    table = ["--data", tmp_path / "chains.csv", "--label", "worth", "--label", "error"]
    learned = json.loads(run("train", tmp_path / "nearest.toml", *table, "--out", tmp_path / "run", "--json"))
    assert learned["scores"]["worth"]["tau"] > 0.5
    assert set(learned["scores"]) == {"worth", "error"}
    answer = json.loads(run("predict", "chains", "--predictor", tmp_path / "run", "--json"))
    assert answer["scored"] == len(texts)
    assert answer["ranked"][0]["text"].count("a") >= 4
    assert answer["confidence"] == 0.9
    assert [other["attribute"] for other in answer["ranked"][0]["also"]] == ["error"]
    scores = json.loads(run("evaluate", tmp_path / "run", "--json"))
    assert scores["worth"]["tau"] == pytest.approx(learned["scores"]["worth"]["tau"])


def test_an_attribute_is_a_column_and_a_quantity(run, tmp_path):
    """Memory: as the column of a table, and as what a store holds; printed in its own unit by both."""
    networks = [(family, number) for number in range(22) for family in ("squeezenet", "alexnet")]
    peak = {pair: cost(FAMILIES[pair[0]].variant(pair[1])).activation_bytes / 1e6 for pair in networks}
    rows = "\n".join(f"{family}/{number},{value:.3f}" for (family, number), value in peak.items())
    (tmp_path / "memory.csv").write_text(f"architecture,peak memory (MB)\n{rows}\n")
    few = ["--set", "training.epochs=8", "--set", "model.members=1", "--set", "model.width=8"]
    out = run("train", "--data", tmp_path / "memory.csv", *few, "--out", tmp_path / "table")
    assert "mean absolute error of peak memory (MB) on them" in out
    asked = ["predict", "squeezenet/30", "--json", "--predictor"]
    (answer,) = json.loads(run(*asked, tmp_path / "table"))
    assert (answer["attribute"], answer["unit"], answer["better"]) == ("peak memory (MB)", "MB", "lower")
    assert answer["layers"] == []  # a peak does not add up over layers
    with open_store(str(tmp_path / "store.sqlite")) as store:
        for (family, number), value in peak.items():
            store.add(*measured(FAMILIES[family].variant(number), f"{family}/{number}", "memory", "MB", value))
    run("train", "--store", tmp_path / "store.sqlite", "--attribute", "memory", *few, "--out", tmp_path / "stored")
    (answer,) = json.loads(run(*asked, tmp_path / "stored"))
    assert (answer["attribute"], answer["unit"]) == ("memory", "MB")
    true = cost(FAMILIES["squeezenet"].variant(30)).activation_bytes / 1e8
    assert answer["value"] == pytest.approx(true, rel=0.7)  # of eight epochs: its order of magnitude
    assert "a desk" in answer["device"]


def measured(network, name, quantity, unit, value):
    """A measurement, and its network."""
    from narformer.network import fingerprint

    return (
        Measurement(
            fingerprint=fingerprint(network),
            name=name,
            device="a desk, float32",
            runtime="ort",
            threads=1,
            batch=1,
            dtype="float32",
            quantity=quantity,
            unit=unit,
            times_ns=(value / 100,),
            warmup_ns=(),
            rounds=(1,),
            others=None,
            date="2026-01-01T00:00:00+00:00",
            environment=measure.environment(),
        ),
        network,
    )


def test_a_space_is_one_file_and_its_entry(addition, run, monkeypatch, tmp_path):
    chains = addition("chain_space")
    monkeypatch.setitem(spaces.SPACES, "chains", chains.Chains())
    texts = chains.table(tmp_path / "chains.csv")
    few = ["--set", "training.epochs=15", "--set", "pretraining.steps=20", "--set", "model.members=1"]
    small = ["--set", "model.width=12", "--set", "model.heads=2", "--set", "model.inner=8"]
    out = run("train", "--data", tmp_path / "chains.csv", *few, *small, "--out", tmp_path / "run")
    assert f"{len(texts)} networks of chains" in out
    answer = json.loads(run("predict", ">abab<", ">bb<", ">aaaaaa<", "--predictor", tmp_path / "run", "--json"))
    assert [entry["text"] for entry in answer["ranked"]] == [">aaaaaa<", ">abab<", ">bb<"]
    everything = json.loads(run("predict", "chains", "--predictor", tmp_path / "run", "--json"))["ranked"]
    true = [chains.worth(entry["text"]) for entry in everything]
    assert kendalltau([entry["value"] for entry in everything], true).statistic > 0.8


def test_a_runtime_is_one_file_and_its_entry(addition, run, monkeypatch, tmp_path):
    """Measured on it, kept, learned from the store, asked: the circle closes."""
    abacus = addition("abacus_runtime")
    monkeypatch.setitem(measure.RUNTIMES, "abacus", abacus.Abacus)
    nets = [f"{family}/{number}" for number in range(16) for family in ("squeezenet", "alexnet")]
    out = run("measure", *nets, "--runtime", "abacus", "--repeats", "3", "--rounds", "1", "--warmup", "0")
    assert "abacus float32" in out
    place = tmp_path / "store.sqlite"
    (tmp_path / "line.toml").write_text('system = "flops"\n[predictor]\nname = "cost-line"\n')
    words = ["--store", place, "--where", "runtime=abacus", "--out", tmp_path / "run"]
    run("train", tmp_path / "line.toml", *words)
    (answer,) = json.loads(run("predict", "alexnet/40", "--predictor", tmp_path / "run", "--json"))
    true = 0.02 + cost(FAMILIES["alexnet"].variant(40)).flops / 1e10
    assert answer["value"] == pytest.approx(true, rel=0.25)
    assert answer["device"].startswith("Abacus, ")
    assert (answer["unit"], answer["in_domain"]) == ("ms", True)
    listed = run("predict", place, "--predictor", tmp_path / "run").splitlines()
    assert len(listed) == len(nets)
    assert np.isfinite([float(line.split("\t")[1]) for line in listed]).all()
