"""The part of the table of operations that ONNX Runtime adds to ONNX, and that of ``ai.onnx.ml``.

ONNX Runtime's optimiser and quantiser write these kinds; their names begin with their domain. Those that are standard
operations under another name are not here, because the reader translates them. Also not here are operations whose work
does not follow from shapes (searches, sparse and paged attention, operations on texts); they are named as uncounted.
"""

from collections.abc import Iterator, Mapping

from narformer.network import counting as count
from narformer.network import runtime_counting as runtime
from narformer.network.counting import Rule
from narformer.network.kind import Default, Kind

__all__ = ["LEARNING", "NCHWC", "NHWC", "RUNTIME", "RUNTIME_OPS"]

RUNTIME, NCHWC, NHWC, LEARNING = "com.microsoft.", "com.microsoft.nchwc.", "com.ms.internal.nhwc.", "ai.onnx.ml."

_WINDOW: Mapping[str, Default] = {"kernel_shape": None, "strides": None, "pads": None, "dilations": None}
_CONV: Mapping[str, Default] = {**_WINDOW, "group": 1, "activation": None}
_PRODUCT: Mapping[str, Default] = {"trans_a": None, "trans_b": None, "activation": None}
_HEADS: Mapping[str, Default] = {"num_heads": None, "total_sequence_length": None, "unidirectional": 0}
_PACKED: Mapping[str, Default] = {"bits": None, "block_size": None}


def _convolution(slot: int, *offsets: int, **attributes: Default) -> Kind:
    macs = runtime.filters(slot)
    return Kind({**_CONV, **attributes}, macs=macs, flops=runtime.less_one(macs, *offsets))


def _transposed(slot: int, *offsets: int) -> Kind:
    macs = runtime.transposed(slot)
    return Kind({**_CONV, "output_padding": None}, macs=macs, flops=runtime.twice(macs, *offsets))


def _product(*offsets: int, **attributes: Default) -> Kind:
    return Kind({**_PRODUCT, **attributes}, macs=runtime.product, flops=runtime.less_one(runtime.product, *offsets))


def _products(macs: Rule, *offsets: int, **attributes: Default) -> Kind:
    return Kind(attributes, macs=macs, flops=runtime.twice(macs, *offsets))


def _attention(work: runtime.Work, **attributes: Default) -> Kind:
    return Kind({**_HEADS, **attributes}, macs=runtime.attention_macs(work), flops=runtime.attention_flops(work))


def _each(flops: int, *further: int, **attributes: Default) -> Kind:
    return Kind(attributes, flops=runtime.each(flops, *further))


def _group_norm(flops: int, *further: int) -> Kind:
    attributes: Mapping[str, Default] = {"groups": None, "channels_last": 1, "activation": None}
    return Kind(attributes, flops=runtime.each(flops, *further))


def _move(**attributes: Default) -> Kind:
    return Kind(attributes, read=count.read_kept)


def _pools(domain: str) -> Iterator[tuple[str, Kind]]:
    """The pools of the domains whose images do not have their channels first."""
    yield f"{domain}MaxPool", Kind({**_WINDOW, "ceil_mode": 0})
    yield f"{domain}AveragePool", Kind({**_WINDOW, "ceil_mode": 0, "count_include_pad": 0}, flops=count.pool_flops)
    yield f"{domain}GlobalAveragePool", Kind(flops=count.per_input)
    yield f"{domain}GlobalMaxPool", Kind()


_CONVOLUTIONS = {
    "FusedConv": _convolution(1, 2, 3),
    "NhwcConv": _convolution(1, 2),
    "NhwcFusedConv": _convolution(1, 2, 3),
    "QLinearConv": _convolution(3, 8, channels_last=None),
    "ConvTransposeWithDynamicPads": _transposed(1, 3),
    "CausalConvWithState": _convolution(1, 2, channels_last=0, dilation=1),
    "VarlenCausalConvWithState": _convolution(1, 3, dilation=1),
}
_PRODUCTS = {
    "FusedGemm": _product(2),
    "FusedMatMul": _product(trans_batch_a=None, trans_batch_b=None),
    "FusedMatMulActivation": _product(trans_batch_a=None, trans_batch_b=None),
    "GemmFastGelu": _products(runtime.product, 2),
    "GemmFloat8": _product(2),
    "QGemm": _product(6),
    "MatMulInteger16": _product(),
    "MatMulIntegerToFloat": _product(6),
    "DynamicQuantizeMatMul": _product(4),
    "MatMulNBits": _product(5, **_PACKED),
    "MatMulBnb4": _product(block_size=None),
    "MatMulFpQ4": _product(),
    "MatMulBlockQuantizedFp4Weight": _product(5, block_size=16),
    "MatMulBlockQuantizedFp8Weight": _product(4, block_size=128),
    "QOrderedMatMul": _product(5, 6),
    "MatMulNBitsMlp": Kind({**_PACKED, "activation": None}, macs=runtime.gated, flops=runtime.twice(runtime.gated)),
    "MatMulNBitsQkv": _products(runtime.three_products, Nq=None, Nkv=None, **_PACKED),
    "MoE": _products(runtime.experts(2, 4, 6), k=1, activation_type="relu", swiglu_fusion=0),
    "QMoE": _products(
        runtime.experts(2, 5, 8), k=1, activation_type="relu", swiglu_fusion=0, expert_weight_bits=4, block_size=None
    ),
    "DynamicQuantizeLSTM": Kind(
        {"hidden_size": None, "direction": "forward"},
        macs=runtime.dynamic_lstm_macs,
        flops=runtime.dynamic_lstm_flops,
    ),
    "CDist": Kind({"metric": None}, macs=runtime.distances, flops=runtime.distances_flops),
    "Inverse": _products(runtime.inverse),
    "GatedRelativePositionBias": _products(runtime.two_products, num_heads=None),
    **dict.fromkeys(("Rfft", "Irfft"), Kind({"signal_ndim": 1}, flops=runtime.fourier)),
}
_PROJECTED = {"qkv_hidden_sizes": None}
_ATTENTIONS = {
    "Attention": _attention(runtime.projected(4, 1), **_PROJECTED),
    "QAttention": _attention(runtime.projected(8, 1)),
    "QOrderedAttention": _attention(runtime.projected(18, 5, 6, 7), **_PROJECTED),
    "DecoderMaskedSelfAttention": _attention(runtime.projected(4, 1)),
    "PackedAttention": _attention(runtime.projected(99, 1), **_PROJECTED),
    "MultiHeadAttention": _attention(runtime.multi_head),
    "PackedMultiHeadAttention": _attention(runtime.packed_multi_head),
    "GroupQueryAttention": _attention(runtime.grouped, kv_num_heads=None, do_rotary=0, local_window_size=-1, causal=1),
    "DecoderMaskedMultiHeadAttention": _attention(runtime.one_query),
    "GatedDeltaNet": _products(runtime.gated_delta, update_rule="gated_delta"),
}
_NORMS = {
    "SkipLayerNormalization": _each(9, 4),
    "SkipSimplifiedLayerNormalization": _each(5, 3),
    "EmbedLayerNormalization": Kind(flops=runtime.each(9, 4), read=count.read_kept),
    "QEmbedLayerNormalization": Kind(flops=runtime.each(9, 4), read=count.read_kept),
    "QOrderedLayerNormalization": _each(8, axis=-1),
    "GroupNorm": _group_norm(8),
    "SkipGroupNorm": _group_norm(9, 4),
    "BranchwiseRMSNorm": _each(4, num_branches=None),
    "GatedRMSNorm": _each(5, activation="silu"),
}
_ELEMENTWISE = {
    "FastGelu": _each(2),  # with an offset
    "BiasGelu": _each(2),
    "BiasAdd": _each(2),
    "BiasSoftmax": _each(4, axis=1),
    "BiasSplitGelu": _each(4),
    "BiasDropout": _each(1, 2),
    "ScaledSiLU": _each(2, alpha=1.0),
    "GatedAdd": _each(2),
    "LinearAttentionGate": _each(3, 3),
    "ComplexMul": _each(3),
    "ComplexMulConj": _each(3),
    "MRotaryEmbedding": _each(3, num_heads=None, interleaved=0, rotary_embedding_dim=None, mrope_section=None),
    "GemmaRotaryEmbedding": Kind(flops=runtime.rotary_pair),
    "MulInteger": _each(1),
    "QLinearAdd": _each(1),
    "QLinearMul": _each(1),
    "QLinearLeakyRelu": _each(1, alpha=0.01),
    "QLinearSigmoid": _each(1),
    "QLinearSoftmax": _each(3, axis=-1),
    "QLinearWhere": Kind(),
    "QOrderedGelu": _each(1),
}
_SUMS = {
    "QLinearAveragePool": Kind({**_WINDOW, "ceil_mode": 0, "channels_last": 0}, flops=count.pool_flops),
    "QLinearGlobalAveragePool": Kind({"channels_last": 0}, flops=count.per_input),
    "QLinearReduceMean": Kind({"axes": None, "keepdims": 1}, flops=count.per_input),
    "ReduceSumInteger": Kind({"axes": None, "keepdims": 1}, flops=count.per_input),
    "NhwcMaxPool": Kind({**_WINDOW, "ceil_mode": 0}),
    "MaxpoolWithMask": Kind(_WINDOW),
}
_MOVES = {
    "QLinearConcat": Kind({"axis": None}),
    "GatherBlockQuantized": _move(**_PACKED, gather_axis=0, quantize_axis=1),
    "RelativePositionBias": _move(max_distance=None, is_bidirectional=0),
    "CropAndResize": _move(mode="bilinear"),
    "UnfoldTensor": _move(dim=-1, size=None, step=1),
    "RemovePadding": Kind(),
    "RestorePadding": Kind(),
    "QuantizeWithOrder": Kind(),
    "DequantizeWithOrder": Kind(),
    "NGramRepeatBlock": Kind({"ngram_size": None}),
    "MurmurHash3": Kind(),
    "IsAllFinite": Kind(),
}
_BLOCKED = {
    **dict(_pools(NCHWC)),
    f"{NCHWC}Conv": _convolution(1, 2, 3),
    f"{NCHWC}ReorderInput": Kind({"channels_last": 0}),
    f"{NCHWC}ReorderOutput": Kind({"channels_last": 0, "channels": None}),
    f"{NCHWC}Upsample": Kind({"mode": "nearest", "scales": None}),
}
_CHANNELS_LAST = {
    **dict(_pools(NHWC)),
    f"{NHWC}Conv": _convolution(1, 2),
    f"{NHWC}ConvTranspose": _transposed(1, 2),
    f"{NHWC}QLinearConv": _convolution(3, 8),
    f"{NHWC}QLinearConvTranspose": _transposed(3, 8),
    f"{NHWC}LpPool": Kind({**_WINDOW, "ceil_mode": 0, "p": 2}, flops=count.pool_flops),
    f"{NHWC}QLinearAveragePool": _SUMS["QLinearAveragePool"],
    f"{NHWC}GlobalLpPool": Kind({"p": 2}, flops=count.per_input),
    f"{NHWC}MaxUnpool": Kind(_WINDOW),
    f"{NHWC}BatchNormalization": Kind({"epsilon": 1e-5, "activation": None}, flops=count.norm_flops),
    f"{NHWC}InstanceNormalization": Kind({"activation": None}, flops=count.layer_norm_flops),
    f"{NHWC}LRN": Kind({"size": None}, flops=count.norm_flops),
    f"{NHWC}DepthToSpace": Kind({"blocksize": None, "mode": "DCR"}),
    f"{NHWC}SpaceToDepth": Kind({"blocksize": None}),
    f"{NHWC}Resize": Kind({"mode": "nearest"}),
    f"{NHWC}GridSample": Kind({"mode": None}),
}
_FITTED = {  # ai.onnx.ml
    "LinearClassifier": _products(runtime.linear_model, post_transform="NONE"),
    "LinearRegressor": _products(runtime.linear_model, post_transform="NONE", targets=1),
    "SVMClassifier": _products(runtime.support_vectors, kernel_type="LINEAR"),
    "SVMRegressor": _products(runtime.support_vectors, kernel_type="LINEAR"),
    **dict.fromkeys(("TreeEnsemble", "TreeEnsembleClassifier", "TreeEnsembleRegressor"), Kind()),
    "Scaler": _each(2),
    "Normalizer": Kind({"norm": "MAX"}, flops=count.norm_flops),
    "FeatureVectorizer": Kind(),
    "ArrayFeatureExtractor": Kind(read=count.read_kept),
    **dict.fromkeys(("Binarizer", "Imputer", "LabelEncoder", "CategoryMapper", "OneHotEncoder"), Kind()),
    **dict.fromkeys(("CastMap", "DictVectorizer", "ZipMap"), Kind()),
}

RUNTIME_OPS: dict[str, Kind] = {
    **{
        RUNTIME + name: kind
        for part in (_CONVOLUTIONS, _PRODUCTS, _ATTENTIONS, _NORMS, _ELEMENTWISE, _SUMS, _MOVES)
        for name, kind in part.items()
    },
    **_BLOCKED,
    **_CHANNELS_LAST,
    **{LEARNING + name: kind for name, kind in _FITTED.items()},
}
