"""The user's own space, as a table to train on and graphs to rank: chains of operations with skip connections.

The value of a graph has a closed form, so that the error of learning is known: the sum of the operations' weights along
the heaviest path from input to output, a bonus for each further edge, and noise.
"""

import argparse
import csv
import json
import random
from pathlib import Path

WEIGHT = {"conv3x3": 3.0, "conv5x5": 3.6, "dwconv3x3": 2.2, "maxpool": 0.8, "identity": 0.2}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rows", type=int, default=400, help="rows of the table")
    arguments.add_argument("--candidates", type=int, default=1000, help="graphs to rank, without values")
    arguments.add_argument("--out", type=Path, default=Path(), help="folder of the two files")
    options = arguments.parse_args()
    chance = random.Random(0)
    options.out.mkdir(parents=True, exist_ok=True)

    with (options.out / "own_space.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["architecture", "score"])
        for graph in (draw(chance) for _ in range(options.rows)):
            table.writerow([json.dumps(graph), round(value(graph) + chance.gauss(0, 0.1), 4)])

    with (options.out / "candidates.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(draw(chance)) + "\n" for _ in range(options.candidates))


def draw(chance: random.Random) -> dict[str, list]:
    """An input, a chain of two to seven operations, an output; later vertices may also read any vertex."""
    inside = [chance.choice(list(WEIGHT)) for _ in range(chance.randint(2, 7))]
    ops = ["input", *inside, "output"]
    chain = [[i, i + 1] for i in range(len(ops) - 1)]
    skips = [[i, j] for i in range(len(ops)) for j in range(i + 2, len(ops)) if chance.random() < 0.2]
    return {"ops": ops, "edges": sorted(chain + skips)}


def value(graph: dict[str, list]) -> float:
    """The weight of the heaviest path, less 0.5 for each of its edges, plus 0.3 for each edge beyond the chain."""
    best = [0.0] * len(graph["ops"])
    for j, op in enumerate(graph["ops"]):
        parents = [best[source] for source, target in graph["edges"] if target == j]
        best[j] = WEIGHT.get(op, 0.0) + (max(parents) - 0.5 if parents else 0.0)
    return best[-1] + 0.3 * (len(graph["edges"]) - len(graph["ops"]) + 1)


if __name__ == "__main__":
    main()
