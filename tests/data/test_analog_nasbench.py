import pickle
import sys

import numpy as np
import pytest

from narformer.data import analog_nasbench, nasbench201
from narformer.data.analog_nasbench import ATTRIBUTES, FACTS, installed, read_analog
from narformer.data.facts import verify
from narformer.errors import BadFile
from narformer.metrics import kendall_tau
from narformer.spaces.nasbench201 import VOCABULARY, edge_ops


class Architecture:
    pass


class DriftMeasurement:
    pass


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """A table of two cells in the layout of the package."""
    table = {}
    for i, codes in enumerate([(0, 1, 2, 3, 4, 0), (2, 2, 2, 3, 3, 3)]):
        cell = table[codes] = Architecture()
        cell.architecture = codes
        for j, name in enumerate(ATTRIBUTES):
            value = 10.0 * i + j
            if "drift" in name:
                drift = DriftMeasurement()
                drift.value, drift.uncertainty = value, 0.5
                value = drift
            setattr(cell, name, value)
    path = tmp_path / "data.anb"
    with monkeypatch.context() as pretend:
        for stand in (Architecture, DriftMeasurement):
            pretend.setattr(stand, "__module__", "analognasbench.data")
        for name in ("analognasbench", "analognasbench.data"):
            pretend.setitem(sys.modules, name, sys.modules[__name__])
        path.write_bytes(pickle.dumps(table, 4))
    return path


def test_edges_and_operations_in_our_order(tiny):
    cells = read_analog(tiny)
    names = [[VOCABULARY[1 + k] for k in row] for row in edge_ops(cells.architectures)]
    # the table lists 0→1 0→2 0→3 1→2 1→3 2→3, the space 0→1 0→2 1→2 0→3 1→3 2→3
    assert names[0] == ["skip_connect", "none", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3", "skip_connect"]
    assert names[1] == ["nor_conv_3x3", "nor_conv_3x3", "nor_conv_1x1", "nor_conv_3x3", "nor_conv_1x1", "nor_conv_1x1"]
    assert cells.labels["baseline_accuracy"].tolist() == [0.0, 10.0]
    last = list(ATTRIBUTES)[-1]
    assert cells.labels[last].tolist() == [12.0, 22.0]
    assert (cells.name, cells.space) == ("analog-nasbench", "nasbench201")


def test_the_package_is_never_imported(tiny):
    assert len(read_analog(tiny)) == 2
    assert not any(name.startswith("analognasbench") for name in sys.modules)


@pytest.mark.parametrize("content", [{}, [1], {(0, 1): 3}, {(0, 0, 0, 0, 0, 9): {}}, {3: 3}])
def test_other_tables_are_refused(content, tmp_path):
    path = tmp_path / "data.anb"
    path.write_bytes(pickle.dumps(content))
    with pytest.raises(BadFile, match=r"data\.anb"):
        read_analog(path)


def test_an_absent_package_is_no_error(monkeypatch):
    monkeypatch.setattr(analog_nasbench, "PACKAGE", "a-package-that-nobody-installed")
    assert installed() is None


@pytest.fixture(scope="module")
def real():
    path = installed()
    if path is None:
        pytest.skip("analog-nasbench is not installed: pip install --no-deps analog-nasbench")
    return verify(read_analog(path), FACTS, path)


def test_the_installed_table(real):
    assert len(real) == 15_625
    assert len(np.unique(edge_ops(real.architectures), axis=0)) == 15_625
    assert real.labels["baseline_accuracy"].mean() == pytest.approx(86.7727, abs=1e-3)


@pytest.mark.data
def test_the_codes_agree_with_nasbench201(real, data_folder):
    cells = nasbench201.read_parquet(data_folder / "nasbench201.parquet")
    ours, theirs = (np.lexsort(edge_ops(c.architectures).T) for c in (cells, real))
    tau = kendall_tau(cells.labels["cifar10_valid"][ours], real.labels["baseline_accuracy"][theirs])
    assert tau > 0.88, "another meaning of the codes or edges gives at most 0.64"
