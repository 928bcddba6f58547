"""Know a neural network's accuracy and latency before you train or deploy it."""

__version__ = "0.1.0"
