"""What the README shows is true: its commands parse, its quick ones run, its Python runs."""

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from narformer.cli import app
from narformer.formats.onnx_writer import to_onnx
from narformer.spaces.families import FAMILIES

ROOT = Path(__file__).resolve().parents[1]
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.DOTALL)
COMMANDS = [
    shlex.split(line, comments=True)[1:]
    for language, block in BLOCKS
    if language == "sh"
    for line in block.splitlines()
    if line.startswith("narformer ")
]
RUN = [
    words
    for words in COMMANDS
    if words[0] in {"predict", "table"}
    and not {"--fresh", "cells.txt", "runs/first", "runs/here", "runs/mine"} & set(words)
]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_and_option_exists(words: list[str]) -> None:
    command = words[:2] if words[0] in {"data", "store"} and len(words) > 1 else words[:1]
    text = CliRunner(env={"COLUMNS": "200"}).invoke(app, [*command, "--help"])
    assert text.exit_code == 0
    for option in (word for word in words if word.startswith("--")):
        assert option in text.output, f"{option} of `narformer {' '.join(words)}`"


@pytest.mark.parametrize("words", RUN, ids=" ".join)
def test_quick_commands_run(words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    if "model.onnx" in words:
        (tmp_path / "model.onnx").write_bytes(to_onnx(FAMILIES["squeezenet"].variant(1), "none"))
        monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    assert result.output.strip()


def test_the_python_runs(capsys: pytest.CaptureFixture[str]) -> None:
    code = "\n".join(block for language, block in BLOCKS if language == "python")
    exec(compile(code, "README.md", "exec"), {})  # our own README, not somebody's file
    assert capsys.readouterr().out


def test_the_links_lead_somewhere() -> None:
    targets = re.findall(r"\]\(([^)#:]+)\)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert targets
    assert not [target for target in targets if not (ROOT / target).exists()]
