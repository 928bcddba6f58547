"""The program in this process, with a store of its own."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from narformer.cli import main, terminal


@dataclass
class Outcome:
    """What the program left: its exit code and what stood on its two outputs."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The default store of this test."""
    monkeypatch.setenv("NARFORMER_STORE", str(tmp_path / "store.sqlite"))
    return tmp_path / "store.sqlite"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Start `narformer` with these words."""

    def start(*words: str) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["narformer", *words])
        monkeypatch.setattr(terminal.out, "width", 100)
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit_:
            main()
        return Outcome(int(exit_.value.code or 0), *capsys.readouterr())

    return start


@pytest.fixture
def wrong(run: Callable[..., Outcome]) -> Callable[..., str]:
    """The one line that the program leaves when it refuses its words."""

    def start(*words: str) -> str:
        result = run(*words)
        assert (result.returncode, result.stdout, len(result.stderr.splitlines())) == (2, "", 1), result
        return result.stderr

    return start
