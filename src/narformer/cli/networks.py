"""The command that inspects whole networks."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.bar import Bar
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from narformer.cli.measuring import Dims, Profile, Shapes, bound
from narformer.cli.profile_screens import print_comparison, print_executed
from narformer.cli.terminal import Json, amount, out, print_json, waiting
from narformer.errors import NotAnswered

if TYPE_CHECKING:
    from narformer.jobs import Given, Inspection, Optimised
    from narformer.jobs.inspection import Part


def inspect(
    nets: Annotated[
        list[str], typer.Argument(help="ONNX files, or networks of families, such as resnet/0. Weights are not needed.")
    ],
    dim: Dims = None,
    input_: Shapes = None,
    profile: Profile = None,
    optimised: Annotated[
        str | None,
        typer.Option(help="Show the graph that a runtime makes of the network on this machine: ort, or openvino."),
    ] = None,
    save: Annotated[
        Path | None, typer.Option(help="With --optimised ort: write that graph, with its weights, to a new ONNX file.")
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Show every layer and module, not only the largest.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show what networks contain and cost: operations, MACs, FLOPs, parameters and bytes.

    The totals are followed by the most expensive layers, and by sums over kinds of operations and over modules.

    Several networks get a screen each; --json prints a list of them. A network that fails does not stop the others.

    Example: narformer inspect model.onnx --dim batch=1

    Example: narformer inspect model.onnx --optimised ort --save model.optimised.onnx
    """
    if save is not None and optimised is None:
        raise typer.BadParameter("it keeps the graph of --optimised ort", param_hint="--save")
    if profile is not None and optimised is not None:
        raise typer.BadParameter("a profile is laid on the network itself, without --optimised", param_hint="--profile")
    if save is not None and len(nets) > 1:
        raise typer.BadParameter("it keeps the graph of a single network", param_hint="--save")
    from narformer import jobs

    def answer(given: "Given") -> "Inspection | Optimised":
        if optimised is None:
            return jobs.inspected(given.network, profile)
        return jobs.optimised(given, optimised, save=save)

    def show(found: "Inspection | Optimised") -> None:
        if isinstance(found, jobs.Optimised):
            _print_optimised(found, everything)
        else:
            _print_inspection(found, everything)

    _show_each(jobs.answers(answer, nets, *bound(dim, input_)), show, as_json, several=len(nets) > 1)


def _show_each(
    answers: Iterator["Inspection | Optimised"],
    show: Callable[["Inspection | Optimised"], None],
    as_json: bool,
    several: bool,
) -> None:
    """A screen for each network, or JSON: an object, or a list where several were given. Networks that fail come last.

    Raises NotAnswered.
    """
    records = []
    failure: NotAnswered | None = None
    try:
        for number, found in enumerate(waiting(answers)):
            if as_json:
                records.append(dataclasses.asdict(found))
                continue
            if number:
                out.print()
            show(found)
    except NotAnswered as error:  # the others are shown first
        failure = error
    if records:
        print_json(records if several else records[0])
    if failure:
        raise failure


def _print_optimised(found: "Optimised", everything: bool) -> None:
    from narformer.jobs import Inspection

    if isinstance(found.graph, Inspection):
        out.print(Text(f"the graph that {found.runtime} makes of {found.network}", style="bold"), soft_wrap=True)
        _print_inspection(found.graph, everything)
    else:
        title = f"{found.network} as {found.runtime} executes it, in its own operations"
        print_executed(title, found.graph)
    for file in found.saved:
        out.print(Text(f"saved to {file}", style="dim"), soft_wrap=True)


LAYERS, ROWS = 10, 20  # rows of an inspection, unless all are requested


def _print_inspection(found: "Inspection", everything: bool) -> None:
    """Totals with their conventions, then layers, kinds and modules. Names are Text: markup is not interpreted."""
    head = Table.grid(padding=(0, 2))
    head.add_column(style="bold", no_wrap=True)
    head.add_column(overflow="fold")
    ends = [("input", f"{name} {_by(shape)}") for name, shape in found.inputs]
    ends += [("output", f"{name} {_by(shape)}") for name, shape in found.outputs]
    lines = [("network", found.name), ("fingerprint", found.fingerprint[:16])]
    lines += [("graph", f"{found.operations:,} operations, {found.edges:,} edges"), *_first(ends, 6, everything)]
    lines += [("coverage", str(found.coverage))]
    lines += _first([("not counted", reason) for reason in found.uncounted], 3, everything)
    for count, convention in found.conventions.items():
        title = COUNTS.get(count, count.replace("_", " "))
        lines.append((title, f"{getattr(found, count):,}: {convention}"))
    for title, text in lines:
        head.add_row(title, Text(text, style="yellow" if title == "not counted" else ""))
    out.print(head)
    if found.comparison is not None:
        print_comparison(found.comparison, everything)
    unit = "macs" if found.macs else "flops"
    _print_layers(found, unit, everything)
    _print_parts("kind", found.kinds if everything else found.kinds[:ROWS], unit)
    if found.modules:
        depths = [part.name.count(".") for part in found.modules]
        level = max((d for d in range(max(depths) + 1) if sum(e <= d for e in depths) <= ROWS), default=0)
        inside = [p for p, depth in zip(found.modules, depths, strict=True) if everything or depth <= level]
        _print_parts("module", inside if everything else inside[:ROWS], unit)
        if len(inside) < len(found.modules) or len(inside) > ROWS:
            out.print(f"the outermost of {len(found.modules):,} modules", highlight=False)
    if not everything:
        out.print("--all for every layer and module, --json for programs", style="dim", highlight=False)


def _first(lines: list[tuple[str, str]], most: int, everything: bool) -> list[tuple[str, str]]:
    if everything or len(lines) <= most:
        return lines
    return [*lines[:most], (lines[most][0], f"and {len(lines) - most:,} more")]


COUNTS = {"macs": "MACs", "flops": "FLOPs"}


def _print_layers(found: "Inspection", unit: str, everything: bool) -> None:
    ranked = found.ranked()
    shown = ranked if everything else ranked[:LAYERS]
    title = f"{len(shown):,} of {len(ranked):,} layers, most {COUNTS[unit]} first"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in ("layer", "kind", "output"):
        table.add_column(heading, overflow="fold")
    for heading in (COUNTS[unit], "params", "%", "cum. %"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("", width=BAR)
    total, largest = 0.0, max((layer.share for layer in shown), default=0.0)
    for layer in shown:
        total += layer.share
        table.add_row(
            Text(layer.module or layer.name),
            Text(layer.kind),
            _by(layer.shape),
            amount(getattr(layer, unit)),
            amount(layer.params),
            f"{100 * layer.share:.1f}",
            f"{100 * total:.1f}",
            Bar(largest or 1.0, 0, layer.share, width=BAR),
        )
    out.print(table)


def _print_parts(title: str, parts: Sequence["Part"], unit: str) -> None:
    table = Table(title=f"by {title}", title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column(title, overflow="fold")
    for heading in ("layers", "MACs", "FLOPs", "params", "bytes", f"% {COUNTS[unit]}"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("", width=BAR)
    largest = max((part.share for part in parts), default=0.0)
    for part in parts:
        counts = (part.macs, part.flops, part.params, part.read_bytes + part.written_bytes)
        bar = Bar(largest or 1.0, 0, part.share, width=BAR)
        table.add_row(Text(part.name), f"{part.layers:,}", *map(amount, counts), f"{100 * part.share:.1f}", bar)
    out.print(table)


BAR = 8  # columns


def _by(shape: tuple[int, ...] | None) -> str:
    return "?" if shape is None else "x".join(map(str, shape)) or "scalar"
