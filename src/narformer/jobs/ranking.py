"""What saved predictors say of architectures, and how right they are."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narformer.cells.columns import Cells
from narformer.data import load as load_data
from narformer.data import split as split_data
from narformer.data.dataset import Dataset, Split
from narformer.data.splits import VALIDATION
from narformer.data.table_file import digest, is_table, read_table_file
from narformer.errors import BadPredictor, lookup, printable
from narformer.jobs.cells import read_architectures
from narformer.jobs.networks import is_network, may_be_network
from narformer.network import Architecture
from narformer.predictors import saved
from narformer.predictors.manifest import Manifest
from narformer.predictors.neural import NeuralPredictor
from narformer.spaces import space_called
from narformer.tokens import TOKENIZERS, CellTokenizer
from narformer.training.evaluate import evaluate as score
from narformer.training.experiment import check_device
from narformer.training.loop import Progress, silent

__all__ = [
    "PRETRAINED",
    "Prediction",
    "Ranked",
    "compare",
    "evaluate",
    "load_predictor",
    "predict",
    "predictors",
    "reads_networks",
    "suited",
]

PRETRAINED = Path(__file__).parents[1] / "pretrained"
DEFAULT = "latency_ort"  # of those that ship for whole networks, the first to answer


@dataclass(frozen=True)
class Ranked:
    """One architecture of an answer.

    rank:       1 is best
    row:        its place among the architectures that were given, from 1
    value:      in the attribute's unit; low and high bound it with the answer's confidence, None if that is not known
    beats_next: probability that it is truly better (larger, or smaller in an ascending answer) than the next one
    text:       in the space's form
    larger:     has more vertices or edges than any cell trained on, so that neither value nor interval can be trusted;
                None where that is not known
    """

    rank: int
    row: int
    value: float
    text: str
    low: float | None = None
    high: float | None = None
    beats_next: float | None = None
    larger: bool | None = None


@dataclass(frozen=True)
class Prediction:
    """A ranked answer: the best architectures first, with the attribute's name and unit ("" where it is not known).

    confidence: share of true values between low and high; None where the predictor was not calibrated
    label:      what it was trained on, and of which intervals are; "" where that is not known
    """

    predictor: str
    space: str
    attribute: str
    unit: str
    scored: int
    ranked: list[Ranked]
    confidence: float | None = None
    label: str = ""


def predict(
    cells: Sequence[str],
    predictor: str,
    best: int | None = None,
    device: str = "cpu",
    progress: Progress = silent,
    ascending: bool = False,
) -> Prediction:
    """Rank architectures: texts of cells, files of them (.txt, .json, .jsonl, .csv), ``-``, or a space's name.

    ``ascending`` puts the smallest value first, for what is better when it is lower.
    """
    check_device(device)
    loaded = load_predictor(predictor)
    if networks := [text for text in cells if is_network(text)]:
        raise BadPredictor(
            f"'{predictor}' predicts cells of {loaded.space}; found the network '{printable(networks[0])}'"
        )
    loaded.model.to(device)
    space = space_called(loaded.space, loaded.tokenizer.vocabulary)
    architectures = read_architectures(cells, space)
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        progress("predict", done, len(architectures), None)

    opinion_ME = loaded.opinions(architectures, advance=advance)
    value_M = loaded.target.inverse(opinion_ME.mean(axis=1))
    order_M = np.argsort(value_M if ascending else -value_M, kind="stable")
    sure = _certainty(loaded, opinion_ME[order_M], ascending)
    larger_M = _larger(loaded, architectures)
    return Prediction(
        predictor=predictor,
        space=loaded.space,
        attribute=loaded.attribute.name,
        unit=loaded.attribute.unit,
        scored=len(architectures),
        ranked=[
            Ranked(
                rank,
                int(row) + 1,
                float(value_M[row]),
                space.format(architectures[int(row)]),
                *sure[rank - 1],
                larger=None if larger_M is None else bool(larger_M[row]),
            )
            for rank, row in enumerate(order_M[:best], start=1)
        ],
        confidence=None if loaded.calibration is None else loaded.calibration.level,
        label=str((loaded.facts.get("trained_on") or {}).get("label", "")),
    )


def _larger(predictor: NeuralPredictor, architectures: Sequence[Architecture]) -> NDArray[np.bool_] | None:
    """(M,) which cells have more vertices or edges than those trained on; None where the predictor does not tell."""
    largest = predictor.facts.get("largest")
    if not isinstance(largest, dict):
        return None
    cells = Cells.of(architectures, predictor.tokenizer.vocabulary)
    bounds = [largest.get(key, np.inf) for key in ("vertices", "edges")]
    return np.asarray((cells.count_M > bounds[0]) | (cells.edges_M > bounds[1]))


def _certainty(
    predictor: NeuralPredictor, opinion_NE: NDArray[np.float64], ascending: bool
) -> list[tuple[float | None, float | None, float | None]]:
    """Of each place in a ranking: both ends of its interval, and the probability that it beats the next place."""
    calibration, bounds = predictor.calibration, predictor.interval(opinion_NE)
    if calibration is None or bounds is None:
        return [(None, None, None)] * len(opinion_NE)
    better_NE, worse_NE = opinion_NE[:-1], opinion_NE[1:]
    beats_N = calibration.beats(worse_NE, better_NE) if ascending else calibration.beats(better_NE, worse_NE)
    beats = [*beats_N.tolist(), None]
    return list(zip(bounds[0].tolist(), bounds[1].tolist(), beats, strict=True))


def compare(first: str, second: str, predictor: str) -> float | None:
    """The probability that the true value of the first cell is larger than that of the second.

    None where the predictor was not calibrated. Raises BadArchitecture for a text that is no cell of its space.
    """
    loaded = load_predictor(predictor)
    space = space_called(loaded.space, loaded.tokenizer.vocabulary)
    opinion_2E = loaded.opinions([space.parse(first), space.parse(second)])
    if loaded.calibration is None:
        return None
    return float(loaded.calibration.beats(opinion_2E[:1], opinion_2E[1:])[0])


def reads_networks(predictor: str) -> bool:
    """Whether a predictor is of whole networks, not of cells. Raises UnknownName, BadPredictor."""
    return _of_networks(saved.read_manifest(_folder(predictor)))


def suited(nets: Sequence[str]) -> tuple[str, ...]:
    """The shipped predictors that answer for these: all of whole networks, or the one of a space given by its name.

    Raises BadPredictor where none does, or several could.
    """
    shipped = {folder.name: saved.read_manifest(folder) for folder in _shipped()}
    if all(may_be_network(net) for net in nets):
        found = tuple(sorted((n for n, m in shipped.items() if _of_networks(m)), key=lambda name: name != DEFAULT))
    else:
        found = tuple(name for name, m in shipped.items() if not _of_networks(m) and set(nets) == {m.space})[:1]
    if not found:
        known = ", ".join(shipped)
        raise BadPredictor(f"it is not plain which predictor is meant; say it with --predictor: {known}, or a folder")
    return found


def evaluate(
    predictor: str,
    data: str | None = None,
    split: str | None = None,
    train: int | None = None,
    seed: int | None = None,
    device: str = "cpu",
    progress: Progress = silent,
) -> dict[str, float]:
    """Scores of a saved predictor; data, split and training size default to those of its own training.

    data: a data set's name, or the path of a table. The one that it was trained on is known wherever it lies now; of
        another one all rows test, where no split is named.

    ``tau_unseen`` leaves out what the predictor was trained on or selected with, whatever the split; on other data
    than its own that is not known, and the score is left out. Raises BadPredictor for data of another space, or
    where its own table is gone or was changed.
    """
    check_device(device)
    loaded = load_predictor(predictor)
    loaded.model.to(device)
    own = loaded.facts.get("trained_on") or {}
    dataset = _scored(loaded, predictor, data)
    if dataset.space != loaded.space:
        raise BadPredictor(f"'{predictor}' predicts cells of {loaded.space}; '{dataset.name}' holds {dataset.space}")
    seed = own.get("split_seed") if seed is None else seed
    at_home = own.get("data") == dataset.name
    elsewhere = data is not None and is_table(data) and not at_home and split is None
    validation = own.get("validation", VALIDATION) if at_home else VALIDATION
    unseen = own.get("unseen") if at_home else None
    if at_home:
        dataset = replace(dataset, train_label=own["label"], test_label=own["test_label"])
    if elsewhere:
        none = np.empty(0, dtype=np.int64)
        rows = Split("all", none, none, np.arange(len(dataset)), None)
    else:
        size = train or own.get("train", 1)
        rows = split_data(dataset, split or own.get("split", "paper"), size, seed, validation, unseen)
    if at_home:
        seen = split_data(dataset, own["split"], own["train"], own["split_seed"], validation, unseen)
        rows = replace(rows, train=np.union1d(seen.train, seen.validation))
    scores = score(loaded, dataset, rows, progress)
    return scores if at_home else {name: value for name, value in scores.items() if name != "tau_unseen"}


def _scored(loaded: NeuralPredictor, predictor: str, data: str | None) -> Dataset:
    """The data set of ``evaluate``; a table that the predictor was trained on has the name that it had then."""
    own = loaded.facts.get("trained_on") or {}
    table: dict[str, Any] = (loaded.facts.get("recipe") or {}).get("data") or {}
    path: str | None = table.get("file") if data is None else data
    if path is None or not is_table(path):
        return load_data(data or own.get("data", loaded.space))
    if data is None and not Path(path).is_file():
        raise BadPredictor(f"'{predictor}' was trained on '{path}', which is not there; say with --data where it is")
    at_home = digest(path) == table.get("sha256")
    dataset = read_table_file(path, own.get("label"), table.get("sha256") if data is None else None)
    name = own["data"] if at_home else f"{path}, another table"
    return replace(dataset, name=name)


def predictors() -> list[dict[str, Any]]:
    """The predictors that ship with the package: name, space, attribute, what they were trained on, their scores."""
    found = []
    for folder in _shipped():
        manifest = saved.read_manifest(folder)
        facts = manifest.facts
        found.append(
            {
                "name": folder.name,
                "space": manifest.space,
                "attribute": manifest.attribute.name,
                "unit": manifest.attribute.unit,
                "system": facts.get("system"),
                "trained_on": facts.get("trained_on"),
                "scores": facts.get("scores"),
            }
        )
    return found


def load_predictor(name: str) -> NeuralPredictor:
    """A predictor by the name of a shipped one or by its folder (a run's folder will do).

    Raises UnknownName, or BadPredictor where it cannot be read.
    """
    return saved.load(_folder(name))


def _folder(name: str) -> Path:
    folder = Path(name)
    if (folder / "predictor").is_dir():
        folder = folder / "predictor"
    return folder if folder.is_dir() else lookup({path.name: path for path in _shipped()}, name, "predictor")


def _shipped() -> list[Path]:
    return sorted(path.parent for path in PRETRAINED.glob("*/manifest.json"))


def _of_networks(manifest: Manifest) -> bool:
    return not issubclass(TOKENIZERS.get(manifest.tokenizer.name, CellTokenizer), CellTokenizer)
