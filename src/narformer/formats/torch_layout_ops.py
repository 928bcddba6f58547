"""PyTorch operations that only move values or change the shape."""

import torch

from narformer.formats.builder import Constant, Shape, slices
from narformer.formats.torch_call import Call, Lazy, Translation

__all__ = ["MOVES", "cut"]


def _view(call: Call) -> int:
    return call.add("Reshape", [call["self"]])


def _same(call: Call) -> int:
    return call.add("Identity", [call["self"] if call["self"] is not None else call["input"]])


def _dropout(call: Call) -> int:
    return call.add("Dropout", [call["input"]], ratio=float(call["p"]))


def _permute(call: Call) -> int:
    rank = len(call.shapes["self"])
    return call.add("Transpose", [call["self"]], perm=tuple(axis % rank for axis in call["dims"]))


def _swap(call: Call) -> int:
    rank = len(call.shapes["self"])
    one, other = (call["dim0"] % rank, call["dim1"] % rank) if call["dim0"] is not None else (0, rank - 1)
    perm = list(range(rank))
    perm[one], perm[other] = other, one
    return call.add("Transpose", [call["self"]], perm=tuple(perm))


def _concat(call: Call) -> int:
    return call.add("Concat", call["tensors"], axis=call["dim"] % len(call.out))


def _stack(call: Call) -> int:
    axis = call["dim"] % len(call.out)
    parts = []
    for tensor, shape in zip(call["tensors"], call.shapes["tensors"], strict=True):
        wide = (*shape[:axis], 1, *shape[axis:])
        parts.append(Constant(wide) if isinstance(tensor, Constant) else call.add("Reshape", [tensor], wide))
    return call.add("Concat", parts, axis=axis)


def cut(call: Call, start: int, end: int, step: int = 1) -> int:
    """Part of the argument ``self`` along the argument ``dim``."""
    shape, axis = call.shapes["self"], call["dim"] or 0
    op = slices(shape, (axis,), (start,), (end,), (step,))
    return call.builder.add("Slice", op.shape, [call["self"]], dict(op.attributes))


def _slice(call: Call) -> int:
    end = call["end"]
    return cut(call, call["start"] or 0, 2**62 if end is None else end, call["step"] or 1)


def _select(call: Call) -> int:
    size = call.shapes["self"][call["dim"]]
    start = call["index"] % size
    return call.add("Reshape", [cut(call, start, start + 1)])


def _narrow(call: Call) -> int:
    return cut(call, call["start"], call["start"] + call["length"])


def _parts(call: Call) -> list[Lazy]:
    """split, chunk, unbind: one Slice per part that is read."""
    axis = (call["dim"] or 0) % len(call.shapes["self"])
    parts, start = [], 0
    for shape in call.out:
        size = 1 if call.name == "unbind" else shape[axis]
        parts.append(Lazy(_part, (call, start, start + size, shape)))
        start += size
    return parts


def _part(call: Call, begin: int, end: int, shape: Shape) -> int:
    part = cut(call, begin, end)
    return call.add("Reshape", [part], shape) if call.name == "unbind" else part


def _embedding(call: Call) -> int:
    return call.add("Gather", [call["weight"], call["indices"]], axis=0)


def _pad(call: Call) -> int:
    rank, pads = len(call.out), list(call["pad"])
    begin, end = [0] * rank, [0] * rank
    for k in range(len(pads) // 2):
        begin[rank - 1 - k], end[rank - 1 - k] = pads[2 * k], pads[2 * k + 1]
    mode = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}.get(str(call["mode"]), "constant")
    value = float(call["value"]) if call["value"] is not None and mode == "constant" else None
    return call.add("Pad", [call["self"]], mode=mode, pads=(*begin, *end), value=value)


def _cast(call: Call) -> int:
    if not isinstance(call["dtype"], torch.dtype):
        return call.add("Identity", [call["self"]])
    name = str(call["dtype"]).removeprefix("torch.").replace("float32", "float").replace("float64", "double")
    return call.add("Cast", [call["self"]], to=name)


def _resize(mode: str) -> Translation:
    return lambda call: call.add("Resize", [call["self"] if call["self"] is not None else call["input"]], mode=mode)


def _glu(call: Call) -> int:
    shape, axis = call.shapes["self"], call["dim"]
    half = shape[axis] // 2
    gate = call.add("Sigmoid", [cut(call, half, 2 * half)])
    return call.add("Mul", [cut(call, 0, half), gate])


def _pixel_shuffle(call: Call) -> int:
    return call.add("DepthToSpace", [call["self"]], blocksize=call["upscale_factor"], mode="CRD")


MOVES: dict[str, Translation] = {
    **dict.fromkeys(("view", "reshape", "flatten", "unflatten", "squeeze", "unsqueeze", "view_as"), _view),
    **dict.fromkeys(("contiguous", "clone", "detach", "alias", "lift_fresh_copy", "feature_dropout"), _same),
    **dict.fromkeys(("dropout", "alpha_dropout"), _dropout),
    "permute": _permute,
    **dict.fromkeys(("transpose", "t", "numpy_T"), _swap),
    **dict.fromkeys(("cat", "concat", "concatenate"), _concat),
    "stack": _stack,
    "slice": _slice,
    "select": _select,
    "narrow": _narrow,
    **dict.fromkeys(("split", "split_with_sizes", "chunk", "tensor_split", "unbind"), _parts),
    "embedding": _embedding,
    "gather": lambda call: call.add("GatherElements", [call["self"], call["index"]], axis=call["dim"]),
    **dict.fromkeys(("pad", "constant_pad_nd"), _pad),
    **dict.fromkeys(("to", "_to_copy", "type_as"), _cast),
    **dict.fromkeys(("expand", "expand_as", "broadcast_to"), lambda call: call.add("Expand", [call["self"]])),
    "repeat": lambda call: call.add("Tile", [call["self"]]),
    **{f"upsample_nearest{n}d": _resize("nearest") for n in (1, 2, 3)},
    "upsample_linear1d": _resize("linear"),
    "upsample_bilinear2d": _resize("linear"),
    "upsample_trilinear3d": _resize("linear"),
    "upsample_bicubic2d": _resize("cubic"),
    "glu": _glu,
    "pixel_shuffle": _pixel_shuffle,
}
