"""Whole networks in the user's own table: ONNX files in its folder, and networks of families by name and number."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeGuard

from narformer.errors import BadArchitecture, BadFile, NarformerError
from narformer.formats import is_onnx
from narformer.formats.onnx_reader import read_onnx
from narformer.network.graph import Architecture
from narformer.spaces.families import FAMILIES, Family, numbered
from narformer.spaces.graphs import echo

__all__ = ["SPACE", "WHAT", "is_network", "read_networks"]

SPACE = "networks"
WHAT = "the path of an ONNX file, from the table's folder, or a network of a family such as resnet/0"

LARGEST_NUMBER = 10**9 - 1  # of a network of a family


def is_network(found: object) -> TypeGuard[str]:
    """Whether a row's architecture names a whole network."""
    if not isinstance(found, str):
        return False
    text = found.strip()
    return is_onnx(text) or _of_family(text) is not None


def read_networks(path: Path, rows: Sequence[tuple[str, object]]) -> list[Architecture]:
    """The networks of a table's rows, each given as its place and its content.

    Raises BadFile, naming the row, for content that is not a network, or a file that is missing or cannot be read.
    """
    networks = []
    for where, found in rows:
        if not is_network(found):
            raise BadFile(path, f"{echo(found)} in {where}, below whole networks", WHAT)
        try:
            networks.append(_network(path.parent, found.strip()))
        except NarformerError as error:
            raise BadFile(path, f"an invalid network in {where} ({error})", WHAT) from None
    return networks


def _of_family(text: str) -> tuple[Family, int] | None:
    named = numbered(text)
    if named is None or named[0] not in FAMILIES or not 0 <= named[1] <= LARGEST_NUMBER:
        return None
    return FAMILIES[named[0]], named[1]


def _network(folder: Path, text: str) -> Architecture:
    if named := _of_family(text):
        family, number = named
        return family.variant(number)
    file = folder / text
    if not file.is_file():
        raise BadArchitecture(f"found no file '{file}'")
    return read_onnx(file).architecture
