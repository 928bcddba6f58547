"""The paper recipes hold the papers' constants; every recipe validates."""

import tomllib

import pytest

from narformer.errors import BadRecipe, UnknownName
from narformer.papers import RECIPES, TABLES, Setting, read_recipe, read_table, recipes, row_recipe
from narformer.predictors import PREDICTORS, FittedPredictor
from narformer.training.recipe import NeuralRecipe

# METHODS: constants by system; epochs by space
PAPER = {
    "narformer": {
        "optimiser": {"learning_rate": 1e-4, "weight_decay": 0.01, "schedule": "linear", "warmup": 0.1, "ema": 0.99},
        "loss": {"regression": "mse", "ranking": 0.1, "consistency": 0.5, "pairwise": 0.0},
        "training": {"batch": 128, "precision": "float32", "selection": "best"},
    },
    "narformer_v2": {
        "optimiser": {"learning_rate": 1e-4, "weight_decay": 0.0, "schedule": "linear", "warmup": 0.1, "ema": None},
        "loss": {"regression": "relative", "ranking": 0.1, "consistency": 0.5, "pairwise": 0.0},
        "augmentation": {"orderings": "first"},
        "training": {"batch": 8, "precision": "float32", "selection": "best"},
    },
    "tnasp": {
        "optimiser": {"learning_rate": 1e-4, "weight_decay": 1e-3, "schedule": "cosine", "warmup": 0.0, "ema": None},
        "loss": {"regression": "mse", "ranking": 0.0, "consistency": 0.0, "pairwise": 0.0},
        "augmentation": {"orderings": "none"},
        "target": {"transform": "standard", "scale": 1.0},
        "training": {"batch": 10, "precision": "float32", "selection": "last"},
    },
}
EPOCHS = {
    "narformer/nasbench101": 6000,
    "narformer/nasbench201": 4000,
    "narformer_v2/nasbench101": 1000,
    "narformer_v2/nasbench201": 1000,
    "tnasp/nasbench101": 300,
    "tnasp/nasbench201": 300,
}


RELATIVE = {"regression": "relative", "ranking": 0.0, "consistency": 0.0}
LATENCY = {
    "narformer_v2": {
        "optimiser": {"learning_rate": 1e-3, "weight_decay": 0.0, "schedule": "linear", "warmup": 0.1, "ema": None},
        "loss": RELATIVE,
        "training": {"epochs": 50, "batch": 16, "precision": "float32"},
    },
    "nnlp": {
        "optimiser": {"learning_rate": 1e-3, "weight_decay": 0.0, "schedule": "constant"},
        "loss": RELATIVE,
        "training": {"epochs": 50, "batch": 16},
    },
    "brp_nas": {
        "optimiser": {"learning_rate": 4e-4, "weight_decay": 5e-4},
        "loss": {"regression": "absolute"},
        "training": {"epochs": 250},
    },
    "tpu_cost": {"optimiser": {"learning_rate": 1e-3}, "target": {"transform": "log"}},
    "narformer": {"training": {"epochs": 10, "batch": 256}, "optimiser": {"learning_rate": 1e-3}},
}


def rows_that_run():
    for name in TABLES:
        table = read_table(name)
        for row in table.rows:
            if row.recipe:
                yield from ((table, row, setting) for setting in table.settings(row))


@pytest.mark.parametrize("name", sorted(EPOCHS))
def test_paper_recipes_hold_the_papers_constants(name):
    recipe = read_recipe(name, "paper", 424).model_dump()
    for section, constants in PAPER[name.partition("/")[0]].items():
        assert {key: recipe[section][key] for key in constants} == constants
    assert recipe["training"]["epochs"] == EPOCHS[name]
    assert recipe["data"]["name"] == name.partition("/")[2]
    assert recipe["data"]["split"] == "paper"
    assert recipes.differences(name)


@pytest.mark.parametrize("name", sorted(LATENCY))
def test_paper_recipes_of_latency_hold_the_papers_constants(name):
    recipe = read_recipe(f"latency/{name}", "paper", 424, changes={"data.name": "ten-families"}).model_dump()
    for section, constants in LATENCY[name].items():
        assert {key: recipe[section][key] for key in constants} == constants
    assert recipe["training"]["score"] == "mape"
    assert recipes.differences(f"latency/{name}")


def test_every_recipe_is_one_of_cells_of_latency_or_fitted_at_once():
    fitted = {"latency/flops", "latency/flops_memory", "latency/kernel_forest"}
    assert set(RECIPES) == {*EPOCHS, *(f"latency/{name}" for name in LATENCY), *fitted, *recipes.OWN}
    for name in fitted:
        recipe = read_recipe(name, "paper", 9, changes={"data.name": "ten-families", "data.unseen": "vgg"})
        assert not isinstance(recipe, NeuralRecipe)
        assert issubclass(PREDICTORS[recipe.predictor.name], FittedPredictor)
        assert (recipe.data.train, recipe.data.unseen) == (9, "vgg")


def test_labels_of_both_spaces_become_fractions_for_the_sigmoid_and_softplus_heads():
    for system in ("narformer", "narformer_v2"):
        assert read_recipe(f"{system}/nasbench101", "paper", 424).target.scale == 1.0
        assert read_recipe(f"{system}/nasbench201", "paper", 781).target.scale == 0.01


def test_tnasp_knows_the_largest_cell_of_each_space():
    for name, vertices in (("tnasp/nasbench101", 7), ("tnasp/nasbench201", 8)):
        recipe = read_recipe(name, "paper", 424)
        assert (recipe.tokenizer.options["vertices"], recipe.model.options["divisor"]) == (vertices, vertices)


@pytest.mark.parametrize("variant", ["paper", "quick"])
def test_every_row_has_a_recipe_that_validates(variant):
    for table, row, setting in rows_that_run():
        if row.recipe in recipes.OWN and variant == "paper":
            continue
        recipe = row_recipe(table, row, setting, variant)
        assert (recipe.data.name, recipe.data.unseen) == (table.data, setting.unseen)
        assert setting.n is None or recipe.data.train == setting.n
        assert (getattr(recipe, "self_evolution", None) is not None) == row.self_evolution


def test_shared_rows_are_one_run():
    hashes = [
        row_recipe(table, table.row("TNASP"), Setting(424), "quick").hash()
        for table in map(read_table, ("narformer_v2/nasbench101", "narformer/nasbench101", "tnasp/nasbench101"))
    ]
    assert len(set(hashes)) == 1


def test_self_evolution_is_the_only_difference_to_the_row_without():
    for variant in ("paper", "quick"):
        without = read_recipe("tnasp/nasbench201", variant, 781)
        with_it = read_recipe("tnasp/nasbench201", variant, 781, self_evolution=True)
        assert with_it.model_copy(update={"self_evolution": None, "system": "tnasp"}) == without
        assert with_it.hash() != without.hash()


def test_self_evolution_is_refused_where_a_recipe_has_none():
    with pytest.raises(BadRecipe, match=r"narformer/nasbench201/quick\.toml.*self_evolution"):
        read_recipe("narformer/nasbench201", "quick", 781, self_evolution=True)


def test_sizes_change_a_recipe_once_more(tmp_path, monkeypatch):
    original = (RECIPES["tnasp/nasbench201"] / "paper.toml").read_text(encoding="utf-8")
    (tmp_path / "paper.toml").write_text(original, encoding="utf-8")
    (tmp_path / "quick.toml").write_text(
        "[training]\nepochs = 60\n[optimiser]\nlearning_rate = 2e-4\n[sizes.781]\ntraining.epochs = 40\n",
        encoding="utf-8",
    )
    monkeypatch.setitem(RECIPES, "tnasp/nasbench201", tmp_path)
    small, large = (read_recipe("tnasp/nasbench201", "quick", n) for n in (469, 781))
    assert (small.training.epochs, large.training.epochs) == (60, 40)
    assert small.optimiser.learning_rate == large.optimiser.learning_rate == 2e-4
    paper = read_recipe("tnasp/nasbench201", "paper", 781)
    assert recipes.deviations(large, paper) == ["optimiser.learning_rate 0.0002 (0.0001)", "training.epochs 40 (300)"]
    assert recipes.deviations(paper, paper) == []


@pytest.mark.parametrize(
    ("text", "complaint"),
    [("[training]\nepoch = 3\n", "training.epoch"), ("sizes = 3\n", "sizes"), ("[training\n", "not a readable")],
)
def test_a_wrong_key_is_named(tmp_path, monkeypatch, text, complaint):
    original = (RECIPES["tnasp/nasbench201"] / "paper.toml").read_text(encoding="utf-8")
    (tmp_path / "paper.toml").write_text(original, encoding="utf-8")
    (tmp_path / "quick.toml").write_text(text, encoding="utf-8")
    monkeypatch.setitem(RECIPES, "tnasp/nasbench201", tmp_path)
    with pytest.raises(BadRecipe, match=complaint):
        read_recipe("tnasp/nasbench201", "quick", 781)


@pytest.mark.parametrize("name", sorted(recipes.OWN))
def test_our_own_system_has_no_paper_recipe(name):
    assert read_recipe(name, "quick", 424, changes={"data.name": "here"}).data.name == "here"
    with pytest.raises(BadRecipe, match="of our own has no paper recipe"):
        read_recipe(name, "paper", 424)


def test_unknown_names_are_answered():
    with pytest.raises(UnknownName, match="Did you mean 'tnasp/nasbench201'"):
        read_recipe("tnasp/nasbench2O1", "quick", 781)
    with pytest.raises(UnknownName, match="Did you mean 'quick'"):
        read_recipe("tnasp/nasbench201", "quik", 781)


@pytest.mark.parametrize("name", sorted(set(RECIPES) - recipes.OWN))
def test_quick_files_repeat_nothing_of_the_paper_recipe(name):
    def flat(content, prefix=""):
        for key, value in content.items():
            yield from flat(value, f"{prefix}{key}.") if isinstance(value, dict) else [(prefix + key, value)]

    paper, quick = (
        dict(flat(tomllib.loads((RECIPES[name] / f"{kind}.toml").read_text(encoding="utf-8"))))
        for kind in ("paper", "quick")
    )
    assert [key for key, value in quick.items() if paper.get(key) == value] == []
