"""Cells in the order of a predicted attribute, best first, and the better of two."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from narformer.errors import BadPredictor, lookup
from narformer.jobs.asking import Asked
from narformer.jobs.known_predictors import load_predictor
from narformer.predictors import Answer, Predictor
from narformer.spaces import space_called

__all__ = ["Also", "Ranked", "Ranking", "compare", "rank"]

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Also:
    """A further attribute of a ranked cell, in its unit; low and high bound it, None without calibration."""

    attribute: str
    unit: str
    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Ranked:
    """One architecture of an answer.

    rank:       1 is best
    row:        its place among the architectures that were given, from 1
    value:      in the attribute's unit; low and high bound it with the answer's confidence, None if that is unknown
    beats_next: probability that it is truly better (larger, or smaller in an ascending answer) than the next one
    text:       in the space's form
    larger:     has more vertices or edges than any cell trained on, so that neither value nor interval can be trusted;
                None where that is unknown
    also:       the other attributes of the predictor
    """

    rank: int
    row: int
    value: float
    text: str
    low: float | None = None
    high: float | None = None
    beats_next: float | None = None
    larger: bool | None = None
    also: tuple[Also, ...] = ()


@dataclass(frozen=True)
class Ranking:
    """A ranked answer: the best architectures first, with the attribute's name and unit ("" where they are unknown).

    confidence: share of true values between low and high; None where the predictor was not calibrated
    label:      the label trained on, which intervals contain; "" where it is unknown
    """

    predictor: str
    space: str
    attribute: str
    unit: str
    scored: int
    ranked: list[Ranked]
    confidence: float | None = None
    label: str = ""


def rank(asked: Asked, best: int | None = None, ascending: bool | None = None, by: str | None = None) -> Ranking:
    """The cells in the order of the first predictor's attribute ``by`` (its first one), ``best`` of them at most.

    ascending: whether the smallest value comes first; by default, whether lower values of the attribute are better
    Raises UnknownName for an attribute that it does not predict.
    """
    name, answer = next(iter(asked.answers.items()))
    predictor, space = asked.predictors[name], asked.space
    if space is None:
        raise BadPredictor(f"'{name}' was asked about a whole network; expected cells, which can be ranked")
    known = {attribute.name: t for t, attribute in enumerate(answer.attributes)}
    t = 0 if by is None else lookup(known, by, f"attribute of '{name}'")
    attribute = answer.attributes[t]
    if ascending is None:
        ascending = attribute.better == "lower"
    value_M = answer.value_NT[:, t]
    order_M = np.argsort(value_M if ascending else -value_M, kind="stable")[:best]
    beats_M = _beats(answer, t, value_M, ascending, best)
    return Ranking(
        predictor=name,
        space=predictor.space,
        attribute=attribute.name,
        unit=attribute.unit,
        scored=len(answer),
        ranked=[
            Ranked(
                rank=place,
                row=int(row) + 1,
                value=float(value_M[row]),
                text=space.format(asked.networks[int(row)]),
                low=_known(answer.low_NT[row, t]),
                high=_known(answer.high_NT[row, t]),
                beats_next=beats,
                larger=None if answer.inside_N is None else not answer.inside_N[row],
                also=tuple(_also(answer, row, other) for other in range(len(known)) if other != t),
            )
            for place, (row, beats) in enumerate(zip(order_M, beats_M, strict=True), start=1)
        ],
        confidence=answer.levels[t],
        label=_label(predictor, t),
    )


def _beats(answer: Answer, t: int, value_M: Float, ascending: bool, best: int | None) -> list[float | None]:
    """Of each place in the ranking, the probability that it beats the next place; None for the last one."""
    order_M = np.argsort(value_M if ascending else -value_M, kind="stable")
    better, worse = order_M[:-1], order_M[1:]
    beats = answer.beats(worse, better, t) if ascending else answer.beats(better, worse, t)
    known: list[float | None] = [None] * len(order_M) if beats is None else [*beats.tolist(), None]
    return known[:best]


def _also(answer: Answer, row: int, t: int) -> Also:
    attribute = answer.attributes[t]
    low, high = _known(answer.low_NT[row, t]), _known(answer.high_NT[row, t])
    return Also(attribute.name, attribute.unit, float(answer.value_NT[row, t]), low, high)


def _known(bound: float) -> float | None:
    return None if np.isnan(bound) else float(bound)


def _label(predictor: Predictor, t: int) -> str:
    label = (predictor.facts.get("trained_on") or {}).get("label", "")
    return str(label[t] if isinstance(label, list) else label)


def compare(first: str, second: str, predictor: str, attribute: str | None = None) -> float | None:
    """The probability that the true value of the first cell is larger than that of the second.

    attribute: by default the predictor's first one
    None where the predictor was not calibrated. Raises BadArchitecture for a text that is not a cell of its space.
    """
    loaded = load_predictor(predictor)
    space = space_called(loaded.space, loaded.vocabulary)
    answer = loaded.ask([space.parse(first), space.parse(second)])
    beats = answer.beats([0], [1], 0 if attribute is None else answer.place(attribute))
    return None if beats is None else float(beats[0])
