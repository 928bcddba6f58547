"""Asking the store: by network, device and runtime, the newest first."""

from pathlib import Path

import pytest

from narformer import jobs
from narformer.errors import BadFile, UnknownName
from narformer.network import fingerprint
from narformer.spaces.families import FAMILIES

CELLS = [f"nasbench201/{number}" for number in (1462, 7, 8)]
PRINTS = [fingerprint(FAMILIES["nasbench201"].variant(number)) for number in (1462, 7, 8)]


@pytest.fixture
def filled(quick: list[str]) -> None:
    """Three networks on "board", the first of them on "phone" too."""
    list(jobs.measure(CELLS, ["quick"], plan=jobs.Plan(repeats=1), device="board"))
    list(jobs.measure(CELLS[:1], ["quick"], plan=jobs.Plan(repeats=2), device="phone, red"))


@pytest.mark.usefixtures("filled")
def test_a_network_is_found_by_fingerprint_prefix_and_by_what_it_is() -> None:
    for network in (CELLS[0], PRINTS[0], PRINTS[0][:9]):
        found = jobs.query(network)
        assert ({m.name for m in found.measurements}, found.matching, found.total) == ({CELLS[0]}, 2, 4)
    assert jobs.query("nasbench201/9").matching == 0
    assert jobs.query("0" * 64).matching == 0


@pytest.mark.usefixtures("filled")
def test_a_prefix_of_several_networks_lists_them() -> None:
    list(jobs.measure([f"nasbench201/{number}" for number in range(10, 27)], ["quick"], plan=jobs.Plan(repeats=1)))
    prints = {m.fingerprint for m in jobs.query(limit=100).measurements}
    shared = next(digit for digit in "0123456789abcdef" if sum(p.startswith(digit) for p in prints) > 1)  # 17 > 16
    with pytest.raises(UnknownName, match=f"'{shared}' begins the fingerprints of several networks") as error:
        jobs.query(shared)
    assert sum(print_[:16] in str(error.value) for print_ in prints) >= 2


@pytest.mark.usefixtures("filled")
def test_device_runtime_and_limit() -> None:
    assert jobs.query(device="board").matching == jobs.query(device="board, float32").matching == 3
    assert jobs.query(device="phone").matching == jobs.query(device="phone, red").matching == 1
    with pytest.raises(UnknownName, match="Did you mean 'board, float32'"):
        jobs.query(device="board, float3")
    with pytest.raises(UnknownName, match="Did you mean 'ort'"):
        jobs.query(runtime="orrt")
    assert jobs.query(runtime="quick").matching == 4
    assert jobs.query(runtime="ort").matching == 0
    assert jobs.query().devices == ("board, float32", "phone, red, float32")
    newest = jobs.query(limit=2)
    assert (len(newest.measurements), newest.matching) == (2, 4)
    dates = [m.date for m in jobs.query().measurements]
    assert dates == sorted(dates, reverse=True)


@pytest.mark.usefixtures("filled")
def test_a_store_goes_elsewhere_and_back(tmp_path: Path) -> None:
    assert jobs.export_store(tmp_path / "all.jsonl") == 4
    other = str(tmp_path / "other #1?.sqlite")
    done = jobs.import_store(tmp_path / "all.jsonl", other)
    assert (done.added, done.duplicates, done.networks) == (4, 0, 3)
    assert jobs.query(store=other).measurements == jobs.query().measurements
    assert jobs.import_store(tmp_path / "all.jsonl").duplicates == 4


def test_an_empty_store_answers_and_a_missing_one_does_not(tmp_path: Path) -> None:
    assert jobs.query().total == 0
    missing = str(tmp_path / "missing.sqlite")
    for ask in (lambda: jobs.query(store=missing), lambda: jobs.export_store(tmp_path / "x", missing)):
        with pytest.raises(BadFile, match="no such file"):
            ask()
    assert not Path(missing).exists()
    for place in (tmp_path, tmp_path / "no" / "folder"):
        with pytest.raises(BadFile):
            jobs.export_store(place)
