"""Predictors of latency that are fitted to their training networks at once, without steps."""

from collections.abc import Callable

from narformer.predictors.kernel_forest import KernelForest
from narformer.predictors.linear import CostLine

__all__ = ["FITTED"]

FITTED: dict[str, Callable[..., CostLine | KernelForest]] = {
    "cost-line": CostLine.fit,
    "kernel-forest": KernelForest.fit,
}
"""name -> fit(architectures, latency_N, seed=..., **options)"""
