"""Kinds of files by their names."""

import subprocess
import sys

import pytest

from narformer.formats import is_onnx


@pytest.mark.parametrize("path", ["a.onnx", "A.ONNX", "folder/b.c.onnx", ".onnx"])
def test_onnx_files_are_known_by_their_ending(path):
    assert is_onnx(path)


@pytest.mark.parametrize("path", ["", "onnx", "a.onnx.zip", "a.onnx/", "resnet/0", "a.txt"])
def test_other_paths_are_not(path):
    assert not is_onnx(path)


def test_the_question_loads_no_format():
    code = "import sys, narformer.formats as f; f.is_onnx('a'); sys.exit(not {'onnx', 'numpy'}.isdisjoint(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
