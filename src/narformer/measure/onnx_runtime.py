"""ONNX Runtime on the CPU, with a fixed number of threads."""

import threading
from types import ModuleType
from typing import Any

import numpy as np

from narformer.errors import BadArchitecture, needs
from narformer.formats.onnx_external import referring
from narformer.measure.network import Network, precision, random_input
from narformer.measure.runtime import Runtime

__all__ = ["OnnxRuntime"]

# ONNX's names of types that have another name in numpy
TYPES = {"float": "float32", "double": "float64"}
LONGEST_S = 60.0
LOG_FATAL = 4  # a refusal raises an exception; the log would only repeat it


class OnnxRuntime(Runtime):
    """A network in ONNX Runtime; the precision is that of the file."""

    runtime, title, package = "ort", "ONNX Runtime", "onnxruntime"

    @staticmethod
    def library() -> ModuleType:
        """The package onnxruntime."""
        return needs("onnxruntime", "measure")

    def run(self) -> object:
        """One inference; the outputs, in the order of the file. Raises BadArchitecture where it fails."""
        try:
            return self._session.run(None, self._feeds)
        except Exception as error:
            raise self._refused(error) from None

    def _load(self, library: Any, net: Network, rng: np.random.Generator) -> str:
        try:
            self._session: Any = session(library, net, self.threads)
        except Exception as error:  # the runtime's errors have no common base
            raise self._refused(error) from None
        given = [(i.name, net.shapes.get(i.name, i.shape), _type(i.type)) for i in self._session.get_inputs()]
        self._feeds = {name: random_input(name, shape, dtype, rng) for name, shape, dtype in given}
        self._first_run(library)
        outputs = [_type(o.type) for o in self._session.get_outputs()]
        return precision(net.quantised, [*(dtype for *_, dtype in given), *outputs])

    def _first_run(self, library: Any) -> None:
        """Run once, for at most LONGEST_S: a Loop may be endless, and nothing else could stop it."""
        options = library.RunOptions()
        timer = threading.Timer(LONGEST_S, setattr, (options, "terminate", True))
        timer.start()
        try:
            self._session.run(None, self._feeds, options)
        except Exception as error:
            if options.terminate:
                raise BadArchitecture(f"{self.name or 'network'}: one run takes more than {LONGEST_S:.0f} s") from None
            raise self._refused(error) from None
        finally:
            timer.cancel()


def session(library: Any, net: Network, threads: int, options: Any = None) -> Any:
    """A session for a network; ``options`` has further settings. Raises the runtime's own errors where it refuses."""
    options = library.SessionOptions() if options is None else options
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.execution_mode = library.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = library.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = LOG_FATAL
    for dim, size in net.dims.items():
        options.add_free_dimension_override_by_name(dim, size)
    file = net.onnx
    if net.weights:  # the runtime finds them in memory, and looks for no file
        sizes = {name: array.nbytes for name, array in net.weights.items()}
        files = {name: f"weights_{number}" for number, name in enumerate(sizes)}
        file = referring(file, {name: (files[name], 0, size) for name, size in sizes.items()})
        held = [(files[name], array, array.nbytes) for name, array in net.weights.items() if array.nbytes]
        if held:
            options.add_external_initializers_from_files_in_memory(*map(list, zip(*held, strict=True)))
    return library.InferenceSession(file, options, providers=["CPUExecutionProvider"])


def _type(name: str) -> str:
    plain = name.removeprefix("tensor(").removesuffix(")")
    return TYPES.get(plain, plain)
