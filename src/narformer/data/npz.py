"""Arrays in a compressed ``.npz`` file, without pickle, written atomically."""

import os
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from narformer.errors import BadFile

__all__ = ["DAMAGE", "write_npz"]

DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, OSError, EOFError, MemoryError, NotImplementedError, RuntimeError),
    *(ValueError, TypeError, KeyError, AttributeError, IndexError, OverflowError),
)
"""Exceptions of reading a damaged or hostile file: of zip, of numpy, and of a reader without checks."""


def write_npz(path: Path, arrays: Mapping[str, NDArray[np.generic]]) -> None:
    """Write named arrays; the file appears under its name when it is complete.

    Raises BadFile where the folder cannot be written to.
    """
    # one fixed name, so that the next run replaces the file of a killed run
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with unfinished.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except OSError as error:
        raise BadFile(path, f"a place that cannot be written ({error.strerror})", "a folder with free space") from None
    finally:
        unfinished.unlink(missing_ok=True)
