"""Profiles of networks in a JSON file: the time of each node that a runtime executed."""

import json
import os
import stat
from collections.abc import Sequence
from pathlib import Path

from narformer.errors import BadFile
from narformer.measure import Profile
from narformer.store.exchange import replaced
from narformer.store.records import checked, profile_of, profile_record, written

__all__ = ["read_profiles", "write_profiles"]

FORMAT = 1
FILE = {"format": int, "profiles": list}
MOST_BYTES = 64_000_000


def write_profiles(path: Path, profiles: Sequence[Profile]) -> None:
    """Write profiles to a file, which is replaced as a whole. Raises BadFile where it cannot be written."""
    with replaced(path) as file:
        file.write(written({"format": FORMAT, "profiles": [profile_record(profile) for profile in profiles]}) + "\n")


def read_profiles(path: Path) -> tuple[Profile, ...]:
    """The profiles in a file of ``write_profiles``.

    Raises BadFile where it is not such a file, is damaged, of another format, or larger than MOST_BYTES.
    """
    try:
        file = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        with os.fdopen(file, "rb") as stream:
            if not stat.S_ISREG(os.fstat(file).st_mode):
                raise ValueError("something that is not a regular file")
            data = stream.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise ValueError(f"more than {MOST_BYTES:,} bytes")
        values = _value(data)
        if isinstance(values, dict) and values.get("format", FORMAT) != FORMAT:
            raise ValueError(f"a format other than {FORMAT}, which this version of narformer reads")
        return tuple(profile_of(record) for record in checked(values, FILE, "a file of profiles")["profiles"])
    except ValueError as error:
        raise BadFile(path, str(error), "profiles that narformer measure --profile wrote", "Measure again.") from None
    except OSError as error:
        reason = str(error.strerror).lower()
        raise BadFile(path, reason, "profiles that narformer measure --profile wrote", "Check the path.") from None


def _value(data: bytes) -> object:
    try:
        value: object = json.loads(data)
    except (ValueError, RecursionError):
        raise ValueError("text that is not JSON, or JSON beyond the limits") from None
    return value
