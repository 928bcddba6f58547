"""Measurements, kept raw: rows are added, never changed."""

from narformer.store.dataset import content_digest, measured
from narformer.store.place import is_store, open_store
from narformer.store.store import ImportSummary, Store

__all__ = ["ImportSummary", "Store", "content_digest", "is_store", "measured", "open_store"]
