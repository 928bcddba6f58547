"""OpenVINO on the CPU, with a fixed number of threads; it picks its own precision."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from narformer.arch import Architecture
from narformer.errors import BadArchitecture, needs
from narformer.measure.environment import environment
from narformer.measure.network import network, random_input

__all__ = ["OpenVino"]

TYPES = {"f16": "float16", "bf16": "bfloat16", "f32": "float32", "f64": "float64", "boolean": "bool"}
TYPES |= {
    f"{short}{bits}": f"{long}{bits}" for short, long in (("i", "int"), ("u", "uint")) for bits in (8, 16, 32, 64)
}


class OpenVino:
    """A network in OpenVINO, ready to run on random inputs.

    ``device`` names the machine, by default after its CPU. The precision that the runtime computes in is added to it:
    on a CPU with AMX or AVX-512 BF16 it is bfloat16, four times as fast as float32, and another device.

    Raises MissingExtra without openvino; BadArchitecture where the runtime refuses the network.
    """

    runtime = "openvino"

    def __init__(
        self,
        source: Architecture | bytes,
        rng: np.random.Generator,
        threads: int = 1,
        device: str = "",
        dims: Mapping[str, int] | None = None,
    ) -> None:
        runtime = needs("openvino", "measure")
        net = network(source, rng, dims)
        self.fingerprint, self.name, self.batch, self.threads = net.fingerprint, net.name, net.batch, threads
        settings = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY"}
        try:
            core = runtime.Core()
            model = core.read_model(net.onnx)
            given = [(i.any_name, i.partial_shape, _type(i.element_type)) for i in model.inputs]
            self._feeds = {
                name: random_input(name, net.shapes.get(name) or _sizes(shape), TYPES.get(dtype, dtype), rng)
                for name, shape, dtype in given
            }
            model.reshape({name: list(value.shape) for name, value in self._feeds.items()})
            compiled = core.compile_model(model, "CPU", settings)
            precision = _type(compiled.get_property("INFERENCE_PRECISION_HINT"))
        except RuntimeError as error:
            raise BadArchitecture(f"{net.name or 'network'}: OpenVINO refuses it: {error}") from None
        self._request: Any = compiled.create_infer_request()
        self._request.infer(self._feeds)  # its inputs stay bound: later runs copy nothing
        self.dtype = TYPES.get(precision, precision)
        self.device = f"{device or environment().device}, {self.dtype}"

    def run(self) -> object:
        """One inference; the outputs stay in the runtime."""
        return self._request.infer()


def _sizes(shape: Any) -> list[int | None]:
    return [None if size.is_dynamic else size.get_length() for size in shape]


def _type(element: Any) -> str:
    name: str = element.get_type_name()
    return name
