"""NAS-Bench-201 as a data set: our parquet file.

Dong & Yang 2020. 15,625 cells in the order of the official API, trained for 200 epochs on three image sets with up to
three seeds. Accuracies are percent. The official file is read in nasbench201_official.py.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from narformer.attributes import Attribute
from narformer.data.dataset import Dataset, PaperRows
from narformer.data.facts import Facts, verify
from narformer.data.parquet import read_columns
from narformer.errors import BadArchitecture, BadFile
from narformer.spaces.nasbench201 import from_arch_strings

__all__ = ["ATTRIBUTES", "FACTS", "NAME", "PAPER", "dataset", "read_parquet"]

NAME = "nasbench201"
PAPER = PaperRows()

_SEEDS = "200 epochs, mean over the available seeds"
_NATS = "as published with NATS-Bench, other seeds"

ATTRIBUTES = {
    name: Attribute.of(name, unit, note)
    for name, unit, note in (
        ("cifar10_valid", "%", f"CIFAR-10 validation half, trained on the other 25,000 images, {_SEEDS}"),
        ("cifar10_test_nb201", "%", f"CIFAR-10 test images, trained on 50,000; the papers' test label, {_SEEDS}"),
        ("cifar10_test_halftrain", "%", f"CIFAR-10 test images, trained on 25,000, {_SEEDS}"),
        ("cifar10_test", "%", f"CIFAR-10 test images, trained on 50,000, {_NATS}"),
        ("cifar100_valid", "%", f"CIFAR-100 validation images, {_SEEDS}"),
        ("cifar100_test_nb201", "%", f"CIFAR-100 test images, {_SEEDS}"),
        ("cifar100_test", "%", f"CIFAR-100 test images, {_NATS}"),
        ("imagenet16_valid", "%", f"ImageNet16-120 validation images, {_SEEDS}"),
        ("imagenet16_test_nb201", "%", f"ImageNet16-120 test images, {_SEEDS}"),
        ("imagenet16_test", "%", f"ImageNet16-120 test images, {_NATS}"),
        ("cifar10_halftrain_train", "%", f"CIFAR-10 training accuracy on 25,000 images, {_SEEDS}"),
        ("cifar100_train", "%", f"CIFAR-100 training accuracy, {_SEEDS}"),
        ("imagenet16_train", "%", f"ImageNet16-120 training accuracy, {_SEEDS}"),
        ("params_m_cifar10", "M", "millions of trainable parameters, head for 10 classes"),
        ("params_m_cifar100", "M", "millions of trainable parameters, head for 100 classes"),
        ("params_m_imagenet16", "M", "millions of trainable parameters, head for 120 classes"),
    )
}

# The two official releases average over different numbers of seeds, hence the tolerance.
FACTS = Facts(
    rows=15_625,
    best={
        "cifar10_valid": (91.607, 0.2),
        "cifar10_test_nb201": (94.373, 0.2),
        "cifar100_valid": (73.493, 0.2),
        "cifar100_test_nb201": (73.513, 0.2),
        "imagenet16_valid": (46.733, 0.2),
        "imagenet16_test_nb201": (47.311, 0.2),
    },
    ranges={name: (0.0, 100.0) for name, attribute in ATTRIBUTES.items() if attribute.unit == "%"}
    | {name: (0.07, 1.54) for name, attribute in ATTRIBUTES.items() if attribute.unit == "M"},
)

# CRC-32 of each column of nasbench201.parquet, see read_columns
_PINNED = {
    "arch": 0xBE66ADF1,
    "cifar10_valid": 0x33890FE3,
    "cifar10_test": 0x492F67A2,
    "cifar10_test_nb201": 0xECD2B7A2,
    "cifar10_test_halftrain": 0x4FE58E51,
    "cifar100_valid": 0xA903E143,
    "cifar100_test": 0x3705E887,
    "cifar100_test_nb201": 0x45AAB53F,
    "imagenet16_valid": 0x8A722E8E,
    "imagenet16_test": 0x56F7FBE8,
    "imagenet16_test_nb201": 0xF6E43D61,
    "cifar10_halftrain_train": 0xA1DF8559,
    "cifar100_train": 0xAAEEB0DF,
    "imagenet16_train": 0x05AAED88,
    "params_m_cifar10": 0xE208FB3C,
    "params_m_cifar100": 0xC552CD12,
    "params_m_imagenet16": 0x3E3E9388,
}


def dataset(strings: Sequence[str], labels: Mapping[str, ArrayLike]) -> Dataset:
    """The data set of M cells from their official architecture strings and (M,) labels."""
    return Dataset(
        name=NAME,
        space="nasbench201",
        architectures=from_arch_strings(strings),
        labels={name: np.asarray(column, dtype=np.float64) for name, column in labels.items()},
        attributes={name: ATTRIBUTES[name] for name in labels},
        train_labels=("cifar10_valid",),
        test_labels=("cifar10_test_nb201",),
        paper=PAPER,
    )


def read_parquet(path: str | Path) -> Dataset:
    """All 15,625 cells with their labels on three image sets.

    Raises BadFile where the file is damaged, cut, or contradicts the published facts; MissingExtra without pyarrow.
    """
    columns = read_columns(path, FACTS.rows, _PINNED)
    try:
        cells = dataset(columns["arch"], {name: columns[name] for name in ATTRIBUTES})
    except BadArchitecture as error:
        raise BadFile(path, f"an invalid cell: {error}", "cells of NAS-Bench-201") from None
    return verify(cells, FACTS, path)
