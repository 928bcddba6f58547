"""Printed tables: every row and number as the paper has them, and which recipe runs a row. Read from table.toml."""

import tomllib
from importlib.resources import files
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from narformer.errors import BadRecipe, lookup
from narformer.papers.recipes import RECIPES

_FOLDER = files("narformer.papers")

TABLES = {
    name: _FOLDER / name / "table.toml"
    for name in (
        "narformer_v2/nasbench101",
        "narformer_v2/nasbench201",
        "narformer/nasbench101",
        "narformer/nasbench201",
        "narformer/cost",
        "tnasp/nasbench101",
        "tnasp/nasbench201",
    )
}

Metric = Literal["kendall_tau", "milliseconds"]
Score = Literal["tau", "tau_100", "tau_valid", "tau_unseen", "encode_ms", "infer_ms", "total_ms"]


class Part(BaseModel):
    """A part of a table; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Column(Part):
    """A column of numbers.

    key:   how rows name it
    n:     training cells; None where nothing is trained
    score: which score of a run stands in it
    """

    key: str
    heading: str
    n: int | None = None
    score: Score


class Row(Part):
    """A printed row, or one of our own beside them.

    printed:        column key -> printed number; a column where the paper has a dash is absent
    own:            our own system: nothing is printed, every column is run
    mark, marks:    footnote signs behind the system's name, and behind numbers by column key
    recipe:         name in RECIPES of the recipe that runs this row; None for a row that is not run
    self_evolution: whether that recipe's section [self_evolution] counts
    """

    backbone: str | None = None
    system: str
    mark: str = ""
    printed: dict[str, float] = {}
    own: bool = False
    marks: dict[str, str] = {}
    recipe: str | None = None
    self_evolution: bool = False


class Table(Part):
    """A printed table. ``also``: further scores of our runs that are shown beside the printed metric."""

    name: str
    title: str
    paper: str
    number: str
    data: str
    metric: Metric
    also: tuple[Score, ...] = ()
    notes: tuple[str, ...] = ()
    footnotes: dict[str, str] = {}
    columns: tuple[Column, ...] = Field(min_length=1)
    rows: tuple[Row, ...] = Field(min_length=1)

    def row(self, system: str) -> Row:
        """The row of a system. Raises UnknownName."""
        return lookup({row.system: row for row in self.rows}, system, "row")

    def columns_of(self, row: Row) -> tuple[Column, ...]:
        """The columns in which the row has a number, in printed order."""
        return tuple(column for column in self.columns if row.own or column.key in row.printed)

    def sizes(self, row: Row) -> tuple[int | None, ...]:
        """The numbers of training cells for which the row has numbers, in printed order."""
        return tuple(dict.fromkeys(column.n for column in self.columns_of(row)))

    def best(self, column: Column) -> float:
        """The largest number that is printed in a column."""
        return max(row.printed[column.key] for row in self.rows if column.key in row.printed)

    @model_validator(mode="after")
    def _agrees(self) -> "Table":
        keys = {column.key for column in self.columns}
        if len({row.system for row in self.rows}) < len(self.rows):
            raise ValueError("a system stands in two rows")
        for row in self.rows:
            if not set(row.marks) <= set(row.printed) <= keys:
                raise ValueError(f"row '{row.system}' names a column that is not there")
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
