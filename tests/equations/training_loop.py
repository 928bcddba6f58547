"""What training and scoring print as equations: losses, self-evolution's Lagrangian, reorderings, Kendall's τ-b."""

import math
from collections.abc import Sequence
from itertools import permutations
from typing import Any

import torch

Labelled = tuple[tuple[int, ...], frozenset[tuple[int, int]]]


def kendall_tau_b(x: Sequence[float], y: Sequence[float]) -> float:
    """(concordant - discordant) / √((pairs - ties in x)(pairs - ties in y)), over all pairs."""
    score, untied_x, untied_y = 0, 0, 0
    for i in range(len(x)):
        for j in range(i):
            a, b = (x[i] > x[j]) - (x[i] < x[j]), (y[i] > y[j]) - (y[i] < y[j])
            score, untied_x, untied_y = score + a * b, untied_x + abs(a), untied_y + abs(b)
    return score / math.sqrt(untied_x * untied_y)


def mse_loss(y: Sequence[float], target: Sequence[float]) -> float:
    """NAR-Former Eq. 12, as a mean."""
    return sum((a - b) ** 2 for a, b in zip(y, target, strict=True)) / len(y)


def relative_mse_loss(y: Sequence[float], target: Sequence[float]) -> float:
    return sum((a / b - 1) ** 2 for a, b in zip(y, target, strict=True)) / len(y)


def sr_loss(y: Sequence[float], target: Sequence[float], order: Sequence[int]) -> float:
    """NAR-Former Eq. 13, as a mean of absolute values."""
    return sum(abs((y[o] - y[i]) - (target[o] - target[i])) for i, o in enumerate(order)) / len(y)


def ac_loss(y: Sequence[float], twin: Sequence[float]) -> float:
    """NAR-Former Eq. 11, as a mean."""
    return sum(abs(a - b) for a, b in zip(y, twin, strict=True)) / len(y)


def pairwise_loss(y: Sequence[float], target: Sequence[float]) -> float:
    pairs = [(i, j) for i in range(len(y)) for j in range(len(y)) if target[i] > target[j]]
    return sum(math.log1p(math.exp(-(y[i] - y[j]))) for i, j in pairs) / max(1, len(pairs))


def lagrangian(
    y_validation: Any, rows: Any, pseudo: Any, multipliers: Any, predictions: Any, errors: Any, alpha: float
) -> torch.Tensor:
    """Eq. 10 without the training term: α Σ_j (f(v_j) - ȳ_j)² + 1/T Σ_t λ_t (1/V Σ_j (ŷ_j^t - ȳ_j)² - e_t)."""
    value = torch.zeros((), dtype=pseudo.dtype)
    for y, j in zip(y_validation, rows.tolist(), strict=True):
        value = value + alpha * (y - pseudo[j]) ** 2
    for multiplier, predicted, error in zip(multipliers, predictions, errors, strict=True):
        mean = torch.zeros((), dtype=pseudo.dtype)
        for j in range(len(pseudo)):
            mean = mean + (predicted[j] - pseudo[j]) ** 2 / len(pseudo)
        value = value + multiplier * (mean - error) / len(multipliers)
    return value


def reorderings(ops: Sequence[int], edges: Sequence[tuple[int, int]], forward_only: bool) -> list[Labelled]:
    """Every distinct relabelling of the interior vertices other than the cell itself, by trying all permutations."""
    itself = (tuple(ops), frozenset(edges))
    found: list[Labelled] = []
    for interior in permutations(range(1, len(ops) - 1)):
        old = [0, *interior, len(ops) - 1]
        new = {vertex: place for place, vertex in enumerate(old)}
        moved = [(new[i], new[j]) for i, j in edges]
        if forward_only and any(i > j for i, j in moved):
            continue
        cell = (tuple(ops[vertex] for vertex in old), frozenset(moved))
        if cell != itself and cell not in found:
            found.append(cell)
    return found
