"""A forest for each kind of kernel as a predictor: that of nn-Meter, saved as arrays.

Letters: N networks, T attributes, K kernels of one network.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from typing_extensions import Unpack

from narformer.errors import BadPredictor, BadRecipe
from narformer.network.canonical import canonical
from narformer.network.graph import Architecture
from narformer.predictors.forest import Forest
from narformer.predictors.kernel_forest import COLUMNS, REST, TREES, KernelForest
from narformer.predictors.predictor import Advance, Common, FittedPredictor, unheard
from narformer.predictors.target import Target
from narformer.predictors.task import Task

__all__ = ["KernelForestPredictor"]

LEAST = 1e-9  # least prediction: a network without a kernel takes no time, which has no logarithm


class ForestSize(BaseModel):
    """Numbers of trees, and of nodes of all of them."""

    model_config = ConfigDict(extra="forbid")
    trees: int = Field(gt=0, le=2**14)
    nodes: int = Field(gt=0, le=2**27)


class KernelForestPredictor(FittedPredictor):
    """A KernelForest for each of T additive attributes of whole networks, whose labels are positive."""

    name = "kernel-forest"

    class Options(BaseModel):
        """trees: of each forest."""

        model_config = ConfigDict(extra="forbid", frozen=True)
        trees: int = Field(default=TREES, gt=0, le=2**14)

    class Config(BaseModel):
        """forests: of each attribute, kind of kernel -> size."""

        model_config = ConfigDict(extra="forbid")
        name: Literal["kernel-forest"] = "kernel-forest"
        forests: tuple[dict[str, ForestSize], ...]

    def __init__(self, forests: Sequence[KernelForest], **common: Unpack[Common]) -> None:
        super().__init__(**common)
        self.forests = tuple(forests)

    @classmethod
    def fit(cls, task: Task, options: Options) -> Self:
        """Forests for each attribute. Raises BadRecipe for cells or labels that are not positive; MissingExtra."""
        if task.cells is not None:
            raise BadRecipe(f"[predictor] '{cls.name}' reads whole networks; '{task.source}' holds cells")
        forests = [
            KernelForest.fit([task.training[row] for row in rows], label_n, seed=task.seed, trees=options.trees)
            for rows, label_n in task.columns("a sum of kernels is positive")
        ]
        targets = (Target("log"),) * len(forests)
        return cls(forests, attributes=task.attributes, space=task.space, targets=targets, domain=task.domain())

    def opinions(self, architectures: Sequence[Architecture], advance: Advance = unheard) -> NDArray[np.float64]:
        """(N, T, 1) logarithms."""
        columns = [
            forest.predict(architectures, advance=advance if t == 0 else unheard)[:, 0]
            for t, forest in enumerate(self.forests)
        ]
        return np.log(np.maximum(np.stack(columns, axis=1), LEAST))[:, :, None]

    def shares(self, architecture: Architecture) -> NDArray[np.float64]:
        """(T, K); see Predictor."""
        time_TK = np.stack([forest.kernels(canonical(architecture)) for forest in self.forests])
        return np.asarray(time_TK / time_TK.sum(axis=1, keepdims=True))

    def config(self) -> Config:
        """The sizes of all forests."""
        sizes = tuple(
            {
                kind: ForestSize(trees=len(forest.root_T), nodes=len(forest.feature_D))
                for kind, forest in of_kind.forests.items()
            }
            for of_kind in self.forests
        )
        return self.Config(forests=sizes)

    def tensors(self) -> dict[str, Tensor]:
        """The arrays of each forest, under the number of the attribute and the kind of kernel."""
        return {
            f"{t}.{kind}.{name}": _tensor(array)
            for t, of_kind in enumerate(self.forests)
            for kind, forest in of_kind.forests.items()
            for name, array in forest.tensors().items()
        }

    @classmethod
    def empty(cls, config: Config, common: Common) -> Self:
        """Forests of these sizes. Raises BadPredictor where they do not fit the attributes."""
        if len(config.forests) != len(common["attributes"]):
            raise BadPredictor(f"found forests for {len(config.forests)} attributes of {len(common['attributes'])}")
        forests = [
            KernelForest({kind: Forest.blank(size.trees, size.nodes) for kind, size in sizes.items()})
            for sizes in config.forests
        ]
        return cls(forests, **common)

    def fill(self, tensors: Mapping[str, Tensor]) -> None:
        """Take the arrays. Raises BadPredictor for invalid trees."""
        forests = []
        for t, of_kind in enumerate(self.forests):
            filled = {}
            for kind, blank in of_kind.forests.items():
                arrays = {name: tensors[f"{t}.{kind}.{name}"].numpy() for name in blank.tensors()}
                filled[kind] = Forest.from_tensors(arrays, len(COLUMNS.get(kind, REST)))
            forests.append(KernelForest(filled))
        self.forests = tuple(forests)


def _tensor(array: NDArray[Any]) -> Tensor:
    """The array as a tensor; a blank one, read-only and one repeated number, takes no memory."""
    return torch.from_numpy(array) if array.flags.writeable else torch.from_numpy(array[:1].copy()).expand(len(array))
