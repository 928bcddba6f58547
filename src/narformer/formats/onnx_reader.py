"""Reading ONNX files: protobuf in, architecture out. Weights are not needed, and external data is never opened.

For safety, the bytes are checked before they are parsed (``onnx_wire``), and the parsed model is checked before its
functions are expanded or its shapes inferred (``onnx_guard``).
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from math import prod
from pathlib import Path

import onnx
import onnx.inliner

from narformer.errors import BadArchitecture, BadFile, printable
from narformer.formats import onnx_guard as guard
from narformer.formats import onnx_wire as wire
from narformer.formats.onnx_initializers import DTYPES
from narformer.formats.onnx_pass import Reading
from narformer.garbage_collection import collection_paused
from narformer.network.source_network import SourceNetwork

__all__ = ["names_to_bind", "read_onnx"]


def read_onnx(
    source: str | Path | bytes,
    dims: Mapping[str, int] | None = None,
    inputs: Mapping[str, tuple[int, ...]] | None = None,
    origin: Path | None = None,
) -> SourceNetwork:
    """The network in an ONNX file, or in the bytes of one; errors and the name then use the path ``origin``, if given.

    ``dims`` binds dimensions that the file names ("batch" -> 1), ``inputs`` states whole input shapes.

    Raises BadFile if the file is not an ONNX model, is damaged, or exceeds a limit of ``onnx_wire`` or ``onnx_guard``;
    BadArchitecture if dimensions are left unbound, or names are bound that the file does not have.
    """
    path = origin or ("the given bytes" if isinstance(source, bytes) else source)
    data = source if isinstance(source, bytes) else wire.read(source)
    with collection_paused():
        return _read(data, dict(dims or {}), dict(inputs or {}), path)


def names_to_bind(path: str | Path) -> tuple[frozenset[str], frozenset[str]]:
    """Names of the dimensions, and of the inputs, that ``dims`` and ``inputs`` of ``read_onnx`` may bind in a file.

    Raises BadFile as ``read_onnx``, for what keeps the file from being parsed.
    """
    _, model = _parsed(wire.read(path), path)
    entries, names = _open_names(model.graph)
    return names, frozenset(value.name for value in entries)


def _read(
    data: wire.Bytes, dims: dict[str, int], inputs: dict[str, tuple[int, ...]], path: str | Path
) -> SourceNetwork:
    light, model = _parsed(data, path)
    _open(model.graph)
    guard.check(model, path)
    external = guard.external(model) if guard.LOCATION in light else []  # without the key there is nothing to search
    if model.functions:
        guard.functions_expanded(model, path)
        model = _library(onnx.inliner.inline_local_functions, model, path)
        guard.check(model, path)
    _bind(model, dims, inputs, path)
    name = printable(model.graph.name) if path == "the given bytes" else Path(path).stem
    imported = Reading(model, path, bool(dims or inputs)).imported(name)
    return replace(imported, external=tuple(map(printable, external)), precision=_precision(model.graph))


def _parsed(data: wire.Bytes, path: str | Path) -> tuple[bytes, onnx.ModelProto]:
    """The bytes without weights, and the model in them."""
    try:
        light = wire.light(data, path)
        return light, onnx.ModelProto.FromString(light)
    except BadFile:
        raise
    except Exception as error:  # the parser's own errors have no common base
        raise BadFile(path, f"no protobuf message ({printable(str(error))})", "an ONNX model") from None


def _open_names(graph: onnx.GraphProto) -> tuple[list[onnx.ValueInfoProto], frozenset[str]]:
    """The inputs that are no weights, and the names of their dimensions."""
    stored_names = {tensor.name for tensor in graph.initializer}
    entries = [value for value in graph.input if value.name not in stored_names]
    return entries, frozenset(d.dim_param for v in entries for d in v.type.tensor_type.shape.dim if d.dim_param)


def _precision(graph: onnx.GraphProto) -> str:
    sizes: Counter[int] = Counter()
    for tensor in graph.initializer:
        sizes[tensor.data_type] += prod(tensor.dims)
    for value in graph.input if not sizes.total() else ():
        sizes[value.type.tensor_type.elem_type] += 1
    return DTYPES.get(max(sizes, key=lambda format_: sizes[format_], default=0), "")


def _library(function: object, model: onnx.ModelProto, path: str | Path) -> onnx.ModelProto:
    try:
        return function(model)  # type: ignore[operator, no-any-return]
    except Exception as error:
        raise BadFile(
            path, f"a model that cannot be followed ({printable(str(error))})", "a consistent ONNX model"
        ) from None


def _open(graph: onnx.GraphProto) -> None:
    """Take sizes of -1 for sizes that are not stated, as runtimes do."""
    for value in (*graph.input, *graph.output, *graph.value_info):
        for dim in value.type.tensor_type.shape.dim if value.type.HasField("tensor_type") else ():
            if dim.dim_value == -1:
                dim.ClearField("dim_value")


def _bind(model: onnx.ModelProto, dims: dict[str, int], inputs: dict[str, tuple[int, ...]], path: str | Path) -> None:
    """Set the sizes that the file leaves open. Raises BadArchitecture with the names of those that stay open."""
    graph = model.graph
    entries, names = _open_names(graph)
    for kind, bound, known in (("dimension", dims, names), ("input", inputs, {v.name for v in entries})):
        wrong = sorted(set(bound) - known)
        if wrong:
            has = ", ".join(sorted(map(printable, known))) or "none"
            raise BadArchitecture(f"{path} has no {kind} called '{wrong[0]}'; it has: {has}")
    for size in (*dims.values(), *(size for shape in inputs.values() for size in shape)):
        if not 0 <= size <= guard.DIM:
            raise BadArchitecture(f"a dimension was bound to {size}; expected 0 to {guard.DIM}")
    if inputs:
        for value in graph.value_info:  # their sizes are valid for other shapes only; what else they state is kept
            if value.type.HasField("tensor_type"):
                value.type.tensor_type.ClearField("shape")
    for value in (*graph.input, *graph.output, *graph.value_info):
        for dim in value.type.tensor_type.shape.dim if value.type.HasField("tensor_type") else ():
            if dim.dim_param in dims:
                dim.dim_value = dims[dim.dim_param]
    for value in graph.output if inputs else ():
        if value.type.HasField("tensor_type"):
            value.type.tensor_type.ClearField("shape")
    loose: dict[str, str] = {}
    for value in entries:
        tensor = value.type.tensor_type
        if value.name in inputs:
            shape = inputs[value.name]
            if tensor.HasField("shape") and len(tensor.shape.dim) != len(shape):
                raise BadArchitecture(
                    f"input '{printable(value.name)}' of {path} has {len(tensor.shape.dim)} dimensions; "
                    f"expected a shape of as many, found {'x'.join(map(str, shape))}"
                )
            del tensor.shape.dim[:]
            for size in shape:
                tensor.shape.dim.add().dim_value = size
        elif value.type.HasField("tensor_type") and not tensor.HasField("shape"):
            loose[f"{value.name}: any shape"] = f"--input {value.name}:1x3x224x224"
        elif value.type.HasField("tensor_type"):
            for axis, dim in enumerate(tensor.shape.dim):
                if dim.dim_param:
                    loose[dim.dim_param] = f"--dim {dim.dim_param}=1"
                elif not dim.HasField("dim_value"):
                    loose[f"{value.name}[{axis}]"] = f"--input {value.name}:{'x'.join('1' * len(tensor.shape.dim))}"
        guard.check_shape(value, path)
    if loose:
        remedy = " ".join(dict.fromkeys(loose.values()))
        raise BadArchitecture(
            f"{path}: found dimensions without a size: {printable(', '.join(loose))}; expected all to be bound. "
            f"Bind them, for example: {printable(remedy)}"
        )
