"""A network made ready for any runtime: its ONNX bytes, its fingerprint, and random inputs."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from narformer.arch import Architecture, fingerprint
from narformer.arch.onnx_file import read_onnx
from narformer.arch.onnx_writer import to_onnx
from narformer.errors import BadArchitecture, BadFile

__all__ = ["Network", "network", "random_input"]

# The key of a reference to another file, as protobuf writes a text of eight bytes, in any length of its count. Runtimes
# would open what it names below the working directory. A value called exactly "location" is refused with it.
EXTERNAL = re.compile(rb"(\x08|\x88\x80*\x00)location")


@dataclass(frozen=True, eq=False)
class Network:
    """What a runtime loads.

    shapes: name -> shape of the inputs that the outputs depend on
    dims:   sizes of dimensions that the file names
    """

    architecture: Architecture
    fingerprint: str
    onnx: bytes
    shapes: Mapping[str, tuple[int, ...]]
    dims: Mapping[str, int]

    @property
    def name(self) -> str:
        """The network's name, for people."""
        return self.architecture.name

    @property
    def batch(self) -> int:
        """First dimension of the first input."""
        return next((shape[0] for shape in self.shapes.values() if shape), 1)


def network(source: Architecture | bytes, rng: np.random.Generator, dims: Mapping[str, int] | None = None) -> Network:
    """The network of an architecture, with random weights from ``rng``, or of the bytes of an ONNX file, with its own.

    Raises BadFile and BadArchitecture as ``read_onnx`` and ``to_onnx`` do.
    """
    dims = dict(dims or {})
    if isinstance(source, Architecture):
        architecture, file = source, to_onnx(source, "random", rng)
        names = tuple(f"Input_{vertex}" for vertex in range(len(source)))
    else:
        if EXTERNAL.search(source):
            raise BadFile("the given bytes", "weights in other files", "a model with all its weights inside")
        imported = read_onnx(source, dims)
        architecture, file, names = imported.architecture, source, imported.names
    inputs = [(name, op.shape) for name, op in zip(names, architecture.ops, strict=True) if op.kind == "Input"]
    shapes = {name: shape for name, shape in inputs if shape is not None}
    return Network(architecture, fingerprint(architecture), file, shapes, dims)


def random_input(
    name: str, shape: Sequence[int | str | None], dtype: str, rng: np.random.Generator
) -> NDArray[np.generic]:
    """Values for an input: normal where they are real; whole ones are 0 or 1, which every table of embeddings has.

    Raises BadArchitecture where a dimension is not bound or no array holds values of this type.
    """
    sizes = [size for size in shape if isinstance(size, int)]
    if len(sizes) < len(shape):
        raise BadArchitecture(f"input '{name}' has the shape {tuple(shape)}; bind its open dimensions, as batch=1")
    try:
        wanted = np.dtype(dtype)
    except TypeError:
        raise BadArchitecture(f"input '{name}' holds values of type {dtype}; no random ones can be made") from None
    if wanted.kind == "f":
        return rng.standard_normal(sizes, np.float32).astype(wanted)
    if wanted.kind in "iub":
        return rng.integers(0, 2, sizes).astype(wanted)
    raise BadArchitecture(f"input '{name}' holds values of type {dtype}; no random ones can be made")
