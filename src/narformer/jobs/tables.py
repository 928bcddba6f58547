"""The papers' printed tables with our runs beside them."""

from pathlib import Path
from typing import get_args

import numpy as np

from narformer.data import load
from narformer.data.splits import VALIDATION
from narformer.errors import BadRecipe, lookup
from narformer.papers import Setting, assemble, read_table, run_row, write_all
from narformer.papers.recipes import Variant
from narformer.papers.results import TableResult
from narformer.papers.tables import Table
from narformer.training.loop import Progress, silent

__all__ = ["RESULTS", "table"]

RESULTS = Path("results")


def table(
    name: str,
    results: Path = RESULTS,
    row: str | None = None,
    size: int | None = None,
    unseen: str | None = None,
    seeds: int = 0,
    variant: Variant = "quick",
    fresh: bool = False,
    progress: Progress = silent,
    data: str | None = None,
) -> TableResult:
    """A printed table with our stored runs beside it; with ``seeds`` > 0 its missing runs are made first.

    row, size, unseen: only the runs of this system, of this number of training networks, without this family among
    them; fresh: make them even if stored; data: another source of whole networks with the authors' split, all of whose
    training networks but those that validate train ("nnlqp", the official folder, of which latencies were printed).
    """
    printed = read_table(name) if data is None else _of_source(read_table(name), data)
    lookup(dict.fromkeys(get_args(Variant)), variant, "kind of recipe")
    rows = [printed.row(row)] if row is not None else [r for r in printed.rows if r.recipe is not None]
    pairs = [(r, setting) for r in rows for setting in printed.settings(r)]
    wanted = [(r, s) for r, s in pairs if size in (None, s.n) and unseen in (None, s.unseen)]
    if not wanted:
        known = "; ".join(dict.fromkeys(str(setting) for _, setting in pairs))
        raise BadRecipe(f"{name} has no number for {Setting(size, unseen)}; it has {known}")
    if fresh and row is None:
        raise BadRecipe("--fresh runs again what is stored: say which with --row (and --size, --unseen)")
    if seeds:
        for r, setting in wanted:
            for seed in range(seeds):
                label = f"{r.system} {setting} seed {seed}"

                def report(phase: str, done: int, total: int, tau: float | None, label: str = label) -> None:
                    progress(f"{label}: {phase}", done, total, tau)

                run_row(
                    printed,
                    r,
                    setting,
                    seed,
                    variant,
                    results=results,
                    folder=Path("runs"),
                    progress=report,
                    fresh=fresh,
                )
                write_all(results)
    return assemble(printed, results)


def _of_source(printed: Table, data: str) -> Table:
    dataset = load(data)
    if dataset.official is None or dataset.family_M is None:
        raise BadRecipe(f"'{data}' has no split by its authors; expected whole networks of families, such as nnlqp")
    families = np.unique(dataset.family_M, return_counts=True)[1]
    unseen = any(column.unseen for column in printed.columns)
    train = len(dataset) - families.max() if unseen else len(dataset.official.train)
    return printed.on(data, int(train) - VALIDATION)
