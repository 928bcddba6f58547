"""Measured times of a network's layers beside the predicted ones: a profile laid on the operations of the network."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import isnan
from pathlib import Path

from narformer.errors import BadFile, printable
from narformer.measure import Profile, condition
from narformer.network.cost import cost
from narformer.network.source_network import SourceNetwork
from narformer.store.profiles import read_profiles

__all__ = ["Compared", "Comparison", "Predicted", "compared", "profile_of_network"]

MS = 1e-6  # milliseconds in a nanosecond
LISTED = 5  # networks that an error names


@dataclass(frozen=True)
class Predicted:
    """A predicted time, milliseconds, of operations that a predictor takes together: vertices of the source network."""

    vertices: tuple[int, ...]
    ms: float


@dataclass(frozen=True)
class Compared:
    """Operations that the runtime executed, or a predictor takes, together.

    name, module, kind: of the one with the most work, as the source has them; the name is "" for work of the runtime's
                        own, and for a kernel of the predictor's own
    joined:             kinds of the others
    executed:           kinds of the nodes that the runtime executed for them; empty where it executed none
    predicted_ms:       None where nothing predicts it
    measured_ms:        without the time that profiling adds; 0 where the runtime executed nothing for it
    share:              of the measured time of all nodes
    """

    name: str
    module: str
    kind: str
    joined: tuple[str, ...]
    executed: tuple[str, ...]
    predicted_ms: float | None
    measured_ms: float
    share: float


@dataclass(frozen=True)
class Comparison:
    """A profile laid on the layers of a network.

    device:       where and how it was measured; ``date``: when, UTC
    latency_ms:   median of the timed runs, before profiling
    plain_ms:     median of the runs without profiling that took turns with the profiled ones
    nodes_ms:     sum over all nodes, without the time that profiling adds
    added_ms:     time that profiling adds to each node
    runs:         number of profiled runs; the time of a node is the median
    predicted_ms: of the whole network; None where nothing predicts it
    layers:       the slowest first; the work of the runtime's own is one of them, with the name ""
    """

    device: str
    date: str
    latency_ms: float
    plain_ms: float
    nodes_ms: float
    added_ms: float
    runs: int
    predicted_ms: float | None
    layers: tuple[Compared, ...]


def profile_of_network(path: Path, source: SourceNetwork, fingerprint: str) -> Profile:
    """The last profile of a network in a file.

    Raises BadFile as ``read_profiles``, and where the file has no profile of this network, or one of another
    description of it, whose operations have other names.
    """
    profiles = read_profiles(path)
    same = [profile for profile in profiles if profile.measurement.fingerprint == fingerprint]
    fitting = [profile for profile in same if profile.fits(source)]
    if fitting:
        return fitting[-1]
    remedy = f"Give the same network to `narformer measure`, with --profile {path}."
    if same:
        raise BadFile(path, f"a profile of {source.title} from another file of it", "one of this file", remedy)
    names = list(dict.fromkeys(printable(profile.measurement.name) for profile in profiles))
    found = ", ".join(names[:LISTED]) + (", …" if len(names) > LISTED else "")
    raise BadFile(path, f"profiles of other networks ({found or 'none'})", f"one of {source.title}", remedy)


def compared(
    source: SourceNetwork, profile: Profile, predicted: Sequence[Predicted] = (), predicted_ms: float | None = None
) -> Comparison:
    """A profile on the layers of its network, with the predicted times of all kernels, if there are any.

    Operations are taken together where an executed node or a kernel does: what the runtime fuses and the predictor does
    not, or the other way round, is one row.
    """
    groups = _Groups(len(source.architecture))
    timed = [(node, time_ns * MS) for node, time_ns in zip(profile.nodes, profile.times_ns, strict=True)]
    own = [(node, ms) for node, ms in timed if not node.covers]
    for covers in (node.covers for node in profile.nodes):
        groups.join(covers)
    for kernel in predicted:
        groups.join(kernel.vertices)
    measured: dict[int, float] = {}
    executed: dict[int, list[str]] = {}
    for node, ms in timed:
        if node.covers:
            place = groups.of(node.covers[0])
            measured[place] = measured.get(place, 0.0) + ms
            executed.setdefault(place, []).append(node.kind)
    told: dict[int, float] = {}
    for kernel in predicted:
        place = groups.of(kernel.vertices[0]) if kernel.vertices else -1
        told[place] = told.get(place, 0.0) + kernel.ms
    total_ms = sum(ms for _, ms in timed)
    members: dict[int, list[int]] = {}
    for vertex in range(len(source.architecture)):
        members.setdefault(groups.of(vertex), []).append(vertex)
    label = _Labels(source)
    rows = []
    for place in dict.fromkeys((*measured, *told)):
        ms = measured.get(place, 0.0)
        names = label.of(members.get(place, ()))
        kinds = tuple(dict.fromkeys(executed.get(place, ())))
        rows.append(Compared(*names, kinds, told.get(place), ms, ms / (total_ms or 1)))
    if own:
        ms = sum(ms for _, ms in own)
        kinds = tuple(f"{kind} x {count}" for kind, count in Counter(node.kind for node, _ in own).most_common())
        rows.append(Compared("", "", "runtime's own", (), kinds, None, ms, ms / (total_ms or 1)))
    m = profile.measurement
    return Comparison(
        device=str(condition(m)),
        date=m.date,
        latency_ms=m.median_ms,
        plain_ms=profile.plain_ns * MS,
        nodes_ms=total_ms,
        added_ms=profile.added_ns * MS,
        runs=profile.runs,
        predicted_ms=predicted_ms,
        layers=tuple(sorted(rows, key=lambda row: (-row.measured_ms, -(row.predicted_ms or 0.0)))),
    )


class _Groups:
    """Disjoint sets of vertices (Tarjan, "Efficiency of a good but not linear set union algorithm", 1975)."""

    def __init__(self, count: int) -> None:
        self._above = list(range(count))

    def of(self, vertex: int) -> int:
        """The vertex that stands for the set of this one."""
        while self._above[vertex] != vertex:
            self._above[vertex] = self._above[self._above[vertex]]
            vertex = self._above[vertex]
        return vertex

    def join(self, vertices: Sequence[int]) -> None:
        """Make one set of the sets of these vertices."""
        for vertex in vertices[1:]:
            first, other = sorted((self.of(vertices[0]), self.of(vertex)))
            self._above[other] = first


class _Labels:
    """Names of groups of operations, by the one with the most work."""

    def __init__(self, source: SourceNetwork) -> None:
        self.source, counted = source, cost(source.architecture)
        sizes = zip(counted.macs_N.tolist(), counted.flops_N.tolist(), strict=True)
        self.kinds = [op.kind for op in source.architecture.ops]
        self.work = [tuple(0.0 if isnan(size) else size for size in pair) for pair in sizes]

    def of(self, vertices: Iterable[int]) -> tuple[str, str, str, tuple[str, ...]]:
        """Name, module and kind of the main operation, and the kinds of the others."""
        listed = list(vertices)
        if not listed:
            return "", "", "predictor's own", ()
        main = max(listed, key=lambda vertex: (self.work[vertex], vertex))
        joined = tuple(self.kinds[vertex] for vertex in listed if vertex != main)
        return self.source.names[main], self.source.modules[main], self.kinds[main], joined
