"""The command line: parse, call a job, print. A job is imported when its command runs, so help stays fast."""

import dataclasses
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from narformer import __version__
from narformer.errors import NarformerError

app = typer.Typer(
    name="narformer",
    help="Know a neural network's accuracy and latency before you train or deploy it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
data_app = typer.Typer(invoke_without_command=True)
app.add_typer(data_app, name="data")

out, err = Console(), Console(stderr=True)
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
Threads = Annotated[int | None, typer.Option(help="CPU threads; all by default.", min=1)]
Device = Annotated[str, typer.Option(help="cpu, or cuda where there is one.")]
Seed = Annotated[int, typer.Option(help="Seed of everything that chance decides.")]


def main() -> None:
    """Run the command line; an expected error is one line and exit code 2."""
    try:
        app()
    except NarformerError as error:
        err.print(f"[bold red]error:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        sys.exit(2)


def _version(show: bool) -> None:
    if show:
        print(__version__)
        raise typer.Exit


@app.callback()
def narformer(
    show: Annotated[
        bool, typer.Option("--version", help="Print the version and stop.", is_eager=True, callback=_version)
    ] = False,
) -> None:
    """Know a neural network's accuracy and latency before you train or deploy it."""


@app.command()
def train(
    recipe: Annotated[Path, typer.Argument(help="A recipe in TOML.")],
    seed: Seed = 0,
    save_to: Annotated[Path | None, typer.Option("--out", help="Folder of the run.")] = None,
    change: Annotated[list[str] | None, typer.Option("--set", help="Change a key: training.epochs=50.")] = None,
    device: Device = "cpu",
    threads: Threads = None,
    as_json: Json = False,
) -> None:
    """Train a predictor as a recipe says; an interrupted run resumes.

    Example: narformer train examples/nasbench201.toml --set data.train=781
    """
    jobs = _jobs(threads)
    with _bars() as bars:
        facts = jobs.train(recipe, seed, save_to, _changes(change or []), device, bars)
    if as_json:
        _print_json(facts)
        return
    text = f"{facts['system']} trained on {_trained_on(facts)} in {facts['seconds']:.0f} s (seed {facts['seed']})"
    out.print(escape(text), highlight=False)
    _print_scores(facts["scores"])
    out.print(escape(f"saved to {facts['predictor']}"), highlight=False)


@app.command()
def predict(
    cells: Annotated[list[str], typer.Argument(help="Cells, files of cells, '-', or a space's name.")],
    predictor: Annotated[str, typer.Option("--predictor", "-p", help="A shipped predictor or a run's folder.")],
    best: Annotated[int | None, typer.Option("--best", "-n", help="Only the best so many.", min=1)] = None,
    device: Device = "cpu",
    threads: Threads = None,
    as_json: Json = False,
) -> None:
    """Rank architectures by their predicted attribute, the best first.

    Example: narformer predict nasbench201 --predictor nasbench201 --best 10
    """
    jobs = _jobs(threads)
    with _bars() as bars:
        answer = jobs.predict(cells, predictor, best, device, bars)
    if as_json:
        _print_json(dataclasses.asdict(answer))
        return
    if not out.is_terminal:  # for programs that read lines: one whole cell in each
        for entry in answer.ranked:
            print(f"{entry.rank}\t{entry.value:.6g}\t{entry.text}")
        return
    title = escape(f"{answer.attribute} predicted by {answer.predictor}: {answer.scored:,} scored")
    table = Table(title=title, title_justify="left")
    for title, side in (("rank", "right"), (escape(answer.unit), "right"), ("cell", "left")):
        table.add_column(title, justify=side, overflow="fold")  # type: ignore[arg-type]
    shown = answer.ranked if best else answer.ranked[:SHOWN]
    for entry in shown:
        table.add_row(str(entry.rank), f"{entry.value:.4f}", escape(entry.text))
    out.print(table)
    if len(shown) < len(answer.ranked):
        out.print(f"the best {SHOWN}; --best for another number, --json or a pipe for all", highlight=False)


@app.command()
def evaluate(
    predictor: Annotated[str, typer.Argument(help="A shipped predictor or a run's folder.")],
    data: Annotated[str | None, typer.Option(help="Data set; the one it was trained on by default.")] = None,
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
    jobs = _jobs(threads)
    with _bars() as bars:
        scores = jobs.evaluate(predictor, data, split, n, seed, device, bars)
    if as_json:
        _print_json(scores)
    else:
        _print_scores(scores)


@app.command()
def table(
    name: Annotated[str | None, typer.Argument(help="A table, as `narformer table` lists them.")] = None,
    row: Annotated[str | None, typer.Option(help="Run only this system.")] = None,
    size: Annotated[int | None, typer.Option(help="Run only this number of training cells.")] = None,
    seeds: Annotated[int, typer.Option(help="Make the missing runs of so many seeds first.", min=0)] = 0,
    variant: Annotated[str, typer.Option(help="Recipes to run: quick, or paper (the original epochs).")] = "quick",
    fresh: Annotated[bool, typer.Option("--fresh", help="Run again what is stored.")] = False,
    results: Annotated[Path, typer.Option(help="Folder of stored runs and tables.")] = Path("results"),
    threads: Threads = None,
    as_json: Json = False,
) -> None:
    """Show a table of the papers with our runs beside the printed numbers, or run its rows.

    Example: narformer table narformer_v2/nasbench201 --row "NAR-Former V2" --size 781 --seeds 1 --fresh
    """
    jobs = _jobs(threads)
    from narformer.papers import TABLES, read_table

    if name is None:
        listed = [(n, read_table(n)) for n in TABLES]
        if as_json:
            _print_json([{"name": n, "number": t.number, "title": t.title, "paper": t.paper} for n, t in listed])
            return
        overview = Table("table", "printed as", "title")
        for n, printed in listed:
            overview.add_row(n, f"{printed.paper.partition(':')[0]}, {printed.number}", escape(printed.title))
        out.print(overview)
        return
    if not (results / "runs").is_dir():
        err.print(escape(f"no stored runs in {results}: start in the clone, or name its folder with --results"))
    with _bars() as bars:
        result = jobs.table(name, results, row, size, seeds or int(fresh), variant, fresh, bars)
    if as_json:
        print(result.model_dump_json(indent=1))
        return
    _print_table(result)


SHOWN = 20  # rows of a ranking when nobody said how many
COLOURS = {"reproduced": "green", "near": "yellow", "off": "red", "not run": "dim"}


def _print_table(result: Any) -> None:
    """Printed number, ours as mean ± sd, status; then seeds and seconds."""
    table = result.table
    digits = 4 if table.metric == "milliseconds" else 3
    shown = Table(title=f"{table.paper.partition(':')[0]}, {table.number}: {table.title}", title_justify="left")
    shown.add_column("system")
    for column in table.columns:
        shown.add_column(column.heading, justify="right")
    for row in table.rows:
        texts = []
        for column in table.columns:
            cell = result.cell(row.system, column.key)
            if cell is None:
                texts.append("-")
                continue
            text = f"{cell.printed:.{digits}f}{cell.printed_mark}"
            if cell.runs_here:
                sd = "" if cell.sd is None else f" ± {cell.sd:.{digits}f}"
                ours = "" if cell.mean is None else f"[bold]{cell.mean:.{digits}f}[/]{sd}, {cell.seconds:.0f} s\n"
                recipe = "" if cell.recipe is None else f"{cell.recipe}: "
                text += f"\n{ours}[{COLOURS[cell.status]}]{recipe}{cell.status}[/]"
            texts.append(text)
        shown.add_row(escape(row.system + row.mark), *texts)
    out.print(shown)
    for sign, text in table.footnotes.items():
        out.print(f"{sign} {escape(text)}", highlight=False)
    out.print("Printed number, then ours: mean ± sd over the seeds, seconds of one training; recipe, comparison.")
    out.print(f"All columns, seeds and differences: results/{table.name.replace('/', '_')}.md", highlight=False)


@app.command()
def predictors(as_json: Json = False) -> None:
    """List the predictors that ship with the package.

    Example: narformer predictors
    """
    found = _jobs(None).predictors()
    if as_json:
        _print_json(found)
        return
    table = Table("name", "predicts", "system", "trained on", "τ(test)")
    for entry in found:
        tau = (entry["scores"] or {}).get("tau")
        table.add_row(
            escape(entry["name"]),
            escape(f"{entry['attribute']} ({entry['unit']})"),
            escape(entry["system"] or ""),
            escape(_trained_on(entry)),
            "" if tau is None else f"{tau:.3f}",
        )
    out.print(table)


@data_app.callback()
def data(context: typer.Context, as_json: Json = False) -> None:
    """What labelled networks are at hand; add, fetch and check them.

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
        _print_json({"folder": str(data_folder()), "sources": entries})
        return
    table = Table("source", "networks", "state", "where it is, or what it needs", title=f"data in {data_folder()}")
    for entry in listed:
        place = str(entry.path) if entry.path is not None and not entry.needs else entry.needs
        table.add_row(entry.source.name, f"{entry.source.rows:,}", entry.state, escape(place))
    out.print(table)


@data_app.command("add")
def data_add(
    name: Annotated[str, typer.Argument(help="The source, as `narformer data` lists it.")],
    file: Annotated[Path, typer.Argument(help="The official file, or our parquet.")],
    as_json: Json = False,
) -> None:
    """Read an official file, verify it, and keep it in a compact form.

    Example: narformer data add nasbench101 nasbench_only108.tfrecord
    """
    from narformer.data import folder

    with _bars() as bars:
        path = folder.add(name, file, lambda share: bars("read", round(100 * share), 100, None))
    _print_json({"path": str(path)}) if as_json else out.print(f"added {path}", highlight=False)


@data_app.command("fetch")
def data_fetch(
    name: Annotated[str, typer.Argument(help="The source, as `narformer data` lists it.")], as_json: Json = False
) -> None:
    """Download an official file where an address serves it with a known checksum; else say where to take it.

    Example: narformer data fetch nasbench101
    """
    from narformer.data import folder

    with _bars() as bars:
        path = folder.fetch(name, lambda share: bars("read", round(100 * share), 100, None))
    _print_json({"path": str(path)}) if as_json else out.print(f"added {path}", highlight=False)


@data_app.command("doctor")
def data_doctor(as_json: Json = False) -> None:
    """Open every file that is there and test its rows, known optima and label ranges; exit code 1 for a sick one.

    Example: narformer data doctor
    """
    from narformer.data.folder import data_folder, doctor

    findings = doctor()
    if as_json:
        _print_json([dataclasses.asdict(f) | {"path": str(f.path)} for f in findings])
    elif not findings:
        out.print(f"no data in {data_folder()}: `narformer data` says what each source needs")
    else:
        table = Table("source", "", "finding")
        for finding in findings:
            table.add_row(finding.name, "[green]ok[/]" if finding.healthy else "[red]sick[/]", escape(finding.text))
        out.print(table)
    if not all(finding.healthy for finding in findings):
        raise typer.Exit(1)


def _jobs(threads: int | None) -> Any:
    """The jobs, imported now; ``threads`` CPU threads for all of them."""
    waiting = err.status("starting", spinner="dots") if err.is_terminal else nullcontext()
    with waiting:
        import torch

        from narformer import jobs

        if threads is not None:
            torch.set_num_threads(threads)
    return jobs


@contextmanager
def _bars() -> Iterator[Callable[[str, int, int, float | None], None]]:
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


def _trained_on(facts: dict[str, Any]) -> str:
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


def _print_scores(scores: dict[str, float]) -> None:
    table = Table("score", "value")
    for name, value in scores.items():
        table.add_row(SCORES.get(name, name), f"{value:.4f}")
    out.print(table)


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=1))


if __name__ == "__main__":
    main()
