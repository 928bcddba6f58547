"""The stored tensors of an ONNX model as constants: type, whether they are trained, and which are one tensor.

PyTorch's exporter states of each initializer whether it is a parameter, and of folded ones from which they were
computed: those that were computed from no tensor of the module, such as masks, are not trained. Other files state
nothing: then initializers of real numbers count as trained. A single number does where its name says that it is a
parameter of a module, such as ``layers.0.scale``; other single numbers are divisors, roots, bounds.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from math import prod

import onnx

from narformer.formats.builder import Builder, Constant, Operand
from narformer.formats.onnx_guard import body_of, outside_of
from narformer.formats.trained import decided
from narformer.network.tensors import Tensor

__all__ = ["DTYPES", "Initializers", "in_body"]

DTYPES = {  # of TensorProto
    1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 9: "bool", 10: "float16",
    11: "float64", 12: "uint32", 13: "uint64", 14: "complex64", 15: "complex128", 16: "bfloat16",
    17: "float8_e4m3fn", 18: "float8_e4m3fnuz", 19: "float8_e5m2", 20: "float8_e5m2fnuz", 21: "uint4", 22: "int4",
    23: "float4_e2m1", 24: "float8_e8m0fnu", 25: "uint2", 26: "int2",
}  # fmt: skip
REAL = ("float", "bfloat", "complex")
KIND_KEY = "pkg.torch.export.graph_signature.InputSpec.kind"
FOLDED_KEY = "pkg.onnxscript.optimizer.folded_from"
# Names of the exporter's own values have no dot. Neither have those of tensors in the outermost module, which are
# recognised by words that people call parameters by.
PARAMETER = re.compile(
    r"weight|bias|cls|class|token|embed(?!ding)|table|param|quer(y|ies)|latent|prompt|scale|gain|gamma|beta"
    r"|alpha|temperature|(^|_)tau$"
)
# Names with a dot are of tensors in inner modules. Those of buffers are known by the names in use: tables of angles and
# positions, masks, indices, statistics.
BUFFER = re.compile(
    r"(inv_freq|freqs(_cis)?|(cos|sin)(_cached)?|(^|[._])(mask|ids|index|indices)|running_(mean|var)|anchors|coords_table)$"
)

# Names of single numbers that are parameters: the last part is one of the words by which modules call parameters, alone
# or at the end. Buffers of well-known modules are called alike, and so are the scales of quantised weights.
PARAMETER_OF_ONE = re.compile(
    r"([^/:]*\.)?(?!masked_bias$|embed_scale$|(weight|input|output)_scale$)\w*"
    r"(weight|bias|scale|gain|gamma|beta|alpha|temperature|tau)"
)
# Names that exporters make up for values: of any operation, and of a node Constant.
MADE_UP = re.compile(r"val_\d+|/.*_output_0")
WRITTEN_OUT = re.compile(r"/(.*/)?Constant(_\d+)?_output_0")


class Initializers:
    """The initializers of a graph as constants by name, and the numbering of tensors that are read several times."""

    def __init__(self, graph: onnx.GraphProto, reads: Mapping[str, int], builder: Builder) -> None:
        self.constants: dict[str, Constant] = {}
        self._builder = builder
        stated = {value.name: value.metadata_props for value in graph.value_info if value.metadata_props}
        kinds = {name: kind for name, entries in stated.items() if (kind := _entry(entries, KIND_KEY))}
        sources = {name: _sources(entries, kinds) for name, entries in stated.items()}
        marked = bool(kinds)
        zero_points = {tensor.name for tensor in graph.initializer if tensor.name.endswith("_zero_point")}
        fixed = _of_groups(graph)
        for tensor in graph.initializer:
            shape = tuple(tensor.dims)
            kind = kinds.get(tensor.name, "")
            stored = _initializer(tensor, zero_points)
            if marked:
                of = [name for name in sources.get(tensor.name, ()) if kinds.get(name, "PARAMETER") == "PARAMETER"]
                found = any(stored.count != 1 or name in kinds or _is_parameter(name) for name in of)
                stored = replace(stored, trained=found and stored.dtype.startswith(REAL))
            if kind or tensor.name in fixed:
                stored = replace(stored, trained=kind == "PARAMETER")
            certain = bool(kind) or (marked and tensor.name in stated)
            self.constants[tensor.name] = Constant(shape, tensors=(stored,), certain=certain)
        for sparse in graph.sparse_initializer:
            self.constants[sparse.values.name] = Constant(tuple(sparse.dims), tensors=_sparse(sparse))
        for name in self.constants:
            if reads.get(name, 0) > 1:
                self.share([name])
        for source, names in _folded(sources, self.constants).items():
            if source in self.constants:
                self.share([source, *names])
            # What is computed of a parameter alone is all of it, turned; a part is computed of its bounds, too.
            whole = [name for name in names if len(_folded_from(stated[name])) == 1]
            if len(whole) > 1:
                self.share(whole)

    def share(self, names: list[str]) -> None:
        """Make the tensors of these initializers one tensor, that of the first."""
        one = self.identify(self.constants[names[0]].tensors[0])
        for name in names:
            self.constants[name] = replace(self.constants[name], tensors=(one,))

    def identify(self, tensor: Tensor) -> Tensor:
        """The tensor with an identity of its own, if it has none yet."""
        return tensor if tensor.identity else self._builder.identified(tensor)

    @staticmethod
    def in_node(node: onnx.NodeProto, constant: Constant) -> Constant:
        """The output of a node Constant, with the tensors that the node stores."""
        return replace(constant, tensors=tuple(_in_attributes(node)))


def in_body(body: onnx.GraphProto, outside: Mapping[str, Operand]) -> list[Constant]:
    """The tensors that a body stores, for one that is not read, and those of the constants outside that it reads."""
    found: list[Constant] = []
    stored = {name: value for name in outside_of(body) if isinstance(value := outside.get(name), Constant)}
    stored |= {t.name: Constant(tuple(t.dims), tensors=(_initializer(t),)) for t in body.initializer}
    stored |= {t.values.name: Constant(tuple(t.dims), tensors=_sparse(t)) for t in body.sparse_initializer}
    for node in body.node:
        if node.op_type == "Constant":
            tensors = tuple(_in_attributes(node))
            stored[node.output[0]] = Constant((sum(t.count for t in tensors),), tensors=tensors)
        found += [constant for a in node.attribute for inner in body_of(a) for constant in in_body(inner, {})]
    marked: dict[str, tuple[Tensor, ...]] = {}
    for node in body.node:
        kind = f"{node.domain}.{node.op_type}" if node.domain else node.op_type
        for slot, name in enumerate(node.input):
            if name in stored and not any(t.trained for t in marked.get(name, ())):  # what any operation trains is
                tensors = stored[name].tensors
                marked[name] = tensors if stored[name].certain else decided(kind, slot, tensors)
    found += [replace(constant, tensors=marked.get(name, constant.tensors)) for name, constant in stored.items()]
    return [constant for constant in found if constant.count > 1 or any(t.trained for t in constant.tensors)]


def _in_attributes(node: onnx.NodeProto) -> list[Tensor]:
    """The tensors in the attributes of a node Constant."""
    found: list[Tensor] = []
    for attribute in node.attribute:
        if attribute.name == "value":
            found.append(_tensor(prod(attribute.t.dims), attribute.t.data_type, trained=False))
        elif attribute.name == "sparse_value":
            found += [replace(tensor, trained=False) for tensor in _sparse(attribute.sparse_tensor)]
        elif attribute.name == "value_floats":
            found.append(Tensor(len(attribute.floats), "float32", trained=False))
        elif attribute.name == "value_ints":
            found.append(Tensor(len(attribute.ints), "int64", trained=False))
    return found


def _sparse(sparse: onnx.SparseTensorProto) -> tuple[Tensor, Tensor]:
    """Values and indices of a sparse tensor, as they are stored."""
    values, indices = sparse.values, sparse.indices
    stored = _tensor(prod(values.dims), values.data_type, trained=True)
    return stored, _tensor(prod(indices.dims), indices.data_type, trained=False)


def _is_parameter(name: str) -> bool:
    """Whether a single number of this name is a parameter of a module."""
    return PARAMETER_OF_ONE.fullmatch(name) is not None


def _of_groups(graph: onnx.GraphProto) -> set[str]:
    """The ones and zeros of a GroupNorm: exporters write it as an InstanceNormalization between other operations."""
    norms = [node for node in graph.node if node.op_type == "InstanceNormalization"]
    return {name for node in norms for name in node.input[1:3] if MADE_UP.fullmatch(name)}


def _initializer(tensor: onnx.TensorProto, zero_points: Collection[str] = ()) -> Tensor:
    """An initializer of a file that does not state which are trained."""
    stored = _tensor(prod(tensor.dims), tensor.data_type, trained=not WRITTEN_OUT.fullmatch(tensor.name))
    if stored.count != 1 or not _is_parameter(tensor.name):
        return stored
    of_quantised = f"{tensor.name.removesuffix('_scale')}_zero_point" in zero_points
    return replace(stored, trained=stored.dtype.startswith(REAL) and not of_quantised)


def _tensor(count: int, data_type: int, trained: bool) -> Tensor:
    dtype = DTYPES.get(data_type, "")
    return Tensor(count, dtype, trained and count > 1 and dtype.startswith(REAL))


def _entry(entries: Iterable[onnx.StringStringEntryProto], key: str) -> str:
    for entry in entries:
        if entry.key == key:
            return str(entry.value)
    return ""


def _folded_from(entries: Iterable[onnx.StringStringEntryProto]) -> list[str]:
    """Names of the values from which the exporter computed a value."""
    return re.findall(r"'([^']*)'", _entry(entries, FOLDED_KEY)[:65536])


def _sources(entries: Iterable[onnx.StringStringEntryProto], kinds: Mapping[str, str]) -> list[str]:
    """Those of them that are tensors of the module: the exporter states the kind of those that it kept."""
    named = [name for name in _folded_from(entries) if name in kinds or not BUFFER.search(name)]
    return [name for name in named if name in kinds or "." in name or PARAMETER.search(name)]


def _folded(sources: Mapping[str, list[str]], constants: Mapping[str, Constant]) -> dict[str, list[str]]:
    """Name of a parameter -> initializers that were computed from it alone."""
    found: dict[str, list[str]] = {}
    for name, named in sources.items():
        if len(named) == 1 and name in constants:
            found.setdefault(named[0], []).append(name)
    return found
