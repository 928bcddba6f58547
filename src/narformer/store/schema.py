"""The tables of the store, and the migrations that make them: in order, each in one transaction with its record."""

from collections.abc import Sequence

from sqlalchemy import Column, Connection, Double, Integer, MetaData, Table, Text, insert, select, text

from narformer.errors import BadFile

__all__ = ["DEVICES", "ENVIRONMENTS", "MEASUREMENTS", "MIGRATIONS", "NETWORKS", "migrate"]

TABLES = MetaData()

VERSIONS = Table("schema_versions", TABLES, Column("version", Integer, primary_key=True))

# machine: JSON of the Machine that the name stands for permanently
DEVICES = Table("devices", TABLES, Column("name", Text, primary_key=True), Column("machine", Text))

# digest: SHA-256 of the record, a JSON text
ENVIRONMENTS = Table("environments", TABLES, Column("digest", Text, primary_key=True), Column("record", Text))

# form: number of the canonical form of the fingerprint; architecture: JSON of the network in that form
NETWORKS = Table(
    "networks",
    TABLES,
    Column("fingerprint", Text, primary_key=True),
    Column("form", Integer),
    Column("architecture", Text),
)

# digest: of the whole measurement, by records.measurement_digest; the times are JSON lists, as they were read
MEASUREMENTS = Table(
    "measurements",
    TABLES,
    Column("digest", Text, primary_key=True),
    Column("fingerprint", Text),
    Column("name", Text),
    Column("device", Text),
    Column("runtime", Text),
    Column("threads", Integer),
    Column("batch", Integer),
    Column("dtype", Text),
    Column("times_ns", Text),
    Column("warmup_ns", Text),
    Column("rounds", Text),
    Column("others", Double),
    Column("date", Text),
    Column("environment", Text),
    Column("quantity", Text),
    Column("unit", Text),
    Column("accelerator", Text),
)

FIRST = (
    "CREATE TABLE devices (name TEXT PRIMARY KEY, machine TEXT NOT NULL)",
    "CREATE TABLE environments (digest TEXT PRIMARY KEY, record TEXT NOT NULL)",
    "CREATE TABLE networks (fingerprint TEXT PRIMARY KEY, form INTEGER NOT NULL, architecture TEXT NOT NULL)",
    """CREATE TABLE measurements (
        digest TEXT PRIMARY KEY,
        fingerprint TEXT NOT NULL REFERENCES networks (fingerprint),
        name TEXT NOT NULL,
        device TEXT NOT NULL REFERENCES devices (name),
        runtime TEXT NOT NULL,
        threads INTEGER NOT NULL,
        batch INTEGER NOT NULL,
        dtype TEXT NOT NULL,
        times_ns TEXT NOT NULL,
        warmup_ns TEXT NOT NULL,
        rounds TEXT NOT NULL,
        others DOUBLE PRECISION,
        date TEXT NOT NULL,
        environment TEXT NOT NULL REFERENCES environments (digest)
    )""",
    "CREATE INDEX measurements_of_a_network ON measurements (fingerprint, device, runtime)",
)
KEPT = ("devices", "environments", "networks", "measurements")
REFUSAL = "rows are added, never changed"

# The rest of the first migration, for each database: changes of rows are refused.
FIRST_OF = {
    "sqlite": tuple(
        f"CREATE TRIGGER no_{verb.lower()}_of_{table} BEFORE {verb} ON {table} "
        f"BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END"
        for table in KEPT
        for verb in ("UPDATE", "DELETE")
    ),
    "postgresql": (
        "CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{REFUSAL}'; END $$",
        *(
            f"CREATE TRIGGER no_change_of_{table} BEFORE UPDATE OR DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION refuse_change()"
            for table in KEPT
        ),
    ),
}

# Every measurement of version 1 is a latency in nanoseconds, taken on a CPU.
SECOND = (
    "ALTER TABLE measurements ADD COLUMN quantity TEXT NOT NULL DEFAULT 'latency'",
    "ALTER TABLE measurements ADD COLUMN unit TEXT NOT NULL DEFAULT 'ns'",
    "ALTER TABLE measurements ADD COLUMN accelerator TEXT NOT NULL DEFAULT ''",
)

# A migration that has been released is never edited: the next one is added below it. Per database: its statements.
MIGRATIONS: tuple[dict[str, Sequence[str]], ...] = (
    {name: FIRST + more for name, more in FIRST_OF.items()},
    dict.fromkeys(FIRST_OF, SECOND),
)


def migrate(connection: Connection, place: str) -> bool:
    """Apply the next migration inside the transaction of ``connection``; False where all are applied.

    Raises BadFile where the store is of a newer version than this program, or holds other tables.
    """
    database = connection.dialect.name
    if database == "postgresql":  # SQLite's transactions for writing exclude each other anyway
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": 0x6E6172})
    connection.execute(text("CREATE TABLE IF NOT EXISTS schema_versions (version INTEGER PRIMARY KEY)"))
    version = max(connection.scalars(select(VERSIONS.c.version)), default=0)
    if version > len(MIGRATIONS):
        raise BadFile(place, f"a store of version {version}", f"{len(MIGRATIONS)} at most", "Update narformer.")
    if version == len(MIGRATIONS):
        return False
    for statement in MIGRATIONS[version][database]:
        connection.exec_driver_sql(statement)
    connection.execute(insert(VERSIONS).values(version=version + 1))
    return True
