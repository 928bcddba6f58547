"""Rows of CSV files as published by some authors."""

import csv
import io
import math
from pathlib import Path

from narformer.data.facts import require_file
from narformer.errors import BadFile

__all__ = ["finite", "read_rows"]

LARGEST = 2**24  # bytes; the files of our sources have less than half a million


def read_rows(path: str | Path, fields: int, expected: str) -> list[list[str]]:
    """The rows of a small file, each of ``fields`` fields. Raises BadFile, with the line if known."""
    path = require_file(path, expected)
    if path.stat().st_size > LARGEST:
        raise BadFile(path, f"{path.stat().st_size:,} bytes", f"{expected}, at most {LARGEST:,} bytes")
    try:
        lines = csv.reader(io.StringIO(path.read_text(encoding="utf-8"), newline=""), strict=True)
        rows = []
        for row in lines:
            if len(row) != fields:
                raise BadFile(path, f"{len(row)} fields in line {lines.line_num}", f"{fields}, as in {expected}")
            rows.append(row)
    except UnicodeDecodeError as error:
        raise BadFile(path, f"bytes that are not UTF-8 text (byte {error.start:,})", expected) from None
    except csv.Error as error:
        raise BadFile(path, f"invalid CSV in line {lines.line_num} ({error})", expected) from None
    return rows


def finite(path: str | Path, text: str) -> float:
    """The number in a field. Raises BadFile where it is not a finite number."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise BadFile(path, f"the value {text[:40]!r}", "a finite number in every row")
    return number
