"""Shared by the commands: consoles, common options, progress bars; formats of scores, amounts, JSON and sizes."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from typer.core import TyperGroup

from narformer.errors import BadArchitecture, lookup

T = TypeVar("T")
WIDE = 10_000  # columns of an output that is no terminal


def console(stderr: bool = False) -> Console:
    """A console on standard output or error. In a pipe or a file it is so wide that no line is wrapped or cut."""
    made = Console(stderr=stderr)
    if not made.file.isatty():
        made.width = WIDE
    return made


out, err = console(), console(stderr=True)
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
Threads = Annotated[int | None, typer.Option(help="CPU threads of torch; all by default.", min=1)]
Device = Annotated[str, typer.Option(help="Device of torch: cpu, or cuda where there is one.")]
Seed = Annotated[int, typer.Option(help="Seed of all random numbers.")]


def start(threads: int | None) -> None:
    """Import torch and the jobs, which takes a second, with a sign of it; ``threads`` CPU threads for all of them."""
    waiting = err.status("starting", spinner="dots") if err.is_terminal else nullcontext()
    with waiting:
        import torch

        from narformer import jobs  # noqa: F401 imported while the sign is shown

        if threads is not None:
            torch.set_num_threads(threads)


def waiting(items: Iterator[T]) -> Iterator[T]:
    """The same items, with a sign on a terminal while each is made."""
    while True:
        try:
            with err.status("reading", spinner="dots") if err.is_terminal else nullcontext():
                item = next(items)
        except StopIteration:
            return
        yield item


class Commands(TyperGroup):
    """Commands by name; a name that is not known is one line, as every error, with the nearest one or all."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that the first word names. Raises UnknownName."""
        if not args[0].startswith("-"):
            lookup(self.commands, args[0], "command")
        return super().resolve_command(ctx, args)


@contextmanager
def bars_shown(still: bool = False) -> Iterator[Callable[[str, int, int, float | None], None]]:
    """Progress bars on standard error, one per phase: call with (phase, done, total, validation τ).

    still: drawn only when called, so that no other thread disturbs the timing.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    drawn = not still
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal, auto_refresh=drawn) as progress:
        tasks: dict[str, Any] = {}

        def show(phase: str, done: int, total: int, tau: float | None) -> None:
            if phase not in tasks:
                tasks[phase] = progress.add_task(phase, total=total, note="")
            progress.update(tasks[phase], completed=done)
            if tau is not None:
                progress.update(tasks[phase], note=f"validation τ {tau:.3f}")
            if still:
                progress.refresh()

        try:
            yield show
        except KeyboardInterrupt:
            progress.stop()
            err.print("interrupted: the same command continues from the last saved state", highlight=False)
            raise typer.Exit(130) from None


def trained_on(on: Mapping[str, Any] | None) -> str:
    """'781 networks of nasbench201 (split paper)'."""
    on = on or {}
    return f"{on.get('train', '?')} networks of {on.get('data', '?')} (split {on.get('split', '?')})"


SCORES = {
    "tau": "Kendall τ, test label, all test rows",
    "tau_unseen": "Kendall τ, test label, rows never trained on",
    "tau_valid": "Kendall τ, validation label, all test rows",
    "tau_100": "Kendall τ, test label, the 100 cells after validation",
    "tau_100_drawn": "Kendall τ, test label, 100 unseen cells, mean of 50 draws",
    "precision_1": "share of the predicted best 1 % that are among the true best 1 %",
    "mape": "mean absolute error in percent, rows never trained on",
    "acc_10": "percentage of them that are off by at most 10 %",
    "acc_5": "percentage of them that are off by at most 5 %",
    "coverage": "share of intervals that contain the label trained on, rows never trained on",
    "coverage_test": "share of intervals that contain the test label, a different label",
}


def print_scores(scores: Mapping[str, Mapping[str, float]]) -> None:
    """Scores of each attribute by their full names; the attributes are columns where there are several."""
    table = Table("score", *(scores if len(scores) > 1 else ("value",)))
    for name in dict.fromkeys(name for of_one in scores.values() for name in of_one):
        values = [f"{of_one[name]:.4f}" if name in of_one else "" for of_one in scores.values()]
        table.add_row(SCORES.get(name, name), *values)
    out.print(table)


def print_json(value: Any) -> None:
    """Indented JSON on standard output."""
    print(json.dumps(value, indent=1))


def amount(count: int | None) -> str:
    """Three digits and a metric prefix: 118 M; '?' where it was not counted."""
    if count is None:
        return "?"
    size, letters = float(count), iter(("", " k", " M", " G", " T", " P", " E"))
    letter = next(letters)
    while size >= 999.5 and letter != " E":
        size, letter = size / 1000, next(letters)
    return f"{size:,.0f}{letter}" if size >= 99.95 or not letter else f"{size:.3g}{letter}"


def sizes(texts: list[str], sign: str, option: str, example: str) -> dict[str, tuple[int, ...]]:
    """name -> sizes, of ``name:1x3x224x224``; the name itself may hold the sign."""
    found = {}
    for text in texts:
        name, _, numbers = text.rpartition(sign)
        parts = numbers.split("x")
        right = name and all(part.isascii() and part.isdigit() and len(part) < 20 for part in parts)
        if not right or (sign == "=" and len(parts) > 1):
            raise BadArchitecture(f"{option} was given '{text}'; expected a name and its size, such as {example}")
        found[name] = tuple(map(int, parts))
    return found
