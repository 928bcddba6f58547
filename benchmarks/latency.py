"""Speed of latency prediction: from a file to the answer, cost against edges, V2's batches against a loop.

Prints ratios, which are reliable on noisy machines, and times, which are not. Run it alone: `make bench`.
The times include everything that a user waits for: the interval, the domain, the layers. V2's weights are random,
which does not change times.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import numpy as np
import torch
from networks import LIGHT, ROOT, chain
from rich.console import Console
from rich.table import Table
from torch import Tensor

from narformer.attributes import Attribute
from narformer.formats.onnx_reader import read_onnx
from narformer.jobs import load_predictor
from narformer.jobs.asking import Asked
from narformer.jobs.predicting import predictions
from narformer.measure import environment
from narformer.models import Model
from narformer.network.canonical import canonical_and_origins
from narformer.predictors import NeuralPredictor, Target
from narformer.predictors.build import make_model, make_tokenizer
from narformer.spaces.families import TEN
from narformer.tokens import Batch, Packed
from narformer.training.losses import relative_mse

PICTURE = ROOT / "docs" / "sparse_path.png"
SHIPPED = "latency_ort"
SYSTEMS = ("kernel-sum", "narformer-v2")
V2 = {"blocks": 2, "pooling": "sum", "layer_fusion": False}
SIZES = (100, 300, 1_000, 3_000, 10_000)  # operations of a chain
STARTS = 7  # of each program, after one that fills caches of compiled modules and of the disk
GRAPHS, BATCH = 96, 16  # networks of an epoch, and of a step


def predictor(system: str) -> dict[str, NeuralPredictor]:
    """The shipped predictor of whole networks by its name, or an untrained NAR-Former V2."""
    if system == "kernel-sum":
        return {SHIPPED: load_predictor(SHIPPED)}
    tokenizer = make_tokenizer("narformer-v2-network", {}, ())
    target = Target.fit(np.array([1.0, 2.0, 4.0]), "log", 1.0)
    model = make_model(system, V2, tokenizer)
    about = {"attributes": (Attribute.of("latency", "ms"),), "space": "families", "targets": (target,)}
    return {system: NeuralPredictor(model, tokenizer, **about)}


def answers(data: bytes | Path, loaded: dict[str, NeuralPredictor]) -> None:
    """Everything from a file to the answer that people see."""
    source = read_onnx(data)
    form, origins = canonical_and_origins(source.architecture)
    answers = {name: one.ask([form]) for name, one in loaded.items()}
    predictions(Asked([form], source, None, loaded, answers, origins))


def file_to_answer_ms(repeats: int = 15) -> float:
    """Median milliseconds from ResNet-50's ONNX file to its latency by our predictor, which is loaded."""
    loaded, times = predictor("kernel-sum"), []
    for _ in range(repeats + 1):
        started = time.perf_counter()
        answers(LIGHT / "light_resnet50.onnx", loaded)
        times.append(time.perf_counter() - started)
    return 1e3 * median(times[1:])


def start_up() -> tuple[float, float]:
    """Median seconds of `import torch`, and of `narformer predict resnet50.onnx` as a whole, each in a new process."""
    commands = (
        ["-c", "import torch"],
        ["-m", "narformer", "predict", str(LIGHT / "light_resnet50.onnx")],
    )
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(STARTS + 1):
        for command, own in zip(commands, times, strict=True):
            started = time.perf_counter()
            subprocess.run([sys.executable, *command], check=True, capture_output=True)
            own.append(time.perf_counter() - started)
    return median(times[0][1:]), median(times[1][1:])


def chain_alone(system: str, count: int) -> tuple[float, float]:
    """Seconds from a chain's file to the answer, and the peak memory (MB) it adds, in a separate process."""
    command = [sys.executable, __file__, "--chain", system, str(count)]
    seconds, megabytes = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return float(seconds), float(megabytes)


def predict_chain(system: str, count: int) -> None:
    data, loaded = chain(count), predictor(system)
    answers(chain(8), loaded)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    answers(data, loaded)
    print(time.perf_counter() - started, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1e3)


def alone(batch: Packed) -> list[Batch]:
    """Each network of a batch by itself, with its dense adjacency, as the released code computes them."""
    parts = []
    for row in range(len(batch)):
        one = batch.take(torch.tensor([row]))
        x_1NF, mask_1N = one.padded()
        adj_1NN = torch.zeros(1, len(one.kind_N), len(one.kind_N))
        adj_1NN[0, one.edge_2Y[0], one.edge_2Y[1]] = 1
        parts.append(Batch(x_1NF, one.kind_N[None], adj_1NN, mask_1N, one.whole_BG))
    return parts


def epoch(model: Model, forward: Callable[[Tensor], Tensor], rows_S: list[Tensor], target_B1: Tensor) -> list[float]:
    """One epoch; the loss of each step."""
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    losses = []
    for rows in rows_S:
        loss = relative_mse(forward(rows), target_B1[rows])
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        losses.append(float(loss))
    return losses


def v2_epochs() -> tuple[float, float, float]:
    """Seconds of V2's training epoch by edges and graph by graph, and the difference of their last losses."""
    families = [family for family in TEN.values() if family.name != "vgg"][:8]
    networks = [family.variant(number) for number in range(1, 1 + GRAPHS // len(families)) for family in families]
    tokenizer = make_tokenizer("narformer-v2-network", {}, ())
    batch = tokenizer.batch(networks)
    assert isinstance(batch, Packed)
    target_B1 = torch.linspace(1, 9, len(batch))[:, None]
    rows_S = list(torch.randperm(len(batch), generator=torch.Generator().manual_seed(0)).split(BATCH))
    singles = alone(batch)
    ours, literal = (make_model("narformer-v2", V2 | {"dropout": 0.0}, tokenizer).train() for _ in range(2))
    started = time.perf_counter()
    losses = epoch(ours, lambda rows: ours(batch.take(rows))[:, :, 0], rows_S, target_B1)
    by_edges = time.perf_counter() - started
    started = time.perf_counter()
    expected = epoch(
        literal, lambda rows: torch.cat([literal(singles[row]) for row in rows.tolist()])[:, :, 0], rows_S, target_B1
    )
    return by_edges, time.perf_counter() - started, abs(losses[-1] / expected[-1] - 1)


def draw(seconds: dict[str, list[float]]) -> None:
    """Seconds against operations."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 4.5), layout="constrained")
    for system, values in seconds.items():
        axes.plot(SIZES, values, marker="o", label=system)
    line = np.array(SIZES) / SIZES[-1]
    axes.plot(SIZES, line, color="0.7", linestyle="--", label="proportional")
    axes.set(xscale="log", yscale="log", xlabel="operations", ylabel="seconds, file to answer")
    axes.set_title("A residual chain, one thread: cost grows with edges")
    axes.legend()
    axes.grid(alpha=0.3)
    figure.savefig(PICTURE, dpi=110)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--out", type=Path, default=ROOT / "results" / "benchmark_latency.json")
    arguments.add_argument("--chain", nargs=2, help=argparse.SUPPRESS)
    given = arguments.parse_args()
    torch.set_num_threads(1)
    if given.chain:
        predict_chain(given.chain[0], int(given.chain[1]))
        return
    torch_alone, whole = start_up()
    measured = {
        "ResNet-50: the whole command `narformer predict` (s)": whole,
        "ResNet-50: the whole command / `import torch`": whole / torch_alone,
        "ResNet-50: ONNX file to latency (ms)": file_to_answer_ms(),
    }
    seconds: dict[str, list[float]] = {}
    for system in SYSTEMS:
        for count in SIZES:
            spent, megabytes = zip(*(chain_alone(system, count) for _ in range(3)), strict=True)
            seconds.setdefault(system, []).append(median(spent))
            measured[f"{system}, {count:,} operations: file to answer (s)"] = median(spent)
            measured[f"{system}, {count:,} operations: memory (MB)"] = max(megabytes)
    by_edges, one_by_one, apart = v2_epochs()
    measured["NAR-Former V2, training epoch: graph by graph / by edges"] = one_by_one / by_edges
    measured["NAR-Former V2, training epoch: difference of the last losses"] = apart
    draw(seconds)
    table = Table("measure", "value")
    for name, value in measured.items():
        table.add_row(name, f"{value:,.3g}" if value < 1000 else f"{value:,.0f}")
    Console().print(table)
    record = {"date": datetime.now(UTC).date().isoformat(), "machine": environment().device, "threads": 1}
    rounded = {name: float(f"{value:.4g}") for name, value in measured.items()}
    given.out.write_text(json.dumps(record | {"measured": rounded}, indent=1) + "\n")
    print(f"written: {given.out}")


if __name__ == "__main__":
    main()
