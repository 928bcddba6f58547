"""PyTorch operations that only move values, change the shape or the type, or fill with a constant."""

from typing import Any

from narformer.formats.builder import Shape
from narformer.formats.torch_call import Call, Lazy, Translation, known

__all__ = ["FILLS", "LAYOUTS"]


def _view(call: Call) -> Any:
    return call.add("Reshape", [call[call.first]])


def _same(call: Call) -> Any:
    return call.add("Identity", [call[call.first]])


def _dropout(call: Call) -> Any:
    several = isinstance(call.out, list)
    found = call.add("Dropout", [call[call.first]], call.out[0] if several else call.out, ratio=float(call["p"]))
    return [found] if several else found


def _turned(call: Call, perm: tuple[int, ...]) -> Any:
    return call.add("Transpose", [call[call.first]], perm=perm)


def _permute(call: Call) -> Any:
    rank = len(call.shape())
    return _turned(call, tuple(axis % rank for axis in call["dims"]))


def _swap(call: Call) -> Any:
    """transpose, t, mT and their like: two axes change places; by default the last two, or the first and the last."""
    rank = len(call.shape())
    one, other = (0, rank - 1) if call.name in ("t", "numpy_T") else (rank - 2, rank - 1)
    for first, second in (("dim0", "dim1"), ("axis0", "axis1")):
        if call[first] is not None:
            one, other = call[first] % rank, call[second] % rank
    perm = list(range(rank))
    if rank > 1:
        perm[one], perm[other] = other, one
    return _turned(call, tuple(perm))


def _move(call: Call) -> Any:
    rank = len(call.shape())
    source, target = (
        [axis % rank for axis in (call[name] if isinstance(call[name], list) else [call[name]])]
        for name in ("source", "destination")
    )
    rest = [axis for axis in range(rank) if axis not in source]
    moved = dict(zip(target, source, strict=True))
    return _turned(call, tuple(moved[place] if place in moved else rest.pop(0) for place in range(rank)))


def _concat(call: Call) -> Any:
    parts = [
        (tensor, shape)
        for tensor, shape in zip(call["tensors"], call.listed("tensors"), strict=True)
        if shape != (0,)  # torch lets an empty list of numbers stand among tensors of any shape
    ]
    return call.add("Concat", [tensor for tensor, _ in parts], axis=(call["dim"] or 0) % len(known(call.out)))


def _stack(call: Call) -> Any:
    axis = call["dim"] % len(known(call.out))
    parts = []
    for tensor, shape in zip(call["tensors"], call.listed("tensors"), strict=True):
        size = known(shape)
        wide = (*size[:axis], 1, *size[axis:])
        parts.append(call.add("Reshape", [tensor], wide))
    return call.add("Concat", parts, axis=axis)


def _slice(call: Call) -> Any:
    end = call["end"]
    start, stop = call["start"] or 0, 2**62 if end is None else end
    return call.cut(call["self"], call.shape(), call["dim"] or 0, start, stop, call["step"] or 1)


def _select(call: Call) -> Any:
    axis = call["dim"]
    start = call["index"] % call.shape()[axis]
    return call.add("Reshape", [call.cut(call["self"], call.shape(), axis, start, start + 1)])


def _narrow(call: Call) -> Any:
    return call.cut(call["self"], call.shape(), call["dim"], call["start"], call["start"] + call["length"])


def _parts(call: Call) -> list[Lazy]:
    """split, chunk, unbind: one Slice per part that is read."""
    axis = (call["dim"] or 0) % len(call.shape())
    parts, start = [], 0
    for shape in call.out:
        size = 1 if call.name == "unbind" else known(shape)[axis]
        parts.append(Lazy(_part, (call, axis, start, start + size, shape)))
        start += size
    return parts


def _part(call: Call, axis: int, begin: int, end: int, shape: Shape) -> Any:
    part = call.cut(call["self"], call.shape(), axis, begin, end)
    return call.add("Reshape", [part], shape) if call.name == "unbind" else part


def _flip(call: Call) -> Any:
    value = call["self"]
    for axis in call["dims"]:
        value = call.cut(value, call.shape(), axis, -1, -(2**62), -1)
    return value


def _roll(call: Call) -> Any:
    """The part that leaves at the end of an axis comes back at its beginning."""
    value, shape, axes = call["self"], call.shape(), call["dims"]
    if not axes:  # all values in a row
        shape, axes = (_count(shape),), [0]
        value = call.add("Reshape", [value], shape)
    for shift, axis in zip(call["shifts"], axes, strict=True):
        size = shape[axis]
        step = shift % size if size else 0
        if step:
            parts = [call.cut(value, shape, axis, size - step, size), call.cut(value, shape, axis, 0, size - step)]
            value = call.add("Concat", parts, shape, axis=axis % len(shape))
    return value if shape == call.out else call.add("Reshape", [value])


def _count(shape: Shape) -> Any:
    total = 1
    for size in shape:
        total *= size
    return total


def _pad(call: Call) -> Any:
    rank, pads = len(known(call.out)), list(call["pad"] if call["pad"] is not None else call["padding"])
    begin, end = [0] * rank, [0] * rank
    for k in range(len(pads) // 2):
        begin[rank - 1 - k], end[rank - 1 - k] = pads[2 * k], pads[2 * k + 1]
    words = f"{call['mode'] or ''} {call.name}"
    modes = {"reflect": "reflect", "replic": "edge", "circular": "wrap"}
    mode = next((name for word, name in modes.items() if word in words), "constant")
    value = float(call["value"]) if call["value"] is not None and mode == "constant" else None
    return call.add("Pad", [call["self"]], mode=mode, pads=(*begin, *end), value=value)


def _cast(call: Call) -> Any:
    if call.type == call.types.get(call.first):
        return call.add("Identity", [call[call.first]])
    return call.add("Cast", [call[call.first]], to=call.type.replace("float32", "float").replace("float64", "double"))


def _resize(mode: str) -> Translation:
    return lambda call: call.add("Resize", [call[call.first]], mode=mode)


def _glu(call: Call) -> Any:
    shape, axis = call.shape(), call["dim"]
    half = shape[axis] // 2
    gate = call.add("Sigmoid", [call.cut(call["self"], shape, axis, half, 2 * half)])
    return call.add("Mul", [call.cut(call["self"], shape, axis, 0, half), gate])


def _pixel_shuffle(call: Call) -> Any:
    return call.add("DepthToSpace", [call["self"]], blocksize=call["upscale_factor"], mode="CRD")


def _pixel_unshuffle(call: Call) -> Any:
    *front, channels, height, width = call.shape()
    k, n = call["downscale_factor"], len(front)
    blocks = (*front, channels, height // k, k, width // k, k)
    turned = (*range(n), n, n + 2, n + 4, n + 1, n + 3)
    wide = call.add("Reshape", [call["self"]], blocks)
    return call.add("Reshape", [call.add("Transpose", [wide], tuple(blocks[axis] for axis in turned), perm=turned)])


def _channel_shuffle(call: Call) -> Any:
    batch, channels, *image = call.shape()
    groups = call["groups"]
    wide = call.add("Reshape", [call["self"]], (batch, groups, channels // groups, *image))
    perm = (0, 2, 1, *range(3, len(image) + 3))
    turned = call.add("Transpose", [wide], (batch, channels // groups, groups, *image), perm=perm)
    return call.add("Reshape", [turned])


def _repeated(call: Call) -> Any:
    """repeat_interleave with one number: every value of an axis several times."""
    if "repeats" in call.shapes or "self" not in call.shapes:
        return call.add("Gather", [call[call.first]], known(call.out))
    shape, dim = call.shape(), call["dim"]
    if dim is None:
        shape, dim = (_count(shape),), 0
    dim, times = dim % len(shape), call["repeats"]
    one = call.add("Reshape", [call["self"]], (*shape[: dim + 1], 1, *shape[dim + 1 :]))
    return call.add("Reshape", [call.add("Expand", [one], (*shape[: dim + 1], times, *shape[dim + 1 :]))])


def _grid(call: Call) -> list[Lazy]:
    """meshgrid, broadcast_tensors: every tensor along its axis, spread over the others."""
    return [Lazy(_spread, (call, place, tensor)) for place, tensor in enumerate(call["tensors"])]


def _spread(call: Call, place: int, tensor: Any) -> Any:
    shape = known(call.out[place])
    if call.name == "meshgrid":
        axis = {0: 1, 1: 0}.get(place, place) if call["indexing"] == "xy" else place
        tensor = call.add("Reshape", [tensor], tuple(shape[axis] if axis == k else 1 for k in range(len(shape))))
    return call.add("Expand", [tensor], shape)


def _copy(call: Call) -> Any:
    """The second argument in the shape of the first."""
    name = "src" if call["src"] is not None else "value"
    return call.add("Identity" if call.shapes.get(name) == call.out else "Expand", [call.operand(name)])


def _part_of_complex(index: int) -> Translation:
    """real and imag of numbers that are stored as pairs."""

    def part(call: Call) -> Any:
        if not call.types.get("self", "").startswith("complex"):
            return call.add("Identity", [call["self"]])
        shape = (*call.shape(), 2)
        pairs = call.add("Cast", [call["self"]], shape, to="float")
        return call.add("Reshape", [call.cut(pairs, shape, -1, index, index + 1)])

    return part


_VIEWS = (
    *("view", "_unsafe_view", "reshape", "flatten", "unflatten", "squeeze", "unsqueeze", "view_as", "reshape_as"),
    *("ravel", "atleast_1d", "atleast_2d", "atleast_3d"),
)
_SAME = (
    *("contiguous", "clone", "detach", "alias", "lift_fresh_copy", "lift_fresh", "feature_dropout", "lift"),
    *("resolve_conj", "resolve_neg", "conj", "_conj", "conj_physical", "positive", "requires_grad", "item"),
)
FILLS = (  # new tensors; of their tensor arguments only the shape matters
    *("new_zeros", "new_ones", "new_full", "new_empty", "new_empty_strided", "zeros_like", "ones_like", "full_like"),
    *("empty_like", "rand_like", "randn_like", "randint_like", "zero", "bernoulli", "normal_functional", "uniform"),
    *("exponential", "normal", "random", "empty_permuted"),
)
_RESIZED = {"nearest": "nearest", "_nearest_exact": "nearest", "linear": "linear", "bilinear": "linear",
            "trilinear": "linear", "bicubic": "cubic"}  # fmt: skip

LAYOUTS: dict[str, Translation] = {
    **dict.fromkeys(_VIEWS, _view),
    **dict.fromkeys(_SAME, _same),
    **dict.fromkeys(("dropout", "alpha_dropout", "native_dropout"), _dropout),
    "permute": _permute,
    **dict.fromkeys(("transpose", "t", "numpy_T", "mT", "mH", "adjoint", "swapaxes", "swapdims"), _swap),
    **dict.fromkeys(("movedim", "moveaxis"), _move),
    **dict.fromkeys(("cat", "concat", "concatenate"), _concat),
    "stack": _stack,
    "slice": _slice,
    "select": _select,
    "narrow": _narrow,
    **dict.fromkeys(
        ("split", "split_with_sizes", "chunk", "tensor_split", "unbind", "unsafe_split", "unsafe_chunk"), _parts
    ),
    "flip": _flip,
    "roll": _roll,
    **dict.fromkeys(("pad", "constant_pad_nd"), _pad),
    **{f"{mode}_pad{n}d": _pad for mode in ("reflection", "replication") for n in (1, 2, 3)},
    **dict.fromkeys(("to", "_to_copy", "type_as", "view_as_real", "view_as_complex"), _cast),
    **dict.fromkeys(("expand", "expand_as", "broadcast_to"), lambda call: call.add("Expand", [call["self"]])),
    **dict.fromkeys(("repeat", "tile"), lambda call: call.add("Tile", [call["self"]])),
    "repeat_interleave": _repeated,
    **{
        f"{prefix}upsample_{mode}{n}d{suffix}": _resize(name)
        for mode, name in _RESIZED.items()
        for n in (1, 2, 3)
        for prefix in ("", "_")
        for suffix in ("", "_aa")
    },
    **{f"_upsample_nearest_exact{n}d": _resize("nearest") for n in (1, 2, 3)},
    "glu": _glu,
    "pixel_shuffle": _pixel_shuffle,
    "pixel_unshuffle": _pixel_unshuffle,
    "channel_shuffle": _channel_shuffle,
    **dict.fromkeys(("meshgrid", "broadcast_tensors"), _grid),
    **dict.fromkeys(("copy", "fill"), _copy),
    "real": _part_of_complex(0),
    "imag": _part_of_complex(1),
}
