"""Printed tables: every row and number of the paper, and the recipe that runs a row. Read from table.toml."""

import tomllib
from importlib.resources import files
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from narformer.errors import BadRecipe, lookup
from narformer.papers.recipes import RECIPES

_FOLDER = files("narformer.papers")

TABLES = {
    name: _FOLDER / name / "table.toml"
    for name in (
        "narformer_v2/nasbench101",
        "narformer_v2/nasbench201",
        "narformer_v2/latency",
        "narformer_v2/latency_ablation",
        "narformer_v2/latency_unseen",
        "narformer_v2/latency_nnlqp",
        "narformer/nasbench101",
        "narformer/nasbench201",
        "narformer/cost",
        "narformer/latency",
        "tnasp/nasbench101",
        "tnasp/nasbench201",
    )
}

Metric = Literal["kendall_tau", "milliseconds", "error", "within"]
Score = Literal[
    "tau",
    "tau_100",
    "tau_valid",
    "tau_unseen",
    "encode_ms",
    "infer_ms",
    "total_ms",
    "mape",
    "acc_10",
    "acc_5",
    "coverage",
]
LARGER = frozenset({"kendall_tau", "within"})  # is better


class Setting(NamedTuple):
    """The setting of a row: the number of training networks, or no training; and the family that only tests, if any."""

    n: int | None
    unseen: str | None = None

    def __str__(self) -> str:
        networks = "no training" if self.n is None else f"{self.n} training networks"
        return networks if self.unseen is None else f"{networks} without {self.unseen}"


class Part(BaseModel):
    """A part of a table; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Column(Part):
    """A column of numbers.

    key:    its name in rows
    n:      training networks; None where nothing is trained
    unseen: a family that is not among them and is tested on
    score:  the score of a run that it shows; ``part``: on a named part of the test rows
    metric: the kind of its numbers, if it is not the table's
    mean:   no score of its own, but the mean of all other columns with this score
    """

    key: str
    heading: str
    n: int | None = None
    unseen: str | None = None
    score: Score
    part: str | None = None
    metric: Metric | None = None
    mean: bool = False

    @property
    def setting(self) -> Setting:
        """The setting of a run for this column."""
        return Setting(self.n, self.unseen)

    @property
    def scored(self) -> str:
        """The name of its score in a run."""
        return self.score if self.part is None else f"{self.score}_{self.part}"


class Row(Part):
    """A printed row, or a row of our own.

    printed:        column key -> printed number; a column where the paper has a dash is absent
    own:            our own system: nothing is printed, every column is run
    mark, marks:    footnote signs behind the system's name, and behind numbers by column key
    recipe:         name in RECIPES of the recipe that runs this row; None for a row that is not run
    changes:        changes of this row to the recipe, dotted keys
    self_evolution: whether the recipe's section [self_evolution] counts
    """

    backbone: str | None = None
    system: str
    mark: str = ""
    printed: dict[str, float] = {}
    own: bool = False
    marks: dict[str, str] = {}
    recipe: str | None = None
    changes: dict[str, str | float | bool] = {}
    self_evolution: bool = False


class Table(Part):
    """A printed table.

    also:       further scores of our runs that are shown beside the printed metric
    other_data: the numbers were printed for other networks or another device, so that they are not compared
    transposed: systems stand side by side, as in print, not one below the other
    """

    name: str
    title: str
    paper: str
    number: str
    data: str
    metric: Metric
    also: tuple[Score, ...] = ()
    other_data: bool = False
    transposed: bool = False
    notes: tuple[str, ...] = ()
    footnotes: dict[str, str] = {}
    columns: tuple[Column, ...] = Field(min_length=1)
    rows: tuple[Row, ...] = Field(min_length=1)

    def on(self, data: str, train: int) -> "Table":
        """The same table of another data set, with this number of training networks in every column that trains.

        For the data of the printed numbers: the marks of other data are dropped.
        """
        columns = tuple(c if c.n is None else c.model_copy(update={"n": train}) for c in self.columns)
        return self.model_copy(update={"data": data, "columns": columns, "other_data": False, "notes": ()})

    def row(self, system: str) -> Row:
        """The row of a system. Raises UnknownName."""
        return lookup({row.system: row for row in self.rows}, system, "row")

    def columns_of(self, row: Row) -> tuple[Column, ...]:
        """The columns in which the row has a number, in printed order."""
        return tuple(column for column in self.columns if row.own or column.key in row.printed)

    def settings(self, row: Row) -> tuple[Setting, ...]:
        """The settings for which the row has numbers, in printed order."""
        return tuple(dict.fromkeys(column.setting for column in self.columns_of(row) if not column.mean))

    def averaged(self, column: Column) -> tuple[Column, ...]:
        """The columns whose mean a column shows; the column itself if it is not a mean."""
        others = tuple(other for other in self.columns if not other.mean and other.score == column.score)
        return others if column.mean else (column,)

    def metric_of(self, column: Column) -> Metric:
        """The kind of a column's numbers."""
        return column.metric or self.metric

    def best(self, column: Column) -> float:
        """The best number that is printed in a column."""
        printed = [row.printed[column.key] for row in self.rows if column.key in row.printed]
        return max(printed) if self.metric_of(column) in LARGER else min(printed)

    @model_validator(mode="after")
    def _agrees(self) -> "Table":
        keys = {column.key for column in self.columns}
        if len({row.system for row in self.rows}) < len(self.rows):
            raise ValueError("a system has two rows")
        for row in self.rows:
            if not set(row.marks) <= set(row.printed) <= keys:
                raise ValueError(f"row '{row.system}' names a column that does not exist")
            if row.own == bool(row.printed):
                raise ValueError(f"row '{row.system}' needs printed numbers, or to be our own, not both")
            if not {row.mark, *row.marks.values()} <= {"", *self.footnotes}:
                raise ValueError(f"row '{row.system}' has a mark without footnote")
            if row.recipe is not None and row.recipe not in RECIPES:
                raise ValueError(f"row '{row.system}' names an unknown recipe '{row.recipe}'")
        return self


def read_table(name: str) -> Table:
    """The table called ``name``, a key of TABLES. Raises UnknownName, or BadRecipe where its file does not validate."""
    file = lookup(TABLES, name, "table")
    try:
        return Table.model_validate({"name": name, **tomllib.loads(file.read_text(encoding="utf-8"))})
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise BadRecipe(f"{file}: not a readable table ({error})") from None
    except ValidationError as error:
        first = error.errors()[0]
        raise BadRecipe(f"{file}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
