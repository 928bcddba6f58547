"""Fixtures every test may use. Tests marked ``data`` need the benchmark files that NARFORMER_DATA names."""

import os
from pathlib import Path

import pytest

BESIDE_THE_CLONE = Path(__file__).resolve().parents[1].parent / "shared" / "data"


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder with the benchmark files; the test is skipped, and says so, where there is none."""
    folder = Path(os.environ.get("NARFORMER_DATA", BESIDE_THE_CLONE))
    if not (folder / "nasbench201.parquet").exists():
        pytest.skip(f"no benchmark files in {folder}: set NARFORMER_DATA")
    return folder
