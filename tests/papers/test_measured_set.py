"""The harness of the measured set: what counts, what is loaded together, and that the datasheet is of the file."""

from collections import Counter
from pathlib import Path

import pytest

from narformer.data.ten_families import packaged, read_measured
from narformer.spaces.families import FAMILIES, TEN, variants

DATASHEET = Path(__file__).resolve().parents[2] / "docs" / "ten_families.md"


@pytest.fixture(scope="module")
def measured_set(benchmark_called):
    return benchmark_called("measured_set")


@pytest.fixture(scope="module")
def tasks(measured_set):
    return measured_set.plan({name: variants(FAMILIES[name], 20) for name in ("nasbench201", "mobilenetv3")})


def test_every_tenth_network_is_measured_twice_and_later(tasks):
    counted = Counter((task.name, task.runtime) for task in tasks)
    assert Counter(counted.values()) == {1: 72, 2: 8}
    first = {(t.name, t.runtime): i for i, t in enumerate(tasks) if not t.again}
    assert all(first[t.name, t.runtime] < i for i, t in enumerate(tasks) if t.again)


def test_a_group_is_of_one_runtime_and_holds_a_network_once(measured_set, tasks, monkeypatch):
    monkeypatch.setattr(measured_set, "GROUP", 7)
    groups = list(measured_set.groups(tasks))
    assert sorted(task for group in groups for task in group) == sorted(tasks)
    for group in groups:
        assert len({task.runtime for task in group}) == 1
        assert len({task.name for task in group}) == len(group) <= 7


def test_a_group_is_no_larger_than_memory(measured_set, tasks, monkeypatch):
    monkeypatch.setattr(measured_set, "GROUP_BYTES", 1)
    assert [len(group) for group in measured_set.groups(tasks)] == [1] * len(tasks)


@pytest.mark.skipif(packaged() is None, reason="the set has not been measured")
class TestShipped:
    """The file that ships, by the harness that wrote it."""

    def test_what_was_not_measured_alone_is_not_in_it(self, measured_set):
        every = read_measured(packaged()).of_networks
        assert all(measured_set.counts(m) for m in every)
        assert max(m.others for m in every if m.others is not None) <= 0.2

    def test_the_datasheet_tells_what_it_holds(self, measured_set):
        measured = read_measured(packaged())
        text = DATASHEET.read_text(encoding="utf-8")
        assert f"{len(measured.names):,} networks, {len(measured.of_networks):,} measurements" in text
        for runtime in measured.runtimes:
            for family in TEN:
                twice, mean, middle = measured_set.floor(measured, runtime, measured.family_M == family)
                row = next(line for line in text.splitlines() if line.startswith(f"| {family} | {runtime} |"))
                assert f"| {twice} |" in row
                assert f"| {mean:.2f} ({middle:.2f}) |" in row
