"""Recipes of the papers' systems: ``paper.toml`` holds the original, ``quick.toml`` only the changes of the quick run.

A system of our own has no original: its folder holds ``quick.toml`` alone.
Beside the keys of a Recipe a file may hold ``differences`` (where even it departs from the original) and ``sizes.N``
(further changes for N training cells). A recipe is read in the order paper, its sizes, quick, its sizes.
"""

import tomllib
from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import Any, Literal, get_args

from narformer.errors import BadRecipe, lookup
from narformer.training.recipe import Recipe

Variant = Literal["quick", "paper"]

_FOLDER = files("narformer.papers")

OWN = frozenset({"relational/nasbench101", "relational/nasbench201", "latency/kernel_sum"})

RECIPES = {
    name: _FOLDER / name
    for name in (
        *sorted(OWN),
        "latency/brp_nas",
        "latency/flops",
        "latency/flops_memory",
        "latency/kernel_forest",
        "latency/narformer",
        "latency/narformer_v2",
        "latency/nnlp",
        "latency/tpu_cost",
        "narformer/nasbench101",
        "narformer/nasbench201",
        "narformer_v2/nasbench101",
        "narformer_v2/nasbench201",
        "tnasp/nasbench101",
        "tnasp/nasbench201",
    )
}


def read_recipe(
    name: str,
    variant: Variant,
    n: int,
    self_evolution: bool = False,
    changes: Mapping[str, str | float | bool] | None = None,
) -> Recipe:
    """The recipe called ``name``, a key of RECIPES, for ``n`` training networks.

    The section [self_evolution] counts only if it is requested; ``changes`` to dotted keys are applied last.
    Raises UnknownName, or BadRecipe naming the file and the key.
    """
    lookup(dict.fromkeys(get_args(Variant)), variant, "kind of recipe")
    if variant == "paper" and name in OWN:
        raise BadRecipe(f"{name}: a system of our own has no paper recipe; run its quick one")
    content = {} if name in OWN else _for_size(name, "paper", n)
    if variant == "quick":
        content = _merged(content, _for_size(name, "quick", n))
    content = _merged(content, {"data": {"train": n}})
    if self_evolution:
        if "self_evolution" not in content:
            raise BadRecipe(f"{name}/{variant}.toml: no section [self_evolution], which this row needs")
        content["system"] = f"{content['system']}-se"
    else:
        content.pop("self_evolution", None)
    return Recipe.of(content, f"{name}/{variant}.toml for {n} networks", changes)


def differences(name: str) -> list[str]:
    """Where even the paper recipe departs from the original, one sentence each."""
    return list(_read(name, "paper").get("differences", []))


def deviations(recipe: Recipe, original: Recipe) -> list[str]:
    """Each key in which two recipes differ: "training.epochs 60 (4000)"."""
    ours, theirs = dict(_flat(recipe.model_dump(mode="json"))), dict(_flat(original.model_dump(mode="json")))
    keys = dict.fromkeys([*ours, *theirs])
    return [
        f"{key} {_text(ours.get(key))} ({_text(theirs.get(key))})"
        for key in keys
        if key != "system" and ours.get(key) != theirs.get(key)
    ]


def _read(name: str, variant: Variant) -> dict[str, Any]:
    file = lookup(RECIPES, name, "recipe") / f"{variant}.toml"
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadRecipe(f"{file}: not a readable TOML recipe ({error})") from None


def _for_size(name: str, variant: Variant, n: int) -> dict[str, Any]:
    content = _read(name, variant)
    content.pop("differences", None)
    sizes = content.pop("sizes", {})
    if not isinstance(sizes, dict) or not all(
        size.isdigit() and isinstance(part, dict) for size, part in sizes.items()
    ):
        raise BadRecipe(f"{name}/{variant}.toml: sizes: expected sections [sizes.N] with a number of training cells")
    return _merged(content, sizes.get(str(n), {}))


def _merged(content: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    merged = dict(content)
    for key, value in changes.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merged(merged[key], value) if both else value
    return merged


def _flat(content: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in content.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _text(value: object) -> str:
    return "–" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
