"""1,000 random DARTS architectures with the CIFAR-10 accuracy of tiny networks: our parquet file and the authors' CSV.

Published with SWAP (Peng et al., ICLR 2024). Each network is a single cell, so that the numbers are far below those of
a full DARTS network and not comparable with them; the reduction cell repeats the normal one in every row. Accuracies
are percent.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from narformer.attributes import Attribute
from narformer.cells.columns import Cells
from narformer.data.csv_file import finite, read_rows
from narformer.data.dataset import Dataset
from narformer.data.facts import Facts, verify
from narformer.data.parquet import read_columns
from narformer.errors import BadArchitecture, BadFile
from narformer.spaces.darts import VOCABULARY, Darts

__all__ = ["ATTRIBUTES", "FACTS", "read_csv", "read_parquet"]

ATTRIBUTES = {
    "val_acc": Attribute.of(
        "val_acc", "%", "CIFAR-10 validation images, networks of a single cell: far below full DARTS networks, one run"
    )
}

FACTS = Facts(rows=1_000, best={"val_acc": (86.61, 0.005)}, ranges={"val_acc": (10.0, 100.0)})

# CRC-32 of each column of darts_swap1000_cifar10.parquet, see read_columns
_PINNED = {"genotype": 0x177CD1D3, "val_acc": 0x0AC8D179}

_EXPECTED = "the 1,000 genotypes and accuracies of SWAP"


def read_parquet(path: str | Path) -> Dataset:
    """All 1,000 architectures with their accuracies.

    Raises BadFile where the file is damaged, cut, or contradicts the published facts; MissingExtra without pyarrow.
    """
    columns = read_columns(path, FACTS.rows, _PINNED)
    return _dataset(columns["genotype"], columns["val_acc"], path)


def read_csv(path: str | Path) -> Dataset:
    """The same from the authors' DARTS_archs_CIFAR10.csv: genotype and accuracy, no header. Raises BadFile."""
    rows = read_rows(path, 2, _EXPECTED)
    return _dataset([genotype for genotype, _ in rows], [finite(path, accuracy) for _, accuracy in rows], path)


def _dataset(genotypes: Sequence[str], accuracies: ArrayLike, path: str | Path) -> Dataset:
    space, cells = Darts(), []
    for row, genotype in enumerate(genotypes):
        try:
            cells.append(space.parse(genotype))
        except BadArchitecture as error:
            raise BadFile(path, f"an invalid architecture in row {row} ({error})", _EXPECTED) from None
    dataset = Dataset(
        name="darts-swap1000",
        space=space.name,
        architectures=Cells.of(cells, VOCABULARY),
        labels={"val_acc": np.asarray(accuracies, dtype=np.float64)},
        attributes=ATTRIBUTES,
        train_labels=("val_acc",),
        test_labels=("val_acc",),
    )
    return verify(dataset, FACTS, path)
