"""The few-shot benchmark leaves the whole hardware out, and its page is what was stored."""

import json
from dataclasses import replace

import numpy as np
import pytest

from narformer.attributes import Attribute
from narformer.data import Dataset
from narformer.data.help_latency import measured
from narformer.network import fingerprint
from narformer.spaces.nasbench201 import NasBench201


@pytest.fixture(scope="module")
def few_shot(benchmark_called):
    return benchmark_called("few_shot")


@pytest.fixture
def networks():
    """Six rows on every measured setting."""
    rng = np.random.default_rng(0)
    labels = {setting: np.exp(rng.normal(size=6)) for setting in measured("nasbench201-latency")}
    attributes = {setting: Attribute.of(setting, "ms") for setting in labels}
    return Dataset("rows", "families", range(6), labels, attributes, ("titan_rtx_256",), ("titan_rtx_256",))


def test_whole_networks_are_those_of_the_cells(few_shot):
    cells = NasBench201().enumerate().take(np.array([7, 1234]))
    labels = {"titan_rtx_256": np.ones(2)}
    networks = few_shot.whole_networks(
        Dataset(
            "cells",
            "nasbench201",
            cells,
            labels,
            {"titan_rtx_256": Attribute.of("titan_rtx_256", "ms")},
            tuple(labels),
            tuple(labels),
        )
    )
    for row, cell in enumerate(cells):
        assert fingerprint(networks.architectures[row]) == fingerprint(NasBench201().unroll(cell))


def test_a_batch_is_no_other_hardware(few_shot):
    assert few_shot.hardware("titan_rtx_256") == few_shot.hardware("titan_rtx_1") == "titan_rtx"
    assert few_shot.hardware("gold_6226") == "gold_6226"
    assert len({few_shot.hardware(setting) for setting in measured("nasbench201-latency")}) < 20


def test_the_mean_device_knows_nothing_of_the_one_left_out(few_shot, networks):
    mean = few_shot.mean_of_others(networks, "titan_rtx")
    for setting, changes in (("titan_rtx_1", False), ("titan_rtx_256", False), ("gold_6226", True)):
        labels = dict(networks.labels) | {setting: networks.labels[setting] ** 2}
        other = few_shot.mean_of_others(replace(networks, labels=labels), "titan_rtx")
        assert np.allclose(other, mean) is not changes


def test_every_hardware_counts_once_on_a_scale_of_its_own(few_shot, networks):
    mean = few_shot.mean_of_others(networks, "titan_rtx")
    slower = {setting: 1000 * latency for setting, latency in networks.labels.items()}
    np.testing.assert_allclose(few_shot.mean_of_others(replace(networks, labels=slower), "titan_rtx"), mean)
    assert np.log(mean).mean() == pytest.approx(0)


def test_the_page_shows_means_over_draws_and_settings(few_shot, tmp_path, monkeypatch):
    monkeypatch.setattr(few_shot, "STORED", tmp_path / "few_shot.jsonl")
    lines = [
        {
            "setting": setting,
            "samples": n,
            "draw": draw,
            "spearman": {
                "adapted": (0.7 if setting == "pixel2" else 0.9) + 0.02 * draw,
                "from scratch": 0.5,
                "source": 0.8,
            },
            "mape": {"adapted": 5.0, "from scratch": 50.0},
            "seconds": {"source": 60.0, "adapted": 4.0},
        }
        for setting in ("pixel2", "gold_6226")
        for n in few_shot.SAMPLES
        for draw in ((0, 1, 2) if setting == "pixel2" else (0,))
    ]
    few_shot.STORED.write_text("".join(json.dumps(line) + "\n" for line in lines))
    rows = [line for line in few_shot.page().splitlines() if line.startswith("| ")]
    assert rows[1:] == [
        f"| {setting} | {draws} | 0.800 |{f' {rho} (5.0 %) | 0.500 (50.0 %) |' * 3}"
        for setting, draws, rho in (
            ("pixel2", "3", "0.720"),
            ("gold_6226", "1", "0.900"),
            ("mean of settings", "", "0.810"),  # not of runs, of which pixel2 has more
        )
    ]
