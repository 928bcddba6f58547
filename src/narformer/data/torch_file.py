"""Files written by torch.save, read without executing them: the legacy container and the zip container.

Legacy: four pickles (a magic number, the protocol 1001, facts of the machine, the object), then the list of storages
and their bytes. Zip: a member ``<name>/data.pkl`` with the object, one member per storage, nothing compressed.
Tensors are returned as their shapes: no benchmark needs their numbers.
"""

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from narformer.data.facts import require_file
from narformer.data.restricted_pickle import NUMPY, PLAIN, Sealed, unpickle
from narformer.errors import BadFile
from narformer.progress import Progress, silent

__all__ = ["TensorShape", "read_torch_file"]

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_EXPECTED = "a file written by torch.save"
_AGAIN = "The file is truncated or damaged: get it from its source again."


@dataclass(frozen=True)
class TensorShape:
    """The shape of a tensor, without its numbers."""

    shape: tuple[int, ...]


def _shape(storage: Any, offset: int, size: Any, *rest: Any) -> TensorShape:
    return TensorShape(tuple(int(length) for length in size))


def _parameter(data: Any, *rest: Any) -> Any:
    return data


def _nothing(*arguments: Any) -> None:
    return None


_STORAGES = ("Float", "Double", "Half", "BFloat16", "Long", "Int", "Short", "Char", "Byte", "Bool")
_TABLE = {
    **PLAIN,
    **NUMPY,
    "torch._utils._rebuild_tensor": Sealed(_shape),
    "torch._utils._rebuild_tensor_v2": Sealed(_shape),
    "torch._utils._rebuild_parameter": Sealed(_parameter),
    "torch.Size": Sealed(tuple),
    "torch.device": Sealed(_nothing),
    **{f"torch.{kind}Storage": Sealed(_nothing) for kind in _STORAGES},
}


class _Watched(io.FileIO):
    """A file that reports the percentage that has been read."""

    def __init__(self, path: Path, progress: Progress) -> None:
        super().__init__(path)
        self._progress, self._size = progress, path.stat().st_size

    def readinto(self, buffer: Any) -> int | None:
        count = super().readinto(buffer)
        self._progress("read", 100 * self.tell() // self._size, 100, None)
        return count


def read_torch_file(path: str | Path, progress: Progress = silent) -> Any:
    """The object that torch.save wrote, of plain containers, numbers, text and TensorShape.

    Raises BadFile where the file was not written by torch.save, is truncated or damaged, or names anything that is not
    data.
    """
    path = require_file(path, _EXPECTED)
    with io.BufferedReader(_Watched(path, progress), 1 << 20) as file:
        if file.peek(4)[:4] == b"PK\x03\x04":
            return _read_zip(file, path)
        if file.peek(1)[:1] != b"\x80":  # a pickle of protocol 2 or later
            raise BadFile(path, f"a file that begins with {file.peek(8)[:8]!r}", _EXPECTED, "Is it another file?")
        return _read_legacy(file, path)


def _storage(reference: Any) -> None:
    if not isinstance(reference, tuple) or not reference or reference[0] != "storage":
        raise ValueError(f"a reference {reference!r:.60}")


def _read_legacy(file: BinaryIO, path: Path) -> Any:
    if (found := unpickle(file, path, {})) != _MAGIC:
        raise BadFile(path, f"a pickle of {type(found).__name__}", _EXPECTED, "Is it another file?")
    if (found := unpickle(file, path, {})) != _PROTOCOL:
        raise BadFile(path, f"torch.save protocol {found!r:.20}", str(_PROTOCOL))
    unpickle(file, path, PLAIN)
    content = unpickle(file, path, _TABLE, _storage)
    unpickle(file, path, {})  # the list of storages; a cut file ends before it
    return content


def _read_zip(file: BinaryIO, path: Path) -> Any:
    try:
        with zipfile.ZipFile(file) as archive:
            members = [info for info in archive.infolist() if info.filename.endswith("/data.pkl")]
            if len(members) != 1 or members[0].compress_type != zipfile.ZIP_STORED:
                raise BadFile(path, f"a zip file with {len(members)} uncompressed 'data.pkl'", _EXPECTED)
            with archive.open(members[0]) as member:
                content = unpickle(cast(BinaryIO, member), path, _TABLE, _storage)
                while member.read(1 << 20):  # the checksum is tested at the end
                    pass
            return content
    except (zipfile.BadZipFile, OSError, ValueError, RuntimeError, NotImplementedError) as error:
        raise BadFile(path, f"a zip file that cannot be read ({str(error)[:80]})", _EXPECTED, _AGAIN) from None
