import time

import numpy as np
import pytest

from narformer.data import nasbench101
from narformer.data.nasbench101 import FACTS
from narformer.metrics import kendall_tau

pytestmark = pytest.mark.data


@pytest.fixture(scope="module")
def cells(data_folder):
    start = time.perf_counter()
    dataset = nasbench101.read_parquet(data_folder / "nasbench101_full.parquet")
    assert time.perf_counter() - start < 15, "423,624 cells are columns: reading them is array code, not a loop"
    return dataset


def test_published_facts(cells):
    acc = cells.labels["test_acc"]
    assert len(cells) == FACTS.rows == 423_624
    assert np.argmax(acc) == 4789  # hash 02e5a0247bbdcf2860b7e96f74961594
    assert acc.max() == pytest.approx(0.943176, abs=1e-6)
    assert acc.mean() == pytest.approx(0.896798, abs=1e-6)
    assert np.median(acc) == pytest.approx(0.906384, abs=1e-6)
    assert acc.min() == pytest.approx(0.09976, abs=1e-5)
    assert acc[0] == pytest.approx(0.9206063151359558, abs=1e-12)
    images = acc * 3 * 9984
    assert np.abs(images - images.round()).max() < 0.01
    count_M = cells.architectures.count_M
    assert (np.sum(count_M <= 5), np.sum(count_M <= 6)) == (2_532, 64_542)


def test_labelled_rows(cells):
    labelled = np.flatnonzero(~np.isnan(cells.labels["val_acc_e108"]))
    assert np.array_equal(labelled, np.r_[0:20_001, 36_202:46_202])
    tau = kendall_tau(cells.labels["val_acc_e108"][labelled], cells.labels["test_acc"][labelled])
    assert tau == pytest.approx(0.901, abs=5e-4)


def test_every_label_says_its_unit(cells):
    assert set(cells.labels) == set(cells.attributes)
    assert cells.attributes[cells.test_labels[0]].unit == cells.attributes[cells.train_labels[0]].unit == "fraction"
    assert (cells.train_labels, cells.test_labels) == (("val_acc_e108",), ("test_acc",))


def test_an_example_lacks_labels_that_were_not_measured(cells):
    assert "val_acc_e108" in cells[0].labels
    assert "val_acc_e108" not in cells[30_000].labels
    assert [op.kind for op in cells[0].architecture.ops][1:3] == ["conv3x3-bn-relu", "maxpool3x3"]
