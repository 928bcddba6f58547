"""What a network takes on a device, without running it: the whole, how sure that is, and which layer takes what."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch

from narformer.arch.canonical import canonical, fingerprint_of
from narformer.arch.cost import cost
from narformer.arch.imported import Coverage, Imported, printable
from narformer.arch.kernels import kernels
from narformer.arch.onnx_file import read_onnx
from narformer.arch.onnx_writer import to_onnx
from narformer.errors import BadArchitecture, BadPredictor
from narformer.jobs.cells import texts_of
from narformer.jobs.inspection import CONVENTIONS
from narformer.jobs.networks import LISTS, NUMBERED, read_network
from narformer.jobs.ranking import load_predictor
from narformer.models import KernelSum
from narformer.predictors.neural import NeuralPredictor
from narformer.tokens import NetworkTokenizer, Packed, packed
from narformer.tokens.kernels import KernelTokenizer

__all__ = ["Latency", "Share", "latencies", "predict_latencies", "predict_latency", "predict_module"]

DEFAULT = "latency_ort"  # ships with the package


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
    """What each predictor says of each network, one at a time: given as ``read_network`` takes it, or lists of such.

    Raises BadFile, BadArchitecture, UnknownName; BadPredictor for one that does not read whole networks.
    """
    loaded = {name: load_predictor(name) for name in predictors}
    listed = [one for net in nets for one in _listed(str(net))]
    if not listed:
        raise BadArchitecture("no network was given: give ONNX files, networks of families, or lists of them")
    for net in listed:
        yield latencies(_read(net, dims, shapes), loaded)


def _listed(net: str) -> list[str]:
    """The networks in a list or a table, whose files count from its folder; else the network itself."""
    path = Path(net)
    if path.suffix.lower() not in LISTS or not path.is_file():
        return [net]
    return [text if NUMBERED.fullmatch(text) else str(path.parent / text) for _, text in texts_of(net)]


def _read(net: str, dims: Mapping[str, int] | None, shapes: Mapping[str, tuple[int, ...]] | None) -> Imported:
    given = read_network(net, dims, shapes)
    return given.imported or read_onnx(to_onnx(given.architecture, "none"))


def predict_latency(
    net: str | Path,
    predictor: str = DEFAULT,
    dims: Mapping[str, int] | None = None,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
) -> Latency:
    """What one predictor, a shipped one if none is named, says of one network; as ``predict_latencies``."""
    (answer,) = latencies(_read(str(net), dims, shapes), {predictor: load_predictor(predictor)})
    return answer


def predict_module(
    module: torch.nn.Module, example_inputs: Sequence[torch.Tensor], predictor: str = DEFAULT, name: str = ""
) -> Latency:
    """What a predictor says of a PyTorch module on inputs of these shapes, as ``predict_latency``; nothing is computed.

    Raises BadArchitecture where the module cannot be followed, BadPredictor as ``predict_latency``.
    """
    from narformer.arch.torch_module import trace_module  # torch.export takes a second to import: files do not need it

    (answer,) = latencies(trace_module(module, example_inputs, name), {predictor: load_predictor(predictor)})
    return answer


def latencies(imported: Imported, predictors: Mapping[str, NeuralPredictor]) -> tuple[Latency, ...]:
    """What each predictor, by its name, says of one network that was read.

    Raises BadArchitecture for a network that computes nothing, BadPredictor as ``predict_latency``.
    """
    asked = _Asked(imported)
    return tuple(_answer(asked, name, predictor) for name, predictor in predictors.items())


class _Asked:
    """A network, and what is asked of it again and again."""

    def __init__(self, imported: Imported) -> None:
        self.imported = imported
        self.counted = cost(imported.architecture)
        self.form = canonical(imported.architecture)
        self.kernels = kernels(imported.architecture)
        self._tokens: dict[NetworkTokenizer, Packed] = {}
        if not self.kernels:
            raise BadArchitecture(f"'{printable(imported.architecture.name)}' holds no operation that takes any time")

    def tokens(self, tokenizer: NetworkTokenizer) -> Packed:
        """Of its canonical form."""
        if tokenizer not in self._tokens:
            self._tokens[tokenizer] = packed([tokenizer.network(self.form)])
        return self._tokens[tokenizer]

    @cached_property
    def as_written(self) -> Packed:
        """Its kernels, in the order in which they are written down."""
        return KernelTokenizer().of_kernels(self.imported.architecture, self.kernels, self.counted)


def _answer(asked: _Asked, name: str, predictor: NeuralPredictor) -> Latency:
    if not isinstance(predictor.tokenizer, NetworkTokenizer):
        raise BadPredictor(f"'{name}' predicts cells of {predictor.space}; expected a predictor of whole networks")
    imported, counted = asked.imported, asked.counted
    opinion_1E = predictor.opinions_on(asked.tokens(predictor.tokenizer))
    value = float(predictor.target.inverse(opinion_1E.mean(axis=1))[0])
    bounds = predictor.interval(opinion_1E)
    distance, nearest = None, ""
    if predictor.domain is not None:
        (distance,), (nearest,) = predictor.domain.nearest(asked.tokens(KernelTokenizer()))
    return Latency(
        network=printable(imported.architecture.name),
        fingerprint=fingerprint_of(asked.form),
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
        layers=_layers(asked, predictor, value),
        macs=counted.macs,
        flops=counted.flops,
        params=counted.params,
        activation_bytes=counted.activation_bytes,
        conventions=CONVENTIONS,
    )


def _layers(asked: _Asked, predictor: NeuralPredictor, value: float) -> tuple[Share, ...]:
    """The kernels of the network as it is written down; their parts add up to the value of its canonical form."""
    imported, model = asked.imported, predictor.model
    if not isinstance(model, KernelSum):
        return ()
    with torch.inference_mode():
        share_K = model.kernels(asked.as_written).softmax(1).mean(0)
    layers = []
    for kernel, share in zip(asked.kernels, share_K.tolist(), strict=True):
        kinds = {vertex: imported.architecture.ops[vertex].kind for vertex in kernel.vertices}
        joined = tuple(kind for vertex, kind in kinds.items() if vertex != kernel.anchor)
        name, module = imported.names[kernel.anchor], imported.modules[kernel.anchor]
        layers.append(Share(name, module, kinds[kernel.anchor], joined, share * value, share))
    return tuple(sorted(layers, key=lambda layer: -layer.ms))
