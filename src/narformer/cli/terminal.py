"""What the commands share: the two consoles, common options, progress bars, and scores and JSON as they are printed."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

out, err = Console(), Console(stderr=True)
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
Threads = Annotated[int | None, typer.Option(help="CPU threads; all by default.", min=1)]
Device = Annotated[str, typer.Option(help="cpu, or cuda where there is one.")]
Seed = Annotated[int, typer.Option(help="Seed of everything that chance decides.")]


def jobs_with(threads: int | None) -> Any:
    """The jobs, imported now; ``threads`` CPU threads for all of them."""
    waiting = err.status("starting", spinner="dots") if err.is_terminal else nullcontext()
    with waiting:
        import torch

        from narformer import jobs

        if threads is not None:
            torch.set_num_threads(threads)
    return jobs


@contextmanager
def bars_shown() -> Iterator[Callable[[str, int, int, float | None], None]]:
    """Progress bars on standard error, one per phase: call with (phase, done, total, validation τ)."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress:
        tasks: dict[str, Any] = {}

        def show(phase: str, done: int, total: int, tau: float | None) -> None:
            if phase not in tasks:
                tasks[phase] = progress.add_task(phase, total=total, note="")
            progress.update(tasks[phase], completed=done)
            if tau is not None:
                progress.update(tasks[phase], note=f"validation τ {tau:.3f}")

        try:
            yield show
        except KeyboardInterrupt:
            progress.stop()
            err.print("interrupted: the same command goes on from the last saved state", highlight=False)
            raise typer.Exit(130) from None


def trained_on(facts: dict[str, Any]) -> str:
    """'781 networks of nasbench201 (split paper)'."""
    on = facts.get("trained_on") or {}
    return f"{on.get('train', '?')} networks of {on.get('data', '?')} (split {on.get('split', '?')})"


SCORES = {
    "tau": "Kendall τ, test label, all test rows",
    "tau_unseen": "Kendall τ, test label, rows never trained on",
    "tau_valid": "Kendall τ, validation label, all test rows",
    "tau_100": "Kendall τ, test label, the 100 cells after validation",
    "precision_1": "share of the predicted best 1 % that is truly so",
}


def print_scores(scores: dict[str, float]) -> None:
    """Scores by their full names."""
    table = Table("score", "value")
    for name, value in scores.items():
        table.add_row(SCORES.get(name, name), f"{value:.4f}")
    out.print(table)


def print_json(value: Any) -> None:
    """Indented JSON on standard output."""
    print(json.dumps(value, indent=1))
