"""The canonical form of an architecture, the same for every way of writing the network down, and its fingerprint.

Aliases are resolved, defaults filled in, operations that pass their input on are dropped, and the vertices are put in a
topological order that depends on the structure alone: by depth, then by colour. Colours are digests of a vertex and all
that lies before and behind it, refined by the neighbours' colours until nothing splits; vertices that still share a
colour are told apart one at a time (McKay & Piperno 2014, "Practical graph isomorphism, II", without its full search).
"""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from narformer.arch.graph import Architecture, Op, Value
from narformer.arch.ops import ALIASES, OPS

__all__ = ["FORM", "canonical", "fingerprint"]

FORM = 1  # of the fingerprint: raise it when the canonical form of any network changes
PASSING_ON = ("Identity", "Dropout")
# How many trial refinements may tell alike vertices apart. Networks of many long identical branches reach it; from
# there on alike vertices are taken for interchangeable, as in such networks they are.
TRIALS = 1000


def canonical(architecture: Architecture) -> Architecture:
    """The same network with aliases resolved, defaults filled in, pass-through operations dropped, in unique order.

    An Identity or Dropout stays, as Identity, where it alone marks as an output a value that is used elsewhere, too.
    Operations that are not in the op table are kept as they are.
    """
    plain = _without_pass_through(replace(architecture, ops=tuple(_filled(op) for op in architecture.ops)))
    order = _canonical_order(plain)
    rank = {vertex: position for position, vertex in enumerate(order)}
    edges = tuple((rank[i], rank[j]) for i, j in plain.edges)
    return Architecture(tuple(plain.ops[v] for v in order), edges, architecture.name)


def fingerprint(architecture: Architecture) -> str:
    """SHA-256 of the canonical form, 64 hexadecimal digits. Names and weights do not enter."""
    form = canonical(architecture)
    ops = [[op.kind, op.attributes, op.shape] for op in form.ops]
    text = json.dumps([FORM, ops, form.edges], separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _filled(op: Op) -> Op:
    name = ALIASES.get(op.kind, op.kind)
    if name not in OPS:
        return replace(op, kind=name, attributes=tuple(sorted(op.attributes)))
    attributes: dict[str, Value] = dict(op.attributes)
    for attribute, default in OPS[name].attributes.items():
        value = default(op) if callable(default) else default
        if value is not None:
            given = attributes.setdefault(attribute, value)
            if isinstance(value, int | float) and isinstance(given, int | float):
                attributes[attribute] = type(value)(given)  # 1, 1.0 and True are one value to Python, not in JSON
    return replace(op, kind=name, attributes=tuple(sorted(attributes.items())))


def _without_pass_through(architecture: Architecture) -> Architecture:
    parents = architecture.parents()
    read = {i for i, _ in architecture.edges}
    passing = [op.kind in PASSING_ON and len(above) == 1 for op, above in zip(architecture.ops, parents, strict=True)]
    origin = list(range(len(architecture)))  # the vertex whose value this one is
    for v, above in enumerate(parents):
        if passing[v]:
            origin[v] = origin[above[0]]
    inner = {v for v in range(len(architecture)) if passing[v] and v in read}
    uses = Counter(origin[i] for i, j in architecture.edges if j not in inner)
    marks = {v for v in range(len(architecture)) if passing[v] and v not in read and uses[origin[v]] > 1}
    kept = [v for v in range(len(architecture)) if not passing[v] or v in marks]
    rank = {vertex: position for position, vertex in enumerate(kept)}
    ops = tuple(Op("Identity", (), architecture.ops[v].shape) if v in marks else architecture.ops[v] for v in kept)
    edges = tuple((rank[origin[i]], rank[j]) for i, j in architecture.edges if j in rank)
    return Architecture(ops, edges, architecture.name)


def _canonical_order(architecture: Architecture) -> list[int]:
    parents, children = architecture.parents(), architecture.children()
    colours = _Colours.of(architecture, parents, children)
    colours.refine(range(len(architecture)))
    trials = TRIALS
    while tied := colours.smallest_tie():
        best = tied[0]
        if trials >= len(tied):
            trials -= len(tied)
            best = min(tied, key=colours.trial)
        colours.single_out(best)
    depth = [0] * len(architecture)
    for v, above in enumerate(parents):
        depth[v] = max((depth[p] + 1 for p in above), default=0)
    return sorted(range(len(architecture)), key=lambda v: (depth[v], colours.of_vertex[v]))


@dataclass
class _Colours:
    """A colour per vertex and the vertices of each colour; nothing in it depends on how vertices are numbered.

    The journal holds the colours that vertices had before a trial.
    """

    parents: list[list[int]]
    children: list[list[int]]
    of_vertex: list[str]
    members: dict[str, set[int]]
    journal: dict[int, str] = field(default_factory=dict)

    @classmethod
    def of(cls, architecture: Architecture, parents: list[list[int]], children: list[list[int]]) -> "_Colours":
        """First colours: the operation and everything before it and behind it, in one sweep each way."""
        count = len(architecture)
        own = [repr((op.kind, op.attributes, op.shape)) for op in architecture.ops]
        # Alike vertices with the same neighbours can be swapped: number them at once, whichever comes first.
        twins: Counter[tuple[str, tuple[int, ...], tuple[int, ...]]] = Counter()
        for v in range(count):
            twin = (own[v], tuple(parents[v]), tuple(children[v]))
            own[v] = _digest(own[v], twins[twin])
            twins[twin] += 1
        before, behind = list(own), list(own)
        for v in range(count):
            before[v] = _digest(own[v], sorted(before[p] for p in parents[v]))
        for v in reversed(range(count)):
            behind[v] = _digest(own[v], sorted(behind[c] for c in children[v]))
        of_vertex = [_digest(before[v], behind[v]) for v in range(count)]
        members: defaultdict[str, set[int]] = defaultdict(set)
        for v, colour in enumerate(of_vertex):
            members[colour].add(v)
        return cls(parents, children, of_vertex, dict(members))

    def smallest_tie(self) -> list[int]:
        """The vertices of the smallest colour class with more than one, the first colour among equals; or none."""
        ties = [(len(vertices), colour) for colour, vertices in self.members.items() if len(vertices) > 1]
        return sorted(self.members[min(ties)[1]]) if ties else []

    def trial(self, vertex: int) -> str:
        """What single_out would return; nothing is changed."""
        self.journal = {}
        trace = self.single_out(vertex)
        for v, colour in dict(self.journal).items():
            self._recolour(v, colour)
        self.journal = {}
        return trace

    def single_out(self, vertex: int) -> str:
        """Give the vertex a colour of its own, refine, and return a digest of all that was seen on the way."""
        self._recolour(vertex, _digest(self.of_vertex[vertex], "alone"))
        return self.refine([vertex])

    def refine(self, changed: Sequence[int]) -> str:
        """Split the classes whose members see different colours around them, until none does."""
        trace: list[list[tuple[str, int]]] = []
        while changed:
            near = {self.of_vertex[n] for v in changed for n in (*self.parents[v], *self.children[v])}
            seen = [self._parts(colour) for colour in near]
            # A class that does not split is part of the trace too: it tells which colours it now sees.
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
        for v in self.members[colour]:
            around = [sorted(self.of_vertex[n] for n in side) for side in (self.parents[v], self.children[v])]
            parts[_digest(colour, around)].append(v)
        return parts


def _digest(*parts: object) -> str:
    return hashlib.blake2b(repr(parts).encode(), digest_size=16).hexdigest()
