"""A call of a PyTorch operation, the input of the translations."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from narformer.formats.builder import Builder, Constant, Operand, Shape, merged, slices
from narformer.network.graph import Value

__all__ = ["Call", "Lazy", "NotTranslated", "Translation", "both", "joined", "known", "scalar", "wide"]


class NotTranslated(Exception):
    """A translation does not fit a call, which is kept under its own name: for example, a shape depends on values."""


@dataclass
class Lazy:
    """An output whose vertex is created only when it is read: ``make(*entries)``."""

    make: Callable[..., Any]
    entries: tuple[Any, ...]

    def __call__(self) -> Any:
        """Create the vertex and return it."""
        return self.make(*self.entries)


@dataclass
class Call:
    """One call: arguments by name (tensors are vertices or Constants), their shapes, and the shape of its result.

    shapes: of the arguments that are tensors, or lists of tensors
    types:  of the numbers in these tensors ("float32", "bool"); of a list, those of its first tensor
    out:    shape of the result; a list of shapes for several results
    type:   of the numbers in the result, or in the first of several
    """

    name: str
    arguments: Mapping[str, Any]
    shapes: Mapping[str, Any]
    types: Mapping[str, str]
    out: Any
    type: str
    builder: Builder

    def __getitem__(self, name: str) -> Any:
        return self.arguments.get(name)

    def shape(self, name: str = "self") -> Shape:
        """The shape of an argument. Raises NotTranslated if it depends on values."""
        return known(self.shapes.get(name))

    def listed(self, name: str) -> list[Shape | None]:
        """The shapes of an argument that is a list of tensors."""
        found: list[Shape | None] = self.shapes[name]
        return found

    @property
    def first(self) -> str:
        """The name of the main argument."""
        return "self" if "self" in self.arguments else "input" if "input" in self.arguments else next(iter(self.shapes))

    def operand(self, name: str) -> Any:
        """An argument as an operand; a Python number becomes a Constant."""
        value = self.arguments.get(name)
        return scalar(value) if name not in self.shapes and isinstance(value, int | float) else value

    def add(self, kind: str, operands: Sequence[Any], shape: Any = ..., **attributes: Value | None) -> Any:
        """Add a vertex and return it; an operation on constants only is a Constant.

        Operands are vertices, Constants or None; attributes that are None are left out.
        """
        size = self.out if shape is ... else shape
        operands = [_operand(operand) for operand in operands]
        if not any(isinstance(operand, int) for operand in operands):
            constants = [operand for operand in operands if isinstance(operand, Constant)]
            if not constants:
                raise NotTranslated
            return joined(constants, size)
        given = {name: value for name, value in attributes.items() if value is not None}
        return self.builder.add(kind, size, operands, given)

    def cut(self, source: Any, shape: Shape, axis: int, start: int, end: int, step: int = 1) -> Any:
        """Part of a value along one axis."""
        op = slices(shape, (axis,), (start,), (end,), (step,))
        return self.add("Slice", [source], op.shape, **dict(op.attributes))

    def gather(self, source: Any, shape: Shape, axis: int, index: Shape) -> tuple[Any, Shape]:
        """Gather along one axis with constant indices of this shape; also the shape of the result."""
        size = (*shape[:axis], *index, *shape[axis + 1 :])
        return self.add("Gather", [source, Constant(index)], size, axis=axis), size


Translation = Callable[[Call], Any]


def known(shape: Any) -> Shape:
    """The shape. Raises NotTranslated if there is none."""
    if shape is None:
        raise NotTranslated
    found: Shape = shape
    return found


def _operand(value: Any) -> Operand:
    """The operand, or None if it is neither a vertex nor a Constant; ``scalar`` makes Constants of numbers."""
    return value if isinstance(value, int | Constant) else None


def joined(parts: Sequence[Constant], shape: Shape | None) -> Constant:
    """A constant that is computed from others."""
    return Constant(shape, tensors=merged(tensor for part in parts for tensor in part.tensors), certain=True)


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
