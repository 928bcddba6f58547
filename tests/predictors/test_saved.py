"""Saving and loading changes nothing; what does not fit together is refused in one line."""

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from narformer.errors import BadPredictor
from narformer.predictors.manifest import LARGEST_MANIFEST
from narformer.predictors.saved import load, save
from narformer.predictors.target import Target


@pytest.fixture
def folder(v2, tmp_path):
    save(v2, tmp_path / "saved")
    return tmp_path / "saved"


def tokenizer(manifest):
    return manifest["predictor"]["tokenizer"]


def change(folder, edit):
    manifest = json.loads((folder / "manifest.json").read_text())
    edit(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest))


def refused(folder, said):
    with pytest.raises(BadPredictor, match=said) as caught:
        load(folder)
    assert "\n" not in str(caught.value)
    assert str(folder) in str(caught.value)


def test_saving_changes_nothing(predictor, cells, tmp_path):
    save(predictor, tmp_path / "saved")
    loaded = load(tmp_path / "saved")
    np.testing.assert_array_equal(loaded.predict(cells), predictor.predict(cells))
    assert loaded.tokenizer == predictor.tokenizer
    assert loaded.targets == predictor.targets
    assert loaded.attributes == predictor.attributes
    assert (loaded.space, loaded.precision, loaded.facts) == (predictor.space, predictor.precision, predictor.facts)
    assert loaded.model.config == predictor.model.config
    assert not loaded.model.training
    assert all(parameter.requires_grad for parameter in loaded.model.parameters())


def test_the_precision_is_saved(v2, tmp_path):
    v2.precision = torch.bfloat16
    save(v2, tmp_path / "saved")
    assert load(tmp_path / "saved").precision == torch.bfloat16


def test_only_json_and_safetensors_are_written(folder):
    assert sorted(path.name for path in folder.iterdir()) == ["manifest.json", "weights.safetensors"]
    assert sorted(path.name for path in folder.parent.iterdir()) == ["saved"]


def test_an_older_one_is_replaced(folder, predictor, cells):
    save(predictor, folder)
    np.testing.assert_array_equal(load(folder).predict(cells), predictor.predict(cells))


def test_a_failed_save_leaves_the_older_one(folder, v2, cells):
    before = v2.predict(cells)
    v2.facts = {"strange": object()}
    with pytest.raises(TypeError):
        save(v2, folder)
    np.testing.assert_array_equal(load(folder).predict(cells), before)
    assert sorted(path.name for path in folder.parent.iterdir()) == ["saved"]


def test_nothing_else_is_lost_by_saving(predictor, tmp_path):
    (tmp_path / "thesis.txt").write_text("years")
    with pytest.raises(BadPredictor, match=r"holds thesis\.txt"):
        save(predictor, tmp_path)
    with pytest.raises(BadPredictor, match="found a file at"):
        save(predictor, tmp_path / "thesis.txt" / "predictor")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_no_folder(tmp_path):
    refused(tmp_path / "absent", "no manifest.json")


def test_missing_weights(folder):
    (folder / "weights.safetensors").unlink()
    refused(folder, "not a readable safetensors file")


@pytest.mark.parametrize("keep", [0, 4, 100, 0.5, -1])
def test_truncated_weights(folder, keep):
    content = (folder / "weights.safetensors").read_bytes()
    (folder / "weights.safetensors").write_bytes(content[: int(keep * len(content)) if keep == 0.5 else keep])
    refused(folder, "not a readable safetensors file")


def test_a_missing_tensor(folder):
    tensors = load_file(folder / "weights.safetensors")
    del tensors["head.0.bias"]
    save_file(tensors, folder / "weights.safetensors")
    refused(folder, r"'head\.0\.bias': found shape None")


def test_a_tensor_too_many(folder):
    tensors = load_file(folder / "weights.safetensors") | {"more": torch.zeros(2)}
    save_file(tensors, folder / "weights.safetensors")
    refused(folder, r"'more': found shape \(2,\), expected None")


def test_a_tensor_of_another_shape(folder):
    tensors = load_file(folder / "weights.safetensors")
    tensors["head.0.bias"] = torch.zeros(3)
    save_file(tensors, folder / "weights.safetensors")
    refused(folder, r"'head\.0\.bias': found shape \(3,\), expected \(16,\)")


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda m: m.update(format=3), "format"),
        (lambda m: m.update(format="1"), "format"),
        (lambda m: m.pop("format"), "format"),
        (lambda m: m.update(colour="red"), "colour"),
        (lambda m: m["targets"][0].update(colour="red"), r"targets\.0\.colour"),
        (lambda m: m["attributes"][0].pop("unit"), r"attributes\.0\.unit"),
        (lambda m: m["targets"][0].update(transform="square"), r"targets\.0\.transform"),
        (lambda m: m["predictor"].update(precision="float8"), r"predictor\.precision"),
        (lambda m: m["predictor"]["model"].update(name="narformer-v3"), "Did you mean 'narformer-v2'"),
        (lambda m: m["predictor"]["model"].update(colour="red"), "no option 'colour'"),
        (lambda m: m["predictor"]["model"].update(width=32), "weights do not belong"),
        (lambda m: m["predictor"]["model"].update(width="wide"), "no model that can be built"),
        (lambda m: m["predictor"]["model"].update(groups=0), "no model that can be built"),
        (lambda m: m["predictor"]["model"].update(width=2**40), "no model that can be built|at most"),
        (lambda m: m["predictor"]["model"].update(blocks=10**9), "no model that can be built"),
        (lambda m: m["predictor"]["model"].update(features="wide"), "features: found 'wide'"),
        (lambda m: m["predictor"]["model"].update(targets=2), "targets: found 2"),
        (lambda m: m["predictor"]["model"].pop("name"), r"predictor\.model\.name"),
        (lambda m: m["predictor"]["model"].update(name=["tnasp"]), r"predictor\.model\.name"),
        (lambda m: tokenizer(m).update(name="narformer-v3"), "Did you mean"),
        (lambda m: tokenizer(m).update(length=5), "features: found 16; its tokenizer needs 20"),
        (lambda m: tokenizer(m).pop("vocabulary"), r"predictor\.tokenizer\.vocabulary"),
        (
            lambda m: tokenizer(m).update(vocabulary=[["input"], ["output"]]),
            r"predictor\.tokenizer\.vocabulary\.0",
        ),
        (lambda m: tokenizer(m).update(vocabulary="abcde"), r"predictor\.tokenizer\.vocabulary"),
        (
            lambda m: tokenizer(m).update(vocabulary=["input"] * 5),
            "vocabulary: found an operation twice",
        ),
        (lambda m: m["targets"][0].update(knots=[]), "knots: found an empty list"),
        (lambda m: m["targets"][0].update(knots=[[1, 1], [1, 2]]), "both must increase"),
        (lambda m: m["targets"][0].update(knots=[[1, 2], [2, 2]]), "both must increase"),
        (lambda m: m["targets"][0].update(knots=[[2, 1], [1, 2]]), "both must increase"),
        (lambda m: m["targets"][0].update(knots=[[1, 2, 3]]), r"targets\.0\.knots\.0"),
        (lambda m: m["targets"][0].update(knots=[[float("nan"), 2]]), r"targets\.0\.knots\.0\.0"),
        (lambda m: m["targets"][0].update(scale=0), r"targets\.0\.scale"),
        (lambda m: m["targets"][0].update(sd=0), r"targets\.0\.sd"),
        (lambda m: m["facts"].update(recipe=5), r"facts\.recipe"),
        (lambda m: m["facts"].update(recipe={"data": "x"}), r"facts\.recipe\.data"),
        (lambda m: m["facts"].update(trained_on="x"), r"facts\.trained_on"),
        (lambda m: m["facts"].update(trained_on={"train": "all"}), r"facts\.trained_on\.train"),
        (lambda m: m["facts"].update(scores={"accuracy": {"tau": "high"}}), r"facts\.scores\.accuracy\.tau"),
        (lambda m: m.update(facts=[]), "facts"),
        (lambda m: m["facts"].update(scores={"tau": 0.9}), r"facts\.scores\.tau"),
        (lambda m: m["predictor"].update(name="neurall"), "Did you mean 'neural'"),
        (lambda m: m["predictor"].update(colour="red"), r"predictor\.colour"),
        (lambda m: m["attributes"][0].update(better="larger"), r"attributes\.0\.better"),
        (lambda m: m["attributes"][0]["condition"].update(threads=-1), r"attributes\.0\.condition\.threads"),
        (lambda m: m["attributes"].pop(), "attributes"),
        (lambda m: m["attributes"].append(m["attributes"][0]), "1 targets and 1 calibrations for 2 attributes"),
        (lambda m: m["targets"].append(m["targets"][0]), "2 targets and 1 calibrations for 1 attributes"),
        (lambda m: m["calibrations"].pop(), "1 targets and 0 calibrations for 1 attributes"),
        (lambda m: m.update(domain={"vertices": 0, "edges": 1}), "domain"),
        (lambda m: m.update(domain={"names": ["a"], "features": 2**20}), "domain"),
    ],
)
def test_manifests_that_do_not_fit(folder, edit, said):
    change(folder, edit)
    refused(folder, said)


def test_more_facts_than_known_are_kept(folder):
    change(folder, lambda m: m["facts"].update(weather="rain", trained_on={"data": "mine", "hours": 3}))
    assert load(folder).facts == {"seed": 1, "weather": "rain", "trained_on": {"data": "mine", "hours": 3}}


def test_a_unit_may_be_any_text(folder, cells):
    before = load(folder).predict(cells)
    change(folder, lambda m: m["attributes"][0].update(unit="[/bold][red]%{0}"))
    assert load(folder).attributes[0].unit == "[/bold][red]%{0}"
    np.testing.assert_array_equal(load(folder).predict(cells), before)


def test_what_is_saved_can_be_loaded_however_many_labels(v2, tmp_path, cells):
    v2.targets = (Target.fit(np.random.default_rng(0).normal(size=21_180), "normal-scores", 1.0),)
    v2.facts = {"history": [{"epoch": e, "loss": 0.123456789012345678, "validation_tau": None} for e in range(6000)]}
    save(v2, tmp_path / "saved")
    loaded = load(tmp_path / "saved")
    assert loaded.targets == v2.targets
    assert loaded.facts == v2.facts
    np.testing.assert_array_equal(loaded.predict(cells), v2.predict(cells))


def test_a_manifest_fits_on_a_screen(folder):
    text = (folder / "manifest.json").read_text()
    assert len(text.splitlines()) < 60
    assert next(line for line in text.splitlines() if "knots" in line).endswith("]]}")


@pytest.mark.parametrize("facts", [{"recipe": 5}, {"note": "x" * LARGEST_MANIFEST}])
def test_what_could_not_be_loaded_is_not_saved(folder, v2, cells, facts):
    before = v2.predict(cells)
    v2.facts = facts
    with pytest.raises(BadPredictor):
        save(v2, folder)
    np.testing.assert_array_equal(load(folder).predict(cells), before)


def test_weights_that_could_not_be_loaded_are_not_saved(folder, v2, cells):
    before = v2.predict(cells)
    with torch.no_grad():
        v2.model.head[0].bias[0] = float("nan")
    with pytest.raises(BadPredictor, match=r"head\.0\.bias"):
        save(v2, folder)
    np.testing.assert_array_equal(load(folder).predict(cells), before)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"format": 1}',
        '{"format": 2}',
        "[" * 5000,
        '"\udcff"'.encode("utf-8", "surrogateescape"),
    ],
)
def test_manifests_that_are_none(folder, text):
    (folder / "manifest.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    refused(folder, "manifest.json")


def test_weights_that_are_not_finite_are_refused(folder):
    tensors = load_file(folder / "weights.safetensors")
    tensors["head.0.bias"][0] = float("nan")
    save_file(tensors, folder / "weights.safetensors")
    refused(folder, r"head\.0\.bias")


def test_a_pickle_is_not_opened(folder):
    class Trap:
        def __reduce__(self):
            return (shutil.rmtree, (str(folder),))

    torch.save({"weights": Trap()}, folder / "weights.safetensors")
    refused(folder, "not a readable safetensors file")
    assert folder.exists()
