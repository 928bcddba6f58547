"""PyTorch operations that read or write values at given places, and windows over an image as matrices."""

from math import prod
from typing import Any

from narformer.formats.torch_call import Call, Translation, known, wide

__all__ = ["INDEXED"]


def _embedding(call: Call) -> Any:
    return call.add("Gather", [call["weight"], call["indices"]], axis=0)


def _bags(call: Call) -> list[int]:
    """embedding_bag: rows of a table, summed over each of the equally long bags."""
    weight, indices = call.shape("weight"), call.shape("indices")
    bags, width = known(call.out[0])
    count = prod(indices)
    rows = call.add("Gather", [call["weight"], call["indices"]], (*indices, width), axis=0)
    if not bags or count % bags:
        return [call.add("aten.embedding_bag", [rows, call["offsets"]], call.out[0])]
    wide_rows = call.add("Reshape", [rows], (bags, count // bags, weight[1]))
    kind = ("ReduceSum", "ReduceMean", "ReduceMax")[call["mode"] or 0]
    return [call.add(kind, [wide_rows], call.out[0], axes=(1,), keepdims=0)]


def _along(name: str) -> Translation:
    """Whole rows of the argument ``self`` at the indices ``name``."""
    return lambda call: call.add("Gather", [call["self"], call[name]], axis=call["dim"] % max(len(call.shape()), 1))


def _index(call: Call) -> Any:
    """Gather for indices of one axis, GatherND for several; a mask is an index of unknown length."""
    known(call.out)
    given = [(axis, index) for axis, index in enumerate(call["indices"]) if index is not None]
    if len(given) == 1:
        ((axis, index),) = given
        return call.add("Gather", [call["self"], index], axis=axis)
    return call.add("GatherND", [call["self"], *(index for _, index in given)])


def _written(call: Call) -> Any:
    """index_put and its like: some values of ``self`` are replaced."""
    indices = [index for index in call["indices"] if index is not None]
    return call.add("ScatterND", [call["self"], indices[0], call.operand("values"), *indices[1:]])


def _part_written(call: Call) -> Any:
    """slice_scatter and its like: a part of ``self`` is replaced; the whole of it is ``src`` itself."""
    if call.shapes.get("src") == call.out:
        return call.add("Identity", [call["src"]])
    return call.add("ScatterND", [call["self"], None, call["src"]])


def _scatter(call: Call) -> Any:
    name = "src" if call["src"] is not None else "source" if call["source"] is not None else "value"
    axis = call["dim"] % max(len(call.shape()), 1)
    return call.add("ScatterElements", [call["self"], call["index"], call.operand(name)], axis=axis)


def _elements(call: Call) -> Any:
    index = "index" if call["index"] is not None else "indices"
    shape, axis = call.shape(), call["dim"]
    if axis is None:  # take, take_along_dim: all values in a row
        shape, axis = (prod(shape),), 0
        row = call.add("Reshape", [call["self"]], shape)
        return call.add("Gather", [row, call[index]], axis=0)
    return call.add("GatherElements", [call["self"], call[index]], axis=axis % max(len(shape), 1))


def _at_places(call: Call) -> Any:
    """as_strided, diagonal: values at places that do not depend on the input."""
    size = prod(call.shape())
    row = call.add("Reshape", [call["self"]], (size,))
    return call.gather(row, (size,), 0, known(call.out))[0]


def _windows(call: Call) -> Any:
    """Tensor.unfold: windows of one axis as a new last axis."""
    shape = call.shape()
    axis, size, step = call["dimension"] % max(len(shape), 1), call["size"], call["step"]
    count = (shape[axis] - size) // step + 1
    found, rank = call.gather(call["self"], shape, axis, (count, size))[0], len(shape)
    perm = (*range(axis + 1), *range(axis + 2, rank + 1), axis + 1)
    return found if axis == rank - 1 else call.add("Transpose", [found], perm=perm)


def _columns(call: Call) -> Any:
    """im2col (nn.Unfold): the windows of an image as the columns of a matrix."""
    shape = call.shape()
    *front, channels, height, width = shape
    (kh, kw), (ph, pw) = wide(call["kernel_size"], 2), wide(call["padding"], 2)
    (sh, sw), (dh, dw) = wide(call["stride"], 2), wide(call["dilation"], 2)
    source, n = call["self"], len(front)
    if ph or pw:
        height, width = height + 2 * ph, width + 2 * pw
        shape = (*front, channels, height, width)
        pads = (*(0,) * (n + 1), ph, pw)
        source = call.add("Pad", [source], shape, mode="constant", pads=(*pads, *pads), value=0.0)
    rows, columns = (height - dh * (kh - 1) - 1) // sh + 1, (width - dw * (kw - 1) - 1) // sw + 1
    source, shape = call.gather(source, shape, n + 1, (kh, rows))
    source, shape = call.gather(source, shape, n + 3, (kw, columns))
    perm = (*range(n + 1), n + 1, n + 3, n + 2, n + 4)
    turned = call.add("Transpose", [source], tuple(shape[axis] for axis in perm), perm=perm)
    return call.add("Reshape", [turned])


def _image(call: Call) -> Any:
    """col2im (nn.Fold): columns are added to the windows of an image."""
    return call.add(
        "Col2Im",
        [call["self"]],
        strides=wide(call["stride"], 2),
        dilations=wide(call["dilation"], 2),
        pads=wide(call["padding"], 2) * 2,
        kernel_shape=wide(call["kernel_size"], 2),
    )


def _one_hot(call: Call) -> Any:
    return call.add("OneHot", [call["self"]], known(call.out), axis=-1)


def _boxes(call: Call) -> Any:
    """Pooled values of each box, of the image that the first column of the boxes names."""
    return call.add("RoiAlign", [call["input"], call["rois"]])


def _deformed(call: Call) -> Any:
    """Convolution whose places are offsets that the network computes."""
    weight: Any = call["weight"]
    return call.add(
        "DeformConv",
        [call["input"], weight, call["offset"], call["bias"], call["mask"] if call["use_mask"] else None],
        kernel_shape=call.shape("weight")[2:],
        strides=(call["stride_h"], call["stride_w"]),
        pads=(call["pad_h"], call["pad_w"]) * 2,
        dilations=(call["dilation_h"], call["dilation_w"]),
        group=call["groups"],
        offset_group=call["offset_groups"],
    )


INDEXED: dict[str, Translation] = {
    "embedding": _embedding,
    **dict.fromkeys(("_embedding_bag", "_embedding_bag_forward_only", "embedding_bag"), _bags),
    "index_select": _along("index"),
    **dict.fromkeys(("index", "_unsafe_index"), _index),
    **dict.fromkeys(("index_put", "_unsafe_index_put", "_index_put_impl"), _written),
    **dict.fromkeys(("slice_scatter", "select_scatter", "diagonal_scatter", "as_strided_scatter"), _part_written),
    **dict.fromkeys(
        ("scatter", "scatter_add", "scatter_reduce", "index_add", "index_copy", "index_fill", "index_reduce"), _scatter
    ),
    "masked_scatter": lambda call: call.add("ScatterND", [call["self"], call["mask"], call["source"]]),
    **dict.fromkeys(("gather", "take", "take_along_dim"), _elements),
    **dict.fromkeys(("as_strided", "diagonal"), _at_places),
    "unfold": _windows,
    "im2col": _columns,
    "col2im": _image,
    "one_hot": _one_hot,
    "nonzero": lambda call: call.add("NonZero", [call["self"]]),
    **dict.fromkeys(("tril", "triu"), lambda call: call.add("Trilu", [call["self"]], upper=int(call.name == "triu"))),
    "multinomial": lambda call: call.add("Multinomial", [call["self"]]),
    **dict.fromkeys(
        ("grid_sampler", "grid_sampler_2d", "grid_sampler_3d"),
        lambda call: call.add("GridSample", [call["input"], call["grid"]]),
    ),
    "affine_grid_generator": lambda call: call.add("AffineGrid", [call["theta"]]),
    "torchvision::roi_align": _boxes,
    "torchvision::nms": lambda call: call.add("NonMaxSuppression", [call["dets"], call["scores"]]),
    "torchvision::deform_conv2d": _deformed,
}
