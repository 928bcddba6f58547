"""Training a recipe, from the file to the saved predictor and its scores."""

import json
from pathlib import Path
from typing import Any

from narformer.errors import BadFile
from narformer.papers.runs import write_whole
from narformer.predictors import saved
from narformer.training import experiment
from narformer.training.evaluate import evaluate as score
from narformer.training.loop import Progress, silent
from narformer.training.recipe import Recipe

__all__ = ["train"]


def train(
    recipe: Path,
    seed: int = 0,
    out: Path | None = None,
    changes: dict[str, Any] | None = None,
    device: str = "cpu",
    progress: Progress = silent,
) -> dict[str, Any]:
    """Train a recipe and save the predictor to ``out`` (runs/<system>-<hash>-s<seed>); the scores and the facts.

    An interrupted run resumes from its folder; a finished one is not trained again.
    """
    read = Recipe.read(recipe, changes)
    folder = out or Path("runs") / f"{read.system}-{read.hash()}-s{seed}"
    if folder.exists() and not folder.is_dir():
        raise BadFile(folder, "a file", "a folder for the run", "Choose another --out.")
    result = folder / "result.json"
    if result.exists() and (folder / "predictor").exists():
        facts: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
        if (facts.get("recipe_hash"), facts.get("seed")) != (read.hash(), seed):
            raise BadFile(
                result, f"the result of recipe {facts.get('recipe_hash')}", read.hash(), "Choose another --out."
            )
        return facts
    trained = experiment.train(read, seed, folder=folder, progress=progress, device=device)
    scores = score(trained.predictor, trained.dataset, trained.split, read.data.test_label, read.data.label, progress)
    trained.predictor.facts |= {"scores": scores}
    saved.save(trained.predictor, folder / "predictor")
    facts = trained.facts | {"scores": scores, "predictor": str(folder / "predictor")}
    write_whole(result, json.dumps(facts, indent=1) + "\n")
    (folder / "state.safetensors").unlink(missing_ok=True)
    return facts
