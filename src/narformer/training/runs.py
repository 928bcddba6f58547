"""Runs as they are stored: one JSON file each, found again by the recipe's hash and the seed."""

import math
import os
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from narformer.errors import BadFile
from narformer.measure import Machine, environment
from narformer.progress import Progress, silent
from narformer.training.evaluate import evaluate
from narformer.training.experiment import Trained
from narformer.training.recipe import NeuralRecipe, Recipe

__all__ = ["Run", "find", "keep", "read_run", "run_name", "scored", "stored", "write_whole"]

PHASES = ("pretraining", "gaussian_process", "self_evolution")  # of a training, timed separately


class Run(BaseModel):
    """One training, scored; or one measurement of the cost of predicting.

    n:              training networks
    scores:         of each attribute, as ``evaluate`` returns them; or milliseconds of a cost measurement
    validation_tau: best τ of the model on the validation networks during training
    saved_tau:      τ on them of the saved predictor, including the Gaussian process
    machine, threads, torch, precision: where and how the run was made; threads: those of torch
    trained_on:     data, labels, split, and numbers of rows
    self_evolution: its rounds, where the recipe has them
    times_ms:       the single times of a cost measurement, in the order they were taken
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    format: Literal[2] = 2
    system: str
    data: str
    n: int
    seed: int
    scores: dict[str, dict[str, float]]
    validation_tau: float | None = None
    saved_tau: float | None = None
    recipe: dict[str, Any]
    recipe_hash: str
    seconds_training: float
    seconds_pretraining: float = 0.0
    seconds_scoring: float
    machine: Machine
    threads: int
    torch: str
    precision: str
    date: str
    trained_on: dict[str, Any] | None = None
    self_evolution: tuple[dict[str, float], ...] | None = None
    times_ms: dict[str, tuple[float, ...]] | None = None

    @classmethod
    def here(cls, recipe: Recipe, seed: int, precision: str, **results: object) -> "Run":
        """A run on the present machine, today."""
        return cls.model_validate(
            {
                "system": recipe.system,
                "data": recipe.data.name,
                "n": recipe.data.train,
                "seed": seed,
                "recipe": recipe.model_dump(mode="json"),
                "recipe_hash": recipe.hash(),
                "machine": environment().machine,
                "threads": torch.get_num_threads(),
                "torch": torch.__version__,
                "precision": precision,
                "date": datetime.now(UTC).date().isoformat(),
                **results,
            }
        )

    @model_validator(mode="before")
    @classmethod
    def _of_format_1(cls, content: Any) -> Any:
        """Format 1 had one attribute, whose scores it kept without a name, and threads and torch within the machine."""
        if not isinstance(content, dict) or content.get("format") != 1:
            return content
        machine = dict(content["machine"])
        moved = {name: machine.pop(name) for name in ("threads", "torch", "precision")}
        scores = {content["recipe"]["data"].get("label") or content["data"]: content["scores"]}
        machine = {"model": "", "architecture": "", **machine}
        return {**content, **moved, "format": 2, "machine": machine, "scores": scores}

    @property
    def attribute_scores(self) -> dict[str, float]:
        """The scores of the first attribute: of the only one, in the papers' tables."""
        return next(iter(self.scores.values()))

    @property
    def where(self) -> str:
        """Machine, threads, torch and precision, for people."""
        threads = f"{self.threads} thread{'s' * (self.threads != 1)}"
        return f"{self.machine.cpu}, {self.machine.cores} cores, {threads}, torch {self.torch}, {self.precision}"


def scored(trained: Trained, progress: Progress = silent) -> Run:
    """The run of a training: its scores on the test rows, and the seconds of both. The facts get the scores."""
    recipe, facts = trained.recipe, trained.facts
    started = time.perf_counter()
    scores = evaluate(trained.predictor, trained.dataset, trained.split, progress)
    scoring = time.perf_counter() - started
    facts["scores"] = scores
    best = facts.get("best_validation_tau")
    precision = recipe.training.precision if isinstance(recipe, NeuralRecipe) else "float64"
    return Run.here(
        recipe,
        facts["seed"],
        precision,
        scores=scores,
        validation_tau=best if best is not None and math.isfinite(best) else None,
        saved_tau=None if facts["saved_validation_tau"] is None else round(facts["saved_validation_tau"], 6),
        seconds_training=round(facts["seconds"] + sum(facts.get(f"{phase}_seconds", 0.0) for phase in PHASES), 1),
        seconds_pretraining=round(facts.get("pretraining_seconds", 0.0), 1),
        seconds_scoring=round(scoring, 1),
        trained_on=facts["trained_on"],
        self_evolution=facts.get("self_evolution_rounds"),
    )


def run_name(recipe: Recipe, seed: int) -> str:
    """The name under which a run is stored, unique to recipe hash and seed."""
    return f"{recipe.system}_{recipe.data.name}_{recipe.data.train}_{recipe.hash()}_{seed}"


def find(results: Path, recipe: Recipe, seed: int) -> Run | None:
    """The stored run of this recipe and seed. Raises BadFile where its file is damaged or of another recipe."""
    paths = sorted((results / "runs").glob(f"*_{recipe.hash()}_{seed}.json"))
    return _read(paths[0], recipe) if paths else None


def stored(results: Path, recipe: Recipe) -> list[Run]:
    """All stored runs of this recipe, by seed. Raises BadFile as ``find`` does."""
    paths = (results / "runs").glob(f"*_{recipe.hash()}_*.json")
    return sorted((_read(path, recipe) for path in paths), key=lambda run: run.seed)


def keep(results: Path, recipe: Recipe, run: Run) -> Path:
    """Store a run in place of an older one of the same recipe and seed, atomically."""
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


def read_run(path: Path) -> Run:
    """The run in a file. Raises BadFile where it is damaged."""
    try:
        return Run.model_validate_json(path.read_bytes())
    except (ValidationError, KeyError, TypeError, AttributeError) as error:
        first = error.errors()[0] if isinstance(error, ValidationError) else {"loc": (), "msg": f"no run ({error!r})"}
        where = ".".join(map(str, first["loc"])) or "the file"
        raise BadFile(path, f"{where}: {first['msg']}", "a stored run", "Delete it and run the row again.") from None


def _read(path: Path, recipe: Recipe) -> Run:
    run = read_run(path)
    named: Sequence[object] = path.stem.rsplit("_", 2)[1:]
    if [run.recipe_hash, str(run.seed)] != named or run.recipe_hash != recipe.hash():
        raise BadFile(
            path,
            f"the run of recipe {run.recipe_hash}, seed {run.seed}",
            f"recipe {recipe.hash()} and the seed in its name",
            "Delete it and run the row again.",
        )
    return run
