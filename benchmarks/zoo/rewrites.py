"""Why an exported file has another fingerprint than its module: operations that exporters write in another way.

A difference is explained if the numbers of operations that compute are explained exactly, kind by kind. Operations that
move values, and those that make masks, hold no parameters and no multiply-adds, so their numbers may differ.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

MOVES = {
    *("Reshape", "Transpose", "Slice", "Split", "Take", "Gather", "GatherND", "GatherElements", "ScatterND", "Concat"),
    *("ScatterElements", "Expand", "Tile", "Pad", "Cast", "Identity", "Squeeze", "Unsqueeze", "Flatten"),
}
MASKS = {"And", "Or", "Not", "Xor", "Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual", "Where", "IsNaN"}


WORD = re.compile(r"\w+=(?:\([^)]*\)|\S+)")  # an attribute and its value


@dataclass(frozen=True)
class Rewrite:
    """Another way of writing: how many more operations of each kind that computes the file has. ``lead`` is one."""

    lead: str
    more: Mapping[str, int]
    text: str


REWRITES = (
    Rewrite("Attention", {"Attention": -1, "MatMul": 2, "Softmax": 1, "Mul": 2}, "attention is written out"),
    Rewrite("Attention", {"Attention": -1, "MatMul": 2, "Softmax": 1, "Mul": 1}, "attention is written out"),
    Rewrite("Attention", {"Attention": -1, "MatMul": 2, "Softmax": 1, "Mul": 1, "Add": 1}, "attention is written out"),
    Rewrite("Attention", {"Attention": -1, "MatMul": 2, "Softmax": 1, "Mul": 2, "Add": 1}, "attention is written out"),
    Rewrite(
        "LayerNormalization",
        {"LayerNormalization": 1, "ReduceMean": -2, "Sub": -1, "Mul": -2, "Add": -2, "Sqrt": -1, "Div": -1},
        "a normalisation that is written out becomes LayerNormalization",
    ),
    Rewrite(
        "AdaptiveAveragePool", {"AdaptiveAveragePool": -1, "ReduceMean": 1}, "an adaptive pool becomes means of windows"
    ),
)
CELLS = {"LSTM", "GRU", "RNN"}
CELL_PARTS = {"Gemm", "MatMul", "Add", "Mul", "Sub", "Sigmoid", "Tanh"}


def rewritten(
    kinds: Mapping[str, int],
    once: Mapping[str, int],
    module_only: Mapping[str, int],
    file_only: Mapping[str, int],
    outputs: Sequence[Sequence[str]] = ((), ()),
) -> str:
    """The reasons for this difference, joined; empty if one of its parts has none.

    kinds:   how many more operations of each kind the file has
    once:    the same if both computed equal values once
    *_only:  the operations that only one has
    outputs: shapes of the outputs of both
    """
    found, reasons = _explained(kinds), list[str]()
    if found is None:
        found, reasons = _explained(once), ["values that the module computes twice are computed once"]
    if found is None or outputs[0] != outputs[1]:
        return ""
    reasons += [f"{text} ({count})" for text, count in found.items()]
    for group, text in ((MOVES, "values are moved in another way"), (MASKS, "a mask is made in another way")):
        if told := ", ".join(f"{kind} {more:+}" for kind, more in kinds.items() if kind in group):
            reasons.append(f"{text}: {told}")
    others = {entry.split(" ")[0] for entry in (*module_only, *file_only)} - {*kinds} - MOVES - MASKS
    if _attributes(module_only, others) != _attributes(file_only, others):
        return ""
    if "Attention" in others and _masked(module_only) > _masked(file_only):
        reasons.append("a fixed mask that hides nothing is left out")
        others.remove("Attention")
    if others:
        reasons.append(f"the same operations work on other views: {', '.join(sorted(others))}")
    moved = {entry.split(" ")[0] for entry in (*module_only, *file_only)} & (MOVES | MASKS) - {*kinds}
    if moved:
        reasons.append(f"values are moved in another way: {', '.join(sorted(moved))}")
    return "; ".join(reasons)


def _attributes(entries: Mapping[str, int], kinds: set[str]) -> Counter[str]:
    """Kind and attributes of these operations, without shapes and numbers of constants, which views change."""
    found: Counter[str] = Counter()
    for entry, count in entries.items():
        kind, rest = entry.split(" ", 1)
        if kind in kinds:
            found[" ".join([kind, *(word for word in WORD.findall(rest) if not word.startswith("constant="))])] += count
    return found


def _masked(entries: Mapping[str, int]) -> int:
    return sum(count for entry, count in entries.items() if entry.startswith("Attention") and "constant=" in entry)


def _explained(kinds: Mapping[str, int]) -> dict[str, int] | None:
    """Rewrites, with their number, that add up to this difference; one way of writing is taken for each lead."""
    computing = {kind: more for kind, more in kinds.items() if kind not in MOVES | MASKS}
    cells = {kind: more for kind, more in computing.items() if kind in CELLS}
    if (
        cells
        and max(cells.values()) < 0
        and all(computing[k] > 0 and k in CELL_PARTS for k in computing.keys() - cells)
    ):
        return {"a recurrent layer is written out step by step": -sum(cells.values())}
    leads = [kind for kind in computing if any(rewrite.lead == kind for rewrite in REWRITES)]
    for chosen in product(*[[rewrite for rewrite in REWRITES if rewrite.lead == lead] for lead in leads]):
        left, found = Counter(computing), Counter[str]()
        for rewrite in sorted(chosen, key=lambda rewrite: -len(rewrite.more)):
            times, rest = divmod(left[rewrite.lead], rewrite.more[rewrite.lead])
            if rest or times < 0:
                break
            for kind, more in rewrite.more.items():
                left[kind] -= times * more
            if times:
                found[rewrite.text] += times
        if not any(left.values()):
            return dict(found)
    return None
