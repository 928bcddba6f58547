"""A network with information about its source: the names of the operations, and which operations are known."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from narformer.errors import printable
from narformer.network.graph import Architecture
from narformer.network.ops import OPS, filled

__all__ = ["Coverage", "SourceNetwork"]


NAMED = 3  # unreached inputs and parameters whose names are shown


@dataclass(frozen=True)
class Coverage:
    """Counts of the operations that were read.

    nodes:     number of operations in the source, after inlining of functions
    known:     kind -> number of vertices, for kinds of the op table
    unknown:   kind -> number of vertices, for all other kinds; they are kept, but their cost is not counted
    shapeless: vertices whose output shape is not known
    dropped:   reason -> number of operations that were left out ("constant": they do not depend on an input; "dead": no
               output depends on them)
    unreached: input or parameter that no output depends on -> number of its values; stated for PyTorch modules only
    """

    nodes: int
    known: Mapping[str, int]
    unknown: Mapping[str, int]
    shapeless: tuple[int, ...]
    dropped: Mapping[str, int]
    unreached: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, architecture: Architecture, nodes: int, dropped: Mapping[str, int]) -> "Coverage":
        """The coverage of an architecture that was read from ``nodes`` operations."""
        kinds = Counter(op.kind for op in architecture.ops)
        return cls(
            nodes,
            {kind: count for kind, count in kinds.items() if kind in OPS},
            {kind: count for kind, count in kinds.items() if kind not in OPS},
            tuple(v for v, op in enumerate(architecture.ops) if op.shape is None),
            dict(dropped),
        )

    def __str__(self) -> str:
        known, unknown = sum(self.known.values()), sum(self.unknown.values())
        parts = [f"{known} of {known + unknown} operations known"]
        if unknown:
            parts.append("UNKNOWN: " + ", ".join(f"{kind} x {count}" for kind, count in sorted(self.unknown.items())))
        if self.shapeless:
            parts.append(f"{len(self.shapeless)} without a known shape")
        parts += [f"{count} dropped ({reason})" for reason, count in sorted(self.dropped.items())]
        if self.unreached:
            names = [*list(self.unreached)[:NAMED], *(["…"] if len(self.unreached) > NAMED else [])]
            parts.append(f"NO OUTPUT DEPENDS ON {sum(self.unreached.values()):,} values ({', '.join(names)})")
        return "; ".join(parts)


@dataclass(frozen=True)
class SourceNetwork:
    """A network as its source (a file, a module, or a family) describes it.

    architecture: kinds under their names in the op table, defaults filled in; otherwise unchanged, not ``canonical``
    names:        per vertex, the name of the operation in the source; printable, for people
    modules:      per vertex, the path of its module ("layer1.0.conv1"); "" if the source does not state it
    external:     names of tensors whose values are in other files; those files were not opened
    precision:    format of most stored numbers ("float32", "int8"); of most inputs if no numbers are stored; "" for any
                  other format
    """

    architecture: Architecture
    coverage: Coverage
    names: tuple[str, ...]
    modules: tuple[str, ...]
    external: tuple[str, ...] = ()
    precision: str = ""

    @property
    def title(self) -> str:
        """Its name, made printable."""
        return printable(self.architecture.name)

    @classmethod
    def of(cls, architecture: Architecture) -> "SourceNetwork":
        """The source network of an architecture that this package made, such as a network of a family.

        Operations are named by kind and vertex, as in the ONNX file that ``to_onnx`` writes, and compute in float32.
        """
        ops = tuple(map(filled, architecture.ops))
        plain = Architecture(ops, architecture.edges, architecture.name, architecture.slots)
        names = tuple(f"{op.kind}_{vertex}" for vertex, op in enumerate(ops))
        nodes = sum(op.kind != "Input" for op in ops)
        return cls(plain, Coverage.of(plain, nodes, {}), names, ("",) * len(ops), precision="float32")
