"""The command line: parse, call a job, print. A job is imported when its command runs, so help stays fast."""

import sys
from typing import Annotated

import typer
from rich.markup import escape

from narformer import __version__
from narformer.cli import adapting, data, measuring, networks, predicting, store, tables, training
from narformer.cli.terminal import Commands, err
from narformer.errors import NarformerError

app = typer.Typer(
    name="narformer",
    cls=Commands,
    help="Know a neural network's accuracy and latency before you train or deploy it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

for command in (
    training.train,
    predicting.predict,
    training.evaluate,
    training.predictors,
    tables.table,
    networks.inspect,
    measuring.measure,
    adapting.adapt,
):
    app.command()(command)
app.add_typer(data.data_app, name="data")
app.add_typer(store.store_app, name="store")


def main() -> None:
    """Run the command line; an expected error is one line, or one for each network, and exit code 2."""
    try:
        app()
    except NarformerError as error:
        for reason in error.reasons:
            err.print(f"[bold red]error:[/] {escape(reason)}", highlight=False, soft_wrap=True)
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
