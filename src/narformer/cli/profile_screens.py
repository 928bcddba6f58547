"""Print what a runtime executed: measured times of layers beside the predicted ones, and the list of its operations."""

from typing import TYPE_CHECKING

from rich.bar import Bar
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from narformer.cli.terminal import out

if TYPE_CHECKING:
    from narformer.jobs import Compared, Comparison, Executed

LAYERS = 10  # rows, unless all are requested
BAR = 12  # columns
CHANGED = 1.2  # times that differ by so much were taken in different states of the machine


def print_comparison(comparison: "Comparison", everything: bool) -> None:
    """Totals of both, then the layers, the slowest first. Names from a file are Text: markup is not interpreted."""
    c = comparison
    total = f"{c.latency_ms:.3g} ms measured"
    if c.predicted_ms is not None:
        total += f", {c.predicted_ms:.3g} ms predicted ({c.predicted_ms / (c.latency_ms or 1) - 1:+.0%})"
    told = f"{c.nodes_ms:.3g} ms in nodes, of {c.plain_ms:.3g} ms; medians of {c.runs} runs"
    if c.added_ms:
        told += f", without {1000 * c.added_ms:.2g} µs that profiling adds to each node"
    head = Table.grid(padding=(0, 2))
    head.add_column(style="bold", no_wrap=True)
    head.add_column(overflow="fold")
    for title, text in (("measured", f"{c.device}, {c.date}"), ("latency", total), ("profile", told)):
        head.add_row(title, Text(text))
    out.print(head)
    faster, slower = sorted((c.latency_ms, c.plain_ms))
    if slower > CHANGED * faster:
        times = f"{c.plain_ms / (c.latency_ms or 1):.2g} times as long"
        changed = f"runs took {times} at the time of the profile: the machine changed, measure again"
        out.print(Text(changed, style="yellow"), soft_wrap=True)
    if c.plain_ms > CHANGED * c.nodes_ms:
        longer = f"a run took {c.plain_ms / (c.nodes_ms or 1):.2g} times as long as its nodes"
        out.print(Text(f"{longer}: other programs interrupt it, measure again", style="yellow"), soft_wrap=True)
    _print_layers(c, everything)


def _print_layers(comparison: "Comparison", everything: bool) -> None:
    layers = comparison.layers
    shown = layers if everything else layers[:LAYERS]
    predicted = any(layer.predicted_ms is not None for layer in layers)
    title = f"{len(shown):,} of {len(layers):,} layers by measured time, the slowest first"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in ("layer", "kind", *(["executed as"] if everything else [])):
        table.add_column(heading, overflow="fold")
    for heading in (*(["predicted\nms"] if predicted else []), "measured\nms", "%"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("", width=BAR)
    largest = max((layer.share for layer in shown), default=0.0)
    for layer in shown:
        texts = _texts(layer, everything)
        told = "–" if layer.predicted_ms is None else f"{layer.predicted_ms:.3g}"
        numbers = (f"{layer.measured_ms:.3g}", f"{100 * layer.share:.1f}")
        bar = Bar(largest or 1.0, 0, layer.share, width=BAR)
        table.add_row(*map(Text, texts), *([told] if predicted else []), *numbers, bar)
    out.print(table)


def _texts(layer: "Compared", everything: bool) -> list[str]:
    """Layer and kind; and, with everything, the kinds of the executed nodes, without their domains."""
    executed = ", ".join(kind.rpartition(".")[2] for kind in layer.executed) or "nothing"
    if not layer.name:
        return [layer.kind, "", executed] if everything else [layer.kind, executed]
    texts = [layer.module or layer.name, " + ".join([layer.kind, *layer.joined])]
    return [*texts, executed] if everything else texts


def print_executed(title: str, graph: "Executed") -> None:
    """The operations that a runtime executes, in order."""
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in ("operation", "implementation", "output", "layout", "precision", "replaces"):
        table.add_column(heading, overflow="fold")
    for operation in graph.operations:
        shape = "?" if operation.shape is None else "x".join(map(str, operation.shape)) or "scalar"
        texts = (operation.kind, operation.primitive, shape, operation.layout, operation.precision)
        table.add_row(*map(Text, (*texts, ", ".join(operation.replaces))))
    out.print(table)
