"""The recipe for a table of one's own: the section [data] that splits it, and a model where no recipe is given."""

import tomllib
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from narformer.cells.columns import Cells
from narformer.data.dataset import Dataset
from narformer.data.splits import portions
from narformer.data.table_file import digest, read_table_file
from narformer.errors import BadFile
from narformer.spaces import space_called
from narformer.training.recipe import Recipe, read_content

__all__ = ["recipe_for_table"]

SPLIT_SEED = 0


def recipe_for_table(
    table: Path, label: str | None = None, recipe: Path | None = None, changes: Mapping[str, Any] | None = None
) -> tuple[Recipe, Dataset]:
    """The recipe with the table in place of its data, and the table; without one our own predictor, for its size.

    The rows are split by chance with seed 0, those of one network together: a fifth tests, 200 or a fifth validate,
    the rest trains. Raises BadFile for the table, BadRecipe for the recipe or where the networks are too few.
    """
    sha256 = digest(table)
    dataset = read_table_file(table, label, sha256)
    train, validation = portions(dataset)
    name = "own_data" if isinstance(dataset.architectures, Cells) else "own_networks"
    least = dataset.labels[dataset.train_labels[0]].min()
    if recipe is None and name == "own_networks" and least <= 0:
        raise BadFile(
            table,
            f"{least:.4g} in column '{dataset.train_labels[0]}'",
            "positive numbers, such as times: of whole networks a sum over their layers is learned",
        )
    content = _default(name, train) if recipe is None else read_content(recipe)
    if recipe is None and isinstance(dataset.architectures, Cells):
        space = space_called(dataset.space, dataset.architectures.vocabulary)
        if space.absent or space.identities:  # cells that compute the same are one graph
            content["tokenizer"] |= {"absent": list(space.absent), "identities": list(space.identities)}
    content["data"] = {
        "file": str(table),
        "sha256": sha256,
        "split": "holdout",
        "split_seed": SPLIT_SEED,
        "train": train,
        "validation": validation,
        "label": label,
    }
    return Recipe.of(content, "the default recipe" if recipe is None else str(recipe), changes), dataset


def _default(name: str, train: int) -> dict[str, Any]:
    """own_data.toml or own_networks.toml for ``train`` training networks."""
    content = tomllib.loads((files("narformer.training") / f"{name}.toml").read_text(encoding="utf-8"))
    sizes = content.pop("sizes")
    for size in sorted(map(int, sizes)):
        if size <= train:
            content["training"] |= sizes[str(size)]["training"]
    return content
