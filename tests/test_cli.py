"""The command line as a person meets it: help, answers, JSON, and one helpful line for each wrong input."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from narformer import __version__
from narformer.attributes import Attribute
from narformer.cli import app, main
from narformer.predictors import NeuralPredictor, Target
from narformer.predictors.build import make_model, make_tokenizer
from narformer.predictors.saved import save
from narformer.spaces import SPACES

COMMANDS = [["train"], ["predict"], ["evaluate"], ["table"], ["predictors"], ["data"], ["data", "add"]]
COMMANDS += [["data", "fetch"], ["data", "doctor"], ["inspect"], ["measure"], ["adapt"]]
COMMANDS += [["store", "query"], ["store", "export"], ["store", "import"]]
NB101 = "conv3x3 conv1x1 maxpool3x3 | 01 02 03 14 24 34"
SMALL = {"width": 16, "blocks": 1, "groups": 2, "head": "linear"}


def untrained(space: str, *attributes: Attribute) -> NeuralPredictor:
    """An untrained predictor of cells; of an accuracy where no attribute is named."""
    attributes = attributes or (Attribute.of("accuracy", "fraction"),)
    tokenizer = make_tokenizer("narformer-v2", {"length": 4}, SPACES[space].vocabulary)
    model = make_model("narformer-v2", SMALL, tokenizer, attributes=len(attributes))
    return NeuralPredictor(model, tokenizer, attributes=attributes, space=space, targets=(Target(),) * len(attributes))


@pytest.fixture(scope="module", params=["nasbench101", "nasbench201"])
def predictor(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """(space, folder) of an untrained, saved predictor."""
    space = SPACES[request.param]
    folder = tmp_path_factory.mktemp("saved") / request.param
    save(untrained(space.name), folder)
    return request.param, str(folder)


@dataclass
class Outcome:
    """What the program left: its exit code and what stood on its two outputs."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """The program in this process, which has torch imported already."""

    def start(*words: str) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["narformer", *words])
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit_:
            main()
        return Outcome(int(exit_.value.code or 0), *capsys.readouterr())

    return start


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_help_with_an_example_and_json(command: list[str]) -> None:
    text = re.sub(r"\x1b\[[0-9;]*m", "", CliRunner().invoke(app, [*command, "--help"]).output)
    assert f"Example: narformer {' '.join(command)}" in " ".join(text.split())
    assert "--json" in text


def test_it_is_a_module_too() -> None:
    done = subprocess.run([sys.executable, "-m", "narformer", "--help"], check=True, capture_output=True, text=True)
    assert "Commands" in done.stdout
    assert all(command[0] in done.stdout for command in COMMANDS)


def test_version_and_no_arguments() -> None:
    assert CliRunner().invoke(app, ["--version"]).output.strip() == __version__
    assert "Commands" in CliRunner().invoke(app, []).output


def test_predict_ranks_a_whole_space_best_first(predictor: tuple[str, str]) -> None:
    space, folder = predictor
    if space == "nasbench101":
        pytest.skip("423,624 cells belong to `make bench`")
    answer = json.loads(CliRunner().invoke(app, ["predict", space, "-p", folder, "--json"]).stdout)
    values = [line["value"] for line in answer["ranked"]]
    assert answer["scored"] == len(values) == 15_625
    assert values == sorted(values, reverse=True)
    assert [line["rank"] for line in answer["ranked"][:3]] == [1, 2, 3]


def test_predict_reads_texts_files_and_standard_input_alike(predictor: tuple[str, str], tmp_path: Path) -> None:
    name, folder = predictor
    space, rng = SPACES[name], np.random.default_rng(0)
    texts = [space.format(space.sample(rng)) for _ in range(4)]
    (tmp_path / "cells.txt").write_text("# four cells\n\n" + "\n".join(texts))
    (tmp_path / "cells.json").write_text(json.dumps(texts))
    answers = []
    for words, stdin in ((texts, None), ([str(tmp_path / "cells.txt")], None), ([str(tmp_path / "cells.json")], None)):
        result = CliRunner().invoke(app, ["predict", *words, "-p", folder, "--json"], input=stdin)
        answers.append(json.loads(result.stdout)["ranked"])
    (tmp_path / "marked.txt").write_text("\ufeff" + "\n".join(texts))  # as some editors write it
    marked = CliRunner().invoke(app, ["predict", str(tmp_path / "marked.txt"), "-p", folder, "--json"])
    answers.append(json.loads(marked.stdout)["ranked"])
    piped = CliRunner().invoke(app, ["predict", "-", "-p", folder, "--json"], input="\n".join(texts))
    answers.append(json.loads(piped.stdout)["ranked"])
    assert all(answer == answers[0] for answer in answers)
    assert sorted(line["text"] for line in answers[0]) == sorted(texts)


def test_a_pipe_gets_one_whole_cell_a_line(predictor: tuple[str, str]) -> None:
    name, folder = predictor
    space, rng = SPACES[name], np.random.default_rng(2)
    texts = [space.format(space.sample(rng)) for _ in range(4)]
    lines = CliRunner().invoke(app, ["predict", *texts, "-p", folder]).stdout.splitlines()
    assert [line.split("\t")[0] for line in lines] == ["1", "2", "3", "4"]
    assert sorted(line.split("\t")[2] for line in lines) == sorted(texts)
    assert [texts[int(line.split("\t")[3]) - 1] for line in lines] == [line.split("\t")[2] for line in lines]


def test_best_keeps_only_the_first(predictor: tuple[str, str]) -> None:
    name, folder = predictor
    space, rng = SPACES[name], np.random.default_rng(1)
    texts = [space.format(space.sample(rng)) for _ in range(5)]
    answer = json.loads(CliRunner().invoke(app, ["predict", *texts, "-p", folder, "-n", "2", "--json"]).stdout)
    assert len(answer["ranked"]) == 2
    assert answer["scored"] == 5


@pytest.fixture(scope="module")
def nb101(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of an untrained NAS-Bench-101 predictor."""
    folder = tmp_path_factory.mktemp("nb101") / "predictor"
    save(untrained("nasbench101"), folder)
    return str(folder)


CYCLE = '{"adjacency": [[0,1,0,0],[0,0,1,0],[0,1,0,1],[0,0,0,0]], "ops": ["input","conv3x3","conv1x1","output"]}'


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        ("conv3x3 convv1x1 maxpool3x3 | 01 02 03 14 24 34", ["convv1x1", "Did you mean", "conv1x1"]),
        (CYCLE, ["cycle"]),
        ("conv3x3 | 01", ["output"]),
        ("truncated.json", ["truncated.json", "JSON"]),
        ("missing.txt", ["missing.txt", "no such file"]),
        ("nasbench201", ["nasbench101"]),
    ],
    ids=["misspelt operation", "cycle", "no output", "truncated file", "missing file", "another space"],
)
def test_a_wrong_input_is_one_helpful_line(
    cell: str,
    says: list[str],
    nb101: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    run: Callable[..., Outcome],
) -> None:
    (tmp_path / "truncated.json").write_text(json.dumps([NB101, NB101])[:-9])
    monkeypatch.chdir(tmp_path)
    result = run("predict", cell, "-p", nb101)
    assert result.returncode == 2
    assert not result.stdout
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, result.stderr
    for word in says:
        assert word in lines[0]
    assert "Traceback" not in result.stderr


def test_the_shell_sees_one_line_and_exit_code_2(nb101: str) -> None:
    command = [sys.executable, "-m", "narformer", "predict", "conv3x3 | 01", "-p", nb101]
    result = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (result.returncode, result.stdout, len(result.stderr.strip().splitlines())) == (2, "", 1)


def test_unknown_predictor_table_and_recipe_are_named(tmp_path: Path, run: Callable[..., Outcome]) -> None:
    for words, says in (
        (["predict", NB101, "-p", "nasbench1O1"], "nasbench1O1"),
        (["table", "narformer_v2/nasbench21"], "narformer_v2/nasbench201"),
        (["train", str(tmp_path / "none.toml")], "none.toml"),
    ):
        result = run(*words)
        assert result.returncode == 2
        assert says in result.stderr
        assert len(result.stderr.strip().splitlines()) == 1


def test_table_prints_from_stored_results() -> None:
    folder = Path(__file__).resolve().parents[1] / "results"
    result = CliRunner().invoke(app, ["table", "narformer_v2/nasbench201", "--results", str(folder), "--json"])
    cells = json.loads(result.stdout)["cells"]
    printed = {(cell["system"], cell["column"]): cell["printed"] for cell in cells}
    assert printed["NAR-Former V2", "781"] == 0.874
    assert printed["TNASP + SE", "1563"] == 0.726
