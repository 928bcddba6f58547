"""The job that queries predictors: any networks, any predictors, an Answer of each.

A text may be a cell, an ONNX file, a network of a family, a file that lists some of these, a space, or a store of
measurements; the spaces and formats themselves recognise which.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from narformer.errors import BadArchitecture, BadFile, BadPredictor, NotAnswered, UnknownName, printable
from narformer.jobs.cells import read_cells, texts_of, without_input
from narformer.jobs.known_predictors import load_predictor, suited
from narformer.jobs.networks import LISTS, bindings, is_network, read_network
from narformer.network import Architecture
from narformer.network.canonical import canonical_and_origins
from narformer.network.source_network import SourceNetwork
from narformer.predictors import Answer, Predictor
from narformer.predictors.devices import check_device
from narformer.progress import Progress, silent
from narformer.spaces import space_called
from narformer.spaces.families import numbered
from narformer.spaces.space import Space
from narformer.store import is_store, open_store

__all__ = ["Asked", "Net", "ask"]

Net = str | Path | Architecture | SourceNetwork


@dataclass(frozen=True, eq=False)
class Asked:
    """Networks that were predicted together: all cells of a request, or one whole network.

    networks:   N of them
    source:     the whole network as its source has it; None for cells
    space:      of the cells; None for a whole network
    predictors: by their names
    answers:    of each predictor, by its name
    origins:    of each operation of a whole network in canonical form, the one of ``source``
                that it came from
    """

    networks: Sequence[Architecture]
    source: SourceNetwork | None
    space: Space | None
    predictors: Mapping[str, Predictor]
    answers: Mapping[str, Answer]
    origins: Sequence[int | None] = ()


def ask(
    nets: Sequence[Net],
    predictors: Sequence[str] = (),
    dims: Mapping[str, int] | None = None,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
    device: str = "cpu",
    progress: Progress = silent,
) -> Iterator[Asked]:
    """The answers of predictors (by name or folder; by default the shipped ones that fit) about networks.

    All cells are answered at once; whole networks one after the other, as they are read.
    dims, shapes: sizes of dimensions that files name, shapes of inputs that they leave open; device: of torch

    Raises UnknownName, BadFile, BadArchitecture, BadPredictor for networks or predictors that do not fit together. If
    some of several whole networks cannot be read, NotAnswered names them after all others were answered.
    """
    check_device(device)
    nets = without_input(nets)
    names = predictors or suited(nets)
    loaded = {name: load_predictor(name).to(device) for name in names}
    spaces = {predictor.space if predictor.vocabulary else "" for predictor in loaded.values()}
    if len(spaces) > 1:
        found = " and ".join(sorted(space or "whole networks" for space in spaces))
        raise BadPredictor(f"found predictors of {found}; ask them separately")
    if spaces == {""}:
        yield from _networks(nets, loaded, dims, shapes)
        return
    yield _cells(nets, loaded, progress)


def _cells(nets: Sequence[Net], loaded: Mapping[str, Predictor], progress: Progress) -> Asked:
    first, predictor = next(iter(loaded.items()))
    for net in nets:
        whole = net.title if isinstance(net, SourceNetwork) else str(net) if isinstance(net, str | Path) else ""
        if isinstance(net, SourceNetwork) or is_network(whole):
            raise BadPredictor(f"'{first}' predicts cells of {predictor.space}; found the network '{printable(whole)}'")
    space = space_called(predictor.space, predictor.vocabulary)
    cells = read_cells(nets, space)
    done, total = 0, len(cells) * len(loaded)

    def advance(count: int) -> None:
        nonlocal done
        done += count
        progress("predict", done, total, None)

    answers = {name: each.ask(cells, advance) for name, each in loaded.items()}
    return Asked(cells, None, space, loaded, answers)


def _networks(
    nets: Sequence[Net],
    loaded: Mapping[str, Predictor],
    dims: Mapping[str, int] | None,
    shapes: Mapping[str, tuple[int, ...]] | None,
) -> Iterator[Asked]:
    """One whole network after the other."""
    listed = [one for net in nets for one in _listed(net)]
    if not listed:
        raise BadArchitecture("no network was given: give ONNX files, networks of families, or lists of them")
    bound = bindings([net for net in listed if isinstance(net, str)], dims, shapes)
    failures: list[tuple[str, str]] = []
    for net in listed:
        try:
            source = _source(net, bound)
            form, origins = canonical_and_origins(source.architecture)  # once for all predictors
            if all(op.kind == "Input" for op in form.ops):
                raise BadArchitecture(f"'{printable(form.name)}' holds no operation that takes any time")
            answers = {name: predictor.ask([form]) for name, predictor in loaded.items()}
        except (BadFile, BadArchitecture, UnknownName) as error:
            if len(listed) == 1:
                raise
            failures.append((net if isinstance(net, str) else "", str(error)))
            continue
        yield Asked([form], source, None, loaded, answers, origins)
    if failures:
        raise NotAnswered(failures)


def _listed(net: Net) -> list[Net]:
    """The networks of a store, or of a list or table (paths are relative to its folder); else the network itself."""
    if not isinstance(net, str | Path):
        return [net]
    text, path = str(net), Path(net)
    if is_store(text):
        with open_store(text, new=False) as opened:
            return list(opened.architectures())
    if path.suffix.lower() not in LISTS or not path.is_file():
        return [text]
    return [text if numbered(text) else str(path.parent / text) for _, text in texts_of(text)]


def _source(net: Net, bound: Mapping[str, tuple[Mapping[str, int], Mapping[str, tuple[int, ...]]]]) -> SourceNetwork:
    if isinstance(net, SourceNetwork):
        return net
    if isinstance(net, Architecture):
        return SourceNetwork.of(net)
    if not isinstance(net, str):
        remedy = "predict_module takes a PyTorch module, with example inputs"
        raise BadArchitecture(
            f"found {type(net).__name__}; expected a path, an Architecture or a SourceNetwork: {remedy}"
        )
    return read_network(net, *bound[net]).network
