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
            too = f"ONNX Runtime refuses the file, too: {found['runtime']}" if found.get("runtime") else ""
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
        yield Difference(road, "fingerprint", told, "that of the module", rewritten(**found["differs"]))


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
    """Parameters that a file lacks are missing, all of them; real values that it has instead may count as trained."""
    file = found["file"]
    lost, gone = file["lost"], ", ".join(file["lost_names"])
    missing = [
        (lost["unused"], _unused(truth)),
        (lost["norms"], f"{lost['norms']:,} values of BatchNormalization are folded into the layer before it"),
        (lost["others"], f"{lost['others']:,} parameters are not in the file, only what is computed of them: {gone}"),
    ]
    padding = found.get("padding", {}).get("values", 0)
    instead = [
        (file["copies"], f"{file['copies']:,} values of tied parameters are written twice"),
        (file["buffers"], f"{file['buffers']:,} values of buffers are stored like parameters"),
        (padding, f"{padding:,} values of weights are {PADDED}"),
        *(
            (each * number, f"{each * number:,} real values are in the file alone: {number} of {shape}")
            for shape, (each, count) in file["added"].items()
            for number in {count, min(count, 1)}
        ),
    ]
    difference = found["params"] - truth["params"] + sum(count for count, _ in missing)
    more = explained(difference, instead)
    if difference and not more:
        return ""
    return "; ".join([text for count, text in missing if count] + [more] * bool(more))
