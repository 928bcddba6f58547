"""A call of PyTorch's, as the translations see it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from narformer.formats.builder import Builder, Constant, Operand
from narformer.network.graph import Value

__all__ = ["Call", "Lazy", "Translation", "both", "scalar", "wide"]


@dataclass
class Lazy:
    """An output that becomes a vertex only when it is read: ``make(*entries)``."""

    make: Callable[..., int]
    entries: tuple[Any, ...]

    def __call__(self) -> int:
        """The vertex."""
        return self.make(*self.entries)


@dataclass
class Call:
    """One call: arguments by name (vertices and Constants for tensors), their shapes, the shape of what it returns."""

    name: str
    arguments: Mapping[str, Any]
    shapes: Mapping[str, Any]
    out: Any
    builder: Builder

    def __getitem__(self, name: str) -> Any:
        return self.arguments.get(name)

    def add(self, kind: str, operands: Sequence[Any], shape: Any = ..., **attributes: Value | None) -> int:
        """A vertex; numbers among the operands are scalar constants, attributes that are None are left out."""
        given = {name: value for name, value in attributes.items() if value is not None}
        return self.builder.add(kind, self.out if shape is ... else shape, [_operand(x) for x in operands], given)


Translation = Callable[[Call], Any]


def _operand(value: Any) -> Operand:
    """Numbers are told from vertices by ``scalar``; None and Constants pass."""
    return value if isinstance(value, int | Constant) else None


def scalar(value: float) -> Constant:
    """A number written in the code of the module."""
    return Constant((), (value,))


def wide(value: Any, axes: int) -> tuple[int, ...]:
    """A number for every axis, where one may stand for all."""
    entries = list(value) if isinstance(value, list | tuple) else [value]
    return tuple(int(entry) for entry in (entries * axes if len(entries) == 1 else entries))


def both(value: tuple[int, ...]) -> tuple[int, ...]:
    """Padding at the beginnings and the same at the ends."""
    return (*value, *value)
