"""NAR-Former V2, one network and one node at a time: the released form and, with the switches off, the printed one."""

import math

import numpy as np
from layers_loop import Vector, Weights, layer_norm, linear, relu, sigmoid

from narformer.models import NarFormerV2


def narformer_v2(
    weights: Weights,
    config: NarFormerV2.Config,
    tokens: list[Vector],
    edges: list[tuple[int, int]],
    static: Vector | None = None,
) -> Vector:
    """Node tokens, directed edges and static numbers of one network to T numbers."""
    neighbours: list[set[int]] = [set() for _ in tokens]
    for source, target in edges:
        neighbours[source].add(target)
        if config.undirected:
            neighbours[target].add(source)
    x, pooled = tokens, []
    for number in range(config.blocks):
        x = block(weights, config, f"blocks.{number}", x, neighbours)
        total = sum(x)
        pooled.append(total / len(x) if config.pooling == "mean" else total)
    out = pooled[-1]
    if config.layer_fusion:
        hidden = relu(linear(weights, "fusion.0", np.concatenate(pooled)))
        shares = sigmoid(linear(weights, "fusion.2", hidden))
        out = sum(share * layer for share, layer in zip(shares, pooled, strict=True))
    if config.whole:
        out = np.concatenate([out, relu(linear(weights, "static.0", static))])
    y = linear(weights, "head.6", relu(linear(weights, "head.3", relu(linear(weights, "head.0", out)))))
    return np.log1p(np.exp(-y)) if config.head == "softplus" else y


def block(
    weights: Weights, config: NarFormerV2.Config, name: str, h: list[Vector], neighbours: list[set[int]]
) -> list[Vector]:
    if config.type_aware:  # TAEnhance(H, D) = Sigmoid(W_d D + b_d) ⊙ H
        h = [
            sigmoid(linear(weights, f"{name}.enhance", np.array([float(len(near))]))) * x
            for x, near in zip(h, neighbours, strict=True)
        ]
    x = [sigmoid(linear(weights, f"{name}.query", node)) for node in h]  # X = Sigmoid(W_q H̃ + b_q)
    out = []
    for i, near in enumerate(neighbours):
        s = {j: float(x[i] @ x[j]) / math.sqrt(len(x[i])) for j in near}  # S = (X Xᵀ / √d) ⊙ A
        total = sum(s.values()) + 1e-6
        gathered = sum((s[j] / total * h[j] for j in near), start=np.zeros_like(h[i]))
        z = linear(weights, f"{name}.attended", gathered)  # Z = W_a (Norm(S) H̃) + b_a
        if config.root:
            z = z + linear(weights, f"{name}.root", h[i])
        if config.unit_rows:
            z = z / math.sqrt(sum(value**2 for value in z))
        if config.relu:
            z = relu(z)
        more = grouped_feed_forward(weights, config, name, layer_norm(weights, f"{name}.norm", z))
        out.append(z + (weights[f"{name}.scale_D"] * more if config.layer_scale is not None else more))
    return out


def grouped_feed_forward(weights: Weights, config: NarFormerV2.Config, name: str, x: Vector) -> Vector:
    return grouped_linear(weights, config, f"{name}.outer", relu(grouped_linear(weights, config, f"{name}.inner", x)))


def grouped_linear(weights: Weights, config: NarFormerV2.Config, name: str, x: Vector) -> Vector:
    """Each slice of the channels through its own matrix; then, as released, one LayerNorm for every slice."""
    parts = []
    for group, part in enumerate(np.split(x, config.groups)):
        y = part @ weights[f"{name}.weight_GIO"][group] + weights[f"{name}.bias_G1O"][group, 0]
        parts.append(layer_norm(weights, f"{name}.norm", y) if config.group_norm else y)
    return np.concatenate(parts)
