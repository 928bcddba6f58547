"""What answers a question about a network: predictors of one face, their targets, save and load."""

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
"""Every kind of predictor, by the name that a recipe and a manifest give it; the neural one is trained in steps."""
