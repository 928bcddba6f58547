"""Weights in files beside a model are read; whatever leads anywhere else is refused, before any runtime sees it."""

import importlib.util
import os

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from narformer.errors import BadFile
from narformer.formats import onnx_external
from narformer.formats.onnx_external import referring, weights_beside, with_bodies
from narformer.formats.onnx_reader import read_onnx
from narformer.measure import RUNTIMES
from narformer.network import cost

MODULES = {"ort": "onnxruntime", "openvino": "openvino", "openvino-float32": "openvino"}
EACH = pytest.mark.parametrize(
    "name",
    [
        pytest.param(n, marks=pytest.mark.skipif(not importlib.util.find_spec(m), reason=f"{m} is not installed"))
        for n, m in MODULES.items()
    ],
)
W = np.arange(12, dtype=np.float32).reshape(3, 4) - 6


def rng():
    return np.random.default_rng(0)


def stored(name="w", location="w.bin", dims=(3, 4), data_type=1, **keys):
    tensor = TensorProto(name=name, data_type=data_type, dims=dims, data_location=TensorProto.EXTERNAL)
    for key, value in {"location": location, **keys}.items():
        tensor.external_data.add(key=key, value=str(value))
    return tensor


def model(*tensors, nodes=None):
    """y = x @ w; x is 2 x 3."""
    ends = [helper.make_tensor_value_info(name, 1, shape) for name, shape in (("x", (2, 3)), ("y", (2, 4)))]
    nodes = nodes or [helper.make_node("MatMul", ["x", "w"], ["y"])]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], list(tensors))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def saved(folder, *tensors, nodes=None):
    path = folder / "net.onnx"
    path.write_bytes(model(*tensors, nodes=nodes).SerializeToString())
    return path


def read(path):
    return weights_beside(path.read_bytes(), path)


def output(session):
    found = session.run()
    return np.asarray(found[0] if isinstance(found, list) else next(iter(found.values())))


@EACH
@pytest.mark.parametrize("location", ["w.bin", "./w.bin", "sub/folder/w.bin", "name with ü.bin"])
def test_the_outputs_are_those_of_the_model_with_its_weights_inside(name, location, tmp_path, monkeypatch):
    place = tmp_path / location
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(bytes(8) + W.tobytes() + bytes(8))
    path = saved(tmp_path, stored(location=location, offset=8, length=48))
    inside = model(numpy_helper.from_array(W, "w")).SerializeToString()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    np.testing.assert_allclose(output(RUNTIMES[name](path, rng())), output(RUNTIMES[name](inside, rng())), rtol=1e-2)


@EACH
def test_the_file_in_the_current_folder_is_not_the_one_beside_the_model(name, tmp_path, monkeypatch):
    """Both runtimes open a file of this name in the current folder if they are given the bytes alone."""
    (tmp_path / "w.bin").write_bytes(bytes(48))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net").mkdir()
    with pytest.raises(BadFile, match=r"w\.bin"):
        RUNTIMES[name](saved(tmp_path / "net", stored()), rng())
    (tmp_path / "net" / "w.bin").write_bytes(W.tobytes())
    assert np.abs(output(RUNTIMES[name](tmp_path / "net" / "net.onnx", rng()))).max() > 0


@EACH
def test_what_the_exporter_writes_by_default_is_measured(name, tmp_path):
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxscript")
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 64, 3), torch.nn.ReLU(), torch.nn.Conv2d(64, 8, 3)).eval()
    torch.onnx.export(module, (torch.zeros(1, 3, 8, 8),), tmp_path / "net.onnx", dynamo=True, verbose=False)
    assert (tmp_path / "net.onnx.data").stat().st_size > 0
    session = RUNTIMES[name](tmp_path / "net.onnx", rng())
    with torch.inference_mode():
        image = torch.from_numpy(rng().standard_normal((1, 3, 8, 8), np.float32))
        np.testing.assert_allclose(output(session), module(image).numpy(), rtol=0.05, atol=0.02)


def test_every_type_has_the_bytes_that_its_shape_says(tmp_path):
    (tmp_path / "w.bin").write_bytes(bytes(range(100)))
    for data_type, length in ((1, 20), (2, 5), (9, 5), (10, 10), (11, 40), (16, 10), (17, 5), (21, 3), (22, 3)):
        found = read(saved(tmp_path, stored(dims=(5,), data_type=data_type, offset=7)))
        assert found["w"].tobytes() == bytes(range(7, 7 + length))
    without = {"UNDEFINED", "STRING", "FLOAT6E2M3", "FLOAT6E3M2"}
    assert set(onnx_external.BITS) >= {n for name, n in TensorProto.DataType.items() if name not in without}


def test_an_empty_weight_needs_no_bytes(tmp_path):
    (tmp_path / "w.bin").write_bytes(b"")
    path = saved(tmp_path, stored(dims=(3, 0)))
    assert read(path)["w"].size == 0
    placed = onnx.ModelProto.FromString(referring(path.read_bytes(), {"w": ("anywhere", 0, 0)}))
    assert not placed.graph.initializer[0].external_data


def test_only_what_a_weight_needs_is_read(tmp_path):
    with (tmp_path / "w.bin").open("wb") as file:
        file.truncate(2**36)  # 64 GiB, none of them on the disk
    assert read(saved(tmp_path, stored(offset=2**35)))["w"].tobytes() == bytes(48)


def attack(location, expected):
    return pytest.param(location, expected, id=location[:20].replace("\0", "0"))


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        attack("../secret.bin", "a relative path inside"),
        attack("sub/../../secret.bin", "a relative path inside"),
        attack("sub\\..\\..\\secret.bin", "a relative path inside"),
        attack("/etc/passwd", "a relative path inside"),
        attack("//etc/passwd", "a relative path inside"),
        attack("C:\\secret.bin", "a relative path inside"),
        attack("\\\\host\\secret.bin", "a relative path inside"),
        attack("", "a relative path inside"),
        attack(".", "a relative path inside"),
        attack("w.bin\0.txt", "a relative path inside"),
        attack("a/" * 20 + "w.bin", "a relative path inside"),
        attack("n" * 5000, "a relative path inside"),
        attack("*/_ORT_MEM_ADDR_/*", "no such file"),
        attack("file:///etc/passwd", "no such file"),
        attack("link.bin", "a link"),
        attack("linked/secret.bin", "a link"),
        attack("dangling.bin", "a link"),
        attack("sub", "no regular file"),
        attack("pipe", "no regular file"),
        attack("two names.bin", "several names"),
        attack("w.bin/w.bin", "not a directory"),
        attack("short.bin", "of 47 bytes; expected 48 at least"),
        attack("\x1b[2J.bin", "no such file"),
    ],
)
def test_a_location_that_leads_elsewhere_is_refused(location, expected, tmp_path):
    folder = tmp_path / "model"
    (folder / "sub").mkdir(parents=True)
    (tmp_path / "secret.bin").write_bytes(bytes(100))
    (folder / "w.bin").write_bytes(bytes(100))
    (folder / "short.bin").write_bytes(bytes(47))
    (folder / "link.bin").symlink_to(tmp_path / "secret.bin")
    (folder / "dangling.bin").symlink_to(tmp_path / "nothing")
    (folder / "linked").symlink_to(tmp_path)
    os.link(tmp_path / "secret.bin", folder / "two names.bin")
    os.mkfifo(folder / "pipe")
    with pytest.raises(BadFile, match=expected) as error:
        read(saved(folder, stored(location=location)))
    assert str(error.value).isprintable()
    assert " expected " in str(error.value)


def cache(folder, target="blobs/2b"):
    """A model as a hub's cache holds it: files that are named by their contents, and links with their real names."""
    (folder / "blobs").mkdir()
    (folder / "snapshot" / "onnx").mkdir(parents=True)
    (folder / "blobs" / "2b").write_bytes(W.tobytes())
    (folder / "secret").write_bytes(bytes(48))
    saved(folder / "blobs", stored()).rename(folder / "blobs" / "1a")
    (folder / "snapshot" / "onnx" / "net.onnx").symlink_to("../../blobs/1a")
    (folder / "snapshot" / "onnx" / "w.bin").symlink_to(f"../../{target}")
    return folder / "snapshot" / "onnx" / "net.onnx"


@EACH
def test_a_model_in_the_cache_of_a_hub_has_its_weights_and_its_name(name, tmp_path):
    session = RUNTIMES[name](cache(tmp_path), rng())
    assert session.name == "net"
    inside = model(numpy_helper.from_array(W, "w")).SerializeToString()
    np.testing.assert_allclose(output(session), output(RUNTIMES[name](inside, rng())), rtol=1e-2)


@pytest.mark.parametrize("target", ["secret", "blobs/sub/2b", "blobs/none", "snapshot/onnx/w.bin", "../../etc/passwd"])
def test_in_a_cache_too_weights_are_in_the_folder_of_the_model(target, tmp_path):
    path = cache(tmp_path, target)
    (tmp_path / "blobs" / "sub").mkdir()
    (tmp_path / "blobs" / "sub" / "2b").write_bytes(W.tobytes())
    with pytest.raises(BadFile, match="no such file"):
        read(path)


def test_a_link_in_a_cache_leads_to_no_further_link(tmp_path):
    path = cache(tmp_path)
    (tmp_path / "blobs" / "2b").unlink()
    (tmp_path / "blobs" / "2b").symlink_to("../secret")
    with pytest.raises(BadFile, match="no such file"):
        read(path)


def test_the_folder_of_a_model_behind_a_link_is_that_of_its_target(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "w.bin").write_bytes(W.tobytes())
    (tmp_path / "w.bin").write_bytes(bytes(48))
    (tmp_path / "link.onnx").symlink_to(saved(tmp_path / "real", stored()))
    assert read(tmp_path / "link.onnx")["w"].tobytes() == W.tobytes()


def test_a_link_to_a_file_in_the_same_folder_is_refused_too(tmp_path):
    (tmp_path / "real.bin").write_bytes(W.tobytes())
    (tmp_path / "w.bin").symlink_to("real.bin")
    with pytest.raises(BadFile, match=r"a link.*without links"):
        read(saved(tmp_path, stored()))


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"offset": "-1"}, "the offset '-1'"),
        ({"offset": "1e3"}, "the offset '1e3'"),
        ({"offset": "٣"}, "the offset '٣'"),
        ({"offset": "9" * 30}, "a number of at most"),
        ({"offset": "999999999999999999"}, "expected 1,000,000,000,000,000,047 at least"),
        ({"offset": "53"}, "expected 101 at least"),
        ({"length": "47"}, "expected 48, as its shape"),
        ({"length": "49"}, "expected 48, as its shape"),
        ({"length": ""}, "the length ''"),
        ({"prepacked_0": "0,48"}, "the keys location, prepacked_0"),
        ({"basepath": "/"}, "the keys location, basepath"),
        ({"__class__": "x"}, "the keys location, __class__"),
    ],
)
def test_numbers_and_keys_are_those_of_the_format(keys, expected, tmp_path):
    (tmp_path / "w.bin").write_bytes(bytes(100))
    with pytest.raises(BadFile, match=expected.replace("(", r"\(")):
        read(saved(tmp_path, stored(**keys)))


def test_a_key_has_one_value(tmp_path):
    (tmp_path / "w.bin").write_bytes(bytes(100))
    tensor = stored()
    tensor.external_data.add(key="location", value="../w.bin")
    with pytest.raises(BadFile, match="the keys location, location"):
        read(saved(tmp_path, tensor))


def test_a_reference_without_the_mark_is_refused(tmp_path):
    (tmp_path / "w.bin").write_bytes(bytes(100))
    tensor = stored()
    tensor.ClearField("data_location")
    with pytest.raises(BadFile, match="not marked as external"):
        read(saved(tmp_path, tensor))


def test_texts_are_not_in_other_files(tmp_path):
    (tmp_path / "w.bin").write_bytes(bytes(100))
    with pytest.raises(BadFile, match="type 8 of the weight 'w'"):
        read(saved(tmp_path, stored(data_type=8)))


def with_choice(one, other):
    """y = x @ w, where each way of a choice has a w of its own."""
    ways = []
    for name, tensor in (("then", one), ("else", other)):
        node = helper.make_node("MatMul", ["x", "w"], [name])
        ways.append(helper.make_graph([node], name, [], [helper.make_tensor_value_info(name, 1, (2, 4))], [tensor]))
    node = helper.make_node("If", ["choice"], ["y"], then_branch=ways[0], else_branch=ways[1])
    found = model(nodes=[node])
    found.graph.input.append(helper.make_tensor_value_info("choice", TensorProto.BOOL, ()))
    return found.SerializeToString()


@EACH
def test_weights_of_bodies_are_read_from_files_beside_the_model(name, tmp_path):
    (tmp_path / "w.bin").write_bytes(W.tobytes() + (W * W).tobytes())
    path = tmp_path / "net.onnx"
    path.write_bytes(with_choice(stored(), stored(offset=48)))
    network = read_onnx(path)
    assert (cost(network.architecture).params, network.external) == (24, ("w", "w"))
    inside = with_choice(numpy_helper.from_array(W, "w"), numpy_helper.from_array(W * W, "w"))
    found, expected = (output(RUNTIMES[name](source, rng())) for source in (path, inside))
    np.testing.assert_allclose(found, expected, rtol=1e-2)
    assert np.abs(found).max() > 0


@pytest.mark.parametrize(
    ("tensor", "expected"),
    [
        (stored(location="../w.bin"), "a relative path inside"),
        (stored(location="/etc/passwd"), "a relative path inside"),
        (stored(offset=8), "of 48 bytes"),
    ],
    ids=["out of the folder", "absolute", "too short"],
)
def test_weights_of_bodies_lead_nowhere_else(tensor, expected, tmp_path):
    (tmp_path / "w.bin").write_bytes(W.tobytes())
    path = tmp_path / "net.onnx"
    path.write_bytes(with_choice(numpy_helper.from_array(W, "w"), tensor))
    with pytest.raises(BadFile, match=expected):
        RUNTIMES["ort"](path, rng())
    with pytest.raises(BadFile, match="weights in other files"):
        RUNTIMES["ort"](path.read_bytes(), rng())


def test_weights_of_bodies_are_bounded(tmp_path, monkeypatch):
    (tmp_path / "w.bin").write_bytes(W.tobytes())
    data = with_choice(stored(), stored())
    monkeypatch.setattr(onnx_external, "BODY_BYTES", 96)
    assert not read_onnx(with_bodies(data, tmp_path / "net.onnx")).external
    monkeypatch.setattr(onnx_external, "BODY_BYTES", 95)
    with pytest.raises(BadFile, match="96 bytes of weights in other files; expected at most 95"):
        with_bodies(data, tmp_path / "net.onnx")


def test_only_weights_of_graphs_are_in_other_files(tmp_path):
    (tmp_path / "w.bin").write_bytes(bytes(100))
    nodes = [helper.make_node("Constant", [], ["w"], value=stored()), helper.make_node("MatMul", ["x", "w"], ["y"])]
    for name in RUNTIMES:
        with pytest.raises(BadFile, match="1 tensors in other files that are not weights of a graph"):
            RUNTIMES[name](saved(tmp_path, nodes=nodes), rng())


def test_all_weights_together_are_bounded(tmp_path, monkeypatch):
    """The sum over weights counts, not the size of the file: many weights may read the same bytes."""
    (tmp_path / "w.bin").write_bytes(bytes(100))
    path = saved(tmp_path, *(stored(name=f"w{i}" if i else "w") for i in range(10)))
    monkeypatch.setattr(onnx_external, "WEIGHT_BYTES", 480)
    assert len(read(path)) == 10
    monkeypatch.setattr(onnx_external, "WEIGHT_BYTES", 479)
    with pytest.raises(BadFile, match="480 bytes of weights in other files; expected at most 479"):
        read(path)
    monkeypatch.setattr(onnx_external, "WEIGHT_BYTES", 2**60)
    monkeypatch.setattr(onnx_external, "MEMORY_SHARE", 0)
    with pytest.raises(BadFile, match="expected at most 0"):
        read(path)


def test_a_model_that_asks_for_more_than_the_machine_has_costs_no_memory(tmp_path):
    with (tmp_path / "w.bin").open("wb") as file:
        file.truncate(2**43)
    with pytest.raises(BadFile, match="8,796,093,022,208 bytes of weights"):
        read(saved(tmp_path, stored(dims=(2**21, 2**20))))


@pytest.mark.slow
@EACH
def test_weights_of_more_than_a_model_file_can_hold_are_read(name, tmp_path):
    rows, last = 2**20, np.arange(300, dtype=np.float32)
    with (tmp_path / "w.bin").open("wb") as file:  # 2.3 GiB, of which the last row of each table is on the disk
        for _ in range(2):
            file.seek(4 * 300 * rows, 1)
            file.write(last.tobytes())
    size = 4 * 300 * (rows + 1)
    tables = [stored(table, dims=(rows + 1, 300), offset=place * size) for place, table in enumerate("wv")]
    ends = [("rows", TensorProto.INT64, (1,)), ("y", TensorProto.FLOAT, (1, 300))]
    infos = [helper.make_tensor_value_info(*end) for end in ends]
    nodes = [helper.make_node("Max", ["rows", "end"], ["r"]), helper.make_node("Add", ["a", "b"], ["y"])]
    nodes[1:1] = [helper.make_node("Gather", [table, "r"], [out]) for table, out in zip("wv", "ab", strict=True)]
    end = numpy_helper.from_array(np.array([rows]), "end")
    graph = helper.make_graph(nodes, "g", infos[:1], infos[1:], [*tables, end])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    (tmp_path / "net.onnx").write_bytes(made.SerializeToString())
    np.testing.assert_allclose(output(RUNTIMES[name](tmp_path / "net.onnx", rng())), 2 * last[None])
