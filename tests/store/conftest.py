"""Databases to test on: SQLite, and a real PostgreSQL server where server and driver are installed."""

import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

SERVER = {name: shutil.which(name) for name in ("initdb", "postgres")}
NOBODY = pwd.getpwnam("nobody").pw_uid if os.name == "posix" else 0


def unprivileged():
    """PostgreSQL refuses to run as root: become somebody else, if we are."""
    if os.getuid() == 0:
        os.setgid(NOBODY)
        os.setuid(NOBODY)


@pytest.fixture(scope="session")
def server():
    """Folder of the socket of a server that lives as long as the tests."""
    if not all(SERVER.values()) or not importlib.util.find_spec("psycopg"):
        pytest.skip("no PostgreSQL server, or no psycopg, is installed")
    with tempfile.TemporaryDirectory(prefix="pg") as folder:
        Path(folder).chmod(0o777)
        how = {"preexec_fn": unprivileged, "cwd": folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        subprocess.run([SERVER["initdb"], "-D", f"{folder}/data", "-A", "trust", "-U", "test", "-N"], check=True, **how)
        command = [SERVER["postgres"], "-D", f"{folder}/data", "-k", folder, "-c", "listen_addresses=", "-F"]
        process = subprocess.Popen(command, **how)
        try:
            yield folder
        finally:
            process.terminate()
            process.wait(20)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    """Address of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/store.sqlite"
    folder = request.getfixturevalue("server")
    import psycopg

    name = f"db{time.time_ns()}"
    for attempt in range(100):
        try:
            with psycopg.connect(host=folder, user="test", dbname="postgres", autocommit=True) as connection:
                connection.execute(f"CREATE DATABASE {name}")
            break
        except psycopg.OperationalError:  # it is still starting
            if attempt == 99:
                raise
            time.sleep(0.1)
    return f"postgresql://test@/{name}?host={folder}"
