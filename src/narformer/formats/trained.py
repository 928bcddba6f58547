"""Which stored tensors training changes, if the source does not state it: by the slot of the operation that reads it.

An ONNX file holds weights, running statistics, tables and masks alike. Initializers of real numbers count as trained,
integers and truth values do not; the slots below are exceptions.
"""

from dataclasses import replace

from narformer.network.tensors import Tensor
from narformer.network.weights import RUNNING

__all__ = ["decided"]

TRAINED: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(("Conv", "ConvTranspose", "Gemm", "BatchNormalization", "InstanceNormalization"), (1, 2)),
    **dict.fromkeys(("LayerNormalization", "GroupNormalization"), (1, 2)),
    **dict.fromkeys(("RMSNormalization", "PRelu", "MatMul", "ConvInteger", "MatMulInteger"), (1,)),
    **dict.fromkeys(("LSTM", "GRU", "RNN"), (1, 2, 3, 7)),
    "DeformConv": (1, 3),
    "CausalConvWithState": (1, 2),
    "QLinearConv": (3, 8),
    "QLinearMatMul": (3,),
    "DequantizeLinear": (0,),
}
NOT_TRAINED: dict[str, tuple[int, ...]] = {
    **RUNNING,
    **dict.fromkeys(("QuantizeLinear", "DequantizeLinear"), (1, 2)),
    **dict.fromkeys(("QLinearConv", "QLinearMatMul"), (1, 2, 4, 5, 6, 7)),
    **dict.fromkeys(("ConvInteger", "MatMulInteger"), (2, 3)),
    **dict.fromkeys(("Resize", "Clip", "Pad", "OneHot", "Dropout"), (1, 2, 3)),
    **dict.fromkeys(("LSTM", "GRU", "RNN"), (4, 5, 6)),
}


def decided(kind: str, slot: int, tensors: tuple[Tensor, ...], count: int = 0) -> tuple[Tensor, ...]:
    """The tensors of an operand, marked as trained or not.

    Weights of ``count`` values that a file does not store but computes, such as zeros, count as if they were stored.
    """
    if not tensors and count and slot in (*TRAINED.get(kind, ()), *RUNNING.get(kind, ())):
        return (Tensor(count, trained=slot not in RUNNING.get(kind, ())),)
    if slot in TRAINED.get(kind, ()):
        least = 2 if any(tensor.count > 1 for tensor in tensors) else 1  # a number beside a weight is not trained
        return tuple(
            replace(tensor, trained=tensor.count >= least and tensor.dtype not in ("bool", "int64"))
            for tensor in tensors
        )
    if slot in NOT_TRAINED.get(kind, ()):
        return tuple(replace(tensor, trained=False) for tensor in tensors)
    return tensors
