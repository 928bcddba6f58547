"""Differences between what the house found and the independent counts, each with its reason or with none.

A reason is a fact that can be checked: the numbers of the facts must add up to the difference exactly.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from zoo.names import ROADS
from zoo.rewrites import rewritten

EXPORTS = ("dynamo", "torchscript")
MOST_FACTS = 5
ROWS_OF_A_BAG = 4  # of the only network with bags
MISSING = {
    "unused": "parameters reach no output",
    "norms": "values of BatchNormalization are folded into the layer before it",
    "others": "parameters are not in the file, only what is computed of them",
}
INSTEAD = {
    "tied": "values of tied parameters are written twice",
    "buffers": "values of buffers are stored like parameters",
    "new": "real values are in the file alone",
}
PADDED = "padding of channels to the blocks of ONNX Runtime's layout"


@dataclass(frozen=True)
class Difference:
    """One number that is not what was counted independently; ``reason`` is empty where no fact explains it."""

    road: str
    what: str
    found: str
    expected: str
    reason: str


def differences(facts: Mapping[str, Any]) -> Iterator[Difference]:
    """All differences of one network."""
    if "ended" in facts or "truth" not in facts:
        yield Difference("all", "run", facts.get("ended", "no counts"), "facts", "")
    for road in ROADS:
        found = facts.get(road)
        if not found or "truth" not in facts:
            continue
        if "exporter" in found:
            yield Difference(road, "file", "none", "a file", f"the tool says: {found['exporter']}")
        elif "macs" not in found:
            said = next((str(found[key]) for key in ("refused", "fault") if key in found), "stopped")
            refused = road != "module" and found.get("runtime")  # a module has no file that could be asked about
            too = f"ONNX Runtime refuses the file, too: {found['runtime']}" if refused else ""
            yield Difference(road, "reading", said, "a network", too)
        else:
            yield from _counts(road, found, facts)


def _counts(road: str, found: Mapping[str, Any], facts: Mapping[str, Any]) -> Iterator[Difference]:
    truth = facts["truth"]
    named = ", ".join(f"{kind} x {count}" for kind, count in found["unknown"].items())
    if named or found["uncounted"]:
        yield Difference(road, "coverage", named or f"{len(found['uncounted'])} kinds uncounted", "all counted", "")
    if found["shapeless"]:
        yield Difference(road, "shapes", f"{found['shapeless']} unknown", "all known", "")
    for what in ("macs", "params"):
        if found[what] != truth[what]:
            yield Difference(road, what, f"{found[what]:,}", f"{truth[what]:,}", _reason(road, what, facts))
    reference = facts["module"].get("fingerprint")
    if road in EXPORTS and reference and found["fingerprint"] != reference:
        more = found["differs"]["kinds"]
        told = ", ".join(f"{kind} {count:+}" for kind, count in more.items()) or "attributes or shapes"
        yield Difference(road, "fingerprint", told, "that of the module", _rewritten(found["differs"]))


def _rewritten(differs: Mapping[str, Any]) -> str:
    """As ``rewritten``, after bags of embeddings: exporters multiply them by ones and stack the sums of their rows."""
    kinds = {("Concat" if kind == "ConcatFromSequence" else kind): more for kind, more in differs["kinds"].items()}
    bags = kinds.get("Concat", 0)
    if not 0 < bags == kinds.get("Slice", 0) / ROWS_OF_A_BAG:
        return rewritten(**differs)
    products = kinds.pop("Mul", bags)
    stacked = {k: n for k, n in differs["file_only"].items() if not k.startswith(("Mul", "ConcatFromSequence"))}
    parts = {**differs, "kinds": kinds, "once": kinds, "file_only": stacked}
    more = rewritten(**parts) if products == bags else ""
    return f"the rows of {bags} bags of embeddings are summed one by one; {more}" if more else ""


def _reason(road: str, what: str, facts: Mapping[str, Any]) -> str:
    """Why this count differs; a file made from another has the reasons of that one where the counts are the same."""
    found, truth = facts[road], facts["truth"]
    for source in (*EXPORTS, "ort-extended") if road.startswith(("ort", "int8")) else ():
        if source != road and found[what] == facts.get(source, {}).get(what):
            return _reason(source, what, facts)
    if what == "params" and road != "module":
        return _parameters(found, truth)
    rules = _work(truth) if what == "macs" else [(-truth["unused"], _unused(truth))]
    padding = found.get("padding", {})
    more, norms = padding.get("macs", 0), padding.get("norms", 0)
    if what == "macs":
        rules.append((more, f"{more:,} multiply-adds are of {PADDED}"))
        rules.append((norms, f"{norms:,} multiply-adds are of BatchNormalization that became a convolution"))
    return explained(found[what] - truth[what], rules)


def explained(difference: int, facts: list[tuple[int, str]]) -> str:
    """The fewest facts whose numbers add up to the difference; empty if MOST_FACTS do not."""
    facts = [fact for fact in facts if fact[0]]
    for count in range(1, min(len(facts), MOST_FACTS) + 1):
        for chosen in combinations(facts, count):
            if sum(number for number, _ in chosen) == difference:
                return "; ".join(text for _, text in chosen)
    return ""


def _work(truth: Mapping[str, Any]) -> list[tuple[int, str]]:
    return [
        (
            -truth["fixed"],
            f"{truth['fixed']:,} multiply-adds are of values that no input changes, computed before the run",
        ),
        (-truth["dead"], f"{truth['dead']:,} multiply-adds are of values that no output needs"),
    ]


def _unused(truth: Mapping[str, Any]) -> str:
    return f"{truth['unused']:,} parameters reach no output: {', '.join(truth['unused_names'])}"


def _parameters(found: Mapping[str, Any], truth: Mapping[str, Any]) -> str:
    """Why trained tensors of the file are not those of the module: each has a tensor of its size that explains it."""
    file, reasons = found["file"], list[str]()
    left = {int(size): count for size, count in found["deficit"].items()}
    for kind, text in MISSING.items():
        values = _taken(left, file[kind])
        if values:
            reasons.append(f"{values:,} {text}")
    if not any(left.values()) and (more := _more(found, file)) is not None:
        return "; ".join([*reasons, *more])
    return ""


def _more(found: Mapping[str, Any], file: Mapping[str, Any]) -> list[str] | None:
    left = {int(size): count for size, count in found["surplus"].items()}
    reasons = []
    for kind, text in INSTEAD.items():
        values = _taken(left, file[kind])
        if values:
            reasons.append(f"{values:,} {text}")
    return None if any(left.values()) else reasons


def _taken(left: dict[int, int], sizes: Mapping[str, int]) -> int:
    """Take tensors of these sizes out of ``left``, as many as there are; the number of their values."""
    values = 0
    for size, count in sizes.items():
        taken = min(left.get(int(size), 0), count)
        if taken:
            left[int(size)] -= taken
            values += taken * int(size)
    return values
