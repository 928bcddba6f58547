"""Our own predictor as its equations stand in models/relational.py: one member, one network, node by node."""

import math

import numpy as np
from layers_loop import Vector, Weights, relu, softmax

RELATIONS = ("itself", "parent", "child", "ancestor", "descendant", "parallel")


def relational(weights: Weights, config, kinds: list[int], edges, features: list[Vector], whole: Vector) -> Vector:
    """Kinds, edges and features of one network to T numbers."""
    nodes = range(len(kinds))
    H, K, inner = config.heads, config.width // config.heads, config.inner
    reached = [descendants(node, edges) for node in nodes]

    def linear(name, x):
        return x @ weights[f"{name}.weight"] + (weights[f"{name}.bias"][0] if f"{name}.bias" in weights else 0)

    def relation(i, j):
        """What j is to i."""
        if i == j:
            return "itself"
        if (j, i) in edges:
            return "parent"
        if (i, j) in edges:
            return "child"
        return "ancestor" if i in reached[j] else "descendant" if j in reached[i] else "parallel"

    x = [weights["kind.weight"][kinds[i]] + weights["kind.bias"][0] for i in nodes]
    if config.features:
        x = [x[i] + linear("feature", features[i]) for i in nodes]
    for layer in range(config.layers):
        name = f"layers.{layer}"
        rows = [np.split(linear(f"{name}.query_key_value", norm(x[i])), 3) for i in nodes]
        attended = []
        for i in nodes:
            parts = []
            for h in range(H):
                part = slice(h * K, (h + 1) * K)
                scores = [
                    float(rows[i][0][part] @ rows[j][1][part]) / math.sqrt(K)
                    + weights["relation"][RELATIONS.index(relation(i, j)), layer * H + h]
                    for j in nodes
                ]
                parts.append(sum(share * rows[j][2][part] for share, j in zip(softmax(scores), nodes, strict=True)))
            attended.append(np.concatenate(parts))
        x = [x[i] + linear(f"{name}.attended", attended[i]) for i in nodes]
        own, gates = zip(*(np.split(linear(f"{name}.inner", norm(x[i])), 2) for i in nodes), strict=True)
        hidden = []
        for i in nodes:
            parents = sum((gates[s][: inner // 2] for s, t in edges if t == i), np.zeros(inner // 2))
            children = sum((gates[t][inner // 2 :] for s, t in edges if s == i), np.zeros(inner // 2))
            hidden.append(relu(own[i] + np.concatenate([parents, children])))
        x = [x[i] + linear(f"{name}.outer", hidden[i]) for i in nodes]
    x = [norm(x[i]) for i in nodes]
    sinks = [x[i] for i in nodes if not any(source == i for source, _ in edges)]
    read = np.concatenate([sum(sinks) / len(sinks), sum(x) / len(x), whole])
    hidden = relu(linear("head", read))
    attributes = weights["out.weight"].shape[1]
    own = np.split(hidden, attributes)
    return np.array([own[t] @ weights["out.weight"][:, t] + weights["out.bias"][0, t] for t in range(attributes)])


def norm(x: Vector) -> Vector:
    mean = sum(x) / len(x)
    return (x - mean) / math.sqrt(sum((value - mean) ** 2 for value in x) / len(x) + 1e-5)


def descendants(node: int, edges) -> set[int]:
    found = {target for source, target in edges if source == node}
    return found.union(*(descendants(target, edges) for target in found)) if found else found
