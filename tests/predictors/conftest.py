"""A tiny untrained predictor of every model."""

import numpy as np
import pytest

from narformer.attributes import Attribute
from narformer.cells.columns import Cells
from narformer.predictors.build import make_model, make_tokenizer
from narformer.predictors.neural import NeuralPredictor
from narformer.predictors.target import Target
from narformer.spaces.nasbench101 import VOCABULARY, NasBench101

OPTIONS = {
    "narformer": ({"length": 4}, {"heads": 2, "depths": (1, 1, 1, 1)}),
    "narformer-v2": ({"length": 4, "operation": "one-hot"}, {"width": 16, "blocks": 2, "groups": 2}),
    "relational": ({}, {"width": 8, "heads": 2, "layers": 1, "inner": 8, "members": 2}),
    "tnasp": ({"vertices": 7}, {"width": 16, "heads": 2, "key": 4, "layers": 1, "feed_forward": 16}),
}


def tiny_predictor(name, seed=1):
    tokenizer = make_tokenizer(name, OPTIONS[name][0], VOCABULARY)
    return NeuralPredictor(
        model=make_model(name, OPTIONS[name][1], tokenizer, seed),
        tokenizer=tokenizer,
        targets=(Target.fit(np.linspace(0.1, 0.9, 20) ** 2, "normal-scores", 100.0),),
        attributes=(Attribute.of("accuracy", "fraction", "of an untrained model"),),
        space="nasbench101",
        facts={"seed": seed},
    )


@pytest.fixture(params=list(OPTIONS))
def predictor(request):
    return tiny_predictor(request.param)


@pytest.fixture
def v2():
    return tiny_predictor("narformer-v2")


@pytest.fixture(scope="session")
def cells():
    space, rng = NasBench101(), np.random.default_rng(0)
    return Cells.of([space.parse("| 01"), *(space.sample(rng) for _ in range(20))], VOCABULARY)
