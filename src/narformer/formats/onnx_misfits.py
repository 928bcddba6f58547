"""What the checks of operands share: a check looks at shapes by slot, and gives the reason why they do not fit."""

from collections.abc import Callable, Mapping, Sequence

from narformer.formats.builder import Shape
from narformer.formats.onnx_ops import Given

__all__ = ["Attributes", "Check", "Shapes", "first", "integer", "spread", "unlike", "unlike_shapes"]

Attributes = Mapping[str, Given]
Shapes = Sequence[Shape | None]
Check = Callable[[Attributes, Shapes, Shape | None], str]  # returns the reason, empty if the operands fit


def integer(attributes: Attributes, name: str, default: int) -> int:
    """An attribute if it is an integer, else the default."""
    value = attributes.get(name, default)
    return value if isinstance(value, int) else default


def unlike(found: int, expected: int, noun: str) -> str:
    """A reason if two numbers differ."""
    return "" if found == expected else f"{found:,} {noun} do not fit {expected:,}"


def unlike_shapes(noun: str, found: Shape | None, expected: Sequence[int | None]) -> str:
    """A reason if a known shape is not the expected one, in which None stands for any size."""
    if found is None:
        return ""
    fits = len(found) == len(expected) and all(e in (None, f) for f, e in zip(found, expected, strict=True))
    wanted = ", ".join("any" if size is None else str(size) for size in expected)
    return "" if fits else f"{noun} of shape {list(found)} are not [{wanted}]"


def spread(offset: Shape | None, out: Shape | None) -> str:
    """A reason if the offset cannot be broadcast to the output."""
    if offset is None or out is None:
        return ""
    fits = len(offset) <= len(out) and all(a in (1, b) for a, b in zip(offset[::-1], out[::-1], strict=False))
    return "" if fits else f"an operand of shape {list(offset)} cannot be broadcast to {list(out)}"


def first(*reasons: str) -> str:
    """The first reason that is not empty."""
    return next(filter(None, reasons), "")
