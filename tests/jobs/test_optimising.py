"""What a runtime makes of a network can be looked at and kept, and is never taken for the network itself."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from narformer import jobs
from narformer.errors import BadFile, UnknownName
from narformer.formats.onnx_writer import to_onnx
from narformer.measure import RUNTIMES, onnx_runtime
from narformer.network import Architecture, Op

RNG = np.random.default_rng(0)


def residual(folder: Path) -> Path:
    """Conv, Relu, Conv, Add: two fused convolutions in ONNX Runtime and in OpenVINO."""
    conv = {"kernel_shape": (3, 3), "pads": (1, 1, 1, 1)}
    ops = (
        Op.of("Input", (1, 16, 8, 8)),
        Op.of("Conv", (1, 16, 8, 8), **conv),
        Op.of("Relu", (1, 16, 8, 8)),
        Op.of("Conv", (1, 16, 8, 8), **conv),
        Op.of("Add", (1, 16, 8, 8)),
    )
    edges = ((0, 1), (1, 2), (2, 3), (3, 4), (0, 4))
    path = folder / "residual.onnx"
    path.write_bytes(to_onnx(Architecture(ops, edges, "residual", (0, 0, 0, 0, 1)), "random", RNG))
    return path


def test_the_graph_of_onnx_runtime_is_read_like_any_other_file(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    path = residual(tmp_path)
    found = jobs.optimised(path, save=tmp_path / "own.onnx")
    assert isinstance(found.graph, jobs.Inspection)
    assert found.runtime.startswith("ONNX Runtime ")
    assert (found.network, found.graph.name) == ("residual", "residual")
    assert found.saved == (str(tmp_path / "own.onnx"),)
    assert "Relu" in {part.name for part in jobs.inspect(path).kinds}
    assert "Relu" not in {part.name for part in found.graph.kinds}
    assert jobs.inspect(tmp_path / "own.onnx").fingerprint == found.graph.fingerprint
    assert sorted(p.name for p in tmp_path.iterdir() if p.suffix == ".onnx") == ["own.onnx", "residual.onnx"]
    assert jobs.optimised(path).saved == ()


def test_the_saved_file_runs_and_gives_the_same_outputs(tmp_path: Path) -> None:
    ort = pytest.importorskip("onnxruntime")
    path = residual(tmp_path)
    jobs.optimised(path, save=tmp_path / "own.onnx")
    feeds = {"Input_0": RNG.standard_normal((1, 16, 8, 8), np.float32)}
    one, two = (ort.InferenceSession(p.read_bytes()).run(None, feeds)[0] for p in (path, tmp_path / "own.onnx"))
    np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-4)


def test_large_weights_are_kept_in_a_file_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxruntime")
    monkeypatch.setattr(onnx_runtime, "LARGEST_FILE", 1000)
    found = jobs.optimised(residual(tmp_path), save=tmp_path / "own.onnx")
    assert found.saved == (str(tmp_path / "own.onnx"), str(tmp_path / "own.onnx.data"))
    RUNTIMES["ort"](tmp_path / "own.onnx", RNG).run()


def test_open_sizes_are_bound(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    nodes = [helper.make_node("Relu", ["x"], ["h"], "r"), helper.make_node("Neg", ["h"], ["y"], "n")]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ("batch", None)) for name in "xy"]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:])
    path = tmp_path / "open.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
    found = jobs.optimised(path, shapes={"x": (2, 5)})
    assert isinstance(found.graph, jobs.Inspection)
    assert found.graph.inputs == (("x", (2, 5)),)


def test_a_file_that_is_there_is_not_replaced(tmp_path: Path) -> None:
    path = residual(tmp_path)
    before = path.read_bytes()
    (tmp_path / "link.onnx").symlink_to(tmp_path / "nothing")
    for save in (path, tmp_path, tmp_path / "link.onnx"):
        with pytest.raises(BadFile, match="there already"):
            jobs.optimised(path, save=save)
    assert path.read_bytes() == before
    with pytest.raises(BadFile, match="cannot be written"):
        jobs.optimised(path, save=tmp_path / "no" / "own.onnx")


def test_openvino_lists_what_it_executes(tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    path = residual(tmp_path)
    found = jobs.optimised(path, "openvino-float32")
    assert isinstance(found.graph, jobs.Executed)
    assert found.runtime.startswith("OpenVINO ")
    convolutions = [one for one in found.graph.operations if one.kind == "Convolution"]
    assert [one.shape for one in convolutions] == [(1, 16, 8, 8)] * 2
    assert {"Conv_1", "Relu_2"} <= set(convolutions[0].replaces)
    assert {"Conv_3", "Add_4"} <= set(convolutions[1].replaces)
    assert {one.precision for one in convolutions} == {"f32"}
    assert all(one.primitive and one.layout for one in convolutions)
    assert "Const" not in {one.kind for one in found.graph.operations}
    with pytest.raises(BadFile, match="ONNX Runtime, which alone writes"):
        jobs.optimised(path, "openvino", save=tmp_path / "own.onnx")


def test_another_runtime_is_unknown(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="ort"):
        jobs.optimised(residual(tmp_path), "orrt")
