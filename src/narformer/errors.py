"""All errors that the package raises on purpose, and the function that looks up a name in a table.

NarformerError
├── UnknownName         an unknown name (the error suggests the nearest known one), or an ambiguous one
├── BadArchitecture     an invalid architecture: cycle, unknown operation, wrong size
├── BadFile             a file that is damaged, truncated, hostile or of another format than expected
├── MissingData         a data source that is not in the data folder
├── MissingExtra        an optional dependency that is not installed
├── BadRecipe           a recipe that does not validate or contradicts itself
├── BadPredictor        a saved predictor that does not fit its manifest
├── NotMeasured         networks that could not be measured, each with the reason
├── NotAnswered         networks that could not be inspected or predicted, each with the reason
├── MixedMachines       measurements that must not be mixed: of two machines under one name, of several conditions
├── TooManyThreads      more threads than the machine has cores
└── Diverged            a training whose loss became infinite or NaN
"""

import difflib
import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TypeVar

T = TypeVar("T")
NAME_LENGTH = 200  # characters of a displayed name; longer names are cut


class NarformerError(Exception):
    """Base class of all errors raised on purpose; the text is a single line."""

    @property
    def reasons(self) -> tuple[str, ...]:
        """The text; several texts where the error is about several networks."""
        return (str(self),)


class UnknownName(NarformerError):
    """An unknown or ambiguous name."""


class BadArchitecture(NarformerError):
    """An invalid architecture."""


class BadFile(NarformerError):
    """A file that is damaged, truncated, hostile, or of another format than expected."""

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


class NotMeasured(NarformerError):
    """Networks that could not be measured; raised after all others were.

    failures: (network, runtime, reason) of each; the runtime is "" where the network could not be read
    """

    def __init__(self, failures: Sequence[tuple[str, str, str]]) -> None:
        self.failures = tuple(failures)
        super().__init__("; ".join(reason for *_, reason in failures))

    @property
    def reasons(self) -> tuple[str, ...]:
        """The reason of each network, equal ones once."""
        return tuple(dict.fromkeys(reason for *_, reason in self.failures))


class NotAnswered(NarformerError):
    """Networks that could not be inspected or predicted; raised after all others were.

    failures: (network, reason) of each
    """

    def __init__(self, failures: Sequence[tuple[str, str]]) -> None:
        self.failures = tuple(failures)
        super().__init__("; ".join(self.reasons))

    @property
    def reasons(self) -> tuple[str, ...]:
        """The reason of each network, equal ones once."""
        return tuple(dict.fromkeys(reason for _, reason in self.failures))


class MixedMachines(NarformerError):
    """Measurements that must not be mixed: of two machines under one name, or of several conditions."""


class TooManyThreads(NarformerError):
    """More threads than the machine has cores."""


class Diverged(NarformerError):
    """A training whose loss became infinite or NaN."""


def lookup(table: Mapping[str, T], name: str, kind: str) -> T:
    """The entry called ``name``. Raises UnknownName, which suggests the nearest known name."""
    if name in table:
        return table[name]
    near = difflib.get_close_matches(name, table, n=1, cutoff=0.5)
    hint = f"Did you mean '{near[0]}'?" if near else f"Known: {', '.join(sorted(table))}."
    raise UnknownName(f"no {kind} is called '{name}'. {hint}")


def needs(module: str, extra: str) -> ModuleType:
    """Import an optional dependency. Raises MissingExtra with the command that installs it."""
    try:
        return importlib.import_module(module)
    except ImportError:
        package = module.partition(".")[0]
        raise MissingExtra(
            f"this needs the package '{package}', which is not installed: pip install 'narformer[{extra}]'"
        ) from None


def printable(name: str) -> str:
    """The name without control characters, cut to a readable length."""
    text = name[: NAME_LENGTH + 1]
    if not text.isprintable():
        text = "".join(c if c.isprintable() else "?" for c in text)
    return text if len(text) <= NAME_LENGTH else text[: NAME_LENGTH - 1] + "…"
