"""What was measured, kept raw: rows are added, never changed."""

from narformer.store.dataset import latencies
from narformer.store.place import open_store
from narformer.store.store import ImportSummary, Store

__all__ = ["ImportSummary", "Store", "latencies", "open_store"]
