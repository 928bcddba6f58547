"""The data folder: list, open, add, fetch and check its sources.

NARFORMER_DATA names the folder; by default it is in the user's cache. ``<source>.npz`` was written by ``add``;
files and folders under the names that a Source states are read as they are. Whole networks are not converted: ``add``
copies their file, or links to their folder.
"""

import os
import shutil
import tempfile
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Literal

import numpy as np
import platformdirs

from narformer.cells.columns import Cells
from narformer.data import compact
from narformer.data.dataset import Dataset
from narformer.data.facts import require_file, verify
from narformer.data.joined import joined
from narformer.data.parquet import count_rows
from narformer.data.sources import SOURCES, Source
from narformer.errors import BadFile, MissingData, NarformerError, lookup, needs
from narformer.progress import Progress, silent

__all__ = ["Finding", "Listed", "add", "data_folder", "doctor", "fetch", "listing", "load"]

State = Literal["ready", "missing", "listed only"]


@dataclass(frozen=True)
class Listed:
    """A source as listed by `narformer data`: its state, its location, and how to get it."""

    source: Source
    state: State
    path: Path | None
    needs: str


@dataclass(frozen=True)
class Finding:
    """A finding of the doctor about one source."""

    name: str
    path: Path
    healthy: bool
    text: str


def data_folder() -> Path:
    """The folder that NARFORMER_DATA names, or the user's cache."""
    named = os.environ.get("NARFORMER_DATA")
    return Path(named).expanduser() if named else platformdirs.user_cache_path("narformer") / "data"


def load(name: str) -> Dataset:
    """The data set called ``name``, verified; of ``one+other``, the cells of both with all their labels.

    Raises UnknownName, MissingData with the remedy where it is missing, BadFile where its file is damaged; BadRecipe
    for two sets that cannot be joined.
    """
    if "+" in name:
        return reduce(joined, map(load, name.split("+")))
    source = lookup(SOURCES, name, "data source")
    path = _find(source)
    if path is None or not _readable(source):
        raise MissingData(_what_to_do(source))
    return _open(source, path)


def listing() -> list[Listed]:
    """Every source with its state, in the order of SOURCES."""
    listed = []
    for source in SOURCES.values():
        path = _find(source)
        if not _readable(source):
            listed.append(Listed(source, "listed only", path, _what_to_do(source)))
        elif path is None:
            listed.append(Listed(source, "missing", None, _what_to_do(source)))
        else:
            listed.append(Listed(source, "ready", path, ""))
    return listed


def add(name: str, file: str | Path, progress: Progress = silent) -> Path:
    """Read the official file or our parquet, verify it, and keep it in the data folder; the path there.

    Cells are kept as ``<name>.npz``, a file of whole networks as a copy, a folder of them as a link.
    Raises UnknownName, BadFile where the file is wrong or damaged; the folder is then unchanged.
    """
    source = lookup(SOURCES, name, "data source")
    if not _readable(source):
        raise MissingData(_what_to_do(source))
    file = Path(file) if source.folder else require_file(file, source.official)
    dataset = _open(source, file, progress)
    if not isinstance(dataset.architectures, Cells):
        return _keep(source, file)
    path = data_folder() / f"{name}.npz"
    compact.write(dataset, path)
    return path


def fetch(name: str, progress: Progress = silent) -> Path:
    """Download the official file from its pinned address, test its checksum, and add it; the path in the data folder.

    Raises MissingData with the official page where there is no address with a known checksum, or where the
    download fails; BadFile where the checksum differs.
    """
    source = lookup(SOURCES, name, "data source")
    if source.address is None or source.sha256 is None or not _readable(source):
        raise MissingData(f"'{name}' has no address with a known checksum. {_what_to_do(source)}")
    pooch = needs("pooch", "data")
    folder = data_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".fetch-") as temporary:
        try:
            file = pooch.retrieve(source.address, f"sha256:{source.sha256}", "official", temporary)
        except ValueError:
            raise BadFile(source.address, "a file with another SHA-256", source.sha256) from None
        except OSError as error:
            raise MissingData(
                f"{source.address} could not be downloaded ({type(error).__name__}). {_what_to_do(source)}"
            ) from None
        return add(name, file, progress)


def doctor() -> list[Finding]:
    """Open every present file and test its rows, known optima and label ranges: one finding per file."""
    return [_examine(source, path) for source in SOURCES.values() for path in _candidates(source)]


def _examine(source: Source, path: Path) -> Finding:
    try:
        if _readable(source):
            dataset = _open(source, path)
            best = f"{dataset.test_labels[0]} up to {np.nanmax(dataset.labels[dataset.test_labels[0]]):.6g}"
            return Finding(source.name, path, True, f"{len(dataset):,} networks, {len(dataset.labels)} labels, {best}")
        rows = count_rows(path)
        expected = "" if rows == source.rows else f", expected {source.rows:,}"
        text = f"{rows:,} rows{expected}; this release lists the source but does not read it"
        return Finding(source.name, path, not expected, text)
    except NarformerError as error:
        return Finding(source.name, path, False, str(error))


def _keep(source: Source, file: Path) -> Path:
    ending = "" if source.folder else ".parquet" if _is_ours(file) else ".txt"
    path = data_folder() / f"{source.name}{ending}"
    if path.exists() and path.samefile(file):
        return path
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished.unlink(missing_ok=True)
        if source.folder:
            unfinished.symlink_to(file.resolve(), target_is_directory=True)
        else:
            shutil.copyfile(file, unfinished)
        unfinished.replace(path)
    except OSError as error:
        raise BadFile(path, f"a place that cannot be written ({error.strerror})", "a folder with free space") from None
    finally:
        unfinished.unlink(missing_ok=True)
    return path


def _is_ours(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"PAR1" or path.suffix == ".parquet"


def _open(source: Source, path: Path, progress: Progress = silent) -> Dataset:
    ours = not source.folder and _is_ours(require_file(path, source.official))
    if path.name == f"{source.name}.npz":
        dataset = compact.read(path)
        if dataset.name != source.name:
            raise BadFile(path, f"the data set '{dataset.name}'", f"'{source.name}'")
    elif ours and source.read_file is not None:
        dataset = source.read_file(path)
    elif source.read_official is not None:
        dataset = source.read_official(path, progress)
    else:
        raise BadFile(path, "a file that is not a parquet file", f"{source.files[0]}; the official files are not read")
    return dataset if source.facts is None else verify(dataset, source.facts, path)


def _readable(source: Source) -> bool:
    return source.read_official is not None or source.read_file is not None


def _candidates(source: Source) -> list[Path]:
    folder = data_folder()
    places = [folder / name for name in (f"{source.name}.npz", *source.files)]
    found = source.locate() if source.locate is not None else None
    return [path for path in (*places, found) if path is not None and path.exists()]


def _find(source: Source) -> Path | None:
    return next(iter(_candidates(source)), None)


def _what_to_do(source: Source) -> str:
    if not _readable(source):
        return f"'{source.name}' is listed, but this release does not read it ({source.origin})."
    if source.locate is not None:
        return f"'{source.name}' is neither installed nor in {data_folder()}: {source.origin}"
    if source.address is not None and source.sha256 is not None:
        return f"'{source.name}' is not in {data_folder()}: narformer data fetch {source.name}"
    if source.read_official is None:
        return (
            f"'{source.name}' is not in {data_folder()}: put {source.files[0]} there, our conversion of "
            f"{source.official} of {source.origin}; the official files are not read"
        )
    return (
        f"'{source.name}' is not in {data_folder()}: take {source.official} ({source.size}) from {source.origin}, "
        f"then: narformer data add {source.name} {'FOLDER' if source.folder else 'FILE'}"
    )
