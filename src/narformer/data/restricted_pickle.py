"""Pickles as data: a reader that builds numbers, text and containers, and imports and calls nothing that they name.

Benchmarks are published as pickles, and a pickle is a program: it may name any function and call it. Here every
name is looked up in a table, which is in this file or given by the caller and holds only our own
stand-ins, never the named object. A name outside the table ends the reading with BadFile before anything was called.
A stand-in is sealed: a pickle can call it with data and get data back, but cannot change it.
A hostile pickle can still request much memory; it cannot run code.
"""

import pickle
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import numpy as np

from narformer.errors import BadFile

__all__ = ["NUMPY", "PLAIN", "Record", "Sealed", "unpickle"]


class Sealed:
    """A function that a pickle can call, but not change."""

    __slots__ = ("_call",)

    def __init__(self, call: Callable[..., Any]) -> None:
        self._call = call

    def __call__(self, *arguments: Any) -> Any:
        """The function's result for the pickle's arguments."""
        return self._call(*arguments)

    def __setstate__(self, state: object) -> NoReturn:
        raise pickle.UnpicklingError("an attempt to change a stand-in")


class Record:
    """A stand-in for an instance of a class that the pickle names: its fields and nothing else."""

    __slots__ = ("fields",)

    def __init__(self) -> None:
        self.fields: dict[str, Any] = {}

    def __setstate__(self, state: object) -> None:
        if not isinstance(state, dict) or not all(isinstance(name, str) for name in state):
            raise pickle.UnpicklingError("an instance whose state is not a dict of fields")
        self.fields = state


class _Dtype:
    """A numpy number type: only kind, size and byte order; never objects or structures."""

    __slots__ = ("code", "order")

    def __init__(self, code: object, *_: object) -> None:
        if isinstance(code, bytes):
            code = code.decode("ascii")
        if code not in ("b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"):
            raise pickle.UnpicklingError(f"the number type {code!r:.40}")
        self.code, self.order = str(code), "<"

    def __setstate__(self, state: object) -> None:
        if not isinstance(state, tuple) or len(state) < 2 or state[1] not in ("<", ">", "|", "="):
            raise pickle.UnpicklingError("a number type without a byte order")
        self.order = state[1]


def _scalar(dtype: object, content: object) -> Any:
    if not isinstance(dtype, _Dtype) or not isinstance(content, bytes):
        raise pickle.UnpicklingError("an invalid numpy number")
    return np.frombuffer(content, dtype=np.dtype(dtype.order + dtype.code), count=1)[0].item()


def _encode(text: object, codec: object = "latin1") -> bytes:
    # the form of bytes in protocol 2
    if not isinstance(text, str) or codec not in ("latin1", "latin-1"):
        raise pickle.UnpicklingError("bytes in an unknown encoding")
    return text.encode("latin-1")


def _default_dict(*arguments: object) -> dict[Any, Any]:
    return {}


PLAIN: Mapping[str, Any] = {
    "collections.OrderedDict": Sealed(OrderedDict),
    "collections.defaultdict": Sealed(_default_dict),
    "__builtin__.set": Sealed(set),
    "builtins.set": Sealed(set),
    "__builtin__.list": Sealed(list),
    "builtins.list": Sealed(list),
    "__builtin__.dict": Sealed(dict),
    "builtins.dict": Sealed(dict),
}
"""Containers."""

NUMPY: Mapping[str, Any] = {
    "_codecs.encode": Sealed(_encode),
    "numpy.dtype": Sealed(_Dtype),
    "numpy.core.multiarray.scalar": Sealed(_scalar),
    "numpy._core.multiarray.scalar": Sealed(_scalar),
}
"""Single numpy numbers, read as Python's own."""


class _Reader(pickle.Unpickler):
    def __init__(
        self, file: BinaryIO, path: str | Path, table: Mapping[str, Any], persistent: Callable[[Any], Any] | None
    ) -> None:
        super().__init__(file)
        self._path, self._table, self._persistent = path, table, persistent

    def find_class(self, module: str, name: str) -> Any:
        if f"{module}.{name}" not in self._table:
            raise BadFile(
                self._path,
                f"a pickle that requests '{module}.{name}'",
                "a pickle of data only",
                "Nothing that it names was imported or called. Get the file from its official source.",
            )
        return self._table[f"{module}.{name}"]

    def persistent_load(self, reference: Any) -> Any:
        if self._persistent is None:
            raise pickle.UnpicklingError("a reference to data outside the pickle")
        return self._persistent(reference)


def unpickle(
    file: BinaryIO,
    path: str | Path,
    table: Mapping[str, Any],
    persistent: Callable[[Any], Any] | None = None,
) -> Any:
    """The next pickle in ``file``, built from ``table`` alone: "module.name" -> Sealed or a subclass of Record.

    ``persistent`` resolves references to data outside the pickle. Errors name ``path``.
    Raises BadFile where the pickle is damaged, cut, or names something outside the table.
    """
    try:
        return _Reader(file, path, table, persistent).load()
    except BadFile:
        raise
    except Exception as error:  # a damaged pickle can raise almost any exception
        reason = str(error).splitlines()[0][:80] if str(error) else type(error).__name__
        raise BadFile(
            path, f"a pickle that cannot be decoded ({reason})", "a complete one", "Get the file from its source again."
        ) from None
