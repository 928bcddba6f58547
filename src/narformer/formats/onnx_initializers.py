"""The stored tensors of an ONNX model as constants: type, whether they are trained, and which are one tensor.

PyTorch's exporter states of each initializer whether it is a parameter, and of folded ones from which they were
computed: those that were computed from no tensor of the module, such as masks, are not trained. Other files state
nothing: then initializers of real numbers count as trained.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from math import prod

import onnx

from narformer.formats.builder import Builder, Constant
from narformer.network.tensors import Tensor

__all__ = ["DTYPES", "Initializers"]

DTYPES = {  # of TensorProto
    1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 9: "bool", 10: "float16",
    11: "float64", 12: "uint32", 13: "uint64", 14: "complex64", 15: "complex128", 16: "bfloat16",
    17: "float8_e4m3fn", 18: "float8_e4m3fnuz", 19: "float8_e5m2", 20: "float8_e5m2fnuz", 21: "uint4", 22: "int4",
    23: "float4_e2m1", 24: "float8_e8m0fnu", 25: "uint2", 26: "int2",
}  # fmt: skip
REAL = ("float", "bfloat", "complex")
KIND_KEY = "pkg.torch.export.graph_signature.InputSpec.kind"
FOLDED_KEY = "pkg.onnxscript.optimizer.folded_from"
# The exporter names its own values by the operation that makes them, and a number; all others are the module's.
NUMBER = re.compile(r"_\d+$")
_NAMES = (
    "val abs add and_ arange bitwise_and bitwise_not bitwise_or cat clamp clone concat contiguous copy cos cumsum "
    "detach div einsum embedding empty eq erf exp expand eye flatten flip floor floor_divide full full_like "
    "gather ge getitem gt index index_select le lift_fresh_copy linspace log logical_and logical_not logical_or "
    "lt masked_fill matmul maximum mean meshgrid minimum mul ne neg new_full new_ones new_zeros ones ones_like "
    "outer pad permute polar pow reciprocal remainder repeat repeat_interleave reshape roll round rsqrt rsub "
    "scalar_tensor select sigmoid sin slice softmax split sqrt squeeze stack sub sum sym_size_int t tanh tile to "
    "_to_copy transpose tril triu type_as unbind unflatten unsqueeze view where zeros zeros_like "
)
OPERATIONS = frozenset(_NAMES.split())


class Initializers:
    """The initializers of a graph as constants by name, and the numbering of tensors that are read several times."""

    def __init__(self, graph: onnx.GraphProto, reads: Mapping[str, int], builder: Builder) -> None:
        self.constants: dict[str, Constant] = {}
        self._builder = builder
        stated = {value.name: value.metadata_props for value in graph.value_info if value.metadata_props}
        sources = {name: _sources(entries) for name, entries in stated.items()}
        from_named = {name for name, named in sources.items() if named}
        marked = any(_entry(entries, KIND_KEY) for entries in stated.values())
        for tensor in graph.initializer:
            shape = tuple(tensor.dims)
            kind = _entry(stated.get(tensor.name, ()), KIND_KEY)
            stored = _tensor(prod(shape), tensor.data_type, trained=not marked or tensor.name in from_named)
            if kind:
                stored = replace(stored, trained=kind == "PARAMETER")
            self.constants[tensor.name] = Constant(shape, tensors=(stored,), certain=bool(kind))
        for sparse in graph.sparse_initializer:
            shape = tuple(sparse.dims)
            stored = _tensor(prod(shape), sparse.values.data_type, trained=True)
            self.constants[sparse.values.name] = Constant(shape, tensors=(stored,))
        for name in self.constants:
            if reads.get(name, 0) > 1:
                self.share([name])
        for source, names in _folded(sources, self.constants).items():
            if len(names) > 1 or source in self.constants:
                self.share([*names, *([source] if source in self.constants else [])])

    def share(self, names: list[str]) -> None:
        """Make the tensors of these initializers one tensor, as large as the largest of them."""
        found = [self.constants[name].tensors[0] for name in names]
        whole = max(found, key=lambda tensor: tensor.count)
        one = self.identify(whole)
        for name in names:
            self.constants[name] = replace(self.constants[name], tensors=(one,))

    def identify(self, tensor: Tensor) -> Tensor:
        """The tensor with an identity of its own, if it has none yet."""
        return tensor if tensor.identity else self._builder.identified(tensor)

    @staticmethod
    def in_node(node: onnx.NodeProto, constant: Constant) -> Constant:
        """The output of a node Constant, with the tensor that the node stores."""
        for attribute in node.attribute:
            if attribute.name == "value":
                stored = _tensor(prod(attribute.t.dims), attribute.t.data_type, trained=False)
                return replace(constant, tensors=(stored,))
        return constant


def _tensor(count: int, data_type: int, trained: bool) -> Tensor:
    dtype = DTYPES.get(data_type, "")
    return Tensor(count, dtype, trained and count > 1 and dtype.startswith(REAL))


def _entry(entries: Iterable[onnx.StringStringEntryProto], key: str) -> str:
    for entry in entries:
        if entry.key == key:
            return str(entry.value)
    return ""


def _sources(entries: Iterable[onnx.StringStringEntryProto]) -> list[str]:
    """Names of the module's tensors from which the exporter computed a value."""
    names = re.findall(r"'([^']*)'", _entry(entries, FOLDED_KEY)[:65536])
    return [name for name in names if "." in name or NUMBER.sub("", name) not in OPERATIONS]


def _folded(sources: Mapping[str, list[str]], constants: Mapping[str, Constant]) -> dict[str, list[str]]:
    """Name of a parameter -> initializers that were computed from it alone."""
    found: dict[str, list[str]] = {}
    for name, named in sources.items():
        if len(named) == 1 and name in constants:
            found.setdefault(named[0], []).append(name)
    return found
