"""Predicted attributes of a whole network: the value, its interval, and the share of each layer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from narformer.errors import BadPredictor
from narformer.jobs.asking import Asked, Net, ask
from narformer.jobs.comparing import Comparison, Predicted, compared, profile_of_network
from narformer.jobs.inspection import CONVENTIONS
from narformer.jobs.networks import read_network
from narformer.measure import Profile
from narformer.measure.network import batch_size
from narformer.network import Architecture
from narformer.network.canonical import fingerprint_of
from narformer.network.cost import cost
from narformer.network.kernels import kernels
from narformer.network.source_network import Coverage, SourceNetwork
from narformer.predictors import Answer, Predictor

__all__ = ["NetworkPrediction", "Share", "predict_module", "predict_network", "predictions"]


@dataclass(frozen=True)
class Share:
    """Operations that are computed together: their part of an additive attribute, in its unit and as a share.

    name, module, kind: of the operation that does the work, as the source has them
    joined:             kinds of those that are computed with it
    """

    name: str
    module: str
    kind: str
    joined: tuple[str, ...]
    value: float
    share: float


@dataclass(frozen=True)
class NetworkPrediction:
    """One attribute of one network by one predictor.

    value, low, high: in ``unit``; in the domain, the true value lies between the bounds with ``confidence``;
                      None where the predictor was not calibrated
    device:           where and how the attribute was measured for the training of the predictor
    distance:         from the nearest training network, ``nearest``; 1 is the edge of the domain
    in_domain:        whether the interval can be trusted; None where the predictor has no domain
    unlike:           how it differs from the networks measured for training: another batch, another precision
    uncounted:        operations whose cost is unknown, so that the value is too small
    layers:           the most expensive first; empty for attributes or predictors that have no shares
    comparison:       of a latency with a profile of the network; None without a profile
    """

    network: str
    fingerprint: str
    predictor: str
    attribute: str
    unit: str
    device: str
    value: float
    low: float | None
    high: float | None
    confidence: float | None
    coverage: Coverage
    uncounted: int
    in_domain: bool | None
    distance: float | None
    nearest: str
    unlike: tuple[str, ...]
    layers: tuple[Share, ...]
    macs: int
    flops: int
    params: int
    constants: int
    stored_bytes: int
    activation_bytes: int
    conventions: Mapping[str, str]
    better: str = "lower"
    comparison: Comparison | None = None

    def kinds(self) -> list[tuple[str, int, float, float]]:
        """(kind, kernels, value, share) of each kind of operation that does the work, the largest first."""
        sums: dict[str, tuple[int, float, float]] = {}
        for layer in self.layers:
            count, value, share = sums.get(layer.kind, (0, 0.0, 0.0))
            sums[layer.kind] = (count + 1, value + layer.value, share + layer.share)
        return sorted(((kind, *row) for kind, row in sums.items()), key=lambda row: -row[2])


def predictions(asked: Asked, profile: Path | None = None) -> tuple[NetworkPrediction, ...]:
    """Every attribute of a whole network by every predictor that was asked about it.

    profile: a file of profiles; the one of the network is laid beside its predicted latencies. Raises BadPredictor for
    cells, and for a profile where no attribute is a latency; BadFile as ``profile_of_network``.
    """
    if asked.source is None:
        raise BadPredictor("found cells; expected a whole network: cells are ranked")
    read = _Read(asked.source, asked.networks[0], asked.origins)
    read.profile = None if profile is None else profile_of_network(profile, read.source, read.fingerprint)
    found = tuple(
        _prediction(read, name, asked.predictors[name], answer, t)
        for name, answer in asked.answers.items()
        for t in range(len(answer.attributes))
    )
    if profile is not None and all(answer.comparison is None for answer in found):
        names = ", ".join(dict.fromkeys(answer.attribute for answer in found))
        raise BadPredictor(f"found a profile, which holds times, and predictions of {names}; expected a latency in ms")
    return found


def predict_network(
    net: Net,
    predictor: str | None = None,
    dims: Mapping[str, int] | None = None,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
    profile: Path | None = None,
) -> tuple[NetworkPrediction, ...]:
    """Every attribute of one network by one predictor, or by all shipped ones that fit.

    Raises as ``ask`` and ``predictions``, and BadFile for a list of networks.
    """
    if isinstance(net, str | Path):
        net = read_network(str(net), dims, shapes).network
    (asked,) = ask([net], () if predictor is None else (predictor,))
    return predictions(asked, profile)


def predict_module(
    module: torch.nn.Module,
    example_inputs: torch.Tensor | Sequence[Any] | Mapping[str, Any],
    predictor: str | None = None,
    name: str = "",
) -> tuple[NetworkPrediction, ...]:
    """As ``predict_network``, of a PyTorch module on inputs of these shapes; the module is not run.

    The inputs are a tensor, a list of arguments, or a dict of arguments by name, as for ``trace_module``. Raises
    BadArchitecture where the module cannot be traced; as ``ask``.
    """
    from narformer.formats.torch_module import trace_module  # torch.export takes a second to import

    return predict_network(trace_module(module, example_inputs, name), predictor)


class _Read:
    """A network, and everything that several predictions of it share."""

    def __init__(self, source: SourceNetwork, form: Architecture, origins: Sequence[int | None]) -> None:
        self.source, self.form, self._origins = source, form, origins
        self.counted = cost(source.architecture)
        self.kernels = kernels(self.form)
        self.profile: Profile | None = None
        self.fingerprint = fingerprint_of(self.form)

    @cached_property
    def _written(self) -> tuple[tuple[tuple[int, ...], ...], frozenset[int]]:
        """Operands of each operation of the source, and the operations whose values the canonical form has."""
        operands = tuple(tuple(source for _, source in pairs) for pairs in self.source.architecture.operands())
        return operands, frozenset(origin for origin in self._origins if origin is not None)

    @cached_property
    def covers(self) -> tuple[tuple[int, ...], ...]:
        """For each kernel the vertices of the source whose work it stands for; each vertex once."""
        operands, kept = self._written
        claimed: set[int] = set()
        found = []
        for kernel in self.kernels:
            origins = [self._origins[vertex] for vertex in (*kernel.vertices, *kernel.repeated)]
            waiting, own = [origin for origin in origins if origin is not None], set()
            while waiting:
                vertex = waiting.pop()
                if vertex not in claimed and self.source.architecture.ops[vertex].kind != "Input":
                    claimed.add(vertex)
                    own.add(vertex)
                    waiting += [source for source in operands[vertex] if source not in kept]
            found.append(tuple(sorted(own)))
        return tuple(found)

    @property
    def batch(self) -> int | None:
        """Networks inputs at once, as ``batch_size``."""
        architecture = self.source.architecture
        return batch_size(architecture, (op.shape for op in architecture.ops if op.kind == "Input"))

    def label(self, vertex: int) -> tuple[str, str]:
        """Name and module, as the source has them, of the operation that does the work of a vertex of the form.

        Where several operations became one, it is the first one of the same kind on the way back to the inputs, such
        as the convolution before a BatchNormalization; otherwise the last of them.
        """
        (operands, kept), wanted = self._written, self.form.ops[vertex].kind
        origin, ops = self._origins[vertex], self.source.architecture.ops
        if origin is None:
            return "", ""
        waiting = [origin]
        for found in waiting:  # grows while it is read
            if ops[found].kind == wanted:
                origin = found
                break
            waiting += [source for source in operands[found] if source not in kept]
        return self.source.names[origin], self.source.modules[origin]


def _prediction(read: _Read, name: str, predictor: Predictor, answer: Answer, t: int) -> NetworkPrediction:
    attribute, counted = answer.attributes[t], read.counted
    value, low, high = (float(column[0, t]) for column in (answer.value_NT, answer.low_NT, answer.high_NT))
    distance = None if answer.distance_N is None else float(answer.distance_N[0])
    unlike = attribute.condition.unlike(read.batch, read.source.precision)
    inside = None if answer.inside_N is None else bool(answer.inside_N[0])
    share_TK = predictor.shares(read.form) if attribute.additive else None
    share_K = () if share_TK is None else tuple(share_TK[t].tolist())
    return NetworkPrediction(
        network=read.source.title,
        fingerprint=read.fingerprint,
        predictor=name,
        attribute=attribute.name,
        unit=attribute.unit,
        device=str(attribute),
        value=value,
        low=None if np.isnan(low) else low,
        high=None if np.isnan(high) else high,
        confidence=answer.levels[t],
        coverage=read.source.coverage,
        uncounted=len(counted.unknown),
        in_domain=None if inside is None else inside and not counted.unknown and not unlike,
        distance=distance,
        nearest=answer.nearest[0] if answer.nearest else "",
        unlike=unlike,
        layers=_layers(read, share_K, value),
        macs=counted.macs,
        flops=counted.flops,
        params=counted.params,
        constants=counted.constants,
        stored_bytes=counted.stored_bytes,
        activation_bytes=counted.activation_bytes,
        conventions=CONVENTIONS,
        better=attribute.better,
        comparison=_comparison(read, share_K, value) if attribute.unit == "ms" else None,
    )


def _comparison(read: _Read, share_K: Sequence[float], value: float) -> Comparison | None:
    """The profile of the network beside a latency, milliseconds, and its shares; None without a profile."""
    if read.profile is None:
        return None
    predicted = [Predicted(covers, share * value) for covers, share in zip(read.covers, share_K, strict=False)]
    return compared(read.source, read.profile, predicted, value)


def _layers(read: _Read, share_K: Sequence[float], value: float) -> tuple[Share, ...]:
    """The kernels of the canonical form, whose parts add up to the value, by the names that the source gives them."""
    layers = []
    for kernel, share in zip(read.kernels, share_K, strict=False):  # a predictor without shares has none at all
        kinds = {vertex: read.form.ops[vertex].kind for vertex in kernel.vertices}
        joined = tuple(kind for vertex, kind in kinds.items() if vertex != kernel.anchor)
        layers.append(Share(*read.label(kernel.anchor), kinds[kernel.anchor], joined, share * value, share))
    return tuple(sorted(layers, key=lambda layer: -layer.value))
