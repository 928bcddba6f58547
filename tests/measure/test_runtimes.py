"""Each runtime that is installed runs what the ONNX writer writes, and says what it is."""

import importlib.util
import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from narformer.errors import BadArchitecture, BadFile, MissingExtra, TooManyThreads
from narformer.formats.onnx_writer import to_onnx
from narformer.measure import RUNTIMES, environment, measure, measure_rounds
from narformer.measure.network import precision, random_input
from narformer.network import Architecture, Op, fingerprint

MODULES = {"ort": "onnxruntime", "openvino": "openvino", "openvino-float32": "openvino"}
EACH = pytest.mark.parametrize(
    "name",
    [
        pytest.param(n, marks=pytest.mark.skipif(not importlib.util.find_spec(m), reason=f"{m} is not installed"))
        for n, m in MODULES.items()
    ],
)


def rng():
    return np.random.default_rng(0)


def tiny(batch=2, name="tiny"):
    ops = (
        Op.of("Input", (batch, 3, 8, 8)),
        Op.of("Conv", (batch, 4, 8, 8), kernel_shape=(3, 3), pads=(1, 1, 1, 1)),
        Op.of("Relu", (batch, 4, 8, 8)),
    )
    return Architecture(ops, ((0, 1), (1, 2)), name)


def of_ints():
    """Embedding of words, with an open number of them."""
    graph = helper.make_graph(
        [helper.make_node("Gather", ["table", "words"], ["y"])],
        "embedding",
        [helper.make_tensor_value_info("words", TensorProto.INT64, ["batch", 5])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 5, 4])],
        [onnx.numpy_helper.from_array(np.ones((2, 4), np.float32), "table")],
    )
    opset = [helper.make_opsetid("", 18)]
    return helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()


def test_every_runtime_is_tried():
    assert set(MODULES) == set(RUNTIMES)


@EACH
def test_a_real_measurement(name):
    session = RUNTIMES[name](tiny(), rng())
    m = measure(session, repeats=12, warmup=2)
    assert (m.fingerprint, m.name) == (fingerprint(tiny()), "tiny")
    assert (m.runtime, m.threads, m.batch) == (name, 1, 2)
    assert m.device == f"{environment().device}, {m.dtype}"
    assert m.dtype in (("float32", "bfloat16", "float16") if name == "openvino" else ("float32",))
    assert len(m.times_ns) == 12
    assert min(m.times_ns) > 0
    low, high = m.interval_ms()
    assert low <= m.median_ms <= high < 1000
    assert MODULES[name] in dict(m.environment.versions)


@EACH
def test_a_larger_network_takes_longer(name):
    many = [Op.of("Input", (1, 32, 32, 32))]
    many += [Op.of("Conv", (1, 32, 32, 32), kernel_shape=(3, 3), pads=(1, 1, 1, 1))] * 8
    deep = Architecture(tuple(many), tuple((v, v + 1) for v in range(8)), "deep")
    small, large = measure_rounds([RUNTIMES[name](a, rng()) for a in (tiny(), deep)], rounds=2, repeats=5)
    assert small.median_ms < large.median_ms


@EACH
def test_a_file_is_the_same_network_as_the_architecture_it_was_written_from(name):
    threads = min(2, environment().machine.cores)
    session = RUNTIMES[name](to_onnx(tiny(), "random", rng()), rng(), threads=threads, device="my board")
    assert session.fingerprint == fingerprint(tiny())
    assert session.threads == threads
    assert session.device.startswith("my board, ")
    session.run()


@EACH
def test_a_device_named_with_its_precision_is_the_same_device(name):
    plain = RUNTIMES[name](tiny(), rng(), device="my board")
    assert RUNTIMES[name](tiny(), rng(), device=plain.device).device == plain.device


@EACH
def test_there_are_no_more_threads_than_cores(name):
    with pytest.raises(TooManyThreads, match="one for each core"):
        RUNTIMES[name](tiny(), rng(), threads=environment().machine.cores + 1)


@pytest.mark.parametrize(
    ("quantised", "dtypes", "expected"),
    [
        ("", ["int64", "float16"], "float16"),
        ("", ["float32", "float16"], "float32"),
        ("int8", ["float32"], "int8"),
        ("", ["int64"], "float32"),
    ],
)
def test_the_precision_is_that_of_the_first_real_input_or_output(quantised, dtypes, expected):
    assert precision(quantised, dtypes) == expected


def test_a_half_precision_network_of_words_is_float16():
    model = onnx.load_from_string(of_ints())
    table = onnx.numpy_helper.from_array(np.ones((2, 4), np.float16), "table")
    model.graph.initializer[0].CopyFrom(table)
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.FLOAT16
    pytest.importorskip("onnxruntime")
    assert RUNTIMES["ort"](model.SerializeToString(), rng(), dims={"batch": 1}).dtype == "float16"


def test_a_loop_without_end_is_stopped(monkeypatch):
    pytest.importorskip("onnxruntime")
    monkeypatch.setattr("narformer.measure.onnx_runtime.LONGEST_S", 0.5)
    body = helper.make_graph(
        [helper.make_node("Identity", ["going"], ["on"]), helper.make_node("Identity", ["value"], ["next"])],
        "body",
        [
            helper.make_tensor_value_info("turn", TensorProto.INT64, []),
            helper.make_tensor_value_info("going", TensorProto.BOOL, []),
            helper.make_tensor_value_info("value", TensorProto.FLOAT, [1, 2]),
        ],
        [
            helper.make_tensor_value_info("on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("next", TensorProto.FLOAT, [1, 2]),
        ],
    )
    graph = helper.make_graph(
        [helper.make_node("Loop", ["", "always", "x"], ["y"], body=body)],
        "endless",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 2])],
        [onnx.numpy_helper.from_array(np.array(True), "always")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    with pytest.raises(BadArchitecture, match=r"one run takes more than"):
        RUNTIMES["ort"](model.SerializeToString(), rng())


@EACH
def test_a_path_names_the_network_and_its_errors(name, tmp_path):
    path = tmp_path / "my net.onnx"
    path.write_bytes(to_onnx(tiny(), "random", rng()))
    session = RUNTIMES[name](path, rng())
    assert (session.name, session.fingerprint) == ("my net", fingerprint(tiny()))
    path.write_bytes(b"no model")
    with pytest.raises(BadFile, match=r"my net\.onnx"):
        RUNTIMES[name](path, rng())


@EACH
def test_open_dimensions_are_bound_and_whole_numbers_fed(name):
    session = RUNTIMES[name](of_ints(), rng(), dims={"batch": 3})
    session.run()
    assert session.batch == 3
    with pytest.raises(BadArchitecture, match="batch"):
        RUNTIMES[name](of_ints(), rng())


@EACH
def test_a_file_without_weights_is_refused(name):
    with pytest.raises(BadArchitecture, match=r"tiny: .* refuses it: ") as error:
        RUNTIMES[name](to_onnx(tiny(), "none"), rng())
    assert len(str(error.value).splitlines()) == 1


@EACH
def test_a_value_called_location_is_no_reference(name):
    model = onnx.load_from_string(of_ints())
    model.graph.initializer[0].name = model.graph.node[0].input[0] = "location"
    RUNTIMES[name](model.SerializeToString(), rng(), dims={"batch": 1}).run()


@pytest.mark.parametrize("name", RUNTIMES)
def test_a_missing_runtime_says_what_to_install(name, monkeypatch):
    monkeypatch.setitem(sys.modules, MODULES[name], None)
    with pytest.raises(MissingExtra, match=r"narformer\[measure\]"):
        RUNTIMES[name](tiny(), rng())


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int64", "int32", "uint8", "bool"])
def test_random_inputs_have_shape_and_type(dtype):
    values = random_input("x", (2, 3), dtype, rng())
    assert values.shape == (2, 3)
    assert values.dtype == dtype


@pytest.mark.parametrize(("shape", "dtype"), [((None, 3), "float32"), ((3,), "string"), ((3,), "bfloat99")])
def test_inputs_that_cannot_be_made_are_refused(shape, dtype):
    with pytest.raises(BadArchitecture, match="'x'"):
        random_input("x", shape, dtype, rng())


@EACH
def test_weights_in_other_files_are_never_opened(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "w.bin").write_bytes(bytes(8))
    model = onnx.load_from_string(of_ints())
    del model.graph.initializer[:]
    tensor = model.graph.initializer.add(name="table", data_type=1, dims=[2, 1], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="w.bin")
    with pytest.raises(BadFile, match="weights in other files"):
        RUNTIMES[name](model.SerializeToString(), rng(), dims={"batch": 1})


def of_type(data_type, shape=("n", 3), kind="Identity"):
    """An operation on an input of this type."""
    ends = [helper.make_tensor_value_info(name, data_type, shape) for name in "xy"]
    graph = helper.make_graph([helper.make_node(kind, ["x"], ["y"])], "typed", ends[:1], ends[1:])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8).SerializeToString()


TAKEN = ["FLOAT", "DOUBLE", "FLOAT16", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64", "BOOL"]


@pytest.mark.parametrize("data_type", TAKEN)
@pytest.mark.parametrize("how", [{"dims": {"n": 2}}, {"shapes": {"x": (2, 3)}}])
def test_inputs_of_every_type_that_onnx_runtime_takes_are_made(data_type, how):
    pytest.importorskip("onnxruntime")
    session = RUNTIMES["ort"](of_type(TensorProto.DataType.Value(data_type)), rng(), **how)
    (found,) = session.run()
    assert found.shape == (2, 3)
    assert found.dtype == helper.tensor_dtype_to_np_dtype(TensorProto.DataType.Value(data_type))


def test_inputs_of_other_types_are_refused_by_name():
    pytest.importorskip("onnxruntime")
    for data_type, says in (("STRING", "type string"), ("BFLOAT16", "type bfloat16")):
        with pytest.raises(BadArchitecture, match=f"'x' holds values of {says}"):
            RUNTIMES["ort"](of_type(TensorProto.DataType.Value(data_type)), rng(), dims={"n": 2})


@pytest.mark.parametrize("container", ["sequence", "optional"])
def test_inputs_that_are_no_tensors_are_refused_by_name(container):
    pytest.importorskip("onnxruntime")
    inner = helper.make_tensor_type_proto(TensorProto.FLOAT, [2, 3])
    make = helper.make_sequence_type_proto if container == "sequence" else helper.make_optional_type_proto
    kind = "SequenceAt" if container == "sequence" else "OptionalGetElement"
    graph = helper.make_graph(
        [helper.make_node(kind, ["s", "place"] if container == "sequence" else ["s"], ["y"])],
        "contained",
        [helper.make_value_info("s", make(inner))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, 3])],
        [onnx.numpy_helper.from_array(np.array(0), "place")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    with pytest.raises(BadArchitecture, match=r"input 's' .*(seq|optional)"):
        RUNTIMES["ort"](model.SerializeToString(), rng())
