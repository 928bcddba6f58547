"""Query the store, and move measurements from one store to another."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from narformer.errors import UnknownName, lookup
from narformer.jobs.networks import read_network
from narformer.measure import RUNTIMES, Measurement
from narformer.network import fingerprint
from narformer.store import ImportSummary, Store, open_store
from narformer.store.profiles import write_profiles

__all__ = ["Found", "export_store", "import_store", "query", "write_profiles"]

PREFIX = re.compile(r"[0-9a-f]{1,64}")
LISTED = 5  # fingerprints that an error lists


@dataclass(frozen=True)
class Found:
    """An answer of the store.

    place:        where it is, without a password
    measurements: the newest first
    matching:     number of stored measurements that match the query; ``total``: number of all
    devices:      names of all devices of the store
    """

    place: str
    measurements: tuple[Measurement, ...]
    matching: int
    total: int
    devices: tuple[str, ...]


def query(
    network: str | None = None,
    device: str | None = None,
    runtime: str | None = None,
    limit: int = 20,
    dims: Mapping[str, int] | None = None,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
    store: str | None = None,
) -> Found:
    """The newest measurements of a network, on a device, with a runtime; a filter that is not given matches all.

    network: the beginning of a fingerprint, or a network as ``read_network`` takes it, with ``dims`` and ``shapes``
    device:  its name, with or without the precision at the end

    Raises UnknownName where a prefix fits the fingerprints of several networks, or there is no such runtime or device;
    BadFile, BadArchitecture.
    """
    with open_store(store, new=False) as opened:
        whole = None if network is None else _fingerprint(opened, network, dims, shapes)
        known = opened.devices()
        devices = None if device is None else [name for name in known if f"{name}, ".startswith(f"{device}, ")]
        if device is not None and known and not devices:
            lookup(dict.fromkeys(known), device, "device")
        found, matching = opened.newest(limit, whole, devices, runtime)
        if runtime is not None and not matching:
            lookup(RUNTIMES, runtime, "runtime")
        return Found(opened.place, tuple(found), matching, len(opened), known)


def export_store(path: Path, store: str | None = None) -> int:
    """Write all measurements and networks to a JSON lines file; returns the number of measurements. Raises BadFile."""
    with open_store(store, new=False) as opened:
        return opened.export(path)


def import_store(path: Path, store: str | None = None) -> ImportSummary:
    """Add an export of another store, all or nothing. Raises BadFile, MixedMachines."""
    with open_store(store) as opened:
        return opened.import_(path)


def _fingerprint(
    store: Store, text: str, dims: Mapping[str, int] | None, shapes: Mapping[str, tuple[int, ...]] | None
) -> str:
    if not PREFIX.fullmatch(text) or Path(text).is_file():
        return fingerprint(read_network(text, dims, shapes).architecture)
    fitting = store.fingerprints(text, LISTED + 1)
    if len(fitting) > 1:
        listed = ", ".join(print_[: max(16, len(text) + 4)] for print_ in fitting[:LISTED])
        more = ", …" if len(fitting) > LISTED else ""
        raise UnknownName(f"'{text}' begins the fingerprints of several networks: {listed}{more}. Give more digits.")
    return fitting[0] if fitting else text
