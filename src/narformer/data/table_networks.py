"""Whole networks in anybody's table: ONNX files beside it, and networks of families by name and number."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from narformer.errors import BadArchitecture, BadFile, NarformerError
from narformer.formats.onnx_reader import read_onnx
from narformer.network.graph import Architecture
from narformer.spaces.families import FAMILIES
from narformer.spaces.graphs import echo

__all__ = ["SPACE", "WHAT", "is_network", "read_networks"]

SPACE = "networks"
WHAT = "the path of an ONNX file, from the table's folder, or a network of a family such as resnet/0"

_NUMBERED = re.compile(r"([\w.-]+)/([0-9]{1,9})")


def is_network(found: Any) -> bool:
    """Whether a row's architecture is meant to be a whole network."""
    if not isinstance(found, str):
        return False
    text = found.strip()
    numbered = _NUMBERED.fullmatch(text)
    return text.lower().endswith(".onnx") or (numbered is not None and numbered[1] in FAMILIES)


def read_networks(path: Path, rows: Sequence[tuple[str, Any]]) -> list[Architecture]:
    """The networks of a table's rows, given where each stands and what it says.

    Raises BadFile, naming the row, for what is no network, or a file that is not there or cannot be read.
    """
    networks = []
    for where, found in rows:
        if not is_network(found):
            raise BadFile(path, f"{echo(found)} in {where}, below whole networks", WHAT)
        try:
            networks.append(_network(path.parent, found.strip()))
        except NarformerError as error:
            raise BadFile(path, f"no network in {where} ({error})", WHAT) from None
    return networks


def _network(folder: Path, text: str) -> Architecture:
    numbered = _NUMBERED.fullmatch(text)
    if numbered is not None and numbered[1] in FAMILIES:
        return FAMILIES[numbered[1]].variant(int(numbered[2]))
    file = folder / text
    if not file.is_file():
        raise BadArchitecture(f"found no file '{file}'")
    return read_onnx(file).architecture
