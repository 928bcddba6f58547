"""Every file format that a release wrote is still read: tiny saved predictors of every format number.

Run this file as a script to write the folders of the present format; older folders are never written again.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from narformer.attributes import Attribute, Condition
from narformer.cells import Cells
from narformer.predictors import PREDICTORS, NeuralPredictor, Predictor, Target, Task
from narformer.predictors.build import make_model, make_tokenizer
from narformer.predictors.gaussian_process import GaussianProcess
from narformer.predictors.manifest import read_manifest
from narformer.predictors.saved import FORMAT, load, save
from narformer.spaces import SPACES
from narformer.spaces.families import FAMILIES

HERE = Path(__file__).parent
CELLS = ("conv3x3 conv1x1 maxpool3x3 | 01 02 03 14 24 34", "conv3x3 | 01 12", "conv1x1 conv1x1 | 01 02 13 23")
NETWORKS = (("squeezenet", 3), ("squeezenet", 40), ("alexnet", 0))
FOLDERS = [HERE / "format_1", *(HERE / f"format_{FORMAT}" / name for name in PREDICTORS)]


def predictions(folder: Path) -> list[list[float]]:
    """Of three cells or networks: values, and where there are any the bounds of their intervals, of every attribute."""
    predictor = load(folder)
    parse = SPACES["nasbench101"].parse
    asked = [FAMILIES[name].variant(n) for name, n in NETWORKS] if predictor.reads_networks else list(map(parse, CELLS))
    answer = predictor.ask(asked)
    bounds = [x for x in (answer.low_NT, answer.high_NT) if np.isfinite(x).all()]
    return [[float(value) for value in row] for row in np.concatenate([answer.value_NT, *bounds], axis=1)]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: str(folder.relative_to(HERE)))
def test_a_predictor_of_this_format_is_read_and_predicts_as_it_did(folder: Path) -> None:
    expected = json.loads((folder / "predictions.json").read_text())
    np.testing.assert_allclose(predictions(folder), np.reshape(expected, (3, -1)), rtol=1e-6)


def test_every_kind_of_predictor_has_a_folder_of_the_present_format() -> None:
    folders = HERE / f"format_{FORMAT}"
    assert {path.name for path in folders.iterdir()} == set(PREDICTORS)
    for name in PREDICTORS:
        assert json.loads((folders / name / "manifest.json").read_text())["format"] == FORMAT
        assert read_manifest(folders / name).predictor.name == name


def test_the_sentence_of_format_1_becomes_a_condition(tmp_path: Path) -> None:
    content = json.loads((HERE / "format_1" / "manifest.json").read_text())
    content["attribute"] = {
        "name": "latency_ort",
        "unit": "ms",
        "note": "ONNX Runtime, Intel Xeon Processor, 2 cores, float32, 1 thread, batch 1",
    }
    content["facts"] = {"largest": {"vertices": 7, "edges": 9}, "scores": {"tau": 0.5}}
    (tmp_path / "weights.safetensors").write_bytes((HERE / "format_1" / "weights.safetensors").read_bytes())
    (tmp_path / "manifest.json").write_text(json.dumps(content))
    condition = Condition("ONNX Runtime", "", "Intel Xeon Processor, 2 cores", "", 1, 1, "float32")
    found = load(tmp_path)
    assert found.attributes == (Attribute("latency_ort", "ms", "lower", True, True, condition),)
    assert str(found.attributes[0]) == content["attribute"]["note"]
    assert (found.domain.vertices, found.domain.edges) == (7, 9)
    assert found.facts == {"scores": {"latency_ort": {"tau": 0.5}}}
    content["attribute"]["note"] = "as their owner says"
    (tmp_path / "manifest.json").write_text(json.dumps(content))
    assert load(tmp_path).attributes[0] == Attribute.of("latency_ort", "ms", "as their owner says")


def _neural() -> NeuralPredictor:
    """A model of a few weights with a Gaussian process for the first of two attributes."""
    space = SPACES["nasbench101"]
    tokenizer = make_tokenizer("tnasp", {"vertices": 7}, space.vocabulary)
    sizes = {"width": 8, "heads": 1, "key": 4, "layers": 1, "feed_forward": 8, "regressor": 4}
    rng = np.random.default_rng(0)
    cells = Cells.of([space.sample(rng) for _ in range(12)], space.vocabulary)
    process = GaussianProcess.fit(cells, rng.normal(size=12), cells, seed=0, steps=3, networks=1)
    condition = Condition("ONNX Runtime", "1.2", "a machine", "", 1, 1, "float32")
    return NeuralPredictor(
        make_model("tnasp", sizes, tokenizer, attributes=2),
        tokenizer,
        processes=(process, None),
        attributes=(Attribute.of("accuracy", "fraction"), Attribute.of("latency", "ms", condition=condition)),
        space=space.name,
        targets=(Target.fit(np.linspace(0.8, 0.95, 9), "normal-scores", 1.0), Target.fit(np.arange(1.0, 9), "log", 1)),
    )


def _fitted(name: str) -> Predictor:
    """The fitted predictor after a task of two attributes, of which one has a gap."""
    rng, space = np.random.default_rng(0), SPACES["nasbench101"]
    if name == "gaussian-process":
        networks, of = Cells.of([space.sample(rng) for _ in range(36)], space.vocabulary), space.name
        known, others, options = networks.take(slice(24)), networks.take(slice(24, None)), {"steps": 3, "networks": 1}
    else:
        networks, of = [FAMILIES["alexnet"].variant(number) for number in range(15)], "networks"
        known, others, options = networks[:3], networks[3:], {"trees": 1} if name == "kernel-forest" else {}
    label_MT = rng.uniform(1, 9, (len(networks), 2))
    label_MT[2, 1] = np.nan
    task = Task(
        attributes=(Attribute.of("latency", "ms"), Attribute.of("energy", "mJ")),
        space=of,
        source="labels drawn by chance",
        training=known,
        label_MT=label_MT[:-12],
        validation=others,
        label_VT=label_MT[-12:],
        pool=networks,
        judged_V=np.arange(12),
        seed=0,
    )
    predictor = PREDICTORS[name].fit(task, PREDICTORS[name].Options(**options))
    predictor.calibrate(predictor.opinions(others), label_MT[-12:])
    return predictor


if __name__ == "__main__":
    for name in PREDICTORS:
        written = HERE / f"format_{FORMAT}" / name
        shutil.rmtree(written, ignore_errors=True)
        save(_neural() if name == "neural" else _fitted(name), written)
        (written / "predictions.json").write_text(json.dumps(predictions(written)) + "\n")
