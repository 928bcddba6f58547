"""Commands about cells: train, predict, evaluate, and what ships."""

import dataclasses
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from narformer.cli.latency import print_latencies
from narformer.cli.measuring import Dims, Shapes, bound
from narformer.cli.terminal import (
    Device,
    Json,
    Seed,
    Threads,
    bars_shown,
    err,
    jobs_with,
    out,
    print_json,
    print_scores,
    trained_on,
    training_time,
)
from narformer.errors import NarformerError

LARGER = "larger than any cell trained on: its value is a guess"
SHOWN = 20  # rows of a ranking when nobody said how many
FEW = 30  # test networks whose Kendall τ has a standard deviation above .12 where there is nothing to rank


def train(
    recipe: Annotated[Path | None, typer.Argument(help="A recipe in TOML; with --data it may be left out.")] = None,
    data: Annotated[Path | None, typer.Option(help="A table of your own: .csv, .json or .jsonl.")] = None,
    label: Annotated[str | None, typer.Option(help="The column of --data to learn; the first by default.")] = None,
    seed: Seed = 0,
    save_to: Annotated[Path | None, typer.Option("--out", help="Folder of the run.")] = None,
    change: Annotated[list[str] | None, typer.Option("--set", help="Change a key: training.epochs=50.")] = None,
    device: Device = "cpu",
    threads: Threads = None,
    as_json: Json = False,
) -> None:
    """Train a predictor as a recipe says, or on a table of your own; an interrupted run resumes.

    Example: narformer train examples/nasbench201.toml --set data.train=781

    Example: narformer train --data my.csv --label latency --out runs/mine
    """
    jobs = jobs_with(threads)
    with bars_shown() as bars:
        facts = jobs.train(recipe, seed, save_to, _changes(change or []), device, bars, data, label)
    if as_json:
        print_json(facts)
        return
    text = f"{facts['system']} trained on {trained_on(facts)} in {training_time(facts)} (seed {facts['seed']})"
    if "table" not in facts:
        out.print(escape(text), highlight=False)
        print_scores(facts["scores"])
        out.print(escape(f"saved to {facts['predictor']}"), highlight=False)
        return
    on, table, folder = facts["trained_on"], facts["table"], Path(facts["predictor"]).parent
    asked = "FILES" if table["space"] == "networks" else "CELLS"
    if on["test"] < FEW:
        err.print(f"only {on['test']} networks test: chance alone moves these scores a lot", style="yellow")
    for line in (
        f"{on['data']}: {table['rows']:,} networks of {table['space']}; {table['repeated']:,} repeat an earlier row",
        f"split: {on['train']:,} train, {on['validation']:,} validate, {on['test']:,} test",
        text,
        f"Kendall τ of {on['label']} on the {on['test']:,} test networks: {facts['scores']['tau']:.3f}",
        *([f"mean absolute error on them: {facts['scores']['mape']:.1f} %"] if "mape" in facts["scores"] else []),
        f"saved to {facts['predictor']}",
        f"predict with it: narformer predict {asked} --predictor {folder}",
    ):
        out.print(escape(line), highlight=False, soft_wrap=True)


def predict(
    nets: Annotated[
        list[str],
        typer.Argument(
            help="Cells, files of cells, '-', or a space's name; or ONNX files, networks of families, lists of those."
        ),
    ],
    predictor: Annotated[
        str | None,
        typer.Option("--predictor", "-p", help="A shipped predictor or a run's folder; by default all that suit."),
    ] = None,
    best: Annotated[int | None, typer.Option("--best", "-n", help="Only the best so many.", min=1)] = None,
    ascending: Annotated[bool, typer.Option("--ascending", help="The smallest value first.")] = False,
    dim: Dims = None,
    input_: Shapes = None,
    everything: Annotated[bool, typer.Option("--all", help="Of a whole network, every layer.")] = False,
    device: Device = "cpu",
    threads: Threads = None,
    as_json: Json = False,
) -> None:
    """Rank cells by their predicted attribute, the best first; or tell a whole network's latency, layer by layer.

    The best cell is the one with the largest value, or with --ascending the smallest; the best network is the fastest.

    Example: narformer predict nasbench201 --predictor nasbench201 --best 10

    Example: narformer predict model.onnx --predictor runs/mine
    """
    jobs = jobs_with(threads)
    chosen = jobs.suited(nets) if predictor is None else (predictor,)
    if jobs.reads_networks(chosen[0]):
        if device != "cpu":
            raise typer.BadParameter("latencies of whole networks are computed on the CPU", param_hint="--device")
        refused: list[NarformerError] = []

        def answers() -> Iterator[Sequence[Any]]:
            try:
                yield from jobs.predict_latencies(nets, chosen, *bound(dim, input_))
            except NarformerError as error:  # after all others were answered
                refused.append(error)

        told = sorted(answers(), key=lambda said: said[0].value)[:best] if best or ascending else answers()
        print_latencies(told, everything, as_json, shipped=predictor is None)
        if refused:
            raise refused[0]
        return
    with bars_shown() as bars:
        wanted = best if best or as_json or not out.is_terminal else SHOWN
        answer = jobs.predict(nets, chosen[0], wanted, device, bars, ascending)
    if as_json:
        print_json(dataclasses.asdict(answer))
        return
    if not out.is_terminal:  # for programs that read lines: one whole cell in each
        for entry in answer.ranked:
            print(f"{entry.rank}\t{entry.value:.6g}\t{entry.text}\t{entry.row}")
        if guesses := sum(bool(entry.larger) for entry in answer.ranked):
            err.print(f"{guesses:,} of {len(answer.ranked):,} {LARGER}", highlight=False)
        return
    title = escape(f"{answer.attribute} predicted by {answer.predictor}: {answer.scored:,} scored")
    table = Table(title=title, title_justify="left")
    sure, label = answer.confidence is not None, escape(answer.label or "labels")
    intervals = [(f"{answer.confidence:.0%} of {label}", "right"), ("beats next", "right")] if sure else []
    for title, side in (("rank", "right"), (escape(answer.unit or "value"), "right"), *intervals, ("cell", "left")):
        table.add_column(title, justify=side, overflow="fold")  # type: ignore[arg-type]
    for entry in answer.ranked:
        beats = "" if entry.beats_next is None else f"{entry.beats_next:.0%}"
        certainty = [f"{entry.low:.4f} to {entry.high:.4f}", beats] if sure else []
        sign = "* " if entry.larger else ""
        table.add_row(str(entry.rank), f"{entry.value:.4f}", *certainty, sign + escape(entry.text))
    out.print(table)
    if any(entry.larger for entry in answer.ranked):
        out.print(f"* {LARGER}", style="yellow", highlight=False)
    if not best and len(answer.ranked) < answer.scored:
        out.print(f"the best {SHOWN}; --best for another number, --json or a pipe for all", highlight=False)


def evaluate(
    predictor: Annotated[str, typer.Argument(help="A shipped predictor or a run's folder.")],
    data: Annotated[str | None, typer.Option(help="Data set or table; what it was trained on by default.")] = None,
    split: Annotated[str | None, typer.Option(help="Split; the one it was trained on by default.")] = None,
    n: Annotated[int | None, typer.Option("--train", help="Training size of the split.", min=1)] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of a random split.")] = None,
    device: Device = "cpu",
    threads: Threads = None,
    as_json: Json = False,
) -> None:
    """Score a saved predictor against measured labels.

    Example: narformer evaluate nasbench201
    """
    jobs = jobs_with(threads)
    with bars_shown() as bars:
        scores = jobs.evaluate(predictor, data, split, n, seed, device, bars)
    if as_json:
        print_json(scores)
    else:
        print_scores(scores)


def predictors(as_json: Json = False) -> None:
    """List the predictors that ship with the package.

    Example: narformer predictors
    """
    found = jobs_with(None).predictors()
    if as_json:
        print_json(found)
        return
    table = Table("name", "predicts", "system", "trained on", "on its test networks")
    for entry in found:
        scores = entry["scores"] or {}
        told = [f"τ {scores['tau']:.3f}"] if "tau" in scores else []
        told += [f"{scores['mape']:.1f} % off"] if "mape" in scores else []
        told += [f"intervals hold {scores['coverage']:.0%}"] if "coverage" in scores else []
        table.add_row(
            escape(entry["name"]),
            escape(f"{entry['attribute']} ({entry['unit']})"),
            escape(entry["system"] or ""),
            escape(trained_on(entry)),
            ", ".join(told),
        )
    out.print(table)


def _changes(settings: list[str]) -> dict[str, Any]:
    """``key=value`` settings; a value is JSON where it parses, else text."""
    changes = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise typer.BadParameter(
                f"'{setting}' is not key=value, for example training.epochs=50", param_hint="--set"
            )
        try:
            changes[key] = json.loads(value)
        except json.JSONDecodeError:
            changes[key] = value
    return changes
