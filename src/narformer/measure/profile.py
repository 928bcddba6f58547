"""The time of each node that ONNX Runtime executes, laid on the operations of the network."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter_ns
from typing import Any

import numpy as np

from narformer.errors import NarformerError, printable
from narformer.formats import onnx_wire as wire
from narformer.formats.onnx_nodes import OnnxNode, named_nodes, nodes_of
from narformer.formats.onnx_reader import read_onnx
from narformer.garbage_collection import collection_paused
from narformer.measure.covering import covered
from narformer.measure.network import network
from narformer.measure.onnx_runtime import OnnxRuntime, feeds, session
from narformer.measure.runtime import refused
from narformer.measure.timing import Measurement, Session
from narformer.network import Architecture
from narformer.network.source_network import SourceNetwork

__all__ = ["Profile", "ProfiledNode", "profile"]

EVENTS = 100_000  # that the runtime keeps of all runs; a larger network is run less often
BLOCK = 10  # profiled runs between two turns of plain runs
KERNEL = "_kernel_time"  # the end of the name of a node's event
US = 1000  # nanoseconds; the runtime counts whole microseconds

Event = Mapping[str, Any]


@dataclass(frozen=True)
class ProfiledNode:
    """A node that the runtime executed.

    name, kind: in the runtime's own graph; the kind with its domain: "com.microsoft.nchwc.Conv"
    time_ns:    median over the runs
    covers:     vertices of the network whose work it does; empty for work of the runtime's own, such as a reorder
    """

    name: str
    kind: str
    time_ns: float
    covers: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Profile:
    """The nodes that a runtime executed for a network, each with its time, taken in runs of their own.

    measurement: of the network without profiling, before it
    operations:  names of all vertices of the network, as its source has them
    runs:        number of profiled runs
    plain_ns:    median time of runs without profiling, which took turns with the profiled ones
    overhead_ns: median time of a profiled run outside of all nodes
    nodes:       in the order of the runtime's graph
    """

    measurement: Measurement
    operations: tuple[str, ...]
    runs: int
    plain_ns: float
    overhead_ns: float
    nodes: tuple[ProfiledNode, ...]

    @property
    def added_ns(self) -> float:
        """The time that profiling adds to each node, at least: what all nodes took beyond a plain run, shared equally.

        It is some microseconds, in which the runtime notes sizes and shapes.
        """
        return max(0.0, sum(node.time_ns for node in self.nodes) - self.plain_ns) / (len(self.nodes) or 1)

    @property
    def times_ns(self) -> tuple[float, ...]:
        """The time of each node without ``added_ns``."""
        added_ns = self.added_ns
        return tuple(max(0.0, node.time_ns - added_ns) for node in self.nodes)

    def fits(self, source: SourceNetwork) -> bool:
        """Whether the vertices of the nodes are those of this network, whose fingerprint is the same."""
        return self.operations == source.names


def profile(
    source: SourceNetwork,
    file: Architecture | Path,
    plain: Session,
    measurement: Measurement,
    dims: Mapping[str, int] | None = None,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
    runs: int = 30,
) -> Profile:
    """Profile a network in ONNX Runtime, with the threads of ``measurement``, in a session of its own.

    source: the network as it was read, from ``file``
    plain:  the session that ``measurement`` is of; it takes turns with the profiled one

    Raises MissingExtra; BadFile, BadArchitecture as ``network`` does.
    """
    library, rng = OnnxRuntime.library(), np.random.default_rng(0)
    net = network(file, rng, dims, shapes)
    path = file if isinstance(file, Path) else "the network"
    named = named_nodes(net.onnx, path)
    labels = source.names if named is net.onnx else read_onnx(named, dims, shapes).names
    net = replace(net, onnx=named)
    with TemporaryDirectory() as folder:
        options, written = library.SessionOptions(), Path(folder) / "optimised.onnx"
        options.enable_profiling, options.profile_file_prefix = True, str(Path(folder) / "profile")
        try:
            loaded = session(library, net, measurement.threads, options, written)
            executed = nodes_of(wire.read(written), path)
            runs = max(1, min(runs, EVENTS // max(1, len(executed))))
            values = feeds(loaded, net, rng)
            plain_ns, kept = _turns(plain, lambda: loaded.run(None, values), runs)
            events = json.loads(Path(loaded.end_profiling()).read_text(encoding="utf-8"))
        except NarformerError:
            raise
        except Exception as error:  # the runtime's errors have no common base
            raise refused(net.name, OnnxRuntime.title, error) from None
    taken, overhead_ns = _times(events, executed, kept)
    nodes = nodes_of(named, path)
    vertices = _vertices(source, labels)
    covers = [
        tuple(sorted(v for number in numbers for v in vertices.get(printable(_label(nodes[number])), ())))
        for numbers in covered(nodes, executed)
    ]
    profiled = [
        ProfiledNode(printable(name), printable(kind), median(times), covers[place] if place is not None else ())
        for (place, name, kind), times in taken.items()
    ]
    return Profile(
        measurement=measurement,
        operations=source.names,
        runs=runs,
        plain_ns=plain_ns,
        overhead_ns=overhead_ns,
        nodes=tuple(profiled),
    )


def _turns(plain: Session, profiled: Callable[[], object], runs: int) -> tuple[float, list[int]]:
    """Run both in turns of BLOCK runs.

    Returns the median of the plain runs, nanoseconds, and the numbers of the profiled runs that count. The first run of
    a turn does not count: the other session has emptied the caches.
    """
    times_ns: list[int] = []
    kept: list[int] = []
    number = 0
    with collection_paused():
        for begin in range(0, runs, BLOCK):
            size = min(BLOCK, runs - begin)
            plain.run()
            for _ in range(size):
                started = perf_counter_ns()
                plain.run()
                times_ns.append(perf_counter_ns() - started)
            for _ in range(1 + size):
                profiled()
            kept += range(number + 1, number + 1 + size)
            number += 1 + size
    return median(times_ns), kept


Key = tuple[int | None, str, str]  # number of an executed node, its name and kind


def _times(
    events: Sequence[Event], executed: Sequence[OnnxNode], kept: Sequence[int]
) -> tuple[dict[Key, list[float]], float]:
    """Times of each executed node in the runs of these numbers, and the overhead of a run, nanoseconds.

    The times of nodes in the body of another node are part of that node's time.
    """
    by_name: dict[str, list[int]] = {}
    for number, node in enumerate(executed):
        by_name.setdefault(node.name or node.kind.rpartition(".")[2], []).append(number)
    windows = sorted((event["ts"], event["ts"] + event["dur"]) for event in events if event["name"] == "model_run")
    kernels = [event for event in events if event["cat"] == "Node" and event["name"].endswith(KERNEL)]
    kernels.sort(key=lambda event: (event["ts"], -event["dur"]))
    found: dict[Key, list[float]] = {}
    overheads = []
    for begin, end in (windows[number] for number in kept):
        spent, seen = 0, dict.fromkeys(by_name, 0)
        for event in _outermost(kernels, begin, end):
            key = _key(event, executed, by_name, seen)
            found.setdefault(key, []).append(US * event["dur"])
            spent += event["dur"]
        overheads.append(float(US * (end - begin - spent)))
    ordered = sorted(found, key=lambda key: len(executed) if key[0] is None else key[0])
    return {key: found[key] for key in ordered}, max(0.0, median(overheads))


def _outermost(kernels: Sequence[Event], begin: int, end: int) -> Iterator[Event]:
    """The events of one run that are not inside another one."""
    last = begin
    for event in kernels:
        if last <= event["ts"] < end:
            last = event["ts"] + event["dur"]
            yield event


def _key(event: Event, executed: Sequence[OnnxNode], by_name: Mapping[str, Sequence[int]], seen: dict[str, int]) -> Key:
    """The executed node of an event; nodes of one name, or of one kind without a name, in the order of the graph."""
    name, kind = event["name"].removesuffix(KERNEL), event["args"]["op_name"]
    found = name if name in by_name else kind if name == f"{kind}_{event['args']['node_index']}" else ""
    place = seen.get(found, 0)
    if place >= len(by_name.get(found, ())):
        return None, name, kind
    seen[found] = place + 1
    number = by_name[found][place]
    return number, executed[number].name or name, executed[number].kind


def _label(node: OnnxNode) -> str:
    return node.name or (node.outputs[0] if node.outputs else "")


def _vertices(source: SourceNetwork, labels: Sequence[str]) -> dict[str, list[int]]:
    """The vertices that a node became, by the node's name."""
    found: dict[str, list[int]] = {}
    for vertex, (label, op) in enumerate(zip(labels, source.architecture.ops, strict=True)):
        if op.kind != "Input":
            found.setdefault(label, []).append(vertex)
    return found
