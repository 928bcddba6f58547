import numpy as np
import pytest

from narformer.data import nasbench201
from narformer.metrics import kendall_tau

pytestmark = pytest.mark.data


@pytest.fixture(scope="module")
def cells(data_folder):
    return nasbench201.read_parquet(data_folder / "nasbench201.parquet")


@pytest.mark.parametrize(
    ("label", "best", "row"),
    [
        ("cifar10_valid", 91.607, 6111),
        ("cifar10_test_nb201", 94.373, 6111),
        ("cifar100_valid", 73.493, 9930),
        ("cifar100_test_nb201", 73.513, 9930),
        ("imagenet16_valid", 46.733, 10676),
        ("imagenet16_test_nb201", 47.311, 857),
    ],
)
def test_known_optima(cells, label, best, row):
    assert len(cells) == 15_625
    assert np.argmax(cells.labels[label]) == row
    assert cells.labels[label].max() == pytest.approx(best, abs=5e-4)
    assert cells.attributes[label].unit == "%"


@pytest.mark.parametrize(("label", "tau"), [("cifar10_test_nb201", 0.888), ("cifar10_test_halftrain", 0.951)])
def test_agreement_with_validation_labels(cells, label, tau):
    assert kendall_tau(cells.labels["cifar10_valid"], cells.labels[label]) == pytest.approx(tau, abs=5e-4)


def test_first_cell(cells):
    kinds = [op.kind for op in cells[0].architecture.ops]
    one = "nor_conv_1x1"
    assert kinds == ["input", "avg_pool_3x3", one, "skip_connect", one, "skip_connect", "skip_connect", "output"]
    assert (cells.train_labels, cells.test_labels) == (("cifar10_valid",), ("cifar10_test_nb201",))
