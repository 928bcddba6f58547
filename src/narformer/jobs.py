"""Everything a person can ask for, one function each; the command line only translates to and from them."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np

from narformer.arch import Architecture
from narformer.arch.cells import Cells
from narformer.data import load as load_data
from narformer.data import split as split_data
from narformer.errors import BadArchitecture, BadFile, BadPredictor, BadRecipe, NarformerError, lookup
from narformer.papers import assemble, read_table, run_row, write_all
from narformer.papers.recipes import Variant
from narformer.papers.results import TableResult
from narformer.papers.runs import write_whole
from narformer.predictors import saved
from narformer.predictors.neural import NeuralPredictor
from narformer.spaces import SPACES
from narformer.spaces.space import Space
from narformer.training import experiment
from narformer.training.evaluate import evaluate as score
from narformer.training.experiment import check_device
from narformer.training.loop import Progress, silent
from narformer.training.recipe import Recipe

RESULTS = Path("results")
PRETRAINED = Path(__file__).parent / "pretrained"
LARGEST_LIST = 2**28  # bytes of a file of cells
LONGEST_NAME = 255  # characters of a file's name


@dataclass(frozen=True)
class Ranked:
    """One architecture of an answer: its rank (1 is best), the predicted value, and its text in the space's form."""

    rank: int
    value: float
    text: str


@dataclass(frozen=True)
class Prediction:
    """A ranked answer: the best architectures first, with the attribute's name and unit."""

    predictor: str
    space: str
    attribute: str
    unit: str
    scored: int
    ranked: list[Ranked]


def train(
    recipe: Path,
    seed: int = 0,
    out: Path | None = None,
    changes: dict[str, Any] | None = None,
    device: str = "cpu",
    progress: Progress = silent,
) -> dict[str, Any]:
    """Train a recipe and save the predictor to ``out`` (runs/<system>-<hash>-s<seed>); the scores and the facts.

    An interrupted run resumes from its folder; a finished one is not trained again.
    """
    read = Recipe.read(recipe, changes)
    folder = out or Path("runs") / f"{read.system}-{read.hash()}-s{seed}"
    if folder.exists() and not folder.is_dir():
        raise BadFile(folder, "a file", "a folder for the run", "Choose another --out.")
    result = folder / "result.json"
    if result.exists() and (folder / "predictor").exists():
        facts: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
        if (facts.get("recipe_hash"), facts.get("seed")) != (read.hash(), seed):
            raise BadFile(
                result, f"the result of recipe {facts.get('recipe_hash')}", read.hash(), "Choose another --out."
            )
        return facts
    trained = experiment.train(read, seed, folder=folder, progress=progress, device=device)
    scores = score(trained.predictor, trained.dataset, trained.split, read.data.test_label, read.data.label, progress)
    trained.predictor.facts |= {"scores": scores}
    saved.save(trained.predictor, folder / "predictor")
    facts = trained.facts | {"scores": scores, "predictor": str(folder / "predictor")}
    write_whole(result, json.dumps(facts, indent=1) + "\n")
    (folder / "state.safetensors").unlink(missing_ok=True)
    return facts


def predict(
    cells: Sequence[str],
    predictor: str,
    best: int | None = None,
    device: str = "cpu",
    progress: Progress = silent,
) -> Prediction:
    """Rank architectures: texts of cells, files of them (.txt, .json, .jsonl, .csv), ``-``, or a space's name."""
    check_device(device)
    loaded = load_predictor(predictor)
    loaded.model.to(device)
    space = lookup(SPACES, loaded.space, "space")
    architectures = read_architectures(cells, space)
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        progress("predict", done, len(architectures), None)

    value_M = loaded.predict(architectures, advance=advance)[:, 0]
    order_M = np.argsort(-value_M, kind="stable")[:best]
    return Prediction(
        predictor=predictor,
        space=loaded.space,
        attribute=loaded.attribute.name,
        unit=loaded.attribute.unit,
        scored=len(architectures),
        ranked=[
            Ranked(rank, float(value_M[row]), space.format(architectures[int(row)]))
            for rank, row in enumerate(order_M, start=1)
        ],
    )


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

    ``tau_unseen`` leaves out what the predictor was trained on or selected with, whatever the split; on other data
    than its own that is not known, and the score is left out. Raises BadPredictor for data of another space.
    """
    check_device(device)
    loaded = load_predictor(predictor)
    loaded.model.to(device)
    own = loaded.facts.get("trained_on") or {}
    dataset = load_data(data or own.get("data", loaded.space))
    if dataset.space != loaded.space:
        raise BadPredictor(f"'{predictor}' predicts cells of {loaded.space}; '{dataset.name}' holds {dataset.space}")
    seed = own.get("split_seed") if seed is None else seed
    rows = split_data(dataset, split or own.get("split", "paper"), train or own.get("train", 1), seed)
    at_home = own.get("data") == dataset.name
    if at_home:
        seen = split_data(dataset, own["split"], own["train"], own["split_seed"])
        rows = replace(rows, train=np.union1d(seen.train, seen.validation))
    scores = score(
        loaded,
        dataset,
        rows,
        test_label=own.get("test_label") if at_home else None,
        train_label=own.get("label") if at_home else None,
        progress=progress,
    )
    return scores if at_home else {name: value for name, value in scores.items() if name != "tau_unseen"}


def table(
    name: str,
    results: Path = RESULTS,
    row: str | None = None,
    size: int | None = None,
    seeds: int = 0,
    variant: Variant = "quick",
    fresh: bool = False,
    progress: Progress = silent,
) -> TableResult:
    """A printed table with our stored runs beside it; with ``seeds`` > 0 its missing runs are made first.

    row, size: only the runs of this system, of this number of training cells; fresh: make them even if stored.
    """
    printed = read_table(name)
    lookup(dict.fromkeys(get_args(Variant)), variant, "kind of recipe")
    rows = [printed.row(row)] if row is not None else [r for r in printed.rows if r.recipe is not None]
    wanted = [(r, n) for r in rows for n in printed.sizes(r) if size in (None, n)]
    if not wanted:
        sizes = sorted({n for r in rows for n in printed.sizes(r) if n is not None})
        raise BadRecipe(f"{name} has no number for {size} training cells; it has {', '.join(map(str, sizes))}")
    if fresh and row is None:
        raise BadRecipe("--fresh runs again what is stored: say which with --row (and --size)")
    if seeds:
        for r, n in wanted:
            for seed in range(seeds):
                label = f"{r.system} {n or ''} seed {seed}"

                def report(phase: str, done: int, total: int, tau: float | None, label: str = label) -> None:
                    progress(f"{label}: {phase}", done, total, tau)

                run_row(
                    printed, r, n, seed, variant, results=results, folder=Path("runs"), progress=report, fresh=fresh
                )
                write_all(results)
    return assemble(printed, results)


def predictors() -> list[dict[str, Any]]:
    """The predictors that ship with the package: name, space, attribute, what they were trained on, their scores."""
    found = []
    for folder in sorted(path.parent for path in PRETRAINED.glob("*/manifest.json")):
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
    """A predictor by the name of a shipped one or by its folder (a run's folder will do)."""
    folder = Path(name)
    if (folder / "predictor").is_dir():
        folder = folder / "predictor"
    if folder.is_dir():
        return saved.load(folder)
    shipped = {path.parent.name: path.parent for path in PRETRAINED.glob("*/manifest.json")}
    return saved.load(lookup(shipped, name, "predictor"))


def read_architectures(cells: Sequence[str], space: Space) -> Sequence[Architecture]:
    """Architectures from texts, files of texts, ``-`` (standard input), or the whole space by its name."""
    if list(cells) == [space.name]:
        return space.enumerate()
    if len(cells) == 1 and cells[0] in SPACES:
        raise BadPredictor(f"this predictor knows cells of {space.name}, not of {cells[0]}")
    architectures = []
    for where, text in ((where, text) for item in cells for where, text in _texts(item)):
        try:
            architectures.append(space.parse(text))
        except BadArchitecture as error:
            raise BadArchitecture(f"{where}: {error}") from None
    if not architectures:
        raise BadArchitecture("no cell was given: give texts, files of them, '-' for standard input, or a space's name")
    return Cells.of(architectures, space.vocabulary)


def _texts(item: str) -> list[tuple[str, str]]:
    """(where, text) of each cell that one argument stands for."""
    if item == "-":
        return _lines("standard input", sys.stdin.read())
    if "|" in item or "{" in item:
        return [(f"cell '{item[:60]}'", item)]
    path = Path(item[:LONGEST_NAME])
    if path.is_dir():
        raise BadFile(path, "a folder", "a file of cells, one per line, or the text of a cell")
    if not path.is_file() and path.suffix:
        raise BadFile(path, "no such file", "a file of cells, one per line, or the text of a cell")
    if not path.is_file():
        lookup(dict.fromkeys([*SPACES, "-"]), item[:LONGEST_NAME], "file, cell or space")
    if path.stat().st_size > LARGEST_LIST:
        raise BadFile(path, f"{path.stat().st_size} bytes", f"at most {LARGEST_LIST}", "Split it.")
    try:
        content = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise BadFile(path, "bytes that are not UTF-8 text", "one cell per line") from None
    if path.suffix != ".json":
        return _lines(str(path), content)
    try:
        entries = json.loads(content)
    except (json.JSONDecodeError, RecursionError) as error:
        raise BadFile(path, f"JSON that does not parse ({error})", "a list of cells", "Is it truncated?") from None
    if not isinstance(entries, list):
        raise BadFile(path, f"a JSON {type(entries).__name__}", "a list of cells (texts or objects)")
    return [(f"{path}, entry {i}", e if isinstance(e, str) else json.dumps(e)) for i, e in enumerate(entries)]


def _lines(name: str, content: str) -> list[tuple[str, str]]:
    """(where, text) of each line that is not blank and no comment."""
    lines = ((number, line.strip()) for number, line in enumerate(content.splitlines(), start=1))
    return [(f"{name}, line {number}", line) for number, line in lines if line and not line.startswith("#")]


__all__ = [
    "NarformerError",
    "Prediction",
    "Ranked",
    "evaluate",
    "load_predictor",
    "predict",
    "predictors",
    "read_architectures",
    "table",
    "train",
]
