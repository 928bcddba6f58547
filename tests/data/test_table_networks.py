"""Whole networks in a table: read from files beside it or by name, and every way of being wrong names the row."""

import json

import numpy as np
import pytest

from narformer.attributes import Attribute
from narformer.data.splits import network_numbers, portions
from narformer.data.table_file import read_table_file, repeated
from narformer.data.table_networks import is_network
from narformer.errors import BadFile
from narformer.formats.onnx_writer import to_onnx
from narformer.network.canonical import fingerprint
from narformer.spaces.families import FAMILIES


@pytest.fixture
def table(tmp_path):
    """Three files and a name; the last row is the network of the first."""
    (tmp_path / "models").mkdir()
    for number in (1, 2, 3):
        (tmp_path / "models" / f"{number}.onnx").write_bytes(to_onnx(FAMILIES["squeezenet"].variant(number), "none"))
    names = [f"models/{number}.onnx" for number in (1, 2, 3)] + ["squeezenet/1"]
    rows = [{"architecture": name, "latency_ms": float(row), "watts": 1.0} for row, name in enumerate(names, 1)]
    path = tmp_path / "table.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def test_files_and_names_are_networks(table, monkeypatch, tmp_path_factory):
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))  # paths count from the table's folder
    dataset = read_table_file(table)
    assert (dataset.space, len(dataset), dataset.train_labels[0]) == ("networks", 4, "latency_ms")
    expected = [fingerprint(FAMILIES["squeezenet"].variant(number)) for number in (1, 2, 3, 1)]
    assert [fingerprint(network) for network in dataset.architectures] == expected
    np.testing.assert_array_equal(network_numbers(dataset), [0, 1, 2, 0])
    assert repeated(dataset) == 1
    assert [dataset.attributes[name].unit for name in ("latency_ms", "watts")] == ["ms", ""]
    many = table.with_name("many.jsonl")
    rows = [{"architecture": f"squeezenet/{number}", "latency_ms": 1.0} for number in range(20)]
    many.write_text("\n".join(map(json.dumps, rows)))
    assert portions(read_table_file(many)) == (12, 4)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("absent.onnx", None, "an invalid network in line 5 .found no file"),
        ("models", None, "'models' in line 5, below whole networks"),
        ("broken.onnx", b"no protobuf", r"an invalid network in line 5 .*broken\.onnx"),
        ("squeezenet/99999999999", None, "below whole networks"),
        ("nasbench201/20000", None, "an invalid network in line 5"),
    ],
)
def test_a_row_that_is_no_network_is_named(table, name, content, message):
    if content is not None:
        (table.parent / name).write_bytes(content)
    table.write_text(table.read_text() + "\n" + json.dumps({"architecture": name, "latency_ms": 1.0, "watts": 1.0}))
    with pytest.raises(BadFile, match=message):
        read_table_file(table)


def test_what_is_meant_to_be_a_network():
    assert all(map(is_network, ("a.onnx", " a/b.ONNX ", "resnet/0", "nasbench201/15624")))
    assert not any(map(is_network, ("resnet", "resnett/0", "resnet/-1", "conv3x3 | 01 12", {"ops": []}, None, 3)))


@pytest.mark.parametrize("column", ["ms", "latency_ms", "Latency (ms)", "time [ms]", "p50 ms"])
def test_milliseconds_are_known_by_name(column):
    assert Attribute.of_column(column).unit == "ms"


def test_other_units_of_time_are_known_too():
    columns = ("t_us", "time (s)", "p50 [ns]", "t µs")
    assert [Attribute.of_column(column).unit for column in columns] == ["us", "s", "ns", "µs"]


@pytest.mark.parametrize("column", ["latency", "msec", "params", "forms", "ms_count"])
def test_other_units_are_not_guessed(column):
    assert Attribute.of_column(column).unit == ""
