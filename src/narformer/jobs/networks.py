"""Whole networks as users give them: ONNX files, and networks of a family by name and number."""

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from narformer.errors import BadArchitecture, BadFile, NarformerError, NotAnswered, UnknownName, lookup, printable
from narformer.formats import is_onnx
from narformer.formats.onnx_reader import names_to_bind, read_onnx
from narformer.jobs.cells import first_text
from narformer.jobs.other_files import recognised_file
from narformer.network import Architecture, cost
from narformer.network.source_network import SourceNetwork
from narformer.spaces import SPACES, recognised
from narformer.spaces.families import FAMILIES, numbered

__all__ = ["Given", "answers", "bindings", "is_network", "may_be_network", "not_found", "read_network", "read_networks"]

T = TypeVar("T")
Sizes = Mapping[str, int]
Shapes = Mapping[str, tuple[int, ...]]
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


def read_network(text: str, dims: Sizes | None = None, shapes: Shapes | None = None) -> Given:
    """The network in an ONNX file, or of a family by its name, such as ``resnet/0``; a file of that name comes first.

    Links are followed, because the caches of model hubs consist of links.
    Raises BadFile, BadArchitecture and UnknownName where it cannot be read.
    """
    path, dims, shapes = Path(text), dict(dims or {}), dict(shapes or {})
    is_file, named = _is_file(text), numbered(text)
    if named and not is_file and (dims or shapes):
        bound = next(iter(dims or shapes))
        raise BadArchitecture(
            f"'{bound}' is bound, but {text} is a network of a family, whose dimensions are all fixed"
        )
    if named and not is_file:
        family = lookup(FAMILIES, named[0], "family of networks")
        architecture = family.variant(named[1])
        return Given(SourceNetwork.of(architecture), architecture)
    if not is_file and (text in FAMILIES or not _is_there(text)):
        raise not_found(text, "an ONNX file, or a network of a family, such as resnet/0")
    if path.suffix.lower() in LISTS:
        what = "a list of networks" if is_network(first_text(text)) else "a text file"
        raise BadFile(path, what, "an ONNX file", "Name the networks one by one, such as model.onnx or resnet/0.")
    real = path.resolve() if path.is_symlink() else path
    try:
        read = read_onnx(real, dims, shapes, origin=path)
    except BadFile:
        has_inputs = bool(_names_to_bind(text)[1])  # then it is an ONNX model, whatever its ending
        other = None if has_inputs else recognised_file(real)
        if other is None:
            raise
        raise BadFile(path, other[0], "an ONNX model", other[1]) from None
    _refuse_nothing(read, path, dims, shapes)
    return Given(read, path, dims, shapes)


def not_found(text: str, expected: str, known: Sequence[str] = ()) -> BadFile:
    """The error for a text that names neither a file nor a network, nor one of the names in ``known``."""
    if text in FAMILIES:
        return BadFile(text, "a family of networks without a number", f"one of its networks, such as {text}/0")
    name = printable(text)
    if text in SPACES:
        return BadFile(text, "a space of cells", expected, "`narformer predict` ranks its cells.")
    if cells := recognised(text):
        return BadFile(name, f"a cell of {cells[0]}", expected, "`narformer predict` reads cells.")
    if Path(text).suffix or "/" in text:
        return BadFile(name, "no such file", expected)
    near = difflib.get_close_matches(text, [*FAMILIES, *known], n=1)
    if near:
        hint = f"Did you mean '{near[0]}{'' if near[0] in known else '/0'}'?"
    else:
        hint = f"The families are: {', '.join(FAMILIES)}."
    return BadFile(name, "no such file", expected, hint)


def _refuse_nothing(network: SourceNetwork, path: Path, dims: Sizes, shapes: Shapes) -> None:
    """Raise BadArchitecture where bound sizes of 0 leave nothing to compute; the past of a decoder may be 0."""
    empty = [name for name, size in dims.items() if not size] + [name for name, shape in shapes.items() if 0 in shape]
    architecture = network.architecture
    read = {source for source, _ in architecture.edges}
    outputs = [op.shape for vertex, op in enumerate(architecture.ops) if vertex not in read]
    if empty and all(shape is not None and 0 in shape for shape in outputs):
        raise BadArchitecture(
            f"{path}: found the size 0 of '{printable(empty[0])}', which leaves every output empty; expected 1 or more"
        )


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except OSError:  # a name longer than any file's
        return False


def _is_there(text: str) -> bool:
    try:
        return Path(text).is_symlink() or Path(text).exists()
    except OSError:
        return False


def bindings(
    texts: Sequence[str], dims: Sizes | None = None, shapes: Shapes | None = None
) -> dict[str, tuple[Sizes, Shapes]]:
    """For each of several texts those of ``dims`` and ``shapes`` that are for it.

    A name that a file lacks is for the others. A name that no file has is left to all of them: each is refused, and the
    error says which names it has. Networks of families have no open sizes; they are refused where no text names a file.
    """
    dims, shapes = dict(dims or {}), dict(shapes or {})
    files = [text for text in dict.fromkeys(texts) if not numbered(text) or _is_file(text)]
    if not files or not (dims or shapes):
        return dict.fromkeys(texts, (dims, shapes))
    names = {text: _names_to_bind(text) for text in files}
    some_d, some_s = (frozenset[str]().union(*column) for column in zip(*names.values(), strict=True))
    found: dict[str, tuple[Sizes, Shapes]] = dict.fromkeys(texts, ({}, {}))
    for text, (own_d, own_s) in names.items():
        found[text] = (
            {name: size for name, size in dims.items() if name in own_d or name not in some_d},
            {name: shape for name, shape in shapes.items() if name in own_s or name not in some_s},
        )
    return found


def _names_to_bind(text: str) -> tuple[frozenset[str], frozenset[str]]:
    """Names of dimensions and inputs of a file; none where it cannot be read, which its reading reports."""
    try:
        return names_to_bind(Path(text).resolve())
    except (BadFile, OSError):
        return frozenset(), frozenset()


def read_networks(
    texts: Sequence[str], dims: Sizes | None = None, shapes: Shapes | None = None
) -> Iterator[tuple[str, Given | NarformerError]]:
    """Each of several texts once, with its network, or with the error of ``read_network`` where it cannot be read.

    ``dims`` and ``shapes`` are for those that have such names (``bindings``).
    """
    for text, (own_dims, own_shapes) in bindings(texts, dims, shapes).items():
        try:
            yield text, read_network(text, own_dims, own_shapes)
        except NarformerError as error:
            yield text, error


def answers(
    answer: Callable[[Given], T], texts: Sequence[str], dims: Sizes | None = None, shapes: Shapes | None = None
) -> Iterator[T]:
    """The answer about each of several networks, as they are read.

    Raises NotAnswered with those that cannot be read, or about which ``answer`` raises BadFile, BadArchitecture or
    UnknownName, after all others were answered.
    """
    failures: list[tuple[str, str]] = []
    for text, given in read_networks(texts, dims, shapes):
        try:
            if isinstance(given, NarformerError):
                raise given
            found = answer(given)
        except (BadFile, BadArchitecture, UnknownName) as error:
            failures.append((text, str(error)))
            continue
        yield found
    if failures:
        raise NotAnswered(failures)
