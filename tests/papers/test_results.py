"""Ours beside printed: means, deviations, statuses; and the committed pages say what the stored runs say."""

import json
from pathlib import Path

import pytest

from narformer.papers import TABLES, assemble, markdown, read_recipe, read_table, row_recipe, write, write_all
from narformer.papers.recipes import OWN
from narformer.papers.results import compare, surpass
from narformer.training.runs import Run, read_run

COMMITTED = Path(__file__).resolve().parents[2] / "results"


@pytest.mark.parametrize(
    ("metric", "printed", "mean", "status"),
    [
        ("kendall_tau", 0.874, 0.90, "reproduced"),
        ("kendall_tau", 0.874, 0.864, "reproduced"),
        ("kendall_tau", 0.874, 0.8639, "near"),
        ("kendall_tau", 0.874, 0.844, "near"),
        ("kendall_tau", 0.874, 0.8439, "off"),
        ("kendall_tau", -0.232, -0.24, "reproduced"),
        ("milliseconds", 6.4747, 7.0, "reproduced"),
        ("milliseconds", 6.4747, 12.0, "near"),
        ("milliseconds", 0.0001, 0.1, "off"),
        ("kendall_tau", 0.874, None, "not run"),
        ("error", 3.07, 3.37, "reproduced"),
        ("error", 3.07, 4.6, "near"),
        ("error", 3.07, 4.7, "off"),
        ("within", 96.41, 95.5, "reproduced"),
        ("within", 96.41, 93.5, "near"),
        ("within", 96.41, 90.0, "off"),
    ],
)
def test_status(metric, printed, mean, status):
    assert compare(metric, printed, mean) == status


def test_a_system_of_our_own_is_ahead_of_the_best_printed_number_or_behind():
    assert [surpass("kendall_tau", 0.85, mean) for mean in (0.8501, 0.85, None)] == ["ahead", "behind", "not run"]
    assert [surpass("error", 3.0, mean) for mean in (2.9, 3.0)] == ["ahead", "behind"]


def test_a_row_of_our_own_has_every_column_and_prints_nothing(tmp_path):
    table = read_table("narformer_v2/nasbench201")
    result = assemble(table, tmp_path)
    cells = [cell for cell in result.cells if cell.system == "Relational (ours)"]
    assert [(cell.column, cell.printed, cell.status) for cell in cells] == [
        (column.key, None, "not run") for column in table.columns
    ]
    assert "Relational (ours) | not run | not run |" in markdown(result)


def test_without_runs_everything_is_printed_and_not_run(tmp_path):
    for name in TABLES:
        table = read_table(name)
        result = assemble(table, tmp_path)
        assert len(result.cells) == sum(len(table.columns_of(row)) for row in table.rows)
        assert {cell.status for cell in result.cells} == {"not run"}
        assert not result.differences


def test_three_seeds_give_mean_and_deviation(tmp_path, pretend):
    table = read_table("narformer_v2/nasbench201")
    recipe = read_recipe("narformer_v2/nasbench201", "quick", 781)
    for seed, tau in enumerate((0.86, 0.87, 0.88)):
        pretend(tmp_path, recipe, seed, tau=tau, tau_valid=tau + 0.03, tau_unseen=tau - 0.01)
    cell = assemble(table, tmp_path).cell("NAR-Former V2", "781")
    assert (cell.values, cell.mean, cell.sd) == ((0.86, 0.87, 0.88), 0.87, 0.01)
    assert (cell.printed, cell.status, cell.seeds) == (0.874, "reproduced", (0, 1, 2))
    assert (cell.also["tau_valid"].mean, cell.also["tau_unseen"].mean) == (0.9, 0.86)
    assert (cell.seconds, cell.seconds_scoring) == (20.0, 1.0)
    assert cell.recipe_hash == recipe.hash()
    assert "An Abacus" in cell.machine[0]


def test_one_run_fills_both_columns_of_its_size(tmp_path, pretend):
    recipe = read_recipe("narformer/nasbench101", "quick", 424)
    pretend(tmp_path, recipe, 0, tau=0.76, tau_100=0.79)
    result = assemble(read_table("narformer/nasbench101"), tmp_path)
    assert (result.cell("NAR-Former", "424").mean, result.cell("NAR-Former", "424→100").mean) == (0.76, 0.79)
    assert result.cell("NAR-Former", "424").sd is None
    assert result.cell("NAR-Former", "4236").status == "not run"
    other = assemble(read_table("narformer_v2/nasbench101"), tmp_path)
    assert other.cell("NAR-Former", "424").mean == 0.76


def test_paper_runs_stand_before_quick_ones_and_are_never_mixed(tmp_path, pretend):
    table = read_table("tnasp/nasbench201")
    pretend(tmp_path, read_recipe("tnasp/nasbench201", "quick", 781), 0, tau=0.6)
    assert assemble(table, tmp_path).cell("TNASP", "781").recipe == "quick"
    pretend(tmp_path, read_recipe("tnasp/nasbench201", "paper", 781), 0, tau=0.7)
    cell = assemble(table, tmp_path).cell("TNASP", "781")
    assert (cell.recipe, cell.values) == ("paper", (0.7,))


def test_a_run_of_another_recipe_does_not_count(tmp_path, pretend):
    recipe = read_recipe("tnasp/nasbench201", "quick", 781)
    changed = recipe.model_copy(update={"training": recipe.training.model_copy(update={"epochs": 7})})
    pretend(tmp_path, changed, 0, tau=0.7)
    assert assemble(read_table("tnasp/nasbench201"), tmp_path).cell("TNASP", "781").status == "not run"


def test_the_page_names_differences_and_ceiling(tmp_path, pretend):
    pretend(tmp_path, read_recipe("narformer/nasbench201", "quick", 1563), 0, tau=0.86, tau_valid=0.9, tau_unseen=0.85)
    page = markdown(assemble(read_table("narformer/nasbench201"), tmp_path))
    assert "0.901§ · **0.860** off" in page
    assert "0.888" in page
    assert "training.epochs" in page
    assert "(4000)" in page
    assert "An Abacus, 10 cores, 1 thread" in page
    assert "| LSTM | NAO | 0.522 | 0.526 | – |" in page


def test_writing_twice_gives_the_same_bytes(tmp_path, pretend):
    recipe = read_recipe("tnasp/nasbench101", "quick", 424)
    for seed in (1, 0):
        pretend(tmp_path, recipe, seed, tau=0.7 + seed / 100, tau_100=0.75)
    paths = write_all(tmp_path)
    assert len(paths) == 2 * len(TABLES)
    before = [path.read_bytes() for path in paths]
    assert [path.read_bytes() for path in write_all(tmp_path)] == before
    assert not list(tmp_path.glob("*.partial"))
    content = json.loads((tmp_path / "tnasp_nasbench101.json").read_text(encoding="utf-8"))
    cell = next(cell for cell in content["cells"] if (cell["system"], cell["column"]) == ("TNASP", "424"))
    asked = {"system", "n", "metric", "values", "mean", "sd", "seeds", "printed", "seconds", "recipe_hash", "machine"}
    assert asked <= set(cell)
    assert cell["values"] == [0.7, 0.71]


@pytest.mark.parametrize("name", TABLES)
def test_the_committed_results_are_what_the_stored_runs_give(name, tmp_path):
    fresh = write(assemble(read_table(name), COMMITTED), tmp_path)
    for path in fresh:
        committed = COMMITTED / path.name
        assert committed.exists(), f"{committed} is missing: write_all() makes it"
        assert committed.read_bytes() == path.read_bytes(), f"{path.name} is not what results/runs gives: write_all()"


def test_every_stored_run_belongs_to_a_row():
    tables = [read_table(name) for name in TABLES]
    rows = [(table, row) for table in tables for row in table.rows if row.recipe is not None]
    known = {
        row_recipe(table, row, setting, variant).hash()
        for table, row in rows
        for setting in table.settings(row)
        for variant in (("quick",) if row.recipe in OWN else ("quick", "paper"))
    }
    paths = sorted((COMMITTED / "runs").glob("*.json"))
    assert paths
    for path in paths:
        run = read_run(path)
        assert run.recipe_hash in known, path.name
        assert path.stem == f"{run.system}_{run.data}_{run.n}_{run.recipe_hash}_{run.seed}"


def test_stored_runs_of_format_1_are_read_whole():
    """What format 1 said of scores, machine, threads, torch and precision stands at its place in format 2."""
    for path in sorted((COMMITTED / "runs").glob("*.json")):
        content, run = json.loads(path.read_text(encoding="utf-8")), read_run(path)
        if content["format"] != 1:
            continue
        machine = content["machine"]
        assert run.format == 2
        assert run.attribute_scores == content["scores"]
        assert [machine[name] for name in ("cpu", "cores")] == [run.machine.cpu, run.machine.cores]
        told = [run.threads, run.torch, run.precision]
        assert [machine[name] for name in ("threads", "torch", "precision")] == told
        assert run.recipe == content["recipe"]
        assert Run.model_validate_json(run.model_dump_json(exclude_none=True)) == run


def test_a_mean_is_taken_seed_by_seed_over_the_families(tmp_path, pretend):
    table = read_table("narformer_v2/latency_unseen")
    row = table.row("NNLP")
    for column, setting in enumerate(table.settings(row)):
        for seed in (0, 1):
            recipe = row_recipe(table, row, setting, "quick")
            pretend(tmp_path, recipe, seed, mape=float(column + 10 * seed), acc_10=50.0, coverage=column / 10)
    result = assemble(table, tmp_path)
    cell = result.cell("NNLP", "MAPE Average")
    assert cell.also["coverage"].values == (0.45, 0.45), "of all families, not of the first"
    assert (cell.values, cell.seeds, cell.printed, cell.status) == ((4.5, 14.5), (0, 1), 11.55, "other data")
    assert result.cell("NNLP", "Acc(10 %) Average").mean == 50.0
    page = markdown(result)
    assert "| MAPE Average |" in page, "systems stand side by side, as in print"
    assert "11.55 · **9.50 ± 7.07** other data" in page


def test_numbers_of_other_data_are_not_compared(tmp_path, pretend):
    table, seen = read_table("narformer_v2/latency"), read_table("narformer_v2/latency_nnlqp")
    for t in (table, seen):
        recipe = row_recipe(t, t.row("Kernel sum (ours)"), t.settings(t.row("NNLP"))[0], "quick")
        pretend(tmp_path, recipe, 0, mape=1.0, acc_10=99.9)
    assert assemble(table, tmp_path).cell("Kernel sum (ours)", "MAPE All").status == "other data"
    assert assemble(seen, tmp_path).cell("Kernel sum (ours)", "MAPE").status == "ahead"
