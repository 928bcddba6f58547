"""A row is run once per recipe and seed, on a made-up data set of 400 cells; what is stored is found again."""

import pytest

from narformer.errors import BadFile, BadRecipe
from narformer.papers import Place, Setting, assemble, read_recipe, read_table, rows, run_row
from narformer.training.recipe import Recipe
from narformer.training.runs import Run, find


@pytest.fixture
def short(monkeypatch):
    """Every recipe with 78 cells and two epochs, and two rounds of self-evolution of one epoch."""

    def shortened(name, variant, n, self_evolution, changes):
        content = read_recipe(name, variant, 78, self_evolution).model_dump(mode="json")
        if content["self_evolution"]:
            content["self_evolution"] |= {"rounds": 2, "epochs": 1}
        return Recipe.of(content, "short", {"training.epochs": 2})

    monkeypatch.setattr(rows, "read_recipe", shortened)


@pytest.mark.usefixtures("short")
def test_a_row_from_end_to_end(tmp_path, made_up):
    table = read_table("tnasp/nasbench201")
    row, seen = table.row("TNASP + SE"), []
    folder = tmp_path / "states"
    run = run_row(
        table,
        row,
        Setting(78),
        3,
        Place(tmp_path, folder),
        dataset=made_up,
        progress=lambda phase, done, total, tau: seen.append((phase, done, total)),
    )
    assert ("train", 2, 2) in seen
    assert ("self-evolution", 2, 2) in seen
    assert set(run.scores) == {"cifar10_valid"}
    expected = {"tau", "tau_unseen", "tau_valid", "precision_1", "coverage", "coverage_test"}
    assert set(run.attribute_scores) == expected
    assert (run.system, run.data, run.n, run.seed) == ("tnasp-se", "nasbench201", 78, 3)
    assert len(run.self_evolution) == 2
    assert run.machine.cores >= 1
    assert run.precision == "float32"
    assert Recipe.of(run.recipe, "the run").hash() == run.recipe_hash

    path = tmp_path / "runs" / f"tnasp-se_nasbench201_78_{run.recipe_hash}_3.json"
    assert Run.model_validate_json(path.read_bytes()) == run
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    assert not list(folder.rglob("*.safetensors"))

    cell = assemble(table, tmp_path).cell("TNASP + SE", "78")
    assert cell.values == (round(run.attribute_scores["tau"], 4),)
    assert (cell.seeds, cell.sd, cell.recipe, cell.recipe_hash) == ((3,), None, "quick", run.recipe_hash)
    assert cell.status != "not run"


@pytest.mark.usefixtures("short")
def test_a_stored_run_is_returned_until_a_fresh_one_is_asked_for(tmp_path, made_up, monkeypatch):
    table = read_table("narformer_v2/nasbench201")
    row, trainings, train = table.row("TNASP"), [], rows.train

    def counted(recipe, seed, **named):
        trainings.append(seed)
        return train(recipe, seed, **named)

    monkeypatch.setattr(rows, "train", counted)
    first = run_row(table, row, Setting(781), 0, Place(tmp_path), dataset=made_up)
    assert run_row(table, row, Setting(781), 0, Place(tmp_path), dataset=made_up) == first
    other = read_table("tnasp/nasbench201")
    assert run_row(other, other.row("TNASP"), Setting(781), 0, Place(tmp_path), dataset=made_up) == first
    assert trainings == [0]
    run_row(table, row, Setting(781), 1, Place(tmp_path), dataset=made_up)
    again = run_row(table, row, Setting(781), 0, Place(tmp_path, fresh=True), dataset=made_up)
    assert trainings == [0, 1, 0]
    assert again.scores == first.scores
    assert len(list((tmp_path / "runs").iterdir())) == 2


def test_cost_is_measured_for_both_systems(tmp_path, made_up, monkeypatch):
    table = read_table("narformer/cost")

    def small(name):
        content = read_recipe(name.replace("101", "201"), "paper", 20).model_dump(mode="json")
        return Recipe.of(content, "small", {"training.epochs": 1})

    monkeypatch.setattr(rows, "cost_recipe", small)
    for system in ("TNASP", "NAR-Former"):
        run = run_row(table, table.row(system), Setting(None), 0, Place(tmp_path), dataset=made_up)
        scores = run.attribute_scores
        assert set(scores) == {"encode_ms", "infer_ms", "total_ms"}
        assert min(scores.values()) > 0
        assert scores["total_ms"] >= max(scores["encode_ms"], scores["infer_ms"])
        assert len(run.times_ms["encode"]) == len(run.times_ms["infer"]) == 300
    result = assemble(table, tmp_path)
    assert all(len(cell.values) == 1 for cell in result.cells)


def test_rows_that_cannot_be_run_say_so(tmp_path):
    table = read_table("narformer/nasbench101")
    with pytest.raises(BadRecipe, match="'NAO' has no recipe: this release runs 'TNASP'"):
        run_row(table, table.row("NAO"), Setting(424), 0, Place(tmp_path))
    with pytest.raises(BadRecipe, match="for 21180 training networks; it has 424 training networks, 4236 training"):
        run_row(table, table.row("TNASP"), Setting(21180), 0, Place(tmp_path))


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (lambda text: text[:100], "expected a stored run"),
        (lambda text: text.replace('"seed": 0', '"seed": 5'), "seed 5"),
        (lambda text: text.replace('"scores"', '"points"'), "expected a stored run"),
    ],
)
def test_a_damaged_run_is_named(tmp_path, pretend, damage, complaint):
    recipe = read_recipe("tnasp/nasbench201", "quick", 781)
    pretend(tmp_path, recipe, 0, tau=0.5)
    path = next((tmp_path / "runs").iterdir())
    path.write_text(damage(path.read_text()))
    with pytest.raises(BadFile, match=complaint):
        find(tmp_path, recipe, 0)
    with pytest.raises(BadFile, match=complaint):
        assemble(read_table("tnasp/nasbench201"), tmp_path)


@pytest.fixture
def few_networks(monkeypatch):
    """Every recipe with 32 training and 8 validation networks; those with steps take two epochs."""

    def shortened(name, variant, n, self_evolution, changes):
        content = read_recipe(name, variant, 32, self_evolution, changes).model_dump(mode="json")
        content["data"]["validation"] = 8
        if content["predictor"]["name"] != "neural":
            return Recipe.of(content, "short", {"predictor.trees": 5} if "forest" in name else None)
        return Recipe.of(content, "short", {"training.epochs": 2, "training.validate_every": 1})

    monkeypatch.setattr(rows, "read_recipe", shortened)


@pytest.mark.usefixtures("few_networks")
@pytest.mark.parametrize("system", ["FLOPs", "FLOPs + memory", "nn-Meter", "NNLP", "Kernel sum (ours)"])
def test_rows_of_latency_leave_a_family_unseen(tmp_path, made_up_networks, system):
    table = read_table("narformer_v2/latency_unseen")
    setting = Setting(2500, "alexnet")
    run = run_row(table, table.row(system), setting, 0, Place(tmp_path), dataset=made_up_networks)
    assert run.recipe["data"]["unseen"] == "alexnet"
    assert run.attribute_scores["mape"] > 0
    assert run_row(table, table.row(system), setting, 0, Place(tmp_path)) == run, "it is stored"
    cell = assemble(table, tmp_path).cell(system, "MAPE AlexNet")
    assert (cell.mean, cell.status) == (round(run.attribute_scores["mape"], 4), "other data")
    assert assemble(table, tmp_path).cell(system, "MAPE Average").status == "not run", "nine families are missing"


@pytest.mark.usefixtures("few_networks")
def test_a_plane_finds_latencies_that_lie_in_it(tmp_path, made_up_networks):
    table = read_table("narformer_v2/latency")
    row = table.row("FLOPs + memory")
    run = run_row(table, row, Setting(2500), 0, Place(tmp_path), dataset=made_up_networks)
    assert run.attribute_scores["mape"] < 1e-6
    assert {"mape_alexnet", "mape_squeezenet", "acc_10_alexnet"} <= set(run.attribute_scores)
    flops = table.row("FLOPs")
    line = run_row(table, flops, Setting(2500), 0, Place(tmp_path), dataset=made_up_networks)
    assert line.attribute_scores["mape"] > 1
    assert assemble(table, tmp_path).cell(row.system, "Acc(10 %) SqueezeNet").mean == 100.0
