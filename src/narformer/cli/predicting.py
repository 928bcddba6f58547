"""The command that predicts: cells as a ranking, whole networks one screen each."""

import dataclasses
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from narformer.cli.measuring import Dims, Profile, Shapes, bound
from narformer.cli.network_screens import print_networks
from narformer.cli.terminal import Device, Json, Threads, bars_shown, err, out, print_json, start
from narformer.errors import BadFile, NotAnswered, lookup

if TYPE_CHECKING:
    from narformer.jobs import Asked, NetworkPrediction, Ranked, Ranking

LARGER = "larger than any cell trained on: its value is a guess"
NETS = (
    "Cells: texts, files of them, '-' for standard input, or the name of a space. Or whole networks: ONNX files, "
    "networks of families such as resnet/0, lists of these, or a store of measurements."
)
SHOWN = 20  # rows of a ranking where no number was requested


def predict(
    nets: Annotated[list[str], typer.Argument(help=NETS)],
    predictor: Annotated[
        str | None,
        typer.Option(
            "--predictor", "-p", help="A shipped predictor, or a run's folder; by default all shipped ones that fit."
        ),
    ] = None,
    best: Annotated[
        int | None, typer.Option("--best", "-n", help="Show this number of cells or networks, the best first.", min=1)
    ] = None,
    ascending: Annotated[
        bool | None,
        typer.Option(
            "--ascending/--descending", help="Show the smallest or the largest value first; by default the better one."
        ),
    ] = None,
    by: Annotated[
        str | None, typer.Option(help="Attribute to rank by; by default the first one of the predictor.")
    ] = None,
    dim: Dims = None,
    input_: Shapes = None,
    profile: Profile = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Show every layer of whole networks, not only the ten longest.")
    ] = False,
    device: Device = "cpu",
    threads: Threads = None,
    as_json: Json = False,
) -> None:
    """Rank cells by a predicted accuracy, or predict the latency of whole networks, layer by layer.

    A predictor of another attribute does the same for that attribute. `narformer predictors` lists those that ship.

    In a pipe, each cell or network is one line of values between tabs. --all and --profile print tables there, too.

    Example: narformer predict nasbench201 --predictor nasbench201 --best 10

    Example: narformer predict model.onnx --dim batch=1
    """
    start(threads)
    from narformer import jobs

    chosen = () if predictor is None else (predictor,)
    with bars_shown() as bars:
        groups = jobs.ask(nets, chosen, *bound(dim, input_), device, bars)
        first = next(groups)
    if first.space is not None and profile is not None:
        raise typer.BadParameter("cells have no profile", param_hint="--profile")
    if first.space is not None:
        wanted = best if best or as_json or not out.is_terminal else SHOWN
        _print_ranking(jobs.rank(first, wanted, ascending, by), best, as_json)
        return
    failures: list[tuple[str, str]] = []
    answers = _ranked(_each_network(chain([first], groups), profile, failures), ascending, best, by)
    answered = next(answers, None)
    if answered is not None:
        print_networks(chain([answered], answers), everything, as_json, shipped=predictor is None)
    if failures:
        raise NotAnswered(failures)


def _each_network(
    groups: Iterator["Asked"], profile: Path | None, failures: list[tuple[str, str]]
) -> Iterator[tuple["NetworkPrediction", ...]]:
    """The predictions of each network; those that cannot be read, or have no profile, are added to ``failures``."""
    from narformer.jobs import predictions

    try:
        for asked in groups:
            try:
                found = predictions(asked, profile)
            except BadFile as error:
                failures.append((asked.source.title if asked.source else "", str(error)))
                continue
            yield found
    except NotAnswered as error:
        failures.extend(error.failures)


def _ranked(
    answers: Iterator[tuple["NetworkPrediction", ...]], ascending: bool | None, best: int | None, by: str | None
) -> Iterator[tuple["NetworkPrediction", ...]]:
    """Ranked by attribute ``by`` of the first predictor that has it; by default, by the first attribute of all.

    In the given order, one after the other, where none of the three is given.
    """
    if not best and not by and ascending is None:
        return answers
    listed = list(answers)
    if not listed:
        return iter(())
    places = {answer.attribute: place for place, answer in reversed(list(enumerate(listed[0])))}
    place = 0 if by is None else lookup(places, by, "predicted attribute")
    lowest_first = listed[0][place].better == "lower" if ascending is None else ascending
    sign = 1 if lowest_first else -1
    return iter(sorted(listed, key=lambda found: sign * found[place].value)[:best])


def _print_ranking(answer: "Ranking", best: int | None, as_json: bool) -> None:
    if as_json:
        print_json(dataclasses.asdict(answer))
        return
    if not out.is_terminal:  # for programs that read lines: one whole cell in each
        for entry in answer.ranked:
            also = "".join(f"\t{other.value:.6g}" for other in entry.also)
            print(f"{entry.rank}\t{entry.value:.6g}\t{entry.text}\t{entry.row}{also}")
        if guesses := sum(bool(entry.larger) for entry in answer.ranked):
            err.print(f"{guesses:,} of {len(answer.ranked):,} {LARGER}", highlight=False)
        return
    title = escape(f"{answer.attribute} predicted by {answer.predictor}: {answer.scored:,} scored")
    table = Table(title=title, title_justify="left")
    sure, label = answer.confidence is not None, escape(answer.label or "labels")
    intervals = [f"{answer.confidence:.0%} of {label}", "beats next"] if sure else []
    others = [escape(_heading(other.attribute, other.unit)) for other in answer.ranked[0].also]
    for heading in ("rank", escape(answer.unit or "value"), *intervals, *others):
        table.add_column(heading, justify="right", overflow="fold")
    table.add_column("cell", overflow="fold")
    for entry in answer.ranked:
        table.add_row(*_cells(entry, sure))
    out.print(table)
    if any(entry.larger for entry in answer.ranked):
        out.print(f"* {LARGER}", style="yellow", highlight=False)
    if not best and len(answer.ranked) < answer.scored:
        out.print(f"the best {SHOWN}; --best for another number, --json or a pipe for all", highlight=False)


def _heading(attribute: str, unit: str) -> str:
    """The attribute with its unit, unless its name holds the unit."""
    return attribute if unit in attribute else f"{attribute} {unit}"


def _cells(entry: "Ranked", sure: bool) -> list[str]:
    """The cells of one row of a ranking."""
    beats = "" if entry.beats_next is None else f"{entry.beats_next:.0%}"
    certainty = [f"{entry.low:.4f} to {entry.high:.4f}", beats] if sure else []
    others = [
        f"{other.value:.4g}" + ("" if other.low is None else f"\n{other.low:.4g} to {other.high:.4g}")
        for other in entry.also
    ]
    sign = "* " if entry.larger else ""
    return [str(entry.rank), f"{entry.value:.4f}", *certainty, *others, sign + escape(entry.text)]
