"""The times of the nodes that ONNX Runtime executes add up to a run, and lie on the operations of the network."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from narformer.formats.onnx_nodes import OnnxNode
from narformer.formats.onnx_reader import read_onnx
from narformer.formats.onnx_writer import to_onnx
from narformer.measure import RUNTIMES, measure, profile
from narformer.measure.profile import _times
from narformer.network import Architecture, Op
from narformer.network.source_network import SourceNetwork

pytest.importorskip("onnxruntime")
RNG = np.random.default_rng(0)


def chain(name="chain"):
    """Conv, Relu, Conv, Relu, MaxPool, Flatten, Gemm; large enough that the clock sees every convolution."""
    conv = {"kernel_shape": (3, 3), "pads": (1, 1, 1, 1)}
    ops = (
        Op.of("Input", (1, 16, 32, 32)),
        Op.of("Conv", (1, 64, 32, 32), **conv),
        Op.of("Relu", (1, 64, 32, 32)),
        Op.of("Conv", (1, 64, 32, 32), **conv),
        Op.of("Relu", (1, 64, 32, 32)),
        Op.of("MaxPool", (1, 64, 16, 16), kernel_shape=(2, 2), strides=(2, 2)),
        Op.of("Flatten", (1, 16384), axis=1),
        Op.of("Gemm", (1, 10)),
    )
    return Architecture(ops, tuple((v, v + 1) for v in range(len(ops) - 1)), name)


def taken(source, file, **more):
    session = RUNTIMES["ort"](file, np.random.default_rng(0), **more)
    return profile(source, file, session, measure(session, repeats=10), **more)


def names(found):
    """What each node covers, as names, with its time."""
    return [(" ".join(found.operations[v] for v in node.covers), node.time_ns) for node in found.nodes]


def saved(folder, model):
    path = folder / "net.onnx"
    path.write_bytes(model if isinstance(model, bytes) else model.SerializeToString())
    return path


def test_a_chain_is_executed_in_fused_pieces():
    source = SourceNetwork.of(chain())
    found = taken(source, chain())
    times = dict(names(found))
    assert {"Conv_1 Relu_2", "Conv_3 Relu_4", "MaxPool_5", "Gemm_7"} <= set(times)
    assert sum(1 for node in found.nodes for v in node.covers if v == 3) == 1
    assert times["Conv_3 Relu_4"] > times["Conv_1 Relu_2"] > 0  # four times the work
    assert found.operations == source.names
    assert found.fits(source)
    assert found.runs == 30
    assert all(node.covers or "Reorder" in node.kind for node in found.nodes)


def test_the_times_add_up_to_a_run():
    """Within a factor of two, so that a busy machine does not matter."""
    found = taken(SourceNetwork.of(chain()), chain())
    assert 0.5 < sum(found.times_ns) / found.plain_ns < 1.5
    assert found.overhead_ns > 0


def test_the_time_that_profiling_adds_is_taken_off_each_node():
    """Two hundred nodes that take less than a microsecond each."""
    ops = [Op.of("Input", (1, 4))] + [Op.of(kind, (1, 4)) for _ in range(100) for kind in ("Neg", "Abs")]
    many = Architecture(tuple(ops), tuple((v, v + 1) for v in range(len(ops) - 1)), "many")
    found = taken(SourceNetwork.of(many), many)
    assert len(found.nodes) == 200
    assert sum(node.time_ns for node in found.nodes) > 1.5 * found.plain_ns
    assert found.added_ns > 500
    assert sum(found.times_ns) < 1.5 * found.plain_ns


def test_a_file_without_names_is_laid_on_its_operations_all_the_same(tmp_path):
    model = onnx.load_from_string(to_onnx(chain(), "random", RNG))
    for node in model.graph.node:
        node.name = ""
    path = saved(tmp_path, model)
    source = read_onnx(path)
    found = taken(source, path)
    assert found.operations == source.names
    kinds = [" ".join(source.architecture.ops[v].kind for v in node.covers) for node in found.nodes if node.covers]
    assert sorted(kinds) == ["Conv Relu", "Conv Relu", "Flatten", "Gemm", "MaxPool"]
    assert len({v for node in found.nodes for v in node.covers}) == 7


def test_the_body_of_a_node_is_part_of_its_time(tmp_path):
    def branch(name, kind):
        out = helper.make_tensor_value_info(f"{name}_out", TensorProto.FLOAT, None)
        nodes = [helper.make_node(kind, ["r"], [f"{name}_a"], f"{name}1")]
        nodes += [helper.make_node(kind, [f"{name}_a"], [out.name], f"{name}2")]
        return helper.make_graph(nodes, name, [], [out])

    nodes = [
        helper.make_node("Relu", ["x"], ["r"], "before"),
        helper.make_node("ReduceMax", ["x"], ["m"], "largest", keepdims=0),
        helper.make_node("Cast", ["m"], ["c"], "cast", to=TensorProto.BOOL),
        helper.make_node("If", ["c"], ["y"], "choice", then_branch=branch("t", "Exp"), else_branch=branch("e", "Exp")),
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, (512, 512)) for name in "xy"]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:])
    path = saved(tmp_path, helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9))
    source = read_onnx(path)
    found = taken(source, path)
    times = {node.name: node.time_ns for node in found.nodes}
    assert set(times) == {"before", "largest", "cast", "choice"}
    assert times["choice"] > times["before"]
    assert sum(times.values()) < 2 * found.plain_ns


def test_weights_beside_the_model_and_open_sizes(tmp_path):
    weight = TensorProto(name="w", data_type=1, dims=(64, 64), data_location=TensorProto.EXTERNAL)
    weight.external_data.add(key="location", value="w.bin")
    (tmp_path / "w.bin").write_bytes(RNG.standard_normal((64, 64)).astype(np.float32).tobytes())
    nodes = [helper.make_node("MatMul", ["x", "w"], ["h"], "dense"), helper.make_node("Relu", ["h"], ["y"], "relu")]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ("batch", 64)) for name in "xy"]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], [weight])
    path = saved(tmp_path, helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9))
    found = taken(read_onnx(path, {"batch": 8}), path, dims={"batch": 8})
    assert {cover for cover, _ in names(found)} == {"dense", "relu"}
    assert found.measurement.batch == 8


def event(name, ts, dur, kind="Relu", index=0):
    args = {"op_name": kind, "node_index": str(index)}
    return {"cat": "Node", "name": f"{name}_kernel_time", "ts": ts, "dur": dur, "args": args}


def run(ts, dur):
    return {"cat": "Session", "name": "model_run", "ts": ts, "dur": dur, "args": {}}


def test_events_are_told_apart_by_run_by_name_and_by_place():
    executed = [
        OnnxNode(name, kind, ("x",), ("y",)) for name, kind in (("a", "Relu"), ("", "own.Mul"), ("", "own.Mul"))
    ]
    one = [run(0, 100), event("a", 1, 10), event("in a", 2, 3), event("Mul_7", 20, 5, "Mul", 7), event("new", 30, 2)]
    two = [run(200, 90), event("a", 201, 30), event("Mul_7", 240, 6, "Mul", 7), event("Mul_9", 250, 8, "Mul", 9)]
    two += [event("Mul_9", 258, 0, "Mul", 9)]
    times, overhead_ns = _times([*two, *one], executed, [0, 1])
    assert times == {
        (0, "a", "Relu"): [10_000, 30_000],
        (1, "Mul_7", "own.Mul"): [5_000, 6_000],
        (2, "Mul_9", "own.Mul"): [8_000],
        (None, "new", "Relu"): [2_000],
        (None, "Mul_9", "Mul"): [0],
    }
    assert overhead_ns == (83_000 + 46_000) / 2
    assert _times([*one, *two], executed, [1])[0][0, "a", "Relu"] == [30_000]
