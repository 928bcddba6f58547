"""The papers' printed tables with our runs beside them."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import get_args

import numpy as np

from narformer.data import load
from narformer.data.splits import VALIDATION
from narformer.errors import BadRecipe, lookup
from narformer.papers import Place, Setting, assemble, read_table, run_row, write_all
from narformer.papers.recipes import Variant
from narformer.papers.results import TableResult
from narformer.papers.tables import Table
from narformer.progress import Progress, silent

__all__ = ["RESULTS", "Which", "table"]

RESULTS = Path("results")


@dataclass(frozen=True)
class Which:
    """Which runs of a table.

    row, size, unseen: only those of this system, this number of training networks, this family left out of training
    variant: recipes to run, quick or paper
    data:    another source of whole networks with the authors' split; all of its training networks train, except
             those that validate ("nnlqp", the official folder, whose latencies were printed)
    """

    row: str | None = None
    size: int | None = None
    unseen: str | None = None
    variant: str = "quick"
    data: str | None = None


EVERY = Which()


def table(
    name: str,
    results: Path = RESULTS,
    which: Which = EVERY,
    seeds: int = 0,
    fresh: bool = False,
    progress: Progress = silent,
) -> TableResult:
    """A printed table with our stored runs beside it; with ``seeds`` > 0 its missing runs are trained first.

    fresh: train them even if stored. Raises BadRecipe where the table has no such number.
    """
    printed = read_table(name) if which.data is None else _of_source(read_table(name), which.data)
    variants: dict[str, Variant] = {name: name for name in get_args(Variant)}
    variant = lookup(variants, which.variant, "kind of recipe")
    rows = [printed.row(which.row)] if which.row is not None else [r for r in printed.rows if r.recipe is not None]
    pairs = [(r, setting) for r in rows for setting in printed.settings(r)]
    wanted = [(r, s) for r, s in pairs if which.size in (None, s.n) and which.unseen in (None, s.unseen)]
    if not wanted:
        known = "; ".join(dict.fromkeys(str(setting) for _, setting in pairs))
        raise BadRecipe(f"{name} has no number for {Setting(which.size, which.unseen)}; it has {known}")
    if fresh and which.row is None:
        raise BadRecipe("--fresh repeats stored runs: choose a row with --row (and --size, --unseen)")
    place = Place(results, Path("runs"), fresh)
    for r, setting in wanted if seeds else ():
        for seed in range(seeds):
            report = partial(_report, progress, f"{r.system} {setting} seed {seed}")
            run_row(printed, r, setting, seed, place, variant, report)
            write_all(results)
    return assemble(printed, results)


def _report(progress: Progress, label: str, phase: str, done: int, total: int, score: float | None) -> None:
    progress(f"{label}: {phase}", done, total, score)


def _of_source(printed: Table, data: str) -> Table:
    dataset = load(data)
    if dataset.official is None or dataset.family_M is None:
        raise BadRecipe(f"'{data}' has no split by its authors; expected whole networks of families, such as nnlqp")
    families = np.unique(dataset.family_M, return_counts=True)[1]
    unseen = any(column.unseen for column in printed.columns)
    train = len(dataset) - families.max() if unseen else len(dataset.official.train)
    return printed.on(data, int(train) - VALIDATION)
