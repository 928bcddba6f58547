"""Drawing a whole network: operations are added one by one and their output shapes follow. NCHW."""

from math import prod

from narformer.network.graph import Architecture, Op, Value
from narformer.network.ops import OPS


class Drawing:
    """A network under construction. Every method adds operations and returns the vertex of their result.

    Convolutions and pools pad so that stride 1 keeps the size, unless ``pad`` is given. Operands have slots if their
    order matters.
    """

    def __init__(self) -> None:
        self.ops: list[Op] = []
        self.edges: list[tuple[int, int]] = []
        self.slots: list[int] = []

    def finished(self, name: str) -> Architecture:
        """The network as drawn so far."""
        return Architecture(tuple(self.ops), tuple(self.edges), name, tuple(self.slots))

    def shape(self, vertex: int) -> tuple[int, ...]:
        """Output shape of a vertex, batch first."""
        shape = self.ops[vertex].shape
        assert shape is not None
        return shape

    def op(self, kind: str, shape: tuple[int, ...], *inputs: int, **attributes: Value) -> int:
        """Any operation, its output shape given."""
        self.ops.append(Op.of(kind, shape, **attributes))
        self.edges += [(vertex, len(self.ops) - 1) for vertex in inputs]
        ordered = kind not in OPS or not OPS[kind].commutative
        self.slots += [slot if ordered else 0 for slot in range(len(inputs))]
        return len(self.ops) - 1

    def input(self, *shape: int) -> int:
        """The input of the network."""
        return self.op("Input", shape)

    def conv(
        self,
        x: int,
        channels: int,
        kernel: int,
        stride: int = 1,
        *,
        group: int = 1,
        dilation: int = 1,
        pad: int | None = None,
        bias: bool = False,
    ) -> int:
        """A square convolution."""
        pad = dilation * (kernel - 1) // 2 if pad is None else pad
        return self.op(
            "Conv",
            self._after_window(x, channels, dilation * (kernel - 1) + 1, stride, pad),
            x,
            kernel_shape=(kernel, kernel),
            strides=(stride, stride),
            pads=(pad,) * 4,
            dilations=(dilation, dilation),
            group=group,
            bias=int(bias),
        )

    def pool(
        self, kind: str, x: int, kernel: int, stride: int = 1, pad: int | None = None, *, ceil: bool = False
    ) -> int:
        """A square ``MaxPool`` or ``AveragePool``; padding does not count in an average.

        ``ceil`` lets a last window reach over the edge.
        """
        pad = (kernel - 1) // 2 if pad is None else pad
        return self.op(
            kind,
            self._after_window(x, self.shape(x)[1], kernel, stride, pad, ceil),
            x,
            kernel_shape=(kernel, kernel),
            strides=(stride, stride),
            pads=(pad,) * 4,
            ceil_mode=int(ceil),
        )

    def conv_transpose(self, x: int, channels: int, kernel: int, stride: int) -> int:
        """A square transposed convolution with bias and without padding."""
        n, _, *size = self.shape(x)
        return self.op(
            "ConvTranspose",
            (n, channels, *((s - 1) * stride + kernel for s in size)),
            x,
            kernel_shape=(kernel, kernel),
            strides=(stride, stride),
            pads=(0,) * 4,
            dilations=(1, 1),
            group=1,
            bias=1,
        )

    def resized(self, x: int, factor: int, mode: str = "nearest") -> int:
        """An image of ``factor`` times the height and width; ``mode`` is nearest or linear."""
        n, channels, *size = self.shape(x)
        return self.op("Resize", (n, channels, *(factor * s for s in size)), x, mode=mode)

    def same(self, kind: str, x: int) -> int:
        """An operation without attributes that keeps the shape."""
        return self.op(kind, self.shape(x), x)

    def batch_norm(self, x: int, epsilon: float = 1e-5) -> int:
        """A batch normalisation with trained scale and offset."""
        return self.op("BatchNormalization", self.shape(x), x, epsilon=epsilon)

    def relu(self, x: int) -> int:
        """A rectifier."""
        return self.same("Relu", x)

    def add(self, *terms: int) -> int:
        """The sum of the terms, two by two from the left; one term is its own sum."""
        total = terms[0]
        for term in terms[1:]:
            total = self.op("Add", self.shape(total), total, term)
        return total

    def concat(self, *parts: int) -> int:
        """The parts one after the other along the channels; one part is itself."""
        if len(parts) == 1:
            return parts[0]
        n, _, *size = self.shape(parts[0])
        return self.op("Concat", (n, sum(self.shape(part)[1] for part in parts), *size), *parts, axis=1)

    def first_channels(self, x: int, channels: int) -> int:
        """The first ``channels`` channels of x; x itself if it has no more."""
        n, available, *size = self.shape(x)
        if available == channels:
            return x
        return self.op("Slice", (n, channels, *size), x, axes=(1,), starts=(0,), ends=(channels,), steps=(1,))

    def multiply(self, x: int, factor: int) -> int:
        """x times a factor of its own shape or of one value for each channel."""
        return self.op("Mul", self.shape(x), x, factor)

    def global_pool(self, x: int) -> int:
        """The average over all of the image, one value for each channel."""
        return self.op("GlobalAveragePool", (*self.shape(x)[:2], 1, 1), x)

    def flatten(self, x: int) -> int:
        """All values of an image in one row."""
        n, *rest = self.shape(x)
        return self.op("Flatten", (n, prod(rest)), x, axis=1)

    def dense(self, x: int, width: int) -> int:
        """A dense layer with bias."""
        return self.op("Gemm", (self.shape(x)[0], width), x, bias=1)

    def classifier(self, x: int, classes: int) -> int:
        """Global average pool, flatten, dense layer with bias."""
        return self.dense(self.flatten(self.global_pool(x)), classes)

    def _after_window(
        self, x: int, channels: int, reach: int, stride: int, pad: int, ceil: bool = False
    ) -> tuple[int, ...]:
        n, _, *size = self.shape(x)
        return (n, channels, *((s + 2 * pad - reach + ceil * (stride - 1)) // stride + 1 for s in size))
