"""Jobs from end to end on real cells: train, keep, resume, evaluate, predict."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from narformer import jobs
from narformer.errors import BadFile

RECIPE = """
system = "tiny"
[data]
name = "nasbench201"
train = 128
[tokenizer]
name = "narformer-v2"
length = 8
[model]
name = "narformer-v2"
width = 16
blocks = 2
groups = 2
head = "linear"
layer_scale = 1.0
[target]
transform = "normal-scores"
[loss]
pairwise = 0.5
consistency = 0.5
[augmentation]
orderings = "all"
[optimiser]
learning_rate = 5e-3
[training]
epochs = 12
batch = 32
selection = "best"
"""


@pytest.fixture
def recipe(tmp_path: Path, data_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NARFORMER_DATA", str(data_folder))
    path = tmp_path / "tiny.toml"
    path.write_text(RECIPE)
    return path


@pytest.mark.data
def test_train_evaluate_and_predict_agree(recipe: Path, tmp_path: Path) -> None:
    learned = jobs.train(recipe, seed=3, out=tmp_path / "run")
    assert learned.run.scores["cifar10_valid"]["tau"] > 0.4, "a dozen epochs of 128 cells rank far better than chance"
    assert jobs.evaluate(str(tmp_path / "run")) == learned.run.scores
    (asked,) = jobs.ask(["nasbench201"], [str(tmp_path / "run")])
    answer = jobs.rank(asked, best=5)
    assert (answer.scored, len(answer.ranked), answer.unit) == (15_625, 5, "%")
    assert jobs.load_predictor(str(tmp_path / "run")).facts["seed"] == 3


@pytest.mark.data
def test_a_finished_run_is_not_trained_again_and_not_overwritten(recipe: Path, tmp_path: Path) -> None:
    first = jobs.train(recipe, out=tmp_path / "run")
    started = time.perf_counter()
    assert jobs.train(recipe, out=tmp_path / "run") == first
    assert time.perf_counter() - started < 1
    with pytest.raises(BadFile, match="Choose another --out"):
        jobs.train(recipe, seed=1, out=tmp_path / "run")


@pytest.mark.data
def test_interrupted_and_resumed_is_the_same_run(recipe: Path, tmp_path: Path) -> None:
    whole = jobs.train(recipe, out=tmp_path / "whole")

    def interrupt(phase: str, done: int, total: int, tau: float | None) -> None:
        if done == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        jobs.train(recipe, out=tmp_path / "cut", progress=interrupt)
    resumed = jobs.train(recipe, out=tmp_path / "cut")
    assert resumed.run.scores == whole.run.scores
    assert not (tmp_path / "cut" / "state.safetensors").exists()


@pytest.mark.data
@pytest.mark.slow
def test_a_run_survives_kill(recipe: Path, tmp_path: Path, data_folder: Path) -> None:
    longer = ["--set", "training.epochs=600"]
    command = [sys.executable, "-m", "narformer", "train", str(recipe), *longer, "--threads", "1"]
    environment = os.environ | {"NARFORMER_DATA": str(data_folder)}
    state = tmp_path / "cut" / "state.safetensors"
    process = subprocess.Popen([*command, "--out", str(tmp_path / "cut")], env=environment, stderr=subprocess.DEVNULL)
    while not state.exists():
        assert process.poll() is None, "it ended before its first save"
        time.sleep(0.2)
    process.send_signal(signal.SIGKILL)
    process.wait()
    scores = []
    for name in ("cut", "whole"):
        subprocess.run([*command, "--out", str(tmp_path / name)], env=environment, check=True, capture_output=True)
        scores.append(json.loads((tmp_path / name / "run.json").read_text())["scores"])
    assert scores[0] == scores[1]
