"""A file of profiles is read back as it was written; everything else is one line that says what is wrong."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from narformer.errors import BadFile
from narformer.measure import Environment, Machine, Measurement, Profile, ProfiledNode
from narformer.store import profiles
from narformer.store.profiles import read_profiles, write_profiles

HERE = Environment(Machine("6502", "", "mos", 1), "Apple II", "3.11", "", (("onnxruntime", "1"),))
MEASURED = Measurement(
    fingerprint="ab" * 32,
    name="net",
    device="board, float32",
    runtime="ort",
    threads=1,
    batch=1,
    dtype="float32",
    times_ns=(1000, 3000),
    warmup_ns=(),
    rounds=(2,),
    others=None,
    date="2026-01-01T00:00:00+00:00",
    environment=HERE,
)
PROFILE = Profile(
    measurement=MEASURED,
    operations=("x", "conv", "relu"),
    runs=3,
    plain_ns=2000.0,
    overhead_ns=500.0,
    nodes=(ProfiledNode("relu_nchwc", "own.Conv", 1500.5, (1, 2)), ProfiledNode("out", "own.ReorderOutput", 0.0, ())),
)


def test_profiles_come_back(tmp_path: Path) -> None:
    other = replace(PROFILE, measurement=replace(MEASURED, name="other"), nodes=())
    write_profiles(tmp_path / "p.json", [PROFILE, other])
    assert read_profiles(tmp_path / "p.json") == (PROFILE, other)
    write_profiles(tmp_path / "p.json", [other])
    assert read_profiles(tmp_path / "p.json") == (other,)
    assert [path.name for path in tmp_path.iterdir()] == ["p.json"]


def record() -> dict[str, Any]:
    return json.loads(json.dumps(profiles.profile_record(PROFILE)))


def wrong(path: Path, change: Any) -> str:
    """The error for a file whose only profile was changed."""
    changed = record()
    change(changed)
    path.write_text(json.dumps({"format": 1, "profiles": [changed]}))
    with pytest.raises(BadFile) as error:
        read_profiles(path)
    assert str(error.value).isprintable()
    assert "Measure again" in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda r: r.update(extra=1), 'a profile with the unknown field "extra"'),
        (lambda r: r.pop("runs"), 'without the field "runs"'),
        (lambda r: r.update(runs=0), "runs of a profile not within 1"),
        (lambda r: r.update(runs=True), "true as runs"),
        (lambda r: r.update(overhead_ns=-1), "a time that is not within 0"),
        (lambda r: r.update(plain_ns=-1), "a time that is not within 0"),
        (lambda r: r.update(plain_ns=None), "null as plain_ns"),
        (lambda r: r.update(overhead_ns=float("nan")), "a time that is not within 0"),
        (lambda r: r.update(operations=["x", 1, "y"]), "where a list of printable texts belongs"),
        (lambda r: r.update(operations=["x", "\x1b[2J", "y"]), "where a list of printable texts belongs"),
        (lambda r: r["nodes"][0].update(time_ns="1"), '"1" as time_ns'),
        (lambda r: r["nodes"][0].update(time_ns=1e300), "a time that is not within 0"),
        (lambda r: r["nodes"][0].update(time_ns=10**400), "a time that is not within 0"),
        (lambda r: r["nodes"][0].update(covers=[1, 3]), "where numbers of operations belong"),
        (lambda r: r["nodes"][0].update(covers=[-1]), "where numbers of operations belong"),
        (lambda r: r["nodes"][0].update(covers=[1, 1]), "where numbers of operations belong"),
        (lambda r: r["nodes"][0].update(covers=[0.5]), "where a list of whole numbers belongs"),
        (lambda r: r["nodes"][0].update(name="a\nb"), "where a printable text belongs"),
        (lambda r: r["nodes"].append(7), "7 where a node of a profile belongs"),
        (lambda r: r["measurement"].update(rounds=[3]), "rounds [3] of 2 times"),
        (lambda r: r["measurement"].update(times_ns=[]), "rounds [2] of 0 times"),
    ],
)
def test_a_wrong_profile_is_one_line(tmp_path: Path, change: Any, says: str) -> None:
    assert says in wrong(tmp_path / "p.json", change)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "text that is not JSON"),
        ("[" * 100_000, "text that is not JSON"),
        ("\xff", "text that is not JSON"),
        ("[]", "[] where a file of profiles belongs"),
        ('{"format": 2, "profiles": []}', "a format other than 1"),
        ('{"profiles": []}', 'without the field "format"'),
        ('{"format": 1, "profiles": {}}', "{} as profiles"),
    ],
)
def test_another_file_is_one_line(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "p.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(BadFile) as error:
        read_profiles(path)
    assert says in str(error.value)


def test_what_is_no_file_or_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, says in (("pipe", "not a regular file"), (".", "directory"), ("none", "no such file")):
        with pytest.raises(BadFile, match=says):
            read_profiles(tmp_path / name)
    write_profiles(tmp_path / "p.json", [PROFILE])
    monkeypatch.setattr(profiles, "MOST_BYTES", (tmp_path / "p.json").stat().st_size)
    assert read_profiles(tmp_path / "p.json") == (PROFILE,)
    monkeypatch.setattr(profiles, "MOST_BYTES", profiles.MOST_BYTES - 1)
    with pytest.raises(BadFile, match="more than"):
        read_profiles(tmp_path / "p.json")


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "no" / "p.json"):
        with pytest.raises(BadFile):
            write_profiles(path, [PROFILE])
