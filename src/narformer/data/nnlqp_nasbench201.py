"""The NAS-Bench-201 family of NNLQP: 2,000 whole networks with latencies, whose graphs follow from their files' names.

``nasbench201/<number>.onnx`` numbers the cell (spaces/families/nasbench201.py), so that the ONNX files are not needed:
our parquet file is read, or the text of latencies of the official folder.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from narformer.data.dataset import Dataset
from narformer.data.facts import Facts
from narformer.data.nnlqp import LABEL, official_split, read_rows
from narformer.data.parquet import read_columns
from narformer.data.ten_families import Variants
from narformer.errors import BadFile
from narformer.spaces.families.nasbench201 import CELLS, FAMILY

__all__ = ["FACTS", "read_parquet", "read_text"]

FACTS = Facts(rows=2_000, ranges={LABEL.name: (0.2318, 1.0962)})

# CRC-32 of each column of nnlqp_nasbench201_decoded.parquet that is read, see read_columns
_PINNED = {"code": 0x714402A2, "stage": 0xD06F1DDA, "latency_ms": 0x2D047D31}


def read_parquet(path: str | Path) -> Dataset:
    """The 2,000 networks in the order of the file, built when they are accessed; ``official`` is the authors' split.

    Raises BadFile where the file is damaged, cut, or holds other content; MissingExtra without pyarrow.
    """
    columns = read_columns(path, FACTS.rows, _PINNED)
    return _dataset([f"{FAMILY.name}/{code}" for code in columns["code"]], columns["latency_ms"], columns["stage"])


def read_text(path: str | Path) -> Dataset:
    """The same from the text of latencies, ``gt.txt`` or ``gt_stage.txt``; the other families are skipped.

    Raises BadFile as ``read_rows``, and where a network of the family lacks the number of a cell or has a batch size
    other than 1.
    """
    rows = [row for row in read_rows(path) if row.family == FAMILY.name]
    for row in rows:
        number = row.name.removeprefix(f"{FAMILY.name}/")
        if not (number.isascii() and number.isdigit() and len(number) < 6 and int(number) < CELLS):
            raise BadFile(path, f"the file {row.path:.80}", f"a number of a cell, 0 to {CELLS - 1}, as the name")
        if row.batch != 1:
            raise BadFile(path, f"batch size {row.batch} of {row.path:.80}", "1, for which the networks are built")
    return _dataset([row.name for row in rows], [row.latency_ms for row in rows], [row.stage for row in rows])


def _dataset(names: Sequence[str], latency_ms: ArrayLike, stages: Sequence[str]) -> Dataset:
    return Dataset(
        name="nnlqp-nasbench201",
        space="families",
        architectures=Variants(names),
        labels={LABEL.name: np.asarray(latency_ms, dtype=np.float64)},
        attributes={LABEL.name: LABEL},
        train_labels=(LABEL.name,),
        test_labels=(LABEL.name,),
        official=official_split([FAMILY.name] * len(names), stages),
    )
