"""Predictors by name: those that ship with the package, folders of runs, and the choice for given networks."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from narformer.attributes import Attribute
from narformer.errors import BadFile, BadPredictor, lookup, printable
from narformer.jobs.cells import first_text
from narformer.jobs.networks import is_network, may_be_network, not_found
from narformer.network import Architecture
from narformer.predictors import Predictor, saved
from narformer.predictors.manifest import Facts, Manifest, read_manifest
from narformer.spaces import SPACES, recognised
from narformer.store import is_store

__all__ = ["DEFAULT", "PRETRAINED", "Shipped", "load_predictor", "predictors", "suited"]

PRETRAINED = Path(__file__).parents[1] / "pretrained"
DEFAULT = "latency_ort"  # the first of those that ship for whole networks


@dataclass(frozen=True)
class Shipped:
    """A predictor that ships with the package.

    attributes: those that it predicts
    facts:      of its training; ``scores`` are by attribute
    """

    name: str
    space: str
    attributes: tuple[Attribute, ...]
    facts: Facts

    def record(self) -> dict[str, Any]:
        """For programs: one attribute and its scores, or a list of each where there are several."""
        names = [attribute.name for attribute in self.attributes]
        units = [attribute.unit for attribute in self.attributes]
        scores = self.facts.get("scores") or {}
        one = len(names) == 1
        return {
            "name": self.name,
            "space": self.space,
            "attribute": names[0] if one else names,
            "unit": units[0] if one else units,
            "system": self.facts.get("system"),
            "trained_on": self.facts.get("trained_on"),
            "scores": scores.get(names[0]) if one else scores,
        }


def predictors() -> list[Shipped]:
    """The predictors that ship with the package."""
    return [
        Shipped(name, manifest.space, tuple(facts.attribute() for facts in manifest.attributes), manifest.facts)
        for name, manifest in _manifests().items()
    ]


def load_predictor(name: str) -> Predictor:
    """A predictor by the name of a shipped one, its folder, or a run's folder.

    Raises UnknownName, or BadPredictor where it cannot be read.
    """
    return saved.load(_folder(name))


def suited(nets: Sequence[object]) -> tuple[str, ...]:
    """The shipped predictors for these: all for whole networks, or those of the space of the cells.

    Raises BadPredictor where there is no such predictor, or the nets are of several kinds; BadFile for a text that is
    none of them.
    """
    shipped = _manifests()
    whole = [net for net in nets if _is_network(net)]
    if len(whole) == len(nets):
        return tuple(sorted((n for n, m in shipped.items() if _of_networks(m)), key=lambda name: name != DEFAULT))
    cells = [net for net in nets if not _is_network(net)]
    spaces = {_spaces(net) for net in cells}
    if whole:
        both = f"the cells '{_short(cells[0])}' and the network '{_short(whole[0])}'"
        raise BadPredictor(f"found {both}; expected one kind. Predict them separately")
    of = sorted({space for several in spaces for space in several})
    if len(spaces) > 1:
        raise BadPredictor(f"found cells of {' and '.join(of)}; expected cells of one space. Predict them separately")
    found = [name for name, manifest in shipped.items() if spaces == {(manifest.space,)}]
    if not found:
        which = f"cells of {' or '.join(of)}" if of else "these cells"
        known = ", ".join(name for name, manifest in shipped.items() if not _of_networks(manifest))
        raise BadPredictor(f"no shipped predictor fits {which}; name one with --predictor: {known}, or a run's folder")
    return tuple(found)


def _is_network(net: object) -> bool:
    """Whether a net, or the first line of a list, is a whole network."""
    if not isinstance(net, str | Path):
        return not (isinstance(net, Architecture) and all(op.shape is None for op in net.ops))
    return is_store(str(net)) or may_be_network(str(net)) or is_network(first_text(str(net)))


def _spaces(net: object) -> tuple[str, ...]:
    """The spaces whose cells a text, or the first text of a file, looks like; none for an Architecture.

    Raises BadFile where a text is neither a space, a cell nor a file of cells.
    """
    text = str(net)
    if text in SPACES:
        return (text,)
    first = first_text(text)
    spaces = recognised(text) or recognised(first)
    if spaces or not isinstance(net, str | Path):
        return spaces
    if first:
        raise BadFile(_short(net), f"the first line '{_short(first)}'", "a list of cells or of networks, one per line")
    raise not_found(text, "an ONNX file, a network of a family, such as resnet/0, a cell or a space", tuple(SPACES))


def _short(net: object) -> str:
    return printable(str(net)[:60])


def _manifests() -> dict[str, Manifest]:
    return {folder.name: read_manifest(folder) for folder in _shipped()}


def _folder(name: str) -> Path:
    folder = Path(name)
    if (folder / "predictor").is_dir():
        folder = folder / "predictor"
    return folder if folder.is_dir() else lookup({path.name: path for path in _shipped()}, name, "predictor")


def _shipped() -> list[Path]:
    return sorted(path.parent for path in PRETRAINED.glob("*/manifest.json"))


def _of_networks(manifest: Manifest) -> bool:
    return manifest.space not in (*SPACES, "graphs")
