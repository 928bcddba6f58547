"""A table of one's own from end to end: train, save, load, predict, evaluate, resume; and the tutorial as it stands."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from narformer import jobs
from narformer.cli import app
from narformer.data import table_networks
from narformer.data.splits import load_split
from narformer.data.table_file import read_table_file
from narformer.errors import BadArchitecture, BadFile, BadPredictor, BadRecipe
from narformer.formats.onnx_writer import to_onnx
from narformer.jobs.networks import read_network
from narformer.network.cost import cost
from narformer.progress import Progress, silent
from narformer.spaces import SPACES
from narformer.spaces.families import FAMILIES

ROOT = Path(__file__).resolve().parents[2]
SMALL = {"training.epochs": 30, "model.width": 12, "model.inner": 8, "model.members": 2, "model.layers": 1}
SMALL |= {"pretraining.steps": 5, "gaussian_process.steps": 5}


def chain(chance: np.random.Generator) -> dict[str, list[object]]:
    """A chain of up to seven operations, some of them conv."""
    ops = ["in", *chance.choice(["conv", "pool"], chance.integers(1, 6)).tolist(), "out"]
    return {"ops": ops, "edges": [[i, i + 1] for i in range(len(ops) - 1)]}


def train(
    table: Path,
    out: Path,
    changes: dict[str, object] = SMALL,
    labels: tuple[str, ...] = (),
    progress: Progress = silent,
) -> jobs.Learned:
    """Train on a table."""
    return jobs.train(out=out, changes=changes, progress=progress, material=jobs.Material(table, labels=labels))


def rank(nets: list[str], predictor: str, **more: object) -> jobs.Ranking:
    """The cells in the order of a predictor."""
    (asked,) = jobs.ask(nets, [predictor])
    return jobs.rank(asked, **more)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Chains whose score counts convolutions, and whose latency counts operations."""
    chance, path = np.random.default_rng(0), tmp_path / "chains.jsonl"
    graphs = [chain(chance) for _ in range(120)]
    rows = [{"architecture": g, "score": g["ops"].count("conv"), "latency": len(g["ops"])} for g in graphs]
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def test_train_save_load_and_predict(table: Path, tmp_path: Path) -> None:
    run = str(tmp_path / "run")
    learned = train(table, tmp_path / "run")
    assert learned.run.scores["score"]["tau"] > 0.6, "counting convolutions is easy"
    assert learned.rows == 120
    assert learned.repeated > 50
    assert learned.unlabelled == {}
    assert learned.run.trained_on["test"] == 24
    assert train(table, tmp_path / "run") == learned, "a finished run is not trained again"
    assert jobs.evaluate(run) == learned.run.scores
    rows = load_split(tmp_path / "run" / "split.json", read_table_file(table))
    assert [len(part) for part in (rows.train, rows.validation, rows.test)] == [72, 24, 24]
    graphs = [
        json.dumps({"ops": ["in", *["conv"] * n, "out"], "edges": [[i, i + 1] for i in range(n + 1)]}) for n in (1, 5)
    ]
    answer = rank(graphs, run)
    nine = json.dumps({"ops": ["in", *["conv"] * 9, "out"], "edges": [[i, i + 1] for i in range(10)]})
    assert {entry.larger for entry in answer.ranked} == {False}
    assert sorted(entry.larger for entry in rank([graphs[0], nine], run).ranked) == [False, True]
    assert (answer.space, answer.attribute, answer.unit) == ("graphs", "score", "")
    assert [line.text for line in answer.ranked] == graphs[::-1]
    assert [line.text for line in rank(graphs, run, ascending=True).ranked] == graphs


def test_a_table_that_moved_is_known_and_another_one_is_scored_as_a_whole(table: Path, tmp_path: Path) -> None:
    run = str(tmp_path / "run")
    scores = train(table, tmp_path / "run").run.scores
    moved, other = table.rename(tmp_path / "moved.jsonl"), tmp_path / "other.jsonl"
    with pytest.raises(BadPredictor, match="give its path with --data"):
        jobs.evaluate(run)
    assert jobs.evaluate(run, str(moved)) == scores
    other.write_text("\n".join(moved.read_text().splitlines()[:40]))
    told = jobs.evaluate(run, str(other))
    assert told["score"]["tau"] > 0.6
    assert "tau_unseen" not in told["score"]


def test_ascending_is_the_other_order_with_the_same_certainty(table: Path, tmp_path: Path) -> None:
    train(table, tmp_path / "run", labels=("latency",))
    down, up = (rank([str(table)], str(tmp_path / "run"), ascending=a).ranked for a in (False, True))
    assert [line.value for line in up] == sorted(line.value for line in down)
    assert all(line.beats_next >= 0.5 for line in [*up[:-1], *down[:-1]])


def test_graphs_are_read_from_every_kind_of_file(table: Path, tmp_path: Path) -> None:
    run = str(tmp_path / "run")
    train(table, tmp_path / "run", SMALL | {"training.epochs": 1})
    rows = [json.loads(line) for line in table.read_text().splitlines()]
    texts = [json.dumps(row["architecture"]) for row in rows]
    (tmp_path / "plain.jsonl").write_text("\n".join(texts))
    (tmp_path / "plain.txt").write_text("# graphs\n" + "\n".join(texts))
    (tmp_path / "list.json").write_text(json.dumps([row["architecture"] for row in rows]))
    (tmp_path / "table.json").write_text(json.dumps(rows))
    quoted = ['"' + text.replace('"', '""') + '",1' for text in texts]
    (tmp_path / "table.csv").write_text('\ufeff"architecture",score\r\n' + "\n".join(quoted) + "\n")
    files = [table, *(tmp_path / name for name in ("plain.jsonl", "plain.txt", "list.json", "table.json", "table.csv"))]
    answers = [rank([str(file)], run).ranked for file in files]
    assert len(answers[0]) == 120
    assert all(answer == answers[0] for answer in answers)
    with pytest.raises(BadArchitecture, match=r"no operation is called 'cnv'\. Did you mean 'conv'"):
        rank(['{"ops": ["in", "cnv"], "edges": []}'], run)
    with pytest.raises(BadArchitecture, match="your own"):
        rank(["graphs"], run)


def test_cells_of_a_known_space_stay_cells_of_it(tmp_path: Path) -> None:
    space, chance = SPACES["darts"], np.random.default_rng(0)
    texts = [space.format(space.sample(chance)) for _ in range(20)]
    rows = [{"architecture": text, "value": text.count("sep")} for text in texts]
    (tmp_path / "t.json").write_text(json.dumps(rows))
    train(tmp_path / "t.json", tmp_path / "run", SMALL | {"training.epochs": 1})
    answer = rank(texts[:2], str(tmp_path / "run"))
    assert answer.space == "darts"
    assert sorted(line.text for line in answer.ranked) == sorted(texts[:2])


def test_a_file_that_changed_between_start_and_resume_is_noticed(table: Path, tmp_path: Path) -> None:
    def interrupt(phase: str, done: int, total: int, tau: float | None) -> None:
        if done == 7:
            raise KeyboardInterrupt

    whole = train(table, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(table, tmp_path / "cut", progress=interrupt)
    before = table.read_text()
    table.write_text(before.replace('"score": 1,', '"score": 9,'))
    with pytest.raises(BadFile, match="the state of recipe"):
        train(table, tmp_path / "cut")
    with pytest.raises(BadFile, match="the run of recipe"):
        train(table, tmp_path / "whole")
    with pytest.raises(BadFile, match="other content"):
        jobs.evaluate(str(tmp_path / "whole"))
    table.write_text(before)
    assert train(table, tmp_path / "cut").run.scores == whole.run.scores


def test_neither_recipe_nor_table_nor_store(table: Path) -> None:
    with pytest.raises(BadRecipe, match="give a recipe, a table with --data, or measurements with --store"):
        jobs.train()
    with pytest.raises(BadRecipe, match="one of --data and --store"):
        jobs.train(material=jobs.Material(table, "a.sqlite"))


BLOCKS = re.findall(
    r"```(\w*)\n(.*?)```", (ROOT / "docs/your_own_data.md").read_text(encoding="utf-8"), flags=re.DOTALL
)
FEW = [
    word for key in ("training.epochs", "pretraining.steps", "gaussian_process.steps") for word in ("--set", f"{key}=3")
]


def test_the_tutorial_runs_word_by_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    monkeypatch.chdir(tmp_path)
    told: dict[str, str] = {}
    for words in (shlex.split(line) for language, block in BLOCKS if language == "sh" for line in block.splitlines()):
        if words[0] == "python":
            subprocess.run([sys.executable, *words[1:]], check=True)
        else:
            result = CliRunner().invoke(app, [*words[1:], *(FEW if words[1] == "train" else [])])
            assert result.exit_code == 0, result.output
            told[words[1]] = result.stdout
    shown = next(block for language, block in BLOCKS if not language and "Kendall" in block).splitlines()
    numbers = re.compile(r"\d+ s|\d\.\d{3}")
    assert [numbers.sub("#", line) for line in told["train"].splitlines()] == [numbers.sub("#", line) for line in shown]
    assert len(told["predict"].splitlines()) == 10
    python = "\n".join(block for language, block in BLOCKS if language == "python")
    exec(compile(python, "your_own_data.md", "exec"), {})  # our own page
    assert float(capsys.readouterr().out)
    recipe = next(block for language, block in BLOCKS if language == "toml").replace("my.csv", "runs/own_space.csv")
    rest = (
        (ROOT / "src/narformer/training/default_cells.toml")
        .read_text()
        .partition("\n[sizes")[0]
        .replace("= 500", "= 1")
    )
    Path("own.toml").write_text(rest + recipe.replace('"latency"', '"score"'))
    assert jobs.train(Path("own.toml")).run.trained_on["test"] == 80


@pytest.mark.parametrize("block", [b for language, b in BLOCKS if "architecture" in b and language in ("", "json")])
def test_the_tables_shown_are_tables(block: str, tmp_path: Path) -> None:
    from narformer.data.table_file import read_table_file

    if not block.startswith(("architecture", "[")):
        pytest.skip("no table")
    path = tmp_path / ("t.json" if block.startswith("[") else "t.csv")
    path.write_text(block)
    assert set(read_table_file(path).labels) == {"accuracy", "latency"}


def test_the_command_says_how_to_go_on_and_json_holds_it_all(table: Path, tmp_path: Path) -> None:
    words = ["train", "--data", str(table), "--label", "latency", "--out", str(tmp_path / "run"), *FEW]
    facts = json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)
    assert facts["table"]["space"] == "graphs"
    text = CliRunner().invoke(app, words).stdout
    assert f"predict CELLS --predictor {tmp_path / 'run'}" in text
    assert f"Kendall τ of latency on the 24 test networks: {facts['scores']['latency']['tau']:.3f}" in text


def test_a_table_of_whole_networks_trains_a_predictor_of_latency(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(to_onnx(FAMILIES["squeezenet"].variant(30), "none"))
    names = [*(f"squeezenet/{number}" for number in range(29)), "net.onnx"]
    rows = [{"architecture": name, "latency_ms": 1.0 + row % 7} for row, name in enumerate(names)]
    (tmp_path / "table.json").write_text(json.dumps(rows))
    words = ["train", "--data", str(tmp_path / "table.json"), "--out", str(tmp_path / "run")]
    few = [word for change in ("training.epochs=2", "model.width=8", "model.members=2") for word in ("--set", change)]
    result = CliRunner().invoke(app, [*words, *few])
    assert result.exit_code == 0, result.output
    for text in (
        "30 networks; 0 repeat",
        "18 train, 6 validate, 6 test",
        "mean absolute error of latency_ms on them",
        "FILES",
    ):
        assert text in result.stdout
    assert jobs.evaluate(str(tmp_path / "run"))["latency_ms"]["mape"] > 0
    (answer,) = jobs.predict_network(tmp_path / "net.onnx", str(tmp_path / "run"))
    assert answer.unit == "ms"
    assert answer.layers


def test_latencies_of_any_unit_are_learned_alike(tmp_path: Path) -> None:
    networks = [f"squeezenet/{number}" for number in range(40)]
    for unit, times in (("ms", 1.0), ("us", 1e3), ("s", 1e-3)):
        rows = [
            {"architecture": name, f"time_{unit}": times * cost(read_network(name).architecture).flops / 1e8}
            for name in networks
        ]
        (tmp_path / f"{unit}.json").write_text(json.dumps(rows))
        changes = {"training.epochs": 30, "model.width": 8, "model.members": 2}
        learned = train(tmp_path / f"{unit}.json", tmp_path / unit, changes)
        assert learned.run.scores[f"time_{unit}"]["mape"] < 20
        assert [answer.unit for answer in jobs.predict_network("squeezenet/1", str(tmp_path / unit))] == [unit]


def test_of_whole_networks_a_sum_is_learned_so_that_values_are_positive(tmp_path: Path) -> None:
    rows = [{"architecture": f"squeezenet/{number}", "score": number - 3.0} for number in range(12)]
    (tmp_path / "table.json").write_text(json.dumps(rows))
    with pytest.raises(BadRecipe, match="a sum over their layers"):
        train(tmp_path / "table.json", tmp_path / "run", {})


def test_cells_that_compute_the_same_get_one_answer(tmp_path: Path) -> None:
    """Of NAS-Bench-201: an operation behind ``none`` alone does not matter, in a table of one's own as elsewhere."""
    space, chance = SPACES["nasbench201"], np.random.default_rng(0)
    cells = [space.format(space.sample(chance)) for _ in range(60)]
    rows = [{"architecture": cell, "score": cell.count("conv_3x3")} for cell in cells]
    (tmp_path / "table.json").write_text(json.dumps(rows))
    train(tmp_path / "table.json", tmp_path / "run", SMALL | {"training.epochs": 1})
    dead = "|none~0|+|nor_conv_3x3~0|{}~1|+|none~0|none~1|avg_pool_3x3~2|"  # nothing reaches vertex 1
    ranked = rank([dead.format(kind) for kind in ("nor_conv_1x1", "avg_pool_3x3")], str(tmp_path / "run")).ranked
    assert ranked[0].value == pytest.approx(ranked[1].value, rel=1e-6)


def test_intervals_hold_new_networks_where_a_table_repeats_each_of_them(tmp_path: Path) -> None:
    """Four measurements of each: the other rows of a training network would tell its label, a new network has none."""
    chance, space = np.random.default_rng(0), SPACES["nasbench101"]
    cells = [space.format(space.sample(chance)) for _ in range(100)]

    def measured(cell: str) -> float:
        return cell.count("conv3x3") - 0.5 * cell.count("maxpool") + 0.1 * len(cell) + chance.normal()

    rows = [{"architecture": cell, "score": measured(cell)} for cell in cells for _ in range(4)]
    (tmp_path / "table.json").write_text(json.dumps(rows))
    learned = train(tmp_path / "table.json", tmp_path / "run", SMALL | {"gaussian_process.steps": 40})
    assert learned.run.scores["score"]["coverage"] > 0.8
    fresh = [space.format(space.sample(chance)) for _ in range(300)]
    answer = rank(fresh, str(tmp_path / "run"))
    inside = [entry.low <= measured(fresh[entry.row - 1]) <= entry.high for entry in answer.ranked]
    assert np.mean(inside) > 0.8


def test_another_table_is_scored_by_the_column_that_was_learned(table: Path, tmp_path: Path) -> None:
    train(table, tmp_path / "run")
    entries = [json.loads(line) for line in table.read_text().splitlines()]
    turned = [{"architecture": e["architecture"], "latency": e["latency"], "score": e["score"]} for e in entries]
    (tmp_path / "turned.json").write_text(json.dumps(turned))
    (tmp_path / "same.json").write_text(json.dumps(entries))
    scores = [jobs.evaluate(str(tmp_path / "run"), str(tmp_path / f"{name}.json")) for name in ("same", "turned")]
    assert scores[0] == scores[1]


def test_files_of_a_table_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read, rows = [], []
    whole = table_networks.read_onnx
    monkeypatch.setattr(table_networks, "read_onnx", lambda path, *more: read.append(path) or whole(path, *more))
    for number in range(12):
        name = f"{number}.onnx"
        (tmp_path / name).write_bytes(to_onnx(FAMILIES["squeezenet"].variant(number), "none"))
        rows.append({"architecture": name, "ms": 1.0 + number})
    (tmp_path / "table.json").write_text(json.dumps(rows))
    changes = {"training.epochs": 1, "model.width": 8, "model.members": 1}
    train(tmp_path / "table.json", tmp_path / "run", changes)
    assert len(read) == 12


def test_intervals_end_near_the_labels_of_training(table: Path, tmp_path: Path) -> None:
    """Labels that saturate leave knots whose outermost slope would lead anywhere."""
    entries = [json.loads(line) for line in table.read_text().splitlines()]
    rows = [{"architecture": e["architecture"], "accuracy": 100 * (1 - 0.9 * 2.0 ** -e["latency"])} for e in entries]
    (tmp_path / "table.json").write_text(json.dumps(rows))
    train(tmp_path / "table.json", tmp_path / "run", SMALL | {"training.epochs": 5})
    low, high = min(r["accuracy"] for r in rows), max(r["accuracy"] for r in rows)
    for entry in rank([str(tmp_path / "table.json")], str(tmp_path / "run")).ranked:
        assert low - (high - low) <= entry.low <= entry.high <= high + (high - low)
