"""The few layers that printed equations take for granted, one vector at a time, in float64.

A model's weights are a dict of arrays under the names of its state_dict.
"""

import math

import numpy as np
from torch import nn

Weights = dict[str, np.ndarray]
Vector = np.ndarray


def weights_of(model: nn.Module) -> Weights:
    return {name: value.detach().double().numpy() for name, value in model.state_dict().items()}


def linear(weights: Weights, name: str, x: Vector, rows: slice = slice(None)) -> Vector:
    """W x + b, with only some rows of W where several Linears are stored as one."""
    y = weights[f"{name}.weight"][rows] @ x
    return y + weights[f"{name}.bias"][rows] if f"{name}.bias" in weights else y


def layer_norm(weights: Weights, name: str, x: Vector, eps: float = 1e-5) -> Vector:
    mean = sum(x) / len(x)
    variance = sum((value - mean) ** 2 for value in x) / len(x)
    return (x - mean) / math.sqrt(variance + eps) * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def relu(x: Vector) -> Vector:
    return np.maximum(x, 0)


def sigmoid(x: Vector) -> Vector:
    return 1 / (1 + np.exp(-x))


def softmax(scores: list[float]) -> list[float]:
    powers = [math.exp(score - max(scores)) for score in scores]
    return [power / sum(powers) for power in powers]


def attend(queries: list[Vector], keys: list[Vector], values: list[Vector], heads: int) -> list[Vector]:
    """For every query and head: Σ_j softmax_j(q · k_j / √K) v_j, the heads side by side."""
    size = len(keys[0]) // heads
    out = []
    for query in queries:
        parts = []
        for head in range(heads):
            part = slice(head * size, (head + 1) * size)
            shares = softmax([float(query[part] @ key[part]) / math.sqrt(size) for key in keys])
            parts.append(sum(share * value[part] for share, value in zip(shares, values, strict=True)))
        out.append(np.concatenate(parts))
    return out
