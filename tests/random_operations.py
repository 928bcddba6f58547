"""One operation of each kind with random operands and attributes, for ``random_networks``."""

import numpy as np
from onnx import TensorProto

__all__ = ["OPERATIONS"]

UNARY = (
    "Relu", "Sigmoid", "Tanh", "Erf", "Exp", "Abs", "Neg", "LeakyRelu", "Elu", "HardSwish", "HardSigmoid", "Softplus",
    "Sqrt", "Reciprocal", "Selu", "Celu", "Sin", "Floor", "Sign", "Softsign", "Identity", "ThresholdedRelu",
)  # fmt: skip
REDUCTIONS = (
    "ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceLogSumExp",
    "ReduceSumSquare",
)  # fmt: skip
EQUATIONS = (  # with the rank of the operands
    ("bij,bjk->bik", 3, 3), ("ij,jk->ik", 2, 2), ("i,i->", 1, 1), ("ij,ij->ij", 2, 2), ("i,j->ij", 1, 1),
    ("bhid,bhjd->bhij", 4, 4), ("bij,jk->bik", 3, 2), ("...ij,...jk->...ik", 3, 3), ("ij,j", 2, 1), ("ijk,k->i", 3, 1),
)  # fmt: skip


def window(f, shape, auto=True):
    """Attributes of a window over the axes of a shape, and their kernel."""
    r = f.random
    same = auto and r.random() < 0.25
    kernel, dilations, begins, ends = [], [], [], []
    for size in shape:
        k = r.randint(1, min(3, size))
        begins.append(r.randint(0, k - 1))
        ends.append(r.randint(0, k - 1))
        kernel.append(k)
        dilations.append(2 if not same and r.random() < 0.3 and 2 * k - 1 <= size else 1)
    given = {"strides": [r.randint(1, 2) for _ in shape]}
    if same:
        given["strides"] = [min(k, s) for k, s in zip(kernel, given["strides"], strict=True)]
        given["auto_pad"] = r.choice(("SAME_UPPER", "SAME_LOWER", "VALID"))
    elif r.random() < 0.7:
        given["pads"] = begins + ends
    if max(dilations) > 1:
        given["dilations"] = dilations
    return given, kernel


def groups(f, channels):
    return f.random.choice([g for g in range(1, channels + 1) if channels % g == 0])


def convolution(f):
    x = f.value(3, 4, 4, 5)
    _, channels, *image = f.shape(x)
    given, kernel = window(f, image)
    group = groups(f, channels)
    out = group * f.random.randint(1, 2)
    if f.random.random() < 0.5:
        given["kernel_shape"] = kernel
    w = f.operand(out, channels // group, *kernel)
    bias = f.operand(out) if f.random.random() < 0.5 else None
    return f("Conv", x, w, bias, group=group, **given)


def transposed_convolution(f):
    x = f.value(3, 4, 4, fits=lambda shape: np.prod(shape) <= 300)
    _, channels, *image = f.shape(x)
    given, kernel = window(f, image, auto=False)
    group, r, strides = groups(f, channels), f.random, given["strides"]
    dilations = given.get("dilations", [1] * len(kernel))
    whole = [s * (n - 1) + (k - 1) * d + 1 for s, n, k, d in zip(strides, image, kernel, dilations, strict=True)]
    if "pads" in given:
        given["pads"] = [pad if whole[k % len(whole)] > 4 else 0 for k, pad in enumerate(given["pads"])]
    elif r.random() < 0.3:
        given["output_shape"] = [size + r.randint(0, s - 1) for size, s in zip(whole, strides, strict=True)]
    elif r.random() < 0.3:
        given["output_padding"] = [r.randint(0, s - 1) for s in strides]
    wide = r.randint(1, 3)
    bias = f.operand(group * wide) if r.random() < 0.5 else None
    return f("ConvTranspose", x, f.operand(channels, wide, *kernel), bias, group=group, **given)


def gemm(f):
    r, x = f.random, f.value(2)
    turned, back, left = r.randint(0, 1), r.randint(0, 1), r.random() < 0.8
    rows, inner = f.shape(x)[:: -1 if turned else 1]
    wide = r.randint(1, 6)
    if left:
        operands = x, f.operand(*((wide, inner) if back else (inner, wide)))
    else:  # the value is the right operand
        inner, wide = f.shape(x)[:: -1 if back else 1]
        rows = r.randint(1, 4)
        operands = f.constant(*((inner, rows) if turned else (rows, inner))), x
    forms = [None, (), (1,), (wide,), (1, wide), (rows, 1), (rows, wide)]
    form = r.choice(forms)
    offset = None if form is None else f.operand(*form)
    given = {"alpha": 0.5} if r.random() < 0.2 else {}
    return f("Gemm", *operands, offset, transA=turned, transB=back, beta=r.choice((1.0, 0.5)), **given)


def matmul(f):
    r, x = f.random, f.value(1, 2, 3, 3, 4, 5)
    shape = f.shape(x)
    left = r.random() < 0.7
    inner = shape[-1] if left or len(shape) == 1 else shape[-2]
    front = shape[:-2]
    if r.random() < 0.5:
        front = front[r.randint(0, len(front)) :]
    front = tuple(1 if r.random() < 0.3 else n for n in front)
    if front and len(shape) < 4 and r.random() < 0.1:
        front = (2, *front)
    wide = r.randint(1, 6)
    matrix = (*front, inner, wide) if left else (*front, wide, inner)
    y = f.operand(*r.choice((matrix, matrix, (inner,))))
    return f("MatMul", x, y) if left else f("MatMul", y, x)


def einsum(f):
    equation, *ranks = f.random.choice(EQUATIONS)
    x = f.value(ranks[0])
    terms = equation.replace("...", "z").partition("->")[0].split(",")
    size = dict(zip(terms[0], f.shape(x), strict=True))
    other = [size.setdefault(label, f.random.randint(1, 5)) for label in terms[1]]
    if f.random.random() < 0.7:
        return f("Einsum", x, f.operand(*other), equation=equation)
    flipped = ",".join(reversed(equation.partition("->")[0].split(",")))
    return f("Einsum", f.operand(*other), x, equation=flipped + "".join(equation.partition("->")[1:]))


def broadcast(f, shape):
    """A shape that broadcasts to this one: the same, a scalar, a vector, or with ones."""
    r = f.random
    front = shape[r.randint(0, len(shape)) :]
    return r.choice((shape, (), (1,), front, tuple(1 if r.random() < 0.5 else n for n in front)))


def pair(f):
    x = f.value()
    other = f.operand(*broadcast(f, f.shape(x)))
    kind = f.random.choice(("Add", "Sub", "Mul", "Div", "Pow", "Max", "Min", "Sum", "Mean", "Mod"))
    given = {"fmod": 1} if kind == "Mod" else {}
    operands = [x, other] if f.random.random() < 0.6 else [other, x]
    if kind in ("Max", "Min", "Sum", "Mean") and f.random.random() < 0.4:
        operands.append(f.operand(*f.shape(x)))
    return f(kind, *operands, **given)


def twice(f):
    x = f.value()
    return f(f.random.choice(("Add", "Mul")), x, x)


def where(f):
    x, r = f.value(), f.random
    if r.random() < 0.5:
        mask = f.keep(f.numbers.random(broadcast(f, f.shape(x))) > 0.5)
    else:
        kind = r.choice(("Greater", "Less", "Equal", "GreaterOrEqual"))
        mask = f(kind, x, f.operand(*broadcast(f, f.shape(x))))
        if r.random() < 0.3:
            mask = f("And", f("Not", mask), f.keep(f.numbers.random(f.shape(mask)) > 0.5))
    other = f.operand(*broadcast(f, f.shape(x)))
    return f("Where", mask, x, other) if r.random() < 0.5 else f("Where", mask, other, x)


def prelu(f):
    x = f.value(2, 3, 4)
    shape = f.shape(x)
    slopes = [(1,), (shape[1], *(1,) * (len(shape) - 2)), shape, shape[1:]]
    return f("PRelu", x, f.constant(*f.random.choice(slopes)))


def batch_norm(f):
    x = f.value(2, 3, 4)
    c = f.shape(x)[1]
    statistics = f.initializer(f.reals(c)), f.initializer(np.abs(f.reals(c)))
    return f("BatchNormalization", x, f.constant(c), f.constant(c), *statistics)


def layer_norm(f):
    x, r = f.value(2, 3, 4), f.random
    axis = r.randint(-len(f.shape(x)), -1)
    wide = f.shape(x)[axis:]
    axis += r.choice((0, len(f.shape(x))))
    if f.opset >= 23 and r.random() < 0.3:
        return f("RMSNormalization", x, f.constant(*wide), axis=axis)
    offset = f.constant(*wide) if r.random() < 0.7 else None
    return f("LayerNormalization", x, f.constant(*wide), offset, axis=axis)


def instance_norm(f):
    x = f.value(3, 4)
    c = f.shape(x)[1]
    return f("InstanceNormalization", x, f.constant(c), f.constant(c))


def group_norm(f):
    x = f.value(3, 4)
    c = f.shape(x)[1]
    g = groups(f, c)
    count = c if f.opset >= 21 else g
    return f("GroupNormalization", x, f.constant(count), f.constant(count), num_groups=g)


def other_norm(f):
    x, r = f.value(4), f.random
    kind = r.choice(("LRN", "MeanVarianceNormalization", "LpNormalization"))
    given = {"LRN": {"size": 3}, "LpNormalization": {"axis": r.randint(-1, 1)}}.get(kind, {})
    return f(kind, x, **given)


def recurrent(f):
    x, r = f.value(3, fits=lambda shape: np.prod(shape) <= 200), f.random
    kind = r.choice(("LSTM", "GRU", "RNN"))
    direction = r.choice(("forward", "reverse", "bidirectional"))
    both, hidden = 1 + (direction == "bidirectional"), r.randint(1, 4)
    steps, batch, wide = f.shape(x)
    rows = {"LSTM": 4, "GRU": 3, "RNN": 1}[kind] * hidden
    w, weights = f.constant(both, rows, wide), f.constant(both, rows, hidden)
    bias = f.constant(both, 2 * rows) if r.random() < 0.7 else None
    lengths = f.keep(np.full(batch, steps, np.int32)) if r.random() < 0.3 else None
    state = f.constant(both, batch, hidden) if r.random() < 0.4 else None
    further = []
    if kind == "LSTM":
        further = [f.constant(both, batch, hidden) if state else None]
        further.append(f.constant(both, 3 * hidden) if r.random() < 0.3 else None)
    given = {"linear_before_reset": r.randint(0, 1)} if kind == "GRU" else {}
    operands = x, w, weights, bias, lengths, state, *further
    outputs = f(kind, *operands, outputs=3 if kind == "LSTM" else 2, hidden_size=hidden, direction=direction, **given)
    return f("Squeeze", outputs[0], f.whole(1)) if both == 1 else outputs[1]


def pool(f):
    x, r = f.value(3, 4, 4, 5), f.random
    kind = r.choice(("MaxPool", "AveragePool", "LpPool", "GlobalAveragePool", "GlobalMaxPool"))
    if kind.startswith("Global"):
        return f(kind, x)
    given, kernel = window(f, f.shape(x)[2:])
    if kind != "MaxPool":
        given.pop("dilations", None)
    if "auto_pad" not in given and kind != "LpPool":
        given["ceil_mode"] = r.randint(0, 1)
    if kind == "AveragePool":
        given["count_include_pad"] = r.randint(0, 1)
    if kind == "MaxPool" and r.random() < 0.3:
        return f(kind, x, kernel_shape=kernel, outputs=2, **given)[0]
    return f(kind, x, kernel_shape=kernel, **given)


def reduction(f):
    x, r = f.value(1, 2, 3, 4, 5), f.random
    kind, rank = r.choice(REDUCTIONS), len(f.shape(x))
    axes = r.sample(range(-rank, 0), r.randint(1, rank))
    axes = [axis + rank * r.randint(0, 1) for axis in axes]
    operand = f.whole(*axes) if r.random() < 0.8 else None
    return f(kind, x, operand, keepdims=r.randint(0, 1))


def softmax(f):
    x = f.value(1, 2, 3, 4)
    rank = len(f.shape(x))
    return f(f.random.choice(("Softmax", "LogSoftmax", "Hardmax")), x, axis=f.random.randint(-rank, rank - 1))


def unary(f):
    kinds = UNARY + (("Gelu",) if f.opset >= 20 else ()) + (("Mish",) if f.opset >= 18 else ())
    return f(f.random.choice(kinds), f.value())


def attention(f):
    if f.opset < 23:
        return softmax(f)
    r = f.random
    kept, share, keys = r.randint(1, 2), r.randint(1, 2), r.randint(1, 5)
    wide, deep = 2 * r.randint(1, 3), r.randint(1, 4)
    given = {"is_causal": 1} if r.random() < 0.3 else {}
    if r.random() < 0.5:
        q = f.value(4, fits=lambda shape: shape[1] % kept == 0)
        batch, heads, queries, wide = f.shape(q)
        k, v = f.operand(batch, kept, keys, wide), f.operand(batch, kept, keys, deep)
    else:
        q = f.value(3, fits=lambda shape: shape[2] % (kept * share) == 0)
        batch, queries, wide = f.shape(q)
        heads = kept * share
        wide //= heads
        k, v = f.operand(batch, keys, kept * wide), f.operand(batch, keys, kept * deep)
        given |= {"q_num_heads": heads, "kv_num_heads": kept}
    past = r.randint(1, 4) if r.random() < 0.4 else 0
    mask = None
    if r.random() < 0.5:
        shape = r.choice(((queries, keys + past), (1, 1, queries, keys + past), (batch, heads, queries, keys + past)))
        mask = f.keep(f.numbers.random(shape) > 0.3) if r.random() < 0.5 else f.operand(*shape)
    if not past:
        return f("Attention", q, k, v, mask, **given)
    cache = f.operand(batch, kept, past, wide), f.operand(batch, kept, past, deep)
    return f("Attention", q, k, v, mask, *cache, outputs=3, **given)[0]


def integer_product(f):
    """Activations that are quantized when the network runs, times stored whole numbers."""
    r = f.random
    if r.random() < 0.5:
        x = f.value(2, 3)
        w = f.initializer(f.numbers.integers(-9, 9, (f.shape(x)[-1], r.randint(1, 4))).astype(np.int8))
        kind, given = "MatMulInteger", {}
    else:
        x = f.value(4)
        given, kernel = window(f, f.shape(x)[2:])
        w = f.initializer(f.numbers.integers(0, 9, (r.randint(1, 3), f.shape(x)[1], *kernel)).astype(np.uint8))
        kind = "ConvInteger"
    whole, scale, zero = f("DynamicQuantizeLinear", x, outputs=3)
    return f("Mul", f("Cast", f(kind, whole, w, zero, **given), to=TensorProto.FLOAT), scale)


def quantized(f):
    """An activation to eight bits and back; between them perhaps a convolution or a product of whole numbers."""
    r, x = f.random, f.value(2, 4)
    scale, zero = f.initializer(np.float32(0.1)), f.initializer(np.uint8(128))
    whole = f("QuantizeLinear", x, scale, zero)
    if r.random() < 0.6:
        shape = f.shape(x)
        if len(shape) == 2:
            w = f.initializer(f.numbers.integers(0, 255, (shape[1], r.randint(1, 4))).astype(np.uint8))
            whole = f("QLinearMatMul", whole, scale, zero, w, scale, zero, scale, zero)
        else:
            given, kernel = window(f, shape[2:])
            out = r.randint(1, 3)
            w = f.initializer(f.numbers.integers(0, 255, (out, shape[1], *kernel)).astype(np.uint8))
            bias = f.initializer(f.numbers.integers(-9, 9, out).astype(np.int32)) if r.random() < 0.5 else None
            whole = f("QLinearConv", whole, scale, zero, w, scale, zero, scale, zero, bias, **given)
    return f("DequantizeLinear", whole, scale, zero)


OPERATIONS = (
    convolution, convolution, transposed_convolution, gemm, gemm, matmul, matmul, einsum, pair, pair, twice, where,
    prelu, batch_norm, layer_norm, instance_norm, group_norm, other_norm, recurrent, pool, reduction, softmax, unary,
    unary, attention, attention, integer_product, quantized,
)  # fmt: skip
