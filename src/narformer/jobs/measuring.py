"""Measuring whole networks, and keeping every time."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from narformer.errors import BadArchitecture, BadFile, NotMeasured, lookup
from narformer.jobs.networks import Given, read_networks
from narformer.measure import (
    RUNTIMES,
    Incomplete,
    Interrupted,
    Measurement,
    Profile,
    Runtime,
    environment,
    measure_rounds,
    profile,
    unstable,
)
from narformer.measure.environment import mixed
from narformer.network import Architecture, cost
from narformer.progress import Progress, silent
from narformer.store import Store, open_store

__all__ = ["GROUP_BYTES", "GROUP_NETWORKS", "PROFILED", "Measured", "Measurement", "Plan", "measure"]

# Networks that take turns are in memory together; a runtime holds weights about twice.
GROUP_NETWORKS = 16
GROUP_BYTES = 2**30
PROFILED = "ort"  # the runtime that tells the time of each node

Failure = tuple[str, str, str]  # see NotMeasured


@dataclass(frozen=True)
class Plan:
    """How networks are timed.

    threads: CPU threads of a network
    repeats: timed runs of each network, shared by the rounds; rounded up to the same number in each
    rounds:  in which the networks take turns; at most as many as repeats
    warmup:  untimed runs of each network before each round
    profile: whether the networks are also profiled, each after its rounds, on the runtimes that can
    """

    threads: int = 1
    repeats: int = 30
    rounds: int = 3
    warmup: int = 2
    profile: bool = False


USUAL = Plan()


@dataclass(frozen=True)
class Measured:
    """A measurement, its network, and the work of one run.

    architecture: of the network, as it was loaded
    flops:        of one run, without the ``uncounted`` operations, which have no rule
    doubts:       reasons not to trust it, as readable text
    kept_in:      the store that holds it
    profile:      times of the nodes that the runtime executed, where the plan asks for them
    """

    measurement: Measurement
    architecture: Architecture
    flops: int
    uncounted: int
    doubts: tuple[str, ...]
    kept_in: str
    profile: Profile | None = None

    @property
    def gflops_per_s(self) -> float:
        """Billions of FLOPs per second, at the median time."""
        return self.flops / (self.measurement.median_ms or 1e-6) / 1e6


def measure(
    nets: Sequence[str],
    runtimes: Sequence[str] = ("ort",),
    plan: Plan = USUAL,
    device: str = "",
    dims: Mapping[str, int] | None = None,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
    store: str | None = None,
    progress: Progress = silent,
) -> Iterator[Measured]:
    """Measure networks (ONNX files, or such as ``resnet/0``) on runtimes, and keep every time in the store.

    All networks are read, and all runtimes imported, before the first is timed. Weights in files beside a model are
    read as ``weights_beside`` does. Networks are timed in turn, round by
    round. To bound memory, they are taken in groups of at most GROUP_NETWORKS, whose weights take at most GROUP_BYTES
    unless a group is a single network. A group is stored, and yielded, after its rounds. Ctrl-C ends the rounds: the
    complete ones are stored and yielded, and then it is raised.

    device:       the machine's name, by default that of its CPU
    dims, shapes: sizes of dimensions that files name, shapes of inputs that they leave open
    store:        as ``open_store`` takes it
    progress:     its phases are the runtimes; each network counts once per round

    Raises UnknownName for a runtime, MissingExtra, TooManyThreads; MixedMachines before a group is timed where the
    store has another machine under the device's name. Networks that cannot be read, that a runtime refuses, or whose
    runs fail are left out; NotMeasured names them after all others were measured.
    """
    classes = [lookup(RUNTIMES, name, "runtime") for name in dict.fromkeys(runtimes)]
    for runtime in classes:
        runtime.library()
    given: list[Given] = []
    failures: list[Failure] = []
    for name, found in read_networks(nets, dims, shapes):
        if isinstance(found, Given):
            given.append(found)
        else:
            failures.append((name, "", str(found)))
    plan = replace(plan, rounds=min(plan.rounds, plan.repeats))
    with open_store(store) as opened:
        for runtime in classes:
            done, total = 0, len(given) * plan.rounds

            def advance(name: str = runtime.runtime, total: int = total) -> None:
                nonlocal done
                done += 1
                progress(name, done, total, None)

            progress(runtime.runtime, 0, total, None)
            for group in _groups(given):
                yield from _measured(group, runtime, plan, device, opened, advance, failures)
    if failures:
        raise NotMeasured(failures)


def _measured(
    group: Sequence[Given],
    runtime: type[Runtime],
    plan: Plan,
    device: str,
    store: Store,
    advance: Callable[[], None],
    failures: list[Failure],
) -> Iterator[Measured]:
    """The measurements of a group, all stored before the first is yielded; at the end its networks are released.

    Networks that the runtime refuses, or whose runs fail, are added to ``failures``.
    """
    sessions, loaded = [], []
    for net in group:
        try:
            session = runtime(net.source, np.random.default_rng(0), plan.threads, device, net.dims, net.shapes)
        except (BadArchitecture, BadFile) as error:
            failures.append((net.network.title, runtime.runtime, str(error)))
            continue
        known = store.machine(session.device)
        if known not in (None, environment().machine):
            raise mixed(session.device, known, environment().machine)
        sessions.append(session)
        loaded.append(net)
    interrupted = None
    try:
        repeats = -(-plan.repeats // plan.rounds)
        times = measure_rounds(sessions, plan.rounds, repeats, plan.warmup, advance=advance)
        complete: Mapping[int, Measurement] = dict(enumerate(times))
    except Incomplete as error:
        complete = error.complete
        failures += [(sessions[i].name, runtime.runtime, str(reason)) for i, reason in error.failed.items()]
    except Interrupted as error:
        interrupted, complete = error, error.complete
    found = []
    for number, measurement in complete.items():
        network = sessions[number].architecture
        store.add(measurement, network)
        counted = cost(network)
        doubts = unstable(measurement)
        if len(measurement.rounds) < plan.rounds:
            doubts = (*doubts, f"interrupted after {len(measurement.rounds)} of {plan.rounds} rounds")
        measured = Measured(measurement, network, counted.flops, len(counted.unknown), doubts, store.place)
        found.append((loaded[number], sessions[number], measured))
    for net, session, measured in found:  # all are stored
        wanted = plan.profile and runtime.runtime == PROFILED and not interrupted
        yield replace(measured, profile=_profiled(net, session, measured, plan, failures)) if wanted else measured
    if interrupted:
        raise interrupted


def _profiled(net: Given, session: Runtime, measured: Measured, plan: Plan, failures: list[Failure]) -> Profile | None:
    m = measured.measurement
    try:
        return profile(net.network, net.source, session, m, net.dims, net.shapes, plan.repeats)
    except (BadArchitecture, BadFile) as error:
        failures.append((m.name, m.runtime, f"no profile: {error}"))
        return None


def _groups(given: Sequence[Given]) -> Iterator[list[Given]]:
    group: list[Given] = []
    size = 0
    for net in given:
        if group and (len(group) == GROUP_NETWORKS or size + net.weight_bytes > GROUP_BYTES):
            yield group
            group, size = [], 0
        group.append(net)
        size += net.weight_bytes
    if group:
        yield group
