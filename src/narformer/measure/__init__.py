"""The clock: runtimes that run a network, raw times, the machine they were taken on, and whether to trust them."""

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from narformer.arch import Architecture
from narformer.measure.environment import Environment, Machine, MixedMachines, environment, same_machine
from narformer.measure.onnx_runtime import OnnxRuntime
from narformer.measure.openvino_runtime import OpenVino
from narformer.measure.timing import Adaptive, Measurement, Session, measure, measure_rounds, unstable

__all__ = [
    "RUNTIMES",
    "Adaptive",
    "Environment",
    "Machine",
    "Measurement",
    "MixedMachines",
    "Runtime",
    "Session",
    "environment",
    "measure",
    "measure_rounds",
    "same_machine",
    "unstable",
]


class Runtime(Protocol):
    """Loads a network, or the bytes of an ONNX file; random weights and inputs come from ``rng``."""

    def __call__(
        self,
        source: Architecture | bytes,
        rng: np.random.Generator,
        threads: int = 1,
        device: str = "",
        dims: Mapping[str, int] | None = None,
    ) -> Session:
        """The session. Raises MissingExtra without the runtime, BadArchitecture where it refuses the network."""


RUNTIMES: dict[str, Runtime] = {
    "ort": OnnxRuntime,
    "openvino": OpenVino,
}
