"""Everything a person can ask for, one function each; the command line only translates to and from them.

A job is imported when it is asked for: those about whole networks and stores need no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from narformer.jobs.adapting import Adapted, adapt, probes
    from narformer.jobs.cells import read_architectures
    from narformer.jobs.inspection import Inspection, inspect
    from narformer.jobs.latency import Latency, Share, predict_latencies, predict_latency, predict_module
    from narformer.jobs.measuring import Measured, Measurement, Plan, measure
    from narformer.jobs.ranking import (
        PRETRAINED,
        Prediction,
        Ranked,
        compare,
        evaluate,
        load_predictor,
        predict,
        predictors,
        reads_networks,
        suited,
    )
    from narformer.jobs.storing import Found, export_store, import_store, query
    from narformer.jobs.tables import RESULTS, table
    from narformer.jobs.training import train

__all__ = [
    "PRETRAINED",
    "RESULTS",
    "Adapted",
    "Found",
    "Inspection",
    "Latency",
    "Measured",
    "Measurement",
    "Plan",
    "Prediction",
    "Ranked",
    "Share",
    "adapt",
    "compare",
    "evaluate",
    "export_store",
    "import_store",
    "inspect",
    "load_predictor",
    "measure",
    "predict",
    "predict_latencies",
    "predict_latency",
    "predict_module",
    "predictors",
    "probes",
    "query",
    "read_architectures",
    "reads_networks",
    "suited",
    "table",
    "train",
]

_NAMES = {
    "adapting": ("Adapted", "adapt", "probes"),
    "cells": ("read_architectures",),
    "inspection": ("Inspection", "inspect"),
    "latency": ("Latency", "Share", "predict_latencies", "predict_latency", "predict_module"),
    "measuring": ("Measured", "Measurement", "Plan", "measure"),
    "ranking": (
        "PRETRAINED",
        "Prediction",
        "Ranked",
        "compare",
        "evaluate",
        "load_predictor",
        "predict",
        "predictors",
        "reads_networks",
        "suited",
    ),
    "storing": ("Found", "export_store", "import_store", "query"),
    "tables": ("RESULTS", "table"),
    "training": ("train",),
}
_HOMES = {name: home for home, names in _NAMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'narformer.jobs' has no attribute '{name}'")
    return getattr(import_module(f"narformer.jobs.{_HOMES[name]}"), name)
