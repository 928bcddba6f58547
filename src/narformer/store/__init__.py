"""Measurements, kept raw: rows are added, never changed. The database library is imported on first use."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from narformer.store.place import is_store, open_store

if TYPE_CHECKING:
    from narformer.store.dataset import content_digest, measured
    from narformer.store.store import ImportSummary, Store

__all__ = ["ImportSummary", "Store", "content_digest", "is_store", "measured", "open_store"]

_HOMES = {
    "ImportSummary": "store",
    "Store": "store",
    "content_digest": "dataset",
    "measured": "dataset",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'narformer.store' has no attribute '{name}'")
    return getattr(import_module(f"narformer.store.{_HOMES[name]}"), name)
