"""What the README and the pages show is true: their commands parse, the quick ones run, their Python runs."""

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from narformer.cli import app
from narformer.formats.onnx_writer import to_onnx
from narformer.spaces.families import FAMILIES

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]
MOST_LINES = 170
WITH_PYTHON = [README, *(ROOT / "docs" / name for name in ("predict.md", "measure.md"))]
NEEDED = {"predict", "inspect", "table", "predictors"}  # quick commands, which train and measure nothing
ABSENT = {"--fresh", "--seeds", "--save", "profile.json"}
ABSENT |= {"runs/first", "runs/here", "runs/mine", "runs/own", "runs/store"}
CELLS = "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|skip_connect~2|\n"


def blocks(page: Path) -> list[tuple[str, str]]:
    """(language, text) of each block of code."""
    return re.findall(r"^```(\w*)\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def commands(page: Path) -> Iterator[list[str]]:
    """The words of each command line of narformer in the page's blocks, without the first."""
    for language, block in blocks(page):
        for line in block.splitlines():
            if language in {"sh", ""} and line.startswith("narformer "):
                yield shlex.split(line, comments=True)[1:]


def mentions(page: Path) -> Iterator[list[str]]:
    """The words of each command of narformer in the page's running text, without the first."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    yield from (shlex.split(found)[1:] for found in re.findall(r"`(narformer [^`]*)`", text))


def resolved(words: list[str]) -> tuple[Any, list[str]]:
    """The command that the words name, and its arguments."""
    command: Any = typer.main.get_command(app)
    for place, word in enumerate(words):
        known = getattr(command, "commands", {})
        if not known or word not in known:
            assert not known or word.startswith("--"), f"no command {word}"
            return command, words[place:]
        command = known[word]
    return command, []


COMMANDS = [pytest.param(words, id=f"{page.name}: {' '.join(words)}") for page in PAGES for words in commands(page)]
MENTIONS = [pytest.param(words, id=f"{page.name}: {' '.join(words)}") for page in PAGES for words in mentions(page)]
QUICK = {
    " ".join(words): words
    for page in WITH_PYTHON
    for words in commands(page)
    if words[0] in NEEDED and not ABSENT & set(words) and not {"--dim"} & set(words)
}


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with the files that the commands read and the stored runs."""
    model = to_onnx(FAMILIES["squeezenet"].variant(1), "random", np.random.default_rng(0))
    (tmp_path / "model.onnx").write_bytes(model)
    (tmp_path / "cells.txt").write_text(CELLS)
    (tmp_path / "results").symlink_to(ROOT / "results")
    monkeypatch.setenv("NARFORMER_STORE", str(tmp_path / "store.sqlite"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("words", COMMANDS)
def test_every_command_parses(words: list[str]) -> None:
    command, arguments = resolved(words)
    command.make_context(" ".join(words[:2]), arguments)  # raises where an option or an argument is wrong


@pytest.mark.parametrize("words", MENTIONS)
def test_every_command_in_the_text_exists(words: list[str]) -> None:
    command, arguments = resolved(words)
    options = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    assert {word for word in arguments if word.startswith("--")} <= options | {"--help", "--version"}


@pytest.mark.parametrize("words", QUICK.values(), ids=QUICK)
def test_quick_commands_run(words: list[str], files: Path) -> None:
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    assert result.output.strip()


@pytest.mark.parametrize("page", WITH_PYTHON, ids=lambda page: page.name)
def test_the_python_runs(page: Path, files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = "\n".join(block for language, block in blocks(page) if language == "python")
    exec(compile(code, page.name, "exec"), {})  # our own page, not somebody's file
    assert capsys.readouterr().out


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8"))
    assert not [target for target in targets if not (page.parent / target).exists()]


def test_the_readme_is_short_and_links_to_every_page() -> None:
    text = README.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MOST_LINES
    assert [page.name for page in PAGES[1:] if f"](docs/{page.name})" not in text] == []


def variables(path: Path) -> Iterator[str]:
    """Names of the environment variables that a file reads; a name may be a constant of the file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    constants = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript) and ast.unparse(node.value).endswith("environ"):
            name: ast.expr = node.slice
        elif isinstance(node, ast.Call) and re.search(r"\b(getenv|environ\.\w+)$", ast.unparse(node.func)):
            name = node.args[0]
        elif isinstance(node, ast.Compare) and ast.unparse(node.comparators[0]).endswith("environ"):
            name = node.left
        else:
            continue
        yield ast.literal_eval(constants[name.id] if isinstance(name, ast.Name) else name)


def test_every_environment_variable_is_in_the_table(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "develop.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `([A-Z_]+)` \|", page, flags=re.MULTILINE)
    read = {name for path in (ROOT / "src").rglob("*.py") for name in variables(path)}
    assert sorted(read) == sorted(listed)
    every = tmp_path / "every.py"
    every.write_text('import os\nX = "A"\nos.environ[X]\nos.getenv("B")\nos.environ.get("C", "")\n"D" in os.environ\n')
    assert sorted(variables(every)) == ["A", "B", "C", "D"]


def test_the_pages_for_developers_name_files_that_exist() -> None:
    package = ROOT / "src" / "narformer"
    for page in (README, ROOT / "docs" / "develop.md"):
        for found in re.findall(r"`([\w/]+(?:\.(?:py|toml)|/))`", page.read_text(encoding="utf-8")):
            assert (ROOT / found).exists() or (package / found).exists(), f"{page.name} names {found}"
