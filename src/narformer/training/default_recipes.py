"""The recipe for the user's own data, a table or a store: its split, and a predictor where no recipe is given."""

import tomllib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from narformer.cells.columns import Cells
from narformer.data.dataset import Dataset
from narformer.data.splits import portions
from narformer.data.table_file import digest, read_table_file
from narformer.errors import BadRecipe
from narformer.spaces import space_called
from narformer.store import content_digest, measured, open_store
from narformer.training.recipe import Recipe, read_content

__all__ = ["recipe_for_store", "recipe_for_table"]

SPLIT_SEED = 0


def recipe_for_table(
    table: Path, labels: Sequence[str] = (), recipe: Path | None = None, changes: Mapping[str, Any] | None = None
) -> tuple[Recipe, Dataset]:
    """The recipe with the table in place of its data, and the table; by default our own predictor.

    The rows are split at random with seed 0, those of one network together: a fifth tests, 200 or a fifth validate,
    the rest trains. Raises BadFile for the table, BadRecipe for the recipe or where the networks are too few.
    """
    sha256 = digest(table)
    dataset = read_table_file(table, labels, sha256)
    label = None if not labels else labels[0] if len(labels) == 1 else list(labels)
    return _recipe({"file": str(table), "sha256": sha256, "label": label}, dataset, recipe, changes), dataset


def recipe_for_store(
    store: str,
    attribute: str = "latency",
    condition: Mapping[str, str | int] | None = None,
    recipe: Path | None = None,
    changes: Mapping[str, Any] | None = None,
) -> tuple[Recipe, Dataset]:
    """The recipe that learns an attribute from a store, and its networks; split as ``recipe_for_table``.

    condition: values of fields of ``store.measured`` that select one of several conditions
    Raises as ``measured``; BadRecipe.
    """
    with open_store(store, new=False) as opened:
        dataset = measured(opened, attribute, **(condition or {}))
    data = {
        "name": dataset.name,
        "store": store,
        "sha256": content_digest(dataset),
        "condition": dict(condition or {}),
        "label": attribute,
    }
    return _recipe(data, dataset, recipe, changes), dataset


def _recipe(data: dict[str, Any], dataset: Dataset, recipe: Path | None, changes: Mapping[str, Any] | None) -> Recipe:
    """The recipe with this section [data] and the split of ``holdout``."""
    train, validation = portions(dataset)
    cells = dataset.architectures if isinstance(dataset.architectures, Cells) else None
    chosen = str((changes or {}).get("predictor.name", "neural"))
    if recipe is None and chosen != "neural":
        content: dict[str, Any] = {"system": chosen, "predictor": {"name": chosen}}
    elif recipe is None:
        content = _default("default_networks" if cells is None else "default_cells", train)
        if cells is None:
            _check_positive(dataset)
        else:
            space = space_called(dataset.space, cells.vocabulary)
            if space.absent or space.identities:  # cells that compute the same are one graph
                content["tokenizer"] |= {"absent": list(space.absent), "identities": list(space.identities)}
    else:
        content = read_content(recipe)
    split = {"split": "holdout", "split_seed": SPLIT_SEED, "train": train, "validation": validation}
    content["data"] = data | split
    return Recipe.of(content, "the default recipe" if recipe is None else str(recipe), changes)


def _check_positive(dataset: Dataset) -> None:
    for name in dataset.train_labels:
        least = min(dataset.labels[name][dataset.having([name])])
        if least <= 0:
            raise BadRecipe(
                f"{dataset.name}: found {least:.4g} in column '{name}'; expected positive numbers, such as times: "
                "of whole networks a sum over their layers is learned"
            )


def _default(name: str, train: int) -> dict[str, Any]:
    """default_cells.toml or default_networks.toml for ``train`` training networks."""
    content = tomllib.loads((files("narformer.training") / f"{name}.toml").read_text(encoding="utf-8"))
    sizes = content.pop("sizes")
    for size in sorted(map(int, sizes)):
        if size <= train:
            content["training"] |= sizes[str(size)]["training"]
    return content
