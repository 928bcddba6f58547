import numpy as np
import pytest

from narformer.data.nasbench101_official import read_tfrecord
from narformer.data.tfrecord import MAX_RECORD, crc32c, records
from narformer.errors import BadFile


@pytest.mark.parametrize(
    ("data", "crc"),
    [
        (b"123456789", 0xE3069283),
        (bytes(32), 0x8A9136AA),  # this and the next two: RFC 3720, appendix B.4
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (b"", 0),
    ],
)
def test_published_checksums(data, crc):
    assert crc32c(data, np.array([0]), np.array([len(data)])) == crc


def test_many_stretches_as_one_by_one(official):
    rng = np.random.default_rng(0)
    data = rng.bytes(5000)
    lengths = rng.integers(0, 300, 60)
    starts = rng.integers(0, 4700, 60)
    slow = [official.crc32c(data[s : s + n]) for s, n in zip(starts, lengths, strict=True)]
    assert crc32c(data, starts, lengths).tolist() == slow


def test_records_come_back_in_order(official, tmp_path):
    written = [bytes([i % 256]) * (i % 700) for i in range(5000)]  # more than one batch
    path = tmp_path / "some.tfrecord"
    crc = {}
    path.write_bytes(b"".join(crc.setdefault(record, official.framed(record)) for record in written[:300]) * 15)
    reported = []
    assert list(records(path, lambda *report: reported.append(report))) == written[:300] * 15
    assert {(phase, total, score) for phase, _, total, score in reported} == {("read", 100, None)}
    shares = [done for _, done, _, _ in reported]
    assert shares == sorted(shares)
    assert shares[-1] == 100


def test_every_cut_and_every_flipped_byte_is_found(official, tmp_path):
    path = tmp_path / "cut.tfrecord"
    first = official.framed(b"a first record")
    whole = first + official.framed(b"and a second")
    for cut in range(1, len(whole)):
        path.write_bytes(whole[:cut])
        if cut == len(first):  # between two records; the rows are counted elsewhere
            assert len(list(records(path))) == 1
            continue
        with pytest.raises(BadFile, match=r"cut\.tfrecord"):
            list(records(path))
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x20]) + whole[place + 1 :])
        with pytest.raises(BadFile, match=r"cut\.tfrecord"):
            list(records(path))


def test_a_record_cannot_ask_for_gigabytes(tmp_path):
    path = tmp_path / "huge.tfrecord"
    path.write_bytes((1 << 60).to_bytes(8, "little") + bytes(100))
    with pytest.raises(BadFile, match="1,152,921,504,606,846,976 bytes"):
        list(records(path))
    assert MAX_RECORD < 1 << 30


def test_official_file_of_nasbench101(official, tmp_path):
    path = tmp_path / "nasbench_full.tfrecord"
    path.write_bytes(official.tfrecord_101(epochs=(4, 12, 36, 108)))
    cells = read_tfrecord(path)
    assert len(cells) == 2
    runs = np.array([[official.accuracies_101(cell, 108, run) for run in range(3)] for cell in range(2)])
    np.testing.assert_allclose(cells.labels["val_acc_e108"], runs[:, 0, 0])
    np.testing.assert_allclose(cells.labels["val_acc_e108_mean"], runs[:, :, 0].mean(axis=1))
    np.testing.assert_allclose(cells.labels["test_acc"], runs[:, :, 1].mean(axis=1))
    np.testing.assert_allclose(cells.labels["val_acc_e12"], [official.accuracies_101(c, 12, 0)[0] for c in (0, 1)])
    assert cells.labels["train_time_e108"].tolist() == [1080.0, 1080.0]
    assert cells.labels["params"].tolist() == [1_000_000, 227_274]
    first, second = cells.architectures
    assert [op.kind for op in first.ops] == ["input", "conv3x3-bn-relu", "maxpool3x3", "output"]
    assert first.edges == ((0, 1), (0, 3), (1, 2), (2, 3))
    assert second.edges == ((0, 1),)


def test_the_small_official_file_has_no_early_epochs(official, tmp_path):
    path = tmp_path / "nasbench_only108.tfrecord"
    path.write_bytes(official.tfrecord_101(epochs=(108,)))
    assert "val_acc_e4" not in read_tfrecord(path).labels


def test_records_that_are_no_trainings_are_named(official, tmp_path):
    path = tmp_path / "wrong.tfrecord"
    good = official.tfrecord_101()
    name = "a" * 32
    for record, message in (
        (b"{}", "record 12"),
        (b'["h", 108, "01", "input,output"]', "record 12"),
        (b'["h", 108, "0100", "input,output", "!!"]', "record 12"),
        (b'["h", 108, "0100", "input,output", "CAE="]', "record 12"),
        (b"[" * 200_000, "record 12"),
        (official.training(name, 4, 0.5, 0.5).replace(b"maxpool3x3", b"maxpool5x5"), "two different cells"),
        (official.training(name, 108, 0.5, 0.5), "4 runs"),
        (official.training(name, 7, 0.5, 0.5), "7 epochs"),
    ):
        path.write_bytes(good + official.framed(record))
        with pytest.raises(BadFile, match=message) as caught:
            read_tfrecord(path)
        assert str(path) in str(caught.value)


def test_cells_outside_the_space_are_named(official, tmp_path):
    path = tmp_path / "wrong.tfrecord"
    for old, new in ((b"maxpool3x3", b"maxpool5x5"), (b'"0101001000010000"', b'"0101001000011000"')):
        runs = [official.training("a" * 32, 108, 0.5, 0.5).replace(old, new)] * 3
        path.write_bytes(b"".join(map(official.framed, runs)))
        with pytest.raises(BadFile, match="an invalid cell"):
            read_tfrecord(path)
