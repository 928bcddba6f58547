"""Location of the store: a path, an address, or the default file."""

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from narformer.errors import BadFile

if TYPE_CHECKING:
    from narformer.store.store import Store

__all__ = ["is_store", "open_store"]

VARIABLE = "NARFORMER_STORE"
# A mistyped address counts, too: as a path, its password would be shown.
ADDRESS = re.compile(r".*://|(postgres|sqlite)[\w+]*:")


def is_store(place: str) -> bool:
    """Whether a text names a store: an address, or a file with the ending of a store."""
    return bool(ADDRESS.match(place)) or place.endswith(".sqlite")


def open_store(place: str | None = None, new: bool = True) -> "Store":
    """The store at a path, which means SQLite, or at an address such as ``postgresql://user@host/name``.

    The default is the one in NARFORMER_STORE, or else a file in the user's data folder. A store that does not exist is
    created; with ``new`` false, only the default one is. Raises as ``Store`` does.
    """
    import platformdirs  # these imports take a third of a second; commands without a store avoid it
    from sqlalchemy.engine import URL

    from narformer.store.store import Store

    named = place or os.environ.get(VARIABLE)
    if named and ADDRESS.match(named):
        return Store(named)
    path = Path(named).expanduser() if named else platformdirs.user_data_path("narformer") / "measurements.sqlite"
    try:
        if not named:
            path.parent.mkdir(parents=True, exist_ok=True)
        elif path.is_dir():
            raise BadFile(path, "a folder", "a file of SQLite, or an address such as postgresql://user@host/name")
        elif place and not new and not path.exists():
            raise BadFile(path, "no such file", "a store of measurements")
    except OSError as error:
        raise BadFile(
            path, f"no place for a file ({error.strerror})", f"a file that --store or {VARIABLE} names"
        ) from None
    return Store(URL.create("sqlite", database=str(path)).render_as_string(hide_password=False))
