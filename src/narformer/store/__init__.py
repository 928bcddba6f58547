"""What was measured, kept raw: rows are added, never changed."""

from narformer.store.store import Imported, Store

__all__ = ["Imported", "Store"]
