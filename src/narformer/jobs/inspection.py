"""Contents and cost of an ONNX file: in total, per layer, kind of operation and module. Does not need torch."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import isnan
from pathlib import Path

from narformer.errors import printable
from narformer.jobs.comparing import Comparison, compared, profile_of_network
from narformer.jobs.networks import read_network
from narformer.network.canonical import fingerprint
from narformer.network.cost import Cost, cost
from narformer.network.source_network import Coverage, SourceNetwork

__all__ = ["CONVENTIONS", "Coverage", "Inspection", "Layer", "Part", "inspect", "inspected"]

LEVELS = 16  # of a module path; deeper modules count for the sixteenth
CONVENTIONS = {
    "macs": "multiply-adds of convolutions and matrix products, for the whole batch",
    "flops": "as NNLQP counts: a product of length n is 2n - 1, a bias 1, elementwise 1 per value, Relu and moves 0",
    "params": "values that training changes; a tensor that several layers read counts once",
    "constants": "other stored values: running means and variances, tables of positions, masks",
    "stored_bytes": "of both, in the types that the network stores",
    "activation_bytes": "read and written, weights not among them; a value is 4 bytes, a view moves nothing",
}


@dataclass(frozen=True)
class Layer:
    """One operation: name and module as the file has them, made printable; a count is None where there is no rule.

    ``share`` is its part of all MACs; of all FLOPs where the network has no MACs.
    """

    name: str
    module: str
    kind: str
    shape: tuple[int, ...] | None
    macs: int | None
    flops: int | None
    params: int
    stored_bytes: int
    read_bytes: int | None
    written_bytes: int | None
    share: float


@dataclass(frozen=True)
class Part:
    """Layers taken together: those of one kind, or those in one module and below; ``uncounted`` ones cost nothing."""

    name: str
    layers: int
    uncounted: int
    macs: int
    flops: int
    params: int
    stored_bytes: int
    read_bytes: int
    written_bytes: int
    share: float


@dataclass(frozen=True)
class Inspection:
    """The result of an inspection.

    name, fingerprint: of the network; the fingerprint is that of its canonical form, without names and weights
    operations, edges: size of the graph as the file has it, constants and dead ends left out
    inputs:            (name, shape) of each input; ``outputs``: the same of each value that no operation reads
    coverage:          the known operations, and those that were left out
    uncounted:         the operations that are not counted, each with the reason
    conventions:       count -> how it is counted
    layers:            in the order of the graph
    kinds:             the most expensive first
    modules:           in the order of the graph, each before those inside it; empty if the exporter kept no modules
    comparison:        the measured times of the layers; None without a profile
    """

    name: str
    fingerprint: str
    operations: int
    edges: int
    inputs: tuple[tuple[str, tuple[int, ...] | None], ...]
    outputs: tuple[tuple[str, tuple[int, ...] | None], ...]
    coverage: Coverage
    uncounted: tuple[str, ...]
    macs: int
    flops: int
    params: int
    constants: int
    stored_bytes: int
    activation_bytes: int
    conventions: Mapping[str, str]
    layers: tuple[Layer, ...]
    kinds: tuple[Part, ...]
    modules: tuple[Part, ...]
    comparison: Comparison | None = None

    def ranked(self) -> list[Layer]:
        """The layers, most MACs first, then most FLOPs, then in the order of the graph."""
        return sorted(self.layers, key=lambda layer: (-(layer.macs or 0), -(layer.flops or 0)))


def inspect(
    net: str | Path,
    dims: Mapping[str, int] | None = None,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
    profile: Path | None = None,
) -> Inspection:
    """Read a network as ``read_network`` does, and count its cost.

    profile: a file of profiles; the one of this network is laid on its layers

    Raises BadFile where it is not an ONNX model, BadArchitecture where dimensions are left open, UnknownName; BadFile
    as ``profile_of_network``.
    """
    return inspected(read_network(str(net), dims, shapes).network, profile)


def inspected(network: SourceNetwork, profile: Path | None = None) -> Inspection:
    """``inspect`` of a network that was read."""
    architecture = network.architecture
    counted = cost(architecture)
    layers = _layers(network, counted)
    sources = {source for source, _ in architecture.edges}
    kinds = _parts(((layer.kind,) for layer in layers), layers)
    print_ = fingerprint(architecture)
    return Inspection(
        name=printable(architecture.name),
        fingerprint=print_,
        operations=len(architecture),
        edges=len(architecture.edges),
        inputs=tuple((layer.name, layer.shape) for layer in layers if layer.kind == "Input"),
        outputs=tuple((layer.name, layer.shape) for v, layer in enumerate(layers) if v not in sources),
        coverage=network.coverage,
        uncounted=tuple(f"{layers[v].name} ({why})" for v, why in counted.unknown.items()),
        macs=counted.macs,
        flops=counted.flops,
        params=counted.params,
        constants=counted.constants,
        stored_bytes=counted.stored_bytes,
        activation_bytes=counted.activation_bytes,
        conventions=CONVENTIONS,
        layers=layers,
        kinds=tuple(sorted(kinds, key=lambda part: (-part.macs, -part.flops, part.name))),
        modules=_parts((_prefixes(layer.module) for layer in layers), layers),
        comparison=compared(network, profile_of_network(profile, network, print_)) if profile else None,
    )


def _layers(network: SourceNetwork, counted: Cost) -> tuple[Layer, ...]:
    rank, total = (counted.macs_N, counted.macs) if counted.macs else (counted.flops_N, counted.flops)
    stored = (counted.params_N, counted.stored_bytes_N)
    sizes = (counted.macs_N, counted.flops_N, *stored, counted.read_N, counted.written_N)
    columns = ([None if isnan(size) else int(size) for size in column.tolist()] for column in sizes)
    shares = [0.0 if isnan(size) or not total else size / total for size in rank.tolist()]
    kinds = [op.kind for op in network.architecture.ops]
    shapes = [op.shape for op in network.architecture.ops]
    return tuple(map(Layer, network.names, network.modules, kinds, shapes, *columns, shares))


def _prefixes(module: str) -> Iterator[str]:
    """'a', 'a.b' and 'a.b.c' of 'a.b.c'."""
    steps = module.split(".")[:LEVELS] if module else []
    for depth in range(len(steps)):
        yield ".".join(steps[: depth + 1])


def _parts(names: Iterable[Iterable[str]], layers: Iterable[Layer]) -> tuple[Part, ...]:
    """Sums over the layers of each name; a layer may have several. In the order of the names' first layers."""
    sums: dict[str, list[int]] = {}
    shares: dict[str, float] = {}
    for its_names, layer in zip(names, layers, strict=True):
        counts = (
            *(layer.macs, layer.flops, layer.params),
            *(layer.stored_bytes, layer.read_bytes, layer.written_bytes),
        )
        row = (1, int(None in counts), *(count or 0 for count in counts))
        for name in its_names:
            sums[name] = [a + b for a, b in zip(sums.get(name, (0,) * len(row)), row, strict=True)]
            shares[name] = shares.get(name, 0.0) + layer.share
    # A module may be left and entered again: sorted by its ancestors' first layers, then its own.
    first = {name: position for position, name in enumerate(sums)}
    order = sorted(sums, key=lambda name: [first.get(p, 0) for p in _prefixes(name)])
    columns = zip(*(sums[name] for name in order), strict=True)
    return tuple(map(Part, order, *columns, [shares[name] for name in order]))
