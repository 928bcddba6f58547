"""The store of measurements: SQLite by default, PostgreSQL by its URL, one code for both.

SQLite runs in WAL mode: readers never wait, writers wait for each other, and a killed writer leaves at most the row
that it was writing.
"""

import json
import re
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    RowMapping,
    Select,
    Table,
    create_engine,
    event,
    func,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError

from narformer.errors import BadFile, needs
from narformer.measure import Machine, Measurement
from narformer.measure.environment import mixed
from narformer.network import Architecture, fingerprint
from narformer.network.canonical import FORM
from narformer.store import exchange
from narformer.store.exchange import ImportSummary
from narformer.store.records import (
    architecture_of,
    architecture_text,
    digest,
    measurement_digest,
    measurement_of,
    measurement_record,
    written,
)
from narformer.store.schema import DEVICES, ENVIRONMENTS, MEASUREMENTS, NETWORKS, migrate

__all__ = ["ImportSummary", "Store"]

PATIENCE_S = 30.0  # time that a writer waits for others
SECRETS = ("password", "sslpassword", "passfile", "sslkey")  # of an address, in addition to the one before the @
LISTS = ("times_ns", "warmup_ns", "rounds")


class Store:
    """Measurements and their networks, at ``sqlite:///path`` or ``postgresql://...``; created if it does not exist.

    Raises BadFile for another kind of file or a newer store, MissingExtra without the driver of PostgreSQL.
    """

    def __init__(self, url: str) -> None:
        self.place, self._engine = _engine(url)  # the place without a password, for people
        self._writing = self._engine.execution_options(writes=True)
        try:
            while self._migrated():
                pass
        except DBAPIError as error:
            self.close()
            raise _broken(self.place, error) from None

    def add(self, measurement: Measurement, architecture: Architecture) -> bool:
        """Keep a measurement and its network; False where the store already holds it.

        Raises ValueError where the network is not the one measured or a field cannot be kept, MixedMachines where the
        device is another machine.
        """
        if fingerprint(architecture) != measurement.fingerprint:
            raise ValueError(f"found a measurement of {measurement.fingerprint[:12]}…, not the network that is given")
        with self._open(writes=True) as connection:
            _add_network(connection, measurement.fingerprint, architecture)
            return _add(connection, measurement)

    def find(
        self,
        fingerprint: str | None = None,
        device: str | None = None,
        runtime: str | None = None,
        quantity: str | None = None,
    ) -> list[Measurement]:
        """Measurements of a network, device, runtime and quantity (None matches all), oldest first."""
        conditions = _conditions(fingerprint, None if device is None else [device], runtime, quantity)
        query = _in_order().where(*conditions)
        with self._open() as connection:
            return [_measurement(row) for row in connection.execute(query).mappings()]

    def newest(
        self,
        limit: int,
        fingerprint: str | None = None,
        devices: Sequence[str] | None = None,
        runtime: str | None = None,
    ) -> tuple[list[Measurement], int]:
        """The newest measurements of a network, these devices, a runtime: ``limit`` at most; and how many match."""
        conditions = _conditions(fingerprint, devices, runtime)
        query = _in_order(newest=True).where(*conditions).limit(limit)
        with self._open() as connection:
            found = [_measurement(row) for row in connection.execute(query).mappings()]
            count = connection.scalar(select(func.count()).select_from(MEASUREMENTS).where(*conditions)) or 0
        return found, count

    def fingerprints(self, prefix: str, limit: int) -> tuple[str, ...]:
        """Fingerprints of networks that begin with ``prefix``, sorted: the first ``limit`` of them."""
        query = select(NETWORKS.c.fingerprint).where(NETWORKS.c.fingerprint.startswith(prefix, autoescape=True))
        with self._open() as connection:
            return tuple(connection.scalars(query.order_by(NETWORKS.c.fingerprint).limit(limit)))

    def machine(self, device: str) -> Machine | None:
        """The machine that a device's name stands for; None where the name is not in the store."""
        with self._open() as connection:
            text = connection.scalar(select(DEVICES.c.machine).where(DEVICES.c.name == device))
        return None if text is None else _machine(text)

    def architecture(self, fingerprint: str) -> Architecture | None:
        """The network with this fingerprint, in canonical form; None where it is not in the store."""
        with self._open() as connection:
            text = connection.scalar(select(NETWORKS.c.architecture).where(NETWORKS.c.fingerprint == fingerprint))
        return None if text is None else architecture_of(text)

    def architectures(self) -> Iterator[Architecture]:
        """All networks, in canonical form, with a name that each was measured under; in the order of fingerprints."""
        named = select(MEASUREMENTS.c.fingerprint, func.min(MEASUREMENTS.c.name)).group_by(MEASUREMENTS.c.fingerprint)
        with self._open() as connection:
            rows = connection.execute(select(NETWORKS).order_by(NETWORKS.c.fingerprint)).mappings().all()
            names = {row[0]: row[1] for row in connection.execute(named)}
        for row in rows:
            yield replace(architecture_of(row["architecture"]), name=names.get(row["fingerprint"], ""))

    def devices(self) -> tuple[str, ...]:
        """Names of all devices, sorted."""
        with self._open() as connection:
            return tuple(sorted(connection.scalars(select(DEVICES.c.name))))

    def __len__(self) -> int:
        with self._open() as connection:
            return connection.scalar(select(func.count()).select_from(MEASUREMENTS)) or 0

    def export(self, path: Path) -> int:
        """Write everything as JSON lines, the whole file or nothing; returns the number of measurements.

        Stores with the same content give identical files. Networks of an older canonical form are written in today's.
        """
        with self._open() as connection:
            rows = connection.execute(select(NETWORKS)).mappings().all()
            records = [measurement_record(_measurement(row)) for row in connection.execute(_in_order()).mappings()]
        forms = {row["fingerprint"]: _in_todays_form(row) for row in rows}
        records = [{**record, "fingerprint": forms[record["fingerprint"]][0]} for record in records]
        exchange.write(path, sorted(set(forms.values())), records)
        return len(records)

    def import_(self, path: Path) -> ImportSummary:
        """Add an export of another store, all of it or, on any error, nothing; duplicates are counted.

        Fingerprints of another canonical form are computed again from the networks.

        Raises BadFile where the file is damaged or inconsistent, MixedMachines where a device is another machine here.
        """
        networks, measurements = exchange.read(path)
        with self._open(writes=True) as connection:
            fresh = sum(_add_network(connection, print_, network) for print_, network in networks.items())
            added = sum(_add(connection, measurement) for measurement in measurements)
        return ImportSummary(added, len(measurements) - added, fresh)

    def close(self) -> None:
        """Close the connections; the store must not be used afterwards."""
        self._engine.dispose()

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _migrated(self) -> bool:
        with self._writing.begin() as connection:
            return migrate(connection, self.place)

    @contextmanager
    def _open(self, writes: bool = False) -> Iterator[Connection]:
        """A transaction. Raises BadFile where the database fails: a full disk, a missing server."""
        try:
            with (self._writing if writes else self._engine).begin() as connection:
                yield connection
        except OperationalError as error:
            raise _broken(self.place, error) from None


def _engine(url: str) -> tuple[str, Engine]:
    """The place as text, without a password, and its engine."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        place = re.sub(r":.*@", ":***@", url, flags=re.DOTALL)
        raise BadFile(
            place, "a text that is not an address of a database", "sqlite:///path or postgresql://user@host/name"
        ) from None
    place = parsed.difference_update_query(SECRETS).render_as_string(hide_password=True)
    if parsed.get_backend_name() == "postgresql":
        needs("psycopg", "postgres")
        return place, create_engine(parsed.set(drivername="postgresql+psycopg"))
    if parsed.get_backend_name() != "sqlite" or not parsed.database:
        raise BadFile(place, f"'{parsed.drivername}'", "sqlite:///path or postgresql://user@host/name")
    engine = create_engine(parsed, connect_args={"timeout": PATIENCE_S})
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return place, engine


def _prepare_sqlite(connection: sqlite3.Connection, _: object) -> None:
    """WAL, foreign keys, and explicit transactions (the driver would leave CREATE TABLE outside)."""
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout = {int(PATIENCE_S * 1000)}")
    connection.execute("PRAGMA foreign_keys = ON")
    patience = time.monotonic() + PATIENCE_S
    # Switching to WAL needs exclusive access to the file, and does not wait for it by itself.
    while connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > patience:
                raise
            time.sleep(0.01)


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that reads before it writes would fail, not wait, if another wrote in between.
    writes = connection.get_execution_options().get("writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _broken(place: str, error: DBAPIError) -> BadFile:
    reason = " ".join(str(error.orig).split())
    return BadFile(place, f"an error ({reason})", "a store of measurements")


def _conditions(
    fingerprint: str | None, devices: Sequence[str] | None, runtime: str | None, quantity: str | None = None
) -> list[ColumnElement[bool]]:
    columns = MEASUREMENTS.c
    conditions: list[ColumnElement[bool]] = []
    if devices is not None:
        conditions.append(columns.device.in_(devices))
    if fingerprint is not None:
        conditions.append(columns.fingerprint == fingerprint)
    if runtime is not None:
        conditions.append(columns.runtime == runtime)
    if quantity is not None:
        conditions.append(columns.quantity == quantity)
    return conditions


def _in_order(newest: bool = False) -> Select[Any]:
    everything = select(MEASUREMENTS, ENVIRONMENTS.c.record)
    joined = everything.join(ENVIRONMENTS, MEASUREMENTS.c.environment == ENVIRONMENTS.c.digest)
    order = (MEASUREMENTS.c.date, MEASUREMENTS.c.digest)
    return joined.order_by(*(column.desc() for column in order) if newest else order)


def _measurement(row: RowMapping) -> Measurement:
    values = {key: json.loads(row[key]) if key in LISTS else row[key] for key in row if key not in ("digest", "record")}
    return measurement_of({**values, "environment": json.loads(row["record"])})


def _in_todays_form(row: RowMapping) -> tuple[str, str]:
    """Fingerprint and JSON text of a network."""
    if row["form"] == FORM:
        return row["fingerprint"], row["architecture"]
    network = architecture_of(row["architecture"])
    return fingerprint(network), architecture_text(network)


def _machine(text: str) -> Machine:
    values = json.loads(text)
    return Machine(**{**values, "instructions": tuple(values["instructions"])})


def _add_row(connection: Connection, table: Table, **values: object) -> bool:
    """Add a row; False where its key exists."""
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    added = insert(table).values(**values).on_conflict_do_nothing().returning(*table.primary_key)
    return connection.execute(added).first() is not None


def _add_network(connection: Connection, fingerprint: str, architecture: Architecture) -> bool:
    if connection.scalar(select(NETWORKS.c.form).where(NETWORKS.c.fingerprint == fingerprint)) is not None:
        return False
    text = architecture_text(architecture)
    return _add_row(connection, NETWORKS, fingerprint=fingerprint, form=FORM, architecture=text)


def _add(connection: Connection, measurement: Measurement) -> bool:
    record = measurement_record(measurement_of(measurement_record(measurement)))  # refuses what cannot be read back
    machine = written(record["environment"]["machine"])
    if not _add_row(connection, DEVICES, name=measurement.device, machine=machine):
        known = connection.scalar(select(DEVICES.c.machine).where(DEVICES.c.name == measurement.device)) or ""
        if known != machine:
            raise mixed(measurement.device, _machine(known), measurement.environment.machine)
    environment = written(record["environment"])
    _add_row(connection, ENVIRONMENTS, digest=digest(environment), record=environment)
    columns = {key: written(value) if key in LISTS else value for key, value in record.items()}
    columns["environment"] = digest(environment)
    return _add_row(connection, MEASUREMENTS, digest=measurement_digest(record), **columns)
