"""What was measured, kept raw: rows are added, never changed."""

from narformer.store.dataset import latencies
from narformer.store.place import open_store
from narformer.store.store import Imported, Store

__all__ = ["Imported", "Store", "latencies", "open_store"]
