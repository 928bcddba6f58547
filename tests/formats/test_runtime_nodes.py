"""Every operation of ONNX Runtime on its own: MACs and parameters by hand, shapes as ONNX Runtime computes them."""

import numpy as np
import pytest
from onnx import TensorProto, helper
from onnxruntime.capi import onnxruntime_pybind11_state as state
from runtime_networks import constant, floats, given, integers, network, read, run

from narformer.errors import BadFile
from narformer.formats.onnx_reader import read_onnx
from narformer.formats.onnx_runtime_ops import STANDARD
from narformer.formats.onnx_runtime_shapes import RULES
from narformer.network import cost
from narformer.network.ops import OPS
from narformer.network.runtime_ops import RUNTIME, RUNTIME_OPS

SCALE, U8, I8 = floats(1).reshape(()), constant(np.uint8), constant(np.int8)
B, S, H, D, PAST = 2, 3, 4, 8, 5  # batch, new tokens, heads, channels of a head, tokens of the past
WIDE = H * D
ROWS = B * S


def byte(*shape):
    return given(*shape, dtype=np.uint8)


def numbers(*values, dtype=np.int32):
    """An input with these values."""
    entry = given(len(values), dtype=dtype)
    entry.array[:] = values
    return entry


def float8(*shape):
    return helper.make_tensor("", TensorProto.FLOAT8E4M3FN, shape, floats(*shape).reshape(-1))


def case(kind, operands, macs, params, outputs=1, **attributes):
    return pytest.param(kind, operands, macs, params, outputs, attributes, id=kind)


CONV = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
POOL = {"kernel_shape": [2, 2], "strides": [2, 2]}
MATRIX = 6 * 8 * 5  # rows, length, columns
RUN = [
    case("FusedConv", [given(1, 4, 6, 6), floats(8, 2, 3, 3), floats(8), given(1, 8, 6, 6)],
         8 * 36 * 18, 8 * 18 + 8, group=2, activation="Relu", **CONV),
    case("FusedConv", [given(1, 4, 7, 5), floats(8, 4, 3, 3), floats(8)],
         8 * 4 * 3 * 36, 8 * 36 + 8, auto_pad="SAME_UPPER", strides=[2, 2], activation="Relu"),
    case("QLinearConv", [byte(1, 6, 6, 4), SCALE, U8, constant(np.uint8, 8, 2, 3, 3), SCALE, U8, SCALE, U8,
                         constant(np.int32, 8)], 8 * 36 * 18, 8 * 18 + 8, group=2, channels_last=1, **CONV),
    case("QLinearConv", [byte(1, 4, 6, 6), SCALE, U8, constant(np.uint8, 8, 2, 3, 3), SCALE, U8, SCALE, U8],
         8 * 36 * 18, 8 * 18, group=2, **CONV),
    case("ConvTransposeWithDynamicPads", [given(1, 4, 5, 5), floats(4, 3, 2, 2), integers(0, 0, 1, 1, dtype=np.int64)],
         4 * 25 * 3 * 4, 48, strides=[2, 2], kernel_shape=[2, 2]),
    case("CausalConvWithState", [given(2, 4, 7), floats(4, 1, 3), floats(4), given(2, 4, 2)],
         2 * 4 * 7 * 3, 16, outputs=2),
    case("NhwcMaxPool", [byte(1, 6, 6, 4)], 0, 0, **POOL),
    case("MaxpoolWithMask", [given(1, 1, 6, 6), given(1, 1, 6, 6, dtype=np.int32)], 0, 0, **POOL),
    case("QLinearAveragePool", [byte(1, 4, 7, 7), SCALE, U8, SCALE, U8], 0, 0, ceil_mode=1, **POOL),
    case("QLinearAveragePool", [byte(1, 7, 7, 4), SCALE, U8, SCALE, U8], 0, 0, channels_last=1, **POOL),
    case("QLinearGlobalAveragePool", [byte(1, 6, 6, 4), SCALE, U8, SCALE, U8], 0, 0, channels_last=1),
    # products
    case("FusedGemm", [given(8, 6), floats(5, 8), floats(5)], MATRIX, 45, transA=1, transB=1, activation="Relu"),
    case("FusedMatMul", [given(2, 6, 8), floats(5, 8)], 2 * MATRIX, 40, transB=1),
    case("FusedMatMul", [given(2, 8, 6), floats(8, 5)], 2 * MATRIX, 40, transA=1),
    case("FusedMatMul", [given(6, 2, 8), given(2, 8, 5)], 2 * MATRIX, 0, transBatchA=1),
    case("FusedMatMul", [given(8, 2, 6), given(2, 8, 5)], 2 * MATRIX, 0, transBatchA=1, transA=1),
    case("TransposeMatMul", [given(2, 6, 8), floats(5, 8)], 2 * MATRIX, 40, transB=1),
    case("QGemm", [byte(6, 8), SCALE, U8, constant(np.int8, 5, 8), SCALE, I8, constant(np.int32, 5), SCALE, U8],
         MATRIX, 45, transB=1),
    case("QGemm", [byte(6, 8), SCALE, U8, constant(np.int8, 8, 5), floats(5), constant(np.int8, 5)], MATRIX, 40),
    case("MatMulInteger16", [given(6, 8, dtype=np.int16), constant(np.int16, 8, 5)], MATRIX, 40),
    case("MatMulIntegerToFloat", [byte(2, 6, 8), constant(np.uint8, 8, 5), SCALE, floats(5), U8, constant(np.uint8, 5),
                                  floats(5)], 2 * MATRIX, 45),
    case("DynamicQuantizeMatMul", [given(2, 6, 8), constant(np.uint8, 8, 5), floats(5), constant(np.uint8, 5),
                                   floats(5)], 2 * MATRIX, 45),
    case("MatMulNBits", [given(16, 256), constant(np.uint8, 128, 8, 16), floats(128, 8), constant(np.uint8, 128, 4)],
         524_288, 32_768, K=256, N=128, bits=4, block_size=32),
    case("MatMulNBits", [given(2, 3, 64), constant(np.uint8, 5, 2, 32), floats(5, 2), None, None, floats(5)],
         6 * 64 * 5, 325, K=64, N=5, bits=8, block_size=32),
    case("MatMulBnb4", [given(3, 64), constant(np.uint8, 160), floats(5)], 3 * 64 * 5, 320,
         K=64, N=5, block_size=64, quant_type=1),
    case("CDist", [given(4, 6), given(5, 6)], 120, 0, metric="euclidean"),
    case("Inverse", [given(2, 4, 4)], 2 * 64, 0),
    # attention
    case("Attention", [given(B, S, 16), floats(16, 3 * WIDE), floats(3 * WIDE)],
         ROWS * 16 * 3 * WIDE + 2 * ROWS * WIDE * S, 16 * 3 * WIDE + 3 * WIDE, num_heads=H),
    case("Attention", [given(B, S, 16), floats(16, 80), floats(80), None, None, given(1, 1, S, S)],
         ROWS * 16 * 80 + ROWS * (32 + 16) * S, 16 * 80 + 80, num_heads=H, qkv_hidden_sizes=[32, 32, 16]),
    case("Attention", [given(B, S, 16), floats(16, 3 * WIDE), floats(3 * WIDE), None, given(2, B, H, PAST, D)],
         ROWS * 16 * 3 * WIDE + 2 * ROWS * WIDE * (S + PAST), 16 * 3 * WIDE + 3 * WIDE, 2, num_heads=H,
         unidirectional=1),
    case("QAttention", [byte(B, S, 16), constant(np.uint8, 16, 3 * WIDE), floats(3 * WIDE), SCALE, SCALE, None, U8, U8],
         ROWS * 16 * 3 * WIDE + 2 * ROWS * WIDE * S, 16 * 3 * WIDE + 3 * WIDE, num_heads=H),
    case("MultiHeadAttention", [given(B, S, WIDE), given(B, 7, WIDE), given(B, 7, 16), floats(80)],
         ROWS * (WIDE + 16) * 7, 80, num_heads=H),
    case("MultiHeadAttention", [given(B, S, WIDE), given(B, H, 7, D), given(B, H, 7, D)],
         2 * ROWS * WIDE * 7, 0, num_heads=H),
    case("MultiHeadAttention", [*[given(B, S, WIDE)] * 3, None, None, None, *[given(B, H, PAST, D)] * 2],
         2 * ROWS * WIDE * (S + PAST), 0, 3, num_heads=H, unidirectional=1),
    case("GroupQueryAttention", [given(1, 1, WIDE), given(1, 1, 16), given(1, 1, 16), *[given(1, 2, PAST, D)] * 2,
                                 numbers(PAST), integers(PAST + 1)], 2 * WIDE * (PAST + 1), 0, 3,
         num_heads=H, kv_num_heads=2),
    case("GroupQueryAttention", [given(B, S, 64 + 64), None, None, None, None, numbers(S - 1, S - 1), integers(S),
                                 floats(16, 8), floats(16, 8)], 2 * ROWS * 64 * S, 0, 3,
         num_heads=4, kv_num_heads=2, do_rotary=1),
    case("DecoderMaskedMultiHeadAttention", [given(B, 1, WIDE), *[given(B, H, 7, D)] * 2], 2 * B * WIDE * 7, 0,
         num_heads=H),
    case("LinearAttention", [given(B, S, WIDE), given(B, S, WIDE), given(B, S, WIDE), given(B, H, D, D)],
         ROWS * H * D * D * 2, 0, 2, q_num_heads=H, kv_num_heads=H, update_rule="linear"),
    case("LinearAttention", [given(B, S, WIDE), given(B, S, WIDE), given(B, S, WIDE), None, given(B, S, H),
                             given(B, S, H)], ROWS * H * D * D * 3, 0, 2, q_num_heads=H, kv_num_heads=H),
    case("LinearAttention", [given(B, S, 2 * D), given(B, S, WIDE), given(B, S, WIDE), None, given(B, S, H),
                             given(B, S, H)], ROWS * H * D * D * 3, 0, 2, q_num_heads=2, kv_num_heads=H),
    case("CausalConvWithState", [given(2, 4, 7), floats(4, 1, 3), floats(4), given(2, 4, 4)],
         2 * 4 * 7 * 3, 16, outputs=2, dilation=2),
    # experts: 6 rows, 2 of 4 experts
    case("MoE", [given(6, 8), given(6, 4), floats(4, 16, 8), floats(4, 16), floats(4, 8, 16), floats(4, 8)],
         6 * 2 * (2 * 16 * 8), 4 * (2 * 16 * 8 + 16 + 8), k=2, activation_type="gelu"),
    case("QMoE", [given(6, 32), given(6, 4), constant(np.uint8, 4, 32, 16), floats(4, 32), None,
                  constant(np.uint8, 4, 32, 16), floats(4, 32)],
         6 * 2 * (2 * 32 * 32), 4 * 2 * 32 * 32, k=2, activation_type="silu", expert_weight_bits=4),
    case("DynamicQuantizeLSTM", [given(7, 2, 6), constant(np.uint8, 1, 6, 16), constant(np.uint8, 1, 4, 16),
                                 floats(1, 32), None, None, None, None, floats(1), constant(np.uint8, 1), floats(1),
                                 constant(np.uint8, 1)], 14 * (96 + 64), 96 + 64 + 32, 3, hidden_size=4),
    # norms and elementwise operations
    case("SkipLayerNormalization", [given(B, S, 8), given(B, S, 8), floats(8), floats(8), floats(8)], 0, 24),
    case("SkipSimplifiedLayerNormalization", [given(B, S, 8), given(B, S, 8), floats(8)], 0, 8),
    case("EmbedLayerNormalization", [given(B, S, dtype=np.int32), given(B, S, dtype=np.int32), floats(10, 8),
                                     floats(6, 8), floats(2, 8), floats(8), floats(8)], 0, 160, 3),
    case("BranchwiseRMSNorm", [given(B, S, 4, 8), floats(8)], 0, 8),
    case("GatedRMSNorm", [given(B, S, 8), floats(8), given(B, S, 8)], 0, 8),
    case("BiasGelu", [given(B, S, 8), floats(8)], 0, 8),
    case("FastGelu", [given(B, S, 8), floats(8)], 0, 8),
    case("FastGelu", [given(B, S, 8)], 0, 0),
    case("Gelu", [given(B, S, 8)], 0, 0),
    case("QuickGelu", [given(B, S, 8)], 0, 0, alpha=1.7),
    case("ScaledSiLU", [given(B, S, 8)], 0, 0),
    case("GatedAdd", [given(B, S, 8), given(B, S, 8), given(B, S, 1)], 0, 0),
    case("LinearAttentionGate", [given(B, S, 4), floats(4), floats(4), given(B, S, 4)], 0, 8, 2),
    case("RotaryEmbedding", [given(B, S, WIDE), given(B, S, dtype=np.int64), floats(16, 4), floats(16, 4)], 0, 0),
    case("QLinearAdd", [byte(2, 1, 4), SCALE, U8, byte(3, 4), SCALE, U8, SCALE, U8], 0, 0),
    case("QLinearMul", [byte(2, 3, 4), SCALE, U8, constant(np.uint8, 4), SCALE, U8, SCALE, U8], 0, 4),
    case("QLinearLeakyRelu", [byte(2, 4), SCALE, U8, SCALE, U8], 0, 0, alpha=0.1),
    case("QLinearSigmoid", [byte(2, 4), SCALE, U8, SCALE, U8], 0, 0),
    case("QLinearSoftmax", [byte(2, 4), SCALE, U8, SCALE, U8], 0, 0, axis=-1, opset=13),
    case("QLinearWhere", [given(2, 4, dtype=bool), byte(2, 4), SCALE, U8, byte(4), SCALE, U8, SCALE, U8], 0, 0),
    case("QLinearConcat", [SCALE, U8, byte(2, 3), SCALE, U8, byte(2, 4), SCALE, U8], 0, 0, axis=1),
    # operations that move values
    case("GatherBlockQuantized", [constant(np.uint8, 10, 16), given(B, S, dtype=np.int64), floats(10, 2)],
         0, 320, bits=4, block_size=16),
    case("UnfoldTensor", [given(2, 9)], 0, 0, dim=1, size=3, step=2),
    case("ExpandDims", [given(2, 9), integers(1).reshape(())], 0, 0),
    case("CropAndResize", [given(1, 3, 8, 8), given(2, 4), numbers(0, 0), integers(4, 5)], 0, 0),
    case("GridSample", [given(1, 3, 8, 8), given(1, 4, 5, 2)], 0, 0),
    case("Pad", [given(2, 3), integers(0, 1, 0, 2, dtype=np.int64)], 0, 0),
    case("GatherND", [given(4, 3, 2), given(5, 2, dtype=np.int64)], 0, 0),
    case("Trilu", [given(3, 3)], 0, 0),
    case("QuantizeLinear", [given(2, 4), SCALE, constant(np.uint16)], 0, 0),
    case("DequantizeLinear", [given(2, 4, dtype=np.uint16), SCALE, constant(np.uint16)], 0, 0),
    case("NGramRepeatBlock", [given(1, 4, dtype=np.int64), given(1, 9)], 0, 0, ngram_size=2),
    case("MurmurHash3", [given(2, 4, dtype=np.int32)], 0, 0),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "operands", "macs", "params", "outputs", "attributes"), RUN)
def test_an_operation_that_onnx_runtime_runs(kind, operands, macs, params, outputs, attributes):
    data, feed = network(kind, operands, outputs, **attributes)
    _, counted, shapes = read(data)
    assert (counted.macs, counted.params) == (macs, params)
    assert shapes == [value.shape for value in run(data, feed)]


def by_hand(kind, operands, macs, params, shapes, domain="com.microsoft", **attributes):
    return pytest.param(kind, operands, macs, params, shapes, {"domain": domain, **attributes}, id=kind)


NHWC, NCHWC = "com.ms.internal.nhwc", "com.microsoft.nchwc"
TOKENS = [given(B, S, dtype=np.int32), given(B + 1, dtype=np.int32)]  # offsets, and where the sequences begin
PACKED = constant(np.uint8, 8, 2, 16)  # 8 columns of 2 blocks of 32 values of 4 bits
ELSEWHERE = [
    by_hand("NhwcConv", [given(1, 6, 6, 4), floats(8, 2, 3, 3), floats(8)], 36 * 8 * 18, 152, [(1, 6, 6, 8)], group=2,
            **CONV),
    by_hand("NhwcFusedConv", [given(1, 6, 6, 4), floats(8, 4, 3, 3), None, given(1, 6, 6, 8)], 36 * 8 * 36, 288,
            [(1, 6, 6, 8)], **CONV),
    by_hand("Conv", [given(1, 7, 5, 4), floats(8, 4, 3, 3)], 12 * 8 * 36, 288, [(1, 4, 3, 8)], NHWC,
            auto_pad="SAME_UPPER", strides=[2, 2], kernel_shape=[3, 3]),
    by_hand("ConvTranspose", [given(1, 5, 5, 4), floats(4, 3, 2, 2)], 100 * 12, 48, [(1, 10, 10, 3)], NHWC,
            strides=[2, 2], kernel_shape=[2, 2]),
    by_hand("QLinearConv", [byte(1, 6, 6, 4), SCALE, U8, constant(np.uint8, 8, 1, 3, 3), floats(8), U8, SCALE, U8],
            36 * 8 * 9, 72, [(1, 6, 6, 8)], NHWC, group=4, **CONV),
    by_hand("MaxPool", [given(1, 6, 6, 4)], 0, 0, [(1, 3, 3, 4)], NHWC, **POOL),
    by_hand("GlobalAveragePool", [given(1, 6, 6, 4)], 0, 0, [(1, 1, 1, 4)], NHWC),
    by_hand("BatchNormalization", [given(1, 6, 6, 4), *[floats(4)] * 4], 0, 8, [(1, 6, 6, 4)], NHWC),
    by_hand("DepthToSpace", [given(1, 6, 6, 8)], 0, 0, [(1, 12, 12, 2)], NHWC, blocksize=2),
    by_hand("VarlenCausalConvWithState", [given(7, 4), floats(4, 1, 3), numbers(0, 3, 7), floats(4), given(2, 4, 2)],
            7 * 4 * 3, 16, [(7, 4), (2, 4, 2)]),
    by_hand("GemmFastGelu", [given(2, 6, 8), floats(8, 5), floats(5)], 2 * MATRIX, 45, [(2, 6, 5)]),
    by_hand("GemmFloat8", [given(6, 8), floats(5, 8)], MATRIX, 40, [(6, 5)], transB=1, dtype=10),
    by_hand("MatMulBlockQuantizedFp4Weight", [given(6, 8), constant(np.uint8, 5, 4), constant(np.uint8, 5, 1), SCALE],
            MATRIX, 40, [(6, 5)]),
    by_hand("MatMulBlockQuantizedFp8Weight", [given(6, 8), float8(5, 8), floats(5, 1), None, floats(5)], MATRIX, 45,
            [(6, 5)]),
    by_hand("MatMulFpQ4", [given(6, 64), constant(np.uint8, 180), integers(64, 5, dtype=np.int64)], 6 * 64 * 5, 320,
            [(6, 5)]),
    by_hand("MatMulNBitsMlp", [given(3, 64), None, floats(64), PACKED, floats(8, 2), None, PACKED, floats(8, 2)],
            2 * 3 * 64 * 8, 64 + 2 * 512, [(3, 8)], K=64, N=8, bits=4, block_size=32, activation="silu"),
    by_hand("MatMulNBitsQkv", [given(1, 3, 64), given(1, 3, 64), floats(64), PACKED, floats(8, 2), None,
                               constant(np.uint8, 4, 2, 16), floats(4, 2), None, constant(np.uint8, 4, 2, 16),
                               floats(4, 2)], 3 * 64 * 16, 64 + 1024, [(1, 3, 8), (1, 3, 4), (1, 3, 4), (1, 3, 64)],
            K=64, Nq=8, Nkv=4, bits=4, block_size=32),
    by_hand("MultiHeadAttention", [given(B, S, H, 3, D)], 2 * ROWS * WIDE * S, 0, [(B, S, WIDE)], num_heads=H),
    by_hand("MultiHeadAttention", [given(B, S, WIDE), given(B, 7, H, 2, D)], 2 * ROWS * WIDE * 7, 0, [(B, S, WIDE)],
            num_heads=H),
    by_hand("DecoderMaskedMultiHeadAttention", [given(B, 1, 3 * WIDE), *[None] * 4, *[given(B, H, PAST, D)] * 2],
            2 * B * WIDE * (PAST + 1), 0, [(B, 1, WIDE), *[(B, H, PAST + 1, D)] * 2], num_heads=H),
    by_hand("DecoderMaskedSelfAttention", [given(B, 1, 16), floats(16, 3 * WIDE), floats(3 * WIDE), None,
                                           given(2, B, H, PAST, D), None, integers(PAST)],
            B * 16 * 3 * WIDE + 2 * B * WIDE * (PAST + 1), 17 * 3 * WIDE, [(B, 1, WIDE), (2, B, H, PAST + 1, D)],
            num_heads=H),
    by_hand("DecoderMaskedSelfAttention", [given(B, 1, 16), floats(16, 3 * WIDE), floats(3 * WIDE), None,
                                           given(2, B, H, 20, D), None, integers(PAST)],
            B * 16 * 3 * WIDE + 2 * B * WIDE * 20, 17 * 3 * WIDE, [(B, 1, WIDE), (2, B, H, 20, D)],
            num_heads=H, past_present_share_buffer=1),  # a shared buffer counts as full
    by_hand("PackedAttention", [given(5, 16), floats(16, 3 * WIDE), floats(3 * WIDE), *TOKENS],
            5 * 16 * 3 * WIDE + 2 * 5 * WIDE * S, 17 * 3 * WIDE, [(5, WIDE)], num_heads=H),
    by_hand("PackedMultiHeadAttention", [*[given(5, WIDE)] * 3, None, *TOKENS], 2 * 5 * WIDE * S, 0, [(5, WIDE)],
            num_heads=H),
    by_hand("GatedDeltaNet", [given(7, 2, D), given(7, 2, D), given(7, H, 16)], 7 * D * 16 * 3 * H, 0, [(7, H, 16)]),
    by_hand("GatedRelativePositionBias", [given(B, S, WIDE), floats(WIDE), given(1, H, S, S), floats(D, 8), floats(8),
                                          floats(1, H, 1, 1)], ROWS * WIDE * 8, WIDE + 8 * D + 8 + H, [(B, H, S, S)],
            num_heads=H),
    by_hand("GroupNorm", [given(1, 6, 6, 4), floats(4), floats(4)], 0, 8, [(1, 6, 6, 4)], groups=2, activation=1),
    by_hand("SkipGroupNorm", [given(1, 6, 6, 4), floats(4), floats(4), given(1, 6, 6, 4), floats(4)], 0, 12,
            [(1, 6, 6, 4), (1, 6, 6, 4)], groups=2, activation=0),
    by_hand("BiasAdd", [given(B, S, 8), floats(8), given(B, S, 8)], 0, 8, [(B, S, 8)]),
    by_hand("BiasSoftmax", [given(B, H, S, S), given(B, 1, 1, S)], 0, 0, [(B, H, S, S)], is_inner_broadcast=0),
    by_hand("BiasSplitGelu", [given(B, S, 8), floats(8)], 0, 8, [(B, S, 4)]),
    by_hand("Rfft", [given(2, 16)], 0, 0, [(2, 9, 2)], signal_ndim=1),
    by_hand("Irfft", [given(2, 9, 2)], 0, 0, [(2, 16)], signal_ndim=1),
    by_hand("QLinearReduceMean", [byte(2, 3, 4), SCALE, U8, SCALE, U8], 0, 0, [(2, 1, 4)], axes=[1]),
    by_hand("ReorderOutput", [given(1, 16, 6, 6)], 0, 0, [(1, 9, 6, 6)], NCHWC, channels=9),
    by_hand("Upsample", [given(1, 16, 6, 6)], 0, 0, [(1, 16, 12, 12)], NCHWC, scales=[1, 1, 2, 2]),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "operands", "macs", "params", "shapes", "attributes"), ELSEWHERE)
def test_an_operation_for_other_devices(kind, operands, macs, params, shapes, attributes):
    data, _ = network(kind, operands, len(shapes), **attributes)
    _, counted, found = read(data)
    assert (counted.macs, counted.params) == (macs, params)
    assert found == shapes


def test_a_packed_weight_is_as_many_values_of_its_bits():
    packed, scales, zeros = constant(np.uint8, 128, 8, 16), floats(128, 8), constant(np.uint8, 128, 4)
    data, feed = network("MatMulNBits", [given(16, 256), packed, scales, zeros], K=256, N=128, bits=4, block_size=32)
    run(data, feed)
    _, counted, _ = read(data)
    assert (counted.macs, counted.params) == (524_288, 32_768)
    assert counted.stored_bytes == 16_384 + 128 * 8 * 4 + 128 * 4  # the weight, its scales, its zero points
    assert counted.constants == 128 * 8 + 128 * 4


@pytest.mark.parametrize(("bits", "blob"), [(2, 8), (4, 16), (8, 32)])
def test_bits_are_the_bytes_of_a_packed_weight(bits, blob):
    weight = constant(np.uint8, 5, 2, blob)
    data, _ = network("MatMulNBits", [given(3, 64), weight, floats(5, 2)], K=64, N=5, bits=bits, block_size=32)
    _, counted, _ = read(data)
    assert counted.params == 320
    assert counted.stored_bytes == weight.size + 5 * 2 * 4


def test_flops_of_fused_operations():
    """2 n - 1 per product of n values, one per offset and per value that is added; sums, norms and activations."""
    conv = [given(1, 4, 6, 6), floats(8, 4, 3, 3), floats(8), given(1, 8, 6, 6)]
    found = {}
    for name, operands, attributes in (
        ("FusedConv", conv, {"activation": "Relu", **CONV}),
        ("FusedConv", conv[:2], {"activation": "Sigmoid", **CONV}),
        ("SkipLayerNormalization", [given(1, 2, 8), given(1, 2, 8), floats(8), floats(8), floats(8)], {}),
        ("BiasGelu", [given(2, 8), floats(8)], {}),
        ("MultiHeadAttention", [*[given(1, 3, 32)] * 3], {"num_heads": 4}),
    ):
        _, counted, _ = read(network(name, operands, **attributes)[0])
        found[name, len(operands)] = counted.flops
    assert found == {
        ("FusedConv", 4): 288 * (2 * 36 - 1 + 2),
        ("FusedConv", 2): 288 * (2 * 36 - 1 + 1),
        ("SkipLayerNormalization", 5): 16 * (2 + 8),
        ("BiasGelu", 2): 16 * 2,
        ("MultiHeadAttention", 3): 2 * (2 * 3 * 32 * 3) + 3 * 4 * 3 * 3,
    }


RENAMED = {RUNTIME + "QuickGelu", RUNTIME + "RotaryEmbedding"}  # with other attributes or another order of operands
UNCOUNTED = {
    "AttnLSTM",
    "BeamSearch",
    "BifurcationDetector",
    "BitmaskBiasDropout",
    "BitmaskDropout",
    "DecoderAttention",
    "DequantizeBFP",
    "DynamicSparseAttention",
    "DynamicTimeWarping",
    "EPContext",
    "EngramGate",
    "GreedySearch",
    "HyperConnectionPostMix",
    "HyperConnectionPreMix",
    "LongformerAttention",
    "NGramHashMapping",
    "PackedSparseAttentionIndexer",
    "PagedAttention",
    "QOrderedLongformerAttention",
    "QuantizeBFP",
    "SampleOp",
    "Sampling",
    "Snpe",
    "SparseAttention",
    "SparseAttentionIndexer",
    "SparsePagedAttention",
    "SparseToDenseMatMul",
    "Tokenizer",
    "Unique",
    "VarlenNGramHashMapping",
    "WhisperBeamSearch",
    "WordConvEmbedding",
}


def test_every_operation_of_onnx_runtime_is_decided():
    domains = ("com.microsoft", "com.microsoft.nchwc", "com.ms.internal.nhwc", "ai.onnx.ml")
    schemas = {f"{s.domain}.{s.name}" for s in state.get_all_operator_schema() if s.domain in domains}
    known = set(RUNTIME_OPS) | set(STANDARD) | RENAMED
    assert schemas - known <= {RUNTIME + kind for kind in UNCOUNTED}
    assert not {RUNTIME + kind for kind in UNCOUNTED} & known
    assert set(RUNTIME_OPS) <= set(OPS)


def test_an_uncounted_operation_is_named_and_its_weights_are_counted():
    operands = [given(4, 1, 16), given(4, 1, 16), floats(16, 16), floats(16, 32), floats(48)]
    data, _ = network("DecoderAttention", operands, num_heads=2)
    source = read_onnx(data)
    counted = cost(source.architecture)
    assert source.coverage.unknown == {"com.microsoft.DecoderAttention": 1}
    assert counted.params == 256 + 512 + 48
    assert len(counted.unknown) == 1


@pytest.mark.parametrize(("domain", "kind"), [("", "Conv"), ("com.microsoft", "FusedConv")])
def test_groups_that_do_not_fit_are_refused(domain, kind):
    rows = (
        (floats(8, 2, 3, 3), 3, "4 channels in 3 groups|6 channels of the filters"),
        (floats(8, 4, 3, 3), 2, "2 groups.*groups of 4|8 channels of the filters"),
    )
    for weight, group, message in rows:
        data, feed = network(kind, [given(1, 4, 6, 6), weight], domain=domain, group=group, **CONV)
        with pytest.raises(BadFile, match=message):
            read_onnx(data)
        with pytest.raises(Exception, match=r"(?i)channels|group"):
            run(data, feed)


@pytest.mark.parametrize("size", [32, 33])
def test_grouped_convolutions_with_channels_last(size):
    """Groups divide the channels, which are last; the second axis is the height of the image."""
    image = given(1, size, size, 64, dtype=np.uint8)
    operands = [image, SCALE, U8, constant(np.uint8, 32, 2, 3, 3), SCALE, U8, SCALE, U8]
    data, feed = network("QLinearConv", operands, group=32, channels_last=1, **CONV)
    _, counted, shapes = read(data)
    assert counted.macs == size * size * 32 * 2 * 9
    assert shapes == [run(data, feed)[0].shape]


def test_every_rule_for_shapes_is_for_a_known_operation():
    assert set(RULES) <= {*RUNTIME_OPS, *STANDARD, *RENAMED}


def test_a_standard_operation_under_another_name_is_that_operation():
    names = {}
    for kind, operands, attributes in (
        ("SimplifiedLayerNormalization", [given(2, 8), floats(8)], {"domain": "", "axis": -1}),
        ("FastGelu", [given(2, 8)], {}),
        ("QuickGelu", [given(2, 8)], {"alpha": 1.5}),
        ("TransposeMatMul", [given(2, 8), floats(8, 3)], {}),
        ("ExpandDims", [given(2, 8), integers(0).reshape(())], {}),
        ("RotaryEmbedding", [given(B, S, WIDE), given(B, S, dtype=np.int64), floats(16, 4), floats(16, 4)], {}),
        ("CausalConvWithState", [given(2, 4, 7), floats(4, 1, 3)], {"ndim": 1}),
        ("TorchEmbedding", [floats(9, 8), given(2, 3, dtype=np.int64)], {}),
    ):
        data, _ = network(kind, operands, **attributes)
        op = read(data)[0].architecture.ops[-1]
        names[kind] = (op.kind, op.shape, op.get("alpha"), op.get("approximate"))
    assert names == {
        "SimplifiedLayerNormalization": ("RMSNormalization", (2, 8), None, None),
        "FastGelu": ("Gelu", (2, 8), None, "tanh"),
        "QuickGelu": ("Swish", (2, 8), 1.5, None),
        "TransposeMatMul": ("com.microsoft.FusedMatMul", (2, 3), None, None),
        "ExpandDims": ("Unsqueeze", (1, 2, 8), None, None),
        "RotaryEmbedding": ("RotaryEmbedding", (B, S, WIDE), None, None),
        "CausalConvWithState": ("CausalConvWithState", (2, 4, 7), None, None),
        "TorchEmbedding": ("Gather", (2, 3, 8), None, None),
    }


@pytest.mark.parametrize("domain", ["", "com.microsoft"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), [0.5, float("nan")]])
def test_attributes_that_are_no_numbers_are_not_read(domain, value):
    kind = "FusedConv" if domain else "Conv"
    data, _ = network(kind, [given(1, 4, 6, 6), floats(8, 4, 3, 3)], domain=domain, strides=value)
    assert cost(read_onnx(data).architecture).params == 288


def test_a_flag_that_is_no_finite_number_is_not_converted():
    data, _ = network("MultiHeadAttention", [*[given(1, 3, 32)] * 3], num_heads=4, unidirectional=float("inf"))
    assert read(data)[1].macs == 2 * 3 * 32 * 3
