"""The official folder of NNLQP, on a small one that is written here."""

import dataclasses

import numpy as np
import pytest

from narformer.data import folder, load, nnlqp, split
from narformer.data.facts import Facts
from narformer.data.parquet import read_columns
from narformer.data.sources import SOURCES
from narformer.errors import BadFile, BadRecipe, MissingData
from narformer.formats.onnx_writer import to_onnx
from narformer.network import fingerprint
from narformer.spaces.families import FAMILIES

# family as NNLQP calls it -> ours; 10 networks of each, in the order of the names of the files
FAMILIES_HERE = {"alexnet": "alexnet", "squeezenet": "squeezenet"}
COUNT = 10


def lines(stages=True):
    for f, family in enumerate(FAMILIES_HERE):
        for i in range(COUNT):
            role = (" test" if i == 3 else " train") if stages else ""
            path = f"onnx/nnmeter_{family}/nnmeter_{family}_transform_{i:04}.onnx"
            yield f"{f * COUNT + i + 1:05} {path} 1 {0.5 + f + i / 100:g} {family} 1{role}\n"


@pytest.fixture(scope="module")
def networks():
    return {name: [FAMILIES[ours].variant(i) for i in range(COUNT)] for name, ours in FAMILIES_HERE.items()}


@pytest.fixture(scope="module")
def official_folder(tmp_path_factory, networks):
    """Twenty files without weights, and the text with roles."""
    place = tmp_path_factory.mktemp("nnlqp") / "unseen_structure"
    for name, members in networks.items():
        inside = place / "onnx" / f"nnmeter_{name}"
        inside.mkdir(parents=True)
        for i, network in enumerate(members):
            (inside / f"nnmeter_{name}_transform_{i:04}.onnx").write_bytes(to_onnx(network, "none"))
    (place / "gt.txt").write_text("".join(lines()))
    return place


@pytest.fixture
def small(monkeypatch, tmp_path):
    """A source that knows twenty networks, and an empty data folder."""
    monkeypatch.setenv("NARFORMER_DATA", str(tmp_path / "data"))
    facts = Facts(rows=2 * COUNT, ranges={"latency_ms": (0.4, 2.0)})
    monkeypatch.setitem(SOURCES, "nnlqp", dataclasses.replace(SOURCES["nnlqp"], facts=facts))
    return tmp_path / "data"


def test_networks_are_those_that_were_written(official_folder, networks):
    data = nnlqp.read_folder(official_folder)
    written = [network for members in networks.values() for network in members]
    assert len(data) == 20
    for row in (0, 9, 10, -1):
        assert fingerprint(data.architectures[row]) == fingerprint(written[row])
    assert data.architectures[11].name == "squeezenet/nnmeter_squeezenet_transform_0001"
    assert data.architectures[5:7].names == data.architectures.names[5:7]
    assert data[10].labels == {"latency_ms": 1.5}
    assert data.attributes["latency_ms"].unit == "ms"


def test_a_file_is_read_only_when_its_network_is_asked_for(official_folder, tmp_path):
    for line in lines():
        path = tmp_path / line.split()[1]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"no model")
    (tmp_path / "gt.txt").write_text("".join(lines()))
    data = nnlqp.read_folder(tmp_path)
    with pytest.raises(BadFile, match=r"transform_0000\.onnx"):
        data.architectures[0]
    with pytest.raises(IndexError):
        data.architectures[20]


def test_the_batch_of_the_row_counts(official_folder, tmp_path, networks):
    (tmp_path / "onnx").symlink_to(official_folder / "onnx")
    (tmp_path / "gt.txt").write_text("".join(lines()).replace(".onnx 1 ", ".onnx 8 "))
    network = nnlqp.read_folder(tmp_path).architectures[12]
    assert network.ops[0].shape == (8, 3, 224, 224)
    assert [op.kind for op in network.ops] == [
        op.kind for op in nnlqp.read_folder(official_folder).architectures[12].ops
    ]


def test_roles_are_those_of_the_text(official_folder):
    official = nnlqp.read_folder(official_folder).official
    assert official.test.tolist() == [3, 13]
    assert official.train.tolist() == [i for i in range(20) if i not in (3, 13)]
    assert {family: rows.tolist() for family, rows in official.parts.items()} == {"alexnet": [3], "squeezenet": [13]}


def test_without_roles_the_last_tenth_of_each_family_tests(official_folder, tmp_path):
    (tmp_path / "onnx").symlink_to(official_folder / "onnx")
    (tmp_path / "gt.txt").write_text("".join(lines(stages=False)))
    assert nnlqp.read_folder(tmp_path).official.test.tolist() == [9, 19]


def test_the_papers_split_gives_every_family_its_share(official_folder):
    data = nnlqp.read_folder(official_folder)
    drawn = split(data, "paper", 14, validation=4)
    assert (drawn.name, drawn.test.tolist()) == ("paper", [3, 13])
    for rows, size in ((drawn.train, 14), (drawn.validation, 4)):
        assert len(rows) == size
        assert np.sum(rows < COUNT) == size // 2
    assert np.array_equal(np.sort(np.concatenate([drawn.train, drawn.validation])), data.official.train)
    assert np.array_equal(split(data, "paper", 18, validation=0).train, data.official.train)
    few = split(data, "paper", 4, validation=2)
    assert len(np.unique(np.concatenate([few.train, few.validation, few.test]))) == 8
    with pytest.raises(BadRecipe, match="18 training rows"):
        split(data, "paper", 18, validation=1)


def test_an_added_folder_is_linked_and_found(small, official_folder):
    with pytest.raises(MissingData, match="data add nnlqp FOLDER"):
        load("nnlqp")
    for _ in range(2):
        assert folder.add("nnlqp", official_folder) == small / "nnlqp"
    assert folder.add("nnlqp", small / "nnlqp") == small / "nnlqp"
    assert [path.name for path in small.iterdir()] == ["nnlqp"]
    assert len(load("nnlqp")) == 20
    entry = next(entry for entry in folder.listing() if entry.source.name == "nnlqp")
    assert entry.state == "ready"
    assert [finding.healthy for finding in folder.doctor() if finding.name == "nnlqp"] == [True]


def test_a_folder_of_that_name_is_found_without_add(small, official_folder):
    small.mkdir()
    (small / "unseen_structure").symlink_to(official_folder)
    assert len(load("nnlqp")) == 20


def test_a_folder_that_contradicts_the_facts_is_not_added(tmp_path, monkeypatch, official_folder):
    monkeypatch.setenv("NARFORMER_DATA", str(tmp_path / "data"))
    with pytest.raises(BadFile, match="found 20 networks; expected 20,000"):
        folder.add("nnlqp", official_folder)
    assert not (tmp_path / "data").exists()


def test_what_is_no_such_folder_is_refused(small, tmp_path, official_folder):
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "empty", tmp_path / "absent", official_folder / "gt.txt"):
        with pytest.raises(BadFile, match="expected the folder 'unseen_structure'"):
            folder.add("nnlqp", path)
    (tmp_path / "empty" / "gt.txt").write_text("".join(lines()))
    with pytest.raises(BadFile, match=r"no file .*transform_0000\.onnx, nor 19 others"):
        folder.add("nnlqp", tmp_path / "empty")
    assert not small.exists()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1 a.onnx 1 2.0 alexnet", "5 words in line 3"),
        ("1 a.onnx 1 2.0 alexnet 1 train more", "8 words in line 3"),
        ("1 /etc/a.onnx 1 2.0 alexnet 1 train", "a path inside the folder"),
        ("1 onnx/../../a.onnx 1 2.0 alexnet 1 train", "a path inside the folder"),
        ("1 a.onnx 0 2.0 alexnet 1 train", "batch size '0' in line 3"),
        ("1 a.onnx one 2.0 alexnet 1 train", "batch size 'one'"),
        ("1 a.onnx 1 nan alexnet 1 train", "latency 'nan'"),
        ("1 a.onnx 1 -2.0 alexnet 1 train", "latency '-2.0'"),
        ("1 a.onnx 1 fast alexnet 1 train", "latency 'fast'"),
        ("1 a.onnx 1 2.0 alexnet 1 valid", "'valid' at the end of line 3"),
        ("1 a.onnx 1 2.0 alexnet 1", "lines without"),
        ("1 a.onnx 1 2.0 alexnet 2 train", "platforms 1, 2"),
        ("1 one.onnx 1 2.0 alexnet 1 train", "one.onnx in line 3 again"),
        ("1 \udcff", "not UTF-8"),
    ],
)
def test_wrong_lines_are_refused(line, message, tmp_path):
    path = tmp_path / "gt.txt"
    good = "1 one.onnx 1 2.0 alexnet 1 train\n\n"
    path.write_bytes((good + line).encode("utf-8", "surrogateescape"))
    with pytest.raises(BadFile, match=r"gt\.txt: found") as caught:
        nnlqp.read_rows(path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.data
def test_the_rule_agrees_with_the_authors_roles(data_folder):
    """In the published labels of all 20,000 networks."""
    pinned = {"family": 0xDC25BFBB, "stage": 0x4F3C5338, "latency_ms": 0x6329A72F}
    columns = read_columns(data_folder / "nnlqp_unseen_structure_latency.parquet", 20_000, pinned)
    told = nnlqp.official_split(columns["family"], columns["stage"])
    ruled = nnlqp.official_split(columns["family"], [""] * 20_000)
    assert np.array_equal(told.test, ruled.test)
    assert [len(rows) for rows in told.parts.values()] == [200] * 10
    assert columns["latency_ms"].mean() == pytest.approx(7.886, abs=5e-4)
    smallest, largest = nnlqp.FACTS.ranges["latency_ms"]
    assert smallest <= columns["latency_ms"].min()
    assert columns["latency_ms"].max() <= largest
