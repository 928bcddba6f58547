"""Cells as users give them: texts, files of texts, standard input, or a whole space."""

import csv
import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from narformer.cells.columns import Cells
from narformer.data.table_file import FIRST
from narformer.errors import BadArchitecture, BadFile, BadPredictor, NarformerError, lookup
from narformer.network import Architecture
from narformer.spaces import SPACES, recognised
from narformer.spaces.space import Space

__all__ = ["Line", "first_text", "read_cells", "texts_of", "without_input"]

T = TypeVar("T")

LARGEST_LIST = 2**28  # bytes of a file of cells
LONGEST_NAME = 255  # characters of a file's name


def read_cells(nets: Sequence[object], space: Space) -> Cells:
    """Cells from texts, files of texts, ``-`` (standard input), Architectures, or the whole space by its name.

    Raises BadArchitecture, BadFile, UnknownName; BadPredictor for the name of another space.
    """
    if list(nets) == [space.name]:
        return space.enumerate()
    if len(nets) == 1 and nets[0] in SPACES:
        raise BadPredictor(f"this predictor reads cells of {space.name}, not of {nets[0]}")
    architectures: list[Architecture] = []
    for net in nets:
        if isinstance(net, Architecture):
            architectures.append(net)
            continue
        for where, text in texts_of(net if isinstance(net, str) else str(net)):
            try:
                architectures.append(space.parse(text))
            except BadArchitecture as error:
                raise BadArchitecture(f"{where}: {error}") from None
    if not architectures:
        raise BadArchitecture("no cell was given: give texts, files of them, '-' for standard input, or a space's name")
    return Cells.of(architectures, space.vocabulary)


class Line(str):
    """A text that was read from standard input, with the place where it stood."""

    where: str


def without_input(nets: Sequence[T]) -> list[T | Line]:
    """The same, with the lines of standard input, which can be read once, in place of ``-``."""
    given: list[T | Line] = []
    for net in nets:
        if net != "-":
            given.append(net)
            continue
        for where, text in texts_of("-"):
            line = Line(text)
            line.where = where
            given.append(line)
    return given


def first_text(item: str) -> str:
    """The first text in a file of cells; empty where the item is not such a file."""
    try:
        return next((text for _, text in texts_of(item)), "") if Path(item).is_file() else ""
    except (OSError, NarformerError):
        return ""


def texts_of(item: str) -> list[tuple[str, str]]:
    """(where, text) of each cell, or of each network in a list, that one argument stands for."""
    if isinstance(item, Line):
        return [(item.where, str(item))]
    if item == "-":
        return _lines("standard input", sys.stdin.read())
    if recognised(item):
        return [(f"cell '{item[:60]}'", item)]
    path = Path(item[:LONGEST_NAME])
    if path.is_dir():
        raise BadFile(path, "a folder", "a file of cells, one per line, or the text of a cell")
    if not path.is_file() and path.suffix:
        raise BadFile(path, "no such file", "a file of cells, one per line, or the text of a cell")
    if not path.is_file():
        lookup(dict.fromkeys([*SPACES, "-"]), item[:LONGEST_NAME], "file, cell or space")
    if path.stat().st_size > LARGEST_LIST:
        raise BadFile(path, f"{path.stat().st_size} bytes", f"at most {LARGEST_LIST}", "Split it.")
    try:
        content = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise BadFile(path, "bytes that are not UTF-8 text", "one cell per line") from None
    if path.suffix.lower() == ".csv" and content.partition("\n")[0].partition(",")[0].strip('" \r') == FIRST:
        return _first_column(path, content)
    if path.suffix != ".json":
        return _lines(str(path), content)
    try:
        entries = json.loads(content)
        if not isinstance(entries, list):
            raise BadFile(path, f"a JSON {type(entries).__name__}", "a list of cells (texts or objects)")
        return [(f"{path}, entry {i}", _text(entry)) for i, entry in enumerate(entries)]
    except (ValueError, RecursionError) as error:
        raise BadFile(path, f"JSON that does not parse ({error})", "a list of cells", "Is it truncated?") from None


def _first_column(path: Path, content: str) -> list[tuple[str, str]]:
    """(where, text) of each row of a table (data/table_file.py)."""
    rows = csv.reader(io.StringIO(content, newline=""), strict=True)
    try:
        return [(f"{path}, line {rows.line_num}", row[0]) for row in rows if row][1:]
    except csv.Error as error:
        raise BadFile(path, f"invalid CSV in line {rows.line_num} ({error})", "a table of architectures") from None


def _text(entry: object) -> str:
    """The text of a decoded cell, or of the architecture of a table's row."""
    if isinstance(entry, dict) and FIRST in entry:
        entry = entry[FIRST]
    return entry if isinstance(entry, str) else json.dumps(entry)


def _lines(name: str, content: str) -> list[tuple[str, str]]:
    """(where, text) of each line that is neither blank nor a comment."""
    lines = ((number, line.strip()) for number, line in enumerate(content.splitlines(), start=1))
    return [(f"{name}, line {number}", _unwrapped(line)) for number, line in lines if line and not line.startswith("#")]


def _unwrapped(line: str) -> str:
    """The line, or the architecture where it is a row of a table in JSON lines."""
    if not (line.startswith("{") and f'"{FIRST}"' in line):
        return line
    try:
        return _text(json.loads(line))
    except (ValueError, RecursionError):
        return line  # the space reports the error
