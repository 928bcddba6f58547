"""Which stored tensors training changes, if the source does not state it: by the slot of the operation that reads it.

An ONNX file holds weights, running statistics, tables and masks alike. Initializers of real numbers count as trained,
integers and truth values do not; the slots below are exceptions.
"""

from dataclasses import replace

from narformer.network.runtime_ops import NCHWC, NHWC, RUNTIME
from narformer.network.tensors import BITS, Tensor
from narformer.network.weights import RUNNING

__all__ = ["RUNTIME_TRAINED", "decided"]


def _each(kinds: str, *slots: int, domain: str = RUNTIME) -> dict[str, tuple[int, ...]]:
    return dict.fromkeys([domain + kind for kind in kinds.split()], slots)


# Of the operations of ONNX Runtime. Those that are not listed have tensors of real numbers only, or none.
RUNTIME_TRAINED: dict[str, tuple[int, ...]] = {
    **_each("QLinearConv", 3, 8),
    **_each("QLinearConv QLinearConvTranspose", 3, 8, domain=NHWC),
    **_each("QGemm", 3, 6),
    **_each("MatMulInteger16 MatMulIntegerToFloat", 0, 1, 6),
    **_each("DynamicQuantizeMatMul MatMulBlockQuantizedFp8Weight", 1, 4),
    **_each("MatMulNBits MatMulBlockQuantizedFp4Weight", 1, 5),
    **_each("MatMulBnb4 MatMulFpQ4", 1),
    **_each("MatMulNBitsMlp", 2, 3, 5, 6, 8),
    **_each("MatMulNBitsQkv", 2, 3, 5, 6, 8, 9, 11),
    **_each("QOrderedMatMul", 2, 5),
    **_each("QOrderedAttention", 5, 6, 7, 11, 12, 13),
    **_each("QOrderedLayerNormalization", 2, 3),
    **_each("QAttention", 1, 2),
    **_each("QMoE", 2, 4, 5, 7, 8, 10),
    **_each("DynamicQuantizeLSTM", 1, 2, 3, 7),
    **_each("GatherBlockQuantized", 0),
    **_each("QEmbedLayerNormalization", 2, 3, 4, 5, 6),
    **_each("QLinearAdd QLinearMul", 0, 3),
    **_each("QLinearConcat", *range(2, 64, 3)),
    **_each("QLinearWhere", 1, 4),
}
RUNTIME_NOT_TRAINED: dict[str, tuple[int, ...]] = {
    **_each("QLinearConv", 1, 2, 4, 5, 6, 7),
    **_each("QLinearConv QLinearConvTranspose", 1, 2, 4, 5, 6, 7, domain=NHWC),
    **_each("BatchNormalization", 3, 4, domain=NHWC),
    **_each("Upsample", 1, domain=NCHWC),
    **_each("QGemm", 1, 2, 4, 5, 7, 8),
    **_each("GemmFloat8", 3, 4, 5),
    **_each("MatMulIntegerToFloat", 2, 3, 4, 5),
    **_each("DynamicQuantizeMatMul MatMulBlockQuantizedFp8Weight", 2, 3),
    **_each("MatMulNBits MatMulBlockQuantizedFp4Weight", 2, 3, 4),
    **_each("MatMulBnb4", 2),
    **_each("MatMulNBitsMlp", 4, 7),
    **_each("MatMulNBitsQkv", 4, 7, 10),
    **_each("QOrderedMatMul", 1, 3, 4, 7),
    **_each("QOrderedAttention", 1, 2, 3, 4, 8, 9, 10, 14, 15, 16, 17),
    **_each("QOrderedLayerNormalization", 1, 4),
    **_each("QAttention", 3, 4, 6, 7),
    **_each("GroupQueryAttention", 7, 8, 12, 13),
    **_each("MRotaryEmbedding", 2, 3),
    **_each("QMoE", 3, 6, 9, *range(11, 21)),
    **_each("DynamicQuantizeLSTM", 4, 5, 6, 8, 9, 10, 11),
    **_each("GatherBlockQuantized", 2, 3),
    **_each("QEmbedLayerNormalization", *range(8, 18)),
    **_each("QLinearAdd QLinearMul", 1, 2, 4, 5, 6, 7),
    **_each("QLinearConcat", 0, 1, *(slot for slot in range(3, 64) if slot % 3 != 2)),
    **_each("QLinearWhere", 2, 3, 5, 6, 7, 8),
    **_each("QLinearSigmoid QLinearSoftmax QLinearLeakyRelu QLinearReduceMean", 1, 2, 3, 4),
    **_each("QLinearAveragePool QLinearGlobalAveragePool", 1, 2, 3, 4),
}
# Operations that read quantised values of any origin; scalars are no weights
ANY = {"DequantizeLinear", *(RUNTIME + kind for kind in ("QLinearAdd", "QLinearMul", "QLinearConcat", "QLinearWhere"))}

TRAINED: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(("Conv", "ConvTranspose", "BatchNormalization"), (1, 2)),
    **dict.fromkeys(("Gemm", "Einsum"), (0, 1, 2)),
    **dict.fromkeys(("LayerNormalization", "GroupNormalization"), (1, 2)),
    **dict.fromkeys(("RMSNormalization", "PRelu", "ConvInteger"), (1,)),
    **dict.fromkeys(("MatMul", "MatMulInteger"), (0, 1)),
    **dict.fromkeys(("LSTM", "GRU", "RNN"), (1, 2, 3, 7)),
    "DeformConv": (1, 3),
    "CausalConvWithState": (1, 2),
    "QLinearConv": (3, 8),
    "QLinearMatMul": (0, 3),
    **dict.fromkeys(("DequantizeLinear", "Gather"), (0,)),
    **RUNTIME_TRAINED,
}
NOT_TRAINED: dict[str, tuple[int, ...]] = {
    **RUNNING,
    **dict.fromkeys(("QuantizeLinear", "DequantizeLinear"), (1, 2)),
    **dict.fromkeys(("QLinearConv", "QLinearMatMul"), (1, 2, 4, 5, 6, 7)),
    **dict.fromkeys(("ConvInteger", "MatMulInteger"), (2, 3)),
    "RotaryEmbedding": (1, 2),  # tables of cosines and sines
    **dict.fromkeys(("Resize", "Clip", "Pad", "OneHot", "Dropout"), (1, 2, 3)),
    **dict.fromkeys(("LSTM", "GRU", "RNN"), (4, 5, 6)),
    "STFT": (1, 2, 3),  # a window function
    **dict.fromkeys(("GridSample", "MaxRoiPool", "RoiAlign"), (1, 2)),  # places in an image
    "NonMaxSuppression": (0, 1, 2, 3, 4),
    **dict.fromkeys(("NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss"), (1, 2)),  # factors of the classes
    **dict.fromkeys(("CausalConvWithState", "LinearAttention"), (3,)),  # states before the first step
    "Attention": (4, 5),
    "CastLike": (1,),
    # No gradient passes a comparison.
    **dict.fromkeys(("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"), (0, 1)),
    **RUNTIME_NOT_TRAINED,
}


def _may_be_trained(kind: str, tensor: Tensor) -> bool:
    if kind in ANY and tensor.count < 2:
        return False
    if kind == "Gather":  # a table of embeddings may be quantised; other integers are indices
        return tensor.trained or (tensor.dtype != "bool" and BITS.get(tensor.dtype, 64) <= 8)
    return tensor.dtype not in ("bool", "int64")


def decided(kind: str, slot: int, tensors: tuple[Tensor, ...], count: int = 0) -> tuple[Tensor, ...]:
    """The tensors of an operand, marked as trained or not.

    Weights of ``count`` values that a file does not store but computes, such as zeros, count as if they were stored.
    """
    holds = slot in (*TRAINED.get(kind, ()), *RUNNING.get(kind, ()))
    if not tensors and count and holds and kind not in (*ANY, "Gather"):
        return (Tensor(count, trained=slot not in RUNNING.get(kind, ())),)
    if slot in TRAINED.get(kind, ()):
        least = 2 if any(tensor.count > 1 for tensor in tensors) else 1  # a number beside a weight is rarely trained
        return tuple(
            [replace(t, trained=(t.count >= least or t.trained) and _may_be_trained(kind, t)) for t in tensors]
        )
    if slot in NOT_TRAINED.get(kind, ()):
        return tuple(replace(tensor, trained=False) for tensor in tensors)
    return tensors
