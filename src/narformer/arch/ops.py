"""The one table of operations: kind -> attributes, aliases, and the rules that count its work.

Kinds and attributes carry their ONNX names. Conventions:

* all counts are for the whole batch that the shapes state;
* MACs are the multiply-adds of convolutions and matrix products, nothing else;
* FLOPs follow the counter of NNLQP (Liu et al. 2022): a product of length n is n multiplications and n - 1 additions,
  a bias one more; Relu, MaxPool and what only moves values count 0. NNLQP takes one side of the window of a
  GlobalAveragePool; here the whole window counts;
* params are trained values; stored adds the running mean and variance of BatchNormalization (4 C in all);
* a value is four bytes. An operation reads its inputs once and writes its output once; a view moves nothing.

A rule is called with the operation, the shapes of its inputs and its own output shape, all known.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod

from narformer.arch.graph import Op, Value

__all__ = ["ALIASES", "OPS", "VALUE_BYTES", "Kind", "Rule", "Shape"]

Shape = tuple[int, ...]
Rule = Callable[[Op, Sequence[Shape], Shape], int]
Default = Value | None | Callable[[Op], Value]

VALUE_BYTES = 4


def _nothing(op: Op, inputs: Sequence[Shape], out: Shape) -> int:
    return 0


def _per_output(op: Op, inputs: Sequence[Shape], out: Shape) -> int:
    return prod(out)


def _per_addition(op: Op, inputs: Sequence[Shape], out: Shape) -> int:
    return max(len(inputs) - 1, 1) * prod(out)


def _read_all(op: Op, inputs: Sequence[Shape], out: Shape) -> int:
    return VALUE_BYTES * sum(map(prod, inputs))


def _read_kept(op: Op, inputs: Sequence[Shape], out: Shape) -> int:
    return VALUE_BYTES * prod(out)


def _written(op: Op, inputs: Sequence[Shape], out: Shape) -> int:
    return VALUE_BYTES * prod(out)


@dataclass(frozen=True)
class Kind:
    """One kind of operation.

    attributes: name -> default; a function computes it from the operation; None: there is no default
    aliases:    other names of the same kind
    macs, flops, params, stored, read, written: what it costs, as counted above; read and written in bytes
    """

    attributes: Mapping[str, Default] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()
    macs: Rule = _nothing
    flops: Rule = _nothing
    params: Rule = _nothing
    stored: Rule = _nothing
    read: Rule = _read_all
    written: Rule = _written


def _axes(op: Op) -> int:
    kernel = op.get("kernel_shape")
    return len(kernel) if isinstance(kernel, tuple) else 2


def _ones(op: Op) -> Value:
    return (1,) * _axes(op)


def _no_pads(op: Op) -> Value:
    return (0,) * (2 * _axes(op))


def _integer(op: Op, name: str, default: int) -> int:
    value = op.get(name, default)
    return value if isinstance(value, int) else default


def _window(op: Op) -> int:
    kernel = op.get("kernel_shape")
    if not isinstance(kernel, tuple):
        raise ValueError("no kernel_shape")
    return prod(kernel)


def _conv_length(op: Op, inputs: Sequence[Shape]) -> int:
    return inputs[0][1] // _integer(op, "group", 1) * _window(op)


def _conv_macs(op: Op, inputs: Sequence[Shape], out: Shape) -> int:
    return prod(out) * _conv_length(op, inputs)


def _conv_flops(op: Op, inputs: Sequence[Shape], out: Shape) -> int:
    return prod(out) * (2 * _conv_length(op, inputs) - 1 + _integer(op, "bias", 0))


def _conv_params(op: Op, inputs: Sequence[Shape], out: Shape) -> int:
    return out[1] * (_conv_length(op, inputs) + _integer(op, "bias", 0))


def _gemm_macs(op: Op, inputs: Sequence[Shape], out: Shape) -> int:
    return prod(out) * inputs[0][-1]


def _gemm_flops(op: Op, inputs: Sequence[Shape], out: Shape) -> int:
    return prod(out) * (2 * inputs[0][-1] - 1 + _integer(op, "bias", 1))


def _gemm_params(op: Op, inputs: Sequence[Shape], out: Shape) -> int:
    return out[-1] * (inputs[0][-1] + _integer(op, "bias", 1))


def _norm_flops(op: Op, inputs: Sequence[Shape], out: Shape) -> int:
    return 4 * prod(out)


def _norm_params(op: Op, inputs: Sequence[Shape], out: Shape) -> int:
    return 2 * out[1]


def _norm_stored(op: Op, inputs: Sequence[Shape], out: Shape) -> int:
    return 4 * out[1]


def _pool_flops(op: Op, inputs: Sequence[Shape], out: Shape) -> int:
    return prod(out) * _window(op)


def _global_pool_flops(op: Op, inputs: Sequence[Shape], out: Shape) -> int:
    return prod(inputs[0])


def _softmax_flops(op: Op, inputs: Sequence[Shape], out: Shape) -> int:
    return 3 * prod(out)  # exponential, sum, division


_WINDOW: Mapping[str, Default] = {"kernel_shape": None, "strides": _ones, "pads": _no_pads}

OPS: dict[str, Kind] = {
    "Input": Kind(read=_nothing, written=_nothing),
    "Conv": Kind(
        {**_WINDOW, "dilations": _ones, "group": 1, "bias": 0},
        macs=_conv_macs,
        flops=_conv_flops,
        params=_conv_params,
        stored=_conv_params,
    ),
    "BatchNormalization": Kind(
        {"epsilon": 1e-5},
        aliases=("BatchNorm", "SpatialBN"),
        flops=_norm_flops,
        params=_norm_params,
        stored=_norm_stored,
    ),
    "Relu": Kind(aliases=("ReLU",)),
    "MaxPool": Kind({**_WINDOW, "dilations": _ones, "ceil_mode": 0}),
    "AveragePool": Kind({**_WINDOW, "count_include_pad": 0, "ceil_mode": 0}, aliases=("AvgPool",), flops=_pool_flops),
    "GlobalAveragePool": Kind(aliases=("GlobalAvgPool",), flops=_global_pool_flops),
    "Gemm": Kind(
        {"bias": 1}, aliases=("Linear",), macs=_gemm_macs, flops=_gemm_flops, params=_gemm_params, stored=_gemm_params
    ),
    "Add": Kind(aliases=("Sum",), flops=_per_addition),
    "Mul": Kind(flops=_per_addition),
    "Sigmoid": Kind(flops=_per_output),
    "Softmax": Kind({"axis": -1}, flops=_softmax_flops),
    "Concat": Kind({"axis": 1}),
    "Slice": Kind({"axes": None, "starts": None, "ends": None, "steps": None}, read=_read_kept),
    "Zero": Kind(read=_nothing),  # the operation "none" of cell spaces: zeros in the shape of its input
    "Flatten": Kind({"axis": 1}, read=_nothing, written=_nothing),
    "Identity": Kind(read=_nothing, written=_nothing),
    "Dropout": Kind({"ratio": 0.5}, read=_nothing, written=_nothing),
}

ALIASES: dict[str, str] = {alias: name for name, kind in OPS.items() for alias in kind.aliases}
