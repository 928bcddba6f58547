"""Runs as they are stored: one JSON file each, found again by the recipe's hash and the seed."""

import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, ValidationError

from narformer.errors import BadFile
from narformer.training.recipe import AnyRecipe


class Machine(BaseModel):
    """Where a run was made. cores: logical processors of the machine; threads: those that torch used."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    cpu: str
    cores: int
    threads: int
    torch: str
    precision: str

    @classmethod
    def here(cls, precision: str) -> "Machine":
        """The present machine, for a run in this precision."""
        return cls(
            cpu=_cpu(),
            cores=os.cpu_count() or 1,
            threads=torch.get_num_threads(),
            torch=torch.__version__,
            precision=precision,
        )

    def __str__(self) -> str:
        threads = f"{self.threads} thread{'s' * (self.threads != 1)}"
        return f"{self.cpu}, {self.cores} cores, {threads}, torch {self.torch}, {self.precision}"


class Run(BaseModel):
    """One training, scored; or one measurement of cost.

    n:              training cells
    scores:         what ``evaluate`` returns, or milliseconds of a cost measurement
    validation_tau: best τ of the model on the validation cells during training
    saved_tau:      τ on them of all that is saved, the expert's opinion included
    self_evolution: its rounds, where the recipe has them
    times_ms:       the single times of a cost measurement, in the order they were taken
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    format: Literal[1] = 1
    system: str
    data: str
    n: int
    seed: int
    scores: dict[str, float]
    validation_tau: float | None = None
    saved_tau: float | None = None
    recipe: dict[str, Any]
    recipe_hash: str
    seconds_training: float
    seconds_scoring: float
    machine: Machine
    date: str
    self_evolution: tuple[dict[str, float], ...] | None = None
    times_ms: dict[str, tuple[float, ...]] | None = None


def run_name(recipe: AnyRecipe, seed: int) -> str:
    """The name under which a run is stored, unique to recipe hash and seed."""
    return f"{recipe.system}_{recipe.data.name}_{recipe.data.train}_{recipe.hash()}_{seed}"


def find(results: Path, recipe: AnyRecipe, seed: int) -> Run | None:
    """The stored run of this recipe and seed. Raises BadFile where its file is damaged or another recipe's."""
    paths = sorted((results / "runs").glob(f"*_{recipe.hash()}_{seed}.json"))
    return _read(paths[0], recipe) if paths else None


def stored(results: Path, recipe: AnyRecipe) -> list[Run]:
    """All stored runs of this recipe, by seed. Raises BadFile as ``find`` does."""
    paths = (results / "runs").glob(f"*_{recipe.hash()}_*.json")
    return sorted((_read(path, recipe) for path in paths), key=lambda run: run.seed)


def keep(results: Path, recipe: AnyRecipe, run: Run) -> Path:
    """Store a run in place of an older one of the same recipe and seed; replaced whole or not at all."""
    path = results / "runs" / f"{run_name(recipe, run.seed)}.json"
    for older in (results / "runs").glob(f"*_{run.recipe_hash}_{run.seed}.json"):
        if older != path:
            older.unlink()
    write_whole(path, run.model_dump_json(indent=1, exclude_none=True) + "\n")
    return path


def write_whole(path: Path, text: str) -> None:
    """Write a text file under a temporary name, then rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.partial")  # several runs may write at once
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def _read(path: Path, recipe: AnyRecipe) -> Run:
    try:
        run = Run.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise BadFile(path, f"{where}: {first['msg']}", "a stored run", "Delete it and run the row again.") from None
    named: Sequence[object] = path.stem.rsplit("_", 2)[1:]
    if [run.recipe_hash, str(run.seed)] != named or run.recipe_hash != recipe.hash():
        raise BadFile(
            path,
            f"the run of recipe {run.recipe_hash}, seed {run.seed}",
            f"recipe {recipe.hash()} and the seed in its name",
            "Delete it and run the row again.",
        )
    return run


def _cpu() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
