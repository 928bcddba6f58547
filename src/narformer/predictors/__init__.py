"""Predictors, all with one interface, by the names that recipes and manifests give them; their answers and tasks."""

from narformer.predictors.answer import Answer
from narformer.predictors.gaussian_process_predictor import GaussianProcessPredictor
from narformer.predictors.kernel_forest_predictor import KernelForestPredictor
from narformer.predictors.linear import CostLinePredictor
from narformer.predictors.neural import NeuralPredictor
from narformer.predictors.predictor import FittedPredictor, Predictor
from narformer.predictors.target import Target
from narformer.predictors.task import Task

__all__ = ["PREDICTORS", "Answer", "FittedPredictor", "NeuralPredictor", "Predictor", "Target", "Task"]

PREDICTORS: dict[str, type[Predictor]] = {
    "cost-line": CostLinePredictor,
    "gaussian-process": GaussianProcessPredictor,
    "kernel-forest": KernelForestPredictor,
    "neural": NeuralPredictor,
}
"""The neural one is trained in steps (training/neural.py); a FittedPredictor is fitted at once."""
