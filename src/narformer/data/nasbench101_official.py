"""The official files of NAS-Bench-101, nasbench_full.tfrecord and nasbench_only108.tfrecord, without TensorFlow.

Each record is one training, as a JSON list: module hash, epochs, adjacency ('0' and '1', row by row), operations
joined by commas, and a base64 protocol buffer of metrics (nasbench/lib/model_metrics.proto):
ModelMetrics {evaluation_data = 1, repeated; trainable_parameters = 2; total_time = 3} and
EvaluationData {current_epoch = 1; training_time = 2; train_ = 3, validation_ = 4, test_accuracy = 5; all double}.
The three evaluations are before, halfway through and after training; the third is read, as by the official API.
"""

import base64
import json
import struct
from array import array
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from narformer.data.dataset import Dataset
from narformer.data.nasbench101 import dataset
from narformer.data.tfrecord import records
from narformer.errors import BadArchitecture, BadFile
from narformer.progress import Progress, silent

__all__ = ["read_tfrecord"]

RUNS = 3
"""Trainings of each cell."""

EPOCHS = (4, 12, 36, 108)

_DIGITS = {"conv3x3-bn-relu": "0", "conv1x1-bn-relu": "1", "maxpool3x3": "2"}
_EXPECTED = "trainings of NAS-Bench-101"


def read_tfrecord(path: str | Path, progress: Progress = silent) -> Dataset:
    """The cells of an official file in its order, with val_acc_e108 of the first run and val_acc_e108_mean of three.

    The full file (2 GB, five million records) takes several minutes; ``progress`` is called as in ``records``.
    Raises BadFile where the file is cut or damaged, a record is not a training of NAS-Bench-101, or a cell does not
    have three runs of 108 epochs. The number of cells is not tested here: small files in this layout are read as well.
    """
    cells: dict[str, tuple[int, str, str, int]] = {}
    row_R, epochs_R = array("i"), array("i")
    values_RV = array("d")  # validation accuracy, test accuracy, seconds
    for number, record in enumerate(records(path, progress)):
        try:
            name, epochs, adjacency, operations, encoded = json.loads(record)
            if epochs not in EPOCHS or not all(isinstance(text, str) for text in (name, adjacency, operations)):
                raise ValueError(f"{epochs!r:.20} epochs of {name!r:.40}")
            parameters, values = _metrics(base64.b64decode(encoded, validate=True))
            cell = cells.setdefault(name, (len(cells), adjacency, operations, parameters))
            if cell[1:] != (adjacency, operations, parameters):
                raise ValueError(f"two different cells with the hash {name}")
            row_R.append(cell[0])
            epochs_R.append(epochs)
            values_RV.extend(values)
        except (ValueError, TypeError, OverflowError, RecursionError, struct.error, IndexError) as error:
            raise BadFile(path, f"an invalid record {number:,} ({str(error)[:100]})", _EXPECTED) from None
    rows = np.frombuffer(row_R, dtype=np.int32).astype(np.int64)
    labels = _labels(rows, np.frombuffer(epochs_R, dtype=np.int32), np.frombuffer(values_RV).reshape(-1, 3), len(cells))
    runs = labels.pop("runs")
    if (runs != RUNS).any():
        row = int(np.argmax(runs != RUNS))
        raise BadFile(path, f"{runs[row]:.0f} runs of 108 epochs of the cell {list(cells)[row]}", f"{RUNS} of each")
    labels["params"] = np.array([parameters for *_, parameters in cells.values()], dtype=np.float64)
    try:
        compact = [_compact(name, adjacency, ops) for name, (_, adjacency, ops, _) in cells.items()]
        return dataset([n for n, _, _ in compact], [a for _, a, _ in compact], [o for _, _, o in compact], labels)
    except BadArchitecture as error:
        raise BadFile(path, f"an invalid cell: {error}", "cells of NAS-Bench-101") from None


def _labels(
    row_R: NDArray[np.int64], epochs_R: NDArray[np.int32], values_RV: NDArray[np.float64], cells: int
) -> dict[str, NDArray[np.float64]]:
    labels: dict[str, NDArray[np.float64]] = {}
    for epochs in EPOCHS:
        runs = np.flatnonzero(epochs_R == epochs)
        if epochs != 108 and not len(runs):
            continue
        found, first = np.unique(row_R[runs], return_index=True)
        labels[f"val_acc_e{epochs}"] = _scatter(found, values_RV[runs[first], 0], cells)
    labels["train_time_e108"] = _scatter(found, values_RV[runs[first], 2], cells)
    labels["runs"] = np.bincount(row_R[runs], minlength=cells).astype(np.float64)
    for name, column in (("val_acc_e108_mean", 0), ("test_acc", 1)):
        sums = np.bincount(row_R[runs], values_RV[runs, column], minlength=cells)
        labels[name] = sums / np.maximum(labels["runs"], 1)
    return labels


def _scatter(rows: NDArray[np.int64], values: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    column = np.full(count, np.nan)
    column[rows] = values
    return column


def _compact(name: str, adjacency: str, operations: str) -> tuple[int, str, str]:
    """Vertices, strict upper triangle and interior digits of a cell, as spaces.nasbench101.from_strings reads them."""
    names = operations.split(",")
    n = len(names)
    if n < 2 or names[0] != "input" or names[-1] != "output" or not set(names[1:-1]) <= _DIGITS.keys():
        raise BadArchitecture(f"operations '{operations[:120]}' of the cell {name}")
    lower = "".join(adjacency[i * n : i * n + i + 1] for i in range(n))
    if len(adjacency) != n * n or "1" in lower:
        raise BadArchitecture(
            f"adjacency '{adjacency[:60]}' of the cell {name}, which is not strictly upper triangular"
        )
    upper = "".join(adjacency[i * n + i + 1 : (i + 1) * n] for i in range(n))
    return n, upper, "".join(_DIGITS[interior] for interior in names[1:-1])


def _metrics(message: bytes) -> tuple[int, tuple[float, float, float]]:
    """Trainable parameters, and validation accuracy, test accuracy and seconds of the evaluation after training."""
    evaluations: list[bytes] = []
    parameters = -1
    for field, value in _fields(message):
        if field == 1 and isinstance(value, bytes):
            evaluations.append(value)
        elif field == 2 and isinstance(value, int):
            parameters = value
    if len(evaluations) != 3 or parameters < 0:
        raise ValueError(f"{len(evaluations)} evaluations, {'no' if parameters < 0 else 'a'} number of parameters")
    final = dict(_fields(evaluations[2]))
    seconds, validation, test = final.get(2), final.get(4), final.get(5)
    if not (isinstance(seconds, bytes) and isinstance(validation, bytes) and isinstance(test, bytes)):
        raise ValueError("an evaluation without its accuracies and time")
    return parameters, struct.unpack("<ddd", validation + test + seconds)


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Field numbers and raw values of a protocol buffer: varints as int, all others as bytes."""
    place = 0
    while place < len(message):
        key, place = _varint(message, place)
        wire = key & 7
        if wire == 0:
            number, place = _varint(message, place)
            yield key >> 3, number
            continue
        if wire == 2:
            size, place = _varint(message, place)
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
        else:
            raise ValueError(f"wire type {wire} in the metrics")
        if place + size > len(message):
            raise ValueError("metrics that end early")
        yield key >> 3, message[place : place + size]
        place += size


def _varint(message: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[place]  # IndexError where the message ends early
        value |= (byte & 0x7F) << shift
        place += 1
        if byte < 0x80:
            return value, place
        shift += 7
        if shift > 63:
            raise ValueError("a number of more than 64 bits in the metrics")
