"""The bytes of an ONNX file, looked over before anything is parsed: what it holds, within bounds, weights cut out.

A protobuf message is a row of fields: a tag (number and wire type) and a number or a length and that many bytes. The
scan walks the messages whose insides matter (graph, nodes, tensors, ...) without allocating anything for them, counts,
refuses what is beyond a limit, and copies all but the large contents of tensors: no weight is ever needed.
"""

import mmap
import os
import stat
from pathlib import Path

from narformer.errors import BadFile

__all__ = ["Bytes", "light", "read"]

FILE_BYTES = 2**31  # of protobuf; a large file is mapped, and its weights are not read
NODES = 200_000
INITIALIZERS = 100_000
FUNCTIONS = 1_000
NAME_BYTES = 4 * 2**10
DIMS = 64
DEPTH = 64  # messages inside messages
GRAPHS = 16  # graphs inside graphs
MESSAGES = 1_500_000  # an empty one is two bytes in a file and some hundred in memory
FIELDS = 5_000_000
TENSOR_BYTES = 4 * 2**10  # larger contents of a tensor are weights and cut out

Bytes = bytes | mmap.mmap

# message -> field -> message inside; a * marks a text that must stay short
_SCHEMA: dict[str, dict[int, str]] = {
    "model": {7: "graph", 8: "opset", 14: "entry", 20: "training", 25: "function", 26: "device"},
    "training": {1: "graph", 2: "graph", 3: "entry", 4: "entry"},
    "graph": {1: "node", 2: "*", 5: "tensor", 11: "value", 12: "value", 13: "value", 14: "annotation", 15: "sparse",
              16: "entry"},
    "node": {1: "*", 2: "*", 3: "*", 4: "*", 5: "attribute", 7: "*", 8: "*", 9: "entry", 10: "device"},
    "attribute": {1: "*", 5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 14: "type", 15: "type", 22: "sparse",
                  23: "sparse", 21: "*"},
    "tensor": {8: "*", 13: "entry", 16: "entry"},
    "sparse": {1: "tensor", 2: "tensor"},
    "value": {1: "*", 2: "type", 4: "entry"},
    "type": {1: "tensor_type", 4: "element_type", 5: "map_type", 8: "tensor_type", 9: "element_type"},
    "tensor_type": {2: "shape"},
    "element_type": {1: "type"},
    "map_type": {2: "type"},
    "shape": {1: "dim"},
    "dim": {2: "*"},
    "function": {1: "*", 4: "*", 5: "*", 6: "*", 7: "node", 9: "opset", 10: "*", 11: "attribute", 12: "value",
                 14: "entry"},
    "annotation": {1: "*", 2: "entry"},
    "entry": {1: "*"},
    "opset": {1: "*"},
    "device": {},
}  # fmt: skip
_DIMS = dict.fromkeys(_SCHEMA, 0) | {"tensor": 1, "sparse": 3, "shape": 1}  # the field that holds them, 0 for no field
_CONTENTS = {4, 5, 6, 7, 9, 10, 11}  # of a tensor
_LIMITS = {"node": NODES, "tensor": INITIALIZERS + NODES, "function": FUNCTIONS}
_NOUNS = {"node": "nodes", "tensor": "tensors", "function": "functions"}
_INITIALIZER = 5  # the field of a graph that holds its weights


def read(path: str | Path) -> Bytes:
    """The bytes of a regular file within the size limit; a large file is mapped, not loaded.

    Raises BadFile where the path is a link, a device, a directory, empty, too large or cannot be read.
    """
    try:
        file = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except OSError as error:
        remedy = "Give the path that the link points to." if Path(path).is_symlink() else "Check the path."
        raise BadFile(path, f"nothing to read ({error.strerror})", "an ONNX file", remedy) from None
    try:
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode):
            raise BadFile(path, "something that is not a regular file", "an ONNX file", "Check the path.")
        if not 0 < status.st_size <= FILE_BYTES:
            raise BadFile(
                path,
                f"{status.st_size:,} bytes",
                f"1 to {FILE_BYTES:,}",
                "Save the model with its weights as external data: they are not needed." if status.st_size else "",
            )
        if status.st_size > 2**24:
            return mmap.mmap(file, 0, access=mmap.ACCESS_READ)
        with os.fdopen(os.dup(file), "rb") as stream:
            return stream.read(FILE_BYTES + 1)
    finally:
        os.close(file)


class _Frame:
    """A message that is open: where its tag, its body and what follows it start; ``last``: it is copied up to here."""

    __slots__ = ("body", "dims", "end", "header", "last", "message", "pieces", "tag")

    def __init__(self, message: str, header: int, body: int, end: int, tag: int = 0) -> None:
        self.message, self.header, self.body, self.end, self.tag = message, header, body, end, tag
        self.dims = self.last = 0
        self.pieces: list[bytes] = []


def light(data: Bytes, path: str | Path) -> bytes:
    """The same model without the contents of large tensors.

    Raises BadFile where the bytes are no protobuf message of a model, or beyond one of the limits of this file.
    """
    walk = _Walk(data, path)
    frame, position, end = walk.stack[0], 0, len(data)
    inside, dims_field = _SCHEMA["model"], 0
    try:
        for _ in range(FIELDS + 1):
            while position == end:
                outer = walk.leave()
                if outer is None:
                    return b"".join(frame.pieces) if frame.pieces else bytes(data)
                frame, end, message = outer, outer.end, outer.message
                inside, dims_field = _SCHEMA[message], _DIMS[message]
            start = position
            tag = data[position]
            position += 1
            if tag > 127:
                tag, position = _number(data, position - 1)
            number, wire = tag >> 3, tag & 7
            if not number:
                raise walk.damaged("no field", position)
            if wire == 2:
                length = data[position]
                position += 1
                if length > 127:
                    length, position = _number(data, position - 1)
                stop = position + length
                if stop > end:
                    raise walk.damaged("a field longer than its message", position)
                kind = inside.get(number)
                if kind is None:
                    if number == dims_field:
                        walk.count_packed(position, stop)
                    elif length > TENSOR_BYTES and frame.message == "tensor" and number in _CONTENTS:
                        walk.cut(start, stop)
                elif kind != "*":
                    frame = walk.enter(kind, tag, start, position, stop)
                    end, inside, dims_field = stop, _SCHEMA[kind], _DIMS[kind]
                    continue
                elif length > NAME_BYTES:
                    raise walk.beyond(length, NAME_BYTES, "bytes in a name")
                position = stop
            elif wire == 0:
                if number == dims_field:
                    frame.dims += 1
                    if frame.dims > DIMS:
                        raise walk.beyond(frame.dims, DIMS, "dimensions of one tensor")
                position = position + 1 if data[position] < 128 else _number(data, position)[1]
            elif wire in (1, 5):
                position += 8 if wire == 1 else 4
            else:
                raise walk.damaged(f"wire type {wire}", position)
            if position > end:
                raise walk.damaged("a field longer than its message", position)
    except IndexError:
        raise walk.damaged("the end of the file inside a field", position) from None
    raise walk.beyond(FIELDS + 1, FIELDS, "fields")


class _Walk:
    """The messages that are open, innermost last; it counts them, refuses too many, and keeps the pieces between cuts.

    The fields themselves are read in ``light``: a call for each of them would take longer than reading it.
    """

    def __init__(self, data: Bytes, path: str | Path) -> None:
        self.stack = [_Frame("model", 0, 0, len(data))]
        self._data, self._path = data, path
        self._counts = dict.fromkeys(_LIMITS, 0)
        self._messages = self._initializers = self._graphs = 0

    def enter(self, kind: str, tag: int, start: int, body: int, end: int) -> _Frame:
        """The frame of a message of this kind, whose tag is at ``start``, from ``body`` to ``end``. Raises BadFile."""
        stack = self.stack
        self._messages += 1
        if self._messages > MESSAGES:
            raise self.beyond(self._messages, MESSAGES, "messages")
        if kind in _LIMITS:
            self._counts[kind] += 1
            if self._counts[kind] > _LIMITS[kind]:
                raise self.beyond(self._counts[kind], _LIMITS[kind], _NOUNS[kind])
            if kind == "tensor" and tag >> 3 == _INITIALIZER and stack[-1].message == "graph":
                self._initializers += 1
                if self._initializers > INITIALIZERS:
                    raise self.beyond(self._initializers, INITIALIZERS, "initializers")
        elif kind == "dim":
            stack[-1].dims += 1
            if stack[-1].dims > DIMS:
                raise self.beyond(stack[-1].dims, DIMS, "dimensions of one tensor")
        elif kind == "graph":
            self._graphs += 1
            if self._graphs > GRAPHS:
                raise self.beyond(self._graphs, GRAPHS, "graphs inside each other")
        if len(stack) >= DEPTH:
            raise self.beyond(len(stack), DEPTH, "messages inside each other")
        frame = _Frame(kind, start, body, end, tag)
        stack.append(frame)
        return frame

    def leave(self) -> _Frame | None:
        """The message around the innermost one, which ends and passes its pieces on; None where it was the model."""
        done = self.stack.pop()
        if done.message == "graph":
            self._graphs -= 1
        outer = self.stack[-1] if self.stack else None
        if not done.pieces:
            return outer
        done.pieces.append(self._data[done.last : done.end])
        if outer is not None:
            outer.pieces.append(self._data[outer.last or outer.body : done.header])
            outer.pieces.append(_varint(done.tag) + _varint(sum(map(len, done.pieces))))
            outer.pieces += done.pieces
            outer.last = done.end
        return outer

    def cut(self, start: int, stop: int) -> None:
        """Leave these bytes of the innermost message out."""
        frame = self.stack[-1]
        frame.pieces.append(self._data[frame.last or frame.body : start])
        frame.last = stop

    def count_packed(self, start: int, stop: int) -> None:
        """Count dimensions of the innermost message that stand packed: each ends with a byte below 128."""
        frame = self.stack[-1]
        frame.dims += sum(byte < 128 for byte in self._data[start : min(stop, start + 20 * DIMS)])
        if frame.dims > DIMS:
            raise self.beyond(frame.dims, DIMS, "dimensions of one tensor")

    def damaged(self, found: str, position: int) -> BadFile:
        """The error for bytes that are no message of a model."""
        return BadFile(
            self._path, f"{found} at byte {position:,}", "an ONNX model (protobuf)", "Export the model again."
        )

    def beyond(self, found: int, limit: int, noun: str) -> BadFile:
        """The error for more than this file allows."""
        return BadFile(self._path, f"{found:,} {noun}", f"at most {limit:,}", "No network of this size can be read.")


def _number(data: Bytes, position: int) -> tuple[int, int]:
    """A variable-length number and the position after it; one too long is cut off by the limits that follow."""
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, position
        shift += 7
        if shift > 63:
            raise IndexError


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)
