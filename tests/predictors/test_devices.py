"""Models that are built for their shapes alone: as the real ones, without waking torch's compiler."""

import subprocess
import sys

import pytest
import torch

from narformer.errors import BadRecipe
from narformer.models import MODELS
from narformer.predictors.build import make_model, make_tokenizer
from narformer.predictors.devices import ShapesOnly, check_device

TOKENIZERS = {
    "brp-nas": "nnlp",
    "kernel-sum": "kernels",
    "narformer": "narformer",
    "narformer-v2": "narformer-v2",
    "nnlp": "nnlp",
    "relational": "relational",
    "tnasp": "tnasp",
    "tpu-cost": "kernels",
}
OPTIONS = {"tnasp": {"vertices": 7}}
BUILD = """
import sys, torch
from narformer.predictors.build import make_model, make_tokenizer
from narformer.predictors.devices import ShapesOnly
tokenizer = make_tokenizer({tokenizer!r}, {options!r}, ("a", "b"))
with torch.device("meta"), ShapesOnly():
    model = make_model({name!r}, {{}}, tokenizer)
sys.exit(sum(name in sys.modules for name in ("torch._dynamo", "sympy")))
"""


@pytest.mark.parametrize("name", MODELS)
def test_shapes_are_those_of_the_model_and_nothing_is_allocated(name):
    tokenizer = make_tokenizer(TOKENIZERS[name], OPTIONS.get(name, {}), ("a", "b"))
    real = make_model(name, {}, tokenizer).state_dict()
    with torch.device("meta"), ShapesOnly():
        shapes = make_model(name, {}, tokenizer).state_dict()
    assert {key: (value.shape, value.dtype) for key, value in real.items()} == {
        key: (value.shape, value.dtype) for key, value in shapes.items()
    }
    assert all(value.device.type == "meta" for value in shapes.values())


@pytest.mark.parametrize("name", MODELS)
def test_the_compiler_stays_asleep(name):
    code = BUILD.format(name=name, tokenizer=TOKENIZERS[name], options=OPTIONS.get(name, {}))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_device_that_is_not_there_is_named():
    check_device("cpu")
    with pytest.raises(BadRecipe, match=r"no device 'abacus' here \(Expected one of cpu"):
        check_device("abacus")
