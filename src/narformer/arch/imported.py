"""What reading a network gives: the architecture, where its operations came from, what was not understood."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from narformer.arch.graph import Architecture, Op, Value
from narformer.arch.ops import OPS, filled
from narformer.arch.sketch import Sketch

__all__ = ["Builder", "Constant", "Coverage", "Imported", "Operand", "Shape", "printable", "same_padding", "slices"]

Shape = tuple[int, ...]
NAME_LENGTH = 200  # of a name that people see; longer ones are cut


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
class Imported:
    """A network that was read.

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


@dataclass
class Constant:
    """A value that no input of the network reaches: weight, scalar, shape. ``values`` only where small and known.

    code: the bytes of the array that the values were taken from, empty where they come from elsewhere: constants are
          told apart by them much faster than by their values
    """

    shape: Shape | None
    values: Sequence[int | float] | None = None
    code: bytes = field(default=b"", compare=False, repr=False)

    @property
    def count(self) -> int:
        """Number of values; 1 where the shape is not known."""
        total = 1
        for size in self.shape or ():
            total *= size
        return total

    @property
    def scalar(self) -> int | float | None:
        """Its one value, where it has one that is known."""
        return self.values[0] if self.values is not None and len(self.values) == 1 else None


Operand = int | Constant | None


@dataclass
class Builder:
    """Vertices being added from a source, with their names; operands are vertices, constants or absent."""

    sketch: Sketch = field(default_factory=Sketch)
    names: dict[int, tuple[str, str]] = field(default_factory=dict)
    dropped: Counter[str] = field(default_factory=Counter)
    label: tuple[str, str] = ("", "")  # name and module of the operations that are added next

    def add(
        self, kind: str, shape: Shape | None, operands: Sequence[Operand], attributes: Mapping[str, Value] | None = None
    ) -> int:
        """A vertex; its constant operands become the attributes ``constant`` and, for one scalar, ``value``."""
        values: dict[str, Value] = dict(attributes or {})
        constants = [operand for operand in operands if isinstance(operand, Constant)]
        if constants:
            values["constant"] = sum(constant.count for constant in constants)
            scalar = constants[0].scalar if len(constants) == 1 else None
            if scalar is not None:
                values.setdefault("value", float(scalar))
        op = filled(Op.of(kind, shape, **values))
        vertex = self.sketch.add(op, [(slot, v) for slot, v in enumerate(operands) if isinstance(v, int)])
        self.names[vertex] = self.label
        return vertex

    def copy(self, part: "Builder", operands: Iterable[int]) -> list[int]:
        """Add what another builder has added; the vertices that stand for its own, the first of them ``operands``.

        Alike operations that are built once and copied are one object.
        """
        vertices = list(operands)
        for v in part.names:
            vertex = self.sketch.add(part.sketch.ops[v], [(slot, vertices[s]) for slot, s in part.sketch.operands[v]])
            self.names[vertex] = self.label
            vertices.append(vertex)
        for reason, count in part.dropped.items():
            self.dropped[reason] += count
        return vertices

    def finished(self, outputs: Sequence[int], nodes: int, name: str) -> Imported:
        """The result. Raises BadArchitecture where the operations close a cycle."""
        before = len(self.sketch.ops)
        self.sketch.keep(outputs)
        kept = sum(v in self.names for v in self.sketch.ops)
        if before > kept:
            self.dropped["dead"] += before - kept
        architecture, vertices = self.sketch.drawn(name)
        kinds = Counter(op.kind for op in architecture.ops)
        labels = [self.names.get(v, ("", "")) for v in vertices]
        coverage = Coverage(
            nodes,
            {kind: count for kind, count in kinds.items() if kind in OPS},
            {kind: count for kind, count in kinds.items() if kind not in OPS},
            tuple(v for v, op in enumerate(architecture.ops) if op.shape is None),
            dict(self.dropped),
        )
        return Imported(
            architecture, coverage, tuple(label[0] for label in labels), tuple(label[1] for label in labels)
        )


def printable(name: str) -> str:
    """The name without control characters, cut to a length that people can read."""
    text = name[: NAME_LENGTH + 1]
    if not text.isprintable():
        text = "".join(c if c.isprintable() else "?" for c in text)
    return text if len(text) <= NAME_LENGTH else text[: NAME_LENGTH - 1] + "…"


def slices(shape: Shape, axes: Sequence[int], starts: Sequence[int], ends: Sequence[int], steps: Sequence[int]) -> Op:
    """A Slice of a value of this shape: axes ascending, bounds inside it, axes that are kept whole left out."""
    cuts: dict[int, range] = {}
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        cuts[axis % len(shape)] = range(*slice(start, end, step).indices(shape[axis]))
    size = tuple(len(cuts[axis]) if axis in cuts else count for axis, count in enumerate(shape))
    real = sorted((axis, cut) for axis, cut in cuts.items() if cut != range(shape[axis]))
    return Op.of(
        "Slice",
        size,
        axes=tuple(axis for axis, _ in real),
        starts=tuple(cut.start for _, cut in real),
        ends=tuple(cut.stop for _, cut in real),
        steps=tuple(cut.step for _, cut in real),
    )


def same_padding(shape: Shape, kernel: Shape, strides: Shape, dilations: Shape, upper: bool) -> Shape:
    """The padding by which a window over an image of this shape gives ceil(size / stride) positions."""
    begins, ends = [], []
    for size, k, stride, dilation in zip(shape, kernel, strides, dilations, strict=True):
        total = max((-(-size // stride) - 1) * stride + (k - 1) * dilation + 1 - size, 0)
        less, more = total // 2, total - total // 2
        begins.append(less if upper else more)
        ends.append(more if upper else less)
    return (*begins, *ends)
