"""What a network takes on a device, without running it: the whole, how sure that is, and which layer takes what."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from narformer.arch.canonical import fingerprint
from narformer.arch.cost import cost
from narformer.arch.imported import Coverage, Imported, printable
from narformer.arch.kernels import kernels
from narformer.arch.onnx_file import read_onnx
from narformer.arch.onnx_writer import to_onnx
from narformer.arch.torch_module import trace_module
from narformer.errors import BadPredictor
from narformer.jobs.inspection import CONVENTIONS
from narformer.jobs.networks import read_network
from narformer.jobs.ranking import load_predictor
from narformer.models import KernelSum
from narformer.predictors.neural import NeuralPredictor
from narformer.tokens import NetworkTokenizer

__all__ = ["Latency", "Share", "predict_latencies", "predict_latency", "predict_module"]


@dataclass(frozen=True)
class Share:
    """What operations that are computed in one go take: milliseconds, and their part of the whole.

    name, module, kind: of the operation that does the work, as the source has them
    joined:             kinds of those that are computed with it
    """

    name: str
    module: str
    kind: str
    joined: tuple[str, ...]
    ms: float
    share: float


@dataclass(frozen=True)
class Latency:
    """A predicted time.

    value, low, high: in ``unit``; the true value lies between the bounds with ``confidence``, for networks of the
                      domain; None where the predictor was not calibrated
    device:           what was measured for the training of the predictor
    distance:         from the nearest training network, ``nearest``; 1 is the edge of the domain
    in_domain:        whether the interval can be trusted; None where the predictor does not tell
    uncounted:        operations whose cost is not known, so that the value is too small
    layers:           the most expensive first; empty for predictors that do not tell
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
    layers: tuple[Share, ...]
    macs: int
    flops: int
    params: int
    activation_bytes: int
    conventions: Mapping[str, str]

    def kinds(self) -> list[tuple[str, int, float, float]]:
        """(kind, kernels, milliseconds, share) of each kind of operation that does the work, the longest first."""
        sums: dict[str, tuple[int, float, float]] = {}
        for layer in self.layers:
            count, ms, share = sums.get(layer.kind, (0, 0.0, 0.0))
            sums[layer.kind] = (count + 1, ms + layer.ms, share + layer.share)
        return sorted(((kind, *row) for kind, row in sums.items()), key=lambda row: -row[2])


def predict_latencies(
    nets: Sequence[str | Path],
    predictors: Sequence[str],
    dims: Mapping[str, int] | None = None,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
) -> Iterator[tuple[Latency, ...]]:
    """What each predictor says of each network, which is given as ``read_network`` takes it, one network at a time.

    Raises BadFile, BadArchitecture, UnknownName; BadPredictor for one that does not read whole networks.
    """
    loaded = {name: load_predictor(name) for name in predictors}
    for net in nets:
        given = read_network(str(net), dims, shapes)
        imported = given.imported or read_onnx(to_onnx(given.architecture, "none"))
        yield tuple(_answer(imported, name, predictor) for name, predictor in loaded.items())


def predict_latency(
    net: str | Path,
    predictor: str,
    dims: Mapping[str, int] | None = None,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
) -> Latency:
    """What one predictor says of one network; as ``predict_latencies``."""
    ((answer,),) = predict_latencies([net], [predictor], dims, shapes)
    return answer


def predict_module(
    module: torch.nn.Module, example_inputs: Sequence[torch.Tensor], predictor: str, name: str = ""
) -> Latency:
    """What a predictor says of a PyTorch module on inputs of these shapes; nothing is computed.

    Raises BadArchitecture where the module cannot be followed, BadPredictor as ``predict_latency``.
    """
    return _answer(trace_module(module, example_inputs, name), predictor, load_predictor(predictor))


def _answer(imported: Imported, name: str, predictor: NeuralPredictor) -> Latency:
    if not isinstance(predictor.tokenizer, NetworkTokenizer):
        raise BadPredictor(f"'{name}' predicts cells of {predictor.space}; expected a predictor of whole networks")
    architecture = imported.architecture
    counted = cost(architecture)
    opinion_1E = predictor.opinions([architecture])
    value = float(predictor.target.inverse(opinion_1E.mean(axis=1))[0])
    bounds = predictor.interval(opinion_1E)
    distance, nearest = None, ""
    if predictor.domain is not None:
        (distance,), (nearest,) = predictor.domain.nearest([architecture])
    return Latency(
        network=printable(architecture.name),
        fingerprint=fingerprint(architecture),
        predictor=name,
        attribute=predictor.attribute.name,
        unit=predictor.attribute.unit,
        device=predictor.attribute.note,
        value=value,
        low=None if bounds is None else float(bounds[0][0]),
        high=None if bounds is None else float(bounds[1][0]),
        confidence=None if predictor.calibration is None else predictor.calibration.level,
        coverage=imported.coverage,
        uncounted=len(counted.unknown),
        in_domain=None if distance is None else bool(distance <= 1 and not counted.unknown),
        distance=None if distance is None else float(distance),
        nearest=nearest,
        layers=_layers(imported, predictor, value),
        macs=counted.macs,
        flops=counted.flops,
        params=counted.params,
        activation_bytes=counted.activation_bytes,
        conventions=CONVENTIONS,
    )


def _layers(imported: Imported, predictor: NeuralPredictor, value: float) -> tuple[Share, ...]:
    """The kernels of the network as it is written down; their parts add up to the value of its canonical form."""
    found = kernels(imported.architecture)
    model, tokenizer = predictor.model, predictor.tokenizer
    if not (isinstance(model, KernelSum) and isinstance(tokenizer, NetworkTokenizer) and found):
        return ()
    with torch.inference_mode():
        share_K = model.kernels(tokenizer.network(imported.architecture)).softmax(1).mean(0)
    layers = []
    for kernel, share in zip(found, share_K.tolist(), strict=True):
        kinds = {vertex: imported.architecture.ops[vertex].kind for vertex in kernel.vertices}
        joined = tuple(kind for vertex, kind in kinds.items() if vertex != kernel.anchor)
        name, module = imported.names[kernel.anchor], imported.modules[kernel.anchor]
        layers.append(Share(name, module, kinds[kernel.anchor], joined, share * value, share))
    return tuple(sorted(layers, key=lambda layer: -layer.ms))
