"""Weights of an ONNX model in files beside it: found, checked, and read by this program, never by a runtime.

A model names such a file by a path, and a hostile model can name any path. A file is read only where it is a regular
file in the folder of the model or below it, and no link leads to it. Each folder on the way is opened by its name in
the folder before it, so the check and the read see the same file.

Caches of model hubs hold all files in one folder, and links with their names in others. Where the model was given by a
link, its folder is the one that really holds it, and the weights may be behind a link beside that of the model, if they
are in the same folder as the model.
"""

import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path, PureWindowsPath

import numpy as np
import onnx
from numpy.typing import NDArray

from narformer.errors import BadFile, printable
from narformer.formats import onnx_guard as guard
from narformer.formats import onnx_wire as wire

__all__ = ["WEIGHT_BYTES", "Place", "Weights", "referring", "weights_beside", "with_bodies"]

BODY_BYTES = 2**30  # of the weights of bodies, which become a part of the model
WEIGHT_BYTES = 16 * 2**30  # of one model, in other files; on a small machine, MEMORY_SHARE of its memory
MEMORY_SHARE = 1 / 3  # they are held twice while a runtime loads them
KEYS = {"location", "offset", "length", "checksum"}  # runtimes give other keys other meanings
PARTS = 16  # folders in a location
DIGITS = 18  # of an offset
BITS = {1: 32, 2: 8, 3: 8, 4: 16, 5: 16, 6: 32, 7: 64, 9: 8, 10: 16, 11: 64, 12: 32, 13: 64, 14: 64, 15: 128, 16: 16}
BITS |= {17: 8, 18: 8, 19: 8, 20: 8, 21: 4, 22: 4, 23: 4, 24: 8, 25: 2, 26: 2}  # of one value, by TensorProto's types
INSIDE = "Save it again with its weights inside."
TOGETHER = "Put the model and its weights into one folder, without links."

Weights = Mapping[str, NDArray[np.uint8]]  # name of a tensor -> its bytes
Place = tuple[str, int, int]  # location, offset and length that a tensor states


@dataclass(frozen=True)
class _Reference:
    """A tensor whose bytes are in another file: the parts of the path, the first byte and the number of bytes."""

    name: str
    parts: tuple[str, ...]
    offset: int
    length: int


def weights_beside(data: wire.Bytes, path: Path) -> dict[str, NDArray[np.uint8]]:
    """The bytes of all tensors of a model that are in files beside it; ``path`` is the model's file or a link to it.

    Raises BadFile where a location is absolute, or leads out of the folder or through a link; where the file is not a
    regular one, has several names, or is too short; where a tensor is not an initializer of the main graph; and where
    all together are more than WEIGHT_BYTES.
    """
    model = onnx.ModelProto.FromString(wire.light(data, path))
    tensors = [tensor for tensor in model.graph.initializer if _is_outside(tensor)]
    if others := len(guard.external(model)) - len(tensors):
        raise BadFile(path, f"{others} tensors in other files that are not weights of a graph", "none", INSIDE)
    most = min(WEIGHT_BYTES, _memory_share())
    return {tensor.name: array for tensor, array in zip(tensors, _read_all(tensors, path, most), strict=True)}


def with_bodies(data: wire.Bytes, path: Path) -> bytes:
    """The model with the weights of its bodies, of If, Loop and Scan, inside: no runtime takes those from memory.

    Raises BadFile as ``weights_beside``, and where they are more than BODY_BYTES.
    """
    if not any(map(_is_outside, _in_bodies(onnx.ModelProto.FromString(wire.light(data, path)).graph))):
        return bytes(data)
    model = onnx.ModelProto.FromString(bytes(data))
    tensors = [tensor for tensor in _in_bodies(model.graph) if _is_outside(tensor)]
    for tensor, array in zip(tensors, _read_all(tensors, path, BODY_BYTES), strict=True):
        del tensor.external_data[:]
        tensor.data_location, tensor.raw_data = onnx.TensorProto.DEFAULT, array.tobytes()
    filled: bytes = model.SerializeToString()
    return filled


def _in_bodies(graph: onnx.GraphProto) -> list[onnx.TensorProto]:
    """The initializers of all graphs inside a graph."""
    bodies = [body for node in graph.node for attribute in node.attribute for body in guard.body_of(attribute)]
    return [tensor for body in bodies for tensor in (*body.initializer, *_in_bodies(body))]


def _read_all(tensors: Sequence[onnx.TensorProto], path: Path, most: int) -> list[NDArray[np.uint8]]:
    """The bytes of each of these tensors, file by file."""
    references = [_reference(tensor, path) for tensor in tensors]
    total = sum(reference.length for reference in references)
    if total > most:
        raise BadFile(path, f"{total:,} bytes of weights in other files", f"at most {most:,}", "Use a larger machine.")
    files: dict[tuple[str, ...], list[int]] = {}
    for number, reference in enumerate(references):
        files.setdefault(reference.parts, []).append(number)
    found: dict[int, NDArray[np.uint8]] = {}
    for parts, numbers in files.items():
        found |= zip(numbers, _read(path, parts, [references[number] for number in numbers]), strict=True)
    return [found[number] for number in range(len(references))]


def referring(data: wire.Bytes, places: Mapping[str, Place]) -> bytes:
    """The model with other places of the tensors that are in other files; a place of no bytes is an empty tensor."""
    model = onnx.ModelProto.FromString(bytes(data))
    for tensor in model.graph.initializer:
        if not _is_outside(tensor):
            continue
        location, offset, length = places[tensor.name]
        tensor.ClearField("raw_data")
        del tensor.external_data[:]
        if not length:
            tensor.data_location, tensor.raw_data = onnx.TensorProto.DEFAULT, b""
            continue
        for key, value in (("location", location), ("offset", offset), ("length", length)):
            tensor.external_data.add(key=key, value=str(value))
    written: bytes = model.SerializeToString()
    return written


def _is_outside(tensor: onnx.TensorProto) -> bool:
    return bool(tensor.external_data) or tensor.data_location == onnx.TensorProto.EXTERNAL


def _reference(tensor: onnx.TensorProto, path: Path) -> _Reference:
    of = f"of the weight '{printable(tensor.name)}'"
    if tensor.data_location != onnx.TensorProto.EXTERNAL:
        raise BadFile(path, f"a file {of}, which is not marked as external", "the mark", INSIDE)
    keys = [entry.key for entry in tensor.external_data]
    if len(set(keys)) < len(keys) or not {"location"} <= set(keys) <= KEYS:
        found = printable(", ".join(keys)) or "none"
        raise BadFile(path, f"the keys {found} {of}", f"a location, and of {', '.join(sorted(KEYS))} one each", INSIDE)
    stated = {entry.key: entry.value for entry in tensor.external_data}
    if tensor.data_type not in BITS:
        raise BadFile(path, f"type {tensor.data_type} {of}", "numbers, which alone can be in other files", INSIDE)
    length = -(-BITS[tensor.data_type] * prod(tensor.dims) // 8)
    numbers = {key: stated[key] for key in ("offset", "length") if key in stated}
    for key, text in numbers.items():
        if not (text.isascii() and text.isdigit() and len(text) <= DIGITS):
            raise BadFile(path, f"the {key} '{printable(text)}' {of}", f"a number of at most {DIGITS} digits", INSIDE)
    if int(numbers.get("length", length)) != length:
        expected = f"{length:,}, as its shape and type say"
        raise BadFile(path, f"{int(numbers['length']):,} bytes {of}", expected, "Export it again.")
    return _Reference(tensor.name, _parts(stated["location"], path), int(numbers.get("offset", 0)), length)


def _parts(location: str, path: Path) -> tuple[str, ...]:
    """The folders and the file that a location names. Raises BadFile where it leads out of the model's folder."""
    parts = tuple(part for part in location.split("/") if part not in ("", "."))
    windows = PureWindowsPath(location)
    leads_out = location.startswith("/") or windows.drive or windows.root or ".." in windows.parts
    if leads_out or not parts or len(parts) > PARTS or len(location) > wire.NAME_BYTES or "\0" in location:
        raise BadFile(path, _in_other_files(location), "a relative path inside the folder of the model", TOGETHER)
    return parts


def _read(path: Path, parts: Sequence[str], wanted: Sequence[_Reference]) -> Iterator[NDArray[np.uint8]]:
    """The bytes of each tensor of one file."""
    with _opened(path, parts) as file:
        size = os.fstat(file).st_size
        for reference in wanted:
            end = reference.offset + reference.length
            if end > size:
                found = f"{_in_other_files('/'.join(parts))} of {size:,} bytes"
                remedy = "Copy the file again: it is not complete, or of another model."
                raise BadFile(path, found, f"{end:,} at least, for '{printable(reference.name)}'", remedy)
            array = np.empty(reference.length, np.uint8)
            view, filled = array.data, 0
            os.lseek(file, reference.offset, os.SEEK_SET)
            while filled < reference.length:
                count = os.readv(file, [view[filled : filled + 2**30]])
                if not count:
                    raise BadFile(path, f"the end of '{printable('/'.join(parts))}' while it was read", "its weights")
                filled += count
            yield array


@contextmanager
def _opened(path: Path, parts: Sequence[str]) -> Iterator[int]:
    """A descriptor of a regular file, opened folder by folder from that of the model, never through a link."""
    found = _in_other_files("/".join(parts))
    if os.open not in os.supports_dir_fd:
        raise BadFile(path, found, "a system that opens files by folder, such as Linux or macOS", INSIDE)
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    at, (folder, parts) = -1, _folder(path, parts)
    try:
        at = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        for place, part in enumerate(parts):
            inside = os.O_DIRECTORY if place + 1 < len(parts) else 0
            inner = os.open(part, flags | inside, dir_fd=at)
            os.close(at)
            at = inner
        status = os.fstat(at)
        if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
            what = "several names (hard links)" if stat.S_ISREG(status.st_mode) else "something that is no regular file"
            raise BadFile(path, f"{found}: {what}", "a regular file of one name", TOGETHER)
        yield at
    except OSError as error:
        link = any(folder.joinpath(*parts[: place + 1]).is_symlink() for place in range(len(parts)))
        reason = "a link" if link else (error.strerror or "").lower()
        raise BadFile(path, f"{found}: {reason}", "regular files beside the model", TOGETHER) from None
    finally:
        if at >= 0:
            os.close(at)


def _folder(path: Path, parts: Sequence[str]) -> tuple[Path, Sequence[str]]:
    """The folder of a model, and the way from there to the file of ``parts``; of a link, that of its target."""
    if not path.is_symlink():
        return path.parent, parts
    folder = Path(os.path.realpath(path)).parent
    beside = Path(os.path.realpath(path.parent.joinpath(*parts)))
    in_cache = beside.parent == folder and not folder.joinpath(*parts).exists()
    return folder, (beside.name,) if in_cache else parts


def _in_other_files(location: str) -> str:
    return f"weights in the file '{printable(location)}'"


def _memory_share() -> int:
    """The part of this machine's memory that weights may take; WEIGHT_BYTES where the system does not tell."""
    try:
        return int(MEMORY_SHARE * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, OSError, ValueError):
        return WEIGHT_BYTES
