"""Cells, fast: our array code against literal per-graph loops, and the whole of NAS-Bench-101 end to end.

Prints ratios, which are reliable on noisy machines, and times, which are not. Run it alone: `make bench`.
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
from rich.console import Console
from rich.table import Table

from narformer.attributes import Attribute
from narformer.cells.columns import Cells
from narformer.errors import MissingData
from narformer.measure import environment
from narformer.models import NarFormerV2
from narformer.predictors import NeuralPredictor, Target
from narformer.spaces import SPACES
from narformer.tokens import NarFormerTokenizer, NarFormerV2Tokenizer, TnaspTokenizer
from narformer.tokens.batch import Batch
from narformer.training.losses import relative_mse

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "equations"))

from layers_loop import weights_of  # noqa: E402
from narformer_tokens_loop import narformer_tokens  # noqa: E402
from narformer_v2_loop import narformer_v2  # noqa: E402


def seconds(work: Callable[[], object], repeats: int = 5) -> float:
    """Median seconds of one call, after one to warm up."""
    work()
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return median(times)


def tokenizers(cells: Cells) -> dict[str, float]:
    """Cells per second of each tokenizer, and the ratio of NAR-Former's to its per-node loop."""
    rates = {}
    for name, tokenizer in {
        "narformer": NarFormerTokenizer(vocabulary=cells.vocabulary),
        "narformer-v2": NarFormerV2Tokenizer(vocabulary=cells.vocabulary),
        "tnasp": TnaspTokenizer(vocabulary=cells.vocabulary, vertices=7),
    }.items():
        chunks = [cells.take(slice(start, start + 256)) for start in range(0, len(cells), 256)]
        rates[f"tokenise, {name} (cells/s)"] = len(cells) / seconds(
            lambda t=tokenizer, c=chunks: [t.batch(x) for x in c]
        )
    few = cells.take(slice(0, 200))
    listed = [([int(k) for k in few.kind_MN[m][few.kind_MN[m] >= 0]], list(few[m].edges)) for m in range(len(few))]
    loop = len(few) / seconds(lambda: [narformer_tokens(kinds, edges, 32) for kinds, edges in listed], 3)
    rates["tokenise, narformer: ratio to the loop"] = rates["tokenise, narformer (cells/s)"] / loop
    return rates


def forward(cells: Cells) -> dict[str, float]:
    """NAR-Former V2 at the paper's size: our batched forward against the loop over graphs and nodes, both float64."""
    tokenizer = NarFormerV2Tokenizer(vocabulary=cells.vocabulary)
    model = NarFormerV2(NarFormerV2.Config()).double().eval()
    model.precision = torch.float64
    few = cells.take(slice(0, 64))
    batch = tokenizer.batch(few).double()
    weights = weights_of(model)
    listed = [([row.numpy() for row in batch.x_BNF[m][batch.mask_BN[m]]], list(few[m].edges)) for m in range(8)]
    with torch.inference_mode():
        ours = seconds(lambda: model(batch)) / len(few)
    loop = seconds(lambda: [narformer_v2(weights, model.config, tokens, edges) for tokens, edges in listed], 1) / 8
    return {"forward, narformer-v2 float64: ratio to the loop": loop / ours}


def training_step(cells: Cells, size: int = 32, steps: int = 12) -> dict[str, float]:
    """A float32 training step: one batched forward against a forward per graph, as released; same loss curve."""
    tokenizer = NarFormerV2Tokenizer(vocabulary=cells.vocabulary)
    batch = tokenizer.batch(cells.take(slice(0, size)))
    target_B = torch.linspace(0.8, 0.95, size)
    graphs = [batch.take(torch.tensor([row])) for row in range(size)]

    def train(predict: Callable[[NarFormerV2, Batch], torch.Tensor]) -> tuple[list[float], list[float]]:
        torch.manual_seed(0)
        model = NarFormerV2(NarFormerV2.Config(dropout=0.0)).train()
        optimiser = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
        losses, times = [], []
        for _ in range(steps):
            started = time.perf_counter()
            loss = relative_mse(predict(model, batch)[:, 0], target_B)
            loss.backward()
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
            times.append(time.perf_counter() - started)
            losses.append(float(loss.detach()))
        return losses, times

    ours, ours_times = train(lambda model, batch: model(batch))
    loop, loop_times = train(lambda model, batch: torch.cat([model(graph) for graph in graphs]))
    return {
        f"training step, narformer-v2 float32, {size} graphs: ratio to the loop": median(loop_times)
        / median(ours_times),
        "training step: largest relative difference of the loss curves": float(
            np.max(np.abs(np.array(ours) / np.array(loop) - 1))
        ),
    }


def whole_space() -> dict[str, float]:
    """All of NAS-Bench-101: read (or enumerate), tokenise, predict with the paper's NAR-Former V2 in bfloat16."""
    from narformer.data import load

    started = time.perf_counter()
    try:
        cells = load("nasbench101").architectures
    except MissingData:
        cells = SPACES["nasbench101"].enumerate()
    tokenizer = NarFormerV2Tokenizer(vocabulary=cells.vocabulary)
    torch.manual_seed(0)
    model = NarFormerV2(NarFormerV2.Config(head="linear", layer_scale=1.0))
    predictor = NeuralPredictor(
        model, tokenizer, Target(), Attribute.of("accuracy", "fraction"), "nasbench101", precision=torch.bfloat16
    )
    predicted = predictor.predict(cells)[:, 0]
    taken = time.perf_counter() - started
    sample = np.linspace(0, len(cells) - 1, 2000).astype(int)
    predictor.precision = torch.float32
    exact = predictor.predict(cells.take(sample))[:, 0]
    return {
        "whole NAS-Bench-101, end to end (s)": taken,
        "whole NAS-Bench-101, peak memory (GB)": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        "bfloat16 against float32: correlation of predictions": float(np.corrcoef(predicted[sample], exact)[0, 1]),
    }


def help_time() -> dict[str, float]:
    """Seconds of `narformer --help`."""
    command = [str(Path(sys.executable).with_name("narformer")), "--help"]
    return {"narformer --help (s)": seconds(lambda: subprocess.run(command, check=True, capture_output=True))}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--out", type=Path, default=ROOT / "results" / "benchmark_cells.json")
    out = arguments.parse_args().out
    rng = np.random.default_rng(0)
    space = SPACES["nasbench101"]
    cells = Cells.of([space.sample(rng) for _ in range(512)], space.vocabulary)
    many = cells.take(rng.integers(0, len(cells), 20_000))

    measured = help_time() | tokenizers(many) | forward(cells) | training_step(cells) | whole_space()
    table = Table("what", "measured")
    for name, value in measured.items():
        table.add_row(name, f"{value:,.3g}" if value < 1000 else f"{value:,.0f}")
    Console().print(table)
    record = {"date": datetime.now(UTC).date().isoformat(), "machine": environment().device}
    out.write_text(json.dumps(record | {"measured": {k: round(v, 6) for k, v in measured.items()}}, indent=1) + "\n")
    print(f"written: {out}")


if __name__ == "__main__":
    main()
