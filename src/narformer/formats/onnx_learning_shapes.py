"""Shapes of the operations of ``ai.onnx.ml`` that the onnx library does not infer."""

from math import prod

from narformer.formats.builder import Shape
from narformer.formats.onnx_node import FLOAT, INT64, STRING, Node, Rule, Shapes, Types, same
from narformer.network.runtime_ops import LEARNING

__all__ = ["LEARNING_RULES", "LEARNING_TYPES"]


def _rows(node: Node) -> Shape:
    return node.shape()[:-1] or (1,)


def _classes(*names: str) -> Rule:
    """The label of each row and the scores of its classes."""
    return lambda node: [_rows(node), (*_rows(node), node.entries(*names))]


def _votes(node: Node) -> Shapes:
    """A classifier without probabilities states a score for each pair of classes."""
    classes = node.entries("classlabels_ints", "classlabels_strings")
    pairs = classes * (classes - 1) // 2
    return [_rows(node), (*_rows(node), classes if classes < 3 or node.entries("prob_a") else pairs)]


def _targets(name: str, count: int = 1) -> Rule:
    return lambda node: [(*_rows(node), node.number(name, count))]


def _one_hot(node: Node) -> Shapes:
    return [(*node.shape(), node.entries("cats_int64s", "cats_strings"))]


def _features(node: Node) -> Shapes:
    shapes = [node.shape(slot) for slot in range(node.operands)]
    rows = max((shape[0] for shape in shapes if len(shape) > 1), default=1)
    return [(rows, sum(shape[-1] for shape in shapes))]


def _extracted(node: Node) -> Shapes:
    return [(*_rows(node), prod(node.shape(1)))]


def _from_map(node: Node) -> Shapes:
    if node.text("map_form") == "SPARSE":
        return [(1, node.number("max_map"))]
    return [(1, node.entries("string_vocabulary", "int64_vocabulary"))]


def _labels(node: Node) -> tuple[int, ...]:
    return (STRING if node.entries("classlabels_strings") else INT64, FLOAT)


def _mapped(node: Node) -> tuple[int, ...]:
    """What a LabelEncoder or CategoryMapper maps to."""
    if node.entries("values_floats"):
        return (FLOAT,)
    if node.entries("values_int64s") or (node.type(0) == -STRING and not node.entries("values_strings")):
        return (INT64,)
    return (STRING,)


_SCORES = ("classlabels_ints", "classlabels_int64s", "classlabels_strings")
_RULES: dict[str, Rule] = {
    **dict.fromkeys(("LinearClassifier", "TreeEnsembleClassifier"), _classes(*_SCORES)),
    "SVMClassifier": _votes,
    "LinearRegressor": _targets("targets"),
    "SVMRegressor": _targets("", 1),
    "TreeEnsembleRegressor": _targets("n_targets"),
    **dict.fromkeys(("Scaler", "Imputer", "Normalizer", "LabelEncoder", "CategoryMapper"), same),
    "FeatureVectorizer": _features,
    "ArrayFeatureExtractor": _extracted,
    **dict.fromkeys(("CastMap", "DictVectorizer"), _from_map),
    "OneHotEncoder": _one_hot,
}
_TYPES: dict[str, Types] = {
    **dict.fromkeys(("LinearClassifier", "SVMClassifier", "TreeEnsembleClassifier"), _labels),
    **dict.fromkeys(("LinearRegressor", "SVMRegressor", "TreeEnsembleRegressor"), (FLOAT,)),
    **dict.fromkeys(("Scaler", "Normalizer", "FeatureVectorizer", "OneHotEncoder"), (FLOAT,)),
    **dict.fromkeys(("LabelEncoder", "CategoryMapper"), _mapped),
    **dict.fromkeys(("CastMap", "DictVectorizer"), (FLOAT,)),
}
LEARNING_RULES = {LEARNING + kind: rule for kind, rule in _RULES.items()}
LEARNING_TYPES = {LEARNING + kind: types for kind, types in _TYPES.items()}
