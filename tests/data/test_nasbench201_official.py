import io
import pickle
import zipfile

import numpy as np
import pytest

from narformer.data.nasbench201_official import read_pth
from narformer.data.torch_file import TensorShape, read_torch_file
from narformer.errors import BadFile

CONTAINERS = ("legacy", "zip")


def saved(content, container):
    """What torch.save writes, written here without torch."""
    if container == "zip":
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            archive.writestr("archive/data.pkl", pickle.dumps(content, 2))
            archive.writestr("archive/version", "3\n")
        return out.getvalue()
    machine = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
    return b"".join(pickle.dumps(part, 2) for part in (0x1950A86A20F9469CFC6C, 1001, machine, content, []))


@pytest.mark.parametrize("container", CONTAINERS)
def test_official_layout(container, official, tmp_path):
    path = tmp_path / "NAS-Bench-201-v1_1-096897.pth"
    path.write_bytes(saved(official.content_201(), container))
    reported = []
    cells = read_pth(path, lambda *report: reported.append(report))
    assert reported[-1] == ("read", 100, 100, None)
    # first: mean of the seeds 777 and 888; second: 777 only
    base = np.array([50 + (0.777 + 0.888) / 2, 60.777])
    np.testing.assert_allclose(cells.labels["cifar10_valid"], base)
    np.testing.assert_allclose(cells.labels["cifar10_test_halftrain"], base + 1)
    np.testing.assert_allclose(cells.labels["cifar10_test_nb201"], base)
    np.testing.assert_allclose(cells.labels["cifar100_test_nb201"], base + 1)
    np.testing.assert_allclose(cells.labels["cifar100_train"], base + 9 + 199 / 200)
    assert cells.labels["params_m_cifar10"].tolist() == [0.5, 0.5]
    assert [op.kind for op in cells.architectures[1].ops[1:4]] == ["nor_conv_3x3", "nor_conv_3x3", "avg_pool_3x3"]


@pytest.mark.parametrize("container", CONTAINERS)
def test_what_torch_itself_writes(container, official, tmp_path):
    torch = pytest.importorskip("torch")
    content = official.content_201()
    run = content["arch2infos"][0]["full"]["all_results"]["cifar10", 777]
    run["net_state_dict"] = {"weight": torch.nn.Parameter(torch.ones(3, 4)), "bias": torch.zeros(2).half()}
    run["params"], run["flop"] = np.float64(0.25), np.float32(0.5)
    path = tmp_path / "real.pth"
    torch.save(content, path, _use_new_zipfile_serialization=container == "zip")
    weights = read_torch_file(path)["arch2infos"][0]["full"]["all_results"]["cifar10", 777]["net_state_dict"]
    assert weights == {"weight": TensorShape((3, 4)), "bias": TensorShape((2,))}
    assert read_pth(path).labels["params_m_cifar10"].tolist() == [0.375, 0.5]


def test_a_release_without_half_train_tests(official, tmp_path):
    content = official.content_201()
    for info in content["arch2infos"].values():
        for (images, _), run in info["full"]["all_results"].items():
            if images == "cifar10-valid":
                del run["eval_acc1es"]["ori-test@199"]
    path = tmp_path / "old.pth"
    path.write_bytes(saved(content, "legacy"))
    cells = read_pth(path)
    assert "cifar10_test_halftrain" not in cells.labels
    assert not np.isnan(cells.labels["cifar10_valid"]).any()


class Evil:
    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        import os

        return os.mkdir, (str(self.trace),)


@pytest.mark.parametrize("container", CONTAINERS)
def test_a_hostile_file_runs_nothing(container, official, tmp_path):
    trace = tmp_path / "trace"
    path = tmp_path / "evil.pth"
    path.write_bytes(saved(official.content_201() | {"extra": Evil(trace)}, container))
    with pytest.raises(BadFile, match=r"evil\.pth: found a pickle that requests 'posix\.mkdir'"):
        read_pth(path)
    assert not trace.exists()


@pytest.mark.parametrize("container", CONTAINERS)
def test_a_cut_file_is_one_clear_error(container, official, tmp_path):
    whole = saved(official.content_201(), container)
    path = tmp_path / "cut.pth"
    for cut in (*range(0, len(whole) - 1, 997), len(whole) - 1):
        path.write_bytes(whole[:cut])
        with pytest.raises(BadFile, match=r"cut\.pth: found .*; expected"):
            read_pth(path)


def test_a_flipped_byte_in_a_zip_is_found(official, tmp_path):
    whole = bytearray(saved(official.content_201(), "zip"))
    whole[len(whole) // 2] ^= 0x01
    (tmp_path / "flipped.pth").write_bytes(whole)
    with pytest.raises(BadFile, match=r"flipped\.pth"):
        read_pth(tmp_path / "flipped.pth")


@pytest.mark.parametrize(
    "content",
    [
        b"text, not a benchmark\n",
        saved([1, 2], "zip"),
        saved({"meta_archs": ["|none~0|"]}, "legacy"),
        saved({"meta_archs": ["|none~0|"], "arch2infos": {}}, "legacy"),
        saved({"meta_archs": [], "arch2infos": 3}, "legacy"),
        pickle.dumps({"a": 1}),
        pickle.dumps(0x1950A86A20F9469CFC6C) + pickle.dumps(7),
        b"PK\x03\x04" + bytes(100),
    ],
)
def test_other_files_are_refused(content, tmp_path):
    path = tmp_path / "other.pth"
    path.write_bytes(content)
    with pytest.raises(BadFile, match=r"other\.pth: found .*; expected"):
        read_pth(path)


def test_a_wrong_architecture_string_is_named(official, tmp_path):
    content = official.content_201()
    content["meta_archs"][1] = content["meta_archs"][1].replace("nor_conv_3x3", "nor_conv_5x5")
    path = tmp_path / "wrong.pth"
    path.write_bytes(saved(content, "zip"))
    with pytest.raises(BadFile, match="row 1"):
        read_pth(path)
