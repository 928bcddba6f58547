"""From recipe to scored predictor: losses, augmentation, one loop with resume, self-evolution, evaluation."""

from narformer.training.evaluate import evaluate
from narformer.training.experiment import Trained, train
from narformer.training.recipe import Recipe

__all__ = ["Recipe", "Trained", "evaluate", "train"]
