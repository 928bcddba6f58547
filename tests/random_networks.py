"""Random networks in ONNX files; every operation runs on ONNX Runtime as soon as it is drawn."""

from math import prod

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

LARGE = 1500  # values of an operand at most
NEWEST = 26  # opset that ONNX Runtime runs
IR = 10


def session(model):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def described(name, array, shape=None):
    """A value of a graph, of the type of an array; its shape is left open if none is given."""
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), shape)


class Network:
    """A network that is being drawn.

    random: where all choices come from
    arrays: every value so far, as ONNX Runtime computed it
    fixed:  names of those that depend on no input, as keys
    named:  dimensions with a name -> size
    """

    def __init__(self, random, opset):
        self.random, self.opset = random, opset
        self.nodes, self.stored, self.entries = [], [], []
        self.arrays, self.fixed, self.named = {}, {}, {}
        self.numbers = np.random.default_rng(0)

    def __call__(self, kind, *operands, outputs=1, **attributes):
        """Add a node and run it; operands are names, None for one that is left out.

        Returns the name of its output, or the names if there are several.
        """
        names = [operand or "" for operand in operands]
        while names and not names[-1]:
            names.pop()
        number = len(self.nodes)
        made = [f"v{number}" if k == 0 else f"v{number}_{k}" for k in range(outputs)]
        node = helper.make_node(kind, names, made, name=f"node{number}", **attributes)
        read = {name: self.arrays[name] for name in names if name}
        held = [numpy_helper.from_array(array, name) for name, array in read.items() if name in self.fixed]
        moving = {name: array for name, array in read.items() if name not in self.fixed}
        entries = [described(name, array, array.shape) for name, array in moving.items()]
        ends = [helper.make_empty_tensor_value_info(name) for name in made]
        results = session(self._model(helper.make_graph([node], "one", entries, ends, held))).run(None, moving)
        self.nodes.append(node)
        self.arrays.update(zip(made, map(np.asarray, results), strict=True))
        if not moving:
            self.fixed |= dict.fromkeys(made)
        return made[0] if outputs == 1 else made

    def __repr__(self):
        def shown(name):
            sort = "" if name not in self.fixed else "stored " if name[0] == "w" else "fixed "
            return f"{name}: {sort}{list(self.shape(name))}" if name else "-"

        lines = [f"opset {self.opset}"]
        for node in self.nodes:
            given = [f"{a.name}={helper.get_attribute_value(a)}" for a in node.attribute if not a.HasField("t")]
            operands = ", ".join([*map(shown, node.input), *given])
            lines.append(f"{', '.join(map(shown, node.output))} = {node.op_type}({operands})")
        return "\n".join(lines)

    def _model(self, graph):
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=IR)

    def shape(self, name):
        return self.arrays[name].shape

    # --- operands -------------------------------------------------------------------------------------------------

    def entry(self, *shape, dtype=np.float32, below=0):
        """A new input; whole numbers are at least 0 and ``below`` a bound."""
        name = f"x{len(self.entries)}"
        self.entries.append(name)
        array = self.numbers.integers(0, below, shape) if below else self.numbers.standard_normal(shape)
        self.arrays[name] = array.astype(dtype)
        return name

    def value(self, *ranks, fits=lambda shape: True, dtype=np.float32):
        """A value that depends on an input, of one of these ranks and a shape that fits; an input if there is none."""
        found = [
            name
            for name, array in self.arrays.items()
            if name not in self.fixed and array.dtype == dtype and 0 < array.size <= LARGE
            if (not ranks or array.ndim in ranks) and fits(array.shape)
        ]
        if found and self.random.random() < 0.9:
            return self.random.choice(found[-6:])  # a network is deeper than it is wide
        while True:
            shape = self.sizes(self.random.choice(ranks or (1, 2, 3, 4)))
            if fits(shape):
                return self.entry(*shape, dtype=dtype)

    def sizes(self, rank):
        return tuple(self.random.randint(1, 6 if rank < 5 else 4) for _ in range(rank))

    def whole(self, *numbers):
        """Sizes, axes, indices, as a stored tensor."""
        return self.keep(np.array(numbers, np.int64))

    def keep(self, array):
        """A new stored tensor: an initializer, or the value of a node."""
        if self.random.random() < 0.15:
            return self("Constant", value=numpy_helper.from_array(array))
        return self.initializer(array)

    def initializer(self, array):
        name = f"w{len(self.stored)}"
        self.stored.append(numpy_helper.from_array(array, name))
        self.arrays[name] = array
        self.fixed[name] = None
        return name

    def reals(self, *shape, dtype=np.float32):
        if self.random.random() < 0.1:
            return np.zeros(shape, dtype)
        return (self.numbers.standard_normal(shape) + 0.1).astype(dtype)

    def constant(self, *shape):
        """Numbers of this shape: a new tensor, one that others read too, or computed from one in one of many ways."""
        alike = [name for name in self.fixed if self.shape(name) == shape and self.arrays[name].dtype == np.float32]
        if alike and self.random.random() < 0.3:
            return self.random.choice(alike)
        ways = [self._new] * 6 + [self._halves, self._bytes, self._identity, self._flat]
        ways += [self._turned] * 2 + [self._part] * 2 if shape else []
        ways += [self._pair, self._scaled] if prod(shape) > 1 else []
        return self.random.choice(ways)(shape)

    def _new(self, shape):
        return self.keep(self.reals(*shape))

    def _halves(self, shape):
        return self("Cast", self.keep(self.reals(*shape, dtype=np.float16)), to=TensorProto.FLOAT)

    def _bytes(self, shape):
        """Int8 with a scale for all or one per place on an axis, with a zero point or without."""
        per = self.random.choice(range(len(shape))) if shape and self.random.random() < 0.5 else None
        places = () if per is None else (shape[per],)
        zero = self.initializer(np.zeros(places, np.int8)) if self.random.random() < 0.5 else None
        stored = self.initializer(self.numbers.integers(-9, 9, shape).astype(np.int8))
        scale = self.initializer(np.full(places, 0.5, np.float32))
        return self("DequantizeLinear", stored, scale, zero, **({} if per is None else {"axis": per}))

    def _identity(self, shape):
        return self("Identity", self.initializer(self.reals(*shape)))

    def _flat(self, shape):
        return self("Reshape", self.initializer(self.reals(prod(shape))), self.whole(*shape))

    def _pair(self, shape):
        return self("Add", self.initializer(self.reals(*shape)), self.initializer(self.reals(*shape)))

    def _scaled(self, shape):
        return self("Mul", self.initializer(self.reals(*shape)), self.keep(np.float32(0.5)))

    def _turned(self, shape):
        """A transposed tensor, which others may read too."""
        back = shape[::-1]
        alike = [t.name for t in self.stored if tuple(t.dims) == back and t.data_type == TensorProto.FLOAT]
        shared = alike and self.random.random() < 0.6
        source = self.random.choice(alike) if shared else self.initializer(self.reals(*back))
        return self("Transpose", source)

    def _part(self, shape):
        """The first rows of a tensor, which others may read too."""
        longer = [
            t.name
            for t in self.stored
            if t.data_type == TensorProto.FLOAT and len(t.dims) == len(shape)
            if tuple(t.dims[1:]) == shape[1:] and t.dims[0] > shape[0]
        ]
        if longer and self.random.random() < 0.6:
            source = self.random.choice(longer)
        else:
            source = self.initializer(self.reals(shape[0] + self.random.randint(1, 3), *shape[1:]))
        return self("Slice", source, self.whole(0), self.whole(shape[0]), self.whole(0))

    def operand(self, *shape):
        """A constant, or a value of this very shape if there is one."""
        found = [
            name
            for name, array in self.arrays.items()
            if name not in self.fixed and array.shape == shape and array.dtype == np.float32
        ]
        return self.random.choice(found) if found and self.random.random() < 0.4 else self.constant(*shape)

    # --- the file -------------------------------------------------------------------------------------------------

    def finished(self):
        """The model, and a copy whose outputs are all values; its own are most of the values that nothing reads.

        Some inputs of the model have a first dimension with a name; ``named`` holds its size.
        """
        read = {name for node in self.nodes for name in node.input}
        moving = [name for node in self.nodes for name in node.output if name and name not in self.fixed]
        ends = [name for name in moving if self.random.random() < (0.1 if name in read else 0.9)] or moving[-1:]
        batches = [name for name in self.entries if self.shape(name) and self.random.random() < 0.2]
        self.named = {f"batch of {name}": self.shape(name)[0] for name in batches}
        return self.model(ends), self.model(moving)

    def model(self, ends):
        named = {name.removeprefix("batch of "): [name] for name in self.named}
        entries = [
            described(name, self.arrays[name], [*named.get(name, self.shape(name)[:1]), *self.shape(name)[1:]])
            for name in self.entries
        ]
        outputs = [described(name, self.arrays[name]) for name in ends]
        return self._model(helper.make_graph(self.nodes, "random", entries, outputs, self.stored))

    def feeds(self):
        return {name: self.arrays[name] for name in self.entries}
