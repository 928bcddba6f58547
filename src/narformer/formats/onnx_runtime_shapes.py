"""Shapes of ONNX Runtime's operations. Letters: B batch, S queries, T keys, H heads, D channels."""

from narformer.formats.builder import Shape
from narformer.formats.onnx_guard import absurd
from narformer.formats.onnx_learning_shapes import LEARNING_RULES, LEARNING_TYPES
from narformer.formats.onnx_node import BOOL, FLOAT, INT32, UINT8, Node, Rule, Shapes, Typed, Types, broadcast, same
from narformer.formats.onnx_window_shapes import WINDOW_RULES
from narformer.network.runtime_ops import RUNTIME

__all__ = ["RULES", "followed"]


# --- products ---


def _matrix(node: Node) -> Shapes:
    """A matrix product whose factors, or their batch axes, may be turned."""
    return [_product(_turned(node, 0, "A"), _turned(node, 1, "B"))]


def _turned(node: Node, slot: int, name: str) -> Shape:
    shape = node.shape(slot)
    if len(shape) < 2:
        return shape
    if node.number(f"transBatch{name}"):
        shape = (*shape[1:-1], shape[0], shape[-1])
    return (*shape[:-2], shape[-1], shape[-2]) if node.number(f"trans{name}") else shape


def _product(left: Shape, right: Shape) -> Shape:
    rows, columns = left[-2:-1], right[-1:] if len(right) > 1 else ()
    first, second = left[:-2], right[:-2]
    rank = max(len(first), len(second))
    pairs = zip((1,) * (rank - len(first)) + first, (1,) * (rank - len(second)) + second, strict=True)
    return (*(b if a == 1 else a for a, b in pairs), *rows, *columns)


def _gemm(slot: int) -> Rule:
    def rule(node: Node) -> Shapes:
        left, right = node.shape(), node.shape(slot)
        return [(left[-1 if node.number("transA") else 0], right[0 if node.number("transB") else 1])]

    return rule


def _plain(slot: int = 1) -> Rule:
    return lambda node: [_product(node.shape(), node.shape(slot))]


def _to(*widths: str) -> Rule:
    """Rows, with as many columns as an attribute states; then the sum of the rows and their residuals."""

    def rule(node: Node) -> Shapes:
        rows = node.shape()
        return [*((*rows[:-1], node.number(width)) for width in widths), rows]

    return rule


def _bnb(node: Node) -> Shapes:
    return [(*node.shape()[:-1], node.number("N" if node.number("transB", 1) else "K"))]


def _to_rows(node: Node) -> Shapes:
    """Weights are (N, K)."""
    return [(*node.shape()[:-1], node.shape(1)[0])]


def _pre_packed(node: Node) -> Shapes:
    return [(*node.shape()[:-1], node.values(2)[1])]


# --- attention ---


def _present(past: Shape | None, batch: int, heads: int, new: int, size: int, shared: bool) -> Shape:
    """Keys or values after the new ones joined those of the past; a shared buffer keeps its size."""
    before = 0 if past is None else past[-2]
    return (batch, heads, before if shared and before else before + new, size)


def _projected(weights: int, past: int) -> Rule:
    def rule(node: Node) -> Shapes:
        rows, sizes = node.shape(), node.numbers("qkv_hidden_sizes")
        width = node.shape(weights)[-1] // 3 if sizes is None else sizes[2]
        heads = node.number("num_heads", 1)
        before = node.shape(past) if node.has(past) else None
        shared = bool(node.number("past_present_share_buffer"))
        shapes: Shapes = [(*rows[:-1], width)]
        if len(rows) == 3:
            shapes.append((2, *_present(before, rows[0], heads, rows[1], width // heads, shared)))
        return shapes

    return rule


def _multi_head(node: Node) -> Shapes:
    query, heads = node.shape(), node.number("num_heads", 1)
    key = node.shape(1) if node.has(1) else query
    size = query[-1] if len(query) > 3 else query[-1] // heads
    if node.has(2):
        value = node.shape(2)
        wide = heads * value[3] if len(value) == 4 else value[2]
    else:
        wide = heads * key[-1]  # packed keys and values
    new = key[2] if len(key) == 4 else key[1]
    past = node.shape(6) if node.has(6) else None
    shared = node.has(8)
    kept = _present(past, query[0], heads, new, size, shared)
    values = (*kept[:-1], wide // heads)
    return [(*query[:2], wide), kept, values, (query[0], heads, query[1], kept[-2])]


def _grouped(node: Node) -> Shapes:
    query, heads, pairs = node.shape(), node.number("num_heads", 1), node.number("kv_num_heads", 1)
    size = query[-1] // (heads if node.has(1) else heads + 2 * pairs)
    new = node.shape(1)[-2] if node.has(1) else query[1]
    past = node.shape(3) if node.has(3) else None
    kept = _present(past, query[0], pairs, new, size, bool(node.number("sliding_window_cache")))
    if past is not None:
        kept = (*kept[:-1], past[-1])  # as packed as the past
    return [(*query[:2], heads * size), kept, kept, (query[0], heads, query[1], kept[-2])]


def _one_query(node: Node) -> Shapes:
    query, heads = node.shape(), node.number("num_heads", 1)
    past = node.shape(5) if node.has(5) else None
    shared = bool(node.number("past_present_share_buffer"))
    if not node.has(1):
        wide = query[-1] // 3
    else:
        value = node.shape(2)
        wide = heads * value[3] if len(value) == 4 else value[2]
    other = node.has(1) and len(node.shape(1)) == 4
    kept = node.shape(1) if other else _present(past, query[0], heads, 1, wide // heads, shared)
    return [(*query[:2], wide), kept, kept, (query[0], heads, 1, kept[-2])]


def _packed_heads(node: Node) -> Shapes:
    query = node.shape()
    wide = node.shape(2)[-1] if node.has(2) else query[1] * query[3]
    return [(query[0], wide)]


def _window_of(node: Node, *shape: int) -> Shape:
    window = node.number("state_window")
    return (window, *shape) if window else shape


def _linear(node: Node) -> Shapes:
    query, key, value = node.shape(), node.shape(1), node.shape(2)
    heads, pairs = node.number("q_num_heads", 1), node.number("kv_num_heads", 1)
    wide = value[-1] // pairs
    state = _window_of(node, query[0], pairs, key[-1] // pairs, wide)
    return [(*query[:2], max(heads, pairs) * wide), state]


def _gated_delta(node: Node) -> Shapes:
    query = node.shape()
    state = node.shape(6) if node.has(6) else None
    if not node.has(1):
        return [None, state]
    value = node.shape(2)
    return [(query[0], max(query[1], value[1]), value[2]), state]


def _causal(node: Node) -> Shapes:
    image, weight = node.shape(), node.shape(1)
    length = (weight[-1] - 1) * node.number("dilation", 1)
    state = (image[0], length, *image[2:]) if node.number("channels_last") else (*image[:-1], length)
    return [image, _window_of(node, *state)]


def _causal_packed(node: Node) -> Shapes:
    return [node.shape(), node.shape(4), (node.shape(4)[0], node.number("state_update_capacity"), node.shape()[1])]


def _position_bias(node: Node) -> Shapes:
    return [(1, node.shape()[1], node.values(1)[0], node.values(2)[0])]


def _gated_bias(node: Node) -> Shapes:
    batch = node.shape(6)[0] if node.has(6) else node.shape()[0]
    return [(batch, *node.shape(2)[1:])]


# --- norms, elementwise operations, tables ---


def _skip(node: Node) -> Shapes:
    rows = node.shape()
    return [rows, (*rows[:-1], 1), (*rows[:-1], 1), rows]


def _embed(node: Node) -> Shapes:
    tokens, wide = node.shape(), node.shape(2)[-1]
    return [(*tokens, wide), tokens[:1], (*tokens, wide)]


def _half(node: Node) -> Shapes:
    return [(*node.shape()[:-1], node.shape()[-1] // 2)]


def _second(slot: int, *further: int) -> Rule:
    return lambda node: [node.shape(s) for s in (slot, *further)]


def _concat(node: Node) -> Shapes:
    shapes = [node.shape(slot) for slot in range(2, node.operands, 3)]
    axis = node.number("axis") % len(shapes[0])
    return [(*shapes[0][:axis], sum(shape[axis] for shape in shapes), *shapes[0][axis + 1 :])]


def _mean(node: Node) -> Shapes:
    shape = node.shape()
    axes = {axis % len(shape) for axis in node.numbers("axes") or range(len(shape))}
    kept = node.number("keepdims", 1)
    return [tuple([1 if i in axes else n for i, n in enumerate(shape) if kept or i not in axes])]


def _gather(node: Node) -> Shapes:
    table, axis = node.shape(), node.number("gather_axis")
    if node.type(0) == -UINT8:
        table = (*table[:-1], table[-1] * (8 // node.number("bits", 4)))
    axis %= len(table)
    return [(*table[:axis], *node.shape(1), *table[axis + 1 :])]


def _embedding(node: Node) -> Shapes:
    return [(*node.shape(1), node.shape()[-1])]


def _gathered(node: Node) -> Shapes:
    index = node.shape(1)
    return [(*index[:-1], *node.shape()[index[-1] :])]


def _recurrent(node: Node) -> Shapes:
    steps, batch, _ = node.shape()
    directions, hidden, _ = node.shape(2)
    return [(steps, directions, batch, hidden), (directions, batch, hidden), (directions, batch, hidden)]


def _fourier(node: Node) -> Shapes:
    signal = node.shape()
    return [(*signal[:-1], signal[-1] // 2 + 1, 2)]


def _fourier_back(node: Node) -> Shapes:
    signal = node.shape()
    return [(*signal[:-2], 2 * (signal[-2] - 1))]


def _unfold(node: Node) -> Shapes:
    shape, size, step = node.shape(), node.number("size"), node.number("step", 1)
    axis = node.number("dim", -1) % len(shape)
    return [(*shape[:axis], (shape[axis] - size) // step + 1, *shape[axis + 1 :], size)]


def _expand(node: Node) -> Shapes:
    shape = node.shape()
    axis = node.values(1)[0] % (len(shape) + 1)
    return [(*shape[:axis], 1, *shape[axis:])]


def _padded(node: Node) -> Shapes:
    shape, pads = node.shape(), node.values(1)
    return [tuple([n + pads[i] + pads[i + len(shape)] for i, n in enumerate(shape)])]


_SAME = (
    "Gelu FastGelu QuickGelu BiasGelu BiasAdd BiasSoftmax BiasDropout ScaledSiLU GatedAdd ComplexMul ComplexMulConj "
    "LinearAttentionGate RotaryEmbedding MRotaryEmbedding Inverse MoE QMoE GroupNorm SkipGroupNorm BranchwiseRMSNorm "
    "GatedRMSNorm QOrderedLayerNormalization QOrderedGelu QLinearLeakyRelu QLinearSigmoid QLinearSoftmax Trilu "
    "QuantizeLinear DequantizeLinear QuantizeWithOrder DequantizeWithOrder MurmurHash3"
)
_RULES: dict[str, Rule] = {
    **dict.fromkeys(_SAME.split(), same),
    **dict.fromkeys(("FusedMatMul", "FusedMatMulActivation", "TransposeMatMul"), _matrix),
    **dict.fromkeys(("FusedGemm", "GemmFloat8"), _gemm(1)),
    "QGemm": _gemm(3),
    **dict.fromkeys(("GemmFastGelu", "MatMulInteger16", "MatMulIntegerToFloat", "DynamicQuantizeMatMul"), _plain()),
    "QOrderedMatMul": _plain(2),
    "MatMulNBits": _to("N"),
    "MatMulNBitsMlp": _to("N"),
    "MatMulNBitsQkv": _to("Nq", "Nkv", "Nkv"),
    "MatMulBnb4": _bnb,
    "MatMulFpQ4": _pre_packed,
    **dict.fromkeys(("MatMulBlockQuantizedFp4Weight", "MatMulBlockQuantizedFp8Weight"), _to_rows),
    **dict.fromkeys(("Attention", "DecoderMaskedSelfAttention"), _projected(1, 4)),
    "QAttention": _projected(1, 8),
    "PackedAttention": _projected(1, 99),
    "QOrderedAttention": same,
    "MultiHeadAttention": _multi_head,
    "GroupQueryAttention": _grouped,
    "DecoderMaskedMultiHeadAttention": _one_query,
    "PackedMultiHeadAttention": _packed_heads,
    "LinearAttention": _linear,
    "GatedDeltaNet": _gated_delta,
    "CausalConvWithState": _causal,
    "VarlenCausalConvWithState": _causal_packed,
    "RelativePositionBias": _position_bias,
    "GatedRelativePositionBias": _gated_bias,
    "SkipLayerNormalization": _skip,
    "SkipSimplifiedLayerNormalization": _skip,
    "EmbedLayerNormalization": _embed,
    "QEmbedLayerNormalization": _embed,
    "BiasSplitGelu": _half,
    "GemmaRotaryEmbedding": _second(1, 3),
    "NGramRepeatBlock": _second(1),
    **dict.fromkeys(("QLinearAdd", "QLinearMul"), broadcast(0, 3)),
    "QLinearWhere": broadcast(0, 1, 4),
    "MulInteger": broadcast(0, 2),
    "QLinearConcat": _concat,
    **dict.fromkeys(("QLinearReduceMean", "ReduceSumInteger"), _mean),
    "GatherBlockQuantized": _gather,
    "TorchEmbedding": _embedding,
    "GatherND": _gathered,
    "DynamicQuantizeLSTM": _recurrent,
    "Rfft": _fourier,
    "Irfft": _fourier_back,
    "CDist": lambda node: [(node.shape()[0], node.shape(1)[0])],
    "UnfoldTensor": _unfold,
    "ExpandDims": _expand,
    "Pad": _padded,
    "RestorePadding": lambda node: [(*node.shape(1), node.shape()[-1])],
    "IsAllFinite": lambda node: [()],
}
_TYPES: dict[str, Types] = {
    "QuantizeLinear": lambda node: (2 if node.has(2) else UINT8,),
    "DequantizeLinear": (1,),
    "QAttention": (3,),
    "QGemm": lambda node: (8 if node.has(8) else 1,),
    "GemmFloat8": lambda node: (-node.number("dtype", 1),),
    "MatMulInteger16": (INT32,),
    "MulInteger": (INT32,),
    "ReduceSumInteger": (INT32,),
    "MatMulIntegerToFloat": (2,),
    "EmbedLayerNormalization": (2, INT32, 2),
    "QEmbedLayerNormalization": (8, INT32),
    "NGramRepeatBlock": (1,),
    "GemmaRotaryEmbedding": (1, 3),
    "BiasDropout": (0, BOOL),
    "QLinearConcat": (2,),
    "QLinearWhere": (1,),
    "GatherBlockQuantized": (2,),
    "SkipLayerNormalization": (0, FLOAT, FLOAT, 0),
    "SkipSimplifiedLayerNormalization": (0, FLOAT, FLOAT, 0),
    "GroupQueryAttention": lambda node: (0, *((3, 4) if node.has(3) else (0, 0)), 0),
    "IsAllFinite": (BOOL,),
    "MurmurHash3": lambda node: (INT32 if node.number("positive", 1) == 0 else -12,),
    "QuantizeWithOrder": (-3,),
    "DequantizeWithOrder": lambda node: (-node.number("to", 1),),
}
RULES: dict[str, Rule] = {
    **WINDOW_RULES,
    **LEARNING_RULES,
    "SimplifiedLayerNormalization": _skip,
    **{RUNTIME + kind: rule for kind, rule in _RULES.items()},
}
TYPES: dict[str, Types] = {**LEARNING_TYPES, **{RUNTIME + kind: types for kind, types in _TYPES.items()}}


def followed(kind: str, node: Node) -> list[Typed]:
    """The outputs of a node whose kind has a rule."""
    types = TYPES.get(kind, (0,))
    try:
        shapes = RULES[kind](node)
        types = types(node) if callable(types) else types
    except (ArithmeticError, LookupError, TypeError, ValueError):
        return [Typed()] * node.outputs
    found = []
    for position in range(node.outputs):
        shape = shapes[position] if position < len(shapes) else None
        kept = types[min(position, len(types) - 1)]
        found.append(Typed(None if shape is None or absurd(shape) else shape, node.type(kept) if kept >= 0 else -kept))
    return found
