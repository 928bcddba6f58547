import numpy as np
import pytest

from narformer.arch.graph import Architecture, Op
from narformer.errors import BadArchitecture, BadRecipe, UnknownName
from narformer.models import MODELS
from narformer.predictors.build import make_model, make_tokenizer, model_options
from narformer.spaces.nasbench101 import VOCABULARY


def test_chunks_and_company_change_nothing(predictor, cells):
    whole = predictor.predict(cells)
    assert whole.shape == (len(cells), 1)
    assert whole.dtype == np.float64
    np.testing.assert_allclose(predictor.predict(cells, chunk=4), whole, rtol=1e-4)
    np.testing.assert_allclose(predictor.predict(list(cells)), whole, rtol=1e-4)
    np.testing.assert_allclose([predictor.predict([cell])[0] for cell in cells], whole, rtol=1e-4)


def test_progress_adds_up(predictor, cells):
    told = []
    predictor.predict(cells, chunk=8, advance=told.append)
    assert told == [8, 8, 5]


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


def test_options_tell_all_of_a_model(predictor):
    options = model_options(predictor.model)
    model = type(predictor.model)
    assert model.Config(**options) == predictor.model.config
    assert model in MODELS.values()
