"""The measured set: ten families of networks timed on this machine, and the file of them that the package ships.

python benchmarks/measured_set.py measure   hours; run it alone; the same command resumes an interrupted run
python benchmarks/measured_set.py pack      the store's times -> src/narformer/data/ten_families.npz, datasheet, picture
"""

import argparse
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from narformer.data.ten_families import BESIDE, MeasuredSet, write_measured
from narformer.errors import BadArchitecture
from narformer.measure import RUNTIMES, Adaptive, environment
from narformer.measure.runtime import Runtime
from narformer.measure.timing import Measurement, Timing
from narformer.network import Architecture
from narformer.network.cost import cost
from narformer.spaces.drawing import Drawing
from narformer.spaces.families import FAMILIES, TEN, variants
from narformer.store import Store

ROOT = Path(__file__).resolve().parents[1]
FILE = ROOT / "src" / "narformer" / "data" / "ten_families.npz"
SHEET, PICTURE = ROOT / "docs" / "ten_families.md", ROOT / "docs" / "ten_families.png"

NETWORKS = {"ort": 300, "openvino-float32": 150}  # of each family
EVERY = 10  # one network in this number is measured twice
GROUP, GROUP_BYTES = 96, 7 * 2**30  # networks that take turns, so that rounds are minutes apart, and their weights
ROUNDS = 6  # short ones, far apart: neighbours on the hardware come and go
ALONE = 0.2  # cores: if other programs took more meanwhile, a measurement is discarded and repeated
ENOUGH, ENOUGH_S = 3, 1.0  # a network with this total time after this number of rounds has no further rounds
BURST = Adaptive(least=1, most=25, seconds=0.025, width=0.0)  # the times of one network in one round
ALONGSIDE = Adaptive(least=2, most=2, seconds=1.0)  # runs of the reference before each burst, and after
# Returning and requesting gigabytes of memory with each group would take longer than the runs.
KEEP_MEMORY = (
    "glibc.malloc.mmap_threshold=8589934592:glibc.malloc.trim_threshold=17179869184:"
    "glibc.malloc.arena_max=1"  # a second thread's own arena would not keep large blocks
)


class Task(NamedTuple):
    """One measurement to make; ``again`` is the second one of this network on this runtime."""

    name: str
    runtime: str
    again: bool


def plan(networks: dict[str, dict[int, Architecture]]) -> list[Task]:
    """All measurements in random order; a second one comes a tenth to a fifth of the whole set after the first.

    Repeated measurements, or those of another session, may be closer; the datasheet states the times between.
    """
    rng = np.random.default_rng(0)
    placed = []
    for family, members in networks.items():
        for runtime, count in NETWORKS.items():
            for position, number in enumerate(list(members)[:count]):
                name, moment = f"{family}/{number}", rng.random()
                placed.append((moment, Task(name, runtime, False)))
                if position % EVERY == 0:
                    placed.append((moment + 0.1 + 0.1 * rng.random(), Task(name, runtime, True)))
    return [task for _, task in sorted(placed)]


def measure_all(folder: Path, seconds: float) -> None:
    """Make the measurements that the store does not hold yet; start no group after this number of seconds."""
    console = Console()
    folder.mkdir(parents=True, exist_ok=True)
    with console.status("drawing the networks"):
        networks = {family.name: variants(family, max(NETWORKS.values())) for family in TEN.values()}
    tasks = plan(networks)
    refused = {(row["name"], row["runtime"]) for row in rows_of(folder) if "refused" in row}
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    end = time.monotonic() + seconds
    with Store(f"sqlite:///{folder / 'store.sqlite'}") as store, Progress(*columns, TimeRemainingColumn()) as bars:
        held = Counter((m.name, m.runtime) for m in store.find() if counts(m))
        open_ = [t for t in tasks if held[t.name, t.runtime] <= t.again and (t.name, t.runtime) not in refused]
        bar = bars.add_task("measuring", total=len(tasks), completed=len(tasks) - len(open_))
        for group in groups(open_):
            if time.monotonic() > end:
                break
            notes = measure_group(group, store)
            with (folder / "rows.jsonl").open("a", encoding="utf-8") as file:
                file.writelines(json.dumps(note) + "\n" for note in notes)
            bars.update(bar, advance=len(group))


def counts(measurement: Measurement) -> bool:
    """Whether a measurement is of the set, and was made with the machine left alone."""
    return measurement.runtime in NETWORKS and (measurement.others is None or measurement.others <= ALONE)


def groups(tasks: list[Task]) -> Iterator[list[Task]]:
    """Tasks of one runtime in their order, as many as fit in memory with their weights, each network only once.

    A group is yielded when it is full, so that those of the runtimes alternate.
    """
    open_: dict[str, list[Task]] = {runtime: [] for runtime in NETWORKS}
    size = dict.fromkeys(NETWORKS, 0)
    for task in tasks:
        group = open_[task.runtime]
        weights = 4 * cost(network(task.name)).params
        met = any(task.name == other.name for other in group)
        if group and (met or len(group) == GROUP or size[task.runtime] + weights > GROUP_BYTES):
            yield group
            open_[task.runtime], size[task.runtime] = group, _ = [], 0
        group.append(task)
        size[task.runtime] += weights
    yield from filter(None, open_.values())


def reference() -> Architecture:
    """Two convolutions, a few milliseconds: its times beside those of a network show the load of the hardware."""
    net = Drawing()
    x = net.conv(net.input(1, 64, 56, 56), 64, 3)
    net.conv(net.conv(x, 512, 1, 4), 512, 1)
    return net.finished("reference")


def measure_group(group: list[Task], store: Store) -> list[dict[str, Any]]:
    """Measure networks in turn, the reference beside them, and store them; returns the notes about each."""
    started = time.perf_counter()
    beside = RUNTIMES[group[0].runtime](reference(), np.random.default_rng(0))
    with ThreadPoolExecutor(2) as both:  # nothing is measured yet; the runtimes load without the interpreter's lock
        loaded = list(both.map(load, group))
    notes = [
        {"name": task.name, "runtime": task.runtime, "refused": str(found)[:200]}
        for task, (found, _) in zip(group, loaded, strict=True)
        if isinstance(found, BadArchitecture)
    ]
    sessions = [found for found, _ in loaded if not isinstance(found, BadArchitecture)]
    loading = [seconds for found, seconds in loaded if not isinstance(found, BadArchitecture)]
    date = datetime.now(UTC).isoformat(timespec="seconds")
    own, others = ([Timing(date) for _ in sessions] for _ in range(2))
    for _ in range(ROUNDS):
        for timing, other, session in zip(own, others, sessions, strict=True):
            if len(timing.rounds) >= ENOUGH and sum(timing.times) >= ENOUGH_S * 1e9:
                continue
            other.round(beside, ALONGSIDE, 0, time.perf_counter_ns)
            timing.round(session, BURST, 0, time.perf_counter_ns)
            other.round(beside, ALONGSIDE, 0, time.perf_counter_ns)
    spent = []
    for timing, other, session in zip(own, others, sessions, strict=True):
        measurement, along = timing.of(session), other.of(beside)
        pairs = tuple(sum(along.rounds[i : i + 2]) for i in range(0, len(along.rounds), 2))
        # the reference first: after a kill between the two, the network is measured again
        store.add(replace(along, name=BESIDE + session.name, rounds=pairs), beside.architecture)
        store.add(measurement, session.architecture)
        spent.append((sum(measurement.times_ns) + sum(along.times_ns)) / 1e9)
    # the share of each network is its own times and, of the rest, as large a part as of the loading
    rest = (time.perf_counter() - started - sum(spent)) / sum(loading)
    for session, own_s, load_s in zip(sessions, spent, loading, strict=True):
        notes.append({"name": session.name, "runtime": session.runtime, "seconds": round(own_s + rest * load_s, 3)})
    return notes


def load(task: Task) -> tuple[Runtime | BadArchitecture, float]:
    """The network of a task in its runtime, or the reason of a refusal; and the seconds it took."""
    started = time.perf_counter()
    rng = np.random.default_rng([int(task.name.partition("/")[2]), task.again])
    try:
        found: Runtime | BadArchitecture = RUNTIMES[task.runtime](network(task.name), rng)
    except BadArchitecture as error:
        found = error
    return found, time.perf_counter() - started


def network(name: str) -> Architecture:
    """The network of a name such as ``resnet/0``."""
    family, _, number = name.partition("/")
    return FAMILIES[family].variant(int(number))


def rows_of(folder: Path) -> list[dict[str, Any]]:
    """The notes about each row; an incomplete last line of a killed run is skipped."""
    path = folder / "rows.jsonl"
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    return [json.loads(line) for line in lines]


def floor(measured: MeasuredSet, runtime: str, rows: np.ndarray) -> tuple[int, float, float]:
    """The number of these networks that were measured twice, and the mean and median difference in percent."""
    error = differing(measured, runtime)[rows]
    error = error[~np.isnan(error)]
    return (len(error), float(error.mean()), float(np.median(error))) if len(error) else (0, np.nan, np.nan)


def differing(measured: MeasuredSet, runtime: str) -> np.ndarray:
    """(M,) difference of the two labels of each network, percent; NaN for a single label."""
    return 100 * np.abs(measured.latency_ms(runtime, again=True) / measured.latency_ms(runtime) - 1)


def minutes_between(measured: MeasuredSet) -> list[float]:
    """Minutes from the first to the second measurement of each network that has two."""
    dates: dict[tuple[str, str], list[datetime]] = {}
    for m in measured.of_networks:
        dates.setdefault((m.name, m.runtime), []).append(datetime.fromisoformat(m.date))
    return [(both[1] - both[0]).total_seconds() / 60 for both in dates.values() if len(both) > 1]


def plain_floor(measured: MeasuredSet, runtime: str) -> float:
    """Mean difference between the two measurements of a network, percent, of uncorrected medians over the rounds."""
    medians: dict[str, list[float]] = {}
    for m in measured.of_networks:
        if m.runtime == runtime:
            medians.setdefault(m.name, []).append(float(np.median(m.round_medians_ms)))
    pairs = np.array([both for both in medians.values() if len(both) == 2])
    return float(100 * np.abs(pairs[:, 1] / pairs[:, 0] - 1).mean())


def pack(folder: Path) -> None:
    """Write the file, the datasheet and the picture from the store."""
    with Store(f"sqlite:///{folder / 'store.sqlite'}") as store:
        found = store.find()
    made = [m for m in found if m.runtime in NETWORKS and not m.name.startswith(BESIDE)]
    held = {(m.name, m.runtime, m.date) for m in made if counts(m)}
    measured = MeasuredSet(tuple(m for m in found if (m.name.removeprefix(BESIDE), m.runtime, m.date) in held))
    write_measured(measured, FILE)
    SHEET.write_text(datasheet(measured, rows_of(folder), len(made)), encoding="utf-8")
    draw(measured)


def datasheet(measured: MeasuredSet, rows: list[dict[str, Any]], made: int) -> str:
    """The datasheet: method, dates, machine, repeatability and limits; ``made`` includes repeated measurements."""
    rows = [row for row in rows if row["runtime"] in NETWORKS]
    every = measured.of_networks
    where = every[0].environment
    versions = sorted({f"{name} {version}" for m in every for name, version in m.environment.versions})
    days = sorted({m.date[:10] for m in every})
    table = [
        "| family | runtime | networks | measured twice | latency ms: least, median, most "
        "| repeatability: MAPE % (median %) | s per row |",
        "|---|---|---|---|---|---|---|",
    ]
    for runtime in NETWORKS:
        latency_M = measured.latency_ms(runtime)
        for family in (*TEN, "all"):
            mine_M = (measured.family_M == family) | (family == "all")
            values = latency_M[mine_M & ~np.isnan(latency_M)]
            if not len(values):
                continue
            twice, mean, middle = floor(measured, runtime, mine_M)
            spent = [r["seconds"] for r in rows if r["runtime"] == runtime and _of(r, family) and "refused" not in r]
            table.append(
                f"| {family} | {runtime} | {len(values):,} | {twice} | "
                f"{values.min():.3g}, {np.median(values):.3g}, {values.max():.3g} | {mean:.2f} ({middle:.2f}) | "
                f"{np.mean(spent):.2f} |"
            )
    slow = ("vgg", "alexnet")
    quick = np.mean([r["seconds"] for r in rows if "seconds" in r and r["name"].partition("/")[0] not in slow])
    refused = [f"* {r['name']} on {r['runtime']}: {r['refused']}" for r in rows if "refused" in r] or ["None."]
    others = [m.others for m in every if m.others is not None]
    slowdowns = {r: np.concatenate([measured.slowdown(m) for m in every if m.runtime == r]) for r in measured.runtimes}
    states = [
        f"* {r}: the reference took from {np.percentile(s, 5):.2f} to {np.percentile(s, 95):.2f} of its usual time in "
        f"90 % of the rounds; sensitivity {measured.sensitivity(r):.2f}; without the correction two measurements "
        f"differ by {plain_floor(measured, r):.2f} % on average"
        for r, s in slowdowns.items()
    ]
    gap = np.percentile(minutes_between(measured), (0, 5, 50, 100))
    differences = np.concatenate([differing(measured, runtime) for runtime in measured.runtimes])
    worst = np.percentile(differences[~np.isnan(differences)], (95, 100))
    runtimes = [m.runtime for m in every]
    machine = where.machine
    newline = "\n"
    return f"""# The measured set: ten families of networks on one CPU core

{len(measured.names):,} networks, {len(every):,} measurements, {sum(len(m.times_ns) for m in every):,} times. \
`narformer.data.ten_families.read_measured` returns all single times;
`dataset()` of the result returns the networks with their latencies.
`benchmarks/measured_set.py` made the data and this page.

![latency against FLOPs](ten_families.png)

## Networks
The networks are from the ten families of NNLQP (Liu et al. 2022). The name of a network is its family and a number:
`resnet/0` is the canonical ResNet-18, and every other number is a variant of it (`narformer.spaces.families`).
The first {NETWORKS["ort"]} different networks of each family ran on ONNX Runtime,
and the first {NETWORKS["openvino-float32"]} of these also ran on OpenVINO.
Batch size 1; images of 224 x 224, or 32 x 32 for NAS-Bench-201; random weights and inputs.

## Method
One thread ran one network at a time. All families are in one random order, in groups of one runtime.
The first {runtimes.index("openvino-float32"):,} rows are of ONNX Runtime only; the groups of the other rows
alternate between the runtimes. At first OpenVINO ran in bfloat16, but this was abandoned. No training and no test
ran at the same time; text was edited on the same machine during the first rows. If other programs or the
host used more than {ALONE} of a core during a measurement, it was discarded and repeated: {made - len(every):,}
of {made:,}. This cannot be observed for measurements of less than half a second in total:
{1 - len(others) / len(every):.0%} of the rows, all of small networks.

Up to {GROUP} networks of one runtime, with up to {GROUP_BYTES / 2**30:.0f} GB of weights, are loaded together and
then take turns in {ROUNDS} rounds. In each round a network runs in a burst of {BURST.seconds * 1e3:.0f} ms, at least
once and at most {BURST.most} times.
A network that has run for {ENOUGH_S:.0f} s in {ENOUGH} rounds or more is not run again.
The only warm-up is one run after loading. The first run of a burst, often the only run of a large network, therefore
starts with caches that other networks have filled. The file holds all times of the measurements that were not
discarded.

A virtual machine shares its hardware. Other virtual machines, which no counter shows, slow it down by a third or more,
for fractions of a second or for minutes, and it is rarely alone. Therefore a reference, a network of two convolutions
that takes a few milliseconds, runs twice before and twice after each burst. Its time, divided by its usual time (the
median over the whole set), is the slowdown of that round. Times are proportional to a power of the slowdown. The
exponent is called sensitivity. It is the slope of the reduced major axis through all rounds, one per runtime, although
families differ. The label is the median over the rounds of time / slowdown^sensitivity: the latency in the usual state
of this machine, not of a machine that is alone.

{newline.join(states)}

One network in {EVERY} is measured a second time, in a separate session, mostly with other weights. The difference
of the two labels is the repeatability. The time between the two was {gap[0]:.0f} to {gap[3]:.0f} minutes,
with a median of {gap[2]:.0f}, and less than {gap[1]:.0f} minutes for one pair in twenty.
One network in twenty differs by more than {worst[0]:.0f} %,
the worst by {worst[1]:.0f} %. With 15 or 30 pairs, the mean of a family is uncertain by about a quarter.
Networks of more than 150 GFLOPs or 250 million
parameters are refused when they are drawn.
Refused during the measurement:

{newline.join(refused)}

## Where and when
{machine.cpu} (family/model/stepping {machine.model}), {machine.cores} logical cores, a virtual machine,
instructions {", ".join(machine.instructions)}; {where.system}; Python {where.python}; {", ".join(versions)};
governor {where.governor or "not readable"}. Days: {", ".join(days)}. Both runtimes compute in float32. By default
OpenVINO uses bfloat16 on this CPU, in units shared with other virtual machines, and two measurements of the same
network some minutes apart then differed by 10 %.
During the measurements other programs used {np.mean(others):.3f} cores on average, and in 95 % of the measurements less
than {np.percentile(others, 95):.2f}.

## Contents and repeatability
{newline.join(table)}

A row outside of VGG and AlexNet took {quick:.2f} s on average, from drawing the network to storing its times.
The aim was 1.5 s.

## Limits
Other machines, numbers of threads, batch sizes and precisions have other latencies. Weights are random, so sparsity has
no effect. A virtual machine shares its hardware: some times are long because of other virtual machines. The
repeatability shows how much. NNLQP's own graphs are not public; these networks follow the same recipe but are not the
same.
"""


def _of(row: dict[str, Any], family: str) -> bool:
    return family in ("all", str(row["name"]).partition("/")[0])


def draw(measured: MeasuredSet) -> None:
    """Latency against FLOPs, a panel for each family, a colour for each runtime, the other families in grey."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    networks = measured.dataset().architectures
    flops_M = np.array([cost(network).flops for network in networks]) / 1e9
    figure, panels = pyplot.subplots(2, 5, figsize=(14, 6), layout="constrained", sharex=True, sharey=True)
    latencies = {runtime: measured.latency_ms(runtime) for runtime in NETWORKS}
    for axes, family in zip(panels.flat, TEN, strict=True):
        mine_M = measured.family_M == family
        axes.scatter(np.tile(flops_M, 2), np.concatenate(list(latencies.values())), s=3, color="0.88")
        for runtime, latency_M in latencies.items():
            axes.scatter(flops_M[mine_M], latency_M[mine_M], s=6, alpha=0.6, label=RUNTIMES[runtime].title)
        axes.set(xscale="log", yscale="log", title=family)
        axes.grid(alpha=0.3)
    figure.supxlabel("GFLOPs")
    figure.supylabel("latency, ms, one thread")
    panels.flat[0].legend(markerscale=2, fontsize="small")
    figure.savefig(PICTURE, dpi=110)


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("step", choices=("measure", "pack"))
    arguments.add_argument("--folder", type=Path, default=ROOT / "runs" / "ten_families", help="the store's place")
    arguments.add_argument("--seconds", type=float, default=float("inf"), help="stop after this many")
    arguments.add_argument("--kept", action="store_true", help=argparse.SUPPRESS)  # memory settings are in force
    given = arguments.parse_args()
    if given.step == "measure":
        if not given.kept:  # the C library reads its settings when a program starts
            os.environ["GLIBC_TUNABLES"] = KEEP_MEMORY
            os.execv(sys.executable, [sys.executable, *sys.argv, "--kept"])
        print(f"on {environment().device}", flush=True)
        measure_all(given.folder, given.seconds)
    else:
        pack(given.folder)
