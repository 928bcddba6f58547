"""A store of its own for every test, runtimes that need no time, and a predictor that has learned next to nothing."""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tiny_recipes import NETWORKS

from narformer.attributes import Attribute, Condition
from narformer.data.dataset import Dataset
from narformer.jobs import measuring
from narformer.measure import Runtime
from narformer.network import Architecture
from narformer.predictors.neural import NeuralPredictor
from narformer.spaces.families import FAMILIES
from narformer.training.experiment import train
from narformer.training.recipe import Recipe


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The default store of this test."""
    path = tmp_path / "measured" / "store.sqlite"
    path.parent.mkdir()
    monkeypatch.setenv("NARFORMER_STORE", str(path))
    return path


class Quick(Runtime):
    """Runs nothing, and says what it did."""

    runtime, title = "quick", "Quick"
    log: list[str] = []  # noqa: RUF012 - emptied by the fixture

    @staticmethod
    def library() -> ModuleType:
        return pytest

    def _load(self, library: Any, net: Any, rng: Any) -> str:
        self.log.append(f"load {net.name}")
        return "float32"

    def run(self) -> None:
        self.log.append(f"run {self.name}")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The log of a runtime called "quick"."""
    monkeypatch.setitem(measuring.RUNTIMES, "quick", Quick)
    Quick.log.clear()
    yield Quick.log
    Quick.log.clear()


@pytest.fixture(scope="session")
def squeezenets() -> list[Architecture]:
    """Forty of them."""
    return [FAMILIES["squeezenet"].variant(number) for number in range(40)]


@pytest.fixture(scope="session")
def tiny_predictor(squeezenets: list[Architecture]) -> Callable[[NDArray[np.float64], Condition], NeuralPredictor]:
    """A predictor of such latencies of the SqueezeNets on a device, after three epochs."""

    def make(latency_M: NDArray[np.float64], condition: Condition) -> NeuralPredictor:
        dataset = Dataset(
            name="few",
            space="families",
            architectures=squeezenets,
            labels={"latency": latency_M},
            attributes={"latency": Attribute.of("latency", "ms", condition=condition)},
            train_labels=("latency",),
            test_labels=("latency",),
        )
        predictor = train(Recipe.of(NETWORKS, "here"), 0, dataset).predictor
        assert isinstance(predictor, NeuralPredictor)
        return predictor

    return make
