"""The command that adapts a latency predictor to this machine."""

import dataclasses
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from narformer.cli.measuring import Place
from narformer.cli.terminal import Json, bars_shown, err, out, print_json, start


def adapt(
    predictor: Annotated[
        str | None,
        typer.Option("--predictor", "-p", help="A run's folder; by default the shipped predictor of the runtime."),
    ] = None,
    save_to: Annotated[Path, typer.Option("--out", help="Folder of the adapted predictor.")] = Path("runs/here"),
    runtime: Annotated[str, typer.Option(help="Runtime of the probes: ort, openvino, or openvino-float32.")] = "ort",
    threads: Annotated[int, typer.Option(help="CPU threads of a probe.", min=1)] = 1,
    device: Annotated[str, typer.Option(help="Name of this machine; by default that of its CPU.")] = "",
    each: Annotated[int, typer.Option(help="Probes of each of the ten families.", min=1)] = 5,
    store: Place = None,
    as_json: Json = False,
) -> None:
    """Adapt a latency predictor to this machine.

    Probe networks are measured, and one in five is held out to state the error before and after.

    This takes some minutes. Run nothing else meanwhile.

    Example: narformer adapt --runtime ort --out runs/here
    """
    start(None)
    from narformer import jobs

    with bars_shown() as bars:
        done = jobs.adapt(predictor, save_to, runtime, threads, device, each, store, bars)
    if as_json:
        print_json(dataclasses.asdict(done))
        return
    inside = "" if done.covered is None else f"; {done.covered:.0%} of their times lie in the intervals"
    if done.after > done.before:
        err.print("the adapted predictor is worse than before: measure again while nothing else runs", style="yellow")
    for line in (
        f"{done.runtime} on {done.device}: adapted to {done.probes} probes, {done.held_out} more measure the error",
        f"mean absolute error on those: {done.before:.1f} % before, {done.after:.1f} % after{inside}",
        f"saved to {done.saved_to}",
        f"predict with it: narformer predict model.onnx --predictor {done.saved_to}",
    ):
        out.print(escape(line), highlight=False, soft_wrap=True)
