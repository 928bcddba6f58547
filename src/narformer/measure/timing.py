"""Timing: raw times of a network's runs, kept as they were read, with their median, interval and spread.

As in pyperf, a measurement is a frozen record, and reports when it cannot be trusted. Rounds are interleaved: a
slow period of the machine then affects all networks of a round, not a single network in all its repeats.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from itertools import accumulate
from math import comb
from statistics import median, quantiles
from typing import Protocol

from narformer.errors import BadArchitecture
from narformer.garbage_collection import collection_paused
from narformer.measure.environment import Environment, busy_seconds, environment

__all__ = [
    "LATENCY",
    "Adaptive",
    "Incomplete",
    "Interrupted",
    "Measurement",
    "Session",
    "measure",
    "measure_rounds",
    "unstable",
]

LATENCY = "latency"  # the quantity that a clock measures

WATCHED_S = 0.5  # the system counts in hundredths of a second on each core; below this time, a count is too coarse

Clock = Callable[[], int]  # nanoseconds from any fixed moment


class Session(Protocol):
    """A network that a runtime has loaded and that can be run again and again on the same inputs."""

    @property
    def fingerprint(self) -> str: ...  # noqa: D102
    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def device(self) -> str: ...  # noqa: D102
    @property
    def runtime(self) -> str: ...  # noqa: D102
    @property
    def threads(self) -> int: ...  # noqa: D102
    @property
    def batch(self) -> int: ...  # noqa: D102
    @property
    def dtype(self) -> str: ...  # noqa: D102
    @property
    def accelerator(self) -> str: ...  # noqa: D102

    def run(self) -> object:
        """One inference, complete when it returns. Raises BadArchitecture where it fails."""


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """Times of one network on one device, raw; or values of another quantity, kept in the same fields.

    fingerprint: of the network; ``name`` is for people
    device:      name of the machine, and the precision it computes in: "Xeon, 2 cores, bfloat16"
    dtype:       the precision alone
    times_ns:    in the order in which they were taken, round by round; in ``unit``: integer nanoseconds for a
                 latency
    warmup_ns:   times of the warm-up runs before them
    rounds:      number of times in each round
    others:      cores that other programs, or the host of a virtual machine, took on average while it ran; None where
                 the system does not report it, or the run was shorter than WATCHED_S
    date:        of the first run, UTC, ISO 8601
    quantity:    measured quantity: "latency", "energy"
    unit:        of the values; a latency is kept in "ns"
    accelerator: name of the chip beside the CPU that did the work; empty for the CPU itself

    Raises ValueError where the rounds do not add up to the times, or a latency is in another unit.
    """

    fingerprint: str
    name: str
    device: str
    runtime: str
    threads: int
    batch: int
    dtype: str
    times_ns: tuple[float, ...]
    warmup_ns: tuple[float, ...]
    rounds: tuple[int, ...]
    others: float | None
    date: str
    environment: Environment
    quantity: str = LATENCY
    unit: str = "ns"
    accelerator: str = ""

    def __post_init__(self) -> None:
        if self.quantity == LATENCY and self.unit != "ns":
            raise ValueError(f"found a latency in '{self.unit}'; expected nanoseconds, 'ns'")
        if not self.times_ns or sum(self.rounds) != len(self.times_ns) or min(self.rounds) < 1:
            raise ValueError(f"found {len(self.times_ns)} times in rounds of {self.rounds}; expected them to agree")

    @property
    def median(self) -> float:
        """Median of all values, in ``unit``."""
        return median(self.times_ns)

    @property
    def median_ms(self) -> float:
        """Median of all times, milliseconds. Raises ValueError where the values are not nanoseconds."""
        return self.median / self._ns_in_a_ms

    @property
    def spread(self) -> float:
        """Distance between the quartiles, as a share of the median; 0 for a single time."""
        if len(self.times_ns) == 1:
            return 0.0
        low, _, high = quantiles(self.times_ns, n=4, method="inclusive")
        return (high - low) / (median(self.times_ns) or 1)

    def interval(self, confidence: float = 0.95) -> tuple[float, float] | None:
        """Bounds, in ``unit``, that contain the true median with at least this confidence; None for too few values.

        This is the median in the machine's state at that time; it may differ an hour later.

        They are two of the values themselves, by their rank (David & Nagaraja, "Order Statistics", 2003, section 7.1):
        nothing is assumed about the distribution of the values.
        """
        return _interval(self.times_ns, confidence)

    def interval_ms(self, confidence: float = 0.95) -> tuple[float, float] | None:
        """The same in milliseconds. Raises ValueError where the values are not nanoseconds."""
        scale, bounds = self._ns_in_a_ms, self.interval(confidence)
        return bounds and (bounds[0] / scale, bounds[1] / scale)

    @property
    def round_medians_ms(self) -> tuple[float, ...]:
        """Median of each round, milliseconds. Raises ValueError where the values are not nanoseconds."""
        scale, ends = self._ns_in_a_ms, accumulate(self.rounds)
        return tuple(
            median(self.times_ns[end - size : end]) / scale for size, end in zip(self.rounds, ends, strict=True)
        )

    @property
    def _ns_in_a_ms(self) -> float:
        if self.unit != "ns":
            raise ValueError(f"found {self.quantity} in '{self.unit}'; expected nanoseconds to give milliseconds of")
        return 1e6


class Interrupted(KeyboardInterrupt):
    """Ctrl-C while measuring; ``complete`` are the measurements of the rounds before it, by session number."""

    def __init__(self, complete: Mapping[int, Measurement]) -> None:
        super().__init__()
        self.complete = complete


class Incomplete(BadArchitecture):
    """Runs that failed, by session number, in ``failed``; ``complete`` are the measurements of all other sessions."""

    def __init__(self, complete: Mapping[int, Measurement], failed: Mapping[int, BadArchitecture]) -> None:
        super().__init__("; ".join(map(str, failed.values())))
        self.complete, self.failed = complete, failed


@dataclass(frozen=True, kw_only=True)
class Adaptive:
    """Number of runs in a round: until the interval of the median is narrow, or the time is over.

    least:   minimum number of times before the interval may end a round; the time limit may end it earlier
    most:    maximum number of times of a round
    seconds: for the times of a round, and again for its warm-up; a run that has started is finished
    width:   the 95 % interval of all times so far is narrow below this share of their median
    """

    least: int = 10
    most: int = 200
    seconds: float = 1.0
    width: float = 0.02


def measure(
    session: Session, repeats: int | Adaptive = 30, warmup: int = 5, clock: Clock = time.perf_counter_ns
) -> Measurement:
    """Warm up, then run repeatedly without a break, and keep every time."""
    return measure_rounds([session], 1, repeats, warmup, clock)[0]


def measure_rounds(
    sessions: Sequence[Session],
    rounds: int,
    repeats: int | Adaptive = 10,
    warmup: int = 2,
    clock: Clock = time.perf_counter_ns,
    advance: Callable[[], None] = lambda: None,
) -> list[Measurement]:
    """Measure several networks in turn, ``rounds`` times over, one measurement for each.

    ``repeats`` and ``warmup`` are per round: between two rounds the other networks have emptied the caches.
    ``advance`` is called after every round of every network.
    Raises ValueError for fewer than one round or repeat; Incomplete, after all rounds of the others, where the runs of
    a network fail; Interrupted, with all rounds that were complete, on Ctrl-C.
    """
    plan = repeats if isinstance(repeats, Adaptive) else Adaptive(least=repeats, most=repeats, seconds=float("inf"))
    if rounds < 1 or plan.most < 1 or warmup < 0:
        raise ValueError(
            f"found {rounds} rounds of {plan.most} repeats, {warmup} warm-ups; expected 1, 1 and 0 at least"
        )
    failed: dict[int, BadArchitecture] = {}
    timings = [Timing(datetime.now(UTC).isoformat(timespec="seconds")) for _ in sessions]
    try:
        for _ in range(rounds):
            for number, (timing, session) in enumerate(zip(timings, sessions, strict=True)):
                if number not in failed:
                    try:
                        timing.round(session, plan, warmup, clock)
                    except BadArchitecture as error:
                        failed[number] = error
                advance()
    except KeyboardInterrupt:
        raise Interrupted(_taken(timings, sessions, failed)) from None
    if failed:
        raise Incomplete(_taken(timings, sessions, failed), failed)
    return [timing.of(session) for timing, session in zip(timings, sessions, strict=True)]


def unstable(measurement: Measurement) -> tuple[str, ...]:
    """Reasons not to trust a latency, as readable text; empty if there are no doubts."""
    m, middle = measurement, measurement.median_ms
    slowest = max(m.times_ns) / 1e6
    reasons = []
    bounds = m.interval_ms()
    if bounds is None:
        few = "1 time is" if len(m.times_ns) == 1 else f"{len(m.times_ns)} times are"
        reasons.append(f"{few} too few to estimate the error of the median")
    elif bounds[1] - bounds[0] > 0.1 * middle:
        reasons.append(f"the median may be anywhere from {bounds[0]:.3g} to {bounds[1]:.3g} ms; repeat more often")
    if m.spread > 0.1:
        reasons.append(f"the times spread by {m.spread:.0%} between the quartiles")
    if slowest > 1.5 * middle:
        reasons.append(f"the slowest time, {slowest:.3g} ms, is {slowest / middle:.1f} times the median")
    drift = max(m.round_medians_ms) / (min(m.round_medians_ms) or 1e-6) - 1
    if drift > 0.1:
        reasons.append(f"the medians of the rounds differ by {drift:.0%}")
    if middle < 0.01:
        reasons.append("a run takes less than 10 µs, so the time of the call itself matters")
    if m.others is not None and m.others > 0.2:
        reasons.append(f"other programs took {m.others:.1f} cores meanwhile; all times may be too long alike")
    if m.environment.governor not in ("", "performance"):
        reasons.append(f"the clock frequency is not fixed (governor '{m.environment.governor}')")
    return tuple(reasons)


class Timing:
    """Times of one network while they are being taken."""

    def __init__(self, date: str) -> None:
        self.date = date
        self.seconds = self.others_s = 0.0
        self.watched = True
        self.times: list[int] = []
        self.warmups: list[int] = []
        self.rounds: list[int] = []

    def round(self, session: Session, plan: Adaptive, warmup: int, clock: Clock) -> None:
        """Take the times of one round, with the garbage collector disabled."""
        warmups: list[int] = []
        times: list[int] = []  # an interrupted round is discarded
        with self.watching():
            for count, time_ns in enumerate(_runs(session, clock, plan.seconds) if warmup else (), 1):
                warmups.append(time_ns)
                if count == warmup:
                    break
            for count, time_ns in enumerate(_runs(session, clock, plan.seconds), 1):
                times.append(time_ns)
                if count >= plan.most or (count >= plan.least and _narrow([*self.times, *times], plan.width)):
                    break
        self.warmups += warmups
        self.times += times
        self.rounds.append(count)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Disable the garbage collector, and count the time that other programs take."""
        busy_s, own_s, started = busy_seconds(), time.process_time(), time.perf_counter()
        with collection_paused():
            yield
        self.seconds += time.perf_counter() - started
        now_s = busy_seconds()
        if busy_s is None or now_s is None:
            self.watched = False
        else:
            self.others_s += now_s - busy_s - (time.process_time() - own_s)

    @property
    def others(self) -> float | None:
        """Average number of cores that others took."""
        known = self.watched and self.seconds >= WATCHED_S
        return round(max(0.0, self.others_s / self.seconds), 3) if known else None

    def of(self, session: Session) -> Measurement:
        return Measurement(
            fingerprint=session.fingerprint,
            name=session.name,
            device=session.device,
            runtime=session.runtime,
            threads=session.threads,
            batch=session.batch,
            dtype=session.dtype,
            accelerator=session.accelerator,
            times_ns=tuple(self.times),
            warmup_ns=tuple(self.warmups),
            rounds=tuple(self.rounds),
            others=self.others,
            date=self.date,
            environment=environment(),
        )


def _taken(
    timings: Sequence[Timing], sessions: Sequence[Session], failed: Mapping[int, BadArchitecture]
) -> dict[int, Measurement]:
    """The measurements of those that have times and did not fail, by session number."""
    pairs = enumerate(zip(timings, sessions, strict=True))
    return {i: timing.of(session) for i, (timing, session) in pairs if timing.rounds and i not in failed}


def _runs(session: Session, clock: Clock, seconds: float) -> Iterator[int]:
    """Times of runs, at least one, until their sum reaches this many seconds."""
    spent = 0
    while not spent or spent < seconds * 1e9:
        begin = clock()
        session.run()
        time_ns = clock() - begin
        spent += max(time_ns, 1)
        yield time_ns


def _narrow(times_ns: Sequence[float], width: float) -> bool:
    bounds = _interval(times_ns, 0.95)
    return bounds is not None and bounds[1] - bounds[0] <= width * median(times_ns)


def _interval(times_ns: Sequence[float], confidence: float) -> tuple[float, float] | None:
    rank = _rank(len(times_ns), confidence)
    if rank is None:
        return None
    ordered = sorted(times_ns)
    return ordered[rank], ordered[-1 - rank]


@cache
def _rank(count: int, confidence: float) -> int | None:
    """The largest r for which the r-th smallest and r-th largest time, from 0, bound the median with this confidence.

    The number of times below the median is binomial with p = 1/2; the interval misses it if at most r are, on a side.
    """
    tail, ways = 0, 2**count
    for rank in range(count // 2 + 1):
        tail += comb(count, rank)
        if 2 * tail > (1 - confidence) * ways:
            return rank - 1 if rank else None
    return count // 2
