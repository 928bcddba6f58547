"""The command about the papers' tables."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from narformer.cli.terminal import Json, Threads, bars_shown, err, jobs_with, out, print_json

COLOURS = {
    "reproduced": "green",
    "near": "yellow",
    "off": "red",
    "ahead": "green",
    "behind": "yellow",
    "not run": "dim",
}


def table(
    name: Annotated[str | None, typer.Argument(help="A table, as `narformer table` lists them.")] = None,
    row: Annotated[str | None, typer.Option(help="Run only this system.")] = None,
    size: Annotated[int | None, typer.Option(help="Run only this number of training cells.")] = None,
    seeds: Annotated[int, typer.Option(help="Make the missing runs of so many seeds first.", min=0)] = 0,
    variant: Annotated[str, typer.Option(help="Recipes to run: quick, or paper (the original epochs).")] = "quick",
    fresh: Annotated[bool, typer.Option("--fresh", help="Run again what is stored.")] = False,
    results: Annotated[Path, typer.Option(help="Folder of stored runs and tables.")] = Path("results"),
    threads: Threads = None,
    as_json: Json = False,
) -> None:
    """Show a table of the papers with our runs beside the printed numbers, or run its rows.

    Example: narformer table narformer_v2/nasbench201 --row "NAR-Former V2" --size 781 --seeds 1 --fresh
    """
    jobs = jobs_with(threads)
    from narformer.papers import TABLES, read_table

    if name is None:
        listed = [(n, read_table(n)) for n in TABLES]
        if as_json:
            print_json([{"name": n, "number": t.number, "title": t.title, "paper": t.paper} for n, t in listed])
            return
        overview = Table("table", "printed as", "title")
        for n, printed in listed:
            overview.add_row(n, f"{printed.paper.partition(':')[0]}, {printed.number}", escape(printed.title))
        out.print(overview)
        return
    if not (results / "runs").is_dir():
        err.print(escape(f"no stored runs in {results}: start in the clone, or name its folder with --results"))
    with bars_shown() as bars:
        result = jobs.table(name, results, row, size, seeds or int(fresh), variant, fresh, bars)
    if as_json:
        print(result.model_dump_json(indent=1))
        return
    _print_table(result)


def _print_table(result: Any) -> None:
    """Printed number, ours as mean ± sd, status; then seeds and seconds."""
    table = result.table
    digits = 4 if table.metric == "milliseconds" else 3
    shown = Table(title=f"{table.paper.partition(':')[0]}, {table.number}: {table.title}", title_justify="left")
    shown.add_column("system")
    for column in table.columns:
        shown.add_column(column.heading, justify="right")
    for row in table.rows:
        texts = []
        for column in table.columns:
            cell = result.cell(row.system, column.key)
            if cell is None:
                texts.append("-")
                continue
            text = "-" if cell.printed is None else f"{cell.printed:.{digits}f}{cell.printed_mark}"
            if cell.runs_here:
                sd = "" if cell.sd is None else f" ± {cell.sd:.{digits}f}"
                ours = "" if cell.mean is None else f"[bold]{cell.mean:.{digits}f}[/]{sd}, {cell.seconds:.0f} s\n"
                recipe = "" if cell.recipe is None else f"{cell.recipe}: "
                text += f"\n{ours}[{COLOURS[cell.status]}]{recipe}{cell.status}[/]"
            texts.append(text)
        shown.add_row(escape(row.system + row.mark), *texts)
    out.print(shown)
    for sign, text in table.footnotes.items():
        out.print(f"{sign} {escape(text)}", highlight=False)
    out.print("Printed number, then ours: mean ± sd over the seeds, seconds of one training; recipe, comparison.")
    out.print(f"All columns, seeds and differences: results/{table.name.replace('/', '_')}.md", highlight=False)
