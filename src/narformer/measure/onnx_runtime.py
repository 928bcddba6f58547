"""ONNX Runtime on the CPU, with a fixed number of threads."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from narformer.arch import Architecture
from narformer.errors import BadArchitecture, needs
from narformer.measure.environment import environment
from narformer.measure.network import network, random_input

__all__ = ["OnnxRuntime"]

# ONNX's names of types that numpy calls otherwise
TYPES = {"float": "float32", "double": "float64"}
LOG_ERRORS = 3


class OnnxRuntime:
    """A network in ONNX Runtime, ready to run on random inputs.

    ``device`` names the machine, by default after its CPU; the precision, float32 as in the file, is added to it.

    Raises MissingExtra without onnxruntime; BadArchitecture where the runtime refuses the network.
    """

    runtime = "ort"

    def __init__(
        self,
        source: Architecture | bytes,
        rng: np.random.Generator,
        threads: int = 1,
        device: str = "",
        dims: Mapping[str, int] | None = None,
    ) -> None:
        runtime = needs("onnxruntime", "measure")
        net = network(source, rng, dims)
        self.fingerprint, self.name, self.batch, self.threads = net.fingerprint, net.name, net.batch, threads
        options = runtime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.execution_mode = runtime.ExecutionMode.ORT_SEQUENTIAL
        options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.log_severity_level = LOG_ERRORS
        for dim, size in net.dims.items():
            options.add_free_dimension_override_by_name(dim, size)
        try:
            self._session: Any = runtime.InferenceSession(net.onnx, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # the runtime's errors have no common base
            raise BadArchitecture(f"{net.name or 'network'}: ONNX Runtime refuses it: {error}") from None
        given = [(i.name, net.shapes.get(i.name, i.shape), _type(i.type)) for i in self._session.get_inputs()]
        self._feeds = {name: random_input(name, shape, dtype, rng) for name, shape, dtype in given}
        self.dtype = next((dtype for *_, dtype in given if dtype.startswith("float")), "float32")
        self.device = f"{device or environment().device}, {self.dtype}"

    def run(self) -> object:
        """One inference; the outputs, in the order of the file."""
        return self._session.run(None, self._feeds)


def _type(name: str) -> str:
    plain = name.removeprefix("tensor(").removesuffix(")")
    return TYPES.get(plain, plain)
