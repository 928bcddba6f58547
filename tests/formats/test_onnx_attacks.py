"""Hostile files are refused within a second and 500 MB, before anything is computed from them."""

import json
import subprocess
import sys
import time

import onnx
import pytest
from onnx import TensorProto, helper

from narformer.errors import BadFile
from narformer.formats.onnx_guard import check
from narformer.formats.onnx_reader import read_onnx
from narformer.formats.onnx_wire import light
from narformer.network import canonical, fingerprint

SECONDS, MEGABYTES = 1.0, 500
PATIENCE = 6.0  # seconds of the processor for a network of a few hundred kilobytes, on a slow machine


def model(nodes, shape=(1, 3, 8, 8), stored=(), functions=()):
    entry = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
    end = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "g", [entry], [end], list(stored))
    domains = [helper.make_opsetid("", 18), helper.make_opsetid("own", 1)]
    return helper.make_model(graph, functions=list(functions), opset_imports=domains).SerializeToString()


def doubling(count=60):
    own = [helper.make_opsetid("", 18), helper.make_opsetid("own", 1)]
    first = helper.make_function("own", "f0", ["a"], ["b"], [helper.make_node("Relu", ["a"], ["b"])], own)
    functions = [first]
    for k in range(1, count):
        calls = [helper.make_node(f"f{k - 1}", [i], [o], domain="own") for i, o in (("a", "m"), ("m", "b"))]
        functions.append(helper.make_function("own", f"f{k}", ["a"], ["b"], calls, own))
    return model([helper.make_node(f"f{count - 1}", ["x"], ["y"], domain="own")], functions=functions)


def recursion():
    own = [helper.make_opsetid("own", 1)]
    calls = [helper.make_node(name, ["a"], ["b"], domain="own") for name in ("g", "f")]
    functions = [helper.make_function("own", name, ["a"], ["b"], [c], own) for name, c in zip("fg", calls, strict=True)]
    return model([helper.make_node("f", ["x"], ["y"], domain="own")], functions=functions)


def message(number, *parts):
    body = b"".join(parts)
    return bytes([number << 3 | 2]) + varint(len(body)) + body


def varint(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def nested(levels):
    inside = b""
    for _ in range(levels):  # a graph in an attribute of a node of a graph
        inside = message(1, message(4, b"If"), message(5, message(1, b"then_branch"), message(6, inside)))
    return message(7, inside)


def many(count):
    """Empty nodes, two bytes each."""
    return message(7, b"\x0a\x00" * count)


def convolution(**attributes):
    weight = TensorProto(name="w", data_type=1, dims=[3, 3, 3, 3])
    return model([helper.make_node("Conv", ["x", "w"], ["y"], **attributes)], stored=[weight])


def rank(count=10_000_000):
    shape = message(2, b"\x0a\x00" * count)  # so many dimensions, each an empty message
    tensor_type = message(1, b"\x08\x07", shape)
    return message(7, message(11, message(1, b"x"), message(2, tensor_type)))


def wide_tensor():
    return model([helper.make_node("Relu", ["x"], ["y"])], stored=[TensorProto(name="w", data_type=1, dims=[1] * 65)])


def relu(shape):
    return model([helper.make_node("Relu", ["x"], ["y"])], shape)


ATTACKS = {
    "functions that double": (doubling(), "once its functions are expanded"),
    "functions that call each other": (recursion(), "calls itself"),
    "a rank of ten million": (rank(), "dimensions of one tensor"),
    "a stored tensor of 65 dimensions": (wide_tensor(), "dimensions of one tensor"),
    "graphs in graphs, 30 levels": (nested(30), "graphs inside each other"),
    "graphs in graphs, 20,000 levels": (nested(20_000), "graphs inside each other"),
    "a circle": (
        model([helper.make_node("Add", ["x", "b"], ["y"]), helper.make_node("Relu", ["y"], ["b"])]),
        "in a cycle",
    ),
    "a huge initializer": (
        model(
            [helper.make_node("Add", ["x", "w"], ["y"])],
            stored=[TensorProto(name="w", data_type=1, dims=[2**40, 2**40])],
        ),
        "dimensions of 0 to",
    ),
    "a negative dimension": (relu((1, -5)), "dimensions of 0 to"),
    "too many values": (relu((2**30, 2**30)), "2\\*\\*48 values"),
    "a product that grows": (
        model([helper.make_node("MatMul", ["x", "t"], ["y"]), helper.make_node("Transpose", ["x"], ["t"])], (2**30, 2)),
        "2\\*\\*48 values",
    ),
    "stride 0": (convolution(strides=[0, 0]), "strides 0"),
    "kernel 2**62": (convolution(kernel_shape=[2**62, 2**62]), "kernel_shape 4611686018427387904"),
    "group 0": (convolution(group=0), "group 0"),
    "groups that do not divide": (convolution(group=2), "6 channels of the filters do not fit 3"),
    "five million empty nodes": (many(5_000_000), "at most 200,000"),
    "a long name": (
        model([helper.make_node("Relu", ["x"], ["y"], name="n" * 5000)]),
        "bytes in a name",
    ),
    "a value written twice": (
        model([helper.make_node("Relu", ["x"], ["y"]), helper.make_node("Abs", ["x"], ["y"])]),
        "written twice",
    ),
    "a value from nowhere": (model([helper.make_node("Relu", ["z"], ["y"])]), "the undefined value"),
    "text": (b'{"graph": {"node": []}}', "expected an ONNX model"),
    "a torn file": (convolution()[:-7], "expected an ONNX model"),
    "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 10, "expected an ONNX model"),
}

MEASURE = """
import json, sys, time
from pathlib import Path
from narformer.formats.onnx_reader import read_onnx
from narformer.formats.onnx_wire import light
from narformer.errors import NarformerError
start, text = time.process_time(), ""
try:
    read_onnx(sys.argv[1])
except NarformerError as error:
    text = f"{type(error).__name__} {error}"
seconds = time.process_time() - start
# Not ru_maxrss, which begins with that of the process that started this one.
status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
print(json.dumps([text, seconds, int(status["VmHWM"].split()[0]) / 1024]))
"""
# Those whose danger is time or memory run in a process of their own that is measured.
DANGEROUS = [
    "functions that double",
    "a rank of ten million",
    "graphs in graphs, 20,000 levels",
    "a circle",
    "a huge initializer",
    "a negative dimension",
    "too many values",
    "stride 0",
    "kernel 2**62",
    "five million empty nodes",
]


@pytest.mark.parametrize("name", ATTACKS)
def test_it_is_refused(name):
    data, why = ATTACKS[name]
    with pytest.raises(BadFile, match=why):
        read_onnx(data)


@pytest.mark.slow
@pytest.mark.parametrize("name", DANGEROUS)
def test_it_is_refused_in_a_second_and_little_memory(name, tmp_path):
    path = tmp_path / "attack.onnx"
    path.write_bytes(ATTACKS[name][0])
    done = subprocess.run([sys.executable, "-c", MEASURE, str(path)], capture_output=True, check=True, text=True)
    text, seconds, megabytes = json.loads(done.stdout)
    print(f"{name}: {seconds:.2f} s, {megabytes:.0f} MB: {text[:100]}")
    assert text.startswith("BadFile")
    assert seconds < SECONDS
    assert megabytes < MEGABYTES


def test_fields_are_counted(monkeypatch):
    data = message(7, b"\x08\x00" * 9)  # a graph of nine numbers: ten fields
    monkeypatch.setattr("narformer.formats.onnx_wire.FIELDS", 10)
    assert light(data, "it") == data
    monkeypatch.setattr("narformer.formats.onnx_wire.FIELDS", 9)
    with pytest.raises(BadFile, match="10 fields; expected at most 9"):
        light(data, "it")


def test_external_data_is_never_opened(tmp_path):
    def network(**location):
        weight = TensorProto(name="w", data_type=1, dims=[3, 3, 1, 1])
        for key, value in location.items():
            weight.data_location = TensorProto.EXTERNAL
            weight.external_data.add(key=key, value=value)
        return model([helper.make_node("Conv", ["x", "w"], ["y"])], stored=[weight])

    (tmp_path / "net.onnx").write_bytes(network(location="../../../../etc/passwd", offset="0"))
    read = read_onnx(tmp_path / "net.onnx").architecture
    assert read == read_onnx(network()).architecture
    assert fingerprint(read) == fingerprint(read_onnx(network(location=str(tmp_path / "missing"))).architecture)


def outside(name, where="weights.bin"):
    tensor = TensorProto(name=name, data_type=1, dims=[3, 3, 1, 1], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value=where)
    return tensor


def hidden(place):
    """A model with one external tensor, in a place where a reader may look."""
    text = model([helper.make_node("Relu", ["x"], ["y"])])
    if place == "initializer":
        return model([helper.make_node("Conv", ["x", "w"], ["y"])], stored=[outside("w")])
    proto = onnx.ModelProto.FromString(text)
    graph = proto.graph
    if place == "Constant":
        graph.node.append(helper.make_node("Constant", [], ["w"], value=outside("w")))
    elif place == "a list of tensors":
        graph.node[0].attribute.append(helper.make_attribute("w", [outside("w"), TensorProto()]))
    elif place == "a body":
        inner = helper.make_graph([], "inner", [], [], [outside("w")])
        graph.node[0].attribute.append(helper.make_attribute("body", inner))
    elif place == "bodies":
        inner = helper.make_graph([helper.make_node("Constant", [], ["w"], value=outside(""))], "inner", [], [])
        graph.node[0].attribute.append(helper.make_attribute("bodies", [inner]))
        inner = graph.node[0].attribute[0].graphs[0].node[0].attribute[0]
        inner.name = "w"
    elif place == "a function":
        nodes = [helper.make_node("Constant", [], ["c"], value=outside("w"))]
        proto.functions.append(helper.make_function("own", "f", [], ["c"], nodes, [helper.make_opsetid("", 18)]))
    elif place == "sparse":
        sparse = onnx.SparseTensorProto(values=outside("w"), indices=TensorProto(), dims=[3, 3])
        graph.sparse_initializer.append(sparse)
    elif place == "indices":
        sparse = onnx.SparseTensorProto(values=TensorProto(name="v"), indices=outside("w"), dims=[3, 3])
        graph.node[0].attribute.append(helper.make_attribute("sparse", sparse))
    elif place == "training":
        proto.training_info.add().algorithm.initializer.append(outside("w"))
    elif place == "not said to be external":
        graph.initializer.append(outside("w"))
        graph.initializer[0].ClearField("data_location")
    return proto.SerializeToString()


PLACES = ["initializer", "Constant", "a list of tensors", "a body", "bodies", "a function", "sparse", "indices"]
PLACES += ["training", "not said to be external"]


@pytest.mark.parametrize("place", PLACES)
def test_external_data_is_found_wherever_it_stands(place):
    assert read_onnx(hidden(place)).external == ("w",)


def test_a_value_called_location_is_not_external():
    weight = helper.make_tensor("location", 1, [3, 3, 1, 1], [0.0] * 9)
    imported = read_onnx(model([helper.make_node("Conv", ["x", "location"], ["y"])], stored=[weight]))
    assert imported.external == ()


def test_names_are_printable():
    nodes = [
        helper.make_node("Relu", ["x"], ["y"], name="\x1b[2J<script>"),
    ]
    imported = read_onnx(model(nodes))
    assert imported.names[1] == "?[2J<script>"


def test_a_file_cannot_ask_for_kinds_that_are_ours():
    imported = read_onnx(model([helper.make_node("Zero", ["x"], ["y"])]))
    assert imported.architecture.ops[1].kind == "onnx.Zero"


def test_large_weights_are_cut_out_before_parsing():
    weight = TensorProto(name="w", data_type=1, dims=[1024, 3, 16, 16], raw_data=bytes(4 * 1024 * 3 * 256))
    deep = helper.make_tensor("v", 1, [20_000], bytes(80_000), raw=True)
    nodes = [helper.make_node("Conv", ["x", "w"], ["y"]), helper.make_node("Constant", [], ["c"], value=deep)]
    data = model(nodes, (1, 3, 16, 16), stored=[weight])
    cut = light(data, "it")
    assert len(data) > 3_000_000
    assert len(cut) < 1000
    parsed = onnx.ModelProto.FromString(cut)
    assert list(parsed.graph.initializer[0].dims) == [1024, 3, 16, 16]
    assert read_onnx(data).architecture.ops[1].shape == (1, 1024, 1, 1)


def branching(turned=False, turned_inside=False):
    """Nodes of which the last is an If whose branches read r; turned: each node stands before those that it reads."""

    def branch(name):
        out = helper.make_tensor_value_info(f"{name}_out", TensorProto.FLOAT, None)
        nodes = [helper.make_node("Relu", ["r"], [f"{name}_r"]), helper.make_node("Abs", [f"{name}_r"], [out.name])]
        return helper.make_graph(nodes[::-1] if turned_inside else nodes, name, [], [out])

    nodes = [
        helper.make_node("Relu", ["x"], ["r"]),
        helper.make_node("ReduceMax", ["x"], ["m"], keepdims=0),
        helper.make_node("Cast", ["m"], ["c"], to=TensorProto.BOOL),
        helper.make_node("If", ["c"], ["y"], then_branch=branch("then"), else_branch=branch("else")),
    ]
    return nodes[::-1] if turned else nodes


def test_bodies_read_values_from_around_them():
    imported = read_onnx(model(branching()))
    assert imported.coverage.unknown == {"If": 1}
    parents = imported.architecture.parents()[-1]
    assert len(parents) == 3  # the condition, the result of a branch, and r, which the other branch reads


def test_bodies_read_values_from_around_them_where_inputs_are_left_out():
    ends = [helper.make_tensor_value_info(f"{name}_out", t, None) for name, t in (("go", 9), ("v", 1))]
    steps = [helper.make_node("Identity", ["go"], ["go_out"]), helper.make_node("Add", ["v", "r"], ["v_out"])]
    starts = [helper.make_tensor_value_info(name, t, []) for name, t in (("k", 7), ("go", 9))]
    body = helper.make_graph(steps, "body", [*starts, helper.make_tensor_value_info("v", 1, None)], ends)
    loop = helper.make_node("Loop", ["", "", "x"], ["y"], body=body)
    network = read_onnx(model([helper.make_node("Relu", ["x"], ["r"]), loop])).architecture
    assert [op.kind for op in network.ops] == ["Input", "Relu", "Add", "Loop"]  # one pass; no end is known
    assert network.operands()[2:] == (((0, 0), (1, 1)), ((0, 2),))


@pytest.mark.parametrize("turned", [False, True])
def test_bodies_are_put_in_order(turned):
    straight = read_onnx(model(branching(turned)))
    assert read_onnx(model(branching(turned, turned_inside=True))).architecture == straight.architecture
    assert not straight.coverage.shapeless


def looping(passes, tensors, kind="Loop"):
    """A loop whose body has one node and stores many numbers."""
    stored = [helper.make_tensor(f"q{k}", TensorProto.FLOAT, [], [1.0]) for k in range(tensors)]
    x, y = helper.make_tensor_value_info("v", 1, [8]), helper.make_tensor_value_info("v_out", 1, [8])
    step = helper.make_node("Relu", ["v"], ["v_out"])
    if kind == "Scan":
        body = helper.make_graph([step], "body", [x], [y], stored)
        return model([helper.make_node("Scan", ["x"], ["y"], body=body, num_scan_inputs=1)], (passes, 8))
    starts = [helper.make_tensor_value_info(name, t, []) for name, t in (("k", 7), ("go", 9))]
    ends = [helper.make_tensor_value_info("go_out", 9, []), y]
    steps = [helper.make_node("Identity", ["go"], ["go_out"]), step]
    body = helper.make_graph(steps, "body", [*starts, x], ends, stored)
    count = helper.make_tensor("n", TensorProto.INT64, [], [passes])
    return model([helper.make_node("Loop", ["n", "", "x"], ["y"], body=body)], (8,), [count])


@pytest.mark.parametrize("kind", ["Loop", "Scan"])
def test_loops_of_many_stored_tensors_are_read_once(kind):
    start = time.process_time()
    imported = read_onnx(looping(12_000, 500, kind))
    assert time.process_time() - start < PATIENCE
    assert imported.coverage.unknown == {kind: 1}
    assert read_onnx(looping(20, 500, kind)).coverage.unknown == {}


def crossing(count, steps):
    """Layers of additions that can hardly be told apart: each adds two values of the layer before."""
    nodes = [helper.make_node("Relu", ["x"], [f"0.{k}"]) for k in range(count)]
    for depth, (factor, offset) in enumerate(steps):
        others = [(k * factor + offset) % count for k in range(count)]
        nodes += [
            helper.make_node("Add", [f"{depth}.{k}", f"{depth}.{other}"], [f"{depth + 1}.{k}"])
            for k, other in enumerate(others)
        ]
    return model([*nodes, helper.make_node("Sum", [f"{len(steps)}.{k}" for k in range(count)], ["y"])], (4,))


@pytest.mark.parametrize(("count", "steps"), [(400, [(7, 1)] * 3), (1000, [(1, 1)])], ids=["crossing", "a ring"])
def test_vertices_that_can_hardly_be_told_apart_are_put_in_order(count, steps):
    architecture = read_onnx(crossing(count, steps)).architecture
    start = time.process_time()
    form = canonical(architecture)
    assert time.process_time() - start < PATIENCE
    assert (len(form), len(form.edges)) == (len(architecture), len(architecture.edges))
    assert all(i < j for i, j in form.edges)


def test_many_bodies_among_many_values_are_checked():
    count = 4000
    end = helper.make_tensor_value_info("o", TensorProto.FLOAT, [4])
    body = helper.make_graph([helper.make_node("Relu", ["x"], ["o"])], "body", [], [end])
    flag = helper.make_node("IsNaN", ["x"], ["c"])
    branches = [helper.make_node("If", ["c"], [f"y{k}"], then_branch=body, else_branch=body) for k in range(count)]
    data = model([flag, *branches, *[helper.make_node("Identity", ["x"], [f"d{k}"]) for k in range(count)]], (4,))
    parsed = onnx.load_model_from_string(data)
    parsed.graph.output[0].name = "y0"
    start = time.process_time()
    check(parsed, "it")
    assert time.process_time() - start < PATIENCE / 6
