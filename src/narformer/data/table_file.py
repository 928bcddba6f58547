"""The user's own table as a data set: CSV, JSON or JSON lines of architectures and numbers.

The first column is called ``architecture``; every other one is a label. Its cells are numbers, or empty where a network
was not measured. Architectures are texts of cells of one space of SPACES, graphs as JSON (spaces/graphs.py), or whole
networks (table_networks.py).
"""

import csv
import hashlib
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np

from narformer.attributes import Attribute
from narformer.cells.columns import Cells
from narformer.data.dataset import Dataset
from narformer.data.facts import require_file
from narformer.data.splits import network_numbers
from narformer.data.table_networks import SPACE, WHAT, is_network, read_networks
from narformer.errors import BadArchitecture, BadFile, lookup
from narformer.network.graph import Architecture
from narformer.spaces import SPACES, Graphs, Space
from narformer.spaces.graphs import echo, read_graph, vocabulary_of

__all__ = ["FIRST", "digest", "is_table", "read_table_file", "repeated"]

FIRST = "architecture"
"""The name of the first column."""

ENDINGS = (".csv", ".json", ".jsonl")
LARGEST_TABLE = 2**27  # bytes
LARGEST_COLUMNS = 2**26  # numbers of all adjacency matrices together: 4,096 graphs of 128 vertices
LOOKED_AT = 20  # rows of which one must be a cell of a space, so that errors are those of the space

_EXPECTED = "a table of architectures and numbers (.csv, .json, .jsonl)"
_WHAT = f"a text of a cell of {', '.join(SPACES)}, a graph as JSON, or {WHAT}"

# The place of the row in the file, its architecture as found, and its numbers.
Row: TypeAlias = tuple[str, object, list[float]]


def read_table_file(path: str | Path, labels: Sequence[str] = (), sha256: str | None = None) -> Dataset:
    """The table in a file; its space is found by trying, "graphs" for graphs and "networks" for whole networks.

    labels: the columns to train and test with, by default the first one; if some are named, others are not read
    sha256: the digest that the content must have

    Raises BadFile, with the row if known; UnknownName for a label that is not a column.
    """
    path = _checked(path)
    content = path.read_bytes()
    if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
        raise BadFile(
            path, "other content than when the recipe was made", f"SHA-256 {sha256[:12]}…", "Put the old file back."
        )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadFile(path, f"bytes that are not UTF-8 text (byte {error.start:,})", _EXPECTED) from None
    columns, rows = (_of_csv if path.suffix.lower() == ".csv" else _of_json)(path, text, labels)
    if not columns:
        raise BadFile(path, f"no column besides '{FIRST}'", "one or more columns of numbers")
    if not rows:
        raise BadFile(path, "no row", _EXPECTED)
    label_LM = np.array([numbers for _, _, numbers in rows]).T.copy()
    for name, label_M in zip(columns, label_LM, strict=True):
        if np.isnan(label_M).all():
            raise BadFile(
                path, f"no number in column '{name}'", "at least one", "--label reads only the columns that it names."
            )
    space, networks = _architectures(path, rows)
    return Dataset(
        name=path.name,
        space=space,
        architectures=networks,
        labels=dict(zip(columns, label_LM, strict=True)),
        attributes={name: Attribute.of_column(name, f"column of {path.name}") for name in columns},
        train_labels=tuple(labels) or (columns[0],),
        test_labels=tuple(labels) or (columns[0],),
    )


def digest(path: str | Path) -> str:
    """SHA-256 of the file, in hexadecimal. Raises BadFile for a file that cannot be a table."""
    return hashlib.sha256(_checked(path).read_bytes()).hexdigest()


def is_table(path: str | Path) -> bool:
    """Whether a path has the ending of a table."""
    return Path(path).suffix.lower() in ENDINGS


def repeated(dataset: Dataset) -> int:
    """Number of rows that repeat the network of an earlier row."""
    return len(dataset) - len(np.unique(network_numbers(dataset)))


def _checked(path: str | Path) -> Path:
    path = require_file(path, _EXPECTED)
    if not is_table(path):
        raise BadFile(path, f"a file ending in '{path.suffix}'", _EXPECTED)
    if path.stat().st_size > LARGEST_TABLE:
        raise BadFile(path, f"{path.stat().st_size:,} bytes", f"at most {LARGEST_TABLE:,}", "Split it.")
    return path


def _of_csv(path: Path, text: str, labels: Sequence[str]) -> tuple[list[str], list[Row]]:
    lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[Row] = []
    try:
        header = [name.strip() for name in next(lines, [])]
        columns = _read(path, _columns(path, header), labels)
        for fields in lines:
            where = f"line {lines.line_num}"
            if not fields:
                continue
            if len(fields) != len(header):
                raise BadFile(path, f"{len(fields)} fields in {where}", f"{len(header)}, as in the first line")
            found = dict(zip(header, fields, strict=True))
            numbers = [_number_of_text(path, where, name, found[name]) for name in columns]
            rows.append((where, fields[0], numbers))
    except csv.Error as error:
        raise BadFile(path, f"invalid CSV in line {lines.line_num} ({error})", _EXPECTED) from None
    return columns, rows


def _of_json(path: Path, text: str, labels: Sequence[str]) -> tuple[list[str], list[Row]]:
    columns: list[str] = []
    read: list[str] = []
    rows: list[Row] = []
    for where, entry in _entries(path, text):
        if not isinstance(entry, dict):
            raise BadFile(path, f"a JSON {type(entry).__name__} in {where}", f"an object with '{FIRST}' and numbers")
        if not rows:
            columns = _columns(path, [FIRST, *(key for key in entry if key != FIRST)] if FIRST in entry else [*entry])
            read = _read(path, columns, labels)
        if not {FIRST, *read} <= entry.keys() or (not labels and len(entry) > 1 + len(columns)):
            found = ", ".join(map(repr, entry))[:80] or "nothing"
            raise BadFile(path, f"the keys {found} in {where}", f"'{FIRST}', {', '.join(map(repr, columns))}, as above")
        numbers = [_number(path, where, name, entry[name]) for name in read]
        rows.append((where, entry[FIRST], numbers))
    return read, rows


def _read(path: Path, columns: list[str], labels: Sequence[str]) -> list[str]:
    """The columns whose numbers are read: all, or those that are requested."""
    known = {name: name for name in columns}
    return [lookup(known, label, f"column of {path.name}") for label in labels] or columns


def _entries(path: Path, text: str) -> Iterator[tuple[str, object]]:
    """(where, decoded) of each row."""
    if path.suffix.lower() == ".jsonl":
        for number, line in enumerate(text.split("\n"), start=1):
            if line.strip():
                yield f"line {number}", _decoded(path, line, f" in line {number}")
        return
    entries = _decoded(path, text, "")
    if not isinstance(entries, list):
        raise BadFile(path, f"a JSON {type(entries).__name__}", "a list of objects")
    yield from ((f"entry {number}", entry) for number, entry in enumerate(entries))


def _decoded(path: Path, text: str, where: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadFile(path, f"invalid JSON{where} ({str(error)[:80]})", _EXPECTED, "Is it truncated?") from None


def _columns(path: Path, header: list[str]) -> list[str]:
    """The names of the labels."""
    if not header or header[0] != FIRST:
        found = echo(header[0]) if header else "nothing"
        raise BadFile(path, f"{found} as the first column", f"'{FIRST}'", "Columns of CSV are separated by commas.")
    names = header[1:]
    for name in names:
        if not name or not name.isprintable() or header.count(name) > 1:
            raise BadFile(path, f"a column called {echo(name)}, empty or twice", "a different name for each column")
    return names


def _number_of_text(path: Path, where: str, column: str, text: str) -> float:
    if not text.strip():
        return np.nan
    try:
        return _number(path, where, column, text if "_" in text else float(text))  # Python reads 1_000
    except ValueError:
        return _number(path, where, column, text)


def _number(path: Path, where: str, column: str, value: object) -> float:
    """The number; NaN for null, if a network has no such label."""
    if value is None:
        return np.nan
    try:
        number = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else np.nan
    except OverflowError:
        number = np.inf
    if not np.isfinite(number):
        raise BadFile(
            path,
            f"{echo(value)} in column '{column}' of {where}",
            "a finite number, or an empty cell where it was not measured",
            "--label reads only the columns that it names.",
        )
    return number


def _architectures(path: Path, rows: list[Row]) -> tuple[str, Sequence[Architecture]]:
    """The name of their space, and the architectures of all rows."""
    first = rows[0][1]
    if is_network(first):
        return SPACE, read_networks(path, [(where, found) for where, found, _ in rows])
    space, cells = _graphs(path, rows) if _is_graph(first) else _of_space(path, rows)
    return space.name, cells


def _is_graph(architecture: object) -> bool:
    return not isinstance(architecture, str) or architecture.lstrip().startswith("{")


def _graphs(path: Path, rows: list[Row]) -> tuple[Space, Cells]:
    graphs = []
    for where, found, _ in rows:
        try:
            graphs.append(read_graph(found))
        except BadArchitecture as error:
            raise _refused(path, where, error) from None
    try:
        space = Graphs(vocabulary_of(graphs))
    except BadArchitecture as error:
        raise BadFile(path, f"graphs of different spaces ({error})", "graphs over one vocabulary") from None
    return space, _cells(path, graphs, space)


def _of_space(path: Path, rows: list[Row]) -> tuple[Space, Cells]:
    texts = [found for _, found, _ in rows[:LOOKED_AT] if isinstance(found, str)]
    space = next((space for space in SPACES.values() if any(_fits(space, text) for text in texts)), None)
    if space is None:
        raise BadFile(path, f"{echo(rows[0][1])} in {rows[0][0]}", _WHAT)
    cells = []
    for where, found, _ in rows:
        try:
            if not isinstance(found, str) or _is_graph(found):
                raise BadArchitecture(f"found a graph below cells of {space.name}; expected one kind in every row")
            cells.append(space.parse(found))
        except BadArchitecture as error:
            raise _refused(path, where, error) from None
    return space, _cells(path, cells, space)


def _fits(space: Space, text: str) -> bool:
    try:
        space.parse(text)
    except BadArchitecture:
        return False
    return True


def _refused(path: Path, where: str, error: BadArchitecture) -> BadFile:
    return BadFile(path, f"an invalid architecture in {where} ({error})", _WHAT)


def _cells(path: Path, architectures: list[Architecture], space: Space) -> Cells:
    longest = max(map(len, architectures))
    if len(architectures) * longest**2 > LARGEST_COLUMNS:
        raise BadFile(
            path,
            f"{len(architectures):,} graphs of up to {longest} vertices",
            f"at most {LARGEST_COLUMNS // longest**2:,} of this size",
            "Leave some out.",
        )
    return Cells.of(architectures, space.vocabulary)
