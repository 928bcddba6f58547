"""2,373 OFA-MobileNetV3 subnets with ImageNet accuracy: our parquet file and the authors' five CSV files.

Published with DyNAS-T (Cummings et al. 2022): the subnets that five searches visited, so that good ones are frequent.
Width 1.0, 224 pixels, weights inherited from the trained super-network; 2,162 different subnets, whose repeated
accuracies differ by at most 0.1. The rows are ordered by search, in the order of FILES. Accuracies are percent.
"""

import ast
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from narformer.attributes import Attribute
from narformer.cells.columns import Cells
from narformer.data.csv_file import finite, read_rows
from narformer.data.dataset import Dataset
from narformer.data.facts import Facts, verify
from narformer.data.parquet import read_columns
from narformer.errors import BadArchitecture, BadFile
from narformer.network.graph import Architecture
from narformer.spaces.ofa_mobilenetv3 import VOCABULARY, OfaMobileNetV3, from_settings

__all__ = ["ATTRIBUTES", "FACTS", "FILES", "read_csvs", "read_parquet"]

ATTRIBUTES = {
    "top1": Attribute.of(
        "top1", "%", "ImageNet validation images, 224 pixels, weights inherited from the super-network"
    ),
    "params": Attribute.of("params", "parameters", "trainable, of the whole network"),
    "macs": Attribute.of("macs", "MACs", "multiply-adds for one image of 224 pixels"),
}

FACTS = Facts(
    rows=2_373,
    best={"top1": (77.466, 0.0005)},
    ranges={"top1": (70.99, 77.47), "params": (3_400_000, 7_400_000), "macs": (120_000_000, 510_000_000)},
)

FILES = tuple(
    f"mbnv3w10_{search}.csv"
    for search in ("evoga_acc", "evonsga2_acc_macs", "evounsga3_acc_macs_params", "linasga_acc", "linasnsga2_acc_macs")
)
"""The authors' files, one for each search."""

# CRC-32 of each column of ofa_mbv3_w10_imagenet.parquet, see read_columns
_PINNED = {"arch_effective": 0x252E891F, "params": 0x8F0AE460, "macs": 0x3AC92FBA, "top1": 0x0A7AC569}

# label -> column of the authors' files
_COLUMNS = {"top1": "Top-1 Acc (%)", "params": "Model Parameters", "macs": "MACs"}
_FIELDS = 6
_EXPECTED = "the OFA-MobileNetV3 w1.0 searches of DyNAS-T"


def read_parquet(path: str | Path) -> Dataset:
    """All 2,373 rows.

    Raises BadFile where the file is damaged, cut, or contradicts the published facts; MissingExtra without pyarrow.
    """
    columns = read_columns(path, FACTS.rows, _PINNED)
    space = OfaMobileNetV3()
    try:
        subnets = [space.parse(text.replace(",", " ").replace(";", " | ")) for text in columns["arch_effective"]]
    except BadArchitecture as error:
        raise BadFile(path, f"an invalid subnet: {error}", _EXPECTED) from None
    return _dataset(subnets, {name: columns[name] for name in ATTRIBUTES}, path)


def read_csvs(path: str | Path) -> Dataset:
    """The same from the authors' files: ``path`` is one of FILES, the others are in its folder. Raises BadFile."""
    path = Path(path)
    if path.name not in FILES:
        raise BadFile(path, "a file of another name", f"one of {', '.join(FILES)}", "All five must lie in one folder.")
    subnets: list[Architecture] = []
    labels: dict[str, list[float]] = {name: [] for name in ATTRIBUTES}
    for file in (path.with_name(name) for name in FILES):
        header, *rows = read_rows(file, _FIELDS, _EXPECTED)
        missing = [column for column in ("Sub-network", *_COLUMNS.values()) if column not in header]
        if missing:
            raise BadFile(file, f"the columns {', '.join(header)[:120]}", f"a column '{missing[0]}'")
        for row in rows:
            fields = dict(zip(header, row, strict=True))
            subnets.append(_subnet(file, fields["Sub-network"]))
            for name, column in _COLUMNS.items():
                labels[name].append(finite(file, fields[column]))
    return _dataset(subnets, labels, path)


def _subnet(file: Path, text: str) -> Architecture:
    """From the authors' settings as Python prints them; nothing in the text is executed."""
    try:
        settings: Any = ast.literal_eval(text)
        return from_settings(settings["ks"], settings["e"], settings["d"])
    except (ValueError, TypeError, KeyError, SyntaxError, MemoryError, RecursionError):
        raise BadFile(file, f"the settings {text[:60]!r}", "a dictionary with lists 'ks', 'e' and 'd'") from None
    except BadArchitecture as error:
        raise BadFile(file, f"an invalid subnet: {error}", _EXPECTED) from None


def _dataset(subnets: Sequence[Architecture], labels: Mapping[str, ArrayLike], path: str | Path) -> Dataset:
    dataset = Dataset(
        name="ofa-mbv3",
        space=OfaMobileNetV3().name,
        architectures=Cells.of(subnets, VOCABULARY),
        labels={name: np.asarray(column, dtype=np.float64) for name, column in labels.items()},
        attributes=ATTRIBUTES,
        train_labels=("top1",),
        test_labels=("top1",),
    )
    return verify(dataset, FACTS, path)
