"""Every error the package raises on purpose, and the one way to look a name up in a table.

NarformerError
├── UnknownName         a name that no table holds (answered with the nearest right one), or that several might mean
├── BadArchitecture     an architecture that cannot be one: cycle, unknown operation, wrong size
├── BadFile             a file that is damaged, truncated, hostile or not what it was taken for
├── MissingData         a data source that is not in the data folder
├── MissingExtra        an optional dependency that is not installed
├── BadRecipe           a recipe that does not validate or contradicts itself
├── BadPredictor        a saved predictor that does not fit its manifest
├── MixedMachines       measurements that must not be mixed: of two machines under one name, of several conditions
└── Diverged            a training whose loss is no number any more
"""

import difflib
import importlib
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import TypeVar

T = TypeVar("T")
NAME_LENGTH = 200  # characters of a name that people see; longer ones are cut


class NarformerError(Exception):
    """Base of all errors raised on purpose; its text is one helpful line."""


class UnknownName(NarformerError):
    """A name that no table holds, or that several might mean."""


class BadArchitecture(NarformerError):
    """An architecture that cannot be one."""


class BadFile(NarformerError):
    """A file that is damaged, truncated, hostile, or not what it was taken for."""

    def __init__(self, path: str | Path, found: str, expected: str, remedy: str = "") -> None:
        text = f"{path}: found {found}; expected {expected}."
        super().__init__(f"{text} {remedy}".rstrip())


class MissingData(NarformerError):
    """A data source that is not in the data folder."""


class MissingExtra(NarformerError):
    """An optional dependency that is not installed."""


class BadRecipe(NarformerError):
    """A recipe that does not validate or contradicts itself."""


class BadPredictor(NarformerError):
    """A saved predictor that does not fit its manifest."""


class MixedMachines(NarformerError):
    """Measurements that must not be mixed: of two machines under one name, or of several conditions."""


class TooManyThreads(NarformerError):
    """More threads than the machine has cores."""


class Diverged(NarformerError):
    """A training whose loss is no number any more."""


def lookup(table: Mapping[str, T], name: str, kind: str) -> T:
    """The entry called ``name``, or UnknownName with the nearest right name."""
    if name in table:
        return table[name]
    near = difflib.get_close_matches(name, table, n=1, cutoff=0.5)
    hint = f"Did you mean '{near[0]}'?" if near else f"Known: {', '.join(sorted(table))}."
    raise UnknownName(f"no {kind} is called '{name}'. {hint}")


def needs(module: str, extra: str) -> ModuleType:
    """Import an optional dependency, or say in one line what to install."""
    try:
        return importlib.import_module(module)
    except ImportError:
        package = module.partition(".")[0]
        raise MissingExtra(
            f"this needs the package '{package}', which is not installed: pip install 'narformer[{extra}]'"
        ) from None


def printable(name: str) -> str:
    """The name without control characters, cut to a length that people can read."""
    text = name[: NAME_LENGTH + 1]
    if not text.isprintable():
        text = "".join(c if c.isprintable() else "?" for c in text)
    return text if len(text) <= NAME_LENGTH else text[: NAME_LENGTH - 1] + "…"
