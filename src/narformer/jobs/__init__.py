"""Everything that a user can do, one function each; the command line only translates to and from them.

A job is imported when it is first used: those about whole networks and stores do not need torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from narformer.jobs.adapting import Adapted, adapt, probes
    from narformer.jobs.asking import Asked, ask
    from narformer.jobs.comparing import Compared, Comparison
    from narformer.jobs.evaluating import evaluate
    from narformer.jobs.inspection import Inspection, inspect, inspected
    from narformer.jobs.known_predictors import PRETRAINED, Shipped, load_predictor, predictors, suited
    from narformer.jobs.measuring import Measured, Measurement, Plan, measure
    from narformer.jobs.networks import Given, answers
    from narformer.jobs.optimising import Executed, Optimised, optimised
    from narformer.jobs.predicting import NetworkPrediction, Share, predict_module, predict_network, predictions
    from narformer.jobs.ranking import Ranked, Ranking, compare, rank
    from narformer.jobs.storing import Found, export_store, import_store, query, write_profiles
    from narformer.jobs.tables import RESULTS, Which, table
    from narformer.jobs.training import Learned, Material, train

__all__ = [
    "PRETRAINED",
    "RESULTS",
    "Adapted",
    "Asked",
    "Compared",
    "Comparison",
    "Executed",
    "Found",
    "Given",
    "Inspection",
    "Learned",
    "Material",
    "Measured",
    "Measurement",
    "NetworkPrediction",
    "Optimised",
    "Plan",
    "Ranked",
    "Ranking",
    "Share",
    "Shipped",
    "Which",
    "adapt",
    "answers",
    "ask",
    "compare",
    "evaluate",
    "export_store",
    "import_store",
    "inspect",
    "inspected",
    "load_predictor",
    "measure",
    "optimised",
    "predict_module",
    "predict_network",
    "predictions",
    "predictors",
    "probes",
    "query",
    "rank",
    "suited",
    "table",
    "train",
    "write_profiles",
]

_NAMES = {
    "adapting": ("Adapted", "adapt", "probes"),
    "asking": ("Asked", "ask"),
    "comparing": ("Compared", "Comparison"),
    "evaluating": ("evaluate",),
    "inspection": ("Inspection", "inspect", "inspected"),
    "networks": ("Given", "answers"),
    "measuring": ("Measured", "Measurement", "Plan", "measure"),
    "optimising": ("Executed", "Optimised", "optimised"),
    "predicting": ("NetworkPrediction", "Share", "predict_module", "predict_network", "predictions"),
    "known_predictors": ("PRETRAINED", "Shipped", "load_predictor", "predictors", "suited"),
    "ranking": ("Ranked", "Ranking", "compare", "rank"),
    "storing": ("Found", "export_store", "import_store", "query", "write_profiles"),
    "tables": ("RESULTS", "Which", "table"),
    "training": ("Learned", "Material", "train"),
}
_HOMES = {name: home for home, names in _NAMES.items() for name in names}


def __dir__() -> list[str]:
    return sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'narformer.jobs' has no attribute '{name}'")
    return getattr(import_module(f"narformer.jobs.{_HOMES[name]}"), name)
