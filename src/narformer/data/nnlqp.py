"""NNLQP's set "unseen structure": 20,000 whole networks of ten families with their latencies, an official folder.

Liu et al. 2022, "NNLQP: A Multi-Platform Neural Network Latency Query and Prediction System". The folder holds ONNX
files without weights and a text of latencies, one network in a line: number, path of the file, batch size, latency in
milliseconds, family, number of the platform, and, in some copies, ``train`` or ``test``. The platform is a GTX 1660
with TensorRT 7.1 in float32.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import overload

import numpy as np

from narformer.attributes import Attribute, Condition
from narformer.data.dataset import Dataset, Split
from narformer.data.facts import Facts, require_file
from narformer.errors import BadFile
from narformer.network.graph import Architecture

__all__ = ["FACTS", "LABEL", "TEXTS", "OnnxFiles", "Row", "official_split", "read_folder", "read_rows"]

LABEL = Attribute.of(
    "latency_ms",
    "ms",
    condition=Condition("TensorRT", "7.1", accelerator="NVIDIA GTX 1660", batch=1, precision="float32"),
)

FACTS = Facts(rows=20_000, ranges={LABEL.name: (0.2318, 61.534)})

TEXTS = ("gt_stage.txt", "gt.txt")
"""Names of the text of latencies; the first is the copy with roles that NAR-Former V2 (Yun et al. 2023) published."""

LARGEST_TEXT = 2**26  # bytes
MOST_BATCH = 2**16
STAGES = ("train", "test")

_EXPECTED = "lines of number, path, batch, latency, family, platform and perhaps train or test"
_FOLDER = f"the folder 'unseen_structure' of NNLQP, with {' or '.join(TEXTS)}"


@dataclass(frozen=True)
class Row:
    """One line of the text: ``path`` is relative to the folder, ``stage`` train, test or empty."""

    path: str
    batch: int
    latency_ms: float
    family: str
    platform: str
    stage: str

    @property
    def name(self) -> str:
        """``family/file``, the file without folder and ending."""
        return f"{self.family}/{PurePosixPath(self.path).stem}"


class OnnxFiles(Sequence[Architecture]):
    """Networks in ONNX files, read for the batch size of their rows at each access.

    Networks are not cached: 20,000 of them need more memory than many machines have. Access raises BadFile and
    BadArchitecture as ``read_onnx``.
    """

    def __init__(self, folder: Path, rows: Sequence[Row]) -> None:
        self.folder = folder
        self._rows = tuple(rows)

    @property
    def names(self) -> tuple[str, ...]:
        """``family/file`` of each network."""
        return tuple(row.name for row in self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, row: int) -> Architecture: ...
    @overload
    def __getitem__(self, row: slice) -> "OnnxFiles": ...
    def __getitem__(self, row: int | slice) -> "Architecture | OnnxFiles":
        if isinstance(row, slice):
            return OnnxFiles(self.folder, self._rows[row])
        return _network(self.folder, self._rows[row])


def read_folder(path: str | Path) -> Dataset:
    """The networks of the folder with their latencies; ``official`` is the authors' split.

    The text and the presence of every file are tested now; files are read when their networks are accessed.

    Raises BadFile where the folder has no text or lacks a file that it names, or the text is wrong.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise BadFile(folder, "a file" if folder.exists() else "nothing at this path", _FOLDER)
    text = next((folder / name for name in TEXTS if (folder / name).exists()), None)
    if text is None:
        raise BadFile(folder, f"neither {' nor '.join(TEXTS)}", _FOLDER)
    rows = read_rows(text)
    absent = [row.path for row in rows if not (folder / row.path).is_file()]
    if absent:
        found = f"no file {absent[0]:.80}" + (f", nor {len(absent) - 1:,} others" if absent[1:] else "")
        raise BadFile(folder, found, f"all {len(rows):,} files that {text.name} names", "Unpack the archive again.")
    return Dataset(
        name="nnlqp",
        space="networks",
        architectures=OnnxFiles(folder, rows),
        labels={LABEL.name: np.array([row.latency_ms for row in rows])},
        attributes={LABEL.name: LABEL},
        train_labels=(LABEL.name,),
        test_labels=(LABEL.name,),
        official=official_split([row.family for row in rows], [row.stage for row in rows]),
        family_M=np.array([row.family for row in rows]),
    )


def read_rows(path: str | Path) -> list[Row]:
    """The lines of the text, in its order.

    Raises BadFile, with the line, where one has another form, leaves the folder, or occurs twice; where the text holds
    several platforms, whose times are different labels; where some lines have a role and others do not.
    """
    path = require_file(path, _EXPECTED)
    if path.stat().st_size > LARGEST_TEXT:
        raise BadFile(path, f"{path.stat().st_size:,} bytes", f"at most {LARGEST_TEXT:,}")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadFile(path, f"bytes that are not UTF-8 text (byte {error.start:,})", _EXPECTED) from None
    rows: dict[str, Row] = {}
    for where, fields in _lines(text):
        row = _row(path, where, fields)
        if row.path in rows:
            raise BadFile(path, f"{row.path:.80} in {where} again", "each network once")
        rows[row.path] = row
    if not rows:
        raise BadFile(path, "no line", _EXPECTED)
    platforms = sorted({row.platform for row in rows.values()})
    if len(platforms) > 1:
        raise BadFile(path, f"platforms {', '.join(platforms)[:60]}", "one platform, as in 'unseen_structure'")
    if len({row.stage == "" for row in rows.values()}) > 1:
        raise BadFile(path, "lines with train or test and lines without", "one or the other in all")
    return list(rows.values())


def official_split(families: Sequence[str], stages: Sequence[str]) -> Split:
    """The rows marked train and test; without marks, the test rows are the last tenth of each family in its order.

    Where both are known, they agree in all 20,000 rows. ``parts`` are the test rows of each family.
    """
    family_M, stage_M = np.array(families), np.array(stages)
    test_M = stage_M == "test"
    if not any(stages):
        for family in dict.fromkeys(families):
            rows = np.flatnonzero(family_M == family)
            test_M[rows[len(rows) - len(rows) // 10 :]] = True
    parts = {
        family: np.flatnonzero(test_M & (family_M == family)).astype(np.int64) for family in dict.fromkeys(families)
    }
    train, test = (np.flatnonzero(which).astype(np.int64) for which in (~test_M, test_M))
    return Split("official", train, np.empty(0, np.int64), test, None, parts)


def _lines(text: str) -> Iterator[tuple[str, list[str]]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield f"line {number}", line.split()


def _row(path: Path, where: str, fields: list[str]) -> Row:
    if len(fields) not in (6, 7):
        raise BadFile(path, f"{len(fields)} words in {where}", _EXPECTED)
    _, file, batch, latency, family, platform, *role = fields
    inside = PurePosixPath(file)
    if inside.is_absolute() or ".." in inside.parts or "\\" in file or "\0" in file:
        raise BadFile(path, f"the path {file!r:.80} in {where}", "a path inside the folder")
    if not (batch.isascii() and batch.isdigit() and len(batch) < 6 and 1 <= int(batch) <= MOST_BATCH):
        raise BadFile(path, f"the batch size {batch!r:.20} in {where}", f"1 to {MOST_BATCH}")
    try:
        latency_ms = float(latency)
    except ValueError:
        latency_ms = math.nan
    if not 0 < latency_ms < math.inf:
        raise BadFile(path, f"the latency {latency!r:.20} in {where}", "milliseconds, more than 0")
    if role and role[0] not in STAGES:
        raise BadFile(path, f"{role[0]!r:.20} at the end of {where}", " or ".join(STAGES))
    return Row(file, int(batch), latency_ms, family, platform, role[0] if role else "")


def _network(folder: Path, row: Row) -> Architecture:
    from narformer.formats.onnx_reader import read_onnx  # takes a tenth of a second, only needed here

    file = folder / row.path
    read = read_onnx(file)
    shapes = {
        name: op.shape
        for name, op in zip(read.names, read.architecture.ops, strict=True)
        if op.kind == "Input" and op.shape
    }
    if any(
        shape[0] != row.batch for shape in shapes.values()
    ):  # the measured batch size is in the row, not in the file
        read = read_onnx(file, inputs={name: (row.batch, *shape[1:]) for name, shape in shapes.items()})
    network = read.architecture
    return Architecture(network.ops, network.edges, row.name, network.slots)
