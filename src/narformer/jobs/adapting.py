"""Make a latency predictor true for this machine: measure probe networks, adapt, and say what that was worth."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from narformer.attributes import Attribute
from narformer.errors import BadRecipe, lookup
from narformer.jobs.measuring import measure
from narformer.jobs.networks import read_network
from narformer.jobs.ranking import load_predictor
from narformer.measure import condition
from narformer.metrics import mape
from narformer.network.cost import cost
from narformer.predictors import saved
from narformer.spaces.families import FAMILIES
from narformer.training.adaptation import adapt as adapt_to
from narformer.training.adaptation import check_adaptable
from narformer.training.loop import Progress, silent

__all__ = ["Adapted", "adapt", "probes"]

EACH, HELD_OUT = 5, 5  # probes of a family at most; one in so many of them only tells the error
LOOKED_AT, MOST_FLOPS = 60, 8e9  # networks of a family of which small ones are probes, so that all of them take minutes
REPEATS, ROUNDS, WARMUP = 20, 4, 1
# The shipped predictor that is nearest to each runtime.
SHIPPED = {
    "ort": "latency_ort",
    "openvino": "latency_openvino-float32",
    "openvino-float32": "latency_openvino-float32",
}


@dataclass(frozen=True)
class Adapted:
    """What was done.

    device, runtime: that were measured
    probes:          networks that were measured and adapted to; ``held_out`` ones that only tell the errors
    before, after:   mean absolute error on those, percent
    covered:         share of them whose time lies in its interval, after; None without intervals
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
    measuring: Callable[[str, int, int, None], None] = lambda *_: None,
) -> Adapted:
    """Measure ``each`` small networks of every family here, adapt the predictor to their times, and save it to ``out``.

    Without a predictor it is the shipped one of the runtime. Every time is kept in the store, as ``measure`` does,
    whose errors it raises; BadRecipe where the predictor cannot be adapted, or the probes are too few.
    """
    if predictor is None:
        predictor = lookup(SHIPPED, runtime, "runtime")
    loaded = load_predictor(predictor)
    check_adaptable(loaded)
    saved.check_folder(out)  # not after minutes of measuring
    measured = measure(
        probes(each), (runtime,), threads, REPEATS, ROUNDS, WARMUP, device, store=store, progress=measuring
    )
    found = {m.measurement.name: m.measurement for m in measured}
    times = np.array([m.median_ms for m in found.values()])
    networks = [read_network(name).architecture for name in found]
    tells_N = _held_out(list(found))
    first = next(iter(found.values()))
    attribute = Attribute.of(f"latency_{first.runtime}", "ms", condition=condition(first))
    learned = [network for network, tells in zip(networks, tells_N, strict=True) if not tells]
    told = [network for network, tells in zip(networks, tells_N, strict=True) if tells]
    if len(told) < 2:
        raise BadRecipe(f"found {len(networks)} probes; expected {2 * HELD_OUT} at least, to tell the error")
    adapted = adapt_to(loaded, learned, times[~tells_N], attribute, progress)
    errors = [100 * mape(p.predict(told)[:, 0], times[tells_N]) for p in (loaded, adapted)]
    bounds = adapted.interval(adapted.opinions(told))
    inside = None if bounds is None else (bounds[0] <= times[tells_N]) & (times[tells_N] <= bounds[1])
    result = Adapted(
        device=first.device,
        runtime=first.runtime,
        probes=len(learned),
        held_out=len(told),
        before=errors[0],
        after=errors[1],
        covered=None if inside is None else float(inside.mean()),
        saved_to=str(out),
    )
    adapted.facts = dict(loaded.facts) | {"adapted": vars(result) | {"from": predictor}}
    saved.save(adapted, out)
    return result


def _held_out(names: list[str]) -> NDArray[np.bool_]:
    """(N,) one in so many probes of each family, the last of those that have fewer."""
    places: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        places.setdefault(name.partition("/")[0], []).append(place)
    told = [place for own in places.values() for place in own[HELD_OUT - 1 :: HELD_OUT] or own[1:][-1:]]
    return np.isin(np.arange(len(names)), told)


def probes(each: int = EACH) -> list[str]:
    """Names of the probe networks: of every family the first so many that are small."""
    names = []
    for family in FAMILIES.values():
        numbers = islice(family.numbers(), LOOKED_AT)
        small = (number for number in numbers if cost(family.variant(number)).flops <= MOST_FLOPS)
        names += [f"{family.name}/{number}" for number in islice(small, each)]
    return names
