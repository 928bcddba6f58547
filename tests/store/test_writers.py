"""Writers that are killed, and writers all at once: nothing that was acknowledged is lost."""

import multiprocessing
import os
import random
import sqlite3
import time
from dataclasses import replace

from narformer.measure import Environment, Machine, Measurement
from narformer.network import Architecture, Op, fingerprint
from narformer.store import Store

FORK = multiprocessing.get_context("fork")
HERE = Environment(Machine("6502", "", "mos", 1), "Apple II", "3.11", "", ())


def net(width):
    return Architecture((Op.of("Input", (1, width)), Op.of("Relu", (1, width))), ((0, 1),))


PLAIN = Measurement(
    fingerprint=fingerprint(net(1)),
    name="",
    device="bench",
    runtime="ort",
    threads=1,
    batch=1,
    dtype="float32",
    times_ns=(1,) * 200,
    warmup_ns=(),
    rounds=(200,),
    others=None,
    date="2026-01-01",
    environment=HERE,
)


def write(url, start, count, told=None):
    """Add measurements of ever new networks; tell of each that was acknowledged."""
    with Store(url) as store:
        for n in range(start, start + count):
            network = net(n + 1)
            assert store.add(replace(PLAIN, fingerprint=fingerprint(network), name=str(n)), network)
            if told is not None:
                os.write(told, b".")


def test_killed_at_twenty_random_points_it_opens_clean_and_loses_one_row_at_most(url):
    rng, before, lengths = random.Random(0), 0, []
    for trial in range(20):
        heard, told = os.pipe()
        writer = FORK.Process(target=write, args=(url, trial * 10_000, 10_000, told))
        writer.start()
        os.close(told)
        first = len(os.read(heard, rng.randrange(2, 12))) if trial % 2 else 0  # others may be killed before they write
        time.sleep(rng.uniform(0, 0.1))
        writer.kill()
        writer.join()
        with os.fdopen(heard, "rb") as pipe:
            acknowledged = first + len(pipe.read())
        time.sleep(0.2 if url.startswith("postgresql") else 0)  # the server notices that its client is gone
        with Store(url) as store:
            now = len(store)
            assert acknowledged <= now - before <= acknowledged + 1
            names = {m.name for m in store.find()}
            assert {str(trial * 10_000 + n) for n in range(acknowledged)} <= names
            for m in store.find():
                assert m.times_ns == PLAIN.times_ns
        if url.startswith("sqlite"):
            with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
                assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
                assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        lengths.append(now - before)
        before = now
    assert all(lengths[1::2])  # these were killed while writing, not before
    assert len(set(lengths)) > 2


def test_eight_writers_at_once_lose_nothing(url):
    writers = [FORK.Process(target=write, args=(url, 1000 * i, 25)) for i in range(8)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert [writer.exitcode for writer in writers] == [0] * 8
    with Store(url) as store:
        assert {m.name for m in store.find()} == {str(1000 * i + n) for i in range(8) for n in range(25)}
        assert len(store) == 200
