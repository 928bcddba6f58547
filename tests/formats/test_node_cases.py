"""The node cases of the onnx package: multiply-adds and shapes are those of the case when it runs."""

import importlib
import warnings

import onnx
import pytest
from brute_force import COUNTED, products, shapes_of
from onnx.backend.test.case import node as node_cases
from onnx.backend.test.loader import load_model_tests
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun
from onnx.reference.ops._op import OpRunBinary

from narformer.errors import BadArchitecture
from narformer.formats.onnx_reader import read_onnx
from narformer.network import cost

# module of the package -> how the names of its cases begin, number of its cases that multiply, expanded ones included
MODULES = {
    "affinegrid": (("test_affine_grid",), 4),
    "attention": (("test_attention",), 186),
    "causal_conv_with_state": (("test_causal_conv",), 26),
    "conv": (("test_conv_", "test_basic_conv_"), 6),
    "convinteger": (("test_convinteger",), 2),
    "convtranspose": (("test_convtranspose",), 11),
    "deformconv": (("test_deform_conv", "test_basic_deform_conv"), 4),
    "einsum": (("test_einsum",), 9),
    "flexattention": (("test_flexattention",), 22),
    "gemm": (("test_gemm",), 11),
    "gru": (("test_gru",), 6),
    "linear_attention": (("test_linear_attention",), 28),
    "lstm": (("test_lstm",), 6),
    "matmul": (("test_matmul_",), 7),
    "matmulinteger": (("test_matmulinteger",), 1),
    "qlinearconv": (("test_qlinearconv",), 1),
    "qlinearmatmul": (("test_qlinearmatmul",), 8),
    "rnn": (("test_rnn", "test_simple_rnn"), 6),
}
SAMPLE = 30  # cases of a module in the quick suite
BY_VALUE = "test_affine_grid"  # the size of the grid is the value of an input: it is not known, and named
SPREAD = ("Split", "If", "Loop", "Scan")  # kinds that become several operations
# A size is open in these
LOOSE = {"test_sequence_map_identity_1_sequence_1_tensor", "test_sequence_map_add_1_sequence_1_tensor"}
UNSIZED = "MatMul: its output shape is not known"


def kinds(graph):
    """The kinds of all nodes, those of bodies too."""
    for node in graph.node:
        yield node.op_type
        for attribute in node.attribute:
            for body in [attribute.g, *attribute.graphs]:
                yield from kinds(body)


def multiplying(cases):
    return [case for case in cases if not COUNTED.keys().isdisjoint(kinds(case.model.graph))]


def executed(case, monkeypatch):
    """Products of every operation that the reference runs, as often as it runs it."""
    tally = [0]
    ((operands, wanted),) = case.data_sets
    with monkeypatch.context() as patch:
        for base in (OpRun, OpRunBinary):
            patch.setattr(base, "run", counting(base.run, tally))
        names = [value.name for value in case.model.graph.input]
        results = ReferenceEvaluator(case.model).run(None, dict(zip(names, operands, strict=True)))
    assert [result.shape for result in results] == [array.shape for array in wanted]
    return tally[0]


def counting(run, tally):
    """The method ``run`` of an operation, which adds its products to the tally; what it calls inside adds nothing."""

    def counted(self, *operands, **further):
        before = tally[0]
        results = run(self, *operands, **further)
        if self.onnx_node.op_type in COUNTED:
            given = {a.name: onnx.helper.get_attribute_value(a) for a in self.onnx_node.attribute}
            given |= {name: value.decode() for name, value in given.items() if isinstance(value, bytes)}
            tally[0] = before + products(self.onnx_node.op_type, given, operands, results[0])
        return results

    return counted


def found(case):
    """Multiply-adds as read from the file, or what it could not count."""
    counted = cost(read_onnx(case.model.SerializeToString()).architecture)
    lost = [reason for reason in counted.unknown.values() if reason.partition(":")[0].rpartition(".")[2] in COUNTED]
    return ", ".join(sorted(set(lost))) or counted.macs


def compare(cases, monkeypatch):
    pairs = {case.name: (found(case), executed(case, monkeypatch)) for case in cases}
    unlike = [
        f"{name}: found {macs}, expected {ran}"
        for name, (macs, ran) in pairs.items()
        if macs != (UNSIZED if name.startswith(BY_VALUE) else ran)
    ]
    assert not unlike, "\n".join(unlike)
    assert any(ran for _, ran in pairs.values())


@pytest.mark.parametrize("module", MODULES)
def test_products_of_a_kind(module, monkeypatch):
    """Runs the package's modules whose kinds multiply; to run all of them takes long."""
    names, count = MODULES[module]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        importlib.import_module(f"{node_cases.__name__}.{module}")
    cases = multiplying([case for case in node_cases._NodeTestCases if case.name.startswith(names)])
    assert len(cases) == count
    compare(cases[:: -(-count // SAMPLE)], monkeypatch)


@pytest.fixture(scope="module")
def all_cases():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cases = load_model_tests(kind="node")
    assert len(cases) == 1884
    return cases


@pytest.mark.slow
def test_products_of_all_cases(all_cases, monkeypatch):
    multiply = multiplying(all_cases)
    assert len(multiply) == sum(count for _, count in MODULES.values())
    compare(multiply, monkeypatch)


@pytest.mark.slow
def test_shapes_of_all_cases(all_cases):
    """What is stated as the shape of an output is the shape of the array in the case's data."""
    stated, unlike, loose = 0, [], []
    for case in all_cases:
        try:
            shapes = shapes_of(read_onnx(case.model.SerializeToString()))
        except BadArchitecture:
            loose.append(case.name)
            continue
        ((_, wanted),) = case.data_sets
        true = {value.name: size(array) for value, array in zip(case.model.graph.output, wanted, strict=True)}
        for node in case.model.graph.node:
            for index, name in enumerate(node.output if node.op_type not in SPREAD else ()):
                shape = shapes[node.name or node.output[0]].get(index)
                if shape is not None and true.get(name) is not None:
                    stated += 1
                    if shape != true[name]:
                        unlike.append(f"{case.name}: output {index} of {node.op_type} is {shape}, not {true[name]}")
    assert not unlike, "\n".join(unlike)
    assert stated > 2150
    assert {name.removesuffix("_expanded") for name in loose} == LOOSE


def size(array):
    """The shape of an array or a stored tensor; None of a sequence or of nothing."""
    return tuple(array.dims) if isinstance(array, onnx.TensorProto) else getattr(array, "shape", None)
