"""Shared parts of the readers: constants, operands, and the network under construction."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod

from narformer.formats.trained import decided
from narformer.network.graph import Op, Value
from narformer.network.mutable_graph import MutableGraph
from narformer.network.ops import DESCRIBED_FROM, OPS, filled
from narformer.network.source_network import Coverage, SourceNetwork
from narformer.network.tensors import ConstantOperand, Tensor
from narformer.network.weights import WEIGHTS, implied

__all__ = ["Builder", "Constant", "Operand", "Shape", "broadcast", "merged", "same_padding", "slices"]

Shape = tuple[int, ...]


@dataclass
class Constant:
    """A value that does not depend on an input: weight, scalar, shape. ``values`` is set if they are few and known.

    tensors: the stored tensors that it is computed from
    certain: whether the source states which tensors are trained; else kind and slot of the reader decide
    code:    the bytes of the array that holds the values, empty if there is no array; comparing bytes is much faster
             than comparing values
    """

    shape: Shape | None
    values: Sequence[int | float] | None = None
    tensors: tuple[Tensor, ...] = ()
    certain: bool = False
    code: bytes = field(default=b"", compare=False, repr=False)

    @property
    def count(self) -> int:
        """Number of values; 1 if the shape is not known."""
        return prod(self.shape or ())

    @property
    def scalar(self) -> int | float | None:
        """The value if there is exactly one and it is known, else None."""
        return self.values[0] if self.values is not None and len(self.values) == 1 else None


Operand = int | Constant | None
# Slots of constants whose contents are the operation's attributes: sizes, axes, bounds
SIZES: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(("Reshape", "Expand", "Tile", "Squeeze", "Unsqueeze", "TopK", "Trilu", "CumSum", "Split"), (1,)),
    **dict.fromkeys((kind for kind in OPS if kind.startswith("Reduce")), (1,)),
    **dict.fromkeys(("Slice", "Pad", "Resize", "Clip", "OneHot", "Dropout"), (1, 2, 3, 4)),
}
BY_SLOT = ("Einsum", "MatMul", "Gemm", "Attention")  # kinds whose work depends on the shapes of constants


def _content(constant: ConstantOperand) -> tuple[object, ...]:
    tensors = constant.tensors
    return constant.slot, constant.shape, sum(t.count for t in tensors), {replace(t, count=0) for t in tensors}


def listed_constants(kind: str, operands: Sequence[Operand]) -> tuple[ConstantOperand, ...]:
    """The constants of an operation, except sizes and bounds, and except a lone scalar that is not trained."""
    sizes = SIZES.get(kind, ())
    constants = [(slot, o) for slot, o in enumerate(operands) if isinstance(o, Constant) and slot not in sizes]
    found = []
    for slot, operand in constants:
        stored = operand.tensors
        tensors = stored if operand.certain else decided(kind, slot, stored, operand.count)
        if len(constants) > 1 or operand.count > 1 or kind in BY_SLOT or any(tensor.trained for tensor in tensors):
            found.append(ConstantOperand(slot, operand.shape, tensors))
    return tuple(found)


@dataclass
class Builder:
    """A network under construction, with the names of its vertices; operands are vertices, constants or None."""

    graph: MutableGraph = field(default_factory=MutableGraph)
    names: dict[int, tuple[str, str]] = field(default_factory=dict)
    dropped: Counter[str] = field(default_factory=Counter)
    label: tuple[str, str] = ("", "")  # name and module of the operations that are added next
    tensors: int = 0  # number of tensors that have an identity

    def identified(self, tensor: Tensor) -> Tensor:
        """The tensor with an identity of its own."""
        self.tensors += 1
        return replace(tensor, identity=self.tensors)

    def add(
        self, kind: str, shape: Shape | None, operands: Sequence[Operand], attributes: Mapping[str, Value] | None = None
    ) -> int:
        """Add a vertex with its constants.

        The number of values in constants that the attributes do not describe becomes the attribute ``constant``, and a
        single scalar also ``value``; those of Where are ``value`` and ``otherwise``. Weights that the kind implies are
        left out.
        """
        values: dict[str, Value] = dict(attributes or {})
        described = DESCRIBED_FROM.get(kind, len(operands))
        constants = [operand for operand in operands[:described] if isinstance(operand, Constant)]
        if constants:
            values["constant"] = sum(constant.count for constant in constants)
            scalar = constants[0].scalar if len(constants) == 1 else None
            if scalar is not None:
                values.setdefault("value", float(scalar))
            elif kind == "Where":
                names = zip(("value", "otherwise"), constants, strict=False)
                values |= {name: float(c.scalar) for name, c in names if c.scalar is not None}
        op = filled(Op.of(kind, shape, **values))
        vertices = [(slot, v) for slot, v in enumerate(operands) if isinstance(v, int)]
        listed = listed_constants(op.kind, operands)
        if listed and not self._implied(op, vertices, listed):
            op = replace(op, constants=listed)
        vertex = self.graph.add(op, vertices)
        self.names[vertex] = self.label
        return vertex

    def _implied(self, op: Op, vertices: list[tuple[int, int]], constants: tuple[ConstantOperand, ...]) -> bool:
        """Whether the constants are the weights that kind and shapes imply."""
        shapes = {slot: shape for slot, v in vertices if (shape := self.graph.ops[v].shape) is not None}
        if op.kind not in WEIGHTS or op.shape is None or len(shapes) < len(vertices):
            return False
        try:
            return [*map(_content, implied(op, shapes))] == [*map(_content, constants)]
        except (ValueError, IndexError, KeyError, ZeroDivisionError):
            return False

    def _settle(self) -> None:
        """Take the identity from tensors that only one operand is; one that any operation trains is trained."""
        ops = [(v, op) for v, op in self.graph.ops.items() if op.constants]
        trained = {t.identity for _, op in ops for constant in op.constants for t in constant.tensors if t.trained}
        uses = Counter(t.identity for _, op in ops for constant in op.constants for t in constant.tensors if t.identity)
        for v, op in ops if uses else ():
            if any(t.identity for constant in op.constants for t in constant.tensors):
                constants = _settled(op.constants, uses, trained)
                implied_ = self._implied(op, self.graph.operands[v], constants)
                self.graph.ops[v] = replace(op, constants=() if implied_ else constants)

    def copy(self, part: "Builder", operands: Iterable[int]) -> list[int]:
        """Add the vertices of another builder; return the vertex for each of its vertices, ``operands`` first.

        Copies of an operation share one Op object.
        """
        vertices = list(operands)
        for v in part.names:
            vertex = self.graph.add(part.graph.ops[v], [(slot, vertices[s]) for slot, s in part.graph.operands[v]])
            self.names[vertex] = self.label
            vertices.append(vertex)
        for reason, count in part.dropped.items():
            self.dropped[reason] += count
        return vertices

    def ends(self, outputs: Mapping[str, Operand]) -> list[int]:
        """The vertices of the outputs by name. A stored tensor that is itself an output, and trained, gets one."""
        found: list[int] = []
        for name, value in outputs.items():
            if isinstance(value, int):
                found.append(value)
            elif value is not None and any(tensor.trained for tensor in value.tensors):
                self.label = (name, "")
                found.append(self.add("Identity", value.shape, [value]))
        return found

    def finished(self, outputs: Sequence[int], nodes: int, name: str) -> SourceNetwork:
        """The result. Raises BadArchitecture if the operations close a cycle."""
        before = len(self.graph.ops)
        self.graph.keep(outputs)
        self._settle()
        kept = sum(v in self.names for v in self.graph.ops)
        if before > kept:
            self.dropped["dead"] += before - kept
        architecture, vertices = self.graph.drawn(name)
        labels = [self.names.get(v, ("", "")) for v in vertices]
        coverage = Coverage.of(architecture, nodes, self.dropped)
        return SourceNetwork(
            architecture, coverage, tuple(label[0] for label in labels), tuple(label[1] for label in labels)
        )


def _settled(
    constants: tuple[ConstantOperand, ...], uses: Counter[int], trained: set[int]
) -> tuple[ConstantOperand, ...]:
    def settled(tensor: Tensor) -> Tensor:
        if not tensor.identity:
            return tensor
        identity = tensor.identity if uses[tensor.identity] > 1 else 0
        return replace(tensor, trained=tensor.identity in trained, identity=identity)

    return tuple(replace(constant, tensors=tuple(map(settled, constant.tensors))) for constant in constants)


def merged(tensors: Iterable[Tensor]) -> tuple[Tensor, ...]:
    """The tensors that a value is computed from, each once; equal tensors without identity are several."""
    found: list[Tensor] = []
    for tensor in tensors:
        if not tensor.identity or tensor not in found:
            found.append(tensor)
    return tuple(found)


def broadcast(shapes: Sequence[Shape]) -> Shape | None:
    """The shape to which operands are broadcast; None if they do not fit."""
    rank = max(map(len, shapes), default=0)
    size = []
    for column in zip(*((1,) * (rank - len(shape)) + shape for shape in shapes), strict=True):
        wide = set(column) - {1}
        if len(wide) > 1:
            return None
        size.append(wide.pop() if wide else 1)
    return tuple(size)


def slices(shape: Shape, axes: Sequence[int], starts: Sequence[int], ends: Sequence[int], steps: Sequence[int]) -> Op:
    """A Slice of a value of this shape, with ascending axes and clipped bounds; axes that stay whole are left out."""
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
        # An end of -1 would be the last value; the end before the first value is any number below -size.
        ends=tuple(cut.stop if cut.stop >= 0 else -shape[axis] - 1 for axis, cut in real),
        steps=tuple(cut.step for _, cut in real),
    )


def same_padding(shape: Shape, kernel: Shape, strides: Shape, dilations: Shape, upper: bool) -> Shape:
    """The padding for which a window over an image of this shape has ceil(size / stride) positions."""
    begins, ends = [], []
    for size, k, stride, dilation in zip(shape, kernel, strides, dilations, strict=True):
        total = max((-(-size // stride) - 1) * stride + (k - 1) * dilation + 1 - size, 0)
        less, more = total // 2, total - total // 2
        begins.append(less if upper else more)
        ends.append(more if upper else less)
    return (*begins, *ends)
