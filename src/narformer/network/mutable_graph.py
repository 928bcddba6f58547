"""A network that can be modified, used while it is read or unified: operations with ordered operands.

A vertex without readers is an output, as in an Architecture. Rules rewrite the last vertex of the part they replace, so
its readers do not change and an output stays an output. Vertices that lose their last reader are removed.
"""

from collections.abc import Iterable

from narformer.network.graph import Architecture, Op, Value, topological_order

__all__ = ["MutableGraph"]

Operands = list[tuple[int, int]]


class MutableGraph:
    """Operations by vertex number; ``operands`` are (slot, vertex) pairs; ``readers`` has one entry per operand."""

    def __init__(self) -> None:
        self.ops: dict[int, Op] = {}
        self.operands: dict[int, Operands] = {}
        self.readers: dict[int, list[int]] = {}
        self._next = 0

    @classmethod
    def of(cls, architecture: Architecture) -> "MutableGraph":
        """The same network with the same vertex numbers."""
        graph = cls()
        for op, operands in zip(architecture.ops, architecture.operands(), strict=True):
            graph.add(op, operands)
        return graph

    def add(self, op: Op, operands: Iterable[tuple[int, int]] = ()) -> int:
        """Add a vertex and return its number."""
        vertex = self._next
        self._next += 1
        self.ops[vertex], self.operands[vertex], self.readers[vertex] = op, list(operands), []
        for _, source in self.operands[vertex]:
            self.readers[source].append(vertex)
        return vertex

    def become(self, vertex: int, op: Op, operands: Iterable[tuple[int, int]]) -> None:
        """Replace operation and operands of a vertex; remove vertices that have no readers any more."""
        before, after = self.operands[vertex], list(operands)
        self.ops[vertex], self.operands[vertex] = op, after
        for _, source in after:
            self.readers[source].append(vertex)
        self._let_go(vertex, before)

    def retag(self, vertex: int, kind: str, **attributes: Value) -> None:
        """Replace kind and attributes of a vertex; its operands and shape stay."""
        self.ops[vertex] = Op.of(kind, self.ops[vertex].shape, **attributes)

    def bypass(self, vertex: int) -> bool:
        """Remove a vertex that returns its only operand; keep it, as Identity, if only it marks the value as output."""
        ((_, source),) = self.operands[vertex]
        if not self.readers[vertex] and len(self.readers[source]) > 1:
            op = Op("Identity", (), self.ops[vertex].shape)
            changed = self.ops[vertex] != op
            self.ops[vertex] = op
            return changed
        for reader in self.readers[vertex]:
            self.operands[reader] = [(slot, source if v == vertex else v) for slot, v in self.operands[reader]]
        self.readers[source] = [v for v in self.readers[source] if v != vertex] + self.readers[vertex]
        self._forget(vertex)
        return True

    def keep(self, outputs: Iterable[int]) -> None:
        """Remove all vertices that no output depends on; add an Identity to outputs that other vertices also read."""
        wanted = dict.fromkeys(outputs)
        live: set[int] = set()
        stack = list(wanted)
        while stack:
            vertex = stack.pop()
            if vertex not in live:
                live.add(vertex)
                stack += [source for _, source in self.operands[vertex]]
        dead = [v for v in self.ops if v not in live]
        for vertex in dead:
            self._forget(vertex)
        for vertex in self.ops if dead else ():
            self.readers[vertex] = [reader for reader in self.readers[vertex] if reader in live]
        for vertex in wanted:
            if self.readers[vertex]:
                self.add(Op("Identity", (), self.ops[vertex].shape), [(0, vertex)])

    def drawn(self, name: str = "") -> tuple[Architecture, list[int]]:
        """The architecture, and for each of its vertices the number in this graph.

        Raises BadArchitecture if the operations close a cycle.
        """
        kept = list(self.ops)
        place = {vertex: position for position, vertex in enumerate(kept)}
        pairs = [(place[source], place[v], slot) for v in kept for slot, source in self.operands[v]]
        order = topological_order(len(kept), [(i, j) for i, j, _ in pairs])
        rank = {vertex: position for position, vertex in enumerate(order)}
        edges = tuple((rank[i], rank[j]) for i, j, _ in pairs)
        vertices = [kept[position] for position in order]
        ops = tuple(self.ops[v] for v in vertices)
        return Architecture(ops, edges, name, tuple(slot for _, _, slot in pairs)), vertices

    def _forget(self, vertex: int) -> None:
        del self.ops[vertex], self.operands[vertex], self.readers[vertex]

    def _let_go(self, vertex: int, operands: Operands) -> None:
        stack = [(vertex, source) for _, source in operands]
        while stack:
            reader, source = stack.pop()
            self.readers[source].remove(reader)
            if not self.readers[source]:
                stack += [(source, below) for _, below in self.operands[source]]
                self._forget(source)
