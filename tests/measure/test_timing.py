"""What times say, on clocks that tell them beforehand."""

import gc
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from itertools import chain, repeat

import numpy as np
import pytest

from narformer.errors import BadArchitecture
from narformer.measure import (
    Adaptive,
    Incomplete,
    Interrupted,
    condition,
    environment,
    measure,
    measure_rounds,
    unstable,
)
from narformer.measure.environment import busy_seconds

MS = 1_000_000


class Clock:
    """A clock that sessions move on."""

    def __init__(self):
        self.now_ns = 5

    def __call__(self):
        return self.now_ns


@dataclass
class Scripted:
    """A session whose runs take the times it is given, the last one for ever."""

    clock: Clock
    times_ms: tuple
    name: str = "scripted"
    fingerprint: str = "f" * 64
    device: str = "bench, float32"
    runtime: str = "script"
    threads: int = 1
    batch: int = 1
    dtype: str = "float32"
    accelerator: str = ""
    log: list = None

    def __post_init__(self):
        self.next = chain(self.times_ms, repeat(self.times_ms[-1]))

    def run(self):
        assert not gc.isenabled()
        if self.log is not None:
            self.log.append(self.name)
        self.clock.now_ns += round(next(self.next) * MS)


def measured(*times_ms, **how):
    clock = Clock()
    return measure(Scripted(clock, times_ms), clock=clock, **how)


def of_times(*times_ms):
    return replace(measured(*times_ms, repeats=len(times_ms), warmup=0), others=None)


def test_a_clock_measures_latency_in_nanoseconds_on_the_accelerator_that_the_session_states():
    clock = Clock()
    m = measure(Scripted(clock, (3,), accelerator="a chip"), clock=clock)
    assert (m.quantity, m.unit, m.accelerator) == ("latency", "ns", "a chip")
    assert condition(m).accelerator == "a chip"
    assert condition(measured(3)) == replace(condition(m), accelerator="")


def test_a_latency_is_kept_in_nanoseconds_only():
    with pytest.raises(ValueError, match="found a latency in 'ms'; expected nanoseconds, 'ns'"):
        replace(of_times(1, 2), unit="ms")


def test_another_quantity_keeps_its_unit_and_has_no_milliseconds():
    m = replace(of_times(*range(1, 10)), quantity="energy", unit="mJ")
    assert (m.median, m.spread) == (5 * MS, 4 / 5)
    low, high = m.interval()
    assert low < m.median < high
    assert m.interval(0.5) != (low, high)
    for asked in (lambda: m.median_ms, m.interval_ms, lambda: m.round_medians_ms):
        with pytest.raises(ValueError, match="found energy in 'mJ'; expected nanoseconds"):
            asked()


def test_milliseconds_are_a_million_nanoseconds():
    m = of_times(*range(1, 10))
    assert m.median_ms == m.median / MS == 5
    assert m.interval_ms() == tuple(bound / MS for bound in m.interval())


def test_every_time_is_kept_in_order_and_warm_ups_apart():
    m = measured(9, 8, 3, 1, 2, repeats=3, warmup=2)
    assert m.warmup_ns == (9 * MS, 8 * MS)
    assert m.times_ns == (3 * MS, 1 * MS, 2 * MS)
    assert m.rounds == (3,)
    assert m.median_ms == 2
    assert m.environment == environment()
    assert m.date.endswith("+00:00")
    assert gc.isenabled()


def test_spread_is_the_distance_of_the_quartiles_over_the_median():
    assert of_times(1, 2, 3, 4, 5).spread == pytest.approx(2 / 3)
    assert of_times(7).spread == 0


# Ranks of the 95 % interval of a median as tables of order statistics print them, from 1: for 20 times 6 and 15.
@pytest.mark.parametrize(("count", "low"), [(6, 1), (9, 2), (10, 2), (15, 4), (20, 6), (25, 8), (30, 10)])
def test_interval_is_two_order_statistics(count, low):
    m = of_times(*range(count, 0, -1))
    assert m.interval_ms() == (low, count + 1 - low)


def test_five_times_are_too_few_for_an_interval():
    m = of_times(1, 2, 3, 4, 5)
    assert m.interval_ms() is None
    assert m.interval_ms(0.9) == (1, 5)  # 1 - 2/32
    assert "5 times are too few" in unstable(m)[0]


def test_interval_holds_the_median_as_often_as_it_says():
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(500):
        low, high = of_times(*rng.exponential(10, 15)).interval_ms()
        hits += low <= 10 * np.log(2) <= high
    assert 0.94 <= hits / 500 <= 0.99  # exactly 0.965 in the long run


def test_adaptive_stops_when_the_interval_is_narrow():
    assert len(measured(5, repeats=Adaptive(least=8), warmup=0).times_ns) == 8
    # Ten wild times first; it is narrow once nine tenths of what lies between the ranks is equal.
    m = measured(*(1, 9) * 5, 5, repeats=Adaptive(least=6, most=500, seconds=100), warmup=0)
    low, high = m.interval_ms()
    assert high - low <= 0.02 * m.median_ms
    assert 20 <= len(m.times_ns) < 60


def test_adaptive_stops_when_the_time_is_spent_or_the_count_is_reached():
    wild = (1, 2) * 500
    assert len(measured(*wild, repeats=Adaptive(seconds=0.030), warmup=0).times_ns) == 20
    assert len(measured(*wild, repeats=Adaptive(most=40), warmup=0).times_ns) == 40
    slow = measured(4000, repeats=Adaptive(seconds=3), warmup=10)
    assert (len(slow.warmup_ns), len(slow.times_ns)) == (1, 1)


def test_rounds_interleave_the_networks():
    clock, log = Clock(), []
    a, b = (Scripted(clock, (t,), name=name, log=log) for name, t in (("a", 1), ("b", 2)))
    one, two = measure_rounds([a, b], rounds=3, repeats=2, warmup=1, clock=clock)
    assert "".join(log) == "aaabbb" * 3
    assert one.rounds == two.rounds == (2, 2, 2)
    assert one.times_ns == (MS,) * 6
    assert two.warmup_ns == (2 * MS,) * 3


def test_every_round_of_every_network_is_told():
    clock, told = Clock(), []
    sessions = [Scripted(clock, (1,)) for _ in "abc"]
    measure_rounds(sessions, rounds=2, repeats=5, clock=clock, advance=lambda: told.append(clock.now_ns))
    assert len(told) == 6
    assert told == sorted(set(told))


def test_a_round_that_is_cut_short_leaves_nothing_behind():
    class Cut(Scripted):
        def run(self):
            if len(log) == 7:  # the second run of b's second round
                raise KeyboardInterrupt
            super().run()

    clock, log = Clock(), []
    sessions = [Cut(clock, (1,), name=name, log=log) for name in "abc"]
    with pytest.raises(Interrupted) as caught:
        measure_rounds(sessions[:2], rounds=2, repeats=2, warmup=0, clock=clock)
    assert [(i, m.rounds, len(m.times_ns)) for i, m in caught.value.complete.items()] == [(0, (2, 2), 4), (1, (2,), 2)]
    log.clear()
    log.extend("1234567")
    with pytest.raises(Interrupted) as caught:
        measure_rounds(sessions, rounds=2, clock=clock)
    assert not caught.value.complete


def test_medians_of_rounds_show_drift():
    clock = Clock()
    (m,) = measure_rounds([Scripted(clock, (1, 1, 1, 2))], rounds=2, repeats=3, warmup=0, clock=clock)
    assert m.round_medians_ms == (1, 2)
    assert "the medians of the rounds differ by 100%" in unstable(m)


def test_a_sound_measurement_has_no_reasons_against_it():
    m = of_times(*(10, 10.1) * 10)
    assert unstable(replace(m, environment=replace(m.environment, governor="performance"))) == ()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"times_ns": (MS,) * 5 + (2 * MS,) * 5}, "the median may be anywhere from 1 to 2 ms"),
        ({"times_ns": (8 * MS,) * 5 + (10 * MS,) * 5}, "the times spread by 22%"),
        ({"times_ns": (MS,) * 9 + (3 * MS,)}, "the slowest time, 3 ms, is 3.0 times the median"),
        ({"times_ns": (9_000,) * 10}, "less than 10 µs"),
        ({"others": 1.4}, "other programs took 1.4 cores meanwhile"),
        ({"environment": replace(environment(), governor="powersave")}, "governor 'powersave'"),
    ],
)
def test_reasons_against_a_measurement(change, reason):
    assert any(reason in words for words in unstable(replace(of_times(*(1,) * 10), **change)))


def test_a_measurement_is_consistent_and_never_empty():
    m = of_times(1, 2)
    with pytest.raises(ValueError, match="expected them to agree"):
        replace(m, rounds=(3,))
    with pytest.raises(ValueError, match="expected them to agree"):
        replace(m, times_ns=(), rounds=())
    with pytest.raises(ValueError, match="0 rounds"):
        measure_rounds([], rounds=0)


def test_the_collector_is_let_loose_again_when_a_run_fails():
    class Failing(Scripted):
        def run(self):
            raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        measure(Failing(Clock(), (1,)))
    assert gc.isenabled()


def test_what_other_programs_take_is_told():
    """A child burns a core while a slow network runs; without it nobody does, or somebody else's program."""

    class Sleeping(Scripted):
        def run(self):
            time.sleep(0.15)
            super().run()

    if busy_seconds() is None:
        pytest.skip("the system does not count")
    clock = Clock()
    burner = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        (m,) = measure_rounds([Sleeping(clock, (1,))], 2, 3, 0, clock)
    finally:
        burner.kill()
        burner.wait()
    assert m.others > 0.3
    assert any("other programs took" in reason for reason in unstable(m))


def test_a_short_run_cannot_tell_what_others_took():
    assert measured(1, 2, repeats=2).others is None


class Failing(Scripted):
    """A session that fails from a run on."""

    failing_from: int = 3

    def run(self):
        super().run()
        if len([name for name in self.log if name == self.name]) >= self.failing_from:
            raise BadArchitecture(f"{self.name}: it is full")


@pytest.mark.parametrize(("fails", "runs"), [(1, 1), (3, 3), (6, 6)])
def test_runs_that_fail_stop_no_other_network(fails, runs):
    clock, log = Clock(), []
    failing = Failing(clock, (2,), name="b", log=log)
    failing.failing_from = fails
    sessions = [Scripted(clock, (1,), name="a", log=log), failing, Scripted(clock, (3,), name="c", log=log)]
    steps = []
    with pytest.raises(Incomplete, match="b: it is full") as error:
        measure_rounds(sessions, 2, repeats=2, warmup=1, clock=clock, advance=lambda: steps.append(1))
    assert {i: m.name for i, m in error.value.complete.items()} == {0: "a", 2: "c"}
    assert {i: m.rounds for i, m in error.value.complete.items()} == {0: (2, 2), 2: (2, 2)}
    assert list(error.value.failed) == [1]
    assert (log.count("a"), log.count("b"), log.count("c")) == (6, runs, 6)
    assert len(steps) == 6
    assert gc.isenabled()


def test_an_interrupt_leaves_out_what_failed_before():
    clock, log = Clock(), []
    failing = Failing(clock, (2,), name="b", log=log)

    def stop():
        if log.count("a") == 4:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted) as error:
        measure_rounds([failing, Scripted(clock, (1,), name="a", log=log)], 9, 2, 0, clock, stop)
    assert {i: m.name for i, m in error.value.complete.items()} == {1: "a"}
