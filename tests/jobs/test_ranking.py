"""What shipped predictors are, and what they say."""

from pathlib import Path

import numpy as np
import pytest

from narformer import jobs
from narformer.errors import BadPredictor, UnknownName
from narformer.spaces import SPACES
from narformer.training.recipe import Recipe

ROOT = Path(__file__).resolve().parents[2]
CELLS, NETWORKS = ("nasbench101", "nasbench201"), ("latency_openvino-float32", "latency_ort")


def ranked(nets: list[str], predictor: str) -> jobs.Ranking:
    """The cells in their order."""
    (asked,) = jobs.ask(nets, [predictor])
    return jobs.rank(asked)


def test_shipped_predictors_load_and_say_what_they_are() -> None:
    shipped = {entry.name: entry.record() for entry in jobs.predictors()}
    assert set(shipped) == {*CELLS, *NETWORKS}
    for name, entry in shipped.items():
        assert entry["space"] == (name if name in CELLS else "families")
        assert entry["scores"]["tau"] > 0.8
        assert entry["trained_on"]["data"] == (name if name in CELLS else "ten-families")
    sizes = {name: sum(f.stat().st_size for f in (jobs.PRETRAINED / name).iterdir()) for name in shipped}
    assert max(sizes.values()) < 5 * 2**20
    assert sum(sizes.values()) < 10 * 2**20


@pytest.mark.parametrize("name", NETWORKS)
def test_shipped_predictors_of_latency_know_their_error_and_their_domain(name: str) -> None:
    predictor = jobs.load_predictor(name)
    assert predictor.facts["scores"][name]["mape"] < 6
    assert predictor.calibrations[0] is not None
    assert predictor.domain is not None
    assert predictor.attributes[0].unit == "ms"
    (answer,) = jobs.predict_network("resnet/0", name)
    assert answer.in_domain
    assert answer.device == str(predictor.attributes[0])
    assert predictor.attributes[0].condition.threads == predictor.attributes[0].condition.batch == 1
    assert 20 < answer.value < 200


@pytest.mark.parametrize("name", [*CELLS, *NETWORKS])
def test_what_ships_is_what_its_example_trains(name: str) -> None:
    facts = jobs.load_predictor(name).facts
    assert facts["recipe_hash"] == Recipe.read(ROOT / "examples" / f"{name}.toml").hash()
    assert jobs.load_predictor(name).calibrations[0] is not None


def test_shipped_predictors_know_good_cells_from_bad() -> None:
    good = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|"
    bad = "|none~0|+|none~0|avg_pool_3x3~1|+|avg_pool_3x3~0|none~1|none~2|"
    assert [line.text for line in ranked([bad, good], "nasbench201").ranked] == [good, bad]


def test_a_misspelt_predictor_is_named() -> None:
    with pytest.raises(UnknownName, match="Did you mean 'nasbench201'"):
        jobs.load_predictor("nasbench21")
    with pytest.raises(BadPredictor, match="reads cells of nasbench201"):
        ranked(["nasbench101"], "nasbench201")


def test_predictions_of_one_cell_do_not_depend_on_the_others() -> None:
    predictor = jobs.load_predictor("nasbench101")
    space = SPACES["nasbench101"]
    rng = np.random.default_rng(0)
    cells = [space.sample(rng) for _ in range(20)]
    together = predictor.predict(cells)
    alone = np.concatenate([predictor.predict([cell]) for cell in cells])
    np.testing.assert_allclose(together, alone, rtol=1e-4)


def test_who_beats_whom_is_a_probability() -> None:
    good = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|"
    bad = "|none~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|"
    sure = jobs.compare(good, bad, "nasbench201")
    assert sure > 0.9
    assert jobs.compare(bad, good, "nasbench201") == pytest.approx(1 - sure, abs=2e-3)
    # in bfloat16 a place in a batch is worth a rounding
    assert jobs.compare(good, good, "nasbench201") == pytest.approx(0.5, abs=2e-3)
