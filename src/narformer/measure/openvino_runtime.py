"""OpenVINO on the CPU, with a fixed number of threads, in the precision that it chooses or in float32."""

from dataclasses import dataclass
from types import ModuleType
from typing import Any, ClassVar

import numpy as np

from narformer.errors import needs, printable
from narformer.formats.onnx_external import referring
from narformer.measure.network import Network, random_input
from narformer.measure.runtime import Runtime

__all__ = ["ExecutedOperation", "OpenVino", "OpenVinoFloat32"]

TYPES = {"f16": "float16", "bf16": "bfloat16", "f32": "float32", "f64": "float64", "boolean": "bool"}
TYPES |= {
    f"{short}{bits}": f"{long}{bits}" for short, long in (("i", "int"), ("u", "uint")) for bits in (8, 16, 32, 64)
}

IN_MEMORY = "*/_ORT_MEM_ADDR_/*"  # the location by which it takes an offset as an address in memory


@dataclass(frozen=True)
class ExecutedOperation:
    """An operation that OpenVINO executes.

    name, kind: its own; ``primitive``: the implementation that it chose; ``layout``, ``precision``: of the output
    shape:      of the output; None where it is not known before a run
    replaces:   names of the operations of the network that were fused into it
    """

    name: str
    kind: str
    primitive: str
    layout: str
    precision: str
    shape: tuple[int, ...] | None
    replaces: tuple[str, ...]


class OpenVino(Runtime):
    """A network in OpenVINO.

    On a CPU with AMX or AVX-512 BF16 it computes in bfloat16, four times as fast as in float32: that is another device.
    """

    runtime, title, package = "openvino", "OpenVINO", "openvino"
    precision: ClassVar[dict[str, str]] = {}

    @staticmethod
    def library() -> ModuleType:
        """The package openvino."""
        return needs("openvino", "measure")

    def run(self) -> object:
        """One inference; the outputs stay in the runtime. Raises BadArchitecture where it fails."""
        try:
            return self._request.infer()
        except RuntimeError as error:
            raise self._refused(error) from None

    def executed(self) -> tuple[ExecutedOperation, ...]:
        """The operations that it executes, in order; constants are computed before and are not among them."""
        found = []
        for operation in self._request.get_compiled_model().get_runtime_model().get_ordered_ops():
            told = {key: value.astype(str) for key, value in operation.get_rt_info().items()}
            if told.get("layerType", "") == "Const":
                continue
            sizes = _sizes(operation.get_output_partial_shape(0)) if operation.outputs() else [None]
            found.append(
                ExecutedOperation(
                    name=printable(operation.get_friendly_name()),
                    kind=printable(told.get("layerType", "")),
                    primitive=printable(told.get("primitiveType", "")),
                    layout=printable(told.get("outputLayouts", "")),
                    precision=printable(told.get("runtimePrecision", "")),
                    shape=None if None in sizes else tuple(size for size in sizes if size is not None),
                    replaces=tuple(printable(n) for n in told.get("originalLayersNames", "").split(",") if n),
                )
            )
        return tuple(found)

    def _load(self, library: Any, net: Network, rng: np.random.Generator) -> str:
        settings = {"INFERENCE_NUM_THREADS": self.threads, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY"}
        settings |= self.precision
        try:
            core = library.Core()
            model = core.read_model(self._file(net))
            given = [(i.any_name, i.partial_shape, _type(i.element_type)) for i in model.inputs]
            self._feeds = {
                name: random_input(name, net.shapes.get(name) or _sizes(shape), TYPES.get(dtype, dtype), rng)
                for name, shape, dtype in given
            }
            model.reshape({name: list(value.shape) for name, value in self._feeds.items()})
            compiled = core.compile_model(model, "CPU", settings)
            precision = _type(compiled.get_property("INFERENCE_PRECISION_HINT"))
            self._request: Any = compiled.create_infer_request()
            self._request.infer(self._feeds)  # its inputs stay bound: later runs copy nothing
        except RuntimeError as error:
            raise self._refused(error) from None
        return TYPES.get(precision, precision)

    def _file(self, net: Network) -> bytes:
        """The model; its weights that are in other files are referred to by their addresses in memory."""
        self._weights = net.weights  # the runtime may read them as long as it runs
        if not net.weights:
            return net.onnx
        places = {name: (IN_MEMORY, array.ctypes.data, array.nbytes) for name, array in net.weights.items()}
        return referring(net.onnx, places)


class OpenVinoFloat32(OpenVino):
    """A network in OpenVINO in float32, even where it would choose another precision.

    Virtual machines share the units for bfloat16 with their neighbours, so times in it are less repeatable than in
    float32 (docs/ten_families.md).
    """

    runtime = "openvino-float32"
    precision: ClassVar[dict[str, str]] = {"INFERENCE_PRECISION_HINT": "f32"}


def _sizes(shape: Any) -> list[int | None]:
    return [None if size.is_dynamic else size.get_length() for size in shape]


def _type(element: Any) -> str:
    name: str = element.get_type_name()
    return name
