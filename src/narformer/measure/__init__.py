"""Measurement: runtimes that run a network, raw times, the machine they were taken on, and checks of reliability."""

from narformer.attributes import Condition
from narformer.measure.environment import Environment, Machine, environment, same_machine
from narformer.measure.onnx_runtime import OnnxRuntime
from narformer.measure.openvino_runtime import OpenVino, OpenVinoFloat32
from narformer.measure.profile import Profile, ProfiledNode, profile
from narformer.measure.runtime import Runtime
from narformer.measure.timing import (
    LATENCY,
    Adaptive,
    Incomplete,
    Interrupted,
    Measurement,
    Session,
    measure,
    measure_rounds,
    unstable,
)

__all__ = [
    "LATENCY",
    "RUNTIMES",
    "Adaptive",
    "Environment",
    "Incomplete",
    "Interrupted",
    "Machine",
    "Measurement",
    "Profile",
    "ProfiledNode",
    "Runtime",
    "Session",
    "condition",
    "environment",
    "measure",
    "measure_rounds",
    "profile",
    "same_machine",
    "unstable",
]

RUNTIMES: dict[str, type[Runtime]] = {
    "ort": OnnxRuntime,
    "openvino": OpenVino,
    "openvino-float32": OpenVinoFloat32,
}


def condition(m: Measurement) -> Condition:
    """The condition of a measurement; a runtime that is unknown to this version keeps its own name."""
    runtime = RUNTIMES.get(m.runtime)
    title, version = m.runtime, ""
    if runtime is not None:
        title, version = runtime.title, dict(m.environment.versions).get(runtime.package, "")
    return Condition(
        runtime=title,
        runtime_version=version,
        device=m.device.removesuffix(f", {m.dtype}"),
        accelerator=m.accelerator,
        threads=m.threads,
        batch=m.batch,
        precision=m.dtype,
    )
