"""`narformer store`: asking, taking elsewhere, taking in; friendly where there is nothing."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from narformer.measure import Environment, Machine, Measurement
from narformer.network import Architecture, Op, fingerprint
from narformer.store import Store

HERE = Environment(Machine("6502", "", "mos", 1), "Apple II", "3.11", "", ())


def net(width: int) -> Architecture:
    return Architecture((Op.of("Input", (1, width)), Op.of("Relu", (1, width))), ((0, 1),))


PLAIN = Measurement(
    fingerprint=fingerprint(net(3)),
    name="net-3",
    device="bench, float32",
    runtime="ort",
    threads=1,
    batch=1,
    dtype="float32",
    times_ns=tuple(range(7_000_000, 7_009_000, 1_000)),
    warmup_ns=(),
    rounds=(9,),
    others=None,
    date="2026-01-03T10:30:00+00:00",
    environment=HERE,
)


@pytest.fixture
def filled(store: Path) -> list[Measurement]:
    """Twenty-five networks, one a day, on two devices."""
    taken = [
        replace(PLAIN, fingerprint=fingerprint(net(n)), name=f"net-{n}", date=f"2026-01-{n:02}T10:30:00+00:00")
        for n in range(1, 26)
    ]
    taken[0] = replace(taken[0], device="phone, float32", runtime="openvino")
    with Store(f"sqlite:///{store}") as opened:
        for n, measurement in enumerate(taken, 1):
            opened.add(measurement, net(n))
    return taken


def test_query_prints_the_newest_first_and_how_many_there_are(
    run: Callable[..., Any], filled: list[Measurement], store: Path
) -> None:
    text = run("store", "query").stdout
    assert f"20 of 25 measurements, sqlite:///{store}" in text.replace("\n", "")
    names = [line.split()[0] for line in text.splitlines() if line.startswith(" net-")]
    assert names == [f"net-{n}" for n in range(25, 5, -1)]
    assert "bench, 1 thread, batch 1" in text
    row = next(line for line in text.splitlines() if line.startswith(" net-25"))
    assert row.split() == [
        "net-25",
        filled[24].fingerprint[:8],
        "ort",
        "float32",
        "7.004",
        "7.001–7.007",
        "2026-01-25",
        "10:30",
    ]


def test_devices_that_differ_are_a_column(run: Callable[..., Any], filled: list[Measurement]) -> None:
    text = run("store", "query", "--limit", "25").stdout
    row = next(line for line in text.splitlines() if line.startswith(" net-1 "))
    assert "phone" in row
    assert "openvino" in row
    assert "1 thread, batch 1" in text


ENERGY = replace(PLAIN, quantity="energy", unit="mJ", times_ns=tuple(range(12_345, 12_354)))


def keep(store: Path, *measurements: Measurement) -> None:
    with Store(f"sqlite:///{store}") as opened:
        for m in measurements:
            opened.add(m, net(3))


def rows(text: str) -> list[list[str]]:
    """The words of the rows of a table of networks."""
    return [line.split() for line in text.splitlines() if line.startswith(" net-")]


def test_a_latency_on_the_cpu_needs_no_words_about_it(run: Callable[..., Any], filled: list[Measurement]) -> None:
    text = run("store", "query").stdout
    assert not [word for word in ("quantity", "latency", "accelerator", "unit", "CPU") if word in text.split()]


def test_quantities_and_accelerators_that_differ_are_columns(run: Callable[..., Any], store: Path) -> None:
    keep(store, PLAIN, replace(PLAIN, accelerator="TPU"), ENERGY)
    text = run("store", "query").stdout
    assert not [word for word in ("quantity", "accelerator", "median", "2026-01-03") if word not in text.split()]
    words = {tuple([word for word in row if word not in ("ms", "mJ")][4:7]) for row in rows(text)}
    assert words == {("latency,", "CPU", "7.004"), ("latency,", "TPU", "7.004"), ("energy,", "CPU", "12,349")}
    assert {"ms", "mJ"} <= set(text.split())


def test_a_quantity_and_an_accelerator_that_all_share_stand_above(run: Callable[..., Any], store: Path) -> None:
    keep(store, replace(ENERGY, accelerator="TPU"))
    text = run("store", "query").stdout
    assert "energy, bench, TPU, 1 thread, batch 1" in text
    assert "mJ" in text.split()
    assert not [word for word in ("quantity", "accelerator", "ms") if word in text.split()]
    assert rows(text)[0][4:6] == ["12,349", "12,346–12,352"]


def test_json_has_the_quantity_with_its_unit_and_the_accelerator(run: Callable[..., Any], store: Path) -> None:
    keep(store, PLAIN, replace(ENERGY, accelerator="TPU", date="2026-01-04T10:30:00+00:00"))
    energy, latency = json.loads(run("store", "query", "--json").stdout)["measurements"]
    assert [latency[key] for key in ("quantity", "unit", "accelerator", "median_ms")] == ["latency", "ns", "", 7.004]
    assert [energy[key] for key in ("quantity", "unit", "accelerator", "median")] == ["energy", "mJ", "TPU", 12349]
    assert energy["interval"] == [12346, 12352]
    assert not {"median_ms", "interval_ms"} & set(energy)
    assert not {"median", "interval"} & set(latency)


def test_query_as_json_by_prefix_device_and_runtime(run: Callable[..., Any], filled: list[Measurement]) -> None:
    for words in (["--network", filled[0].fingerprint[:20]], ["--device", "phone"], ["--runtime", "openvino"]):
        found = json.loads(run("store", "query", *words, "--json").stdout)
        assert (found["matching"], found["total"]) == (1, 25)
        (m,) = found["measurements"]
        assert (m["name"], m["device"], m["median_ms"]) == ("net-1", "phone, float32", 7.004)
        assert tuple(m["times_ns"]) == filled[0].times_ns


def test_nothing_is_a_friendly_line(run: Callable[..., Any], store: Path) -> None:
    empty = run("store", "query")
    assert (empty.returncode, empty.stderr) == (0, "")
    assert "is empty: `narformer measure` fills it" in empty.stdout
    assert json.loads(run("store", "query", "--json").stdout)["measurements"] == []


def test_nothing_of_a_kind_names_the_devices_there_are(run: Callable[..., Any], filled: list[Measurement]) -> None:
    result = run("store", "query", "--network", "0" * 12)
    assert (result.returncode, result.stderr) == (0, "")
    assert "no measurement of the 25 in" in result.stdout
    assert "bench, float32; phone, float32" in result.stdout.replace("\n", " ")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--device", "phone, float3"], "Did you mean 'phone, float32'"),
        (["--device", "x"], "Known: bench, float32, phone, float32"),
        (["--runtime", "orrt"], "Did you mean 'ort'"),
    ],
)
def test_a_device_or_runtime_that_nothing_was_measured_on_is_one_line(
    wrong: Callable[..., str], filled: list[Measurement], words: list[str], says: str
) -> None:
    assert says in wrong("store", "query", *words)


def test_an_ambiguous_prefix_is_one_line(wrong: Callable[..., str], filled: list[Measurement]) -> None:
    prints = [m.fingerprint for m in filled]
    shared = next(digit for digit in "0123456789abcdef" if sum(p.startswith(digit) for p in prints) > 1)  # 25 > 16
    line = wrong("store", "query", "--network", shared)
    assert "several networks" in line
    assert sum(print_[:16] in line for print_ in prints) >= 2


def test_export_and_import(run: Callable[..., Any], filled: list[Measurement], tmp_path: Path) -> None:
    file, other = tmp_path / "all.jsonl", str(tmp_path / "other.sqlite")
    assert "25 measurements written" in run("store", "export", str(file)).stdout
    assert json.loads(run("store", "import", str(file), "--store", other, "--json").stdout) == {
        "added": 25,
        "duplicates": 0,
        "networks": 25,
    }
    assert "0 measurements added, 25 already stored" in run("store", "import", str(file), "--store", other).stdout
    assert (
        json.loads(run("store", "export", str(tmp_path / "b"), "--store", other, "--json").stdout)["measurements"] == 25
    )
    assert (tmp_path / "b").read_bytes() == file.read_bytes()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["query", "--store", "missing.sqlite"], "no such file"),
        (["query", "--network", "resnt/0"], "Did you mean 'resnet'"),
        (["query", "--network", "missing.onnx"], "no such file"),
        (["query", "--dim", "batch"], "batch=1"),
        (["export", "."], "a folder"),
        (["export", "no/such/folder/file"], "a path that cannot be written"),
        (["export", "n" * 5000], "too long"),
        (["import", "n" * 5000], "too long"),
        (["query", "--network", "n" * 5000], "no such file"),
        (["query", "--store", "n" * 5000], "too long"),
        (["import", "missing.jsonl"], "missing.jsonl"),
        (["import", "text.jsonl"], "in line 1"),
        (["query", "--store", "text.jsonl"], "not a database"),
        (["query", "--store", "postgresql://me:secret@127.0.0.1:1/x"], "me:***@127.0.0.1"),
        (["query", "--store", "postgresql://me:secret@host:port/x"], "not an address"),
        (["query", "--store", "postgresql:/me:secret@host/x"], "not an address"),
        (["query", "--store", "postgresql://127.0.0.1:1/x?password=secret"], "127.0.0.1"),
    ],
)
def test_wrong_words_are_one_line_without_passwords(
    wrong: Callable[..., str], words: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.jsonl").write_text("this is neither a store nor an export of one\n" * 50)
    if "127.0.0.1" in words[-1]:
        pytest.importorskip("psycopg")
    line = wrong("store", *words)
    assert says in line
    assert "secret" not in line


def test_hostile_names_stay_text(run: Callable[..., Any], store: Path) -> None:
    m = replace(PLAIN, name="[bold red]x[/] :bug: [/nope]", device="[link=x]d")
    with Store(f"sqlite:///{store}") as opened:
        opened.add(m, net(3))
    text = run("store", "query").stdout
    assert "[link=x]d" in text
    assert "[bold red]x[/] :bug: [/nope]" in text
