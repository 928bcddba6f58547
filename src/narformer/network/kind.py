"""What the table of operations states of one kind of operation."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from narformer.network import counting as count
from narformer.network.counting import Rule
from narformer.network.graph import Op, Value

__all__ = ["Default", "Kind"]

Default = Value | None | Callable[[Op], Value]


@dataclass(frozen=True)
class Kind:
    """One kind of operation.

    attributes:  name -> default; a function computes it from the operation; None means no default
    aliases:     other names of the same kind
    commutative: whether the order of its operands does not matter
    macs, flops, read, written: its costs, counted as above; read and written in bytes
    """

    attributes: Mapping[str, Default] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()
    commutative: bool = False
    macs: Rule = count.nothing
    flops: Rule = count.nothing
    read: Rule = count.read_all
    written: Rule = count.written
