"""Networks written down operation by operation."""

from narformer.network import Architecture, Op, canonical

IMAGE = (1, 8, 6, 6)


class Chain:
    """A network written down operation by operation; operands are vertices in slot order."""

    def __init__(self, *shapes):
        self.ops, self.edges, self.slots = [], [], []
        self.inputs = [self("Input", shape) for shape in shapes or (IMAGE,)]

    def __call__(self, kind, shape, *operands, **attributes):
        self.ops.append(Op.of(kind, shape, **attributes))
        self.edges += [(operand, len(self.ops) - 1) for operand in operands]
        self.slots += range(len(operands))
        return len(self.ops) - 1

    def done(self):
        return Architecture(tuple(self.ops), tuple(self.edges), "", tuple(self.slots))


def kinds(network):
    return [op.kind for op in canonical(network).ops]


def unary(*steps, shape=IMAGE):
    c = Chain(shape)
    x = c.inputs[0]
    for kind, out, attributes in steps:
        x = c(kind, out, x, **attributes)
    return c.done()


CONV = ("Conv", IMAGE, {"kernel_shape": (3, 3), "pads": (1, 1, 1, 1), "bias": 0})
BIASED = ("Conv", IMAGE, {"kernel_shape": (3, 3), "pads": (1, 1, 1, 1), "bias": 1})
