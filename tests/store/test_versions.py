"""A store of version 1 and its export: kept as they are by this version, migrated whole or not at all."""

import json
import multiprocessing
import os
import shutil
import signal
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from narformer.errors import BadFile
from narformer.measure import Measurement
from narformer.store import ImportSummary, Store, schema
from narformer.store import store as store_module
from narformer.store.records import SINCE, digest, measurement_digest, measurement_of, measurement_record, written

FORK = multiprocessing.get_context("fork")
HERE = Path(__file__).parent
STORE, EXPORT = HERE / "version_1.sqlite", HERE / "version_1.jsonl"
TABLES = ("devices", "environments", "networks", "measurements")  # each after those that it refers to


def old_rows(table):
    """The rows of the store of version 1, by its first column."""
    connection = sqlite3.connect(f"file:{STORE}?mode=ro&immutable=1", uri=True)
    try:
        return connection.execute(f"SELECT * FROM {table} ORDER BY 1").fetchall()
    finally:
        connection.close()


def rows(url, table):
    """The rows of a table, by its first column, in a store that is not opened as one, so not migrated."""
    _, engine = store_module._engine(url)
    try:
        with engine.begin() as connection:
            return sorted((tuple(row) for row in connection.exec_driver_sql(f"SELECT * FROM {table}")), key=first)
    finally:
        engine.dispose()


def first(row):
    return row[0]


@pytest.fixture
def old(url, monkeypatch):
    """Address of a store of version 1: the file itself, or its rows in the tables of version 1 in PostgreSQL."""
    if url.startswith("sqlite"):
        shutil.copy(STORE, url.removeprefix("sqlite:///"))
        return url
    with monkeypatch.context() as patch:
        patch.setattr(schema, "MIGRATIONS", schema.MIGRATIONS[:1])
        with Store(url) as store, store._writing.begin() as connection:
            for table in TABLES:
                for row in old_rows(table):
                    connection.exec_driver_sql(f"INSERT INTO {table} VALUES ({', '.join(['%s'] * len(row))})", row)
    return url


def test_the_old_file_is_of_version_1():
    assert old_rows("schema_versions") == [(1,)]
    assert [len(old_rows(table)) for table in TABLES] == [2, 1, 2, 3]
    assert json.loads(EXPORT.read_text(encoding="utf-8").splitlines()[0])["format"] == 1
    assert STORE.stat().st_size < 60_000


def test_every_row_of_an_old_store_is_kept_as_it_was(old):
    with Store(old) as store:
        found = store.find()
    assert [(m.quantity, m.unit, m.accelerator) for m in found] == [("latency", "ns", "")] * 3
    for table in TABLES:
        before = old_rows(table)
        assert [row[: len(before[0])] for row in rows(old, table)] == before
    assert rows(old, "schema_versions") == [(1,), (2,)]
    assert {row[-3:] for row in rows(old, "measurements")} == {("latency", "ns", "")}


def test_digests_of_old_rows_are_those_of_this_version(old):
    with Store(old) as store:
        digests = sorted(measurement_digest(measurement_record(m)) for m in store.find())
    assert digests == [row[0] for row in old_rows("measurements")]


def test_duplicates_are_recognised_across_versions(old, tmp_path):
    known = ImportSummary(added=0, duplicates=3, networks=0)
    with Store(old) as store:
        before = store.find()
        assert store.import_(EXPORT) == known
        assert not any(store.add(m, store.architecture(m.fingerprint)) for m in before)
        assert store.find() == before
        store.export(tmp_path / "new.jsonl")
        assert store.import_(tmp_path / "new.jsonl") == known
    with Store(f"sqlite:///{tmp_path}/other.sqlite") as other:
        assert other.import_(EXPORT) == ImportSummary(added=3, duplicates=0, networks=2)
        assert other.import_(tmp_path / "new.jsonl") == known
        assert other.find() == before


def test_measurements_that_differ_in_the_new_fields_alone_are_different(old):
    with Store(old) as store:
        plain = store.find()[0]
        others = [replace(plain, quantity="energy", unit=unit) for unit in ("mJ", "ns")]
        others.append(replace(plain, accelerator="a chip"))
        for m in others:
            assert store.add(m, store.architecture(m.fingerprint))
            assert not store.add(m, store.architecture(m.fingerprint))
        assert len(store) == 6
        assert all(m in store.find() for m in others)
        assert {m.unit for m in store.find(quantity="energy")} == {"mJ", "ns"}
        assert len(store.find(quantity="latency")) == 4


def test_rows_are_never_changed_after_a_migration(old):
    with Store(old) as store:
        for words in ("DELETE FROM measurements", "UPDATE measurements SET quantity = 'energy'"):
            with pytest.raises(Exception, match="added, never changed"), store._writing.begin() as connection:
                connection.exec_driver_sql(words)
        assert len(store.find(quantity="latency")) == 3


def test_a_program_of_version_1_that_is_still_running_adds_rows_as_before(old):
    """It states no columns but its own; the others take the values that every old row has."""
    own = "digest, fingerprint, name, device, runtime, threads, batch, dtype, times_ns, warmup_ns, rounds, others, date"
    with Store(old) as store:
        plain = store.find()[0]
        late = replace(plain, date="2026-02-01T00:00:00+00:00")
        text = written({key: value for key, value in measurement_record(late).items() if key not in SINCE})
        chosen = own.replace("digest", f"'{digest(text)}'").replace(" date", f" '{late.date}'")
        copied = f"SELECT {chosen}, environment FROM measurements WHERE date = '{plain.date}'"
        with store._writing.begin() as connection:
            connection.exec_driver_sql(f"INSERT INTO measurements ({own}, environment) {copied}")
        assert store.find()[-1] == late
        assert not store.add(late, store.architecture(late.fingerprint))


def migrate_and_die(url, after):
    """Open a store, and be killed when ``after`` statements of its second migration are done."""

    def dying():
        yield from schema.SECOND[:after]
        os.kill(os.getpid(), signal.SIGKILL)

    schema.MIGRATIONS = (schema.MIGRATIONS[0], dict.fromkeys(schema.FIRST_OF, dying()))
    Store(url)


@pytest.mark.parametrize("after", range(len(schema.SECOND) + 1))
def test_a_program_killed_in_the_middle_of_a_migration_leaves_version_1(old, after):
    process = FORK.Process(target=migrate_and_die, args=(old, after))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    assert rows(old, "schema_versions") == [(1,)]
    assert rows(old, "measurements") == old_rows("measurements")
    with Store(old) as store:
        assert len(store.find()) == 3
        assert store.import_(EXPORT).duplicates == 3
    assert rows(old, "schema_versions") == [(1,), (2,)]


def open_and_count(url):
    with Store(url) as store:
        assert len(store.find()) == 3


def test_programs_that_open_an_old_store_at_once_migrate_it_once(old):
    processes = [FORK.Process(target=open_and_count, args=(old,)) for _ in range(6)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * 6
    assert rows(old, "schema_versions") == [(1,), (2,)]


def test_a_digest_leaves_out_the_new_fields_at_their_old_values_only():
    record = {"name": "net", **SINCE}
    assert measurement_digest(record) == digest(written({"name": "net"}))
    changed = [measurement_digest(record | {key: "other"}) for key in SINCE]
    assert len({measurement_digest(record), *changed}) == 1 + len(SINCE)
    assert {key: Measurement.__dataclass_fields__[key].default for key in SINCE} == SINCE


@pytest.mark.parametrize(
    ("line", "change", "says"),
    [
        (-1, {"quantity": "energy"}, 'in line 6 a measurement with the unknown field "quantity"'),
        (0, {"format": 2}, 'in line 4 a measurement without the field "quantity"'),
        (0, {"format": 3}, "in line 1 a format other than 1 and 2, which"),
        (0, {"format": []}, "in line 1 a format other than 1 and 2, which"),
        (0, {"format": True}, "in line 1 true as format"),
    ],
)
def test_a_format_has_its_own_fields_and_no_others(tmp_path, line, change, says):
    lines = [json.loads(text) for text in EXPORT.read_text(encoding="utf-8").splitlines()]
    lines[line] |= change
    (tmp_path / "bad.jsonl").write_text("".join(json.dumps(value) + "\n" for value in lines))
    with Store(f"sqlite:///{tmp_path}/other.sqlite") as other:
        with pytest.raises(BadFile, match=says):
            other.import_(tmp_path / "bad.jsonl")
        assert len(other) == 0


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"quantity": ""}, '"" as quantity of a measurement, where its name belongs'),
        ({"quantity": 7}, "7 as quantity of a measurement, where a printable text belongs"),
        ({"unit": "ms"}, '"ms" as unit of a latency, where "ns" belongs'),
        ({"accelerator": None}, "null as accelerator of a measurement"),
        ({"accelerator": "a\nb"}, "as accelerator of a measurement, where a printable text belongs"),
    ],
)
def test_new_fields_are_checked(tmp_path, change, says):
    with Store(f"sqlite:///{tmp_path}/store.sqlite") as store:
        store.import_(EXPORT)
        record = measurement_record(store.find()[0])
    with pytest.raises(ValueError, match=says):
        measurement_of(record | change)
