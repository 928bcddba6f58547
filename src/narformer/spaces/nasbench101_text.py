"""The two written forms of a NAS-Bench-101 cell: operations, bar and edges; and JSON with an adjacency matrix."""

import json
import re

import numpy as np

from narformer.errors import BadArchitecture
from narformer.spaces.nasbench101_cell import operation

LONGEST_TEXT = 10_000  # characters that are read
LONGEST_ECHO = 80  # characters that an error repeats

# Operations from "input" to "output", and edges between their positions, in any order.
Written = tuple[list[str], list[tuple[int, int]]]


def is_object(text: str) -> bool:
    """Whether the text is read as JSON."""
    return text.lstrip().startswith("{")


def looks_like_cell(text: str) -> bool:
    """Whether the text begins as a JSON object and names an adjacency, or has one bar and no ``~``."""
    return '"adjacency"' in text if is_object(text) else text.count("|") == 1 and "~" not in text


def read_text(text: str) -> Written:
    """Operations and edges of ``conv3x3 conv1x1 | 01 12 23``. Raises BadArchitecture."""
    _agree_to_read(text)
    if text.count("|") != 1:
        raise BadArchitecture(
            f"found {text[:LONGEST_ECHO]!r}; expected operations, one bar and edges, as in 'conv3x3-bn-relu | 01 12 02'"
        )
    operations, pairs = text.split("|")
    names = ["input", *(operation(word[:LONGEST_ECHO]) for word in operations.split()), "output"]
    edges = []
    for pair in pairs.split():
        if not re.fullmatch("[0-9]{2}", pair):
            raise BadArchitecture(
                f"found the edge {pair[:LONGEST_ECHO]!r}; expected two digits, source and target, as in '01'"
            )
        edges.append((int(pair[0]), int(pair[1])))
    return names, edges


def read_json(text: str) -> Written:
    """Operations and edges of ``{"adjacency": [[0, 1], [0, 0]], "ops": [...]}``. Raises BadArchitecture."""
    _agree_to_read(text)
    try:
        cell = json.loads(text)
        matrix = np.array(cell["adjacency"])
        words = list(cell["ops"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BadArchitecture(
            f'this cell is not a JSON object {{"adjacency": [[0, 1], [0, 0]], "ops": ["input", "output"]}}: {error!r}'
        ) from None
    if matrix.shape != (len(words), len(words)) or len(words) < 2 or not np.isin(matrix, (0, 1)).all():
        raise BadArchitecture(
            f"found an adjacency of shape {matrix.shape} for {len(words)} operations; "
            "expected a square matrix of 0 and 1 with a row for each"
        )
    if (words[0], words[-1]) != ("input", "output"):
        first, last = repr(words[0])[:LONGEST_ECHO], repr(words[-1])[:LONGEST_ECHO]
        raise BadArchitecture(f"the operations go from {first} to {last}; expected 'input' to 'output'")
    sources, targets = np.nonzero(matrix)
    names = ["input", *(operation(str(word)[:LONGEST_ECHO]) for word in words[1:-1]), "output"]
    return names, list(zip(sources.tolist(), targets.tolist(), strict=True))


def _agree_to_read(text: str) -> None:
    if len(text) > LONGEST_TEXT:
        raise BadArchitecture(f"found a text of {len(text):,} characters; a cell has at most {LONGEST_TEXT:,}")
