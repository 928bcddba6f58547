"""A network together with its source: the names of its operations there, and which of them are known."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from narformer.errors import printable
from narformer.network.graph import Architecture
from narformer.network.ops import OPS, filled

__all__ = ["Coverage", "SourceNetwork"]


@dataclass(frozen=True)
class Coverage:
    """What became of the operations that were read.

    nodes:     operations in the source, after inlining of functions
    known:     kind -> vertices of that kind, for kinds of the op table
    unknown:   kind -> vertices of that kind, for all others; they are kept, and cost nothing that is counted
    shapeless: vertices whose output shape is not known
    dropped:   reason -> operations that became no vertex ("constant": no input reaches it; "dead": no output needs it)
    """

    nodes: int
    known: Mapping[str, int]
    unknown: Mapping[str, int]
    shapeless: tuple[int, ...]
    dropped: Mapping[str, int]

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
        return "; ".join(parts)


@dataclass(frozen=True)
class SourceNetwork:
    """A network as its source has it: a file, a module, or a family.

    architecture: every kind canonical, defaults filled, as the source wrote it otherwise; ``canonical`` unifies it
    names:        per vertex, what the source calls the operation; printable, for people
    modules:      per vertex, the path of its module ("layer1.0.conv1") where the source tells, else ""
    external:     stored values whose contents lie in other files, by name; they were not opened
    precision:    format of most of its stored numbers ("float32", "int8"), else of its inputs; "" where it has another
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
        """The source network of an architecture that we made ourselves, such as a network of a family.

        Its operations are called after their kind and vertex, as in the ONNX file that ``to_onnx`` writes of it, and
        compute in float32.
        """
        ops = tuple(map(filled, architecture.ops))
        plain = Architecture(ops, architecture.edges, architecture.name, architecture.slots)
        names = tuple(f"{op.kind}_{vertex}" for vertex, op in enumerate(ops))
        nodes = sum(op.kind != "Input" for op in ops)
        return cls(plain, Coverage.of(plain, nodes, {}), names, ("",) * len(ops), precision="float32")
