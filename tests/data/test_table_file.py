"""Anybody's table: the same data from every form, and every way of being wrong told in one line that names the row."""

import csv
import json
import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from narformer.data import table_file
from narformer.data.table_file import digest, read_table_file, repeated
from narformer.errors import BadFile, UnknownName
from narformer.spaces import SPACES, Graphs

GRAPH = {"ops": ["input", "conv", "output"], "edges": [[0, 1], [1, 2]]}
CELL_201 = "|none~0|+|none~0|avg_pool_3x3~1|+|avg_pool_3x3~0|none~1|none~2|"
CELL_101 = "conv3x3 conv1x1 | 01 12 23"


def write_csv(path, rows, columns=("value",)):
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["architecture", *columns])
        for architecture, *numbers in rows:
            text = architecture if isinstance(architecture, str) else json.dumps(architecture)
            writer.writerow([text, *map(repr, numbers)])
    return path


def write_json(path, rows, columns=("value",)):
    entries = [dict(zip(("architecture", *columns), row, strict=True)) for row in rows]
    lines = path.suffix == ".jsonl"
    path.write_text("\n".join(map(json.dumps, entries)) if lines else json.dumps(entries), encoding="utf-8")
    return path


def same(one, other):
    assert one.space == other.space
    assert list(one.architectures) == list(other.architectures)
    assert one.architectures.vocabulary == other.architectures.vocabulary
    assert one.labels.keys() == other.labels.keys()
    assert all(np.array_equal(one.labels[name], other.labels[name]) for name in one.labels)
    assert one.train_labels == other.train_labels


def drawn(size):
    """A random graph whose edges point forward."""
    return st.builds(
        lambda ops, coins: {
            "ops": ops,
            "edges": [[i, j] for j in range(size) for i in range(j) if coins >> (i + j * (j - 1) // 2) & 1],
        },
        st.lists(st.sampled_from(["in", "x,y", 'q"', "out"]), min_size=size, max_size=size),
        st.integers(0, 2 ** (size * (size - 1) // 2) - 1),
    )


finite = st.floats(allow_nan=False, allow_infinity=False)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(1, 6).flatmap(drawn), finite, finite), min_size=1, max_size=5))
def test_every_form_gives_the_same_data_set(tmp_path, rows):
    columns = ("score", "latency, ms")
    tables = [
        read_table_file(write(tmp_path / f"t.{ending}", rows, columns))
        for write, ending in ((write_csv, "csv"), (write_json, "json"), (write_json, "jsonl"))
    ]
    same(tables[0], tables[1])
    same(tables[0], tables[2])
    assert tables[0].space == "graphs"
    assert tables[0].labels["latency, ms"].tolist() == [row[2] for row in rows]
    parse = Graphs(tables[0].architectures.vocabulary).parse
    assert list(tables[0].architectures) == [parse(json.dumps(graph)) for graph, *_ in rows]


@pytest.mark.parametrize("name", SPACES)
def test_the_space_of_texts_is_found_by_trying(name, tmp_path):
    space, rng = SPACES[name], np.random.default_rng(0)
    cells = [space.sample(rng) for _ in range(12)]
    rows = [(space.format(cell), float(i)) for i, cell in enumerate(cells)]
    for write, ending in ((write_csv, "csv"), (write_json, "json"), (write_json, "jsonl")):
        table = read_table_file(write(tmp_path / f"t.{ending}", rows))
        assert (table.space, list(table.architectures)) == (name, cells)


def test_a_column_is_chosen_the_first_by_default(tmp_path):
    path = write_csv(tmp_path / "t.csv", [(GRAPH, 1.0, 2.0)], ("accuracy", "latency"))
    assert read_table_file(path).train_labels == read_table_file(path).test_labels == ("accuracy",)
    assert read_table_file(path, ["latency"]).test_labels == ("latency",)
    with pytest.raises(UnknownName, match=r"column of t\.csv.*Did you mean 'latency'"):
        read_table_file(path, ["latancy"])


def test_with_a_label_other_columns_may_come_and_go(tmp_path):
    path = tmp_path / "t.jsonl"
    rows = [{"accuracy": 1, "latency": 3}, {"accuracy": 2}, {"note": "again", "accuracy": 3}]
    path.write_text("".join(json.dumps({"architecture": GRAPH} | row) + "\n" for row in rows))
    assert read_table_file(path, ["accuracy"]).labels["accuracy"].tolist() == [1, 2, 3]
    with pytest.raises(BadFile, match="line 2"):
        read_table_file(path)
    with pytest.raises(BadFile, match="line 2"):
        read_table_file(path, ["latency"])


def test_what_spreadsheets_add_is_understood(tmp_path):
    path = tmp_path / "T.CSV"
    path.write_bytes(f"\ufeffarchitecture,value\r\n{CELL_101},1e-3\r\n\r\n{CELL_101}, 2 \r\n".encode())
    assert read_table_file(path).labels["value"].tolist() == [0.001, 2]


def test_repeated_networks_are_kept_and_counted(tmp_path):
    other_order = {"ops": ["output", "input", "conv"], "edges": [[1, 2], [2, 0]]}
    another = {"ops": ["input", "conv", "output"], "edges": [[0, 1], [1, 2], [0, 2]]}
    table = read_table_file(write_csv(tmp_path / "t.csv", [(GRAPH, 1), (other_order, 2), (another, 3), (GRAPH, 1)]))
    assert (len(table), repeated(table)) == (4, 2)
    dead = "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"
    rows = [(dead, 1), (dead.replace("none", "nor_conv_3x3", 1), 2), (CELL_201, 3)]
    assert repeated(read_table_file(write_csv(tmp_path / "t.csv", rows))) == 1, "nothing reaches either output"


def test_a_changed_file_is_noticed(tmp_path):
    path = write_csv(tmp_path / "t.csv", [(GRAPH, 1)])
    before = digest(path)
    read_table_file(path, sha256=before)
    write_csv(path, [(GRAPH, 2)])
    assert digest(path) != before
    with pytest.raises(BadFile, match="other content"):
        read_table_file(path, sha256=before)


G = json.dumps(json.dumps(GRAPH))[1:-1].replace('\\"', '""')


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "empty file"),
        ("architecture,value\n", "no row"),
        ("architecture\nx\n", "no column besides 'architecture'"),
        ("cell,value\nx,1\n", "'cell' as the first column"),
        ("value,architecture\n1,x\n", "'value' as the first column"),
        ("architecture;value\nx;1\n", "separated by commas"),
        ("architecture,value,value\nx,1,1\n", "a column called 'value', empty or twice"),
        ("architecture,\nx,1\n", "a column called ''"),
        (f'architecture,value\n"{G}",1\n"{G}",1,2\n', "3 fields in line 3; expected 2"),
        (f'architecture,value\n"{G}"\n', "1 fields in line 2"),
        (f'architecture,value\n"{G}",high\n', "'high' in column 'value' of line 2"),
        (f'architecture,value\n"{G}",\n', "no number in column 'value'"),
        (f'architecture,value\n"{G}",nan\n', "nan in column 'value' of line 2"),
        (f'architecture,value\n"{G}",inf\n', "inf in column"),
        (f'architecture,value\n"{G}",1_000\n', "'1_000' in column"),
        (f'architecture,value\n"{G}",1\n"{G}"x,1\n', "invalid CSV in line 3"),
        (f'architecture,value\n"{G},1\n', "invalid CSV in line"),
        ("architecture,value\n" + "x" * 200_000 + ",1\n", "invalid CSV in line 2"),
        ("architecture,value\n\ud800".encode("utf-8", "surrogatepass"), "not UTF-8 text"),
        ("architecture,value\n".encode("utf-16"), "not UTF-8 text"),
        ("architecture,value\nmodels/net.onnx,1\n", "an invalid network in line 2 .found no file .*models/net.onnx"),
        ("architecture,value\nresnet,1\n", "'resnet' in line 2; expected a text of a cell of nasbench101"),
        (f'architecture,value\n"{G}",1\n{CELL_101},1\n', "an invalid architecture in line 3"),
        (f'architecture,value\n{CELL_101},1\n"{G}",1\n', "a graph below cells of nasbench101"),
        (f"architecture,value\n{CELL_101},1\n{CELL_201},1\n", "an invalid architecture in line 3"),
        (f"architecture,value\n{CELL_101}x,1\n{CELL_101},1\n", "an invalid architecture in line 2"),
        ('architecture,value\n"{""ops"": [""a"", ""b""], ""edges"": [[0, 1], [1, 0]]}",1\n', "line 2 .*cycle"),
        ('architecture,value\n"{""ops"": [""a""]}",1\n', "line 2"),
        (f'architecture,value\n"{"[" * 100_000}",1\n', "'\\[\\[\\["),
        ('architecture,value\n"{""ops"": ' + "[" * 100_000 + '",1\n', "100,008 characters"),
    ],
    ids=lambda content: str(content)[:50],
)
def test_a_wrong_csv_is_one_line_that_names_the_row(content, said, tmp_path):
    refused(tmp_path / "t.csv", content, said)


def entry(**changes):
    return {"architecture": GRAPH, "value": 1.0} | changes


MANY = [{"architecture": {"ops": [f"{m}-{v}" for v in range(64)], "edges": []}, "value": 1} for m in range(2)]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[", "invalid JSON"),
        ("[" * 100_000, "invalid JSON"),
        ("{}", "a JSON dict; expected a list"),
        ("[]", "no column|no row"),
        ("[1]", "a JSON int in entry 0"),
        ("[{}]", "nothing as the first column"),
        ([{"cell": GRAPH, "value": 1}], "'cell' as the first column"),
        ([{"architecture": GRAPH}], "no column besides"),
        ([entry(), {"architecture": GRAPH}], "the keys 'architecture' in entry 1"),
        ([entry(), entry(more=1)], "in entry 1"),
        ([entry(value="1")], "'1' in column 'value' of entry 0"),
        ([entry(value=None)], "no number in column 'value'"),
        ([entry(value=True)], "True in column"),
        ([entry(value=math.nan)], "nan in column"),
        ([entry(value=math.inf)], "inf in column"),
        ([entry(value=10**400)], "in column 'value' of entry 0"),
        ([entry(architecture=None)], "an invalid architecture in entry 0"),
        ([entry(), entry(architecture=7)], "an invalid architecture in entry 1"),
        ([entry(architecture={"ops": ["a"], "edges": [[0, 1]]})], "edge 0->1 leaves"),
        ([entry(architecture="net.ONNX")], "ONNX"),
        (MANY, "128 different operations"),
    ],
    ids=lambda content: str(content)[:60],
)
def test_a_wrong_json_is_one_line_that_names_the_row(content, said, tmp_path):
    refused(tmp_path / "t.json", content if isinstance(content, str) else json.dumps(content), said)


def test_a_wrong_line_of_json_lines_is_named(tmp_path):
    good = json.dumps(entry())
    refused(tmp_path / "t.jsonl", f"{good}\n\n{good[:-1]}\n", "invalid JSON in line 3")
    refused(tmp_path / "t.jsonl", f"{good}\n[1]\n", "a JSON list in line 2")
    refused(tmp_path / "t.jsonl", f"{good}\n" + "[" * 100_000, "invalid JSON in line 2")


def refused(path, content, said):
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(BadFile, match=said) as caught:
        read_table_file(path)
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    assert "\n" not in text
    assert len(text) < 700 + len(str(path))


def test_files_that_cannot_be_tables(tmp_path, monkeypatch):
    for name, said in (("none.csv", "nothing at this path"), (".", "a folder")):
        with pytest.raises(BadFile, match=said):
            read_table_file(tmp_path / name)
    refused(tmp_path / "t.parquet", "PAR1", r"ending in '\.parquet'")
    monkeypatch.setattr(table_file, "LARGEST_TABLE", 10)
    refused(tmp_path / "t.csv", "architecture,value\n", "19 bytes; expected at most 10")


def test_graphs_too_many_for_their_size_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(table_file, "LARGEST_COLUMNS", 20)
    path = write_csv(tmp_path / "t.csv", [(GRAPH, 1)] * 3)
    with pytest.raises(BadFile, match="3 graphs of up to 3 vertices; expected at most 2 of this size"):
        read_table_file(path)


def test_with_a_label_other_columns_may_hold_anything(tmp_path):
    graph = '"{""ops"": [""in"", ""out""], ""edges"": [[0, 1]]}"'
    (tmp_path / "t.csv").write_text(f"architecture,name,score\n{graph},mine,1.5\n")
    data = read_table_file(tmp_path / "t.csv", ["score"])
    assert list(data.labels) == ["score"]
    assert data.labels["score"].tolist() == [1.5]
    with pytest.raises(BadFile, match="--label reads only"):
        read_table_file(tmp_path / "t.csv")
    with pytest.raises(UnknownName):
        read_table_file(tmp_path / "t.csv", ["scores"])


def test_a_row_may_lack_a_label(tmp_path):
    rows = [(GRAPH, 1.0, ""), (GRAPH, "", 2.0), (GRAPH, 3.0, 4.0)]
    graph = json.dumps(json.dumps(GRAPH)).replace('\\"', '""')
    (tmp_path / "t.csv").write_text(
        "architecture,accuracy,latency\n" + "".join(f"{graph},{a},{b}\n" for _, a, b in rows)
    )
    table = read_table_file(tmp_path / "t.csv", ["accuracy", "latency"])
    (tmp_path / "t.json").write_text(
        json.dumps([{"architecture": GRAPH, "accuracy": a or None, "latency": b or None} for _, a, b in rows])
    )
    for found in (table, read_table_file(tmp_path / "t.json", ["accuracy", "latency"])):
        np.testing.assert_array_equal(found.columns(["accuracy", "latency"]), [[1, np.nan], [np.nan, 2], [3, 4]])
        assert found.train_labels == found.test_labels == ("accuracy", "latency")
        assert found.having(["accuracy"]).tolist() == [0, 2]
        assert found.having(["accuracy", "latency"]).tolist() == [0, 1, 2]
