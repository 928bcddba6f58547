"""Columns of a parquet file, checked against their pinned content. The only file that imports pyarrow.

Parquet pages need not carry checksums, so a flipped byte can silently decode to a wrong number. We therefore pin the
CRC-32 of each column's content, which does not depend on how the file was compressed or split.
"""

import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from narformer.data.facts import require_file
from narformer.errors import BadFile, needs

__all__ = ["Column", "count_rows", "read_columns"]

Column = Any
"""A list of str for text, an (M, K) array for lists of K numbers, an (M,) array of the file's own number type else."""

_AGAIN = "The file is damaged or a different one: get it from its source again."


def read_columns(path: str | Path, rows: int, pinned: Mapping[str, int]) -> dict[str, Column]:
    """The columns named in ``pinned``, each with the CRC-32 of its content: text joined by line ends, numbers as bytes.

    Raises BadFile where the file is not a parquet file, is truncated or damaged, lacks a column, or holds other
    content; MissingExtra without pyarrow.
    """
    path = require_file(path, "a parquet file")
    parquet = needs("pyarrow.parquet", "data")
    with path.open("rb") as file:
        if file.read(4) != b"PAR1":
            raise BadFile(path, "a file that does not begin with 'PAR1'", "a parquet file")
    try:
        with parquet.ParquetFile(path) as opened:
            names, count = opened.schema_arrow.names, opened.metadata.num_rows
            missing = [name for name in pinned if name not in names]
            if missing:
                found = f"columns {', '.join(names[:8])}, …"
                raise BadFile(path, found, f"a column '{missing[0]}'", "Is it another file?")
            if count != rows:
                raise BadFile(path, f"{count:,} rows", f"{rows:,}", _AGAIN)
            table = opened.read(columns=list(pinned))
            columns = {name: _content(table.column(name)) for name in pinned}
    except BadFile:
        raise
    except (OSError, ValueError, MemoryError, OverflowError, RuntimeError, UnicodeError, NotImplementedError) as error:
        # pyarrow reports damage as any of these, and its text can hold many lines
        reason = (str(error).splitlines() or [type(error).__name__])[0][:100]
        raise BadFile(path, f"a parquet file that cannot be decoded ({reason})", "a complete one", _AGAIN) from None
    for name, column in columns.items():
        if _checksum(column) != pinned[name]:
            raise BadFile(path, f"a column '{name}' with other content", "the published values, unchanged", _AGAIN)
    return columns


def _content(column: Any) -> Column:
    kind = str(column.type)
    if column.null_count and kind not in ("float", "double"):  # a missing number becomes NaN
        raise ValueError(f"{column.null_count} missing values")
    if kind.startswith(("list", "large_list")):
        return np.array(column.to_pylist())
    return column.to_pylist() if "string" in kind else column.to_numpy()


def _checksum(column: Column) -> int:
    return zlib.crc32("\n".join(column).encode() if isinstance(column, list) else column.tobytes())


def count_rows(path: str | Path) -> int:
    """Number of rows of a parquet file, by its metadata. Raises BadFile; MissingExtra without pyarrow."""
    path = require_file(path, "a parquet file")
    parquet = needs("pyarrow.parquet", "data")
    try:
        with parquet.ParquetFile(path) as opened:
            return int(opened.metadata.num_rows)
    except (OSError, ValueError, MemoryError, OverflowError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:100]
        raise BadFile(path, f"a file that cannot be opened ({reason})", "a parquet file", _AGAIN) from None
