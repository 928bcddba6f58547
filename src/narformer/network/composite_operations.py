"""Recognises activations, dense layers, layer normalisation and attention written as several operations.

The search starts at the last of these operations.

    HardSigmoid  clip(x + 3, 0, 6) / 6            Swish      x sigmoid(x)
    HardSwish    x hard_sigmoid(x)                Mish       x tanh(softplus(x))
    Gelu         x/2 (1 + erf(x / √2)), or with   tanh(√(2/π) (x + 0.044715 x³))
    Softplus     x where it is large, else log(1 + exp(x))
    GroupNormalization   Reshape to groups, InstanceNormalization, Reshape back, scale, offset
    LayerNormalization   (x - mean x) / √(mean (x - mean x)² + ε) scale + offset
    Attention    softmax(q kᵀ s [+ mask]) v
    Gemm         Reshape to rows, Gemm, Reshape back

Divisions by and subtractions of constants have been rewritten to Mul and Add before.
"""

from dataclasses import replace
from math import pi, prod, sqrt
from string import ascii_lowercase, ascii_uppercase

from narformer.network.graph import Op
from narformer.network.mutable_graph import MutableGraph
from narformer.network.tensors import ConstantOperand, Tensor

GATES = {"Sigmoid": "Swish", "HardSigmoid": "HardSwish"}
DEPTH = 5  # most nested products whose factors are looked at: those of Gelu are fewer


def near(value: object, wanted: float) -> bool:
    """Whether an attribute equals this number, within the precision of float16 constants."""
    return isinstance(value, int | float) and abs(value - wanted) <= 2e-3 * abs(wanted)


def learned(op: Op) -> bool:
    """Whether training changes a constant of the operation. Such an operation is not dropped."""
    return any(tensor.trained for constant in op.constants for tensor in constant.tensors)


def number(op: Op) -> float | None:
    """The value of the only constant, if it is a known scalar that training does not change; else None."""
    value = op.get("value") if op.get("constant") == 1 and not learned(op) else None
    return value if isinstance(value, int | float) else None


def along(op: Op, axes: range) -> bool | None:
    """Whether the only constant has the sizes of these axes of the output, and 1 elsewhere; None if none is listed."""
    sizes = op.shape or ()
    if not op.constants:
        return None
    shape = op.constants[0].shape
    if len(op.constants) > 1 or shape is None or len(shape) > len(sizes):
        return False
    wanted = tuple(size if axis in axes else 1 for axis, size in enumerate(sizes))
    return (1,) * (len(sizes) - len(shape)) + shape == wanted


def scalar(graph: MutableGraph, vertex: int, kind: str, value: float) -> int | None:
    """The other operand, if the vertex is a ``kind`` with this scalar constant; else None."""
    op, operands = graph.ops[vertex], graph.operands[vertex]
    fits = op.kind == kind and len(operands) == 1 and near(number(op), value)
    return operands[0][1] if fits else None


def under(graph: MutableGraph, vertex: int | None, kind: str) -> int | None:
    """The only operand, if the vertex is a ``kind``; else None."""
    if vertex is None or graph.ops[vertex].kind != kind or len(graph.operands[vertex]) != 1:
        return None
    if graph.ops[vertex].get("constant"):
        return None
    return graph.operands[vertex][0][1]


def pair(graph: MutableGraph, vertex: int) -> tuple[int, int] | None:
    """The two operands; None if the vertex does not have exactly two."""
    operands = graph.operands[vertex]
    return (operands[0][1], operands[1][1]) if len(operands) == 2 else None


def hard_sigmoid(graph: MutableGraph, vertex: int, op: Op) -> bool:
    """HardSigmoid written with Clip; also x times the clip, times 1/6, which is HardSwish."""
    clipped = scalar(graph, vertex, "Mul", 1 / 6)
    if clipped is None:
        return False
    gated = pair(graph, clipped) if graph.ops[clipped].kind == "Mul" else None
    for inner, other in (gated, gated[::-1]) if gated else ((clipped, None),):
        shifted = under(graph, inner, "Clip")
        bounds = (graph.ops[inner].get("min"), graph.ops[inner].get("max"))
        origin = scalar(graph, shifted, "Add", 3) if shifted is not None and bounds == (0, 6) else None
        if origin is not None and other in (None, origin):
            return _becomes(graph, vertex, origin, "HardSigmoid" if other is None else "HardSwish")
    return False


def gated(graph: MutableGraph, vertex: int, op: Op) -> bool:
    """Swish, HardSwish and Mish: x times a function of x."""
    both = pair(graph, vertex)
    for x, gate in (both, both[::-1]) if both else ():
        kind = graph.ops[gate].kind
        slope, middle = graph.ops[gate].get("alpha"), graph.ops[gate].get("beta")
        if kind == "HardSigmoid" and not (near(slope, 1 / 6) and near(middle, 0.5)):
            continue
        if kind in GATES and under(graph, gate, kind) == x:
            return _becomes(graph, vertex, x, GATES[kind])
        if under(graph, under(graph, gate, "Tanh"), "Softplus") == x:
            return _becomes(graph, vertex, x, "Mish")
    return False


def gelu(graph: MutableGraph, vertex: int, op: Op) -> bool:
    """Gelu: a product of three factors in any order: x, one half, and 1 + erf or 1 + tanh."""
    factors, halves = _factors(graph, vertex)
    if len(factors) != 2 or not near(halves, 0.5):
        return False
    for x, curve in (factors, factors[::-1]):
        inner = scalar(graph, curve, "Add", 1)
        argument = under(graph, inner, "Erf")
        if argument is not None and scalar(graph, argument, "Mul", 1 / sqrt(2)) == x:
            return _becomes(graph, vertex, x, "Gelu", approximate="none")
        argument = under(graph, inner, "Tanh")
        cubic = scalar(graph, argument, "Mul", sqrt(2 / pi)) if argument is not None else None
        terms = pair(graph, cubic) if cubic is not None and graph.ops[cubic].kind == "Add" else None
        if terms and x in terms and _is_cube(graph, terms[terms[0] == x], x, 0.044715):
            return _becomes(graph, vertex, x, "Gelu", approximate="tanh")
    return False


def _is_cube(graph: MutableGraph, vertex: int, x: int, factor: float) -> bool:
    """Whether the vertex is the third power of x times a factor."""
    factors, product = _factors(graph, vertex)
    powers = [graph.operands[v][0][1] for v in factors if graph.ops[v].kind == "Pow" and number(graph.ops[v]) == 3]
    return near(product, factor) and (factors == [x] * 3 or (len(factors) == 1 and powers == [x]))


def layer_norm(graph: MutableGraph, vertex: int, op: Op) -> bool:
    """LayerNormalization over the last axes, with scale and offset, written as nine operations."""
    operands, offset = graph.operands[vertex], op.get("constant")
    if len(operands) != 1 or not op.shape or not isinstance(offset, int):
        return False
    scaled = operands[0][1]
    if graph.ops[scaled].kind != "Mul" or graph.ops[scaled].get("constant") != offset:
        return False
    found = _standardised(graph, graph.operands[scaled][0][1])
    if not found or len(graph.operands[scaled]) != 1:
        return False
    source, axes = found
    last = range(min(axes, default=0), len(op.shape))
    fits = [along(graph.ops[v], last) for v in (scaled, vertex)]
    if axes != tuple(last) or offset != prod(op.shape[axis] for axis in last) or False in fits:
        return False
    kept = [replace(c, slot=slot) for slot, v in ((1, scaled), (2, vertex)) for c in graph.ops[v].constants]
    plain = all(tensor == Tensor(tensor.count) for constant in kept for tensor in constant.tensors)
    _becomes(graph, vertex, source, "LayerNormalization", axis=-len(last), constant=2 * offset)
    graph.ops[vertex] = replace(graph.ops[vertex], constants=() if plain else tuple(kept))
    return True


def _standardised(graph: MutableGraph, divided: int) -> tuple[int, tuple[int, ...]] | None:
    """x and the axes, if the vertex is (x - mean x) / √(mean (x - mean x)² + ε) with both means over these axes."""
    both = pair(graph, divided) if graph.ops[divided].kind == "Div" else None
    terms = pair(graph, both[0]) if both and graph.ops[both[0]].kind == "Sub" else None
    inside = under(graph, both[1], "Sqrt") if both else None
    if not both or not terms or inside is None:
        return None
    guard = graph.ops[inside]
    if guard.kind != "Add" or guard.get("constant") != 1 or learned(guard) or len(graph.operands[inside]) != 1:
        return None
    variance = graph.operands[inside][0][1]
    squared = under(graph, variance, "ReduceMean")
    if squared is None or graph.ops[squared].kind != "Mul" or pair(graph, squared) != (both[0], both[0]):
        return None
    axes = graph.ops[variance].get("axes")
    if under(graph, terms[1], "ReduceMean") != terms[0] or graph.ops[terms[1]].get("axes") != axes:
        return None
    return (terms[0], axes) if isinstance(axes, tuple) else None


def group_norm(graph: MutableGraph, vertex: int, op: Op) -> bool:
    """GroupNormalization with scale and offset, which exporters write as InstanceNormalization of the groups."""
    scaled = graph.operands[vertex][0][1] if _per_channel(graph, vertex, "Add") else vertex
    if not _per_channel(graph, scaled, "Mul") or op.shape is None:
        return False
    below = graph.operands[scaled][0][1]
    back = under(graph, below, "Reshape")
    norm = below if back is None else back
    normalised = graph.ops[norm]
    if normalised.kind != "InstanceNormalization" or len(graph.operands[norm]) != 1 or not normalised.shape:
        return False
    if learned(normalised) or (normalised.get("constant") and not normalised.constants):  # weights that follow from it
        return False
    source: int | None = graph.operands[norm][0][1]
    if back is not None:
        source = under(graph, source, "Reshape")
    if source is None or graph.ops[source].shape is None or normalised.shape[0] != op.shape[0]:
        return False
    if graph.ops[source].shape != op.shape:  # two views that follow each other have become one
        source = graph.add(Op("Reshape", (), op.shape), [(0, source)])
    channels = op.shape[1]
    own = graph.ops[scaled].constants + graph.ops[vertex].constants
    kept = [replace(c, slot=slot, shape=(channels,)) for slot, c in enumerate(own, 1)]
    plain = all(tensor == Tensor(tensor.count) for constant in kept for tensor in constant.tensors)
    _becomes(graph, vertex, source, "GroupNormalization", constant=2 * channels, num_groups=normalised.shape[1])
    graph.ops[vertex] = replace(graph.ops[vertex], constants=() if plain else tuple(kept))
    return True


def _per_channel(graph: MutableGraph, vertex: int, kind: str) -> bool:
    """Whether the vertex is a ``kind`` of one value and one constant per channel, the second axis."""
    op = graph.ops[vertex]
    return op.kind == kind and len(graph.operands[vertex]) == 1 and along(op, range(1, 2)) is True


def softplus(graph: MutableGraph, vertex: int, op: Op) -> bool:
    """Where(x > 20, x, softplus(x)), by which exporters keep large values."""
    operands = graph.operands[vertex]
    if [slot for slot, _ in operands] != [0, 1, 2]:
        return False
    large, x, curve = (source for _, source in operands)
    compared, least = graph.operands[large], number(graph.ops[large])
    if least is None or least < 10:  # below, the curve is not x
        return False
    if graph.ops[large].kind != "Greater" or compared != [(0, x)] or under(graph, curve, "Softplus") != x:
        return False
    return _becomes(graph, vertex, x, "Softplus")


def plain_equation(equation: str) -> str:
    """An equation of Einsum with its output, and with the letters a, b, c, ... in the order in which they occur."""
    terms, arrow, out = equation.replace(" ", "").partition("->")
    if not arrow:
        once = sorted(letter for letter in set(terms) if letter.isalpha() and terms.count(letter) == 1)
        out = "..." * ("..." in terms) + "".join(once)
    letters = dict.fromkeys(letter for letter in terms if letter.isalpha())
    names = dict(zip(letters, ascii_lowercase + ascii_uppercase, strict=False))
    return "".join(names.get(letter, letter) for letter in f"{terms}->{out}")


def attention(graph: MutableGraph, vertex: int, op: Op) -> bool:
    """Scaled dot-product attention on (..., heads, N, D), with or without an added mask or a scale."""
    outer = pair(graph, vertex)
    scores = under(graph, outer[0], "Softmax") if outer else None
    if outer is None or scores is None or graph.ops[outer[0]].get("axis") not in (-1, len(op.shape or ()) - 1):
        return False
    constant: dict[str, int] = {}
    masks: tuple[ConstantOperand, ...] = ()
    mask: int | None = None
    if graph.ops[scores].kind == "Add":
        given = graph.ops[scores].get("constant")
        if isinstance(given, int):
            constant["constant"] = given
            masks = tuple(replace(c, slot=3) for c in graph.ops[scores].constants)
            scores = graph.operands[scores][0][1]
        else:
            terms = pair(graph, scores) or (scores, scores)
            found = [term for term in terms if graph.ops[_unscaled(graph, term)].kind == "MatMul"]
            if len(found) != 1:
                return False
            mask, scores = _condition(graph, sum(terms) - found[0]), found[0]
    product = pair(graph, _unscaled(graph, scores))
    if product is None or graph.ops[_unscaled(graph, scores)].kind != "MatMul":
        return False
    query, keys = _unscaled(graph, product[0]), _turned_back(graph, _unscaled(graph, product[1]))
    if keys is None:
        return False
    operands = [(0, query), (1, keys), (2, outer[1])] + ([(3, mask)] if mask is not None else [])
    whole = replace(Op.of("Attention", op.shape, is_causal=0, **constant), constants=masks)
    graph.become(vertex, whole, operands)
    return True


def _condition(graph: MutableGraph, mask: int) -> int:
    """The truth values of an added mask that is 0 where they are true and very negative elsewhere; else the mask."""
    op, operands = graph.ops[mask], graph.operands[mask]
    if op.kind != "Where" or [slot for slot, _ in operands] != [0] or learned(op):
        return mask
    chosen, other = op.get("value"), op.get("otherwise")
    hides = chosen == 0 and isinstance(other, int | float) and other <= -1e4
    return operands[0][1] if hides else mask


def guarded(graph: MutableGraph, vertex: int, op: Op) -> bool:
    """Where(IsNaN(x), 0, x), by which exporters guard rows of a softmax that are masked fully: returns its input."""
    operands = graph.operands[vertex]
    if number(op) != 0:
        return False
    if [slot for slot, _ in operands] != [0, 2] or under(graph, operands[0][1], "IsNaN") != operands[1][1]:
        return False
    graph.become(vertex, Op("Identity", (), op.shape), [(0, operands[1][1])])
    return True


def causal(graph: MutableGraph, vertex: int, op: Op) -> bool:
    """A causal mask becomes a constant mask, as exporters write it, where there is no other mask and no past."""
    if op.constants or op.get("constant") or any(slot > 2 for slot, _ in graph.operands[vertex]):
        return False
    shapes = [graph.ops[source].shape for slot, source in graph.operands[vertex] if slot in (0, 1)]
    if not op.get("is_causal") or len(shapes) != 2 or shapes[0] is None or shapes[1] is None:
        return False
    size = (shapes[0][-2], shapes[1][-2])
    attributes = {**dict(op.attributes), "is_causal": 0, "constant": prod(size)}
    masked = replace(Op.of("Attention", op.shape, **attributes), constants=(ConstantOperand(3, size),))
    graph.ops[vertex] = masked
    return True


def dense_by_rows(graph: MutableGraph, vertex: int, op: Op) -> bool:
    """Reshape to the rows of a matrix, dense, Reshape back: becomes dense on the last axis.

    A Reshape stays before or after it if needed. The leading axes of the dense layer are those of the input if the
    output begins with the same axes, else those of the output.
    """
    layer = under(graph, vertex, "Reshape")
    if layer is None or graph.ops[layer].kind != "Gemm" or len(graph.readers[layer]) > 1:
        return False
    dense, operands = graph.ops[layer], graph.operands[layer]
    if not operands or operands[0][0] or dense.get("trans_a"):
        return False
    front = operands[0][1]
    source, rows, columns, out = under(graph, front, "Reshape"), graph.ops[front].shape, dense.shape, op.shape
    shape = graph.ops[source].shape if source is not None else None
    if source is None or not (shape and rows and columns and out) or not len(rows) == len(columns) == 2:
        return False
    whole = shape[-1] == rows[1] and out[: len(shape) - 1] == shape[:-1]
    counts = [len(shape) - 1] * whole + [len(out) - 1, *range(2, len(out) - 1)]
    fits = [k for k in counts if k > 1 and prod(out[:k]) == rows[0] and prod(out[k:]) == columns[1]]
    if not fits:
        return False
    leading = out[: fits[0]]
    wide = (*leading, rows[1])
    below = source if shape == wide else graph.add(Op("Reshape", (), wide), [(0, source)])
    graph.become(layer, replace(dense, shape=(*leading, columns[1])), [(0, below), *operands[1:]])
    return True


def _turned_back(graph: MutableGraph, key: int) -> int | None:
    """The keys (..., N, D), if ``key`` is a transposition of their last two axes; else None."""
    shape, source = graph.ops[key].shape, key
    if shape is None or len(shape) < 2:
        return None
    back = (*shape[:-2], shape[-1], shape[-2])
    if graph.ops[key].kind == "Reshape":  # heads and batch are merged during the transposition
        source = graph.operands[key][0][1]
    perm, inner = graph.ops[source].get("perm"), graph.ops[source].shape
    if graph.ops[source].kind != "Transpose" or not isinstance(perm, tuple) or inner is None:
        return None
    swapped = (*perm[:-2], perm[-1], perm[-2])
    if source == key:
        return graph.add(Op.of("Transpose", back, perm=swapped), graph.operands[key])
    if inner[-2:] != shape[-2:]:
        return None
    if swapped == tuple(range(len(perm))):
        return graph.add(Op("Reshape", (), back), graph.operands[source])
    turned = Op.of("Transpose", (*inner[:-2], inner[-1], inner[-2]), perm=swapped)
    return graph.add(Op("Reshape", (), back), [(0, graph.add(turned, graph.operands[source]))])


def _unscaled(graph: MutableGraph, vertex: int) -> int:
    op = graph.ops[vertex]
    scaled = op.kind == "Mul" and op.get("constant") == 1 and len(graph.operands[vertex]) == 1 and not learned(op)
    return graph.operands[vertex][0][1] if scaled else vertex


def _factors(graph: MutableGraph, vertex: int) -> tuple[list[int], float]:
    """The factors of nested products, and the product of their scalar constants; a long chain stays a factor."""
    factors: list[int] = []
    product, stack, left = 1.0, [vertex], DEPTH
    while stack:
        v = stack.pop()
        op = graph.ops[v]
        value = number(op)
        inner = v == vertex or len(graph.readers[v]) == 1
        both = len(graph.operands[v]) == 2
        if op.kind == "Mul" and inner and left and (both or value is not None):
            left -= 1
            product *= 1.0 if value is None else value
            stack += [source for _, source in graph.operands[v]]
        else:
            factors.append(v)
    return factors, product


def _becomes(graph: MutableGraph, vertex: int, source: int, kind: str, **attributes: int | str) -> bool:
    values: dict[str, int | float | str | tuple[int, ...]] = {**attributes}
    if kind == "HardSigmoid":
        values |= {"alpha": 0.166667, "beta": 0.5}
    if kind == "Swish":
        values |= {"alpha": 1.0}
    graph.become(vertex, Op.of(kind, graph.ops[vertex].shape, **values), [(0, source)])
    return True
