"""Predictors with one interface, their targets, saving and loading."""

from narformer.predictors.answer import Answer
from narformer.predictors.gaussian_process_predictor import GaussianProcessPredictor
from narformer.predictors.kernel_forest_predictor import KernelForestPredictor
from narformer.predictors.linear import CostLinePredictor
from narformer.predictors.neural import NeuralPredictor
from narformer.predictors.predictor import Predictor
from narformer.predictors.target import Target
from narformer.predictors.task import Task

__all__ = ["FITTED", "PREDICTORS", "Answer", "FittedPredictor", "NeuralPredictor", "Predictor", "Target", "Task"]

FittedPredictor = CostLinePredictor | GaussianProcessPredictor | KernelForestPredictor

FITTED: dict[str, type[FittedPredictor]] = {
    "cost-line": CostLinePredictor,
    "gaussian-process": GaussianProcessPredictor,
    "kernel-forest": KernelForestPredictor,
}
"""Predictors that are fitted at once: ``fit(task, options)``."""

PREDICTORS: dict[str, type[Predictor]] = {"neural": NeuralPredictor, **FITTED}
"""Every kind of predictor, by its name in recipes and manifests; the neural one is trained in steps."""
