"""A call of a PyTorch operation, the input of the translations."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from narformer.formats.builder import Builder, Constant, Operand
from narformer.network.graph import Value

__all__ = ["Call", "Lazy", "Translation", "both", "scalar", "wide"]


@dataclass
class Lazy:
    """An output whose vertex is created only when it is read: ``make(*entries)``."""

    make: Callable[..., int]
    entries: tuple[Any, ...]

    def __call__(self) -> int:
        """Create the vertex and return it."""
        return self.make(*self.entries)


@dataclass
class Call:
    """One call: arguments by name (tensors are vertices or Constants), their shapes, and the shape of its result."""

    name: str
    arguments: Mapping[str, Any]
    shapes: Mapping[str, Any]
    out: Any
    builder: Builder

    def __getitem__(self, name: str) -> Any:
        return self.arguments.get(name)

    def add(self, kind: str, operands: Sequence[Any], shape: Any = ..., **attributes: Value | None) -> int:
        """Add a vertex; operands are vertices, Constants or None; attributes that are None are left out."""
        given = {name: value for name, value in attributes.items() if value is not None}
        return self.builder.add(kind, self.out if shape is ... else shape, [_operand(x) for x in operands], given)


Translation = Callable[[Call], Any]


def _operand(value: Any) -> Operand:
    """The operand, or None if it is neither a vertex nor a Constant; ``scalar`` makes Constants of numbers."""
    return value if isinstance(value, int | Constant) else None


def scalar(value: float) -> Constant:
    """A number in the code of the module, as a Constant."""
    return Constant((), (value,))


def wide(value: Any, axes: int) -> tuple[int, ...]:
    """One integer per axis; a single number is repeated."""
    entries = list(value) if isinstance(value, list | tuple) else [value]
    return tuple(int(entry) for entry in (entries * axes if len(entries) == 1 else entries))


def both(value: tuple[int, ...]) -> tuple[int, ...]:
    """Padding at the beginnings, then the same at the ends."""
    return (*value, *value)
