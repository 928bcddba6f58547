"""A runtime's own graph of a network, after its optimisations: what is executed in place of the network."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from narformer.errors import BadArchitecture, BadFile, UnknownName, lookup
from narformer.formats import onnx_wire as wire
from narformer.formats.onnx_reader import read_onnx
from narformer.jobs.inspection import Inspection, inspected
from narformer.jobs.networks import Given, read_network
from narformer.measure import RUNTIMES, environment
from narformer.measure.network import network
from narformer.measure.onnx_runtime import OnnxRuntime
from narformer.measure.openvino_runtime import ExecutedOperation, OpenVino

__all__ = ["Executed", "ExecutedOperation", "Optimised", "optimised"]


@dataclass(frozen=True)
class Executed:
    """The operations that a runtime executes, in order; constants are not among them."""

    operations: tuple[ExecutedOperation, ...]


@dataclass(frozen=True)
class Optimised:
    """A runtime's own graph of a network.

    runtime: title and version
    graph:   an inspection, where the runtime writes its graph as an ONNX file; otherwise the list of what it executes,
             whose operations are the runtime's own and are not counted
    saved:   the files that hold it
    """

    network: str
    runtime: str
    graph: Inspection | Executed
    saved: tuple[str, ...] = ()


def optimised(
    net: str | Path | Given,
    runtime: str = "ort",
    dims: Mapping[str, int] | None = None,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
    threads: int = 1,
    save: Path | None = None,
) -> Optimised:
    """Load a network into a runtime, for this machine, and look at the graph that the runtime makes of it.

    save: a new file for the graph of ONNX Runtime, with its weights; more than half a gigabyte of them go to a file
          beside it. It is for this machine: the runtime chooses layouts by the CPU.

    Raises as ``read_network`` and ``Runtime``; UnknownName; BadFile where ``save`` is there already or cannot be
    written, or the runtime writes no ONNX file.
    """
    chosen = lookup(RUNTIMES, runtime, "runtime")
    title = f"{chosen.title} {dict(environment().versions).get(chosen.package, '')}".strip()
    chosen.library()
    if save is not None and (save.exists() or save.is_symlink()):
        raise BadFile(save, "a file that is there already", "a new name", "Give another name, or remove the file.")
    given = net if isinstance(net, Given) else read_network(str(net), dims, shapes)
    name = given.network.title
    if issubclass(chosen, OnnxRuntime):
        graph, saved = _of_onnx_runtime(given, threads, save)
        return Optimised(name, title, graph, saved)
    if not issubclass(chosen, OpenVino):
        raise UnknownName(f"{title} does not tell its own graph; expected ort or openvino")
    if save is not None:
        raise BadFile(save, f"the graph of {title}", "that of ONNX Runtime, which alone writes an ONNX file")
    loaded = chosen(given.source, np.random.default_rng(0), threads, "", given.dims, given.shapes)
    return Optimised(name, title, Executed(loaded.executed()))


def _of_onnx_runtime(given: Given, threads: int, save: Path | None) -> tuple[Inspection, tuple[str, ...]]:
    """The inspection of the graph that ONNX Runtime writes, and the files that are kept of it."""
    net = network(given.source, np.random.default_rng(0), given.dims, given.shapes)
    kept: list[Path] = []
    try:
        with TemporaryDirectory(dir=None if save is None else save.parent) as folder:
            written = Path(folder) / ("optimised.onnx" if save is None else save.name)
            OnnxRuntime.write_optimised(net, written, threads)
            data, origin = bytes(wire.read(written)), Path(f"the graph of {OnnxRuntime.title}")
            try:
                read = read_onnx(data, origin=origin)
            except BadArchitecture:  # sizes that the runtime leaves open
                read = read_onnx(data, inputs=dict(net.shapes), origin=origin)
            if save is not None:
                kept = [file.replace(save.parent / file.name) for file in sorted(Path(folder).iterdir())]
    except OSError as error:
        place = save or "the folder for temporary files"
        raise BadFile(place, f"a place that cannot be written ({error.strerror})", "a place for a file") from None
    architecture = replace(read.architecture, name=given.network.title)
    return inspected(replace(read, architecture=architecture)), tuple(map(str, kept))
