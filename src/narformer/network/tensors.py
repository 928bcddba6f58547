"""Tensors that are stored with a network: weights, running statistics, tables, scalars."""

from dataclasses import dataclass

__all__ = ["BITS", "ConstantOperand", "Tensor", "stored_bytes"]

# Bits of one value of each type; types of ONNX under the names of numpy and torch
BITS = {
    "float64": 64, "int64": 64, "uint64": 64, "complex64": 64, "complex128": 128,
    "float32": 32, "int32": 32, "uint32": 32,
    "float16": 16, "bfloat16": 16, "int16": 16, "uint16": 16,
    "int8": 8, "uint8": 8, "bool": 8, "float8_e4m3fn": 8, "float8_e4m3fnuz": 8, "float8_e5m2": 8,
    "float8_e5m2fnuz": 8, "float8_e8m0fnu": 8,
    "int4": 4, "uint4": 4, "float4_e2m1": 4, "int2": 2, "uint2": 2,
}  # fmt: skip


@dataclass(frozen=True)
class Tensor:
    """A tensor that is stored with a network.

    count:    number of values
    dtype:    a key of BITS; "" for any other type
    trained:  whether training changes it
    identity: number of a tensor that is read several times, unique in its network; 0 for a tensor that is read once
    """

    count: int
    dtype: str = "float32"
    trained: bool = True
    identity: int = 0


@dataclass(frozen=True)
class ConstantOperand:
    """An operand that does not depend on an input.

    slot:    its position among the operands
    shape:   of the operand; None if it is not known
    tensors: the stored tensors that it is computed from; usually itself, none if it is computed from shapes only
    """

    slot: int
    shape: tuple[int, ...] | None
    tensors: tuple[Tensor, ...] = ()


def stored_bytes(tensor: Tensor) -> int:
    """Bytes of a stored tensor; 0 if its type is not in BITS. Types below eight bits are packed."""
    return -(-tensor.count * BITS.get(tensor.dtype, 0) // 8)
