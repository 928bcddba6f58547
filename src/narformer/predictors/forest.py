"""A random forest as plain arrays: saved without pickle, predicted without scikit-learn.

ŷ(x) = 1/T Σ_t value[leaf_t(x)]      leaf_t(x): from root_t, go left while x[feature] <= threshold, else right

scikit-learn compares a float32 feature with a float64 threshold. Here thresholds are rounded down to float32: every
float32 number takes the same branch. Values stay float64, so that predictions equal scikit-learn's bit by bit; a node
takes 22 bytes instead of 18, against at least 64 in scikit-learn.

Letters: T trees, D nodes of all trees, K rows, F features, P pairs of a tree and a row, A pairs not yet at a leaf.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from narformer.errors import BadPredictor

__all__ = ["Forest"]

BLOCK = 32_768  # pairs of a tree and a row that are walked together: about 2 MB
STEPS = 4  # levels between two removals of the pairs that have reached a leaf
MOST_FEATURES = np.iinfo(np.int16).max
TYPES = {
    "root_T": np.int32,
    "feature_D": np.int16,
    "threshold_D": np.float32,
    "left_D": np.int32,
    "right_D": np.int32,
    "value_D": np.float64,
}


@dataclass(frozen=True, eq=False)
class Forest:
    """predict(x_KF) -> (K,).

    root_T:      index of each tree's first node
    feature_D:   column that a node compares; 0 in a leaf
    threshold_D: a row goes left if its feature is at most this; 0 in a leaf
    left_D:      index of the left child; a leaf's own index
    right_D:     index of the right child; a leaf's own index
    value_D:     the prediction of a leaf; 0 in other nodes
    """

    root_T: NDArray[np.int32]
    feature_D: NDArray[np.int16]
    threshold_D: NDArray[np.float32]
    left_D: NDArray[np.int32]
    right_D: NDArray[np.int32]
    value_D: NDArray[np.float64]

    @classmethod
    def of(cls, fitted: Any) -> "Forest":
        """The trees of scikit-learn's RandomForestRegressor, fitted to one label.

        Raises BadPredictor for several labels, or more features than an int16 can count.
        """
        if fitted.n_outputs_ != 1 or fitted.n_features_in_ > MOST_FEATURES:
            found = f"{fitted.n_outputs_} labels and {fitted.n_features_in_} features"
            raise BadPredictor(f"random forest: found {found}; expected 1 label and at most {MOST_FEATURES} features")
        trees = [estimator.tree_ for estimator in fitted.estimators_]
        count_T = np.array([tree.node_count for tree in trees])
        root_T = np.cumsum(count_T) - count_T
        leaf_D = np.concatenate([tree.children_left for tree in trees]) < 0
        own_D, first_D = np.arange(len(leaf_D)), np.repeat(root_T, count_T)
        left_D = np.concatenate([tree.children_left for tree in trees]) + first_D
        right_D = np.concatenate([tree.children_right for tree in trees]) + first_D
        threshold_D = _rounded_down(np.concatenate([tree.threshold for tree in trees]))
        value_D = np.concatenate([tree.value[:, 0, 0] for tree in trees])
        return cls(
            root_T=root_T.astype(np.int32),
            feature_D=np.where(leaf_D, 0, np.concatenate([tree.feature for tree in trees])).astype(np.int16),
            threshold_D=np.where(leaf_D, np.float32(0), threshold_D),
            left_D=np.where(leaf_D, own_D, left_D).astype(np.int32),
            right_D=np.where(leaf_D, own_D, right_D).astype(np.int32),
            value_D=np.where(leaf_D, value_D, 0.0),
        )

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, NDArray[Any]], features: int) -> "Forest":
        """The forest whose ``tensors()`` these are, for rows of ``features`` columns.

        Raises BadPredictor unless the arrays have the right names, types and lengths, all numbers are finite, and the
        nodes form trees in which children come after their parent, so that every walk ends at a leaf.
        """
        _check_form(tensors)
        forest = cls(**tensors)
        forest._check_numbers(features)
        forest._check_trees()
        return forest

    @classmethod
    def blank(cls, trees: int, nodes: int) -> "Forest":
        """A forest of this size without numbers, for the names and shapes of its tensors."""
        arrays: dict[str, NDArray[Any]] = {
            name: as_strided(np.zeros(1, kind), (trees if name == "root_T" else nodes,), (0,))  # takes no memory
            for name, kind in TYPES.items()
        }
        return cls(**arrays)

    def tensors(self) -> dict[str, NDArray[Any]]:
        """The arrays by name, as ``from_tensors`` expects them."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def predict(self, x_KF: NDArray[np.floating]) -> NDArray[np.float64]:
        """(K,) means over the trees. Features are rounded to float32, as in scikit-learn, and must be finite.

        Raises BadPredictor for fewer columns than the trees read.
        """
        x_KF = np.ascontiguousarray(x_KF, dtype=np.float32)
        if x_KF.shape[1] < self._width:
            raise BadPredictor(f"random forest: found {x_KF.shape[1]} features; expected at least {self._width}")
        sum_K = np.zeros(len(x_KF))
        rows = max(1, min(len(x_KF), BLOCK))
        trees = max(1, BLOCK // rows)
        for k in range(0, len(x_KF), rows):
            x_kF = x_KF[k : k + rows]
            for t in range(0, len(self.root_T), trees):
                for value_k in self.value_D[self._leaves(x_kF, self.root_T[t : t + trees])]:
                    sum_K[k : k + rows] += value_k  # tree by tree: the same rounding as in scikit-learn
        return sum_K / len(self.root_T)

    @cached_property
    def _width(self) -> int:
        """Number of columns up to the last one that a tree reads."""
        return int(self.feature_D.max()) + 1

    @cached_property
    def _child_E(self) -> NDArray[np.int32]:
        """(2 D,) right and left child of each node, one after the other."""
        return np.stack([self.right_D, self.left_D], axis=1).ravel()

    def _leaves(self, x_kF: NDArray[np.float32], root_t: NDArray[np.int32]) -> NDArray[np.int64]:
        """(t, k) the leaf that each row reaches in each of the given trees."""
        count, width = x_kF.shape
        x_X = x_kF.ravel()
        node_A = np.repeat(root_t.astype(np.int64), count)
        start_A = np.tile(np.arange(count) * width, len(root_t))
        pair_A = np.arange(len(node_A))
        leaf_P = node_A.copy()
        while len(pair_A):
            for _ in range(STEPS):
                left_A = x_X.take(start_A + self.feature_D.take(node_A)) <= self.threshold_D.take(node_A)
                node_A = self._child_E.take(2 * node_A + left_A).astype(np.int64)
            leaf_P[pair_A] = node_A
            go_on = np.flatnonzero(self.left_D.take(node_A) != node_A)
            pair_A, node_A, start_A = pair_A.take(go_on), node_A.take(go_on), start_A.take(go_on)
        return leaf_P.reshape(len(root_t), count)

    def _check_numbers(self, features: int) -> None:
        """Raises BadPredictor for numbers that are not finite, or features outside of 0 ... ``features`` - 1."""
        for name in ("threshold_D", "value_D"):
            bad = int((~np.isfinite(getattr(self, name))).sum())
            if bad:
                raise _damaged(f"{bad} infinite or NaN numbers in {name}", "finite numbers")
        low, high = int(self.feature_D.min()), int(self.feature_D.max())
        if low < 0 or high >= features:
            raise _damaged(f"features from {low} to {high}", f"features from 0 to {features - 1}")

    def _check_trees(self) -> None:
        """Raises BadPredictor unless every node is a root or has one parent, and children come after their parent."""
        own_D, count = np.arange(len(self.left_D)), len(self.left_D)
        for name in ("root_T", "left_D", "right_D"):
            index = getattr(self, name)
            if index.min() < 0 or index.max() >= count:
                raise _damaged(f"indices from {index.min()} to {index.max()} in {name}", f"0 to {count - 1}")
        inner_D = (self.left_D > own_D) & (self.right_D > own_D)
        leaf_D = (self.left_D == own_D) & (self.right_D == own_D)
        if not (inner_D | leaf_D).all():
            node = int(np.argmin(inner_D | leaf_D))
            found = f"node {node} with children {self.left_D[node]} and {self.right_D[node]}"
            raise _damaged(found, "two children after their parent, or a leaf that refers to itself twice")
        parents_D = np.bincount(
            np.concatenate([self.left_D[inner_D], self.right_D[inner_D], self.root_T]), minlength=count
        )
        if (parents_D != 1).any():
            node = int(np.argmax(parents_D != 1))
            raise _damaged(
                f"node {node} used {parents_D[node]} times as a child or root",
                "exactly one place, as a child or as a root",
            )


def _rounded_down(threshold_D: NDArray[np.float64]) -> NDArray[np.float32]:
    """The largest float32 numbers that are at most these."""
    with np.errstate(over="ignore"):
        near_D = threshold_D.astype(np.float32)
    return np.where(near_D > threshold_D, np.nextafter(near_D, np.float32(-np.inf)), near_D)


def _check_form(tensors: Mapping[str, NDArray[Any]]) -> None:
    """Raises BadPredictor unless names, types and lengths are those of a Forest's tensors."""
    if set(tensors) != set(TYPES):
        raise _damaged(f"tensors {', '.join(sorted(tensors))}", ", ".join(sorted(TYPES)))
    for name, dtype in TYPES.items():
        tensor = tensors[name]
        fits = name == "root_T" or tensor.shape == tensors["left_D"].shape
        if tensor.dtype != dtype or tensor.ndim != 1 or not tensor.size or not fits:
            found = f"{name} of type {tensor.dtype} and shape {tensor.shape}"
            raise _damaged(found, f"{np.dtype(dtype)}, one axis, not empty, and the length of left_D unless root_T")


def _damaged(found: str, expected: str) -> BadPredictor:
    return BadPredictor(f"saved random forest: found {found}; expected {expected}. Save the predictor again")
