"""Published facts about a source, for checks: its rows, its optima, the range of its labels."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from narformer.data.dataset import Dataset
from narformer.errors import BadFile

__all__ = ["Facts", "contradictions", "require_file", "verify"]


@dataclass(frozen=True)
class Facts:
    """Published facts that hold for every correct copy of a source.

    rows:   number of networks
    best:   label -> (its known largest value, tolerance), in the label's unit
    ranges: label -> (smallest, largest) possible value, if the data set has that label
    """

    rows: int
    best: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)


def contradictions(dataset: Dataset, facts: Facts) -> list[tuple[str, str]]:
    """Every way in which a data set contradicts the facts, as (found, expected)."""
    if len(dataset) != facts.rows:
        return [(f"{len(dataset):,} networks", f"{facts.rows:,}")]
    absent = [name for name in facts.best if name not in dataset.labels]
    if absent:
        return [(f"labels {', '.join(dataset.labels)}", f"a label '{absent[0]}'")]
    wrong = []
    for name, (best, tolerance) in facts.best.items():
        found = np.nanmax(dataset.labels[name], initial=-np.inf)
        if not abs(found - best) <= tolerance:
            wrong.append((f"a best {name} of {found:.6g}", f"{best:.6g}, the known optimum"))
    for name, (smallest, largest) in facts.ranges.items():
        values = dataset.labels.get(name, np.empty(0))
        outside = int(np.sum((values < smallest) | (values > largest)))
        if outside:
            wrong.append((f"{outside:,} values of {name} outside the possible range", f"{smallest:g} to {largest:g}"))
    used = (*dataset.train_labels, *dataset.test_labels)
    empty = [name for name in used if np.isnan(dataset.labels[name]).all()]
    return wrong + [(f"no value of {name}", "the label that the papers use") for name in empty]


def verify(dataset: Dataset, facts: Facts, path: str | Path) -> Dataset:
    """The same data set, or BadFile where it contradicts the facts."""
    for found, expected in contradictions(dataset, facts):
        raise BadFile(path, found, expected, "The file is damaged or a different one: get it from its source again.")
    return dataset


def require_file(path: str | Path, expected: str) -> Path:
    """The path, or BadFile where there is no file, it cannot be opened, or it is empty."""
    path = Path(path)
    if not path.exists():
        raise BadFile(path, "nothing at this path", expected)
    if path.is_dir():
        raise BadFile(path, "a folder", expected)
    try:
        with path.open("rb") as file:
            empty = not file.read(1)
    except OSError as error:
        raise BadFile(path, f"a file that cannot be read ({error.strerror})", expected) from None
    if empty:
        raise BadFile(path, "an empty file", expected, "Get it from its source again.")
    return path
