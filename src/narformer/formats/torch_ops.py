"""Translates PyTorch operations (ATen, as in the output of ``torch.export``) to the op table."""

from dataclasses import replace
from typing import Any

from narformer.formats.builder import Constant, Operand, Shape, same_padding
from narformer.formats.torch_call import Call, Lazy, Translation, both, scalar, wide
from narformer.formats.torch_layout_ops import MOVES
from narformer.network.graph import Value

__all__ = ["ATEN"]


def _conv(call: Call) -> int:
    weights: Shape = call.shapes["weight"]
    axes = len(weights) - 2
    transposed = "transpose" in call.name or bool(call["transposed"])
    strides, dilations = wide(call["stride"], axes), wide(call["dilation"], axes)
    pads: tuple[int, ...]
    if call["padding"] == "same":
        pads = same_padding(call.shapes["input"][2:], weights[2:], strides, dilations, upper=True)
    else:
        pads = both(wide(0 if call["padding"] == "valid" else call["padding"], axes))
    extra = wide(call["output_padding"] or 0, axes) if transposed else (0,)
    image, out = call["input"], call.out
    alone = out is not None and len(out) == axes + 1  # one image without a batch
    if alone:
        image, out = call.add("Unsqueeze", [image], (1, *call.shapes["input"]), axes=(0,)), (1, *out)
    found = call.add(
        "ConvTranspose" if transposed else "Conv",
        [image, call["weight"], call["bias"]],
        out,
        kernel_shape=tuple(weights[2:]),
        strides=strides,
        pads=pads,
        dilations=dilations,
        group=int(call["groups"] or 1),
        bias=int(call["bias"] is not None),
        output_padding=extra if any(extra) else None,
    )
    return call.add("Squeeze", [found], axes=(0,)) if alone else found


def _linear(call: Call) -> int:
    if not isinstance(call["input"], int):
        product = call.add("MatMul", [call["input"], _turned(call["weight"])])
        return product if call["bias"] is None else call.add("Add", [product, call["bias"]])
    return call.add("Gemm", [call["input"], _turned(call["weight"]), call["bias"]], bias=int(call["bias"] is not None))


def _turned(weight: Any) -> Any:
    """A constant weight (out, in) as the (in, out) of a product."""
    return replace(weight, shape=weight.shape[::-1]) if isinstance(weight, Constant) and weight.shape else weight


def _product(call: Call) -> int:
    left, right = ("self", "other") if call["other"] is not None else ("self", "mat2")
    if isinstance(call[right], Constant) and isinstance(call[left], int) and len(call.shapes[right]) == 2:
        return call.add("Gemm", [call[left], call[right]], bias=0)
    return call.add("MatMul", [call[left], call[right]])


def _addmm(call: Call) -> int:
    left, right = ("mat1", "mat2") if call["mat1"] is not None else ("batch1", "batch2")
    constants = isinstance(call[right], Constant) and isinstance(call["self"], Constant)
    if constants and isinstance(call[left], int) and left == "mat1":
        return call.add("Gemm", [call[left], call[right], call["self"]], bias=1)
    return call.add("Add", [call.add("MatMul", [call[left], call[right]]), call["self"]])


def _batch_norm(call: Call) -> int:
    operands = [call["input"], call["weight"], call["bias"], call["running_mean"], call["running_var"]]
    return call.add("BatchNormalization", operands, epsilon=float(call["eps"]))


def _norm(kind: str) -> Translation:
    def norm(call: Call) -> int:
        axis = -len(call["normalized_shape"]) if call["normalized_shape"] else None
        groups = call["num_groups"]
        return call.add(kind, [call["input"], call["weight"], call["bias"]], axis=axis, num_groups=groups)

    return norm


def _each(kind: str, **attributes: str) -> Translation:
    """A unary operation; ``attributes`` maps attributes to the names of the arguments with their values."""

    def each(call: Call) -> int:
        values = {name: call[argument] for name, argument in attributes.items()}
        given: dict[str, Value] = {
            name: float(value) for name, value in values.items() if isinstance(value, int | float)
        }
        return call.add(kind, [call["self"] if call["self"] is not None else call["input"]], **given)

    return each


def _fixed(kind: str, **attributes: Value) -> Translation:
    return lambda call: call.add(kind, [call["self"]], **attributes)


def _elu(call: Call) -> int:
    return call.add("Elu", [call["self"]], alpha=float(call["alpha"]))


def _gelu(call: Call) -> int:
    return call.add("Gelu", [call["self"]], approximate=str(call["approximate"] or "none"))


def _pair(kind: str, turned: bool = False) -> Translation:
    """A binary operation; a Python number is a scalar constant."""

    def pair(call: Call) -> int:
        operands = []
        for name in ("self", "other", "exponent"):
            if name in call.arguments:
                plain = call.shapes[name] is None and isinstance(call[name], int | float)
                operands.append(scalar(call[name]) if plain else call[name])
        return call.add(kind, operands[::-1] if turned else operands)

    return pair


def _where(call: Call) -> int:
    return call.add("Where", [call["condition"], call["self"], call["other"]])


def _masked_fill(call: Call) -> int:
    value = call["value"] if isinstance(call["value"], Constant) else scalar(float(call["value"]))
    return call.add("Where", [call["mask"], value, call["self"]])


def _softmax(kind: str) -> Translation:
    def softmax(call: Call) -> int:
        rank = len(call.shapes["self"])
        return call.add(kind, [call["self"]], axis=call["dim"] % rank - rank)

    return softmax


def _pool(kind: str) -> Translation:
    def pool(call: Call) -> int:
        axes = len(call.shapes["self"]) - 2
        kernel = wide(call["kernel_size"], axes)
        include = call["count_include_pad"]
        return call.add(
            kind,
            [call["self"]],
            kernel_shape=kernel,
            strides=wide(call["stride"], axes) if call["stride"] else kernel,
            pads=both(wide(call["padding"] or 0, axes)),
            dilations=wide(call["dilation"] or 1, axes) if kind == "MaxPool" else None,
            ceil_mode=int(call["ceil_mode"] or 0),
            count_include_pad=int(include) if include is not None else None,
        )

    return pool


def _adaptive(kind: str) -> Translation:
    def adaptive(call: Call) -> Any:
        size, shape = tuple(call["output_size"]), call.shapes["self"]
        rank = len(size)
        image = shape[-rank:]
        out = call.out[0] if isinstance(call.out, list) else call.out
        if set(size) == {1}:
            vertex = call.add(f"Global{kind}", [call["self"]], out)
        elif all(total % want == 0 for total, want in zip(image, size, strict=True)):
            kernel = tuple(total // want for total, want in zip(image, size, strict=True))
            vertex = call.add(kind, [call["self"]], out, kernel_shape=kernel, strides=kernel, pads=(0,) * (2 * rank))
        else:
            vertex = call.add(f"aten.{call.name}", [call["self"]], out)
        return [vertex] if isinstance(call.out, list) else vertex

    return adaptive


def _reduce(kind: str) -> Translation:
    def reduce(call: Call) -> int:
        rank, dim = len(call.shapes["self"]), call["dim"]
        chosen = [dim] if isinstance(dim, int) else dim or range(rank)
        axes = tuple(sorted(axis % rank for axis in chosen)) if rank else ()
        return call.add(kind, [call["self"]], axes=axes, keepdims=int(bool(call["keepdim"])))

    return reduce


def _arg(kind: str) -> Translation:
    def arg(call: Call) -> int:
        rank, dim = len(call.shapes["self"]), call["dim"]
        return call.add(kind, [call["self"]], axis=(dim or 0) % rank, keepdims=int(bool(call["keepdim"])))

    return arg


def _clip(least: str, most: str) -> Translation:
    def clip(call: Call) -> int:
        bounds = {"min": call[least], "max": call[most]}
        return call.add("Clip", [call["self"]], **{k: float(v) for k, v in bounds.items() if v is not None})

    return clip


def _attention(call: Call) -> int:
    operands = [call["query"], call["key"], call["value"], call["attn_mask"]]
    return call.add("Attention", operands, is_causal=int(bool(call["is_causal"])))


def _weights(call: Call, layer: int, both: int) -> list[Operand]:
    """The operands of one layer from slot 1 on; torch lists w_ih, w_hh, the offsets and w_hr for each direction."""
    size = len(call["params"]) // call["num_layers"]
    each = size // both
    params, sizes = (given[layer * size : (layer + 1) * size] for given in (call["params"], call.shapes["params"]))
    names = ["w", "r", *(["b", "b"] if call["has_biases"] else [])]
    names += ["p"] * (each - len(names))
    found: list[Operand] = [None] * 8
    for slot, name in ((1, "w"), (2, "r"), (3, "b"), (8, "p")):
        places = [d * each + k for d in range(both) for k, own in enumerate(names) if own == name]
        if places and all(isinstance(params[place], Constant) for place in places):
            rows = sum(sizes[place][0] for place in places) // both
            shape = (both, rows, *sizes[places[0]][1:])
            found[slot - 1] = Constant(
                shape, tensors=tuple(t for place in places for t in params[place].tensors), certain=True
            )
    return found


def _recurrent(kind: str) -> Translation:
    """One ONNX operation per layer: (steps, batch, features) in, (steps, directions, batch, hidden) out."""

    def recurrent(call: Call) -> list[Any]:
        first = bool(call["batch_first"])
        shape: Shape = call.shapes["input"]
        steps, batch = (shape[1], shape[0]) if first else shape[:2]
        both = 2 if call["bidirectional"] else 1
        hidden = call.out[-1][-1]
        width = call.out[1][-1]  # of the state, which torch can project
        x = call["input"]
        if first:
            x = call.add("Transpose", [x], (steps, batch, shape[2]), perm=(1, 0, 2))
        layers = []
        for layer in range(call["num_layers"]):
            vertex = call.add(
                kind,
                [x, *_weights(call, layer, both)],
                (steps, both, batch, width),
                hidden_size=hidden,
                projection_size=width if width != hidden else None,
                direction="bidirectional" if both == 2 else "forward",
                bias=int(call["has_biases"]),
                linear_before_reset=1 if kind == "GRU" else None,
            )
            layers.append(vertex)
            y = call.add("Transpose", [vertex], (steps, batch, both, width), perm=(0, 2, 1, 3))
            x = call.add("Reshape", [y], (steps, batch, both * width))

        def final(k: int) -> int:
            last = (both, batch, call.out[k][-1])
            parts = [call.add("Take", [vertex], last, index=k) for vertex in layers]
            return call.add("Concat", parts, call.out[k], axis=0)

        out = call.add("Transpose", [x], call.out[0], perm=(1, 0, 2)) if first else x
        return [out, *(Lazy(final, (k,)) for k in range(1, len(call.out)))]

    return recurrent


_ONES = {
    "abs": "Abs", "acos": "Acos", "asin": "Asin", "atan": "Atan", "ceil": "Ceil", "cos": "Cos", "cosh": "Cosh",
    "erf": "Erf", "exp": "Exp", "floor": "Floor", "hardswish": "HardSwish", "log": "Log", "mish": "Mish", "neg": "Neg",
    "reciprocal": "Reciprocal", "relu": "Relu", "round": "Round", "selu": "Selu", "sigmoid": "Sigmoid", "sign": "Sign",
    "silu": "Swish", "sin": "Sin", "sinh": "Sinh", "softplus": "Softplus", "sqrt": "Sqrt", "tan": "Tan", "tanh": "Tanh",
    "logical_not": "Not", "bitwise_not": "Not", "isnan": "IsNaN", "isinf": "IsInf",
}  # fmt: skip
_PAIRS = {
    "add": "Add", "sub": "Sub", "mul": "Mul", "div": "Div", "pow": "Pow", "maximum": "Max", "minimum": "Min",
    "eq": "Equal", "gt": "Greater", "ge": "GreaterOrEqual", "lt": "Less", "le": "LessOrEqual", "remainder": "Mod",
    "logical_and": "And", "logical_or": "Or", "logical_xor": "Xor",
}  # fmt: skip

ATEN: dict[str, Translation] = {
    **MOVES,
    **{name: _each(kind) for name, kind in _ONES.items()},
    **{name: _pair(kind) for name, kind in _PAIRS.items()},
    "rsub": _pair("Sub", turned=True),
    **dict.fromkeys(
        ("conv1d", "conv2d", "conv3d", "convolution", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), _conv
    ),
    "linear": _linear,
    **dict.fromkeys(("matmul", "mm", "bmm"), _product),
    **dict.fromkeys(("addmm", "baddbmm"), _addmm),
    "batch_norm": _batch_norm,
    "layer_norm": _norm("LayerNormalization"),
    "group_norm": _norm("GroupNormalization"),
    "instance_norm": _norm("InstanceNormalization"),
    "rms_norm": _norm("RMSNormalization"),
    "relu6": _fixed("Clip", min=0.0, max=6.0),
    "hardtanh": _clip("min_val", "max_val"),
    "clamp": _clip("min", "max"),
    "clamp_min": _clip("min", "max"),
    "leaky_relu": _each("LeakyRelu", alpha="negative_slope"),
    "elu": _elu,
    "celu": _each("Celu", alpha="alpha"),
    "prelu": lambda call: call.add("PRelu", [call["self"], call["weight"]]),
    "gelu": _gelu,
    "hardsigmoid": _fixed("HardSigmoid", alpha=1 / 6, beta=0.5),
    "rsqrt": lambda call: call.add("Reciprocal", [call.add("Sqrt", [call["self"]])]),
    "softmax": _softmax("Softmax"),
    "_softmax": _softmax("Softmax"),
    "log_softmax": _softmax("LogSoftmax"),
    "where": _where,
    "masked_fill": _masked_fill,
    **{f"max_pool{n}d": _pool("MaxPool") for n in (1, 2, 3)},
    **{f"avg_pool{n}d": _pool("AveragePool") for n in (1, 2, 3)},
    **{f"adaptive_avg_pool{n}d": _adaptive("AveragePool") for n in (1, 2, 3)},
    **{f"adaptive_max_pool{n}d": _adaptive("MaxPool") for n in (1, 2, 3)},
    "mean": _reduce("ReduceMean"),
    "sum": _reduce("ReduceSum"),
    "amax": _reduce("ReduceMax"),
    "amin": _reduce("ReduceMin"),
    "prod": _reduce("ReduceProd"),
    "argmax": _arg("ArgMax"),
    "argmin": _arg("ArgMin"),
    "scaled_dot_product_attention": _attention,
    "lstm": _recurrent("LSTM"),
    "gru": _recurrent("GRU"),
    "rnn_tanh": _recurrent("RNN"),
    "rnn_relu": _recurrent("RNN"),
    "cumsum": lambda call: call.add("CumSum", [call["self"]]),
    "tril": lambda call: call.add("Trilu", [call["self"]], upper=0),
    "triu": lambda call: call.add("Trilu", [call["self"]], upper=1),
}
