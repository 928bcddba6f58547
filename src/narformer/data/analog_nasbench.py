"""AnalogNAS-Bench: the NAS-Bench-201 cells trained anew on CIFAR-10, also quantised and on analog hardware models.

The package ``analog-nasbench`` ships its table as a pickle. We read that one file as data; the package itself, which
has further dependencies, is never imported. The pickle maps six operation codes, for the edges 0→1, 0→2, 0→3, 1→2, 1→3,
2→3, to accuracies in percent. The codes 0 skip, 1 none, 2 conv 3×3, 3 conv 1×1, 4 average pool are not stated there:
they are the only assignment whose accuracies agree with NAS-Bench-201 (τ = 0.89; the next best 0.64).
"""

from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from narformer.attributes import Attribute
from narformer.data.dataset import Dataset
from narformer.data.facts import Facts, require_file
from narformer.data.restricted_pickle import Record, unpickle
from narformer.errors import BadFile
from narformer.spaces.nasbench201 import EDGES, from_arch_strings

__all__ = ["ATTRIBUTES", "FACTS", "PACKAGE", "installed", "read_analog"]

PACKAGE = "analog-nasbench"

_CODES = ("skip_connect", "none", "nor_conv_3x3", "nor_conv_1x1", "avg_pool_3x3")
_EDGES = ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))
_ORDER = [_EDGES.index(edge) for edge in EDGES]
_EXPECTED = f"the table of the package {PACKAGE}"

ATTRIBUTES = {
    name: Attribute.of(name, "%", f"CIFAR-10 test images, {note}")
    for name, note in (
        ("baseline_accuracy", "trained in floating point"),
        ("ptq_accuracy", "quantised after training"),
        ("qat_accuracy", "trained with quantisation"),
        ("noisy_accuracy", "floating-point training, run with analog noise"),
        ("analog_accuracy", "trained for and run with analog noise"),
        *(
            (f"baseline_drift_{s}", f"floating-point training, on drifted analog devices after {s} s")
            for s in (60, 3600)
        ),
        ("baseline_drift_86400", "floating-point training, on drifted analog devices after one day"),
        ("baseline_drift_2592000", "floating-point training, on drifted analog devices after thirty days"),
        *((f"analog_drift_{s}", f"analog training, on drifted analog devices after {s} s") for s in (60, 3600)),
        ("analog_drift_86400", "analog training, on drifted analog devices after one day"),
        ("analog_drift_2592000", "analog training, on drifted analog devices after thirty days"),
    )
}

FACTS = Facts(
    rows=15_625,
    best={"baseline_accuracy": (94.0664, 0.001)},
    ranges=dict.fromkeys(ATTRIBUTES, (0.0, 100.0)),
)


def installed() -> Path | None:
    """The table of the installed package, found by its list of files without importing it; None if it is absent."""
    try:
        files = metadata.files(PACKAGE) or []
    except metadata.PackageNotFoundError:
        return None
    found = [Path(str(file.locate())) for file in files if file.name == "data.anb"]
    return next((path for path in found if path.exists()), None)


def read_analog(path: str | Path) -> Dataset:
    """The cells of the package's table in its own order, which is that of the operation codes (so draw splits with a
    seed).

    Raises BadFile where the file is damaged, hostile, or not this table.
    """
    path = require_file(path, _EXPECTED)
    # new classes, so that changes by the pickle do not outlive the reading
    entry, drift = type("Entry", (Record,), {"__slots__": ()}), type("Drift", (Record,), {"__slots__": ()})
    table = {"analognasbench.data.Architecture": entry, "analognasbench.data.DriftMeasurement": drift}
    with path.open("rb") as file:
        content = unpickle(file, path, table)
    if not isinstance(content, dict) or not content:
        raise BadFile(path, f"a pickle of {type(content).__name__}", _EXPECTED)
    strings, labels = [], {name: np.full(len(content), np.nan) for name in ATTRIBUTES}
    for row, (codes, cell) in enumerate(content.items()):
        try:
            names = [_CODES[codes[edge]] for edge in _ORDER]
            for name, column in labels.items():
                column[row] = _number(cell.fields[name])
        except (TypeError, IndexError, KeyError, AttributeError, ValueError) as error:
            reason = f"{type(error).__name__} {str(error)[:60]}"
            raise BadFile(path, f"an entry {codes!r:.40} in another layout ({reason})", _EXPECTED) from None
        strings.append("|{}~0|+|{}~0|{}~1|+|{}~0|{}~1|{}~2|".format(*names))
    return Dataset(
        name=PACKAGE,
        space="nasbench201",
        architectures=from_arch_strings(strings),
        labels=labels,
        attributes=ATTRIBUTES,
        train_labels=("baseline_accuracy",),
        test_labels=("baseline_accuracy",),
    )


def _number(value: Any) -> float:
    """A plain number, or the mean of a drift measurement, which is kept with its uncertainty."""
    return float(value.fields["value"] if isinstance(value, Record) else value)
