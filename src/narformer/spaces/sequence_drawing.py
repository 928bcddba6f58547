"""Drawing on sequences, (N, length, width): dense layers, norms, heads, attention, embeddings, recurrent layers.

Every method draws what PyTorch's exporter writes for the layer of that name.
"""

from dataclasses import replace
from math import prod

from narformer.network.graph import Value
from narformer.network.tensors import ConstantOperand, Tensor
from narformer.spaces.drawing import Drawing

Shape = tuple[int, ...]


class SequenceDrawing(Drawing):
    """A network under construction that may have sequences of vectors, images with their channels last included."""

    def constant(
        self, kind: str, x: int, shape: tuple[int, ...], *tensors: Tensor, slot: int = 1, axis: int = 0
    ) -> int:
        """An operation of x and a constant of this shape in this slot; a trained tensor of its own unless given.

        The output has the shape of x, a Concat that of both along ``axis``, a Gather (slot 0) a row for every index.
        """
        out = self.shape(x)
        if kind == "Concat":
            out = (*out[:axis], out[axis] + shape[axis], *out[axis + 1 :])
        elif kind == "Gather":
            out = (*out, *shape[1:])
        attributes: dict[str, Value] = {"axis": axis} if kind in ("Concat", "Gather") else {}
        vertex = self.op(kind, out, x, constant=prod(shape), **attributes)
        operand = ConstantOperand(slot, shape, tensors or (Tensor(prod(shape)),))
        self.ops[vertex] = replace(self.ops[vertex], constants=(operand,))
        self.slots[-1] = 1 - slot
        return vertex

    def scalar(self, kind: str, x: int, value: float) -> int:
        """An operation of x and a number."""
        return self.op(kind, self.shape(x), x, constant=1, value=value)

    def embedding(self, tokens: int, rows: int, width: int, identity: int = 0) -> int:
        """A row of a table for every token; ``identity`` numbers a table that another layer reads, too."""
        return self.constant("Gather", tokens, (rows, width), Tensor(rows * width, identity=identity), slot=0)

    def linear(self, x: int, width: int, bias: bool = True) -> int:
        """A dense layer on the last axis."""
        return self.op("Gemm", (*self.shape(x)[:-1], width), x, bias=int(bias))

    def tied(self, x: int, rows: int, identity: int) -> int:
        """A dense layer without bias whose weight is the table of this identity, turned."""
        vertex = self.linear(x, rows, bias=False)
        shape = (self.shape(x)[-1], rows)
        operand = ConstantOperand(1, shape, (Tensor(prod(shape), identity=identity),))
        self.ops[vertex] = replace(self.ops[vertex], constants=(operand,))
        return vertex

    def layer_norm(self, x: int) -> int:
        """A normalisation over the last axis with trained scale and offset."""
        return self.op("LayerNormalization", self.shape(x), x, axis=-1, constant=2 * self.shape(x)[-1])

    def rms_norm(self, x: int, epsilon: float = 1e-5) -> int:
        """A division by the root of the mean square over the last axis, and a trained scale."""
        squares = self.mean(self.scalar("Pow", x, 2.0), len(self.shape(x)) - 1)
        inverse = self.same("Reciprocal", self.same("Sqrt", self.scalar("Add", squares, epsilon)))
        return self.constant("Mul", self.multiply(x, inverse), self.shape(x)[-1:])

    def mean(self, x: int, *axes: int) -> int:
        """The mean over these axes, which stay with size 1."""
        shape = tuple(1 if axis in axes else size for axis, size in enumerate(self.shape(x)))
        return self.op("ReduceMean", shape, x, axes=axes, keepdims=1)

    def gelu(self, x: int, approximate: str = "none") -> int:
        """A Gelu, exact or, with ``tanh``, approximate."""
        return self.op("Gelu", self.shape(x), x, approximate=approximate)

    def reshape(self, x: int, *shape: int) -> int:
        """The same values in this shape; x itself if it has it."""
        return x if shape == self.shape(x) else self.op("Reshape", shape, x)

    def transpose(self, x: int, *perm: int) -> int:
        """The axes in this order."""
        return self.op("Transpose", tuple(self.shape(x)[axis] for axis in perm), x, perm=perm)

    def part(self, x: int, axis: int, start: int, end: int) -> int:
        """The values from start to end along an axis."""
        shape = (*self.shape(x)[:axis], end - start, *self.shape(x)[axis + 1 :])
        return self.op("Slice", shape, x, axes=(axis,), starts=(start,), ends=(end,), steps=(1,))

    def parts(self, x: int, axis: int, count: int) -> list[int]:
        """Equal parts along an axis."""
        size = self.shape(x)[axis] // count
        return [self.part(x, axis, size * k, size * (k + 1)) for k in range(count)]

    def joined(self, axis: int, *parts: int) -> int:
        """The parts one after the other along an axis."""
        shape = self.shape(parts[0])
        total = sum(self.shape(part)[axis] for part in parts)
        return self.op("Concat", (*shape[:axis], total, *shape[axis + 1 :]), *parts, axis=axis)

    def softmax(self, x: int) -> int:
        """A softmax over the last axis."""
        return self.op("Softmax", self.shape(x), x, axis=-1)

    def matmul(self, x: int, y: int) -> int:
        """Matrix products of the last two axes."""
        return self.op("MatMul", (*self.shape(x)[:-1], self.shape(y)[-1]), x, y)

    def heads(self, x: int, heads: int) -> int:
        """(N, length, width) as (N, heads, length, width / heads)."""
        n, length, width = self.shape(x)
        return self.transpose(self.reshape(x, n, length, heads, width // heads), 0, 2, 1, 3)

    def merged(self, x: int) -> int:
        """(N, heads, length, D) as (N, length, heads D)."""
        n, heads, length, size = self.shape(x)
        return self.reshape(self.transpose(x, 0, 2, 1, 3), n, length, heads * size)

    def attention(self, query: int, key: int, value: int, mask: Shape = (), *tensors: Tensor) -> int:
        """Scaled dot-product attention on (N, heads, length, D), with a constant mask of this shape if it is given.

        ``tensors`` are those from which the mask is computed.
        """
        shape = (*self.shape(query)[:-1], self.shape(value)[-1])
        if not mask:
            return self.op("Attention", shape, query, key, value, is_causal=0)
        vertex = self.op("Attention", shape, query, key, value, is_causal=0, constant=prod(mask))
        self.ops[vertex] = replace(self.ops[vertex], constants=(ConstantOperand(3, mask, tensors),))
        return vertex

    def rotated(self, x: int, identity: int) -> int:
        """Rotary positions on (N, heads, length, D): x cos + (-second half, first half of x) sin."""
        *_, length, size = self.shape(x)
        angles = (1, 1, length, size), Tensor(size // 2, trained=False, identity=identity)
        halves = self.parts(x, 3, 2)
        turned = self.joined(3, self.same("Neg", halves[1]), halves[0])
        return self.add(self.constant("Mul", x, *angles), self.constant("Mul", turned, *angles))

    def conv_1d(self, x: int, channels: int, kernel: int, stride: int = 1) -> int:
        """A convolution along the last axis of (N, channels, length), with bias."""
        n, _, length = self.shape(x)
        pad = (kernel - 1) // 2
        shape = (n, channels, (length + 2 * pad - kernel) // stride + 1)
        window: dict[str, Value] = {"kernel_shape": (kernel,), "strides": (stride,), "pads": (pad, pad)}
        return self.op("Conv", shape, x, dilations=(1,), group=1, bias=1, **window)

    def recurrent(self, kind: str, x: int, units: int, both: bool = False) -> int:
        """An ``LSTM`` or ``GRU`` of (N, length, width) from a state of zeros; the outputs of ``both`` directions."""
        n, length, _ = self.shape(x)
        ways, reset = 2 if both else 1, {"linear_before_reset": 1} if kind == "GRU" else {}
        x = self.transpose(x, 1, 0, 2)
        direction = "bidirectional" if both else "forward"
        x = self.op(kind, (length, ways, n, units), x, hidden_size=units, direction=direction, bias=1, **reset)
        x = self.reshape(self.transpose(x, 0, 2, 1, 3), length, n, ways * units)
        return self.transpose(x, 1, 0, 2)

    def repeated(self, x: int, times: int) -> int:
        """(N, heads, length, D) with every head several times; x itself for once."""
        n, heads, length, size = self.shape(x)
        if times == 1:
            return x
        wide = self.op("Expand", (n, heads, times, length, size), self.reshape(x, n, heads, 1, length, size))
        return self.reshape(wide, n, heads * times, length, size)

    def cached(self, x: int, past: int) -> int:
        """Keys or values (N, heads, length, D) after those of ``past`` tokens, an input; all of them are an output."""
        n, heads, _, size = self.shape(x)
        whole = self.joined(2, self.input(n, heads, past, size), x)
        self.output(whole)
        return whole

    def output(self, x: int) -> int:
        """Marks a value that other operations read as an output."""
        return self.same("Identity", x)
