"""A small labelled data set and a recipe that trains in a fraction of a second."""

import copy

import numpy as np
import pytest

from narformer.attributes import Attribute
from narformer.data.dataset import Dataset
from narformer.spaces.nasbench201 import NasBench201
from narformer.training.recipe import Recipe

CONTENT = {
    "system": "tiny",
    "data": {"name": "toy", "split": "random", "train": 40, "split_seed": 1},
    "tokenizer": {"name": "narformer-v2", "length": 4},
    "model": {"name": "narformer-v2", "width": 16, "blocks": 2, "groups": 2, "dropout": 0.1, "head": "linear"},
    "target": {"transform": "standard"},
    "loss": {"regression": "mse", "ranking": 0.1, "consistency": 0.5},
    "augmentation": {"orderings": "first"},
    "optimiser": {"learning_rate": 3e-3, "ema": 0.9},
    "training": {"epochs": 5, "batch": 16, "selection": "best"},
}


@pytest.fixture
def content():
    return copy.deepcopy(CONTENT)


@pytest.fixture
def recipe(content):
    return Recipe.of(content, "tiny.toml")


def toy(labels=None, test=None):
    """320 NAS-Bench-201 cells; their label counts 3x3 convolutions, with a little noise."""
    rng = np.random.default_rng(0)
    cells = NasBench201().enumerate().take(rng.choice(15625, 320, replace=False))
    made = (cells.kind_MN == 2).sum(1) / 10 + rng.normal(0, 0.01, 320) + 0.2
    labels = made if labels is None else labels
    return Dataset(
        name="toy",
        space="nasbench201",
        architectures=cells,
        labels={"valid": labels, "test": made if test is None else test},
        attributes={name: Attribute.of(name, "fraction") for name in ("valid", "test")},
        train_labels=("valid",),
        test_labels=("test",),
    )


@pytest.fixture
def dataset():
    return toy()


@pytest.fixture
def make_dataset():
    return toy
