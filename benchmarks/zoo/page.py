"""The page of the zoo, written from its stored facts."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zoo.names import ROADS
from zoo.reasons import Difference, differences

HEAD = """# The zoo: networks of public libraries by every road

`make zoo` makes {count} networks with random weights, reads each by up to {roads} roads, and compares the counts with
independent ones. It wrote this page. Versions: {versions}.

* **module**: `trace_module`; **dynamo**, **torchscript**: the two ONNX exporters of PyTorch; **ort-extended**,
  **ort-all**: the file that ONNX Runtime saves after its own optimisation at these levels; **int8-dynamic**,
  **int8-static**: the file of its quantiser. The last four start from dynamo's file, or from TorchScript's where there
  is none.
* Multiply-adds must be half of what `torch.utils.flop_counter` counts while the module runs, with attention as two
  products; recurrent layers and products of a matrix and a vector are added by hand.
* Parameters must be those of the module, each tensor once.
* Module, dynamo and torchscript must have one fingerprint.
* No operation may be uncounted, and no shape unknown.

In the table, `=` says that all of this holds. A number is that of a reason in the list below. **!** is a difference
that nothing explains. `-` says that the road was not tried, `x` that the tool which makes the file could not.
"""


def written(networks: Mapping[str, Any], groups: Mapping[str, str], path: Path) -> int:
    """Write the page; the number of differences that nothing explains."""
    found = {name: list(differences(facts)) for name, facts in networks.items()}
    reasons = Counter(_kind(difference) for each in found.values() for difference in each if difference.reason)
    numbers = {reason: number for number, (reason, _) in enumerate(reasons.most_common(), 1)}
    versions = next(iter(networks.values()), {}).get("versions", {})
    told = ", ".join(f"{name} {version}" for name, version in versions.items() if name != "code")
    lines = [HEAD.format(count=len(networks), roads=len(ROADS), versions=told)]
    by_group = defaultdict(list)
    for name in networks:
        by_group[groups.get(name, "others")].append(name)
    for group, names in by_group.items():
        lines += [f"## {group[0].upper()}{group[1:]}", f"| network | MACs | parameters | {' | '.join(ROADS)} |"]
        lines += ["|---|---:|---:|" + "---|" * len(ROADS)]
        lines += [_row(name, networks[name], found[name], numbers) for name in names] + [""]
    lines += ["## Reasons", *(f"{numbers[reason]}. {reason} ({reasons[reason]})" for reason in numbers), ""]
    open_ = [(name, difference) for name, each in found.items() for difference in each if not difference.reason]
    lines += [f"## Unexplained ({len(open_)})"]
    lines += [f"* {name}, {d.road}, {d.what}: found {d.found}; expected {d.expected}" for name, d in open_]
    path.write_text("\n".join(lines) + "\n")
    return len(open_)


def _kind(difference: Difference) -> str:
    """The reason without its numbers and names, so that equal reasons are one line."""
    words = difference.reason.split(": ")[0] if difference.what != "file" else difference.reason
    return " ".join("N" if word.strip("(),").replace(",", "").isdigit() else word for word in words.split())


def _row(name: str, facts: Mapping[str, Any], found: list[Difference], numbers: Mapping[str, int]) -> str:
    truth = facts.get("truth")
    counts = [f"{truth['macs']:,}", f"{truth['params']:,}"] if truth else ["", ""]
    cells = []
    for road in ROADS:
        here = [difference for difference in found if difference.road in (road, "all")]
        if road not in facts:
            cells.append("-")
        elif any(not difference.reason for difference in here):
            cells.append("**!**")
        else:
            marks = sorted({numbers[_kind(difference)] for difference in here})
            tool = "x " if any(difference.what == "file" for difference in here) else ""
            cells.append(tool + ", ".join(map(str, marks)) or "=")
    return f"| {' | '.join([name, *counts, *cells])} |"
