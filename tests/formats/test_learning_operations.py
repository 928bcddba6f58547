"""The operations of ai.onnx.ml: products and fitted values by hand, shapes as ONNX Runtime computes them."""

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper
from runtime_networks import floats, given, network, read, run

from narformer.formats.onnx_reader import read_onnx
from narformer.network import cost

ROWS, FEATURES, CLASSES = 6, 5, 3
TREE = {  # one threshold and two leaves
    "nodes_treeids": [0, 0, 0], "nodes_nodeids": [0, 1, 2], "nodes_featureids": [1, 0, 0],
    "nodes_modes": ["BRANCH_LEQ", "LEAF", "LEAF"], "nodes_values": [0.5, 0.0, 0.0],
    "nodes_truenodeids": [1, 0, 0], "nodes_falsenodeids": [2, 0, 0],
}  # fmt: skip
LEAVES = {"treeids": [0, 0], "nodeids": [1, 2], "ids": [0, 1], "weights": [0.3, 0.7]}


def weights(count):
    return [0.5] * count


def leaves(prefix):
    return {f"{prefix}_{name}": values for name, values in LEAVES.items()}


CASES = {
    "LinearClassifier": (ROWS * FEATURES * CLASSES, FEATURES * CLASSES + CLASSES, 2, {
        "coefficients": weights(FEATURES * CLASSES), "intercepts": weights(CLASSES), "classlabels_ints": [0, 1, 2]}),
    "LinearRegressor": (ROWS * FEATURES * 2, FEATURES * 2, 1, {"coefficients": weights(FEATURES * 2), "targets": 2}),
    "SVMClassifier": (ROWS * (4 * FEATURES + 4 * 2), 4 * FEATURES + 8 + 3, 2, {
        "support_vectors": weights(4 * FEATURES), "coefficients": weights(8), "rho": weights(3), "kernel_type": "RBF",
        "kernel_params": [0.1, 0.0, 3.0], "vectors_per_class": [1, 1, 2], "classlabels_ints": [0, 1, 2]}),
    "SVMRegressor": (ROWS * (4 * FEATURES + 4), 4 * FEATURES + 4 + 1, 1, {
        "support_vectors": weights(4 * FEATURES), "coefficients": weights(4), "rho": [0.1], "kernel_type": "RBF",
        "kernel_params": [0.1, 0.0, 3.0], "n_supports": 4}),
    "TreeEnsembleClassifier": (0, 1 + 2, 2, {**TREE, **leaves("class"), "classlabels_int64s": [0, 1]}),
    "TreeEnsembleRegressor": (0, 1 + 2 + 2, 1, {**TREE, **leaves("target"), "n_targets": 2, "base_values": [1., 2.]}),
    "Scaler": (0, 0, 1, {"offset": weights(FEATURES), "scale": weights(FEATURES)}),
    "Normalizer": (0, 0, 1, {"norm": "L2"}),
    "Imputer": (0, 0, 1, {"imputed_value_floats": weights(FEATURES), "replaced_value_float": 0.0}),
    "Binarizer": (0, 0, 1, {"threshold": 0.1}),
}  # fmt: skip


@pytest.mark.parametrize("kind", CASES)
def test_an_operation_on_rows_of_features(kind):
    macs, params, outputs, attributes = CASES[kind]
    data, feed = network(kind, [given(ROWS, FEATURES)], outputs, domain="ai.onnx.ml", **attributes)
    _, counted, shapes = read(data)
    assert (counted.macs, counted.params) == (macs, params)
    assert shapes == [value.shape for value in run(data, feed)]
    if kind == "Scaler":
        assert counted.constants == 2 * FEATURES


@pytest.mark.parametrize(
    ("kind", "operands", "attributes"),
    [
        ("OneHotEncoder", [given(ROWS, 2, dtype=np.int64)], {"cats_int64s": [0, 1, 2]}),
        ("FeatureVectorizer", [given(ROWS, 2), given(ROWS, 3)], {"inputdimensions": [2, 3]}),
        ("LabelEncoder", [given(ROWS, dtype=np.int64)], {"keys_int64s": [1, 2], "values_floats": [0.5, 1.5]}),
        ("ArrayFeatureExtractor", [given(ROWS, FEATURES), np.array([0, 2], np.int64)], {}),
    ],
)
def test_an_operation_that_has_no_weights(kind, operands, attributes):
    data, feed = network(kind, operands, domain="ai.onnx.ml", **attributes)
    _, counted, shapes = read(data)
    assert (counted.macs, counted.params) == (0, 0)
    assert shapes == [run(data, feed)[0].shape]


def pipeline():
    """What converters of scikit-learn write: a scaler, a classifier, its scores as a list of maps."""
    ml = "ai.onnx.ml"
    nodes = [
        helper.make_node("Scaler", ["x"], ["scaled"], domain=ml, offset=weights(FEATURES), scale=weights(FEATURES)),
        helper.make_node("LinearClassifier", ["scaled"], ["label", "scores"], domain=ml, classlabels_ints=[0, 1, 2],
                         coefficients=weights(FEATURES * CLASSES), intercepts=weights(CLASSES)),
        helper.make_node("Normalizer", ["scores"], ["shares"], domain=ml, norm="L1"),
        helper.make_node("Cast", ["label"], ["output_label"], to=TensorProto.INT64),
        helper.make_node("ZipMap", ["shares"], ["maps"], domain=ml, classlabels_int64s=[0, 1, 2]),
    ]  # fmt: skip
    entry = helper.make_tensor_value_info("x", TensorProto.FLOAT, [ROWS, FEATURES])
    label = helper.make_tensor_value_info("output_label", TensorProto.INT64, None)
    values = helper.make_tensor_type_proto(TensorProto.FLOAT, [])
    maps = helper.make_sequence_type_proto(helper.make_map_type_proto(TensorProto.INT64, values))
    graph = helper.make_graph(nodes, "pipeline", [entry], [label, helper.make_value_info("maps", maps)])
    versions = [helper.make_opsetid("", 18), helper.make_opsetid(ml, 1)]
    return helper.make_model(graph, opset_imports=versions, ir_version=8).SerializeToString()


def test_a_map_has_the_shape_of_its_values():
    data = pipeline()
    found = run(data, {"x": floats(ROWS, FEATURES)})
    source = read_onnx(data)
    counted = cost(source.architecture)
    assert not counted.unknown
    assert not source.coverage.shapeless
    shapes = {name: op.shape for name, op in zip(source.names, source.architecture.ops, strict=True)}
    assert shapes["maps"] == (len(found[1]), len(found[1][0]))
    assert shapes["output_label"] == found[0].shape
    assert counted.macs == ROWS * FEATURES * CLASSES


def test_long_lists_of_values_are_counted():
    """Attributes of more values than a reader looks at."""
    features = 5000
    data, _ = network(
        "LinearRegressor", [given(2, features)], domain="ai.onnx.ml", coefficients=weights(features), intercepts=[0.1]
    )
    _, counted, _ = read(data)
    assert (counted.macs, counted.params) == (2 * features, features + 1)


def test_an_input_that_is_a_map_has_no_shape_and_is_named():
    values = helper.make_tensor_type_proto(TensorProto.FLOAT, [])
    entry = helper.make_value_info("x", helper.make_map_type_proto(TensorProto.STRING, values))
    end = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    node = helper.make_node("DictVectorizer", ["x"], ["y"], domain="ai.onnx.ml", string_vocabulary=["a", "b", "c"])
    graph = helper.make_graph([node], "map", [entry], [end])
    versions = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 1)]
    model = helper.make_model(graph, opset_imports=versions, ir_version=8)
    source = read_onnx(model.SerializeToString())
    assert [op.shape for op in source.architecture.ops] == [None, (1, 3)]
    assert source.coverage.shapeless == (0,)
    assert list(cost(source.architecture).unknown) == [0, 1]
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    assert session.run(None, {"x": {"a": 1.0}})[0].shape == (1, 3)
