"""The roads of a network into the house: traced as a module, exported twice, optimised, and quantised."""

import contextlib
import io
import logging
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from onnxruntime import quantization
from onnxruntime.quantization.shape_inference import quant_pre_process

from narformer.formats.onnx_reader import read_onnx
from narformer.formats.torch_module import trace_module
from narformer.network.source_network import SourceNetwork

LEVELS = {
    "ort-extended": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    "ort-all": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL,
}
MESSAGE = 200  # characters of an error that are kept


class ExporterFailed(Exception):
    """The tool outside the house cannot do it; the text is its own message, shortened."""


Inputs = tuple[torch.Tensor, ...]


def write(road: str, module: torch.nn.Module, inputs: Inputs, folder: Path) -> Path:
    """Write the file of a road; the last five start from the file of an exporter. Raises ExporterFailed."""
    path = folder / road / "model.onnx"
    path.parent.mkdir()
    try:
        with _quiet():
            if road in ("dynamo", "torchscript"):
                torch.onnx.export(module, inputs, path, dynamo=road == "dynamo", verbose=False)
            else:
                _from_file(road, exported(folder), inputs, path)
    except MemoryError:
        raise
    except Exception as error:  # exporters pass on any error
        raise ExporterFailed(_short(error)) from None
    return path


def exported(folder: Path) -> Path:
    """The file that the tools for files start from: today's exporter's, or the older one's where that failed."""
    for road in ("dynamo", "torchscript"):
        path = folder / road / "model.onnx"
        if path.exists():
            return path
    raise ExporterFailed("no exporter wrote a file")


def _from_file(road: str, source: Path, inputs: Inputs, path: Path) -> None:
    if road in LEVELS:
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = LEVELS[road]
        options.optimized_model_filepath = str(path)
        options.log_severity_level = 4
        options.intra_op_num_threads = 1
        onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
        return
    prepared = path.with_name("prepared.onnx")
    quant_pre_process(source, prepared)
    if road == "int8-dynamic":
        quantization.quantize_dynamic(prepared, path)
    else:
        quantization.quantize_static(prepared, path, Calibration(prepared, inputs))


class Calibration(quantization.CalibrationDataReader):
    """The example inputs once, for a quantiser that wants to see values."""

    def __init__(self, path: Path, inputs: Inputs) -> None:
        names = [value.name for value in onnx.load(path, load_external_data=False).graph.input]
        self.rows = [dict(zip(names, (np.asarray(tensor) for tensor in inputs), strict=True))]

    def get_next(self) -> dict[str, Any] | None:
        return self.rows.pop() if self.rows else None


def read(road: str, module: torch.nn.Module, inputs: Inputs, path: Path | None) -> SourceNetwork:
    """The network by the house's own reader."""
    if path is None:
        return trace_module(module, list(inputs))
    reader: Callable[[Path], SourceNetwork] = read_onnx
    return reader(path)


def refused_by_runtime(path: Path | None) -> str:
    """ONNX Runtime's message where it does not take the file; empty where it does."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors have no common base
        return _short(error)
    return ""


def _short(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    causes = [line for line in lines if "Error" in line or "rror:" in line] or lines
    return f"{type(error).__name__}: {(causes or [''])[0]}"[:MESSAGE]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    logging.disable(logging.ERROR)
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        yield
    logging.disable(logging.NOTSET)
