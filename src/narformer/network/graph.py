"""The graph of a network: operations with attributes and output shapes, and directed edges between them."""

import heapq
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

from narformer.errors import BadArchitecture
from narformer.network.tensors import ConstantOperand

Value = int | float | str | tuple[int, ...]


@dataclass(frozen=True)
class Op:
    """One operation of a network.

    ``kind`` is a name of the op table (``Conv``) or a symbol of a cell space (``conv3x3-bn-relu``);
    ``attributes`` are (name, value) pairs sorted by name; ``shape`` is the output shape, batch first,
    or None if it is not known (cell symbols do not have one). ``constants`` are the operands that are not vertices,
    in the order of their slots. Weights that follow from kind and shapes (``weights``) may be left out.
    """

    kind: str
    attributes: tuple[tuple[str, Value], ...] = ()
    shape: tuple[int, ...] | None = None
    constants: tuple[ConstantOperand, ...] = ()

    @classmethod
    def of(cls, kind: str, shape: tuple[int, ...] | None = None, **attributes: Value) -> "Op":
        """An Op with its attributes given by keyword."""
        return cls(kind, tuple(sorted(attributes.items())), shape)

    def get(self, name: str, default: Value | None = None) -> Value | None:
        """The attribute called ``name``, or ``default``."""
        for key, value in self.attributes:
            if key == name:
                return value
        return default


@dataclass(frozen=True)
class Architecture:
    """A directed acyclic graph of operations; every edge (i, j) points forward, i < j.

    ``edges`` are sorted; a pair is repeated if the value is used several times (x + x). ``name`` is for people
    and is ignored by equality. ``slots`` has one entry per edge: the operand position at the target (a - b). It is
    empty if all are 0, as in cells, where the order of operands does not matter.

    Raises BadArchitecture if an edge leaves the graph or does not point forward, or if slots do not fit the edges;
    ``Architecture.sorted`` accepts any order of the vertices.
    """

    ops: tuple[Op, ...]
    edges: tuple[tuple[int, int], ...]
    name: str = field(default="", compare=False)
    slots: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.slots:
            if len(self.slots) != len(self.edges):
                raise BadArchitecture(
                    f"{len(self.slots)} slots for {len(self.edges)} edges; expected one for each edge"
                )
            both = sorted(zip(self.edges, self.slots, strict=True))
            object.__setattr__(self, "slots", tuple(slot for _, slot in both) if any(self.slots) else ())
        object.__setattr__(self, "edges", tuple(sorted(self.edges)))
        for source, target in self.edges:
            if not 0 <= source < target < len(self.ops):
                raise BadArchitecture(
                    f"edge {source}->{target} is not a forward edge between vertices 0 to {len(self.ops) - 1}; "
                    "give the vertices in topological order"
                )

    @classmethod
    def sorted(
        cls, ops: Iterable[Op], edges: Iterable[tuple[int, int]], name: str = "", slots: Iterable[int] = ()
    ) -> "Architecture":
        """The architecture with its vertices put in topological order (Kahn; ties keep the given order).

        Raises BadArchitecture with the vertices of a cycle if the edges close one.
        """
        ops, edges = tuple(ops), tuple(edges)
        order = topological_order(len(ops), edges)
        rank = {vertex: position for position, vertex in enumerate(order)}
        ranked = tuple((rank[i], rank[j]) for i, j in edges)
        return cls(tuple(ops[v] for v in order), ranked, name, tuple(slots))

    def __len__(self) -> int:
        return len(self.ops)

    def parents(self) -> list[list[int]]:
        """For each vertex the vertices it reads, ascending, repeated if it reads one several times."""
        parents: list[list[int]] = [[] for _ in self.ops]
        for source, target in self.edges:
            parents[target].append(source)
        return parents

    def operands(self) -> tuple[tuple[tuple[int, int], ...], ...]:
        """For each vertex its (slot, parent) pairs, ascending; all slots are 0 if the architecture has no slots."""
        return self._operands

    @cached_property
    def _operands(self) -> tuple[tuple[tuple[int, int], ...], ...]:
        operands: list[list[tuple[int, int]]] = [[] for _ in self.ops]
        for (source, target), slot in zip(self.edges, self.slots or (0,) * len(self.edges), strict=True):
            operands[target].append((slot, source))
        return tuple([tuple(sorted(pairs)) for pairs in operands])

    def children(self) -> list[list[int]]:
        """For each vertex the vertices that read it, ascending."""
        children: list[list[int]] = [[] for _ in self.ops]
        for source, target in self.edges:
            children[source].append(target)
        return children


def topological_order(count: int, edges: Iterable[tuple[int, int]]) -> list[int]:
    """Vertices 0..count-1 in topological order, the smallest ready vertex first.

    Raises BadArchitecture if an edge leaves the graph or the edges close a cycle.
    """
    children: list[list[int]] = [[] for _ in range(count)]
    waiting = [0] * count
    for source, target in edges:
        if not (0 <= source < count and 0 <= target < count):
            raise BadArchitecture(f"edge {source}->{target} leaves the graph of {count} vertices (0 to {count - 1})")
        children[source].append(target)
        waiting[target] += 1
    ready = [v for v in range(count) if waiting[v] == 0]
    order: list[int] = []
    while ready:
        vertex = heapq.heappop(ready)
        order.append(vertex)
        for child in children[vertex]:
            waiting[child] -= 1
            if waiting[child] == 0:
                heapq.heappush(ready, child)
    if len(order) < count:
        cycle = _a_cycle(children, {v for v in range(count) if waiting[v] > 0})
        raise BadArchitecture(
            f"the edges close a cycle: {' -> '.join(map(str, cycle))}; a network must be acyclic, remove one of them"
        )
    return order


def _a_cycle(children: list[list[int]], stuck: set[int]) -> list[int]:
    """One cycle among the vertices that Kahn's algorithm could not order, first vertex repeated."""
    parents: dict[int, int] = {c: v for v in stuck for c in children[v] if c in stuck}
    path, seen = [min(parents)], set()
    while path[-1] not in seen:
        seen.add(path[-1])
        path.append(parents[path[-1]])
    cycle = path[path.index(path[-1]) :]
    return cycle[::-1]
