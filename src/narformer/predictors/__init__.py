"""What answers a question about a network: the Predictor protocol, the neural one, its target, save and load."""

from narformer.predictors.neural import NeuralPredictor
from narformer.predictors.predictor import Predictor
from narformer.predictors.saved import load, save
from narformer.predictors.target import Target

__all__ = ["NeuralPredictor", "Predictor", "Target", "load", "save"]
