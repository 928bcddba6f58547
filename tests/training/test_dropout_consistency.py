"""R-Drop: a network's answers under two dropouts are pulled together; where there is no dropout they are one."""

import pytest
import torch

from narformer.training.experiment import train
from narformer.training.recipe import Recipe


@pytest.fixture
def weights(content, dataset):
    def train_with(dropout, consistency):
        content["model"]["dropout"] = dropout
        content["loss"] = {"regression": "mse", "consistency": consistency}
        content["augmentation"] = {}
        return train(Recipe.of(content, "here"), 0, dataset).predictor.model.state_dict()

    return train_with


def test_without_dropout_there_is_nothing_to_pull(weights):
    torch.testing.assert_close(weights(0.0, 0.0), weights(0.0, 5.0), rtol=1e-3, atol=1e-4)


def test_with_dropout_there_is(weights):
    plain, pulled = weights(0.3, 0.0), weights(0.3, 5.0)
    assert max(float((plain[name] - pulled[name]).abs().max()) for name in plain) > 1e-2
