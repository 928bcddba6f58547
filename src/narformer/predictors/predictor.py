"""The interface of every predictor: architectures in, an Answer out; saved, loaded and calibrated alike.

Letters: N networks, V validation networks, T attributes, E members, K kernels of one network.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Required, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel
from torch import Tensor
from typing_extensions import TypedDict, Unpack

from narformer.attributes import Attribute
from narformer.cells import Cells
from narformer.errors import BadArchitecture
from narformer.network.graph import Architecture
from narformer.predictors.answer import Answer
from narformer.predictors.calibration import Calibration
from narformer.predictors.domain import CellDomain, NetworkDomain
from narformer.predictors.target import Target
from narformer.predictors.task import Task

__all__ = ["Advance", "Common", "FittedPredictor", "Predictor", "unheard"]

Float = NDArray[np.float64]
Advance: TypeAlias = Callable[[int], None]


def unheard(done: int) -> None:
    """Progress that is ignored."""


class Common(TypedDict, total=False):
    """The fields that every predictor has."""

    attributes: Required[tuple[Attribute, ...]]
    space: Required[str]
    targets: Required[tuple[Target, ...]]
    calibrations: tuple[Calibration | None, ...]
    domain: NetworkDomain | CellDomain | None
    facts: dict[str, Any]


class Predictor(ABC):
    """Anything that predicts attributes of networks.

    attributes:   T of them
    space:        name of the space of its cells; for whole networks, the family of data that it was trained on
    targets:      of each attribute: the scale on which it is learned and calibrated
    calibrations: of each attribute; None where there were too few networks for calibration
    domain:       the networks of training; None where they were not kept
    facts:        for the manifest: recipe, data, measured error, scores
    """

    name: ClassVar[str]  # in PREDICTORS
    Config: ClassVar[type[BaseModel]]  # its section of the manifest, checked when it is read

    def __init__(self, **common: Unpack[Common]) -> None:
        self.attributes, self.space, self.targets = common["attributes"], common["space"], common["targets"]
        self.calibrations = common.get("calibrations") or (None,) * len(self.attributes)
        self.domain = common.get("domain")
        self.facts = common.get("facts") or {}

    @abstractmethod
    def opinions(self, architectures: Sequence[Architecture], advance: Advance = unheard) -> Float:
        """(N, T, E) predictions of each member, in the units of targets; ``advance`` gets the size of each chunk.

        Raises BadArchitecture for unknown operations.
        """

    @abstractmethod
    def config(self) -> BaseModel:
        """Its section of the manifest."""

    @abstractmethod
    def tensors(self) -> dict[str, Tensor]:
        """All of its numbers, by their names in the file."""

    @classmethod
    @abstractmethod
    def empty(cls, config: Any, common: Common) -> Self:
        """A predictor of this configuration whose tensors have names and shapes, but no numbers yet.

        Raises BadRecipe, BadPredictor or UnknownName for a configuration that cannot be built.
        """

    @abstractmethod
    def fill(self, tensors: Mapping[str, Tensor]) -> None:
        """Take these numbers, of the names and shapes of ``tensors``. Raises BadPredictor where they are impossible."""

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """The operations of its cells; empty where it reads whole networks."""
        return ()

    @property
    def reads_networks(self) -> bool:
        """Whether it reads whole networks, not cells."""
        return not self.vocabulary

    @property
    def adaptable(self) -> bool:
        """Whether a few measurements on another device can adapt it (training/adaptation.py)."""
        return False

    def to(self, device: str) -> Self:
        """The same predictor; torch computes on this device."""
        return self

    def shares(self, architecture: Architecture) -> Float | None:
        """(T, K) the share of each kernel of a whole network in its additive attributes; None where it has no shares.

        Kernels are those of the canonical form, in the order of ``network.kernels``.
        """
        return None

    def predict(self, architectures: Sequence[Architecture], advance: Advance = unheard) -> Float:
        """(N, T) predictions in the attributes' units, as ``ask``."""
        return self.values(self.opinions(architectures, advance))

    def ask(self, architectures: Sequence[Architecture], advance: Advance = unheard) -> Answer:
        """Predictions, intervals and the domain. Raises as ``opinions``; BadArchitecture for a cell as a network."""
        if self.reads_networks and not isinstance(architectures, Cells):
            cell = next((a for a in architectures if all(op.shape is None for op in a.ops)), None)
        else:
            cell = architectures[0] if self.reads_networks and len(architectures) else None
        if cell is not None:
            raise BadArchitecture(f"found a cell of {len(cell)} operations without shapes; expected whole networks")
        opinion_NTE = self.opinions(architectures, advance)
        low_NT, high_NT = self.intervals(opinion_NTE)
        answer = Answer(self.attributes, self.values(opinion_NTE), low_NT, high_NT, self.calibrations, opinion_NTE)
        if self.domain is None:
            return answer
        inside_N, distance_N, nearest = self.domain.look_up(architectures, self.vocabulary)
        return replace(answer, inside_N=inside_N, distance_N=distance_N, nearest=nearest)

    def values(self, opinion_NTE: Float) -> Float:
        """(N, T) predictions in the attributes' units, the mean over members."""
        columns = [target.inverse(opinion_NTE[:, t].mean(axis=1)) for t, target in enumerate(self.targets)]
        return np.stack(columns, axis=1)

    def intervals(self, opinion_NTE: Float) -> tuple[Float, Float]:
        """(N, T) lower and upper ends of the intervals; NaN without calibration.

        The ends stay within the range of ``Target.span``.
        """
        low_NT = np.full(opinion_NTE.shape[:2], np.nan)
        high_NT = low_NT.copy()
        for t, (target, calibration) in enumerate(zip(self.targets, self.calibrations, strict=True)):
            if calibration is not None:
                middle_N, reach_N = opinion_NTE[:, t].mean(axis=1), calibration.reach(opinion_NTE[:, t])
                low_NT[:, t] = np.clip(target.inverse(middle_N - reach_N), *target.span)
                high_NT[:, t] = np.clip(target.inverse(middle_N + reach_N), *target.span)
        return low_NT, high_NT

    def calibrate(self, opinion_VTE: Float, label_VT: Float) -> None:
        """Fit the calibration of each attribute to opinions on validation networks; labels may be NaN."""
        calibrations = []
        for t, target in enumerate(self.targets):
            rows = np.flatnonzero(np.isfinite(label_VT[:, t]))
            calibrations.append(Calibration.fit(opinion_VTE[rows, t], target.forward(label_VT[rows, t])))
        self.calibrations = tuple(calibrations)


class FittedPredictor(Predictor):
    """A predictor that is fitted at once, without training in steps.

    Options: of its section [predictor] in a recipe, beside the name
    """

    Options: ClassVar[type[BaseModel]]

    @classmethod
    @abstractmethod
    def fit(cls, task: Task, options: Any) -> Self:
        """The predictor of every attribute of the task, not calibrated yet.

        options: an instance of ``Options``. Raises BadRecipe where the networks or labels do not suit it.
        """
