"""Saving and loading changes nothing; what does not fit together is refused in one line."""

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from narformer.errors import BadPredictor
from narformer.predictors.saved import load, save


@pytest.fixture
def folder(v2, tmp_path):
    save(v2, tmp_path / "saved")
    return tmp_path / "saved"


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
    assert loaded.target == predictor.target
    assert loaded.attribute == predictor.attribute
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
        (lambda m: m.update(format=2), "format"),
        (lambda m: m.update(format="1"), "format"),
        (lambda m: m.pop("format"), "format"),
        (lambda m: m.update(colour="red"), "colour"),
        (lambda m: m["target"].update(colour="red"), "target.colour"),
        (lambda m: m["attribute"].pop("unit"), "attribute.unit"),
        (lambda m: m["target"].update(transform="square"), "target.transform"),
        (lambda m: m.update(precision="float8"), "precision"),
        (lambda m: m["model"].update(name="narformer-v3"), "Did you mean 'narformer-v2'"),
        (lambda m: m["model"].update(colour="red"), "no option 'colour'"),
        (lambda m: m["model"].update(width=32), "weights do not belong"),
        (lambda m: m["model"].update(width="wide"), "no model that can be built"),
        (lambda m: m["model"].update(groups=0), "no model that can be built"),
        (lambda m: m["model"].update(width=2**40), "no model that can be built|at most"),
        (lambda m: m["model"].pop("name"), "no model that can be built"),
        (lambda m: m["tokenizer"].update(name="narformer-v3"), "Did you mean"),
        (lambda m: m["tokenizer"].update(length=5), "weights do not belong"),
        (lambda m: m["tokenizer"].pop("vocabulary"), "no model that can be built"),
    ],
)
def test_manifests_that_do_not_fit(folder, edit, said):
    change(folder, edit)
    refused(folder, said)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"format": 1}', "[" * 5000, '"\udcff"'.encode("utf-8", "surrogateescape")]
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
