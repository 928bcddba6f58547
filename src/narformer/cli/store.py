"""Commands about stored measurements."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from narformer.cli.measuring import (
    Dims,
    Place,
    Shapes,
    bound,
    differing_cells,
    facts,
    interval,
    middle,
    runtime_and_precision,
    shared_and_differing,
    unit,
)
from narformer.cli.terminal import Commands, Json, out, print_json

if TYPE_CHECKING:
    from narformer.jobs import Found

store_app = typer.Typer(cls=Commands, no_args_is_help=True, help="Show, export and import stored measurements.")


@store_app.command("query")
def query(
    network: Annotated[
        str | None, typer.Option(help="Beginning of a fingerprint, ONNX file, or network of a family: resnet/0.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="A device, with or without its precision.")] = None,
    runtime: Annotated[str | None, typer.Option(help="ort, openvino, openvino-float32.")] = None,
    limit: Annotated[int, typer.Option(help="Maximum number of measurements to show.", min=1)] = 20,
    dim: Dims = None,
    input_: Shapes = None,
    store: Place = None,
    as_json: Json = False,
) -> None:
    """Show measurements, the newest first.

    Example: narformer store query --network resnet/0 --runtime ort
    """
    dims, shapes = bound(dim, input_)
    from narformer import jobs

    found = jobs.query(network, device, runtime, limit, dims, shapes, store)
    if as_json:
        listed = [facts(m) for m in found.measurements]
        print_json({"store": found.place, "total": found.total, "matching": found.matching, "measurements": listed})
        return
    if not found.total:
        out.print(Text(f"{found.place} is empty: `narformer measure` fills it"), soft_wrap=True)
        return
    if not found.matching:
        devices = "; ".join(found.devices)
        text = f"no measurement of the {found.total:,} in {found.place} matches. Its devices: {devices}"
        out.print(Text(text), soft_wrap=True)
        return
    _print_found(found)


def _print_found(found: "Found") -> None:
    title, columns = shared_and_differing(found.measurements)
    table = Table(title=title, box=SIMPLE_HEAD, padding=(0, 1, 0, 0), title_justify="left")
    table.add_column("network", overflow="fold", min_width=13)
    table.add_column("fingerprint", no_wrap=True)
    for heading in ("runtime", *columns):
        table.add_column(heading, overflow="fold")
    median = "median" if "quantity" in columns else f"median\n{unit(found.measurements[0])}"
    for heading in (median, "95 %\ninterval"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("date", min_width=len("2026-01-01"))
    for m in found.measurements:
        table.add_row(
            Text(m.name),
            Text(m.fingerprint[:8]),
            runtime_and_precision(m),
            *differing_cells(m, columns),
            middle(m),
            interval(m),
            Text(m.date[:16].replace("T", " ")),
        )
    out.print(table)
    of_all = "" if found.matching == found.total else f" of {found.total:,} in all"
    out.print(
        Text(f"{len(found.measurements):,} of {found.matching:,} measurements{of_all}, {found.place}"), soft_wrap=True
    )


@store_app.command("export")
def export(
    file: Annotated[Path, typer.Argument(help="The file to write, JSON lines.")],
    store: Place = None,
    as_json: Json = False,
) -> None:
    """Write everything to a file; stores with the same content give identical files.

    Example: narformer store export measured.jsonl
    """
    from narformer import jobs

    count = jobs.export_store(file, store)
    if as_json:
        print_json({"file": str(file), "measurements": count})
    else:
        out.print(Text(f"{count:,} measurements written to {file}"), soft_wrap=True)


@store_app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="A file that `narformer store export` wrote.")],
    store: Place = None,
    as_json: Json = False,
) -> None:
    """Add an export of another store: all of it, or nothing if there is an error. Nothing is added twice.

    Example: narformer store import measured.jsonl
    """
    from narformer import jobs

    done = jobs.import_store(file, store)
    if as_json:
        print_json({"added": done.added, "duplicates": done.duplicates, "networks": done.networks})
    else:
        text = f"{done.added:,} measurements added, {done.duplicates:,} already stored; {done.networks:,} new networks"
        out.print(Text(text), soft_wrap=True)
