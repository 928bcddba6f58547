"""The ten networks of ``modules`` as ONNX files that no exporter of PyTorch's wrote, each in another dialect.

The files hold the weights of the module that is given, so that a runtime can tell whether they compute the same.
Written from the architectures: opsets from 7 to 14, norms folded, left, or taken apart into scale and offset, dense
layers as Gemm or MatMul + Add, pools as pools or means, activations as one operation or as several.
"""

from functools import partial
from math import sqrt

import numpy as np
from onnx import TensorProto, helper, numpy_helper

LSTM_GATES = [0, 3, 1, 2]  # PyTorch has input, forget, cell, output; ONNX input, output, forget, cell


class File:
    """A file that is being written: operands are names of values, or arrays and numbers, which become weights.

    A layer is called by the name that its weights have in the module.
    """

    def __init__(self, module, shape, opset):
        self.state = {name: value.detach().numpy() for name, value in module.state_dict().items()}
        self.opset, self.nodes, self.weights = opset, [], []
        self.entry = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)

    def __call__(self, kind, *operands, outputs=1, **attributes):
        names = [operand if isinstance(operand, str) else self.weight(operand) for operand in operands]
        made = [f"{kind.lower()}_{len(self.nodes)}_{k}" for k in range(outputs)]
        self.nodes.append(helper.make_node(kind, names, made, **attributes))
        return made[0] if outputs == 1 else made

    def weight(self, value):
        array = value if isinstance(value, np.ndarray) else np.array(value, np.float32)
        self.weights.append(numpy_helper.from_array(array, f"weight_{len(self.weights)}"))
        return self.weights[-1].name

    def whole(self, *numbers):
        """Sizes, axes, indices."""
        return np.array(numbers, np.int64)

    def conv(self, name, x, kind="Conv", **attributes):
        bias = [self.state[f"{name}.bias"]] if f"{name}.bias" in self.state else []
        return self(kind, x, self.state[f"{name}.weight"], *bias, **attributes)

    def norm(self, name, x):
        parts = ("weight", "bias", "running_mean", "running_var")
        return self("BatchNormalization", x, *(self.state[f"{name}.{part}"] for part in parts))

    def scale_and_offset(self, name):
        """What a BatchNormalization multiplies with and adds, per channel."""
        weight, bias, mean, var = (
            self.state[f"{name}.{part}"] for part in ("weight", "bias", "running_mean", "running_var")
        )
        scale = weight / np.sqrt(var + np.float32(1e-5))
        return scale, bias - mean * scale

    def folded(self, name, x, **attributes):
        """A convolution that its norm is folded into."""
        scale, offset = self.scale_and_offset(f"{name}.1")
        return self("Conv", x, self.state[f"{name}.0.weight"] * scale[:, None, None, None], offset, **attributes)

    def gemm(self, name, x):
        return self("Gemm", x, self.state[f"{name}.weight"], self.state[f"{name}.bias"], transB=1)

    def product(self, name, x):
        """A dense layer as a product and a sum."""
        return self("Add", self.state[f"{name}.bias"], self("MatMul", x, self.state[f"{name}.weight"].T))

    def done(self, y):
        end = helper.make_tensor_value_info(y, TensorProto.FLOAT, None)
        entries = [self.entry]
        if self.opset < 9:  # of that age: weights are inputs that have a value
            entries += [helper.make_tensor_value_info(w.name, w.data_type, w.dims) for w in self.weights]
        graph = helper.make_graph(self.nodes, "hand-built", entries, [end], self.weights)
        opset = helper.make_opsetid("", self.opset)
        return helper.make_model(graph, opset_imports=[opset], ir_version=3 if self.opset < 9 else 8)


def around(pixels):
    """The same padding on all four sides."""
    return [pixels] * 4


def resnet(module, shape):
    """Norms left as they are; Flatten; weights listed among the inputs."""
    f = File(module, shape, 7)
    x = f("Relu", f.norm("stem.1", f.conv("stem.0", "x", strides=[2, 2], pads=around(3))))
    x = f("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=around(1))
    y = f("Relu", f.norm("one.1", f.conv("one.0", x, strides=[2, 2], pads=around(1))))
    y = f.norm("two.1", f.conv("two.0", y, pads=around(1)))
    shortcut = f.norm("down.1", f.conv("down.0", x, strides=[2, 2]))
    pooled = f("GlobalAveragePool", f("Relu", f("Sum", shortcut, y)))
    return f.done(f.gemm("head.fc", f("Flatten", pooled)))


def inception(module, shape):
    """Norms folded; a mean without its axes, MatMul + Add."""
    f = File(module, shape, 11)
    x = f("Relu", f.folded("stem", "x", strides=[2, 2], pads=around(1)))
    a = f("Relu", f.folded("a", x))
    b = f("Relu", f.folded("b.1", f("Relu", f.folded("b.0", x)), auto_pad="SAME_UPPER"))
    c = f("AveragePool", x, kernel_shape=[3, 3], strides=[1, 1], pads=around(1), count_include_pad=1)
    x = f("Concat", a, b, f("Relu", f.folded("c.1", c)), axis=-3)
    return f.done(f.product("head.fc", f("ReduceMean", x, axes=[2, 3], keepdims=0)))


def mobilenet_v2(module, shape, *, pools=2):
    """Padding as an operation of its own, Clip with its bounds as attributes, Gemm by a turned matrix.

    The module takes the mean of the image, then its head pools what is left; one pool computes the same.
    """
    f = File(module, shape, 10)

    def relu6(x):
        return f("Clip", x, min=0.0, max=6.0)

    padded = f("Pad", "x", pads=[0, 0, 1, 1, 0, 0, 1, 1])
    x = relu6(f.norm("stem.1", f.conv("stem.0", padded, strides=[2, 2])))
    y = relu6(f.norm("block.0.1", f.conv("block.0.0", x)))
    y = relu6(f.norm("block.1.1", f.conv("block.1.0", y, pads=around(1), group=24)))
    x = f("Add", x, f.norm("block.2.1", f.conv("block.2.0", y)))
    x = f("ReduceMean", x, axes=[-2, -1])
    if pools == 2:
        x = f("GlobalAveragePool", x)
    x = f("Reshape", f("Dropout", x, ratio=0.2), f.whole(0, -1))
    return f.done(f("Gemm", x, module.head.fc.weight.detach().numpy().T, f.state["head.fc.bias"]))


def mobilenet_v3(module, shape):
    """HardSwish and HardSigmoid by name; Squeeze with its axes as an input."""
    f = File(module, shape, 14)
    x = f("HardSwish", f.folded("stem", "x", strides=[2, 2], pads=around(1)))
    y = f("HardSwish", f.folded("depth", x, pads=around(2), group=8))
    gate = f("Relu", f.conv("gate.down", f("ReduceMean", y, axes=[2, 3], keepdims=1)))
    gate = f("HardSigmoid", f.conv("gate.up", gate), alpha=1 / 6, beta=0.5)
    x = f("Add", f.folded("out", f("Mul", gate, y)), x)
    return f.done(f.gemm("head.fc", f("Squeeze", f("GlobalAveragePool", x), f.whole(2, 3))))


def efficientnet(module, shape):
    """Norms taken apart into Mul and Add, SiLU into Sigmoid and Mul; a pool with the image as its window."""
    f = File(module, shape, 13)

    def silu(x):
        return f("Mul", f("Sigmoid", x), x)

    def normed(name, x, **attributes):
        scale, offset = (part.reshape(1, -1, 1, 1) for part in f.scale_and_offset(f"{name}.1"))
        return f("Add", f("Mul", f.conv(f"{name}.0", x, **attributes), scale), offset)

    x = silu(normed("stem", "x", strides=[2, 2], pads=around(1)))
    y = silu(normed("wide", x))
    y = silu(normed("depth", y, pads=around(1), group=16))
    gate = silu(f.conv("gate.down", f("AveragePool", y, kernel_shape=[16, 16])))
    x = f("Add", normed("out", f("Mul", y, f("Sigmoid", f.conv("gate.up", gate)))), x)
    return f.done(f.product("head.fc", f("Flatten", f("GlobalAveragePool", x), axis=1)))


def vit(module, shape, *, by_rows=False):
    """Layer normalisation, GELU and attention written out; queries, keys and values by Split.

    Dense layers may see the tokens as rows of a matrix.
    """
    f = File(module, shape, 13)

    def dense(name, x):
        if not by_rows:
            return f.product(name, x)
        rows = f.gemm(name, f("Reshape", x, f.whole(17, -1)))
        return f("Reshape", rows, f.whole(1, 17, -1))

    def layer_norm(name, x):
        centred = f("Sub", x, f("ReduceMean", x, axes=[-1]))
        variance = f("ReduceMean", f("Pow", centred, 2.0), axes=[-1])
        x = f("Div", centred, f("Sqrt", f("Add", variance, 1e-5)))
        return f("Add", f("Mul", x, f.state[f"{name}.weight"]), f.state[f"{name}.bias"])

    def gelu(x):
        return f("Mul", f("Mul", x, f("Add", f("Erf", f("Div", x, sqrt(2))), 1.0)), 0.5)

    def attended(name, x):
        qkv = f("Reshape", dense(f"{name}.qkv", x), f.whole(1, 17, 3, 2, 8))
        parts = f("Split", f("Transpose", qkv, perm=[2, 0, 3, 1, 4]), axis=0, outputs=3)
        q, k, v = (f("Squeeze", part, f.whole(0)) for part in parts)
        scores = f("Div", f("MatMul", q, f("Transpose", k, perm=[0, 1, 3, 2])), sqrt(8))
        x = f("Transpose", f("MatMul", f("Softmax", scores, axis=-1), v), perm=[0, 2, 1, 3])
        return dense(f"{name}.proj", f("Reshape", x, f.whole(1, 17, 16)))

    def mlp(name, x):
        return dense(f"{name}.2", gelu(dense(f"{name}.0", x)))

    patches = f("Reshape", f.conv("patch", "x", strides=[8, 8]), f.whole(0, 0, -1))
    x = f("Concat", f.state["cls"], f("Transpose", patches, perm=[0, 2, 1]), axis=1)
    x = f("Add", x, f.state["position"])
    for name in ("blocks.0", "blocks.1"):
        x = f("Add", x, attended(name, layer_norm(f"{name}.norm1", x)))
        x = f("Add", mlp(f"{name}.mlp", layer_norm(f"{name}.norm2", x)), x)
    first = f("Gather", layer_norm("norm", x), np.array(0), axis=1)
    return f.done(f.gemm("head", first))


def lstm(module, shape, *, by_state=False):
    """One LSTM over all steps, its first state from zeros that are stored; the last step by Gather.

    In one direction the last step is also what the LSTM gives as its state.
    """
    f = File(module, shape, 12)
    steps, batch, hidden = shape[1], shape[0], module.lstm.hidden_size

    def gates(name):
        rows = f.state[f"lstm.{name}"].reshape(4, hidden, -1)[LSTM_GATES]
        return rows.reshape(1, 4 * hidden, -1)

    biases = np.concatenate([gates("bias_ih_l0"), gates("bias_hh_l0")], axis=1)[:, :, 0]
    zeros = np.zeros((1, batch, hidden), np.float32)
    lengths = np.full(batch, steps, np.int32)
    by_step = f("Transpose", "x", perm=[1, 0, 2])
    weights = gates("weight_ih_l0"), gates("weight_hh_l0"), biases, lengths, zeros, zeros
    y, state = f("LSTM", by_step, *weights, outputs=2, hidden_size=hidden)
    if by_state:
        return f.done(f.gemm("fc", f("Squeeze", state, axes=[0])))
    y = f("Transpose", f("Squeeze", y, axes=[1]), perm=[1, 0, 2])
    last = f("Gather", y, f.whole(-1), axis=1)
    return f.done(f.gemm("fc", f("Squeeze", last, axes=[1])))


def unet(module, shape):
    """Norms folded; Resize by scales of every axis, a transposed convolution."""
    f = File(module, shape, 11)
    x = f("Relu", f.folded("one", "x", pads=around(1)))
    y = f("Relu", f.folded("two", f("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2]), auto_pad="SAME_LOWER"))
    z = f("Relu", f.folded("three", f("MaxPool", y, kernel_shape=[2, 2], strides=[2, 2]), pads=around(1)))
    scales = np.array([1, 1, 2, 2], np.float32)
    z = f("Resize", z, np.zeros(0, np.float32), scales, mode="linear", coordinate_transformation_mode="half_pixel")
    y = f("Relu", f.folded("merge", f("Concat", y, z, axis=1), pads=around(1)))
    y = f.conv("up", y, kind="ConvTranspose", strides=[2, 2], kernel_shape=[2, 2])
    x = f("Relu", f.folded("last", f("Concat", x, y, axis=1), pads=around(1)))
    return f.done(f.conv("out", x))


def mlp(module, shape):
    """Reshape in place of Flatten; Softmax as it was before opset 13."""
    f = File(module, shape, 9)
    x = f("Reshape", "x", f.whole(1, -1))
    x = f("Tanh", f.product("layers.1", x))
    return f.done(f("Softmax", f("Identity", f.gemm("layers.3", x))))


def densenet(module, shape):
    """Norms before their convolutions, which nothing can fold; weights listed among the inputs."""
    f = File(module, shape, 8)
    x = f.conv("stem", "x", strides=[2, 2], pads=around(1))
    for k in range(2):
        new = f.conv(f"convs.{k}", f("Relu", f.norm(f"norms.{k}", x)), pads=around(1))
        x = f("Concat", x, new, axis=1)
    x = f("GlobalAveragePool", f("Relu", f.norm("norms.2", x)))
    return f.done(f.product("head.fc", f("Flatten", x)))


HAND_BUILT = {
    "resnet": resnet,
    "inception": inception,
    "mobilenet_v2": mobilenet_v2,
    "mobilenet_v3": mobilenet_v3,
    "efficientnet": efficientnet,
    "vit": vit,
    "lstm": lstm,
    "unet": unet,
    "mlp": mlp,
    "densenet": densenet,
}
# Further spellings that compute the same: (module, builder).
FURTHER = {
    "mobilenet_v2, one pool": ("mobilenet_v2", partial(mobilenet_v2, pools=1)),
    "vit, by rows": ("vit", partial(vit, by_rows=True)),
    "lstm, by its state": ("lstm", partial(lstm, by_state=True)),
}
