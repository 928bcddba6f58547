"""Made-up data sets under the names of real ones, and made-up runs."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from narformer.attributes import Attribute
from narformer.data.dataset import Dataset, PaperRows
from narformer.data.nnlqp import official_split
from narformer.measure import Machine
from narformer.network.cost import cost
from narformer.spaces.families import FAMILIES
from narformer.spaces.nasbench201 import from_arch_strings
from narformer.training.recipe import Recipe
from narformer.training.runs import Run, keep

OPERATIONS = ("nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3", "skip_connect", "none")
TEMPLATE = "|{}~0|+|{}~0|{}~1|+|{}~0|{}~1|{}~2|"


@pytest.fixture(scope="session")
def benchmark_called() -> Callable[[str], ModuleType]:
    """A script of the folder benchmarks as a module; each call makes another one."""

    def load(name: str) -> ModuleType:
        path = Path(__file__).resolve().parents[2] / "benchmarks" / f"{name}.py"
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture(scope="session")
def made_up() -> Dataset:
    """400 random cells whose accuracy grows with their 3x3 convolutions."""
    rng = np.random.default_rng(0)
    op_M6 = rng.integers(0, len(OPERATIONS), (400, 6))
    accuracy_M = 60.0 + 5 * (op_M6 == 1).sum(axis=1) + rng.normal(0, 0.5, len(op_M6))
    names = ("cifar10_valid", "cifar10_test_nb201")
    return Dataset(
        name="nasbench201",
        space="nasbench201",
        architectures=from_arch_strings([TEMPLATE.format(*(OPERATIONS[o] for o in ops)) for ops in op_M6]),
        labels={name: accuracy_M + rng.normal(0, 0.1, len(op_M6)) for name in names},
        attributes={name: Attribute.of(name, "%") for name in names},
        train_labels=(names[0],),
        test_labels=(names[1],),
        paper=PaperRows(),
    )


@pytest.fixture(scope="session")
def made_up_networks() -> Dataset:
    """Forty AlexNets and forty SqueezeNets whose latency is a straight line in their FLOPs and memory access."""
    families = ("alexnet", "squeezenet")
    networks = [FAMILIES[family].variant(number) for family in families for number in range(40)]
    costs = [cost(network) for network in networks]
    family_M = np.repeat(families, 40)
    return Dataset(
        name="ten-families",
        space="families",
        architectures=networks,
        labels={"latency_ort": np.array([c.flops / 1e9 + c.memory_access / 1e7 + 1 for c in costs])},
        attributes={"latency_ort": Attribute.of("latency_ort", "ms")},
        train_labels=("latency_ort",),
        test_labels=("latency_ort",),
        official=official_split(family_M.tolist(), ["test" if row % 10 == 9 else "train" for row in range(80)]),
        family_M=family_M,
    )


@pytest.fixture
def pretend():
    """Store a run with these scores as if it had been made."""

    def store(results: Path, recipe: Recipe, seed: int, **scores: float) -> Run:
        run = Run(
            system=recipe.system,
            data=recipe.data.name,
            n=recipe.data.train,
            seed=seed,
            scores={"label": scores},
            recipe=recipe.model_dump(mode="json"),
            recipe_hash=recipe.hash(),
            seconds_training=10.0 * (seed + 1),
            seconds_scoring=1.0,
            machine=Machine(cpu="An Abacus", model="", architecture="wood", cores=10),
            threads=1,
            torch="2.13.0",
            precision="float32",
            date="2026-01-01",
        )
        keep(results, recipe, run)
        return run

    return store
