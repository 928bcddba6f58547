"""Adapting to this machine for real: small networks, ONNX Runtime, times in the store."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from narformer import jobs
from narformer.attributes import Condition
from narformer.cli import app
from narformer.errors import BadPredictor, BadRecipe, UnknownName
from narformer.jobs import adapting
from narformer.measure import RUNTIMES
from narformer.network.cost import cost
from narformer.predictors import saved
from narformer.spaces.families import FAMILIES, TEN
from narformer.store import open_store

pytest.importorskip("onnxruntime", reason="narformer[measure] is not installed")

FEW = [f"nasbench201/{number}" for number in range(1, 11)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, tiny_predictor, squeezenets) -> str:
    """A predictor of SqueezeNets on a device that is very slow."""
    path = tmp_path_factory.mktemp("adapting") / "predictor"
    flops_M = np.array([cost(network).flops / 1e6 for network in squeezenets])
    predictor = tiny_predictor(flops_M, Condition(device="a slow device"))
    with torch.no_grad():
        predictor.model.rates.add_(5.0)
    saved.save(predictor, path)
    return str(path)


def test_probes_are_small_and_of_every_family():
    names = jobs.probes(2)
    assert len(set(names)) == len(names)
    families = [name.partition("/")[0] for name in names]
    assert list(dict.fromkeys(families)) == list(TEN)
    assert max(families.count(family) for family in TEN) == 2
    for name in names:
        family, _, number = name.partition("/")
        assert cost(FAMILIES[family].variant(int(number))).flops <= adapting.MOST_FLOPS


def test_every_family_with_several_probes_tells_the_error():
    names = [*(f"a/{number}" for number in range(10)), "b/0", "c/0", "c/4", *(f"d/{number}" for number in range(3))]
    told = [name for name, tells in zip(names, adapting._held_out(names), strict=True) if tells]
    assert told == ["a/4", "a/9", "c/4", "d/2"]


def test_it_measures_adapts_and_says_what_that_was_worth(folder, store, tmp_path, monkeypatch):
    monkeypatch.setattr(adapting, "probes", lambda each: FEW)
    phases = set()
    done = jobs.adapt(folder, tmp_path / "here", progress=lambda phase, *_: phases.add(phase))
    assert (done.probes, done.held_out, done.runtime) == (8, 2, "ort")
    assert phases == {"ort", "adapt"}
    assert done.after < 0.5 * done.before
    with open_store(str(store)) as opened:
        assert {m.name for m in opened.find()} == set(FEW)
    adapted = saved.load(tmp_path / "here")
    assert adapted.attributes[0].name == "latency_ort"
    assert str(adapted.attributes[0]).startswith("ONNX Runtime, ")
    assert adapted.attributes[0].condition.device == done.device.removesuffix(", float32")
    assert adapted.facts["adapted"]["after"] == pytest.approx(done.after)
    (answer,) = jobs.predict_network("squeezenet/9", str(tmp_path / "here"))
    assert answer.device == str(adapted.attributes[0])
    assert answer.attribute == "latency_ort"
    assert jobs.predict_network("squeezenet/9", folder)[0].device == "a slow device"


def test_too_few_probes_are_refused_and_nothing_is_saved(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(adapting, "probes", lambda each: FEW[:1])
    with pytest.raises(BadRecipe, match="found 1 probes, too few to hold some out"):
        jobs.adapt(folder, tmp_path / "here")
    assert not (tmp_path / "here").exists()


def test_networks_are_not_read_again_by_the_names_of_their_measurements(folder, tmp_path, monkeypatch):
    """The architecture that was measured is adapted to; the name of a measurement need not name a network."""
    measure, given = adapting.measure, []

    def measured(*_, **more):
        for number, m in enumerate(measure(FEW, ["ort"], jobs.Plan(repeats=1), store=more["store"])):
            yield replace(m, measurement=replace(m.measurement, name=f"nameless/{number}"))

    def adapted(predictor, networks, *_):
        given.extend(networks)
        return saved.load(Path(folder))

    monkeypatch.setattr(adapting, "measure", measured)
    monkeypatch.setattr(adapting, "adapt_to", adapted)
    jobs.adapt(folder, tmp_path / "here")
    assert given == [FAMILIES["nasbench201"].variant(number) for number in range(1, 11) if number % 5]


def test_what_can_be_known_before_is_refused_before_anything_is_measured(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(adapting, "measure", None)
    (tmp_path / "file").write_text("")
    with pytest.raises(BadRecipe, match="expected 'kernel-sum'"):
        jobs.adapt("nasbench201", tmp_path / "here")
    for out in (tmp_path, tmp_path / "file" / "here"):
        with pytest.raises(BadPredictor):
            jobs.adapt(folder, out)


def test_the_command_tells_it_in_words_and_in_json(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(adapting, "probes", lambda each: FEW)
    words = ["adapt", "--predictor", folder, "--out", str(tmp_path / "here"), "--device", "mine"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    said = result.stdout
    for text in ("8 probes, 2 more", "% before", "% after", f"--predictor {tmp_path / 'here'}"):
        assert text in said
    told = json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)
    assert told["device"].startswith("mine")
    assert Path(told["saved_to"]).is_dir()


def test_every_runtime_has_a_shipped_predictor_to_adapt():
    shipped = {entry.name: entry for entry in jobs.predictors()}
    found = {runtime: adapting._shipped(runtime) for runtime in RUNTIMES}
    assert found == {
        "ort": "latency_ort",
        "openvino": "latency_openvino-float32",
        "openvino-float32": "latency_openvino-float32",
    }
    for runtime, name in found.items():
        assert shipped[name].attributes[0].condition.runtime == RUNTIMES[runtime].title
    with pytest.raises(UnknownName, match="no runtime is called 'abacus'"):
        adapting._shipped("abacus")
