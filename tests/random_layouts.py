"""One operation of each kind that moves, selects or reshapes values, for ``random_networks``."""

from math import prod

import numpy as np
from onnx import TensorProto
from random_operations import broadcast

__all__ = ["LAYOUTS"]


def transpose(f):
    x = f.value(2, 3, 4, 5)
    perm = list(range(len(f.shape(x))))
    if f.random.random() < 0.2:
        return f("Transpose", x)
    f.random.shuffle(perm)
    return f("Transpose", x, perm=perm)


def reshape(f):
    """Sizes as numbers, with 0 for the size that is there and -1 for what is left, or taken from the value's own."""
    r, x = f.random, f.value()
    shape = list(f.shape(x))
    if r.random() < 0.3 and len(shape) > 1:
        first = f("Gather", f("Shape", x), f.whole(0), axis=0)
        return f("Reshape", x, f("Concat", first, f.whole(-1), axis=0))
    sizes = list(shape)
    while len(sizes) > 1 and r.random() < 0.6:
        at = r.randint(0, len(sizes) - 2)
        sizes[at : at + 2] = [sizes[at] * sizes[at + 1]]
    if r.random() < 0.4 and sizes:
        at = r.choice(range(len(sizes)))
        parts = [n for n in range(1, sizes[at] + 1) if sizes[at] % n == 0]
        part = r.choice(parts)
        sizes[at : at + 1] = [part, sizes[at] // part]
    sizes = [0 if k < len(shape) and shape[k] == n and r.random() < 0.3 else n for k, n in enumerate(sizes)]
    if sizes and r.random() < 0.5:
        sizes[r.choice(range(len(sizes)))] = -1
    return f("Reshape", x, f.whole(*sizes))


def flatten(f):
    x = f.value()
    rank = len(f.shape(x))
    return f("Flatten", x, axis=f.random.randint(-rank, rank))


def squeeze(f):
    r, x = f.random, f.value(fits=lambda shape: 1 in shape and len(shape) > 1)
    shape = f.shape(x)
    axes = [axis - len(shape) * r.randint(0, 1) for axis, size in enumerate(shape) if size == 1]
    if r.random() < 0.2:
        return f("Squeeze", x)
    return f("Squeeze", x, f.whole(*r.sample(axes, r.randint(1, len(axes)))))


def unsqueeze(f):
    x = f.value(0, 1, 2, 3)
    rank = len(f.shape(x))
    axes = f.random.sample(range(rank + 2), 2) if f.random.random() < 0.3 else [f.random.randint(-rank - 1, rank)]
    return f("Unsqueeze", x, f.whole(*axes))


def concat(f):
    r, x = f.random, f.value(1, 2, 3, 4)
    shape = f.shape(x)
    axis = r.randint(-len(shape), len(shape) - 1)
    parts = [x]
    for _ in range(r.randint(1, 2)):
        other = list(shape)
        other[axis] = r.choice((other[axis], r.randint(1, 4)))
        parts.append(f.operand(*other))
    r.shuffle(parts)
    return f("Concat", *parts, axis=axis)


def split(f):
    r, x = f.random, f.value(1, 2, 3, 4, fits=lambda shape: max(shape) > 1)
    shape = f.shape(x)
    axis = r.choice([axis for axis, size in enumerate(shape) if size > 1])
    if r.random() < 0.5:
        first = r.randint(1, shape[axis] - 1)
        parts = f("Split", x, f.whole(first, shape[axis] - first), outputs=2, axis=axis)
    else:
        count = r.randint(2, min(3, shape[axis]))
        while -(-shape[axis] // count) * (count - 1) >= shape[axis]:
            count -= 1  # ceil(size / count) each, and the last not empty
        parts = f("Split", x, outputs=count, axis=axis - len(shape) * r.randint(0, 1), num_outputs=count)
    return parts[0] if r.random() < 0.5 else parts[-1]


def slices(f):
    r, x = f.random, f.value(1, 2, 3, 4)
    shape = f.shape(x)
    axes = r.sample(range(len(shape)), r.randint(1, len(shape)))
    starts, ends, steps = [], [], []
    for axis in axes:
        first, last = sorted((r.randint(0, shape[axis] - 1), r.randint(0, shape[axis] - 1)))
        step = r.randint(1, 2)
        if r.random() < 0.25:
            starts, ends, steps = [*starts, last], [*ends, first - 1 if first else -(10**9)], [*steps, -step]
        else:
            end = r.choice((last + 1, 10**9)) if last == shape[axis] - 1 else last + 1
            starts, ends, steps = [*starts, first - shape[axis] * r.randint(0, 1)], [*ends, end], [*steps, step]
    if set(steps) == {1} and r.random() < 0.5:
        return f("Slice", x, f.whole(*starts), f.whole(*ends), f.whole(*axes))
    return f("Slice", x, f.whole(*starts), f.whole(*ends), f.whole(*axes), f.whole(*steps))


def gather(f):
    """Rows of a value by stored numbers, or one of them."""
    r, x = f.random, f.value(1, 2, 3, 4)
    shape = f.shape(x)
    axis = r.randint(-len(shape), len(shape) - 1)
    form = r.choice(((), (), (1,), (3,), (2, 2)))
    return f("Gather", x, f.keep(f.numbers.integers(-shape[axis], shape[axis], form)), axis=axis)


def embedding(f):
    """Rows of a table by the whole numbers of an input, or by those that the network computes."""
    r = f.random
    rows, wide = r.randint(2, 8), r.randint(1, 6)
    table = f.constant(rows, wide)
    if r.random() < 0.7:
        return f("Gather", table, f.entry(*f.sizes(r.randint(1, 2)), dtype=np.int64, below=rows))
    return f("Gather", table, f("Mod", f("ArgMax", f.value(2, 3), axis=1), f.whole(rows)))


def tied(f):
    """Rows of a table, and a product with its transposition."""
    rows, wide = f.random.randint(2, 8), f.random.randint(1, 6)
    table = f.constant(rows, wide)
    x = f("Gather", table, f.entry(*f.sizes(2), dtype=np.int64, below=rows))
    return f("MatMul", f("Tanh", x), f("Transpose", table, perm=[1, 0]))


def pad(f):
    r, x = f.random, f.value(1, 2, 3, 4)
    shape = f.shape(x)
    mode = r.choice(("constant", "constant", "edge", "reflect"))
    most = [min(2, n - 1) if mode == "reflect" else 2 for n in shape]
    axes = sorted(r.sample(range(len(shape)), r.randint(1, len(shape)) if r.random() < 0.4 else len(shape)))
    pads = [r.randint(0, most[axis]) for _ in range(2) for axis in axes]
    number = f.keep(np.float32(1.5)) if r.random() < 0.4 and mode == "constant" else None
    return f("Pad", x, f.whole(*pads), number, f.whole(*axes) if len(axes) < len(shape) else None, mode=mode)


def clip(f):
    r, x = f.random, f.value()
    bounds = [f.keep(np.float32(bound)) if r.random() < 0.7 else None for bound in (-0.5, 0.5)]
    return f("Clip", x, *bounds)


def resize(f):
    r, x = f.random, f.value(4)
    shape = f.shape(x)
    mode = r.choice(("nearest", "linear"))
    given = {"coordinate_transformation_mode": r.choice(("half_pixel", "asymmetric"))}
    if r.random() < 0.5:
        return f("Resize", x, None, f.initializer(np.array([1, 1, 2, 1.5], np.float32)), mode=mode, **given)
    sizes = f.whole(*shape[:2], r.randint(1, 8), r.randint(1, 8))
    return f("Resize", x, None, None, sizes, mode=mode, **given)


def expand(f):
    x, r = f.value(0, 1, 2, 3, fits=lambda shape: prod(shape) <= 200), f.random
    wide = [r.randint(1, 3) if n == 1 else n for n in f.shape(x)]
    sizes = [n if n != m or r.random() < 0.7 else 1 for n, m in zip(wide, f.shape(x), strict=True)]
    sizes = [r.randint(1, 3)] * r.randint(0, 1) + sizes
    if r.random() < 0.2:
        return f("Expand", x, f("Concat", f.whole(2), f("Shape", x), axis=0))
    return f("Expand", x, f.whole(*sizes))


def tile(f):
    x = f.value(1, 2, 3, 4, fits=lambda shape: prod(shape) <= 200)
    return f("Tile", x, f.whole(*(f.random.randint(1, 2) for _ in f.shape(x))))


def cast(f):
    """To another format and back, with an operation in between or none."""
    r, x = f.random, f.value()
    if r.random() < 0.5:
        half = f("Cast", x, to=TensorProto.FLOAT16)
        if r.random() < 0.5:
            half = f("Add", half, f.keep(f.reals(*broadcast(f, f.shape(x)), dtype=np.float16)))
        return f("Cast", half, to=TensorProto.FLOAT)
    like = f.value()
    return f("CastLike", f("Cast", f("Sign", x), to=r.choice((TensorProto.INT64, TensorProto.INT32))), like)


def depth(f):
    r = f.random
    if r.random() < 0.5:
        x = f.value(4, fits=lambda shape: shape[1] % 4 == 0)
        return f("DepthToSpace", x, blocksize=2, mode=r.choice(("DCR", "CRD")))
    return f("SpaceToDepth", f.value(4, fits=lambda shape: shape[2] % 2 == 0 == shape[3] % 2), blocksize=2)


def top(f):
    r, x = f.random, f.value(1, 2, 3)
    axis = r.randint(-len(f.shape(x)), -1)
    k = r.randint(1, f.shape(x)[axis])
    values, indices = f("TopK", x, f.whole(k), outputs=2, axis=axis)
    return values if r.random() < 0.5 else f("Cast", indices, to=TensorProto.FLOAT)


def running_sum(f):
    x = f.value(1, 2, 3)
    return f("CumSum", x, f.keep(np.int64(f.random.randint(0, len(f.shape(x)) - 1))), reverse=f.random.randint(0, 1))


def largest(f):
    r, x = f.random, f.value(1, 2, 3, 4)
    rank = len(f.shape(x))
    found = f(r.choice(("ArgMax", "ArgMin")), x, axis=r.randint(-rank, rank - 1), keepdims=r.randint(0, 1))
    return f("Cast", found, to=TensorProto.FLOAT)


def triangle(f):
    k = f.keep(np.int64(f.random.randint(-1, 1))) if f.random.random() < 0.5 else None
    return f("Trilu", f.value(2, 3, 4), k, upper=f.random.randint(0, 1))


def gather_elements(f):
    x = f.value(2, 3)
    shape, axis = f.shape(x), f.random.randint(0, 1)
    index = list(shape)
    index[axis] = f.random.randint(1, 4)
    return f("GatherElements", x, f.keep(f.numbers.integers(0, shape[axis], index)), axis=axis)


def scatter(f):
    r, x = f.random, f.value(2, 3)
    shape = f.shape(x)
    if r.random() < 0.5:
        index = f.keep(f.numbers.integers(0, shape[0], (1, *shape[1:])))
        return f("ScatterElements", x, index, f.operand(1, *shape[1:]))
    rows = f.keep(f.numbers.integers(0, shape[0], (2, 1)))
    return f("ScatterND", x, rows, f.operand(2, *shape[1:]))


def one_hot(f):
    x = f.value(2, 3)
    found = f("ArgMax", x, axis=-1, keepdims=0)
    return f("OneHot", found, f.keep(np.int64(f.shape(x)[-1])), f.keep(np.array([0, 1], np.float32)))


def dropped(f):
    return f("Dropout", f.value(), f.keep(np.float32(0.5)) if f.random.random() < 0.5 else None)


LAYOUTS = (
    transpose, reshape, flatten, squeeze, unsqueeze, concat, split, slices, gather, embedding, tied, pad, clip, resize,
    expand, tile, cast, depth, top, running_sum, largest, triangle, gather_elements, scatter, one_hot, dropped,
)  # fmt: skip
