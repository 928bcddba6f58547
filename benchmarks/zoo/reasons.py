"""Differences between what the house found and the independent counts, each with its reason or with none.

A reason is a fact that can be checked: the numbers of the facts must add up to the difference exactly.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from zoo.names import ROADS

EXPORTS = ("dynamo", "torchscript")


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
            yield Difference(road, "reading", said, "a network", "")
        else:
            yield from _counts(road, found, facts)


def _counts(road: str, found: Mapping[str, Any], facts: Mapping[str, Any]) -> Iterator[Difference]:
    truth = facts["truth"]
    named = ", ".join(f"{kind} x {count}" for kind, count in found["unknown"].items())
    if named or found["uncounted"]:
        yield Difference(road, "coverage", named or f"{len(found['uncounted'])} kinds uncounted", "all counted", "")
    if found["shapeless"]:
        yield Difference(road, "shapes", f"{found['shapeless']} unknown", "all known", "")
    for what, rules in (("macs", _work(truth)), ("params", _parameters(road, found, facts))):
        if found[what] != truth[what]:
            reason = explained(found[what] - truth[what], rules)
            yield Difference(road, what, f"{found[what]:,}", f"{truth[what]:,}", reason)
    reference = facts["module"].get("fingerprint")
    if road in EXPORTS and reference and found["fingerprint"] != reference:
        more = found["differs"]["kinds"]
        told = ", ".join(f"{kind} {count:+}" for kind, count in more.items()) or "attributes or shapes"
        yield Difference(road, "fingerprint", told, "that of the module", "")


def explained(difference: int, facts: list[tuple[int, str]]) -> str:
    """The fewest facts whose numbers add up to the difference; empty if none do."""
    facts = [fact for fact in facts if fact[0]]
    for count in range(1, len(facts) + 1):
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


def _parameters(road: str, found: Mapping[str, Any], facts: Mapping[str, Any]) -> list[tuple[int, str]]:
    truth = facts["truth"]
    rules = [(-truth["unused"], f"{truth['unused']:,} parameters reach no output: {', '.join(truth['unused_names'])}")]
    if road not in EXPORTS:
        return rules
    kept = found["file"]["operations"].get("BatchNormalization", 0)
    lost = found["file"]["gone"] - truth["unused"]
    if truth["norms"] and lost > 0:
        text = (
            f"the exporter folds BatchNormalization into the layer before it ({kept} stay), which loses {lost:,} values"
        )
        rules.append((-lost, text))
    if found["file"]["new"] >= truth["tied"] > 0:
        rules.append((truth["tied"], f"the exporter writes {truth['tied']:,} values of tied tensors twice"))
    return rules
