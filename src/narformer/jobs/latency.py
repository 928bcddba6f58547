"""What a network takes on a device, without running it: the whole, how sure that is, and which layer takes what."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch

from narformer.attributes import Condition
from narformer.errors import BadArchitecture, BadFile, BadPredictor, UnknownName, printable
from narformer.formats.onnx_reader import read_onnx
from narformer.formats.onnx_writer import to_onnx
from narformer.jobs.cells import texts_of
from narformer.jobs.inspection import CONVENTIONS
from narformer.jobs.networks import LISTS, read_network
from narformer.jobs.ranking import DEFAULT, load_predictor
from narformer.models import KernelSum
from narformer.network.canonical import canonical_and_origins, fingerprint_of
from narformer.network.cost import cost
from narformer.network.kernels import kernels
from narformer.network.source_network import Coverage, SourceNetwork
from narformer.predictors.neural import NeuralPredictor
from narformer.spaces.families import numbered
from narformer.tokens import NetworkTokenizer, Packed, packed
from narformer.tokens.kernels import KernelTokenizer

__all__ = ["Latency", "Share", "latencies", "predict_latencies", "predict_latency", "predict_module"]


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
    unlike:           how it differs from what was measured for the training: another batch, another precision
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
    unlike: tuple[str, ...]
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

    Raises BadFile, BadArchitecture, UnknownName; of several networks those are left out, and named by BadArchitecture
    after all others were answered. BadPredictor for a predictor that does not read whole networks.
    """
    loaded = {name: load_predictor(name) for name in predictors}
    listed = [one for net in nets for one in _listed(str(net))]
    if not listed:
        raise BadArchitecture("no network was given: give ONNX files, networks of families, or lists of them")
    refused: list[str] = []
    for net in listed:
        try:
            answers = latencies(_read(net, dims, shapes), loaded)
        except (BadFile, BadArchitecture, UnknownName) as error:
            if len(listed) == 1:
                raise
            refused.append(str(error))
            continue
        yield answers
    if refused:
        raise BadArchitecture("; ".join(refused))


def _listed(net: str) -> list[str]:
    """The networks in a list or a table, whose files count from its folder; else the network itself."""
    path = Path(net)
    if path.suffix.lower() not in LISTS or not path.is_file():
        return [net]
    return [text if numbered(text) else str(path.parent / text) for _, text in texts_of(net)]


def _read(net: str, dims: Mapping[str, int] | None, shapes: Mapping[str, tuple[int, ...]] | None) -> SourceNetwork:
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
    module: torch.nn.Module,
    example_inputs: torch.Tensor | Sequence[torch.Tensor],
    predictor: str = DEFAULT,
    name: str = "",
) -> Latency:
    """What a predictor says of a PyTorch module on inputs of these shapes, as ``predict_latency``; nothing is computed.

    A single input may come without a list.
    Raises BadArchitecture where the module cannot be followed, BadPredictor as ``predict_latency``.
    """
    from narformer.formats.torch_module import (
        trace_module,  # torch.export takes a second to import: files do not need it
    )

    (answer,) = latencies(trace_module(module, example_inputs, name), {predictor: load_predictor(predictor)})
    return answer


def latencies(imported: SourceNetwork, predictors: Mapping[str, NeuralPredictor]) -> tuple[Latency, ...]:
    """What each predictor, by its name, says of one network that was read.

    Raises BadArchitecture for a network that computes nothing, BadPredictor as ``predict_latency``.
    """
    asked = _Asked(imported)
    return tuple(_answer(asked, name, predictor) for name, predictor in predictors.items())


class _Asked:
    """A network, and what is asked of it again and again."""

    def __init__(self, imported: SourceNetwork) -> None:
        self.imported = imported
        self.counted = cost(imported.architecture)
        self.form, self._origins = canonical_and_origins(imported.architecture)
        self.kernels = kernels(self.form)
        self._tokens: dict[NetworkTokenizer, Packed] = {}
        if not self.kernels:
            raise BadArchitecture(f"'{printable(imported.architecture.name)}' holds no operation that takes any time")

    def tokens(self, tokenizer: NetworkTokenizer) -> Packed:
        """Of its canonical form."""
        if tokenizer not in self._tokens:
            self._tokens[tokenizer] = packed([tokenizer.network(self.form)])
        return self._tokens[tokenizer]

    @cached_property
    def _written(self) -> tuple[tuple[tuple[int, ...], ...], frozenset[int]]:
        """Operands of each operation as it is written down, and the operations whose values the canonical form has."""
        operands = tuple(tuple(source for _, source in pairs) for pairs in self.imported.architecture.operands())
        return operands, frozenset(origin for origin in self._origins if origin is not None)

    def label(self, vertex: int) -> tuple[str, str]:
        """Name and module, as the source has them, of what does the work of a vertex of the canonical form.

        Where several operations became one it is the first of its kind on the way back, such as the convolution before
        a BatchNormalization, else the last of them.
        """
        (operands, kept), wanted = self._written, self.form.ops[vertex].kind
        origin, ops = self._origins[vertex], self.imported.architecture.ops
        if origin is None:
            return "", ""
        waiting = [origin]
        for found in waiting:  # grows while it is read
            if ops[found].kind == wanted:
                origin = found
                break
            waiting += [source for source in operands[found] if source not in kept]
        return self.imported.names[origin], self.imported.modules[origin]


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
    unlike = _unlike(imported, predictor.attribute.condition)
    return Latency(
        network=printable(imported.architecture.name),
        fingerprint=fingerprint_of(asked.form),
        predictor=name,
        attribute=predictor.attribute.name,
        unit=predictor.attribute.unit,
        device=str(predictor.attribute),
        value=value,
        low=None if bounds is None else float(bounds[0][0]),
        high=None if bounds is None else float(bounds[1][0]),
        confidence=None if predictor.calibration is None else predictor.calibration.level,
        coverage=imported.coverage,
        uncounted=len(counted.unknown),
        in_domain=None if distance is None else bool(distance <= 1 and not counted.unknown and not unlike),
        distance=None if distance is None else float(distance),
        nearest=nearest,
        unlike=unlike,
        layers=_layers(asked, predictor, value),
        macs=counted.macs,
        flops=counted.flops,
        params=counted.params,
        activation_bytes=counted.activation_bytes,
        conventions=CONVENTIONS,
    )


def _unlike(imported: SourceNetwork, condition: Condition) -> tuple[str, ...]:
    """In words, how a network differs from those that were measured."""
    shapes = [op.shape for op in imported.architecture.ops if op.kind == "Input"]
    batch = next((shape[0] for shape in shapes if shape is not None and len(shape) > 1), None)
    return condition.unlike(batch, imported.precision)


def _layers(asked: _Asked, predictor: NeuralPredictor, value: float) -> tuple[Share, ...]:
    """The kernels of the canonical form, whose times add up to the value, by the names that the source gives them."""
    model = predictor.model
    if not isinstance(model, KernelSum) or not isinstance(predictor.tokenizer, NetworkTokenizer):
        return ()
    with torch.inference_mode():
        share_K = model.kernels(asked.tokens(predictor.tokenizer)).softmax(1).mean(0)
    layers = []
    for kernel, share in zip(asked.kernels, share_K.tolist(), strict=True):
        kinds = {vertex: asked.form.ops[vertex].kind for vertex in kernel.vertices}
        joined = tuple(kind for vertex, kind in kinds.items() if vertex != kernel.anchor)
        layers.append(Share(*asked.label(kernel.anchor), kinds[kernel.anchor], joined, share * value, share))
    return tuple(sorted(layers, key=lambda layer: -layer.ms))
