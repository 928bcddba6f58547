"""Commands about the labelled networks at hand."""

import dataclasses
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from narformer.cli.terminal import Commands, Json, bars_shown, out, print_json

data_app = typer.Typer(cls=Commands, invoke_without_command=True)


@data_app.callback()
def data(context: typer.Context, as_json: Json = False) -> None:
    """List the labelled networks at hand; add, fetch and check them.

    Example: narformer data
    """
    if context.invoked_subcommand is not None:
        return
    from narformer.data.folder import data_folder, listing

    listed = listing()
    if as_json:
        entries = [
            {
                "name": entry.source.name,
                "state": entry.state,
                "path": None if entry.path is None else str(entry.path),
                "networks": entry.source.rows,
                "needs": entry.needs,
            }
            for entry in listed
        ]
        print_json({"folder": str(data_folder()), "sources": entries})
        return
    table = Table("source", "networks", "state", "location, or missing files")
    table.title, table.title_justify = f"data in {data_folder()}", "left"
    for entry in listed:
        place = str(entry.path) if entry.path is not None and not entry.needs else entry.needs
        table.add_row(entry.source.name, f"{entry.source.rows:,}", entry.state, escape(place))
    out.print(table)


@data_app.command("add")
def data_add(
    name: Annotated[str, typer.Argument(help="The source, as `narformer data` lists it.")],
    file: Annotated[Path, typer.Argument(help="The official file or folder, or our parquet.")],
    as_json: Json = False,
) -> None:
    """Read an official file or folder, verify it, and keep it: cells in a compact form, networks as they are.

    Example: narformer data add nasbench101 nasbench_only108.tfrecord
    """
    from narformer.data import folder

    with bars_shown() as bars:
        path = folder.add(name, file, bars)
    print_json({"path": str(path)}) if as_json else out.print(f"added {path}", highlight=False)


@data_app.command("fetch")
def data_fetch(
    name: Annotated[str, typer.Argument(help="The source, as `narformer data` lists it.")], as_json: Json = False
) -> None:
    """Download an official file that has an address and a known checksum; otherwise state where to get it.

    Example: narformer data fetch nasbench101
    """
    from narformer.data import folder

    with bars_shown() as bars:
        path = folder.fetch(name, bars)
    print_json({"path": str(path)}) if as_json else out.print(f"added {path}", highlight=False)


@data_app.command("doctor")
def data_doctor(as_json: Json = False) -> None:
    """Open every present file and check its rows, known optima and label ranges; exit code 1 if one is damaged.

    Example: narformer data doctor
    """
    from narformer.data.folder import data_folder, doctor

    findings = doctor()
    if as_json:
        print_json([dataclasses.asdict(f) | {"path": str(f.path)} for f in findings])
    elif not findings:
        out.print(f"no data in {data_folder()}: `narformer data` lists the files that each source needs")
    else:
        table = Table("source", "", "finding")
        for finding in findings:
            table.add_row(finding.name, "[green]ok[/]" if finding.healthy else "[red]sick[/]", escape(finding.text))
        out.print(table)
    if not all(finding.healthy for finding in findings):
        raise typer.Exit(1)
