"""The clock: runtimes that run a network, raw times, the machine they were taken on, and whether to trust them."""

from narformer.measure.environment import Environment, Machine, environment, same_machine
from narformer.measure.onnx_runtime import OnnxRuntime
from narformer.measure.openvino_runtime import OpenVino, OpenVinoFloat32
from narformer.measure.runtime import Runtime
from narformer.measure.timing import Adaptive, Interrupted, Measurement, Session, measure, measure_rounds, unstable

__all__ = [
    "RUNTIMES",
    "Adaptive",
    "Environment",
    "Interrupted",
    "Machine",
    "Measurement",
    "Runtime",
    "Session",
    "environment",
    "measure",
    "measure_rounds",
    "same_machine",
    "unstable",
]

RUNTIMES: dict[str, type[Runtime]] = {
    "ort": OnnxRuntime,
    "openvino": OpenVino,
    "openvino-float32": OpenVinoFloat32,
}
