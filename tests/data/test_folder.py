import dataclasses
import functools
import hashlib
import http.server
import shutil
import threading

import numpy as np
import pytest

from narformer.data import compact, folder, load, nasbench101, nasbench201
from narformer.data.facts import Facts
from narformer.data.sources import SOURCES
from narformer.errors import BadFile, MissingData, UnknownName
from narformer.progress import silent

PARQUET = {"nasbench101": "nasbench101_full.parquet", "nasbench201": "nasbench201.parquet"}


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty data folder."""
    monkeypatch.setenv("NARFORMER_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture
def small(monkeypatch, official, tmp_path):
    """The official file of two cells, and a source that knows them."""
    facts = Facts(rows=2, best={"test_acc": (np.mean([official.accuracies_101(1, 108, r)[1] for r in range(3)]), 1e-6)})
    monkeypatch.setitem(SOURCES, "nasbench101", dataclasses.replace(SOURCES["nasbench101"], facts=facts))
    path = tmp_path / "nasbench_full.tfrecord"
    path.write_bytes(official.tfrecord_101())
    return path


def test_what_was_added_is_found(here, small):
    written = folder.add("nasbench101", small)
    assert written.parent == here
    assert [path.name for path in here.iterdir()] == ["nasbench101.npz"]
    cells = load("nasbench101")
    direct = SOURCES["nasbench101"].read_official(small, silent)
    assert list(cells.architectures) == list(direct.architectures)
    assert cells.attributes == direct.attributes
    assert cells.paper == direct.paper == nasbench101.PAPER
    for label, column in direct.labels.items():
        assert np.array_equal(cells.labels[label], column, equal_nan=True)
    assert [f.healthy for f in folder.doctor() if f.name == "nasbench101"] == [True]


def test_an_interrupted_add_leaves_what_was_there(here, small, monkeypatch):
    def stop(file, **arrays):
        file.write(b"half a file")
        raise KeyboardInterrupt

    with monkeypatch.context() as interrupted:
        interrupted.setattr(np, "savez_compressed", stop)
        with pytest.raises(KeyboardInterrupt):
            folder.add("nasbench101", small)
    assert list(here.iterdir()) == []
    before = folder.add("nasbench101", small).read_bytes()
    monkeypatch.setattr(np, "savez_compressed", stop)
    with pytest.raises(KeyboardInterrupt):
        folder.add("nasbench101", small)
    assert [path.name for path in here.iterdir()] == ["nasbench101.npz"]
    assert (here / "nasbench101.npz").read_bytes() == before


def test_a_full_disk_is_one_clear_error(here, small, monkeypatch):
    def full(file, **arrays):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    with pytest.raises(BadFile, match="No space left"):
        folder.add("nasbench101", small)
    assert list(here.iterdir()) == []


def test_a_file_that_contradicts_the_facts_is_not_added(here, official, tmp_path):
    path = tmp_path / "nasbench_full.tfrecord"
    path.write_bytes(official.tfrecord_101())
    with pytest.raises(BadFile, match="found 2 networks; expected 423,624"):
        folder.add("nasbench101", path)
    assert not here.exists()


@pytest.mark.parametrize("name", ["nasbench101", "nasbench201", "analog-nasbench"])
@pytest.mark.parametrize(
    "content", [b"", b"a text about a benchmark\n", b"PAR1", b"PAR1 and then text PAR1", b"\x80", None]
)
def test_wrong_files_are_refused(name, content, here, tmp_path):
    path = tmp_path / "wrong.file"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadFile, match=r"wrong\.file: found .*; expected") as caught:
        folder.add(name, path)
    assert "\n" not in str(caught.value)
    with pytest.raises(BadFile, match="a folder"):
        folder.add(name, tmp_path)
    assert not here.exists()


def test_missing_data_says_what_to_do(here, monkeypatch):
    with pytest.raises(MissingData, match="data add nasbench101 FILE"):
        load("nasbench101")
    monkeypatch.setitem(
        SOURCES, "analog-nasbench", dataclasses.replace(SOURCES["analog-nasbench"], locate=lambda: None)
    )
    with pytest.raises(MissingData, match="pip install --no-deps analog-nasbench"):
        load("analog-nasbench")
    with pytest.raises(MissingData, match="does not read it"):
        load("nasbench301-surrogate")
    with pytest.raises(UnknownName, match="Did you mean 'nasbench201'"):
        load("nasbensh201")


def test_the_listing_names_every_source(here):
    listed = folder.listing()
    assert [entry.source.name for entry in listed] == list(SOURCES)
    states = {entry.source.name: entry.state for entry in listed}
    del states["analog-nasbench"]  # a package that may be installed
    assert states.pop("ten-families") == "ready"
    assert set(states.values()) == {"missing", "listed only"}
    assert all(entry.needs for entry in listed if entry.state != "ready")


def test_a_source_is_pinned_or_has_no_address():
    for source in SOURCES.values():
        assert (source.address is None) == (source.sha256 is None)
        assert source.facts is None or source.facts.rows == source.rows


def test_fetch_says_where_the_official_file_is(here):
    with pytest.raises(MissingData, match=r"no address .*github.com/google-research/nasbench.*data add"):
        folder.fetch("nasbench101")


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@pytest.fixture
def address(small):
    """Where a server of this machine serves the small official file."""
    handler = functools.partial(_Quiet, directory=small.parent)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/{small.name}"
        server.shutdown()


def test_fetch_tests_the_checksum(here, small, address, monkeypatch):
    pytest.importorskip("pooch")
    right = hashlib.sha256(small.read_bytes()).hexdigest()
    for sha256, name in (("0" * 64, small.name), (right, "absent"), (right, small.name)):
        url = address.replace(small.name, name)
        source = dataclasses.replace(SOURCES["nasbench101"], address=url, sha256=sha256)
        monkeypatch.setitem(SOURCES, "nasbench101", source)
        if (sha256, name) == (right, small.name):
            assert folder.fetch("nasbench101").name == "nasbench101.npz"
            assert [path.name for path in here.iterdir()] == ["nasbench101.npz"]
            assert len(load("nasbench101")) == 2
        else:
            with pytest.raises((BadFile, MissingData), match=r"127\.0\.0\.1"):
                folder.fetch("nasbench101")
            assert list(here.iterdir()) == []


def test_every_cut_and_flip_of_our_file_is_found(here, small):
    path = folder.add("nasbench101", small)
    whole = path.read_bytes()
    for cut in range(0, len(whole), 61):
        path.write_bytes(whole[:cut])
        with pytest.raises(BadFile, match=r"nasbench101\.npz"):
            load("nasbench101")
    assert not folder.doctor()[0].healthy
    good, unseen = load_bytes(path, whole), 0
    for place in range(0, len(whole), 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
        try:
            again = load("nasbench101")
        except BadFile:
            continue
        # zip keeps dates and the like that say nothing about the content
        unseen += 1
        assert np.array_equal(again.architectures.adj_MNN, good.architectures.adj_MNN)
        assert np.array_equal(list(again.labels.values()), list(good.labels.values()), equal_nan=True)
    assert unseen < len(whole) / 7 / 4


def load_bytes(path, content):
    path.write_bytes(content)
    return load("nasbench101")


@pytest.mark.parametrize(
    ("name", "paper"), [(nasbench101.NAME, nasbench101.PAPER), (nasbench201.NAME, nasbench201.PAPER), ("mine", None)]
)
def test_the_rows_of_the_papers_follow_from_the_name_in_our_file(name, paper, official, tmp_path):
    cells = nasbench201.dataset(official.ARCHS_201, {label: [1.0, 2.0] for label in nasbench201.ATTRIBUTES})
    compact.write(dataclasses.replace(cells, name=name, paper=None), tmp_path / "set.npz")
    assert compact.read(tmp_path / "set.npz").paper == paper


def test_our_file_never_holds_a_pickle(here, tmp_path):
    path = tmp_path / "nasbench101.npz"
    members = {"header": np.array([{}], dtype=object), "kind_MN": 0, "adj_MNN": 0, "labels_LM": 0}
    np.savez(path, **members)
    with pytest.raises(BadFile, match="pickle"):
        compact.read(path)


@pytest.mark.data
class TestParquet:
    @pytest.mark.parametrize("name", PARQUET)
    def test_published_files_are_found_as_they_are(self, name, data_folder, monkeypatch):
        monkeypatch.setenv("NARFORMER_DATA", str(data_folder))
        assert len(load(name)) == SOURCES[name].rows
        entry = next(entry for entry in folder.listing() if entry.source.name == name)
        assert (entry.state, entry.path.name) == ("ready", PARQUET[name])

    def test_the_doctor_finds_the_published_files_healthy(self, data_folder, monkeypatch):
        monkeypatch.setenv("NARFORMER_DATA", str(data_folder))
        findings = folder.doctor()
        assert {finding.name for finding in findings} >= {"nasbench101", "nasbench201", "ofa-mbv3", "nnlqp-labels"}
        assert all(finding.healthy for finding in findings), [f.text for f in findings if not f.healthy]

    def test_added_parquet_is_the_same_data(self, data_folder, here):
        folder.add("nasbench201", data_folder / "nasbench201.parquet")
        again, direct = load("nasbench201"), SOURCES["nasbench201"].read_file(data_folder / "nasbench201.parquet")
        assert np.array_equal(again.architectures.kind_MN, direct.architectures.kind_MN)
        for label, column in direct.labels.items():
            assert np.array_equal(again.labels[label], column)

    @pytest.mark.parametrize("name", PARQUET)
    @pytest.mark.parametrize("share", [0.0, 0.00001, 0.1, 0.5, 0.9, 0.99999])
    def test_cut_files(self, name, share, data_folder, here):
        whole = (data_folder / PARQUET[name]).read_bytes()
        here.mkdir()
        (here / PARQUET[name]).write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(BadFile, match=f"{PARQUET[name]}: found .*; expected") as caught:
            load(name)
        assert "\n" not in str(caught.value)

    def test_flipped_bytes_never_change_a_number_in_silence(self, data_folder, here):
        whole = (data_folder / PARQUET["nasbench201"]).read_bytes()
        good = load_from(data_folder / PARQUET["nasbench201"])
        here.mkdir()
        path = here / PARQUET["nasbench201"]
        for place in np.random.default_rng(0).integers(0, len(whole), 40):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x04]) + whole[place + 1 :])
            try:
                cells = load("nasbench201")
            except BadFile:
                continue
            assert all(np.array_equal(cells.labels[label], column) for label, column in good.labels.items())

    def test_one_benchmark_given_as_the_other(self, data_folder, here):
        here.mkdir()
        shutil.copy(data_folder / "nasbench201.parquet", here / "nasbench101_full.parquet")
        with pytest.raises(BadFile, match="expected a column 'n_vertices'"):
            load("nasbench101")
        assert not folder.doctor()[0].healthy


def load_from(path):
    return SOURCES["nasbench201"].read_file(path)
