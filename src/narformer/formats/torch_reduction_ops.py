"""PyTorch operations that reduce, pool, accumulate or sort."""

from math import inf, prod
from typing import Any

from narformer.formats.builder import Shape
from narformer.formats.torch_call import Call, Lazy, Translation, both, scalar, wide

__all__ = ["REDUCTIONS"]


def _axes(call: Call, shape: Shape) -> tuple[int, ...]:
    dim = call["dim"]
    chosen = [dim] if isinstance(dim, int) else dim or range(len(shape))
    return tuple(sorted(axis % len(shape) for axis in chosen)) if shape else ()


def _kept(call: Call) -> tuple[Shape, Shape]:
    """The axes that are reduced, and the shape with axes of size 1 in their place."""
    shape = call.shape(call.first)
    axes = _axes(call, shape)
    return axes, tuple(1 if axis in axes else size for axis, size in enumerate(shape))


def _reduced(call: Call, kind: str, source: Any, out: Any = ...) -> Any:
    keep = int(bool(call["keepdim"]))
    return call.add(kind, [source], out, axes=_axes(call, call.shape(call.first)), keepdims=keep)


def _reduce(kind: str) -> Translation:
    return lambda call: _reduced(call, kind, call[call.first])


def _largest(kind: str, arg: str, pair: str) -> Translation:
    """max and min: of two tensors, of all values, or along an axis together with the positions."""

    def largest(call: Call) -> Any:
        if "other" in call.arguments:
            return call.add(pair, [call["self"], call["other"]])
        if not isinstance(call.out, list):
            return _reduced(call, kind, call["self"])
        return [_reduced(call, kind, call["self"], call.out[0]), Lazy(_position, (call, arg, call.out[1]))]

    return largest


def _position(call: Call, kind: str, out: Any) -> Any:
    axis = (call["dim"] or 0) % max(len(call.shape()), 1)
    return call.add(kind, [call["self"]], out, axis=axis, keepdims=int(bool(call["keepdim"])))


def _arg(kind: str) -> Translation:
    return lambda call: _position(call, kind, call.out)


def _variance(call: Call) -> Any:
    """var, std, var_mean, std_mean: mean of the squared distances from the mean, and its root for std."""
    x, shape = call[call.first], call.shape(call.first)
    axes, narrow = _kept(call)
    out = call.out[0] if isinstance(call.out, list) else call.out
    mean = call.add("ReduceMean", [x], narrow, axes=axes, keepdims=1)
    distance = call.add("Sub", [x, mean], shape)
    value = _reduced(call, "ReduceMean", call.add("Mul", [distance, distance], shape), out)
    count = prod(shape[axis] for axis in axes)
    correction = call["correction"] if call["correction"] is not None else call["unbiased"]
    less = 1 if correction is None else float(correction)
    if less and count > less:
        value = call.add("Mul", [value, scalar(count / (count - less))], out)
    if call.name.startswith("std"):
        value = call.add("Sqrt", [value], out)
    if not isinstance(call.out, list):
        return value
    return [value, mean if call.out[1] == narrow else Lazy(call.add, ("Reshape", [mean], call.out[1]))]


def _norm(call: Call) -> Any:
    """Root of the sum of powers; ReduceL1 and ReduceL2 have operations of their own."""
    x, shape = call[call.first], call.shape(call.first)
    order = call["ord"] if "ord" in call.arguments else call["p"]
    order = 2 if order is None or order == "fro" else order
    if order in (1, 2):
        return _reduced(call, f"ReduceL{order:.0f}", x)
    size = call.add("Abs", [x], shape)
    if order in (inf, -inf):
        return _reduced(call, "ReduceMax" if order > 0 else "ReduceMin", size)
    total = _reduced(call, "ReduceSum", call.add("Pow", [size, scalar(order)], shape))
    return call.add("Pow", [total, scalar(1 / order)])


def _cosine(call: Call) -> Any:
    """x·y / (|x| |y|) along one axis."""
    one, other, shape = call["x1"], call["x2"], call.shape("x1")
    if shape != call.shape("x2"):
        shape = tuple(map(max, zip(shape, call.shape("x2"), strict=False)))
    axes = (call["dim"] % len(shape),)
    product = call.add("ReduceSum", [call.add("Mul", [one, other], shape)], axes=axes, keepdims=0)
    norms = [call.add("ReduceL2", [x], axes=axes, keepdims=0) for x in (one, other)]
    return call.add("Div", [product, call.add("Mul", norms)])


def _softmax(kind: str) -> Translation:
    def softmax(call: Call) -> Any:
        rank = len(call.shape())
        return call.add(kind, [call["self"]], axis=call["dim"] % rank - rank if rank else -1)

    return softmax


def _pool(kind: str) -> Translation:
    def pool(call: Call) -> Any:
        axes = int(call.name.removesuffix("_with_indices").removeprefix("max_pool").removeprefix("avg_pool")[0])
        kernel = wide(call["kernel_size"], axes)
        include = call["count_include_pad"]
        several = isinstance(call.out, list)
        vertex = call.add(
            kind,
            [call["self"]],
            call.out[0] if several else call.out,
            kernel_shape=kernel,
            strides=wide(call["stride"], axes) if call["stride"] else kernel,
            pads=both(wide(call["padding"] or 0, axes)),
            dilations=wide(call["dilation"] or 1, axes) if kind == "MaxPool" else None,
            ceil_mode=int(call["ceil_mode"] or 0),
            count_include_pad=int(include) if include is not None else None,
        )
        return [vertex, Lazy(_take, (call, vertex, 1))] if several else vertex

    return pool


def _take(call: Call, vertex: int, index: int) -> Any:
    return call.add("Take", [vertex], call.out[index], index=index)


def _adaptive(kind: str) -> Translation:
    def adaptive(call: Call) -> Any:
        shape = call.shape()
        out = call.out[0] if isinstance(call.out, list) else call.out
        rank = int(call.name[-2])
        size, image = out[-rank:], shape[-rank:]
        if set(size) == {1}:
            vertex = call.add(f"Global{kind}", [call["self"]], out)
        elif all(total % want == 0 for total, want in zip(image, size, strict=True)):
            kernel = tuple(total // want for total, want in zip(image, size, strict=True))
            vertex = call.add(kind, [call["self"]], out, kernel_shape=kernel, strides=kernel, pads=(0,) * (2 * rank))
        else:
            vertex = call.add(f"Adaptive{kind}", [call["self"]], out)
        return [vertex, Lazy(_take, (call, vertex, 1))] if isinstance(call.out, list) else vertex

    return adaptive


def _sorted(call: Call) -> Any:
    """sort, argsort, topk: the values, and their positions."""
    shape = call.shape()
    axis = -1 if call["dim"] is None else call["dim"]
    axis = axis % len(shape) - len(shape) if shape else -1
    several = isinstance(call.out, list)
    vertex = call.add("TopK", [call["self"]], call.out[0] if several else call.out, axis=axis)
    if several:
        return [vertex, Lazy(_take, (call, vertex, 1))]
    return call.add("Take", [vertex], index=1) if call.name == "argsort" else vertex


def _extremes(call: Call) -> Any:
    return [_reduced(call, kind, call["self"], call.out[k]) for k, kind in enumerate(("ReduceMin", "ReduceMax"))]


def _fourier(call: Call) -> Any:
    """One transform along each axis, as exporters order them; complex values are pairs on a last axis."""
    value, axes = call["self"], [axis % len(call.out) for axis in call["dim"]]
    if call.name != "_fft_c2r":
        axes.reverse()
    pairs = (*call.out, 2)
    for axis in axes[:-1]:
        value = call.add("DFT", [value], (*call.shape(), 2), axis=axis)
    return call.add("DFT", [value], call.out if call.name == "_fft_c2r" else pairs, axis=axes[-1])


REDUCTIONS: dict[str, Translation] = {
    "mean": _reduce("ReduceMean"),
    **dict.fromkeys(("sum", "nansum"), _reduce("ReduceSum")),
    **dict.fromkeys(("amax", "any"), _reduce("ReduceMax")),
    **dict.fromkeys(("amin", "all"), _reduce("ReduceMin")),
    "prod": _reduce("ReduceProd"),
    **dict.fromkeys(("logsumexp", "special_logsumexp"), _reduce("ReduceLogSumExp")),
    "max": _largest("ReduceMax", "ArgMax", "Max"),
    "min": _largest("ReduceMin", "ArgMin", "Min"),
    "aminmax": _extremes,
    "argmax": _arg("ArgMax"),
    "argmin": _arg("ArgMin"),
    **dict.fromkeys(("var", "std", "var_mean", "std_mean"), _variance),
    **dict.fromkeys(("norm", "linalg_vector_norm", "frobenius_norm"), _norm),
    "cosine_similarity": _cosine,
    **dict.fromkeys(("softmax", "_softmax", "_safe_softmax", "special_softmax"), _softmax("Softmax")),
    **dict.fromkeys(("log_softmax", "_log_softmax", "special_log_softmax"), _softmax("LogSoftmax")),
    **{f"max_pool{n}d": _pool("MaxPool") for n in (1, 2, 3)},
    **{f"max_pool{n}d_with_indices": _pool("MaxPool") for n in (1, 2, 3)},
    **{f"avg_pool{n}d": _pool("AveragePool") for n in (1, 2, 3)},
    **{f"adaptive_avg_pool{n}d": _adaptive("AveragePool") for n in (1, 2, 3)},
    **{f"_adaptive_avg_pool{n}d": _adaptive("AveragePool") for n in (2, 3)},
    **{f"adaptive_max_pool{n}d": _adaptive("MaxPool") for n in (1, 2, 3)},
    **dict.fromkeys(("_fft_c2c", "_fft_r2c", "_fft_c2r"), _fourier),
    "histc": lambda call: call.add("ScatterElements", [call["self"]]),  # adds one to the counter of each value
    "cumsum": lambda call: call.add("CumSum", [call["self"]]),
    "cumprod": lambda call: call.add("CumProd", [call["self"]]),
    **dict.fromkeys(("sort", "topk", "argsort", "msort"), _sorted),
}
