"""Print predictions of a whole network: the answer, whether it can be trusted, the shares of layers."""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rich.bar import Bar
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from narformer.cli.profile_screens import print_comparison
from narformer.cli.terminal import amount, err, out, print_json

if TYPE_CHECKING:
    from narformer.jobs import Comparison, NetworkPrediction

LAYERS = 10  # rows, unless all are requested
BAR = 12  # columns


def print_networks(
    networks: Iterable[Sequence["NetworkPrediction"]], everything: bool, as_json: bool, shipped: bool
) -> None:
    """A screen for each network: the answers of all predictors, and the layers of the first predictor that has layers.

    In a pipe, a line for each answer, and on standard error a warning for each that must not be trusted, unless layers
    are asked for: by ``everything``, or by a profile beside the answers. With ``as_json``, a list of all answers.
    """
    if as_json:
        print_json([dataclasses.asdict(answer) for answers in networks for answer in answers])
        return
    for answers in networks:
        beside = _beside(answers)
        if not out.is_terminal and not everything and beside is None:  # for programs that read lines
            for answer in answers:
                bounds = ["" if bound is None else f"{bound:.6g}" for bound in (answer.low, answer.high)]
                several = sum(other.predictor == answer.predictor for other in answers) > 1
                name = f"{answer.predictor} {answer.attribute}" if several else answer.predictor
                print("\t".join([answer.network, f"{answer.value:.6g}", *bounds, name]))
                if answer.in_domain is False or answer.uncounted:
                    err.print(Text(f"{answer.network}: {_trust(answer)[0]} ({answer.predictor})"), soft_wrap=True)
            continue
        width = max(len("network"), *(len(answer.attribute) for answer in answers))
        _print_network(answers[0], width)
        for answer in answers:
            _print_head(answer, width)
        if shipped and any(answer.unit == "ms" for answer in answers):
            out.print("these times are for that device: `narformer adapt` adapts them to this one", style="yellow")
        layered = next((answer for answer in answers if answer.layers), None)
        if beside is not None:
            print_comparison(beside, everything)
        elif layered is not None:
            _print_layers(layered, everything)
            _print_kinds(layered)
        if not everything:
            out.print("--all for every layer, --json for programs", style="dim", highlight=False)


def _beside(answers: Sequence["NetworkPrediction"]) -> "Comparison | None":
    """The comparison with a profile, if there is one: of the predictor of the profile's runtime, or of the first."""
    found = [(answer.device, answer.comparison) for answer in answers if answer.comparison is not None]
    same = [beside for device, beside in found if device.split(", ")[0] == beside.device.split(", ")[0]]
    return next(iter(same or [beside for _, beside in found]), None)


def _head(width: int) -> Table:
    head = Table.grid(padding=(0, 2))
    head.add_column(style="bold", no_wrap=True, min_width=width)
    head.add_column(overflow="fold")
    return head


def _print_network(answer: "NetworkPrediction", width: int) -> None:
    """Names from a file are Text, so that markup in them is not interpreted."""
    head = _head(width)
    head.add_row("network", Text(answer.network))
    totals = f"{amount(answer.macs)} MACs, {amount(answer.flops)} FLOPs, {amount(answer.params)} parameters"
    head.add_row("totals", f"{totals}, {amount(answer.activation_bytes)} bytes of activations")
    out.print(head)


def _print_head(answer: "NetworkPrediction", width: int) -> None:
    """One prediction, and whether it can be trusted."""
    head = _head(width)
    value = f"{answer.value:.3g} {answer.unit}".strip()
    if answer.confidence is not None:
        value += f"  [{answer.low:.3g} to {answer.high:.3g}, {answer.confidence:.0%}]"
    head.add_row(Text(answer.attribute), Text(f"{value}  predicted"))
    named = "" if answer.predictor == answer.attribute else f"  (predictor {answer.predictor})"
    head.add_row("device", Text(f"{answer.device}{named}"))
    head.add_row("trust", Text(*_trust(answer)))
    out.print(head)


def _trust(answer: "NetworkPrediction") -> tuple[str, str]:
    """The line and its style."""
    parts = [str(answer.coverage)]
    if answer.uncounted:
        parts.append(f"{answer.uncounted} operations not counted, the value is too small")
    parts += answer.unlike
    if answer.distance is not None:
        where = "in the domain" if answer.in_domain else "OUT OF DOMAIN, the interval does not hold"
        parts.append(f"{where} (nearest: {answer.nearest or 'unnamed'}, at {answer.distance:.2f} of its edge)")
    return "; ".join(parts), "" if answer.in_domain is not False else "yellow"


def _print_layers(answer: "NetworkPrediction", everything: bool) -> None:
    shown = answer.layers if everything else answer.layers[:LAYERS]
    title = f"{len(shown):,} of {len(answer.layers):,} layers by {answer.predictor}, the longest first"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in ("layer", "kind"):
        table.add_column(heading, overflow="fold")
    for heading in (answer.unit, "%", "cum. %"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("", width=BAR)
    total, largest = 0.0, max(layer.share for layer in shown)
    for layer in shown:
        total += layer.share
        kind = " + ".join([layer.kind, *layer.joined])
        row = (f"{layer.value:.3g}", f"{100 * layer.share:.1f}", f"{100 * total:.1f}")
        table.add_row(
            Text(layer.module or layer.name), Text(kind), *row, Bar(largest or 1.0, 0, layer.share, width=BAR)
        )
    out.print(table)


def _print_kinds(answer: "NetworkPrediction") -> None:
    table = Table(title="by kind", title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("kind", overflow="fold")
    for heading in ("kernels", answer.unit, "%"):
        table.add_column(heading, justify="right", no_wrap=True)
    for kind, count, value, share in answer.kinds():
        table.add_row(Text(kind), f"{count:,}", f"{value:.3g}", f"{100 * share:.1f}")
    out.print(table)
