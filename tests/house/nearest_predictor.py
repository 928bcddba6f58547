"""A new predictor without a network: the labels of the training cell with the most operations in common."""

from typing import Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field

from narformer.cells import Cells
from narformer.errors import BadPredictor, BadRecipe
from narformer.predictors.predictor import FittedPredictor, unheard
from narformer.predictors.target import Target


class NearestPredictor(FittedPredictor):
    """Counts of operations of M training cells, (M, C), and their labels, (M, T)."""

    name = "nearest"

    class Options(BaseModel):
        """power: of the distance between counts."""

        model_config = ConfigDict(extra="forbid", frozen=True)
        power: int = Field(default=2, ge=1, le=4)

    class Config(Options):
        """Options, the number of training cells, and the operations."""

        name: Literal["nearest"] = "nearest"
        cells: int = Field(gt=0, le=100_000)
        operations: tuple[str, ...]

    def __init__(self, operations, power, count_MC, label_MT, **common):
        super().__init__(**common)
        self.operations, self.power, self.count_MC, self.label_MT = operations, power, count_MC, label_MT

    @property
    def vocabulary(self):
        return self.operations

    @classmethod
    def fit(cls, task, options):
        if task.cells is None:
            raise BadRecipe(f"[predictor] 'nearest' reads cells; '{task.source}' holds whole networks")
        known = np.isfinite(task.label_MT).all(axis=1)
        count_MC = counts(Cells.of(task.training, task.cells.vocabulary))[known]
        numbers = task.cells.vocabulary, options.power, count_MC, task.label_MT[known]
        targets = (Target(),) * len(task.attributes)
        return cls(*numbers, attributes=task.attributes, space=task.space, targets=targets, domain=task.domain())

    def opinions(self, architectures, advance=unheard):
        count_NC = counts(Cells.of(architectures, self.operations))
        apart_NM = (np.abs(count_NC[:, None] - self.count_MC) ** self.power).sum(axis=2)
        advance(len(architectures))
        return self.label_MT[apart_NM.argmin(axis=1)][:, :, None]

    def config(self):
        return self.Config(power=self.power, cells=len(self.count_MC), operations=self.operations)

    def tensors(self):
        return {"counts": torch.from_numpy(self.count_MC), "labels": torch.from_numpy(self.label_MT)}

    @classmethod
    def empty(cls, config, common):
        shape = config.cells, len(config.operations)
        labels = np.zeros((config.cells, len(common["attributes"])))
        return cls(config.operations, config.power, np.zeros(shape), labels, **common)

    def fill(self, tensors):
        self.count_MC, self.label_MT = tensors["counts"].numpy(), tensors["labels"].numpy()
        if (self.count_MC < 0).any():
            raise BadPredictor("'counts' holds a negative number; it is damaged, train it again")


def counts(cells):
    """(M, C) how often each cell has each operation."""
    return (cells.kind_MN[:, :, None] == np.arange(len(cells.vocabulary))).sum(axis=1).astype(float)
