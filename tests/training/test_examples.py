"""The recipes of examples/ for other spaces: a recipe is all that our predictor needs. Here with a few epochs."""

from pathlib import Path

import numpy as np
import pytest

from narformer.jobs import ask, load_predictor, train

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
FEW = {
    "training.epochs": 3,
    "gaussian_process.steps": 5,
    "gaussian_process.networks": 2,
    "model.members": 2,
    "data.train": 60,
    "data.validation": 40,
}

CELL = (
    "[('none', 0), ('dil_conv_5x5', 0), ('sep_conv_5x5', 0), ('sep_conv_3x3', 1), "
    "('sep_conv_3x3', 1), ('dil_conv_5x5', 2), ('sep_conv_5x5', 3), ('skip_connect', 4)]"
)


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.parametrize(
    ("recipe", "rows", "changes", "text"),
    [
        ("darts.toml", 900, {"pretraining.steps": 3}, f"Genotype(normal={CELL}, reduce={CELL})"),
        ("ofa_mbv3.toml", 2273, {}, "k5e4 k7e3 | k3e4 k3e6 k3e3 | k5e4 k5e3 | k7e3 k3e6 k3e6 k3e6 | k5e4 k5e3 k5e4"),
    ],
)
def test_a_recipe_trains_and_predicts(recipe, rows, changes, text, data_folder, monkeypatch, tmp_path):
    monkeypatch.setenv("NARFORMER_DATA", str(data_folder))
    learned = train(EXAMPLES / recipe, 0, tmp_path / "run", FEW | changes)
    assert learned.run.trained_on["test"] == rows
    assert learned.run.attribute_scores["tau"] > 0.1
    folder = str(learned.predictor)
    assert len(load_predictor(folder).facts["shares"]) == 2
    (asked,) = ask([text], [folder])
    answer = asked.answers[folder]
    assert np.isfinite(answer.value_NT).all()
    assert (answer.low_NT <= answer.value_NT).all()
    assert (answer.value_NT <= answer.high_NT).all()
