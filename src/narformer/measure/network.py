"""A network prepared for any runtime: its ONNX bytes, its fingerprint, and random inputs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from narformer.errors import BadArchitecture, BadFile
from narformer.formats import onnx_wire as wire
from narformer.formats.onnx_external import Weights, weights_beside, with_bodies
from narformer.formats.onnx_reader import read_onnx
from narformer.formats.onnx_writer import to_onnx
from narformer.network import Architecture, fingerprint
from narformer.network.tensors import BITS

__all__ = ["Network", "batch_size", "network", "precision", "random_input"]

LARGEST_INPUT = 2**28  # values
QUANTISED = ("QLinear", "Quantize", "Dequantize", "DynamicQuantize")


@dataclass(frozen=True, eq=False)
class Network:
    """A network as a runtime loads it.

    shapes:    name -> shape of the inputs that the outputs depend on
    dims:      sizes of dimensions that the file names
    quantised: the integers that are multiplied, such as int8; empty for real numbers
    weights:   the bytes of tensors that are in other files; a runtime is given these, and opens no file itself
    """

    architecture: Architecture
    fingerprint: str
    onnx: bytes
    shapes: Mapping[str, tuple[int, ...]]
    dims: Mapping[str, int]
    quantised: str
    weights: Weights = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The network's name, for people."""
        return self.architecture.name

    @property
    def batch(self) -> int:
        """Networks inputs at once, as ``batch_size``; 1 where that is not known."""
        return batch_size(self.architecture, self.shapes.values()) or 1


def batch_size(architecture: Architecture, shapes: Iterable[tuple[int, ...] | None]) -> int | None:
    """The batch of a network whose inputs have these shapes, as far as shapes tell it.

    It is the first size of the first input that shares this size with an output: a mask or a table of positions does
    not. Where none does, it is that of the first input. Shapes of less than two dimensions are left out, since those of
    steps and scales have no batch; None where no other is there. If time comes first, it is the number of steps.
    """
    read = {source for source, _ in architecture.edges}
    ends = (op.shape for vertex, op in enumerate(architecture.ops) if vertex not in read and op.kind != "Input")
    written = {shape[0] for shape in ends if shape is not None and len(shape) > 1}
    sizes = [shape[0] for shape in shapes if shape is not None and len(shape) > 1]
    return next((size for size in sizes if size in written), sizes[0] if sizes else None)


def network(
    source: Architecture | bytes | Path,
    rng: np.random.Generator,
    dims: Mapping[str, int] | None = None,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
) -> Network:
    """The network of an architecture, with random weights from ``rng``, or of an ONNX file or its bytes, with its own.

    A link to a file is followed, because the caches of model hubs consist of links.

    dims: sizes of dimensions that the file names; shapes: of inputs, where the file leaves them open

    Raises BadFile and BadArchitecture as ``read_onnx`` and ``to_onnx`` do; BadFile as ``weights_beside`` where weights
    are in other files, and where the bytes of such a file are given, which lie in no folder.
    """
    dims = dict(dims or {})
    weights: Weights = {}
    if isinstance(source, Architecture):
        architecture, file = source, to_onnx(source, "random", rng)
        names = tuple(f"Input_{vertex}" for vertex in range(len(source)))
    else:
        origin = source if isinstance(source, Path) else None
        real = source.resolve() if isinstance(source, Path) and source.is_symlink() else source
        file = bytes(wire.read(real)) if isinstance(real, Path) else real
        imported = read_onnx(file, dims, shapes, origin=origin)
        architecture, names = imported.architecture, imported.names
        if imported.external:
            if origin is None:
                found = f"weights in other files ('{imported.external[0]}')"
                raise BadFile("the given bytes", found, "all weights inside", "Give the path of the file.")
            file = with_bodies(file, origin)
            weights = weights_beside(file, origin)
    inputs = [(name, op.shape) for name, op in zip(names, architecture.ops, strict=True) if op.kind == "Input"]
    read = {name: shape for name, shape in inputs if shape is not None} | dict(shapes or {})
    return Network(architecture, fingerprint(architecture), file, read, dims, _quantised(architecture), weights)


def _quantised(architecture: Architecture) -> str:
    """The shortest integers in which weights are stored, up to 8 bits; int8 for quantised operations; else empty."""
    tensors = (tensor for op in architecture.ops for constant in op.constants for tensor in constant.tensors)
    bits = [BITS[t.dtype] for t in tensors if t.trained and "int" in t.dtype and BITS[t.dtype] <= 8]
    whole = any(op.kind.startswith(QUANTISED) or op.kind.endswith("Integer") for op in architecture.ops)
    return f"int{min(bits)}" if bits else "int8" if whole else ""


def precision(quantised: str, dtypes: Iterable[str]) -> str:
    """The precision of a network: its integers, or the first real type of its inputs, then outputs."""
    return quantised or next((dtype for dtype in dtypes if dtype.startswith("float")), "float32")


def random_input(
    name: str, shape: Sequence[int | str | None], dtype: str, rng: np.random.Generator
) -> NDArray[np.generic]:
    """Values for an input: normal for real types; integers are 0 or 1, valid indices into every embedding table.

    Raises BadArchitecture where a dimension is not bound, the input is empty or takes more than LARGEST_INPUT, or no
    array holds values of this type.
    """
    sizes = [size for size in shape if isinstance(size, int)]
    if len(sizes) < len(shape):
        remedy = f"bind its open dimensions: --dim batch=1, or --input {name}:1x3x224x224"
        raise BadArchitecture(f"input '{name}' has the shape {tuple(shape)}; {remedy}")
    if not 0 < prod(sizes) <= LARGEST_INPUT:
        raise BadArchitecture(f"input '{name}' has {prod(sizes):,} values; expected 1 to {LARGEST_INPUT:,}")
    try:
        wanted = np.dtype(dtype)
    except TypeError:
        raise BadArchitecture(f"input '{name}' holds values of type {dtype}; random ones cannot be made") from None
    if wanted.kind == "f":
        return rng.standard_normal(sizes, np.float32).astype(wanted)
    if wanted.kind in "iub":
        return rng.integers(0, 2, sizes).astype(wanted)
    raise BadArchitecture(f"input '{name}' holds values of type {dtype}; random ones cannot be made")
