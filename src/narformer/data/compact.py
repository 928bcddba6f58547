"""Our own file of a data set of cells: ``.npz``, compressed, without pickle.

npz rather than parquet, because an added data set can then be read with numpy alone, without the extra
``data``; each member carries a CRC-32, so that a flipped byte is found. Members: ``header`` (JSON: format number,
names, units), ``kind_MN``, ``adj_MNN`` (see Cells) and ``labels_LM``, float64 with NaN where a label is absent.
"""

import io
import json
import zipfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narformer.attributes import Attribute
from narformer.cells.columns import PADDING, Cells
from narformer.data import nasbench101, nasbench201
from narformer.data.dataset import Dataset
from narformer.data.facts import require_file
from narformer.data.npz import DAMAGE, write_npz
from narformer.errors import BadFile

__all__ = ["FORMAT", "read", "write"]

FORMAT = 1
_PAPER = {module.NAME: module.PAPER for module in (nasbench101, nasbench201)}  # not in the file
_MEMBERS = ("header", "kind_MN", "adj_MNN", "labels_LM")
_MAX_BYTES = 1 << 31
_EXPECTED = f"a data set of format {FORMAT}"
_AGAIN = "The file is damaged: add the official file again."


def write(dataset: Dataset, path: str | Path) -> None:
    """Write a data set of Cells; the file appears complete or not at all.

    Raises BadFile where the folder cannot be written to.
    """
    path, cells = Path(path), dataset.architectures
    if not isinstance(cells, Cells):
        raise TypeError(f"architectures are a {type(cells).__name__}; only Cells have columns to write")
    header = {
        "format": FORMAT,
        "name": dataset.name,
        "space": dataset.space,
        "vocabulary": cells.vocabulary,
        "labels": [asdict(dataset.attributes[name]) for name in dataset.labels],
        "train_label": dataset.train_labels[0],
        "test_label": dataset.test_labels[0],
    }
    arrays: dict[str, NDArray[np.generic]] = {
        "header": np.frombuffer(json.dumps(header).encode(), dtype=np.uint8),
        "kind_MN": cells.kind_MN,
        "adj_MNN": cells.adj_MNN,
        "labels_LM": np.array(list(dataset.labels.values())),
    }
    write_npz(path, arrays)


def read(path: str | Path) -> Dataset:
    """The data set that ``write`` wrote.

    Raises BadFile where the file is damaged, cut, hostile, or of another format.
    """
    path = require_file(path, _EXPECTED)
    try:
        with zipfile.ZipFile(path) as archive:
            sizes = {info.filename: info.file_size for info in archive.infolist()}
            if set(sizes) != {f"{name}.npy" for name in _MEMBERS} or sum(sizes.values()) > _MAX_BYTES:
                raise BadFile(path, f"a zip file of {', '.join(sorted(sizes)[:5])}", _EXPECTED, _AGAIN)
            # reading a member to its end tests its checksum
            header_C, kind_MN, adj_MNN, labels_LM = (
                np.load(io.BytesIO(archive.read(f"{name}.npy")), allow_pickle=False) for name in _MEMBERS
            )
        header = json.loads(header_C.tobytes())
        if header["format"] != FORMAT:
            raise BadFile(path, f"format {header['format']!r:.20}", _EXPECTED, "A newer release may read it.")
        attributes = {label["name"]: Attribute.of_record(label) for label in header["labels"]}
        cells = _cells(tuple(header["vocabulary"]), kind_MN, adj_MNN)
        if labels_LM.shape != (len(attributes), len(cells)) or labels_LM.dtype != np.float64:
            raise ValueError(f"labels of shape {labels_LM.shape}")
        return Dataset(
            name=header["name"],
            space=header["space"],
            architectures=cells,
            labels=dict(zip(attributes, labels_LM, strict=True)),
            attributes=attributes,
            train_labels=(attributes[header["train_label"]].name,),
            test_labels=(attributes[header["test_label"]].name,),
            paper=_PAPER.get(header["name"]),
        )
    except BadFile:
        raise
    except DAMAGE as error:
        raise BadFile(path, f"a file that cannot be read ({str(error)[:80]})", _EXPECTED, _AGAIN) from None


def _cells(vocabulary: tuple[str, ...], kind_MN: NDArray[Any], adj_MNN: NDArray[Any]) -> Cells:
    if kind_MN.ndim != 2 or kind_MN.dtype != np.int8 or adj_MNN.dtype != np.uint8:
        raise ValueError("columns of another type")
    if adj_MNN.shape != (*kind_MN.shape, kind_MN.shape[1]):
        raise ValueError(f"columns of shapes {kind_MN.shape} and {adj_MNN.shape}")
    if ((kind_MN < PADDING) | (kind_MN >= len(vocabulary))).any() or np.tril(adj_MNN).any():
        raise ValueError("operations or edges that are impossible in cells")
    return Cells(vocabulary, kind_MN, adj_MNN)
