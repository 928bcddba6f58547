"""Commands that train and score predictors, and list those that ship."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from narformer.cli.terminal import (
    Device,
    Json,
    Seed,
    Threads,
    bars_shown,
    err,
    out,
    print_json,
    print_scores,
    start,
    trained_on,
)

if TYPE_CHECKING:
    from narformer.jobs import Learned
    from narformer.jobs.training import Run

FEW = 30  # with fewer test networks, the Kendall τ of random scores has a standard deviation above .12


def train(
    recipe: Annotated[
        Path | None, typer.Argument(help="A recipe in TOML; may be left out with --data or --store.")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Your own table: .csv, .json or .jsonl.")] = None,
    store: Annotated[str | None, typer.Option(help="A store of measurements: a file, or postgresql://…")] = None,
    label: Annotated[
        list[str] | None, typer.Option("--label", "--attribute", help="Label to learn; repeat it for several.")
    ] = None,
    where: Annotated[
        list[str] | None, typer.Option(help="With --store: only these measurements, such as runtime=ort.")
    ] = None,
    seed: Seed = 0,
    save_to: Annotated[Path | None, typer.Option("--out", help="Folder of the run.")] = None,
    change: Annotated[list[str] | None, typer.Option("--set", help="Change a key: training.epochs=50.")] = None,
    device: Device = "cpu",
    threads: Threads = None,
    as_json: Json = False,
) -> None:
    """Train a predictor: by a recipe, on your own table, or on stored measurements.

    The same command continues a run that was interrupted.

    Example: narformer train examples/nasbench201.toml --set data.train=781

    Example: narformer train --data my.csv --label accuracy --label latency --out runs/mine

    Example: narformer train --store measurements.sqlite --where runtime=ort --out runs/mine
    """
    start(threads)
    from narformer import jobs

    material = jobs.Material(data, store, tuple(label or ()), _settings(where or [], "--where", "runtime=ort"))
    changes = _settings(change or [], "--set", "training.epochs=50")
    with bars_shown() as bars:
        learned = jobs.train(recipe, seed, save_to, changes, device, bars, material)
    if as_json:
        print_json(_record(learned))
        return
    run = learned.run
    text = f"{run.system} trained on {trained_on(run.trained_on)} in {_time(run)} (seed {run.seed})"
    if learned.rows is None:
        out.print(escape(text), highlight=False)
        print_scores(run.scores)
        out.print(escape(f"saved to {learned.predictor}"), highlight=False)
        return
    _print_own(learned, text)


def _print_own(learned: "Learned", text: str) -> None:
    """The screen after a training on the user's own data."""
    run, on, folder = learned.run, learned.run.trained_on or {}, learned.predictor.parent
    asked = "FILES" if learned.space == "networks" else "CELLS"
    if on["test"] < FEW:
        err.print(f"only {on['test']} networks test: chance alone moves these scores a lot", style="yellow")
    of_space = "" if learned.space == "networks" else f" of {learned.space}"
    if not any("coverage" in scores for scores in run.scores.values()):
        err.print("too few networks validate for intervals: predictions have a value alone", style="yellow")
    lines = [
        f"{on['data']}: {learned.rows:,} networks{of_space}; {learned.repeated:,} repeat an earlier row",
        *(f"{count:,} of them have no {name}" for name, count in learned.unlabelled.items()),
        *([f"{learned.unused:,} of them have no label and are not used"] if learned.unused else []),
        f"split: {on['train']:,} train, {on['validation']:,} validate, {on['test']:,} test",
        text,
    ]
    for name, scores in run.scores.items():
        if "tau" not in scores:
            lines.append(f"too few test networks have a label {name} to score it")
            continue
        tested = "test networks that have it" if name in learned.unlabelled else f"{on['test']:,} test networks"
        lines.append(f"Kendall τ of {name} on the {tested}: {scores['tau']:.3f}")
        if "mape" in scores:
            lines.append(f"mean absolute error of {name} on them: {scores['mape']:.1f} %")
    lines += [f"saved to {learned.predictor}", f"predict with it: narformer predict {asked} --predictor {folder}"]
    for line in lines:
        out.print(escape(line), highlight=False, soft_wrap=True)


def _record(learned: "Learned") -> dict[str, Any]:
    """For programs: the run, and the size of the user's own data."""
    record: dict[str, Any] = learned.run.model_dump(mode="json", exclude_none=True)
    record["predictor"] = str(learned.predictor)
    if learned.rows is not None:
        record["table"] = {
            "rows": learned.rows,
            "space": learned.space,
            "repeated": learned.repeated,
            "unlabelled": dict(learned.unlabelled),
            "unused": learned.unused,
        }
    return record


def _time(run: "Run") -> str:
    """'47 s (25 s of it pre-training)'."""
    phase = f" ({run.seconds_pretraining:.0f} s of it pre-training)" if run.seconds_pretraining else ""
    return f"{run.seconds_training:.0f} s{phase}"


def evaluate(
    predictor: Annotated[str, typer.Argument(help="A shipped predictor or a run's folder.")],
    data: Annotated[str | None, typer.Option(help="Data set or table; by default the one it was trained on.")] = None,
    split: Annotated[str | None, typer.Option(help="Split; by default the one it was trained on.")] = None,
    n: Annotated[int | None, typer.Option("--train", help="Training size of the split.", min=1)] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of a random split.")] = None,
    device: Device = "cpu",
    threads: Threads = None,
    as_json: Json = False,
) -> None:
    """Score a saved predictor against measured labels.

    With several attributes, --json prints an object for each.

    Example: narformer evaluate nasbench201
    """
    start(threads)
    from narformer import jobs

    with bars_shown() as bars:
        scores = jobs.evaluate(predictor, data, split, n, seed, device, bars)
    if as_json:
        print_json(next(iter(scores.values())) if len(scores) == 1 else scores)
    else:
        print_scores(scores)


def predictors(as_json: Json = False) -> None:
    """List the predictors that ship with the package.

    Example: narformer predictors
    """
    start(None)
    from narformer import jobs

    found = jobs.predictors()
    if as_json:
        print_json([entry.record() for entry in found])
        return
    table = Table("name", "predicts", "system", "trained on", "on its test networks")
    for entry in found:
        scores = entry.facts.get("scores") or {}
        table.add_row(
            escape(entry.name),
            escape("\n".join(f"{attribute.name} ({attribute.unit})" for attribute in entry.attributes)),
            escape(entry.facts.get("system") or ""),
            escape(trained_on(entry.facts.get("trained_on"))),
            "\n".join(_summary(scores.get(attribute.name) or {}) for attribute in entry.attributes),
        )
    out.print(table)


def _summary(scores: dict[str, Any]) -> str:
    """'τ 0.914, intervals hold 90%'."""
    parts = [f"τ {scores['tau']:.3f}"] if "tau" in scores else []
    parts += [f"{scores['mape']:.1f} % off"] if "mape" in scores else []
    parts += [f"intervals hold {scores['coverage']:.0%}"] if "coverage" in scores else []
    return ", ".join(parts)


def _settings(settings: list[str], option: str, example: str) -> dict[str, Any]:
    """``key=value`` settings; a value is JSON where it parses, otherwise text."""
    values = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise typer.BadParameter(f"'{setting}' is not key=value, for example {example}", param_hint=option)
        try:
            values[key] = json.loads(value)
        except json.JSONDecodeError:
            values[key] = value
    return values
