import pytest

from narformer.errors import BadRecipe, NarformerError
from narformer.training.recipe import Recipe

TOML = """
system = "tiny"
[data]
name = "nasbench201"
train = 78
[tokenizer]
name = "narformer"
length = 4
[model]
name = "narformer"
depths = [1, 1, 1, 1]
[training]
epochs = 2
batch = 8
"""


def written(folder, text=TOML):
    path = folder / "tiny.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_recipe_is_read_and_changed(tmp_path):
    recipe = Recipe.read(written(tmp_path), {"data.train": 156, "optimiser.ema": 0.9})
    assert (recipe.data.train, recipe.optimiser.ema, recipe.training.epochs) == (156, 0.9, 2)
    assert recipe.model.options == {"depths": (1, 1, 1, 1)}
    assert recipe.tokenizer.options == {"length": 4}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("epochs = 2", "epoch = 2", "training.epoch"),
        ("batch = 8", "batch = 8\nspeed = 1", "training.speed"),
        ("[training]", "[trainings]", "training: Field required"),
        ("batch = 8", "batch = 0", "training.batch"),
        ("batch = 8", 'batch = "many"', "training.batch"),
        ("train = 78", "train = -1", "data.train"),
        ('name = "narformer"\ndepths', 'name = "narfomer"\ndepths', "Did you mean 'narformer'"),
        ('name = "narformer"\nlength', 'name = "narformr"\nlength', "no tokenizer is called 'narformr'"),
        ("depths =", "depth =", "[model] has no option 'depth'"),
        ("length = 4", "lenght = 4", "[tokenizer] has no option 'lenght'"),
        ("batch = 8", 'batch = 8\n[loss]\nregression = "none"', "nothing to minimise"),
        ("batch = 8", "batch = ", "not a readable TOML recipe"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(tmp_path, old, new, said):
    assert old in TOML
    path = written(tmp_path, TOML.replace(old, new))
    with pytest.raises(BadRecipe) as caught:
        Recipe.read(path)
    text = str(caught.value)
    assert said in text
    assert text.startswith(str(path))
    assert "\n" not in text


def test_files_that_are_no_recipes(tmp_path):
    with pytest.raises(BadRecipe, match="not a readable"):
        Recipe.read(tmp_path / "absent.toml")
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadRecipe, match="not a readable"):
        Recipe.read(tmp_path / "bytes.toml")


def test_changes_with_an_unknown_key_are_refused(tmp_path):
    with pytest.raises(NarformerError, match=r"data\.trian"):
        Recipe.read(written(tmp_path), {"data.trian": 5})


@pytest.mark.parametrize("key", ["system.name", "system.name.first", "data.train.first"])
def test_a_change_below_a_value_is_refused(tmp_path, key):
    with pytest.raises(BadRecipe):
        Recipe.read(written(tmp_path), {key: 5})


def test_the_hash_changes_with_what_changes_the_run(tmp_path):
    path = written(tmp_path)
    hashes = [
        Recipe.read(path, changes).hash()
        for changes in ({}, {"system": "other"}, {"data.train": 79}, {"model.heads": 2}, {"loss.ranking": 0.1})
    ]
    assert hashes[0] == hashes[1]
    assert len(set(hashes[1:])) == 4
    assert Recipe.read(path, {"optimiser.warmup": 0.1}).hash() == hashes[0]  # a default written out


def test_a_recipe_survives_its_own_json(recipe):
    assert Recipe.of(recipe.model_dump(mode="json"), "again").hash() == recipe.hash()
