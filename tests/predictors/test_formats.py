"""Every file format that a release wrote is still read: one tiny saved predictor per format number.

Run this file as a script to write the folder of the present format; older folders are never written again.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from narformer.attributes import Attribute
from narformer.predictors import NeuralPredictor, Target, load, save
from narformer.predictors.build import make_model, make_tokenizer
from narformer.predictors.saved import FORMAT
from narformer.spaces import SPACES

HERE = Path(__file__).parent
CELLS = ("conv3x3 conv1x1 maxpool3x3 | 01 02 03 14 24 34", "conv3x3 | 01 12", "conv1x1 conv1x1 | 01 02 13 23")


def predictions(folder: Path) -> list[float]:
    parse = SPACES["nasbench101"].parse
    return [float(value) for value in load(folder).predict([parse(cell) for cell in CELLS])[:, 0]]


@pytest.mark.parametrize("number", range(1, FORMAT + 1))
def test_a_predictor_of_this_format_is_read_and_predicts_as_it_did(number: int) -> None:
    folder = HERE / f"format_{number}"
    expected = json.loads((folder / "predictions.json").read_text())
    np.testing.assert_allclose(predictions(folder), expected, rtol=1e-5)


if __name__ == "__main__":
    space = SPACES["nasbench101"]
    tokenizer = make_tokenizer("tnasp", {"vertices": 7}, space.vocabulary)
    model = make_model(
        "tnasp", {"width": 8, "heads": 1, "key": 4, "layers": 1, "feed_forward": 8, "regressor": 4}, tokenizer
    )
    target = Target.fit(np.linspace(0.8, 0.95, 9), "normal-scores", 1.0)
    written = HERE / f"format_{FORMAT}"
    save(NeuralPredictor(model, tokenizer, target, Attribute.of("accuracy", "fraction"), space.name), written)
    (written / "predictions.json").write_text(json.dumps(predictions(written)) + "\n")
