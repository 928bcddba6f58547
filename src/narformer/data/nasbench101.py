"""NAS-Bench-101 as a data set: our parquet file and the official TFRecord file.

Ying et al. 2019. 423,624 cells, trained for 4, 12, 36 and 108 epochs on CIFAR-10, three times each.
Accuracies are fractions. The rows are in the order of the official file, which is that of the cells' hashes.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from narformer.attributes import Attribute
from narformer.data.dataset import Dataset, PaperRows
from narformer.data.facts import Facts, verify
from narformer.data.parquet import read_columns
from narformer.errors import BadArchitecture, BadFile
from narformer.spaces.nasbench101 import from_strings

__all__ = ["ATTRIBUTES", "FACTS", "NAME", "PAPER", "dataset", "read_parquet"]

NAME = "nasbench101"

PAPER = PaperRows({"100": 100})
"""TNASP and NAR-Former test on the 100 labelled cells after validation, too."""

_ONE_RUN = "one run; absent where it was not at hand"
ATTRIBUTES = {
    "params": Attribute.of("params", "parameters", "trainable, of the whole network"),
    "test_acc": Attribute.of("test_acc", "fraction", "CIFAR-10 test images after 108 epochs, mean of 3 runs"),
    "val_acc_e4": Attribute.of("val_acc_e4", "fraction", f"CIFAR-10 validation images after 4 epochs, {_ONE_RUN}"),
    "val_acc_e12": Attribute.of("val_acc_e12", "fraction", f"CIFAR-10 validation images after 12 epochs, {_ONE_RUN}"),
    "val_acc_e36": Attribute.of("val_acc_e36", "fraction", f"CIFAR-10 validation images after 36 epochs, {_ONE_RUN}"),
    "val_acc_e108": Attribute.of(
        "val_acc_e108", "fraction", f"CIFAR-10 validation images after 108 epochs, {_ONE_RUN}"
    ),
    "val_acc_e108_mean": Attribute.of(
        "val_acc_e108_mean", "fraction", "CIFAR-10 validation images after 108 epochs, mean of 3 runs"
    ),
    "train_time_e108": Attribute.of("train_time_e108", "s", f"training of 108 epochs on a TPU, {_ONE_RUN}"),
}

FACTS = Facts(
    rows=423_624,
    best={"test_acc": (0.943176, 1e-6)},
    ranges={"params": (227_274, 49_979_274)}
    | {name: (0.0, 1.0) for name, attribute in ATTRIBUTES.items() if attribute.unit == "fraction"},
)

# CRC-32 of each column of nasbench101_full.parquet, see read_columns
_PINNED = {
    "n_vertices": 0xD9FE84B9,
    "adj": 0x8ED77A5F,
    "ops": 0xCB3B222E,
    "params": 0xF32B4D32,
    "test_acc": 0xBC841C83,
    "val_acc_e4": 0x041CF6E3,
    "val_acc_e12": 0xA98E9A4B,
    "val_acc_e36": 0x35C96184,
    "val_acc_e108": 0x0011701C,
    "train_time_e108": 0x00DE063C,
}


def dataset(
    n_vertices: ArrayLike, adjacencies: list[str], operations: list[str], labels: Mapping[str, ArrayLike]
) -> Dataset:
    """The data set of M cells from their compact strings (see spaces.nasbench101.from_strings) and (M,) labels."""
    return Dataset(
        name=NAME,
        space="nasbench101",
        architectures=from_strings(n_vertices, adjacencies, operations),
        labels={name: np.asarray(column, dtype=np.float64) for name, column in labels.items()},
        attributes={name: ATTRIBUTES[name] for name in labels},
        train_labels=("val_acc_e108",),
        test_labels=("test_acc",),
        paper=PAPER,
    )


def read_parquet(path: str | Path) -> Dataset:
    """All 423,624 cells with their labels; 30,001 of them have validation accuracies.

    Raises BadFile where the file is damaged, cut, or contradicts the published facts; MissingExtra without pyarrow.
    """
    columns = read_columns(path, FACTS.rows, _PINNED)
    labels = {name: columns[name] for name in ATTRIBUTES if name in columns}
    try:
        cells = dataset(columns["n_vertices"], columns["adj"], columns["ops"], labels)
    except BadArchitecture as error:
        raise BadFile(path, f"an invalid cell: {error}", "cells of NAS-Bench-101") from None
    return verify(cells, FACTS, path)
