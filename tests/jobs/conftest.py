"""A store of its own for every test, and runtimes that need no time."""

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from narformer.jobs import measuring
from narformer.measure import Runtime


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The default store of this test."""
    path = tmp_path / "measured" / "store.sqlite"
    path.parent.mkdir()
    monkeypatch.setenv("NARFORMER_STORE", str(path))
    return path


class Quick(Runtime):
    """Runs nothing, and says what it did."""

    runtime, title = "quick", "Quick"
    log: list[str] = []  # noqa: RUF012 - emptied by the fixture

    @staticmethod
    def library() -> ModuleType:
        return pytest

    def _load(self, library: Any, net: Any, rng: Any) -> str:
        self.log.append(f"load {net.name}")
        return "float32"

    def run(self) -> None:
        self.log.append(f"run {self.name}")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The log of a runtime called "quick"."""
    monkeypatch.setitem(measuring.RUNTIMES, "quick", Quick)
    Quick.log.clear()
    yield Quick.log
    Quick.log.clear()
