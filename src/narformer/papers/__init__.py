"""The papers' tables: a folder per printed table, recipes beside it, and the results of our runs.

``read_table`` returns the printed table, ``run_row`` trains a row or returns its stored run, ``assemble`` puts both
side by side, and ``write`` makes the JSON and Markdown of ``results/`` from them.
"""

from narformer.papers.page import markdown, write, write_all
from narformer.papers.recipes import RECIPES, read_recipe
from narformer.papers.results import Cell, TableResult, assemble
from narformer.papers.rows import Place, row_recipe, run_row
from narformer.papers.tables import TABLES, Column, Row, Setting, Table, read_table

__all__ = [
    "RECIPES",
    "TABLES",
    "Cell",
    "Column",
    "Place",
    "Row",
    "Setting",
    "Table",
    "TableResult",
    "assemble",
    "markdown",
    "read_recipe",
    "read_table",
    "row_recipe",
    "run_row",
    "write",
    "write_all",
]
