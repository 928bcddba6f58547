"""The program in this process, and the four additions in the tables of the package for the time of a test."""

import importlib.util
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def addition():
    """A file of this folder as a module, by its name."""

    def load(name):
        spec = importlib.util.spec_from_file_location(f"house_{name}", Path(__file__).parent / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Start `narformer` with these words; its standard output, after it ended well."""
    from narformer.cli import main

    monkeypatch.setenv("NARFORMER_STORE", str(tmp_path / "store.sqlite"))

    def start(*words):
        monkeypatch.setattr(sys, "argv", ["narformer", *map(str, words)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        found = capsys.readouterr()
        assert not ended.value.code, found.err
        return found.out

    return start
