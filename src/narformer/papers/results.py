"""Ours beside printed: each number of a table with the stored runs that belong to it, and their comparison."""

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict

from narformer.papers.recipes import OWN, Variant, deviations, differences
from narformer.papers.rows import row_recipe
from narformer.papers.tables import LARGER, Column, Metric, Row, Score, Setting, Table
from narformer.training.runs import Run, stored

Found: TypeAlias = dict[Setting, tuple[Variant, list[Run]]]
Status = Literal["reproduced", "near", "off", "ahead", "behind", "other data", "not run"]
_ROUNDING = 1e-9


class Values(BaseModel):
    """One score over seeds. sd: of a sample; None for fewer than two seeds."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    values: tuple[float, ...] = ()
    mean: float | None = None
    sd: float | None = None


class Cell(BaseModel):
    """A printed number and ours; where the system is our own, nothing is printed.

    runs_here: whether the row has a recipe; values, mean, sd: as in Values; also: further scores of the same runs
    seconds, seconds_scoring: means over the runs; recipe: the kind that was run; machine: that of the runs
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    backbone: str | None
    system: str
    mark: str
    column: str
    n: int | None
    unseen: str | None
    metric: Metric
    score: str
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
    """Every printed number with the stored runs of its recipe: of the paper recipe if any, otherwise of quick.

    Raises BadFile for a damaged run.
    """
    cells, departures = [], {}
    for row in table.rows:
        found = {setting: _runs(table, row, setting, results) for setting in table.settings(row)}
        cells += [_cell(table, row, column, found) for column in table.columns_of(row)]
        sentences = _differences(table, row, {setting: kind for setting, (kind, runs) in found.items() if runs})
        if sentences:
            departures[row.system] = tuple(sentences)
    return TableResult(table=table, cells=tuple(cells), differences=departures)


def compare(metric: Metric, printed: float, mean: float | None) -> Status:
    """The comparison with our mean: for τ reproduced from printed - 0.01, near from printed - 0.03; percentages alike.

    Milliseconds were printed for another machine: reproduced up to a tenth above printed, near up to twice. Errors:
    reproduced up to a tenth above, near up to a half.
    """
    if mean is None:
        return "not run"
    if metric in ("milliseconds", "error"):
        farther = 2 if metric == "milliseconds" else 1.5
        return "reproduced" if mean <= 1.1 * printed else "near" if mean <= farther * printed else "off"
    short = (printed - mean) / (100 if metric == "within" else 1) - _ROUNDING
    return "reproduced" if short <= 0.01 else "near" if short <= 0.03 else "off"


def surpass(metric: Metric, best: float, mean: float | None) -> Status:
    """Comparison of a system of our own with the best printed number of its column."""
    if mean is None:
        return "not run"
    return "ahead" if (mean > best if metric in LARGER else mean < best) else "behind"


def _runs(table: Table, row: Row, setting: Setting, results: Path) -> tuple[Variant, list[Run]]:
    if row.recipe is None:
        return "quick", []
    if row.recipe not in OWN:
        paper = stored(results, row_recipe(table, row, setting, "paper"))
        if paper or setting.n is None:
            return "paper", paper
    return "quick", stored(results, row_recipe(table, row, setting, "quick"))


def _cell(table: Table, row: Row, column: Column, found: Found) -> Cell:
    kind, runs, seeds = _ours(table, column, found)
    ours = _values(table, column, found, seeds)
    printed, metric = row.printed.get(column.key), table.metric_of(column)
    if table.other_data and ours.mean is not None:
        status: Status = "other data"
    elif printed is None:
        status = surpass(metric, table.best(column), ours.mean)
    else:
        status = compare(metric, printed, ours.mean)
    return Cell(
        backbone=row.backbone,
        system=row.system,
        mark=row.mark,
        column=column.key,
        n=column.n,
        unseen=column.unseen,
        metric=metric,
        score=column.scored,
        printed=printed,
        printed_mark=row.marks.get(column.key, ""),
        runs_here=row.recipe is not None,
        status=status,
        values=ours.values,
        mean=ours.mean,
        sd=ours.sd,
        seeds=seeds,
        also={score: _values(table, column, found, seeds, score) for score in table.also} if runs else {},
        seconds=_mean([run.seconds_training for run in runs], 1),
        seconds_scoring=_mean([run.seconds_scoring for run in runs], 1),
        recipe=kind if runs else None,
        recipe_hash=runs[0].recipe_hash if runs else None,
        machine=tuple(dict.fromkeys(run.where for run in runs)),
    )


def _ours(table: Table, column: Column, found: Found) -> tuple[Variant, list[Run], tuple[int, ...]]:
    """A column's runs, and their seeds; of a mean, the runs of all its columns with seeds that every one has."""
    settings = [other.setting for other in table.averaged(column)]
    seeds = sorted(set.intersection(*({run.seed for run in found[setting][1]} for setting in settings)))
    runs = [run for setting in settings for run in found[setting][1] if run.seed in seeds]
    return min(found[setting][0] for setting in settings), runs, tuple(seeds)


def _values(table: Table, column: Column, found: Found, seeds: Sequence[int], score: str | None = None) -> Values:
    """A score of each seed, by default the column's; of a mean, the mean over its columns."""
    parts = [
        (score or other.scored, {run.seed: run.attribute_scores for run in found[other.setting][1]})
        for other in table.averaged(column)
    ]
    known = [seed for seed in seeds if all(name in scores[seed] for name, scores in parts)]
    return _spread([statistics.fmean(scores[seed][name] for name, scores in parts) for seed in known])


def _spread(values: Sequence[float]) -> Values:
    sd = round(statistics.stdev(values), 4) if len(values) > 1 else None
    return Values(values=tuple(round(value, 4) for value in values), mean=_mean(values, 4), sd=sd)


def _mean(values: Sequence[float], digits: int) -> float | None:
    return round(statistics.fmean(values), digits) if values else None


def _differences(table: Table, row: Row, kinds: dict[Setting, Variant]) -> list[str]:
    """The differences stated in the recipe, then the keys in which quick runs differ from the paper recipe, by size."""
    if not kinds or row.recipe is None or row.recipe in OWN or None in {setting.n for setting in kinds}:
        return []
    sentences = differences(row.recipe)
    by_text: dict[str, dict[str, None]] = {}
    for setting, kind in kinds.items():
        text = ", ".join(deviations(row_recipe(table, row, setting, kind), row_recipe(table, row, setting, "paper")))
        by_text.setdefault(text or "the paper recipe, unchanged", {})[str(setting.n)] = None
    what = "cells" if table.metric == "kendall_tau" else "networks"
    return sentences + [f"{' and '.join(sizes)} {what}: {text}." for text, sizes in by_text.items()]
