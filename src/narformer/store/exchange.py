"""Stores as JSON lines: a head with the counts, one line a network, one line a measurement."""

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from narformer.arch import Architecture, fingerprint
from narformer.arch.canonical import FORM
from narformer.errors import BadFile
from narformer.measure import Measurement
from narformer.store.records import Record, architecture_of, measurement_of, written

__all__ = ["Imported", "read", "write"]

FORMAT = 1
MOST_LINE_BYTES = 64_000_000


@dataclass(frozen=True)
class Imported:
    """What an import did: measurements added, measurements refused as known, networks added."""

    added: int
    duplicates: int
    networks: int


def write(path: Path, networks: Sequence[tuple[str, str]], measurements: Sequence[Record]) -> None:
    """Write networks, (fingerprint, JSON text), and measurements to a temporary name, then rename.

    Raises BadFile where no file can be written there.
    """
    head = {"format": FORMAT, "form": FORM, "networks": len(networks), "measurements": len(measurements)}
    temporary = path.parent / f"{path.name}.{os.getpid()}.partial"
    try:
        if path.is_dir():
            raise BadFile(path, "a folder", "the name of a file")
        with temporary.open("w", encoding="utf-8") as file:
            file.write(written(head) + "\n")
            for print_, text in networks:
                file.write(written({"fingerprint": print_, "architecture": json.loads(text)}) + "\n")
            for record in measurements:
                file.write(written(record) + "\n")
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise BadFile(path, f"no way to write it ({error.strerror})", "a place for a file") from None
    finally:
        with suppress(OSError):
            temporary.unlink()


def read(path: Path) -> tuple[dict[str, Architecture], list[Measurement]]:
    """Networks by fingerprint, and measurements of them, from a file of ``write``.

    Raises BadFile where it is cut, damaged, of another format, or a fingerprint is not its network's.
    """
    number = 0
    try:
        with path.open("rb") as file:

            def line() -> Any:
                nonlocal number
                number += 1
                text = file.readline(MOST_LINE_BYTES)
                if not text.endswith(b"\n"):
                    raise ValueError("the file's end, or a line without end")
                return json.loads(text)

            head = line()
            if not isinstance(head, dict) or head.get("format") != FORMAT:
                raise ValueError("no head of an exported store")
            current, now = {}, {}
            for _ in range(head["networks"]):
                entry = line()
                stated, network = entry["fingerprint"], architecture_of(json.dumps(entry["architecture"]))
                now[stated] = fingerprint(network)
                if head["form"] == FORM and now[stated] != stated:
                    raise ValueError("a network of another fingerprint than stated")
                current[now[stated]] = network
            measurements = []
            for _ in range(head["measurements"]):
                measurement = measurement_of(line())
                measurements.append(replace(measurement, fingerprint=now[measurement.fingerprint]))
            if file.read(1):
                raise ValueError("more lines than the head states")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError) as error:
        raise BadFile(path, f"in line {number} {error}", "a store exported by narformer", "Export it again.") from None
    except OSError as error:
        raise BadFile(path, str(error.strerror), "a store exported by narformer") from None
    return current, measurements
