"""ONNX Runtime on the CPU, with a fixed number of threads."""

import threading
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narformer.errors import BadArchitecture, needs
from narformer.formats.onnx_external import referring
from narformer.measure.network import Network, precision, random_input
from narformer.measure.runtime import Runtime, refused

__all__ = ["OnnxRuntime"]

# ONNX's names of types that have another name in numpy
TYPES = {"float": "float32", "double": "float64"}
LONGEST_S = 60.0
LARGEST_FILE = 2**29  # bytes of a graph that it writes with all its weights inside; a message holds at most 2**31
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

    @classmethod
    def write_optimised(cls, net: Network, path: Path, threads: int = 1) -> None:
        """Write the graph that it makes of a network to an ONNX file; large weights go to a file beside it.

        Raises BadArchitecture where it refuses the network.
        """
        try:
            session(cls.library(), net, threads, optimised=path)
        except Exception as error:
            raise refused(net.name, cls.title, error) from None

    def _load(self, library: Any, net: Network, rng: np.random.Generator) -> str:
        try:
            self._session: Any = session(library, net, self.threads)
        except Exception as error:  # the runtime's errors have no common base
            raise self._refused(error) from None
        self._feeds = feeds(self._session, net, rng)
        self._first_run(library)
        ends = (*self._session.get_inputs(), *self._session.get_outputs())
        return precision(net.quantised, [_type(end.type) for end in ends])

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


def session(library: Any, net: Network, threads: int, options: Any = None, optimised: Path | None = None) -> Any:
    """A session for a network; ``options`` has further settings. Raises the runtime's own errors where it refuses.

    optimised: the file to which the runtime writes its own graph; large weights go to a file beside it
    """
    options = library.SessionOptions() if options is None else options
    if optimised is not None:
        options.optimized_model_filepath = str(optimised)
        if len(net.onnx) + sum(array.nbytes for array in net.weights.values()) > LARGEST_FILE:
            beside = {"file_name": f"{optimised.name}.data", "min_size_in_bytes": "1024"}
            for key, value in beside.items():
                options.add_session_config_entry(f"session.optimized_model_external_initializers_{key}", value)
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


def feeds(session: Any, net: Network, rng: np.random.Generator) -> dict[str, NDArray[np.generic]]:
    """Random inputs of a session. Raises BadArchitecture as ``random_input``."""
    inputs = session.get_inputs()
    return {i.name: random_input(i.name, net.shapes.get(i.name, i.shape), _type(i.type), rng) for i in inputs}


def _type(name: str) -> str:
    plain = name.removeprefix("tensor(").removesuffix(")")
    return TYPES.get(plain, plain)
