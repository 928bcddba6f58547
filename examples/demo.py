"""The main jobs on real networks: train on 781 cells and rank all the others; measure ResNet-50 on this machine.

The cells are those of AnalogNAS-Bench, whose table comes from the package index; ResNet-50 comes with onnx.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import onnx
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from scipy import stats

from narformer import jobs
from narformer.data import load
from narformer.measure import RUNTIMES
from narformer.metrics import kendall_tau
from narformer.spaces import SPACES
from narformer.training.experiment import train
from narformer.training.recipe import Recipe

HERE = Path(__file__).parent
RESNET_50 = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light" / "light_resnet50.onnx"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--out", type=Path, default=Path("runs/demo"), help="folder of the picture")
    folder = arguments.parse_args().out
    console = Console()
    dataset = load("analog-nasbench")
    console.print(f"[bold]1. Real cells[/]: {len(dataset):,} of NAS-Bench-201's space, CIFAR-10 accuracy measured")

    recipe = Recipe.read(HERE / "demo.toml")
    console.print(f"[bold]2. Train[/] {recipe.system} on {recipe.data.train} of them")
    columns = (TextColumn("   {task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as bars:
        tasks: dict[str, TaskID] = {}

        def show(phase: str, done: int, total: int, tau: float | None) -> None:
            if phase not in tasks:
                tasks[phase] = bars.add_task(phase, total=total)
            bars.update(tasks[phase], completed=done)

        started = time.perf_counter()
        trained = train(recipe, 0, dataset, progress=show)
        seconds = time.perf_counter() - started

    rest = trained.split.unseen()
    predicted = trained.predictor.predict(dataset.rows(rest))[:, 0]
    true = dataset.labels[dataset.test_labels[0]][rest]
    console.print(
        f"   {seconds:.0f} s of training; Kendall τ = [bold]{kendall_tau(predicted, true):.3f}[/] "
        f"on the {len(rest):,} cells that it never saw"
    )

    best = np.argsort(-predicted, kind="stable")[:10]
    rank = stats.rankdata(-true, method="min").astype(int)
    table = Table("predicted", "true rank", "predicted %", "measured %", title="The ten best it found")
    table.add_column("cell", overflow="fold")
    space = SPACES[dataset.space]
    for place, row in enumerate(best, start=1):
        cell = space.format(dataset.architectures[int(rest[row])])
        table.add_row(str(place), f"{rank[row]:,}", f"{predicted[row]:.2f}", f"{true[row]:.2f}", cell)
    console.print(table)
    console.print(f"   drawn: {draw(predicted, true, best, folder)}", highlight=False)

    console.print("[bold]3. Shipped predictors[/], trained on NAS-Bench-201 and NAS-Bench-101")
    for entry in jobs.predictors():
        if jobs.reads_networks(entry["name"]):
            continue
        if entry["space"] == dataset.space:
            elsewhere = jobs.load_predictor(entry["name"]).predict(dataset.architectures)[:, 0]
            tau = kendall_tau(elsewhere, dataset.labels[dataset.test_labels[0]])
            console.print(f"   {entry['name']} ranks all {len(dataset):,} retrained cells: τ = {tau:.3f}")
        else:
            cells = "conv3x3 conv1x1 maxpool3x3 | 01 02 03 14 24 34", "conv3x3 conv3x3 conv3x3 | 01 12 23 34 03 04"
            for line in jobs.predict(cells, entry["name"]).ranked:
                console.print(f"   {entry['name']}: {100 * line.value:.2f} % for {line.text}", highlight=False)

    console.print(
        "[bold]4. A whole network[/]: ResNet-50 from an ONNX file, predicted, then timed here with one thread"
    )
    found = jobs.inspect(RESNET_50)
    console.print(
        f"   {found.operations} operations, {found.flops / 1e9:.1f} GFLOPs, {found.params / 1e6:.1f} M parameters"
    )
    for name in jobs.suited([str(RESNET_50)]):
        told = jobs.predict_latency(RESNET_50, name)
        place = "inside of" if told.in_domain else f"at {told.distance:.1f} times the edge of"
        bounds = f"({told.low:.1f} to {told.high:.1f})"
        console.print(
            f"   {name} predicts [bold]{told.value:.1f} ms[/] {bounds}, {place} its domain",
            highlight=False,
        )
    store = str(folder / "measured.sqlite")
    for measured in jobs.measure([str(RESNET_50)], list(RUNTIMES), jobs.Plan(repeats=15), store=store):
        times = measured.measurement
        low, high = times.interval_ms() or (times.median_ms, times.median_ms)
        console.print(
            f"   {times.runtime}: [bold]{times.median_ms:.1f} ms[/] ({low:.1f} to {high:.1f}), {times.device}",
            highlight=False,
        )


def draw(predicted: np.ndarray, true: np.ndarray, best: np.ndarray, folder: Path) -> Path:
    """Predicted against measured accuracy as a PNG."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    low = np.percentile(true, 5)
    figure, axes = pyplot.subplots(figsize=(6, 6), layout="constrained")
    axes.plot([low, true.max()], [low, true.max()], color="0.6", linewidth=1)
    axes.scatter(predicted, true, s=3, alpha=0.25, linewidths=0, label="cells never trained on")
    axes.scatter(predicted[best], true[best], s=30, color="tab:red", label="the ten best found")
    axes.set(xlim=(low, true.max() + 1), ylim=(low, true.max() + 1))
    axes.set(xlabel="predicted accuracy, %", ylabel="measured accuracy, %")
    axes.set_title(f"{len(true):,} cells, Kendall τ = {kendall_tau(predicted, true):.3f} (upper 95 % shown)")
    axes.legend(loc="upper left")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "predicted_against_true.png"
    figure.savefig(path, dpi=120)
    return path


if __name__ == "__main__":
    main()
