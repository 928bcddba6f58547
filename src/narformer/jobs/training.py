"""Training a recipe, from the file to the saved predictor and its scores."""

import json
from pathlib import Path
from typing import Any

from narformer.data.dataset import Dataset
from narformer.data.splits import save_split
from narformer.data.table_file import repeated
from narformer.errors import BadFile, BadRecipe
from narformer.papers.runs import write_whole
from narformer.predictors import saved
from narformer.training import experiment
from narformer.training.evaluate import evaluate as score
from narformer.training.loop import Progress, silent
from narformer.training.own_data import recipe_for_table
from narformer.training.recipe import Recipe

__all__ = ["train"]


def train(
    recipe: Path | None = None,
    seed: int = 0,
    out: Path | None = None,
    changes: dict[str, Any] | None = None,
    device: str = "cpu",
    progress: Progress = silent,
    data: Path | None = None,
    label: str | None = None,
) -> dict[str, Any]:
    """Train a recipe and save the predictor to ``out`` (runs/<system>-<hash>-s<seed>); the scores and the facts.

    ``data`` is a table of one's own in place of the recipe's data, and ``label`` the column of it to learn, the first
    by default; then a recipe is not needed. The rows of each part stand in ``split.json``. An interrupted run resumes
    from its folder; a finished one is not trained again.
    Raises BadRecipe where there is neither recipe nor table.
    """
    read, dataset = _recipe(recipe, changes, data, label)
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
    trained = experiment.train(read, seed, dataset, folder, progress=progress, device=device)
    scores = score(trained.predictor, trained.dataset, trained.split, progress)
    trained.predictor.facts |= {"scores": scores}
    saved.save(trained.predictor, folder / "predictor")
    save_split(trained.split, trained.dataset, folder / "split.json")
    facts = trained.facts | {"scores": scores, "predictor": str(folder / "predictor")}
    if read.data.file is not None:
        facts["table"] = {"rows": len(trained.dataset), "space": trained.dataset.space}
        facts["table"]["repeated"] = repeated(trained.dataset)
    write_whole(result, json.dumps(facts, indent=1) + "\n")
    (folder / "state.safetensors").unlink(missing_ok=True)
    return facts


def _recipe(
    recipe: Path | None, changes: dict[str, Any] | None, data: Path | None, label: str | None
) -> tuple[Recipe, Dataset | None]:
    if data is not None:
        return recipe_for_table(data, label, recipe, changes)
    if recipe is None:
        raise BadRecipe("nothing to train on: give a recipe, or a table of your own with --data")
    if label is not None:
        raise BadRecipe("--label names a column of the table given with --data; without one: --set data.label=NAME")
    return Recipe.read(recipe, changes), None
