"""A job is imported when it is asked for; whole networks and stores need no torch."""

import subprocess
import sys
from pathlib import Path

import onnx
import pytest

from narformer import jobs

RESNET50 = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light" / "light_resnet50.onnx"
LIGHT = {
    "inspect": f"jobs.inspect({str(RESNET50)!r})",
    "measure": "list(jobs.measure(['nasbench201/1462'], plan=jobs.Plan(repeats=1), store=sys.argv[1]))",
    "query": "jobs.query('nasbench201/1462', store=sys.argv[1])",
    "commands": "import narformer.cli",
}


def modules_after(code: str, *arguments: str) -> set[str]:
    code = f"import sys; from narformer import jobs; {code}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, *arguments], check=True, capture_output=True, text=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("name", LIGHT)
def test_torch_is_not_imported(name: str, tmp_path: Path) -> None:
    (tmp_path / "store.sqlite").touch()
    if name == "measure":
        pytest.importorskip("onnxruntime")
    assert "torch" not in modules_after(LIGHT[name], str(tmp_path / "store.sqlite"))


def test_a_job_alone_imports_neither_the_others_nor_arrays() -> None:
    assert not {"numpy", "torch", "narformer.jobs.training"} & modules_after("jobs")


def test_every_public_name_is_there_and_no_other() -> None:
    assert all(getattr(jobs, name) is not None for name in jobs.__all__)
    assert set(jobs._HOMES) == set(jobs.__all__)
    with pytest.raises(AttributeError, match="no attribute 'tarin'"):
        _ = jobs.tarin
