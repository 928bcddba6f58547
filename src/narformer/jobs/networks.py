"""Whole networks as users give them: ONNX files, and networks of a family by name and number."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from narformer.errors import BadArchitecture, BadFile, NarformerError, lookup, printable
from narformer.formats import is_onnx
from narformer.formats.onnx_reader import read_onnx
from narformer.network import Architecture, cost
from narformer.network.source_network import SourceNetwork
from narformer.spaces.families import FAMILIES, numbered

__all__ = ["Given", "is_network", "may_be_network", "read_network", "read_networks"]

LISTS = (".txt", ".csv", ".json", ".jsonl")  # endings of files that hold cells


@dataclass(frozen=True, eq=False)
class Given:
    """A network that was given.

    network: as its source has it
    source:  for a runtime: the path of a file, or the architecture itself
    dims:    sizes of dimensions that the file names; shapes: of inputs that it leaves open
    """

    network: SourceNetwork
    source: Path | Architecture
    dims: Mapping[str, int] = field(default_factory=dict)
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    @property
    def architecture(self) -> Architecture:
        """Its operations and edges."""
        return self.network.architecture

    @property
    def weight_bytes(self) -> int:
        """Approximate memory of its weights, held once."""
        size = self.source.stat().st_size if isinstance(self.source, Path) else 0
        return max(size, 4 * cost(self.architecture).params)


def is_network(text: str) -> bool:
    """Whether the text names a network: an ONNX file, or a network of a family."""
    return is_onnx(text) or (numbered(text) is not None and not Path(text).is_file())


def may_be_network(text: str) -> bool:
    """Whether the text names a network, or an existing path that does not look like a list of cells."""
    try:
        return is_network(text) or (Path(text).exists() and Path(text).suffix.lower() not in LISTS)
    except OSError:  # a name longer than any file's
        return False


def read_network(
    text: str, dims: Mapping[str, int] | None = None, shapes: Mapping[str, tuple[int, ...]] | None = None
) -> Given:
    """The network in an ONNX file, or of a family by its name, such as ``resnet/0``; a file of that name comes first.

    Links are followed, because the caches of model hubs consist of links.
    Raises BadFile, BadArchitecture and UnknownName where it cannot be read.
    """
    path, dims, shapes = Path(text), dict(dims or {}), dict(shapes or {})
    try:
        is_file, is_there = path.is_file(), path.is_symlink() or path.exists()
    except OSError:  # a name longer than any file's
        is_file = is_there = False
    named = numbered(text)
    if named and not is_file and (dims or shapes):
        bound = next(iter(dims or shapes))
        raise BadArchitecture(
            f"'{bound}' is bound, but {text} is a network of a family, whose dimensions are all fixed"
        )
    if named and not is_file:
        family = lookup(FAMILIES, named[0], "family of networks")
        architecture = family.variant(named[1])
        return Given(SourceNetwork.of(architecture), architecture)
    if not is_file and (text in FAMILIES or not is_there):
        expected = f"an ONNX file, or a network of a family, such as {text if text in FAMILIES else 'resnet'}/0"
        raise BadFile(printable(text), "no such file", expected)
    if path.suffix.lower() in LISTS:
        raise BadFile(path, f"a file ending in '{path.suffix}'", "an ONNX file", "Name the networks one by one.")
    real = path.resolve() if path.is_symlink() else path
    return Given(read_onnx(real, dims, shapes, origin=path), path, dims, shapes)


def read_networks(
    texts: Sequence[str],
    dims: Mapping[str, int] | None = None,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
) -> Iterator[tuple[str, Given | NarformerError]]:
    """Each of several texts once, with its network, or with the error of ``read_network`` where it cannot be read.

    ``dims`` and ``shapes`` are for those that are files; where no text names a file, they are an error of each.
    """
    whole = {text for text in texts if numbered(text) and not Path(text).is_file()}
    unbound = whole if len(whole) < len(set(texts)) else ()
    for text in dict.fromkeys(texts):
        try:
            yield text, read_network(text) if text in unbound else read_network(text, dims, shapes)
        except NarformerError as error:
            yield text, error
