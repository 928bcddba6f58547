"""The canonical form of an architecture, and its fingerprint. Equivalent descriptions of a network have the same form.

Aliases are resolved, defaults are filled in, and operations that return their input unchanged are dropped. Vertices are
put in a topological order that depends on the structure only: by depth, then by colour. The colour of a vertex is a
digest of the vertex, its ancestors and its descendants. Colours are refined by the colours of the neighbours until no
class splits. Vertices that still share a colour are then given distinct colours one at a time (McKay & Piperno 2014,
"Practical graph isomorphism, II", without its full search).
"""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from narformer.garbage_collection import collection_paused
from narformer.network.canonical_rules import unified
from narformer.network.graph import Architecture, Op
from narformer.network.ops import filled
from narformer.network.tensors import ConstantOperand

__all__ = ["FORM", "canonical", "canonical_and_origins", "fingerprint", "fingerprint_of"]

FORM = 5  # version of the canonical form: raise it when the form of any network changes
BASIS = 3  # version of the text that is hashed; networks whose form stays the same keep their fingerprint
# Maximum number of trial refinements. Networks of many long identical branches reach it. The remaining vertices of
# equal colour are then treated as interchangeable, which they are in such networks.
TRIALS = 1000
# Maximum number of times that a vertex is compared with its class, and more for each vertex of the network. Only
# networks in which many vertices can hardly be told apart, such as rings of hundreds of additions, reach it.
COMPARISONS, COMPARISONS_EACH = 100_000, 20
DONE = "_canonical"  # marks a canonical form, which need not be computed again

T = TypeVar("T")


def canonical(architecture: Architecture) -> Architecture:
    """The same network with aliases resolved, defaults filled in, equivalent forms unified, in unique order.

    The rules of ``canonical_rules`` are applied. Operations that return their input are dropped. Exception: an Identity
    or Dropout stays, as Identity, if it marks a value as an output that other operations also read.
    Operations that are not in the op table are kept unchanged. A canonical form is returned as it is.
    """
    return architecture if DONE in architecture.__dict__ else canonical_and_origins(architecture)[0]


def canonical_and_origins(architecture: Architecture) -> tuple[Architecture, tuple[int | None, ...]]:
    """``canonical``, and for each vertex the vertex of ``architecture`` with the same value; None for a new vertex."""
    with collection_paused():
        plain, origins = unified(replace(architecture, ops=tuple(_each_once(filled, architecture.ops))))
        order = _canonical_order(plain)
        rank = {vertex: position for position, vertex in enumerate(order)}
        edges = tuple([(rank[i], rank[j]) for i, j in plain.edges])
        ops = _numbered_tensors([plain.ops[v] for v in order])
        form = Architecture(tuple(ops), edges, architecture.name, plain.slots)
        form.__dict__[DONE] = True
        return form, tuple([origins[v] if origins[v] < len(architecture) else None for v in order])


def fingerprint(architecture: Architecture) -> str:
    """SHA-256 of the canonical form, 64 hexadecimal digits. Names and weights are not part of it."""
    return fingerprint_of(canonical(architecture))


def fingerprint_of(form: Architecture) -> str:
    """The fingerprint of an architecture that is already in canonical form."""
    ops = ",".join(_each_once(lambda op: _json([op.kind, op.attributes, op.shape]), form.ops))
    text = f"[{BASIS},[{ops}],{_json(form.edges)},{_json(form.slots)}]"
    return hashlib.sha256(text.encode()).hexdigest()


def _numbered_tensors(ops: list[Op]) -> list[Op]:
    """The operations with the identities of tensors numbered in the order of their first use."""
    numbers: dict[int, int] = {0: 0}

    def numbered(constant: ConstantOperand) -> ConstantOperand:
        tensors = [replace(t, identity=numbers.setdefault(t.identity, len(numbers))) for t in constant.tensors]
        return replace(constant, tensors=tuple(tensors))

    shared = [any(t.identity for constant in op.constants for t in constant.tensors) for op in ops]
    return [
        replace(op, constants=tuple(map(numbered, op.constants))) if numbering else op
        for op, numbering in zip(ops, shared, strict=True)
    ]


def _each_once(function: Callable[[Op], T], ops: Sequence[Op]) -> list[T]:
    """The function's value for each operation, computed once per object: readers share objects of equal operations."""
    distinct = {id(op): op for op in ops}  # by identity, because 1 == 1.0
    values = {key: function(op) for key, op in distinct.items()}
    return [values[id(op)] for op in ops]


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def _written(op: Op) -> str:
    return repr((op.kind, op.attributes, op.shape))


def _canonical_order(architecture: Architecture) -> list[int]:
    colours = _Colours.of(architecture)
    colours.refine(range(len(architecture)), traced=False)
    trials = TRIALS
    while colours.comparisons > 0 and (tied := colours.smallest_tie()):
        if colours.number_alike_parts():
            continue
        best = tied[0]
        if trials >= len(tied):
            trials -= len(tied)
            best = min(tied, key=colours.trial)  # once no comparison is left, trials take no time
        colours.single_out(best)
    depth = [0] * len(architecture)
    for v, operands in enumerate(colours.operands):
        depth[v] = max([depth[p] + 1 for _, p in operands], default=0)
    return sorted(range(len(architecture)), key=lambda v: (depth[v], colours.of_vertex[v]))


Ends = Sequence[Sequence[tuple[int, int]]]  # per vertex: (slot of the edge, vertex at its other end)


@dataclass
class _Colours:
    """The colour of each vertex and the vertices of each colour, independent of how the vertices are numbered.

    The journal holds the colours of vertices before a trial. ``comparisons`` is how many may still be made.
    """

    operands: Ends
    readers: Ends
    of_vertex: list[str]
    members: dict[str, set[int]]
    comparisons: int
    journal: dict[int, str] = field(default_factory=dict)

    @classmethod
    def of(cls, architecture: Architecture) -> "_Colours":
        """Initial colours: the operation, its ancestors and its descendants, in one sweep per direction."""
        count = len(architecture)
        operands = architecture.operands()
        readers: list[list[tuple[int, int]]] = [[] for _ in range(count)]
        for v, pairs in enumerate(operands):
            for slot, p in pairs:
                readers[p].append((slot, v))
        own = _each_once(_written, architecture.ops)
        # Equal vertices with the same neighbours can be swapped, so they can be numbered in any order.
        twins: dict[tuple[str, tuple[tuple[int, int], ...], tuple[tuple[int, int], ...]], int] = {}
        digests: dict[tuple[str, int], str] = {}  # of operations, most of which occur many times
        for v in range(count):
            twin = (own[v], tuple(operands[v]), tuple(readers[v]))
            number = twins.get(twin, 0)
            twins[twin] = number + 1
            numbered = (own[v], number)
            if numbered not in digests:
                digests[numbered] = _digest(*numbered)
            own[v] = digests[numbered]
        before, behind = list(own), list(own)
        for v in range(count):
            before[v] = _digest(own[v], sorted([(slot, before[p]) for slot, p in operands[v]]))
        for v in reversed(range(count)):
            behind[v] = _digest(own[v], sorted([(slot, behind[c]) for slot, c in readers[v]]))
        of_vertex = [before[v] + behind[v] for v in range(count)]
        members: defaultdict[str, set[int]] = defaultdict(set)
        for v, colour in enumerate(of_vertex):
            members[colour].add(v)
        return cls(operands, readers, of_vertex, dict(members), COMPARISONS + COMPARISONS_EACH * count)

    def smallest_tie(self) -> list[int]:
        """The vertices of the smallest class of two or more, ties by colour; an empty list if all classes have one."""
        ties = [(len(vertices), colour) for colour, vertices in self.members.items() if len(vertices) > 1]
        return sorted(self.members[min(ties)[1]]) if ties else []

    def number_alike_parts(self) -> bool:
        """Number connected parts that can be swapped, such as equal branches; False if there are no such parts.

        Colours are refined, so an edge does not distinguish vertices if one end has a unique colour or if the edges
        between the two colours are complete. Connect the vertices by all other edges. Two connected parts in which no
        colour occurs twice, and which have the same colours, have the same edges. They can be numbered in any order.
        """
        tied = {v for vertices in self.members.values() if len(vertices) > 1 for v in vertices}
        self.comparisons -= len(tied)
        between: defaultdict[tuple[str, str], list[tuple[int, int, int]]] = defaultdict(list)
        for v in tied:
            for slot, c in self.readers[v]:
                if c in tied:
                    between[self.of_vertex[v], self.of_vertex[c]].append((v, c, slot))
        near: defaultdict[int, list[int]] = defaultdict(list)
        for (one, other), edges in between.items():
            complete = len(self.members[one]) * len(self.members[other])
            if not (len(edges) == len({e[:2] for e in edges}) == complete and len({slot for *_, slot in edges}) == 1):
                for v, c, _ in edges:
                    near[v].append(c)
                    near[c].append(v)
        numbers: Counter[tuple[str, ...]] = Counter()
        changed = []
        for part in _parts_of(tied, near):
            key = tuple(sorted(self.of_vertex[v] for v in part))
            if len(set(key)) == len(key):
                changed += [(v, _digest(self.of_vertex[v], key, numbers[key])) for v in part]
                numbers[key] += 1
        for v, colour in changed:
            self._recolour(v, colour)
        self.refine([v for v, _ in changed], traced=False)
        return bool(changed)

    def trial(self, vertex: int) -> str:
        """The value that single_out would return; the colours are restored."""
        self.journal = {}
        trace = self.single_out(vertex)
        for v, colour in dict(self.journal).items():
            self._recolour(v, colour)
        self.journal = {}
        return trace

    def single_out(self, vertex: int) -> str:
        """Give the vertex a unique colour, refine, and return a digest of all intermediate classes."""
        self._recolour(vertex, _digest(self.of_vertex[vertex], "alone"))
        return self.refine([vertex])

    def refine(self, changed: Sequence[int], traced: bool = True) -> str:
        """Split classes whose members have neighbours of different colours, until no class splits.

        The returned digest of the intermediate classes is complete only if ``traced``.
        """
        trace: list[list[tuple[str, int]]] = []
        while changed and self.comparisons > 0:
            near = {self.of_vertex[n] for v in changed for _, n in (*self.operands[v], *self.readers[v])}
            seen = [self._parts(colour) for colour in near if traced or len(self.members[colour]) > 1]
            # A class that does not split is part of the trace too, because the colours around it may have changed.
            trace.append(sorted((colour, len(vertices)) for parts in seen for colour, vertices in parts.items()))
            moves = [(v, c) for parts in seen if len(parts) > 1 for c, vertices in parts.items() for v in vertices]
            for v, colour in moves:
                self._recolour(v, colour)
            changed = [v for v, _ in moves]
        return _digest(trace)

    def _recolour(self, vertex: int, colour: str) -> None:
        old = self.of_vertex[vertex]
        self.journal.setdefault(vertex, old)
        self.members[old].discard(vertex)
        if not self.members[old]:
            del self.members[old]
        self.members.setdefault(colour, set()).add(vertex)
        self.of_vertex[vertex] = colour

    def _parts(self, colour: str) -> dict[str, list[int]]:
        parts: defaultdict[str, list[int]] = defaultdict(list)
        self.comparisons -= len(self.members[colour])
        for v in self.members[colour]:
            around = [
                sorted((slot, self.of_vertex[n]) for slot, n in side) for side in (self.operands[v], self.readers[v])
            ]
            parts[_digest(colour, around)].append(v)
        return parts


def _parts_of(vertices: set[int], near: Mapping[int, Sequence[int]]) -> list[list[int]]:
    """The connected parts of the graph of these vertices."""
    parts, waiting = [], set(vertices)
    while waiting:
        part = [waiting.pop()]
        for v in part:  # the list grows during the loop
            fresh = waiting.intersection(near.get(v, ()))
            waiting -= fresh
            part += fresh
        parts.append(part)
    return parts


def _digest(*parts: object) -> str:
    return hashlib.blake2b(repr(parts).encode(), digest_size=16).hexdigest()
