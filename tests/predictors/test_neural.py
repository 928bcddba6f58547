import numpy as np
import pytest
import torch

from narformer.errors import BadArchitecture, BadRecipe, UnknownName
from narformer.models import MODELS
from narformer.network.graph import Architecture, Op
from narformer.predictors import neural
from narformer.predictors.build import check_options, make_model, make_tokenizer, model_options
from narformer.spaces.nasbench101 import VOCABULARY
from narformer.tokens import TOKENIZERS

TOKENS = {"narformer": {}, "narformer-v2": {}, "tnasp": {"vertices": 7}}


def test_chunks_and_company_change_nothing(predictor, cells, monkeypatch):
    whole = predictor.predict(cells)
    assert whole.shape == (len(cells), 1)
    assert whole.dtype == np.float64
    np.testing.assert_allclose(predictor.predict(list(cells)), whole, rtol=1e-4)
    np.testing.assert_allclose([predictor.predict([cell])[0] for cell in cells], whole, rtol=1e-4)
    monkeypatch.setattr(neural, "MEMORY", 4 * predictor.members)
    np.testing.assert_allclose(predictor.predict(cells), whole, rtol=1e-4)


def test_progress_adds_up(predictor, cells, monkeypatch):
    monkeypatch.setattr(neural, "BLOCK", 8)
    told = []
    in_blocks = predictor.predict(cells, advance=told.append)
    assert told == [8] * (len(cells) // 8) + [len(cells) % 8] * (len(cells) % 8 > 0)
    monkeypatch.undo()
    np.testing.assert_allclose(in_blocks, predictor.predict(cells), rtol=1e-4)


def test_threads_change_nothing_and_get_their_number_back(predictor, cells, monkeypatch):
    monkeypatch.setattr(neural, "BLOCK", 8)
    before = torch.get_num_threads()
    said = {}

    def interrupted(done):
        assert torch.get_num_threads() == 1
        raise KeyboardInterrupt

    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            said[threads] = predictor.predict(cells)
            assert torch.get_num_threads() == threads
        with pytest.raises(KeyboardInterrupt):
            predictor.predict(cells, advance=interrupted)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
    np.testing.assert_array_equal(said[1], said[3])


def test_nothing_is_predicted_of_nothing(predictor):
    assert predictor.predict([]).shape == (0, 1)


def test_an_unknown_operation_is_named(predictor):
    strange = Architecture((Op("input"), Op("conv7x7"), Op("output")), ((0, 1), (1, 2)))
    with pytest.raises(BadArchitecture, match="conv7x7"):
        predictor.predict([strange])


def test_unknown_names_and_options():
    with pytest.raises(UnknownName, match="Did you mean 'tnasp'"):
        make_tokenizer("tnapp", {}, VOCABULARY)
    with pytest.raises(BadRecipe, match=r"has no option 'vertexes'; it has .*vertices"):
        make_tokenizer("tnasp", {"vertexes": 7}, VOCABULARY)
    tokenizer = make_tokenizer("tnasp", {"vertices": 7}, VOCABULARY)
    with pytest.raises(UnknownName, match="Did you mean 'narformer'"):
        make_model("narfomer", {}, tokenizer)
    with pytest.raises(BadRecipe, match="has no option 'depth'"):
        make_model("tnasp", {"depth": 2}, tokenizer)


REFUSED = [
    ("model", "narformer-v2", {"head": "linaer"}, "head: found 'linaer'; expected 'softplus' or 'linear'"),
    ("model", "narformer-v2", {"pooling": "men"}, "pooling: found 'men'; expected 'sum' or 'mean'"),
    ("model", "narformer-v2", {"width": "abc"}, "width: found 'abc'; expected a valid integer"),
    ("model", "narformer-v2", {"width": 17, "groups": 2}, "groups: found 2; expected a divisor of width = 17"),
    ("model", "narformer-v2", {"width": 16.0}, "width: found 16.0"),
    ("model", "narformer-v2", {"width": 2**40}, "width: found 1099511627776; expected less than"),
    ("model", "narformer-v2", {"blocks": 10**9}, "blocks: found 1000000000; expected less than"),
    ("model", "narformer-v2", {"layer_scale": float("nan")}, "layer_scale: found nan; expected a finite number"),
    ("model", "narformer-v2", {"root": 1}, "root: found 1; expected a valid boolean"),
    ("model", "narformer", {"dropout": 1}, "dropout: found 1; expected less than or equal to 0.99"),
    ("model", "narformer", {"dropout": -0.1}, "dropout: found -0.1"),
    ("model", "narformer", {"heads": 0}, "heads: found 0"),
    ("model", "narformer", {"depths": [6]}, "depths: found 1 numbers; expected 4, one more than queries"),
    ("model", "narformer", {"depths": [6, 1, 1, 0]}, "depths.3: found 0"),
    ("model", "narformer", {"depths": 6}, "depths: found 6"),
    ("model", "narformer", {"queries": "421"}, "queries: found '421'"),
    ("model", "tnasp", {"divisor": 0}, "divisor: found 0"),
    ("model", "tnasp", {"layers": [3] * 900}, "layers: found [3, 3"),
    ("model", "narformer", {"features": 24}, "features: found 24; expected no value"),
    ("model", "narformer-v2", {"whole": 3}, "whole: found 3; expected no value"),
    ("model", "tnasp", {"kinds": 5}, "kinds: found 5; expected no value"),
    ("model", "tnasp", {"targets": 2}, "targets: found 2; expected no value"),
    ("tokenizer", "narformer-v2", {"operation": "onehot"}, "operation: found 'onehot'; expected 'pe' or 'one-hot'"),
    ("tokenizer", "narformer-v2", {"precision": "float16"}, "precision: found 'float16'; expected 'float64' or"),
    ("tokenizer", "narformer", {"length": 1}, "length: found 1; expected greater than or equal to 2"),
    ("tokenizer", "narformer", {"length": 41, "precision": "float32"}, "length: found 41; expected at most 40"),
    ("tokenizer", "narformer-v2", {"length": 101, "precision": "float32"}, "length: found 101"),
    ("tokenizer", "tnasp", {"vertices": 0}, "vertices: found 0"),
    ("tokenizer", "tnasp", {"vertices": 7, "severed": "none"}, "severed: found 'none'"),
    ("tokenizer", "tnasp", {"vertices": 7, "severed": [["none"]]}, "severed.0: found ['none']"),
    ("tokenizer", "tnasp", {}, "vertices: found nothing"),
    ("tokenizer", "tnasp", {"vertices": 7, "vocabulary": ["a"]}, "vocabulary: found ['a']; expected no value"),
]


@pytest.mark.parametrize(("kind", "name", "options", "said"), REFUSED, ids=lambda value: str(value)[:40])
def test_a_wrong_value_is_one_line_that_names_the_key(kind, name, options, said):
    """Both where a recipe is read, before there is a vocabulary, and where model or tokenizer are made."""
    accepts = MODELS[name].Config if kind == "model" else TOKENIZERS[name]

    def make():
        if kind == "tokenizer":
            return make_tokenizer(name, options, VOCABULARY)
        return make_model(name, options, make_tokenizer(name, TOKENS[name], VOCABULARY))

    for attempt in (lambda: check_options(kind, accepts, options), make):
        with pytest.raises(BadRecipe) as caught:
            attempt()
        text = str(caught.value)
        assert text.startswith(f"[{kind}] {said}")
        assert "\n" not in text
        assert len(text) < 250


def test_what_the_vocabulary_decides_is_refused_when_it_is_known():
    check_options("tokenizer", TOKENIZERS["tnasp"], {"vertices": 7, "severed": ["foo", "foo"]})
    with pytest.raises(BadRecipe, match=r"severed: found 'foo'; expected operations among input, conv1x1"):
        make_tokenizer("tnasp", {"vertices": 7, "severed": ["foo"]}, VOCABULARY)
    with pytest.raises(BadRecipe, match="length: found 2; expected at least 3, half of the 5 operations"):
        make_tokenizer("narformer-v2", {"length": 2, "operation": "one-hot"}, VOCABULARY)
    with pytest.raises(BadRecipe, match="an operation twice"):
        make_tokenizer("tnasp", {"vertices": 7}, ("input", "input"))


def test_what_the_tokenizer_decides_is_refused_when_it_is_known():
    check_options("model", MODELS["narformer"].Config, {"heads": 23})
    with pytest.raises(BadRecipe, match="heads: found 5; expected a divisor of the width 24"):
        make_model("narformer", {"heads": 5}, make_tokenizer("narformer", {"length": 4}, VOCABULARY))
    with pytest.raises(BadRecipe, match=r"whole: found 0 \(which the tokenizer decides\)"):
        make_model("narformer", {"heads": 2}, make_tokenizer("narformer-v2", {"length": 4}, VOCABULARY))


def test_lists_of_toml_are_tuples():
    model = make_model(
        "narformer", {"heads": 2, "depths": [1, 1], "queries": [1]}, make_tokenizer("narformer", {}, VOCABULARY)
    )
    assert (model.config.depths, model.config.queries) == ((1, 1), (1,))
    assert make_tokenizer("tnasp", {"vertices": 7, "severed": ["input"]}, list(VOCABULARY)).severed == ("input",)


def test_options_tell_all_of_a_model(predictor):
    options = model_options(predictor.model)
    model = type(predictor.model)
    assert model.Config(**options) == predictor.model.config
    assert model in MODELS.values()
