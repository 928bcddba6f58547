"""Recipes that train within a second or so, the one copy that tests share; a test changes what it is about."""

import copy
from typing import Any

CELLS: dict[str, Any] = {
    "system": "tiny",
    "data": {"name": "toy", "split": "random", "split_seed": 1, "train": 60, "validation": 30},
    "tokenizer": {"name": "relational"},
    "model": {"name": "relational", "width": 8, "heads": 2, "layers": 1, "inner": 8, "members": 2},
    "target": {"transform": "normal-scores"},
    "loss": {"pairwise": 1.0},
    "optimiser": {"learning_rate": 5e-3},
    "training": {"epochs": 4, "batch": 16},
    "gaussian_process": {"steps": 3, "networks": 4},
}

NETWORKS: dict[str, Any] = {
    "system": "tiny",
    "data": {"name": "few", "split": "random", "split_seed": 0, "train": 20, "validation": 12},
    "tokenizer": {"name": "kernels"},
    "model": {"name": "kernel-sum", "width": 8, "layers": 1, "members": 2},
    "target": {"transform": "log"},
    "loss": {"regression": "absolute"},
    "training": {"epochs": 3, "batch": 16, "score": "mape"},
}


def changed(content: dict[str, Any], **sections: dict[str, Any]) -> dict[str, Any]:
    """A copy of a recipe's content with these keys of its sections changed or added."""
    content = copy.deepcopy(content)
    for name, keys in sections.items():
        content[name] = content.get(name, {}) | keys
    return content
