"""The table of operations (the op table): kind -> attributes, aliases, and the rules that count its work.

Kinds and attributes have their ONNX names. Any operation may have two more attributes: ``constant``, the number of
values in operands that are not vertices (weights, scalars), and ``value``, the value of a scalar constant (Where
with two scalars: ``value`` and ``otherwise``). Conventions:

* all counts are for the whole batch that the shapes state;
* MACs are the multiply-adds of convolutions and matrix products (dense, recurrent and attention layers included);
* FLOPs follow the counter of NNLQP (Liu et al. 2022): a product of length n is n multiplications and n - 1 additions,
  and a bias is one addition. Relu, Clip, MaxPool, comparisons and operations that only move values count 0. Other
  elementwise operations count one per output value. NNLQP counts one side of the window of a GlobalAveragePool, and the
  output of a ReduceMean; here the whole window counts;
* params are values that training changes; running means and variances, tables and masks are constants. A tensor counts
  once, for the first operation that reads it; its bytes are those of the type that the network stores;
* attention meets every key that its shapes state: a causal mask saves nothing;
* a value of an activation is four bytes. An operation reads its inputs once and writes its output once; a view moves
  nothing.
"""

from collections.abc import Mapping
from math import isfinite

from narformer.network import counting as count
from narformer.network.counting import VALUE_BYTES, Rule, Shape
from narformer.network.graph import Op, Value
from narformer.network.kind import Default, Kind
from narformer.network.runtime_ops import RUNTIME_OPS

__all__ = ["ALIASES", "DESCRIBED_FROM", "ELEMENTWISE", "OPS", "VALUE_BYTES", "Kind", "Rule", "Shape", "filled"]


def _axes(op: Op) -> int:
    kernel = op.get("kernel_shape")
    return len(kernel) if isinstance(kernel, tuple) else 2


def _ones(op: Op) -> Value:
    return (1,) * _axes(op)


def _no_pads(op: Op) -> Value:
    return (0,) * (2 * _axes(op))


_WINDOW: Mapping[str, Default] = {"kernel_shape": None, "strides": _ones, "pads": _no_pads}
_CONV: Mapping[str, Default] = {**_WINDOW, "dilations": _ones, "group": 1, "bias": 0}


def _each(**attributes: Default) -> Kind:
    """An elementwise operation."""
    return Kind(attributes, flops=count.per_output)


def _move(**attributes: Default) -> Kind:
    """An operation that moves values."""
    return Kind(attributes, read=count.read_kept)


def _view(**attributes: Default) -> Kind:
    """An operation that only changes the shape."""
    return Kind(attributes, read=count.nothing, written=count.nothing)


def _conv() -> Kind:
    return Kind(_CONV, macs=count.conv_macs, flops=count.conv_flops)


def _reduction(**attributes: Default) -> Kind:
    return Kind({"axes": None, "keepdims": 1, **attributes}, flops=count.per_input)


def _recurrent(**attributes: Default) -> Kind:
    return Kind(
        {"hidden_size": None, "direction": "forward", "bias": 1, "layout": 0, **attributes},
        macs=count.recurrent_macs,
        flops=count.recurrent_flops,
    )


def _product() -> Kind:
    return Kind(macs=count.product_macs, flops=count.product_flops)


_GENERAL_ONES = ("Abs Acos Acosh Asin Asinh Atan Atanh Ceil Cos Cosh Erf Exp Floor HardSwish Log Mish Neg Reciprocal "
                 "Round Sigmoid Sign Sin Sinh Softplus Softsign Sqrt Tan Tanh")  # fmt: skip
_LOGIC_ONES = "Not BitwiseNot IsInf IsNaN"
_COMPARISONS = "Greater GreaterOrEqual Less LessOrEqual Where BitShift"
_LOGIC_PAIRS = "Equal And Or Xor BitwiseAnd BitwiseOr BitwiseXor"
_SUMS = (
    "ReduceSum ReduceMean ReduceMax ReduceMin ReduceProd ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceSumSquare"
)

# Operations that draw, choose, search or write values, but do no arithmetic on them
_NOT_COMPUTED = ("Bernoulli BlackmanWindow CenterCropPad ConstantOfShape EyeLike HammingWindow HannWindow "
                 "MelWeightMatrix Multinomial NonMaxSuppression RandomNormal RandomNormalLike RandomUniform "
                 "RandomUniformLike Range RegexFullMatch StringConcat StringNormalizer StringSplit TensorScatter "
                 "TfIdfVectorizer Unique OptionalHasElement OptionalGetElement SequenceAt SequenceLength")  # fmt: skip

OPS: dict[str, Kind] = {
    "Input": Kind(read=count.nothing, written=count.nothing),
    # operations with weights
    "Conv": _conv(),
    "ConvInteger": _conv(),
    "QLinearConv": _conv(),
    "DeformConv": Kind({**_CONV, "offset_group": 1}, macs=count.conv_macs, flops=count.conv_flops),
    "CausalConvWithState": Kind({"activation": "none", "bias": 0}, macs=count.conv_macs, flops=count.conv_flops),
    "ConvTranspose": Kind(
        {**_CONV, "output_padding": None},
        macs=count.transposed_macs,
        flops=count.transposed_flops,
    ),
    "Gemm": Kind(
        {"bias": 1},
        aliases=("Linear",),
        macs=count.product_macs,
        flops=count.product_flops,
    ),
    "MatMul": _product(),
    "MatMulInteger": _product(),
    "QLinearMatMul": _product(),
    "LSTM": _recurrent(projection_size=None),
    "GRU": _recurrent(linear_before_reset=0),
    "RNN": _recurrent(),
    "Einsum": Kind({"equation": None}, macs=count.einsum_macs, flops=count.einsum_flops),
    "Attention": Kind(
        {"is_causal": 0, "q_num_heads": None, "kv_num_heads": None},
        aliases=("ai.onnx.preview.FlexAttention",),
        macs=count.attention_macs,
        flops=count.attention_flops,
    ),
    "LinearAttention": Kind(
        {"q_num_heads": None, "kv_num_heads": None, "update_rule": "gated_delta"},
        macs=count.linear_attention_macs,
        flops=count.linear_attention_flops,
    ),
    "GroupedMatMul": Kind(macs=count.grouped_macs, flops=count.grouped_flops),  # a matrix for each group of rows
    "RotaryEmbedding": Kind({"interleaved": 0, "rotary_embedding_dim": 0, "num_heads": 0}, flops=count.norm_flops),
    # normalisation
    "BatchNormalization": Kind(
        {"epsilon": 1e-5},
        aliases=("BatchNorm", "SpatialBN"),
        flops=count.norm_flops,
    ),
    "LayerNormalization": Kind({"axis": -1}, flops=count.layer_norm_flops),
    "RMSNormalization": Kind({"axis": -1}, flops=count.norm_flops),
    "GroupNormalization": Kind({"num_groups": None}, flops=count.layer_norm_flops),
    "InstanceNormalization": Kind(flops=count.layer_norm_flops),
    "MeanVarianceNormalization": Kind({"axes": None}, flops=count.layer_norm_flops),
    "LpNormalization": Kind({"axis": -1, "p": 2}, flops=count.norm_flops),
    "LRN": Kind({"size": None}, flops=count.norm_flops),
    # activations
    "Relu": Kind(aliases=("ReLU",)),
    "Clip": Kind({"min": None, "max": None}),
    "PRelu": Kind(flops=count.per_output),
    "LeakyRelu": _each(alpha=0.01),
    "ThresholdedRelu": _each(alpha=1.0),
    "Elu": _each(alpha=1.0),
    "Celu": _each(alpha=1.0),
    "Selu": _each(),
    "SwiGLU": _each(alpha=1.0),
    "Gelu": _each(approximate="none"),
    "Swish": Kind({"alpha": 1.0}, aliases=("Silu", "SiLU"), flops=count.per_output),
    "HardSigmoid": _each(alpha=0.2, beta=0.5),
    "Shrink": _each(bias=0.0, lambd=0.5),
    "Softmax": Kind({"axis": -1}, flops=count.softmax_flops),
    "LogSoftmax": Kind({"axis": -1}, flops=count.softmax_flops),
    "Hardmax": Kind({"axis": -1}, flops=count.per_output),
    # elementwise
    **{kind: _each() for kind in _GENERAL_ONES.split()},
    **{kind: Kind() for kind in _LOGIC_ONES.split()},
    **{kind: Kind() for kind in _COMPARISONS.split()},
    **{kind: Kind(commutative=True) for kind in _LOGIC_PAIRS.split()},
    "Add": Kind(aliases=("Sum",), commutative=True, flops=count.per_addition),
    **{kind: Kind(commutative=True, flops=count.per_addition) for kind in ("Mul", "Max", "Min", "Mean")},
    **{kind: Kind(flops=count.per_output) for kind in ("Sub", "Div", "Pow", "Mod")},
    # pools and sums
    "MaxPool": Kind({**_WINDOW, "dilations": _ones, "ceil_mode": 0}),
    "AveragePool": Kind(
        {**_WINDOW, "count_include_pad": 0, "ceil_mode": 0}, aliases=("AvgPool",), flops=count.pool_flops
    ),
    "LpPool": Kind({**_WINDOW, "p": 2, "ceil_mode": 0}, flops=count.pool_flops),
    "GlobalAveragePool": Kind(aliases=("GlobalAvgPool",), flops=count.per_input),
    "GlobalMaxPool": Kind(),
    "GlobalLpPool": Kind({"p": 2}, flops=count.per_input),
    "MaxUnpool": Kind(_WINDOW),
    **{kind: _reduction() for kind in _SUMS.split()},
    **{kind: Kind({"axis": 0, "keepdims": 1}) for kind in ("ArgMax", "ArgMin")},
    "AdaptiveAveragePool": Kind(flops=count.adaptive_flops),
    "AdaptiveMaxPool": Kind(),
    "MaxRoiPool": Kind({"pooled_shape": None, "spatial_scale": 1.0}),
    "RoiAlign": Kind({"mode": "avg", "sampling_ratio": 0}, flops=count.sampled_flops),
    "GridSample": Kind({"mode": "linear", "padding_mode": "zeros"}, flops=count.sampled_flops),
    "AffineGrid": Kind({"align_corners": 0}, macs=count.affine_macs, flops=count.affine_flops),
    **{kind: Kind({"axis": -2, "inverse": 0, "onesided": 0}, flops=count.fourier_flops) for kind in ("DFT", "STFT")},
    "Det": Kind(flops=count.determinant_flops),
    **{kind: Kind(flops=count.per_input) for kind in ("SoftmaxCrossEntropyLoss", "NegativeLogLikelihoodLoss")},
    "CumProd": Kind({"exclusive": 0, "reverse": 0}, flops=count.per_output),
    "CumSum": Kind({"exclusive": 0, "reverse": 0}, flops=count.per_output),
    "TopK": Kind({"axis": -1}),
    # operations that move values
    "Concat": Kind({"axis": 1}),
    "ConcatFromSequence": Kind({"axis": 0, "new_axis": 0}),
    **{kind: Kind() for kind in _NOT_COMPUTED.split()},
    "Col2Im": Kind({"kernel_shape": None, "strides": None, "dilations": None, "pads": None}),
    "Slice": _move(axes=None, starts=None, ends=None, steps=None),
    "Transpose": _move(perm=None),
    "Pad": Kind({"mode": "constant", "pads": None}),
    "Gather": _move(axis=0),
    "GatherElements": _move(axis=0),
    "GatherND": _move(batch_dims=0),
    "ScatterElements": Kind({"axis": 0}, aliases=("Scatter",)),
    "ScatterND": Kind(),
    "Expand": Kind(),
    "Tile": Kind(),
    "Cast": Kind({"to": None}),
    "CastLike": Kind(),
    "DepthToSpace": Kind({"blocksize": None, "mode": "DCR"}),
    "SpaceToDepth": Kind({"blocksize": None}),
    "Resize": Kind({"mode": "nearest"}, aliases=("Upsample",)),
    "Trilu": Kind({"upper": 1}),
    "ReverseSequence": Kind({"batch_axis": 1, "time_axis": 0}),
    "OneHot": Kind({"axis": -1}),
    "NonZero": Kind(),
    "Compress": Kind({"axis": None}),
    **{kind: Kind({"axis": 1}) for kind in ("QuantizeLinear", "DequantizeLinear")},
    "DynamicQuantizeLinear": Kind(),
    "Reshape": _view(),
    "Flatten": _view(axis=1),
    "Squeeze": _view(),
    "Unsqueeze": _view(),
    "Identity": _view(),
    "BitCast": _view(to=None),
    "Dropout": _view(ratio=0.5),
    "Take": _view(index=None),  # a further output of the operation that it reads
    "Zero": Kind(read=count.nothing),  # the operation "none" of cell spaces: zeros in the shape of its input
    **RUNTIME_OPS,
}

ALIASES: dict[str, str] = {alias: name for name, kind in OPS.items() for alias in kind.aliases}

# Kinds whose output has the shape to which their operands are broadcast
ELEMENTWISE = {
    *(*_GENERAL_ONES.split(), *_LOGIC_ONES.split(), *_COMPARISONS.split(), *_LOGIC_PAIRS.split()),
    *("Add", "Sub", "Mul", "Div", "Pow", "Mod", "Max", "Min", "Mean", "Relu", "Clip", "LeakyRelu", "ThresholdedRelu"),
    *("Elu", "Celu", "Selu", "SwiGLU", "Gelu", "Swish", "HardSigmoid", "Shrink", "Softmax", "LogSoftmax", "Hardmax"),
    *("Identity", "Cast", "CastLike"),
}

# Constants from this slot on are weights that the kind implies, or are described by the attributes. Constants before it
# are counted in the attribute ``constant``.
DESCRIBED_FROM = {
    **dict.fromkeys(
        (
            *("Reshape", "Expand", "Tile", "Slice", "Clip", "Pad", "Squeeze", "Unsqueeze", "Resize", "TopK", "Dropout"),
            *("DeformConv", "CausalConvWithState", "CumProd", "RotaryEmbedding"),
            *("Trilu", "OneHot", "CumSum", "Split", "Gather", "GatherElements", "GatherND", "ReverseSequence"),
            *("Compress", "Conv", "ConvTranspose", "ConvInteger", "QLinearConv", "BatchNormalization", "Gemm"),
            *("LSTM", "GRU", "RNN", "QuantizeLinear", "DequantizeLinear", "Shrink", "ScatterElements", "ScatterND"),
            *(kind for kind in OPS if kind.startswith("Reduce")),
        ),
        1,
    ),
    "GroupNormalization": 3,
    **dict.fromkeys(RUNTIME_OPS, 0),
}

_DEFAULTS = {
    name: tuple((attribute, default) for attribute, default in kind.attributes.items() if default is not None)
    for name, kind in OPS.items()
}


def filled(op: Op) -> Op:
    """The operation under its name in the op table, defaults filled in, numbers converted to the default's type."""
    name = ALIASES.get(op.kind, op.kind)
    attributes: dict[str, Value] = dict(op.attributes)
    for attribute, default in _DEFAULTS.get(name, ()):
        value = default(op) if callable(default) else default
        given = attributes.setdefault(attribute, value)
        other = type(given) is not type(value) and isinstance(given, int | float) and isfinite(given)
        if other and isinstance(value, int | float) and isinstance(given, int | float):
            attributes[attribute] = type(value)(given)  # 1, 1.0 and True are equal in Python, but not in JSON
    for attribute, given in attributes.items():
        if type(given) is float:
            attributes[attribute] = float(f"{given:.6g}")  # as precise as the float32 that files hold
    return Op(name, tuple(sorted(attributes.items())), op.shape, op.constants)
