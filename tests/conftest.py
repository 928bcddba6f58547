"""Fixtures every test may use. Tests marked ``data`` need the benchmark files that NARFORMER_DATA names."""

import copy
import os
from pathlib import Path

import numpy as np
import pytest
from tiny_recipes import CELLS, NETWORKS

from narformer.attributes import Attribute
from narformer.data.dataset import Dataset
from narformer.network import cost
from narformer.spaces import SPACES
from narformer.spaces.families import FAMILIES

BESIDE_THE_CLONE = Path(__file__).resolve().parents[1].parent / "shared" / "data"


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder with the benchmark files; the test is skipped, and says so, where there is none."""
    folder = Path(os.environ.get("NARFORMER_DATA", BESIDE_THE_CLONE))
    if not (folder / "nasbench201.parquet").exists():
        pytest.skip(f"no benchmark files in {folder}: set NARFORMER_DATA")
    return folder


@pytest.fixture
def tiny():
    """Recipes that train in about a second, "cells" and "networks", as a recipe file has them."""
    return {"cells": copy.deepcopy(CELLS), "networks": copy.deepcopy(NETWORKS)}


@pytest.fixture(scope="session")
def toy_cells():
    """200 NAS-Bench-201 cells; accuracy grows with their 3x3 convolutions, latency with 1x1; some labels are absent."""
    rng = np.random.default_rng(0)
    cells = SPACES["nasbench201"].enumerate().take(rng.choice(15625, 200, replace=False))
    accuracy_M = 60 + 5 * (cells.kind_MN == 2).sum(axis=1) + rng.normal(0, 0.3, 200)
    latency_M = 2 + (cells.kind_MN == 1).sum(axis=1) + rng.uniform(0, 0.1, 200)
    accuracy_M[::9], latency_M[4::7] = np.nan, np.nan
    attributes = {"accuracy": Attribute.of("accuracy", "%"), "latency": Attribute.of("latency", "ms")}
    labels = {"accuracy": accuracy_M, "latency": latency_M}
    return Dataset("toy", "nasbench201", cells, labels, attributes, ("accuracy",), ("accuracy",))


@pytest.fixture(scope="session")
def toy_networks():
    """Forty AlexNets and SqueezeNets: latency grows with FLOPs, memory with activations; some labels are absent."""
    networks = [FAMILIES[family].variant(number) for number in range(20) for family in ("alexnet", "squeezenet")]
    costs = [cost(network) for network in networks]
    labels = {
        "latency": np.array([c.flops / 1e9 + 0.5 for c in costs]),
        "memory": np.array([c.activation_bytes / 1e6 + 1 for c in costs]),
    }
    labels["latency"][::9], labels["memory"][4::7] = np.nan, np.nan
    attributes = {"latency": Attribute.of("latency", "ms"), "memory": Attribute.of("memory", "MB")}
    return Dataset("few", "networks", networks, labels, attributes, ("latency",), ("latency",))
