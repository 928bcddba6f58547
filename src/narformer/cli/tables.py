"""The command about the papers' tables."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Column, Table

from narformer.cli.terminal import Json, Threads, bars_shown, err, out, print_json, start

if TYPE_CHECKING:
    from narformer.papers.results import Cell, TableResult
    from narformer.papers.tables import Metric

COLOURS = {
    "reproduced": "green",
    "near": "yellow",
    "off": "red",
    "ahead": "green",
    "behind": "yellow",
    "other data": "cyan",
    "not run": "dim",
}


def table(
    name: Annotated[str | None, typer.Argument(help="A table, as `narformer table` lists them.")] = None,
    row: Annotated[str | None, typer.Option(help="Run only this system.")] = None,
    size: Annotated[int | None, typer.Option(help="Run only this number of training networks.")] = None,
    unseen: Annotated[
        str | None, typer.Option(help="Run only the columns that leave this family out of training.")
    ] = None,
    seeds: Annotated[int, typer.Option(help="First run the missing trainings of this number of seeds.", min=0)] = 0,
    variant: Annotated[str, typer.Option(help="Recipes to run: quick, or paper (the original epochs).")] = "quick",
    fresh: Annotated[bool, typer.Option("--fresh", help="Repeat stored runs.")] = False,
    data: Annotated[str | None, typer.Option(help="Run on this data set: nnlqp, on which the paper measured.")] = None,
    results: Annotated[Path, typer.Option(help="Folder of stored runs and tables.")] = Path("results"),
    threads: Threads = None,
    as_json: Json = False,
) -> None:
    """Show a table of a paper with our runs beside the printed numbers, or run its rows.

    Example: narformer table narformer_v2/nasbench201 --row "NAR-Former V2" --size 781 --seeds 1 --fresh
    """
    start(threads)
    from narformer import jobs
    from narformer.papers import TABLES, read_table

    if name is None:
        listed = [(n, read_table(n)) for n in TABLES]
        if as_json:
            print_json([{"name": n, "number": t.number, "title": t.title, "paper": t.paper} for n, t in listed])
            return
        overview = Table(Column("table", no_wrap=True), "printed as", "title")
        for n, printed in listed:
            overview.add_row(n, f"{printed.paper.partition(':')[0]}, {printed.number}", escape(printed.title))
        out.print(overview)
        return
    if not (results / "runs").is_dir():
        err.print(escape(f"no stored runs in {results}: start in the clone, or name its folder with --results"))
    with bars_shown() as bars:
        which = jobs.Which(row, size, unseen, variant, data)
        result = jobs.table(name, results, which, seeds or int(fresh), fresh, bars)
    if as_json:
        print(result.model_dump_json(indent=1))
        return
    _print_table(result, results)


def _print_table(result: "TableResult", results: Path) -> None:
    """Printed number, ours as mean ± sd, status; then seeds and seconds."""
    from narformer.papers.page import DIGITS

    table = result.table
    lines = [["system", *(column.heading for column in table.columns)]]
    for row in table.rows:
        cells = [result.cell(row.system, column.key) for column in table.columns]
        lines.append([escape(row.system + row.mark), *(_text(cell, DIGITS) for cell in cells)])
    titles, *lines = map(list, zip(*lines, strict=True)) if table.transposed else lines
    shown = Table(title=f"{table.paper.partition(':')[0]}, {table.number}: {table.title}", title_justify="left")
    for number, title in enumerate(titles):
        shown.add_column(title, justify="right" if number else "left")
    for line in lines:
        shown.add_row(*line)
    out.print(shown)
    for sign, text in table.footnotes.items():
        out.print(f"{sign} {escape(text)}", highlight=False)
    out.print("Printed number, then ours: mean ± sd over the seeds, seconds of one training; recipe, comparison.")
    page = results / f"{table.name.replace('/', '_')}.md"
    if page.is_file():
        out.print(f"All columns, seeds and differences: {page}", highlight=False)


def _text(cell: "Cell | None", digits: Mapping["Metric", int]) -> str:
    """The text of a cell in the terminal."""
    if cell is None:
        return "-"
    n = digits[cell.metric]
    text = "-" if cell.printed is None else f"{cell.printed:.{n}f}{cell.printed_mark}"
    if not cell.runs_here:
        return text
    sd = "" if cell.sd is None else f" ± {cell.sd:.{n}f}"
    ours = "" if cell.mean is None else f"[bold]{cell.mean:.{n}f}[/]{sd}, {cell.seconds:.0f} s\n"
    recipe = "" if cell.recipe is None else f"{cell.recipe}: "
    return f"{text}\n{ours}[{COLOURS[cell.status]}]{recipe}{cell.status}[/]"
