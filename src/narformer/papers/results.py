"""Ours beside printed: each number of a table with the stored runs that belong to it, and how they compare."""

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from narformer.papers.recipes import Variant, deviations, differences
from narformer.papers.rows import row_recipe
from narformer.papers.runs import Run, stored
from narformer.papers.tables import Column, Metric, Row, Score, Table

Status = Literal["reproduced", "near", "off", "ahead", "behind", "not run"]
_ROUNDING = 1e-9


class Values(BaseModel):
    """One score over seeds. sd: of a sample; None under two seeds."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    values: tuple[float, ...] = ()
    mean: float | None = None
    sd: float | None = None


class Cell(BaseModel):
    """A printed number and ours; where the system is our own, nothing is printed.

    runs_here: whether the row has a recipe; values, mean, sd: as in Values; also: further scores of the same runs
    seconds, seconds_scoring: means over the runs; recipe: the kind that was run; machine: where
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    backbone: str | None
    system: str
    mark: str
    column: str
    n: int | None
    metric: Metric
    score: Score
    printed: float | None
    printed_mark: str
    runs_here: bool
    status: Status
    values: tuple[float, ...]
    mean: float | None
    sd: float | None
    seeds: tuple[int, ...] = ()
    also: dict[Score, Values] = {}
    seconds: float | None = None
    seconds_scoring: float | None = None
    recipe: Variant | None = None
    recipe_hash: str | None = None
    machine: tuple[str, ...] = ()


class TableResult(BaseModel):
    """A table as measured. differences: system -> where its runs depart from the original, one sentence each."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    format: Literal[1] = 1
    table: Table
    cells: tuple[Cell, ...]
    differences: dict[str, tuple[str, ...]]

    def cell(self, system: str, column: str) -> Cell | None:
        """The cell of a system in a column; None where the paper has a dash."""
        return next((cell for cell in self.cells if (cell.system, cell.column) == (system, column)), None)


def assemble(table: Table, results: Path) -> TableResult:
    """Every printed number with the stored runs of its recipe: of the paper recipe where there are any, else of quick.

    Raises BadFile for a damaged run.
    """
    cells, departures = [], {}
    for row in table.rows:
        found = {n: _runs(table, row, n, results) for n in table.sizes(row)}
        cells += [_cell(table, row, column, *found[column.n]) for column in table.columns_of(row)]
        sentences = _differences(table, row, {n: kind for n, (kind, runs) in found.items() if runs})
        if sentences:
            departures[row.system] = tuple(sentences)
    return TableResult(table=table, cells=tuple(cells), differences=departures)


def compare(metric: Metric, printed: float, mean: float | None) -> Status:
    """How our mean compares: for τ reproduced from printed - 0.01, near from printed - 0.03.

    Milliseconds were printed for another machine: reproduced up to a tenth above printed, near up to twice.
    """
    if mean is None:
        return "not run"
    if metric == "milliseconds":
        return "reproduced" if mean <= 1.1 * printed else "near" if mean <= 2 * printed else "off"
    short = printed - mean - _ROUNDING
    return "reproduced" if short <= 0.01 else "near" if short <= 0.03 else "off"


def surpass(best: float, mean: float | None) -> Status:
    """How a system of our own stands to the best printed number of its column."""
    return "not run" if mean is None else "ahead" if mean > best else "behind"


def _runs(table: Table, row: Row, n: int | None, results: Path) -> tuple[Variant, list[Run]]:
    if row.recipe is None:
        return "quick", []
    if not row.own:
        paper = stored(results, row_recipe(table, row, n, "paper"))
        if paper or n is None:
            return "paper", paper
    return "quick", stored(results, row_recipe(table, row, n, "quick"))


def _cell(table: Table, row: Row, column: Column, kind: Variant, runs: Sequence[Run]) -> Cell:
    ours, printed = _values(runs, column.score), row.printed.get(column.key)
    return Cell(
        backbone=row.backbone,
        system=row.system,
        mark=row.mark,
        column=column.key,
        n=column.n,
        metric=table.metric,
        score=column.score,
        printed=printed,
        printed_mark=row.marks.get(column.key, ""),
        runs_here=row.recipe is not None,
        status=surpass(table.best(column), ours.mean) if printed is None else compare(table.metric, printed, ours.mean),
        values=ours.values,
        mean=ours.mean,
        sd=ours.sd,
        seeds=tuple(run.seed for run in runs),
        also={score: _values(runs, score) for score in table.also} if runs else {},
        seconds=_mean([run.seconds_training for run in runs], 1),
        seconds_scoring=_mean([run.seconds_scoring for run in runs], 1),
        recipe=kind if runs else None,
        recipe_hash=runs[0].recipe_hash if runs else None,
        machine=tuple(dict.fromkeys(str(run.machine) for run in runs)),
    )


def _values(runs: Sequence[Run], score: Score) -> Values:
    values = [run.scores[score] for run in runs if score in run.scores]
    sd = round(statistics.stdev(values), 4) if len(values) > 1 else None
    return Values(values=tuple(round(value, 4) for value in values), mean=_mean(values, 4), sd=sd)


def _mean(values: Sequence[float], digits: int) -> float | None:
    return round(statistics.fmean(values), digits) if values else None


def _differences(table: Table, row: Row, kinds: dict[int | None, Variant]) -> list[str]:
    """What the recipe says of itself, then the keys in which quick runs differ from the paper recipe, by size."""
    if not kinds or row.recipe is None or row.own or None in kinds:
        return []
    sentences = differences(row.recipe)
    by_text: dict[str, list[str]] = {}
    for n, kind in kinds.items():
        text = ", ".join(deviations(row_recipe(table, row, n, kind), row_recipe(table, row, n, "paper")))
        by_text.setdefault(text or "the paper recipe, unchanged", []).append(str(n))
    return sentences + [f"{' and '.join(sizes)} cells: {text}." for text, sizes in by_text.items()]
