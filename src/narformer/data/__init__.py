"""Labelled networks: data sets, and their named splits. Sources are imported when one of them is asked for."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from narformer.data.dataset import Dataset, Example, PaperRows, Split

if TYPE_CHECKING:
    from narformer.data.folder import load
    from narformer.data.splits import network_numbers, split

__all__ = ["Dataset", "Example", "PaperRows", "Split", "load", "network_numbers", "split"]

_HOMES = {"load": "folder", "network_numbers": "splits", "split": "splits"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'narformer.data' has no attribute '{name}'")
    return getattr(import_module(f"narformer.data.{_HOMES[name]}"), name)
