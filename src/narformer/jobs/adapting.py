"""Adapt a latency predictor to this machine: measure probe networks, adapt, and compare the errors."""

from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from narformer.attributes import Attribute
from narformer.errors import BadPredictor, BadRecipe, lookup
from narformer.jobs.known_predictors import load_predictor, predictors
from narformer.jobs.measuring import Plan, measure
from narformer.measure import RUNTIMES, condition
from narformer.metrics import mape
from narformer.network.cost import cost
from narformer.predictors import saved
from narformer.progress import Progress, silent
from narformer.spaces.families import TEN
from narformer.training.adaptation import adapt as adapt_to
from narformer.training.adaptation import check_adaptable

__all__ = ["Adapted", "adapt", "probes"]

EACH = 5  # maximum number of probes of a family
HELD_OUT = 5  # one probe in five of a family is held out, to measure the error only
LOOKED_AT, MOST_FLOPS = 60, 8e9  # probes are the small ones of these, so that all take minutes
REPEATS, ROUNDS, WARMUP = 20, 4, 1  # of the Plan


@dataclass(frozen=True)
class Adapted:
    """An adaptation, and the errors before and after it.

    device, runtime: of the measurements
    probes:          number of measured networks adapted to; the ``held_out`` ones only measure the errors
    before, after:   mean absolute error on those, percent
    covered:         share of them whose time is in its interval, after; None without intervals
    saved_to:        folder of the adapted predictor
    """

    device: str
    runtime: str
    probes: int
    held_out: int
    before: float
    after: float
    covered: float | None
    saved_to: str


def adapt(
    predictor: str | None,
    out: Path,
    runtime: str = "ort",
    threads: int = 1,
    device: str = "",
    each: int = EACH,
    store: str | None = None,
    progress: Progress = silent,
) -> Adapted:
    """Measure ``each`` small networks of ``TEN`` here, adapt the predictor to their times, and save it to ``out``.

    The default predictor is the shipped one of the runtime. Every time is kept in the store, as in ``measure``. Raises
    as ``measure``; BadRecipe where the predictor cannot be adapted, or the probes are too few. The phases of
    ``progress`` are the runtime, then "adapt".
    """
    if predictor is None:
        predictor = _shipped(runtime)
    loaded = load_predictor(predictor)
    check_adaptable(loaded)
    saved.check_folder(out)  # not after minutes of measuring
    plan = Plan(threads, REPEATS, ROUNDS, WARMUP)
    names = probes(each)
    if _held_out(names).sum() < 2:
        raise BadRecipe(f"found {len(names)} probes, too few to hold some out; expected 2 of each family at least")
    found = list(measure(names, (runtime,), plan, device, store=store, progress=progress))
    times = np.array([m.measurement.median_ms for m in found])
    held_out_N = _held_out([m.measurement.name for m in found])
    learned = [m.architecture for m, held in zip(found, held_out_N, strict=True) if not held]
    held_out = [m.architecture for m, held in zip(found, held_out_N, strict=True) if held]
    first = found[0].measurement
    attribute = Attribute.of(f"latency_{first.runtime}", "ms", condition=condition(first))
    true_H = times[held_out_N]
    adapted = adapt_to(loaded, learned, times[~held_out_N], attribute, progress)
    before, after = (predictor.ask(held_out) for predictor in (loaded, adapted))
    errors = [100 * mape(answer.value_NT[:, 0], true_H) for answer in (before, after)]
    inside = (after.low_NT[:, 0] <= true_H) & (true_H <= after.high_NT[:, 0])
    result = Adapted(
        device=first.device,
        runtime=first.runtime,
        probes=len(learned),
        held_out=len(held_out),
        before=errors[0],
        after=errors[1],
        covered=None if after.levels[0] is None else float(inside.mean()),
        saved_to=str(out),
    )
    adapted.facts = dict(loaded.facts) | {"adapted": vars(result) | {"from": predictor}}
    saved.save(adapted, out)
    return result


def _shipped(runtime: str) -> str:
    """The shipped predictor of latency that was measured on this runtime. Raises UnknownName, BadPredictor."""
    title = lookup(RUNTIMES, runtime, "runtime").title
    for entry in predictors():
        if any(a.condition.runtime == title and a.unit == "ms" for a in entry.attributes):
            return entry.name
    raise BadPredictor(f"no predictor that ships was measured on {title}; name one with --predictor")


def _held_out(names: list[str]) -> NDArray[np.bool_]:
    """(N,) whether a probe is held out: one in HELD_OUT of each family, or the last one of a smaller family."""
    places: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        places.setdefault(name.partition("/")[0], []).append(place)
    chosen = [place for own in places.values() for place in own[HELD_OUT - 1 :: HELD_OUT] or own[1:][-1:]]
    return np.isin(np.arange(len(names)), chosen)


def probes(each: int = EACH) -> list[str]:
    """Names of the probe networks: of each of the ten families the first ``each`` that are small."""
    names = []
    for family in TEN.values():
        numbers = islice(family.numbers(), LOOKED_AT)
        small = (number for number in numbers if cost(family.variant(number)).flops <= MOST_FLOPS)
        names += [f"{family.name}/{number}" for number in islice(small, each)]
    return names
