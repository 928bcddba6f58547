"""Stores as JSON lines: a head with the counts, one line a network, one line a measurement."""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TextIO

from narformer.errors import BadArchitecture, BadFile
from narformer.measure import Measurement
from narformer.network import Architecture, fingerprint
from narformer.network.canonical import FORM
from narformer.store.records import Record, architecture_of, checked, first_record, measurement_of, written

__all__ = ["ImportSummary", "read", "replaced", "write"]

FORMAT = 2  # in format 1 a measurement has no quantity, unit and accelerator
HEAD = {"format": int, "form": int, "networks": int, "measurements": int}
NETWORK = {"fingerprint": str, "architecture": dict}
MOST_LINE_BYTES = 64_000_000


@dataclass(frozen=True)
class ImportSummary:
    """Counts of an import: measurements added, measurements that were already stored, networks added."""

    added: int
    duplicates: int
    networks: int


def write(path: Path, networks: Sequence[tuple[str, str]], measurements: Sequence[Record]) -> None:
    """Write networks, (fingerprint, JSON text), and measurements to a temporary name, then rename.

    Raises BadFile where the file cannot be written.
    """
    head = {"format": FORMAT, "form": FORM, "networks": len(networks), "measurements": len(measurements)}
    with replaced(path) as file:
        file.write(written(head) + "\n")
        for print_, text in networks:
            file.write(written({"fingerprint": print_, "architecture": json.loads(text)}) + "\n")
        for record in measurements:
            file.write(written(record) + "\n")


@contextmanager
def replaced(path: Path) -> Iterator[TextIO]:
    """A file under a temporary name, renamed to ``path`` at the end. Raises BadFile where it cannot be written."""
    temporary = path.parent / f"{path.name}.{os.getpid()}.partial"
    try:
        if path.is_dir():
            raise BadFile(path, "a folder", "the name of a file")
        with temporary.open("w", encoding="utf-8") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise BadFile(path, f"a path that cannot be written ({error.strerror})", "a place for a file") from None
    finally:
        with suppress(OSError):
            temporary.unlink()


def read(path: Path) -> tuple[dict[str, Architecture], list[Measurement]]:
    """Networks by fingerprint, and measurements of them, from a file of ``write``.

    Raises BadFile where it is truncated, damaged, of another format, or a fingerprint does not match its network.
    """
    number = 0
    try:
        with path.open("rb") as file:

            def line() -> object:
                nonlocal number
                number += 1
                return _value(file.readline(MOST_LINE_BYTES))

            head = line()
            if isinstance(head, dict) and head.get("format", FORMAT) not in (1, FORMAT):
                raise ValueError(f"a format other than 1 and {FORMAT}, which this version of narformer reads")
            head = checked(head, HEAD, "the head of an exported store")
            if min(head["networks"], head["measurements"]) < 0:
                raise ValueError("a negative count in the head of an exported store")
            current, now = {}, {}
            for _ in range(head["networks"]):
                entry = checked(line(), NETWORK, "the line of a network")
                stated, network = entry["fingerprint"], architecture_of(json.dumps(entry["architecture"]))
                now[stated] = _fingerprint(network)
                if head["form"] == FORM and now[stated] != stated:
                    raise ValueError("a network of another fingerprint than stated")
                current[now[stated]] = network
            measurements = []
            for _ in range(head["measurements"]):
                measurement = measurement_of(first_record(line()) if head["format"] == 1 else line())
                if measurement.fingerprint not in now:
                    raise ValueError("a measurement of a network that the file does not hold")
                measurements.append(replace(measurement, fingerprint=now[measurement.fingerprint]))
            if file.read(1):
                raise ValueError("more lines than the head states")
    except ValueError as error:
        raise BadFile(path, f"in line {number} {error}", "a store exported by narformer", "Export it again.") from None
    except OSError as error:
        raise BadFile(path, str(error.strerror), "a store exported by narformer") from None
    return current, measurements


def _value(line: bytes) -> object:
    if not line:
        raise ValueError("the end of the file, too early")
    if not line.endswith(b"\n"):
        size = f"more than {MOST_LINE_BYTES:,} bytes" if len(line) >= MOST_LINE_BYTES else "no end: the file is cut"
        raise ValueError(f"a line with {size}")
    try:
        value: object = json.loads(line.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise ValueError("bytes that are not text") from None
    except (ValueError, RecursionError):
        raise ValueError("text that is not JSON, or JSON beyond the limits") from None
    return value


def _fingerprint(network: Architecture) -> str:
    try:
        return fingerprint(network)
    except (BadArchitecture, ValueError, TypeError, AttributeError, LookupError, ArithmeticError, RecursionError):
        raise ValueError("a network with attributes that its operations cannot have") from None
