"""Drawing a whole network: operations are added one by one and their output shapes follow. NCHW."""

from narformer.arch.graph import Architecture, Op, Value


class Drawing:
    """A network being drawn. Every method adds operations and returns the vertex whose value they give.

    Convolutions and pools pad so that stride 1 keeps the size, unless ``pad`` says otherwise.
    """

    def __init__(self) -> None:
        self.ops: list[Op] = []
        self.edges: list[tuple[int, int]] = []

    def finished(self, name: str) -> Architecture:
        """The network as drawn so far."""
        return Architecture(tuple(self.ops), tuple(self.edges), name)

    def shape(self, vertex: int) -> tuple[int, ...]:
        """Output shape of a vertex, batch first."""
        shape = self.ops[vertex].shape
        assert shape is not None
        return shape

    def op(self, kind: str, shape: tuple[int, ...], *inputs: int, **attributes: Value) -> int:
        """Any operation, its output shape given."""
        self.ops.append(Op.of(kind, shape, **attributes))
        self.edges += [(vertex, len(self.ops) - 1) for vertex in inputs]
        return len(self.ops) - 1

    def input(self, *shape: int) -> int:
        """The input of the network."""
        return self.op("Input", shape)

    def conv(self, x: int, channels: int, kernel: int, stride: int = 1, *, group: int = 1, dilation: int = 1) -> int:
        """A square convolution without bias."""
        pad = dilation * (kernel - 1) // 2
        return self.op(
            "Conv",
            self._after_window(x, channels, dilation * (kernel - 1) + 1, stride, pad),
            x,
            kernel_shape=(kernel, kernel),
            strides=(stride, stride),
            pads=(pad,) * 4,
            dilations=(dilation, dilation),
            group=group,
            bias=0,
        )

    def pool(self, kind: str, x: int, kernel: int, stride: int = 1, pad: int | None = None) -> int:
        """A square ``MaxPool`` or ``AveragePool``; padding takes no part in an average."""
        pad = (kernel - 1) // 2 if pad is None else pad
        shape = self._after_window(x, self.shape(x)[1], kernel, stride, pad)
        return self.op(kind, shape, x, kernel_shape=(kernel, kernel), strides=(stride, stride), pads=(pad,) * 4)

    def same(self, kind: str, x: int) -> int:
        """An operation without attributes that keeps the shape."""
        return self.op(kind, self.shape(x), x)

    def batch_norm(self, x: int) -> int:
        """A batch normalisation with trained scale and offset."""
        return self.same("BatchNormalization", x)

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
        """The first so many channels of x; x itself where it has no more."""
        n, available, *size = self.shape(x)
        if available == channels:
            return x
        return self.op("Slice", (n, channels, *size), x, axes=(1,), starts=(0,), ends=(channels,), steps=(1,))

    def classifier(self, x: int, classes: int) -> int:
        """Global average pool, flatten, dense layer with bias."""
        n, channels, *_ = self.shape(x)
        pooled = self.op("GlobalAveragePool", (n, channels, 1, 1), x)
        flat = self.op("Flatten", (n, channels), pooled, axis=1)
        return self.op("Gemm", (n, classes), flat, bias=1)

    def _after_window(self, x: int, channels: int, reach: int, stride: int, pad: int) -> tuple[int, ...]:
        n, _, *size = self.shape(x)
        return (n, channels, *((s + 2 * pad - reach) // stride + 1 for s in size))
