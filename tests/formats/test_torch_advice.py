"""A module that cannot be traced is refused with the cause, its place in the module's code, and a remedy for it."""

import numpy as np
import pytest
import torch
from torch import nn

from narformer.errors import BadArchitecture
from narformer.formats.torch_functional import is_functional
from narformer.formats.torch_graph import network_of
from narformer.formats.torch_inputs import Enclosed
from narformer.formats.torch_module import trace_module
from narformer.network import canonical

X = torch.zeros(2, 4)


class Failing(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.dense, self.function = nn.Linear(4, 4), function

    def forward(self, x):
        return self.function(self, x)


def branch(module, x):
    if x.sum() > 0:
        return x + 1
    return x


def loop(module, x):
    while x.max() > 1:
        x = x / 2
    return x


def number(module, x):
    return x * float(x.mean())


def size(module, x):
    return x.new_zeros(int(x.sum().item()))


def numpy_instead(module, x):
    return x + torch.from_numpy(np.exp(x.numpy()))


def two_devices(module, x):
    return module.dense(x.to("meta"))


def unlike_sizes(module, x):
    return module.dense(x[:, :3])


def missing_key(module, x):
    return {"image": x}["pixels"]


@torch.library.custom_op("narformer_tests::unregistered", mutates_args=())
def unregistered(x: torch.Tensor) -> torch.Tensor:
    return x.clone()


def without_shapes(module, x):
    return unregistered(x)


def deep_inside(module, x):
    return nn.Sequential(nn.Linear(4, 3), nn.Linear(4, 3))(x)


CAUSES = {
    branch: ("if x.sum() > 0", "torch.where or torch.cond"),
    loop: ("while x.max() > 1", "torch.where or torch.cond"),
    number: ("float(x.mean())", "torch.where or torch.cond"),
    size: ("int(x.sum().item())", "Compute sizes from shapes"),
    numpy_instead: ("np.exp(x.numpy())", "Replace the operation of NumPy"),
    two_devices: ('x.to("meta")', "device=x.device"),
    unlike_sizes: ("x[:, :3]", "Give examples of such shapes"),
    missing_key: ('["pixels"]', "Call it, and mend the inputs or the module"),
    without_shapes: ("unregistered(x)", "torch.library.register_fake"),
    deep_inside: ("nn.Sequential(nn.Linear(4, 3)", "Give examples of such shapes"),
}


@pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: cause.__name__)
def test_the_remedy_fits_the_cause(cause, capfd):
    code, remedy = CAUSES[cause]
    with pytest.raises(BadArchitecture) as refused:
        trace_module(Failing(cause), X)
    text = str(refused.value)
    assert text.startswith("torch.export cannot trace Failing.forward(x) on x 2x4 float32: found ")
    assert "at test_torch_advice.py, line " in text
    assert code in text
    assert remedy in text
    assert "\n" not in text
    assert capfd.readouterr() == ("", "")  # torch's own reports would be the same at length


@pytest.mark.parametrize("layer", [nn.Conv1d(4, 4, 1).double(), nn.Embedding(4, 4), nn.LSTM(4, 4).double()])
def test_types_that_do_not_fit(layer):
    with pytest.raises(BadArchitecture, match="numbers of one type"):
        trace_module(layer, torch.zeros(2, 4, 4))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_scripted_modules_are_refused():
    with pytest.raises(BadArchitecture, match=r"compiled by torch\.jit.*Give the module that it was made from"):
        trace_module(torch.jit.script(nn.Linear(4, 4)), X)


QUANTISED = {  # module to quantise, and the path of its first layer with packed weights
    "Linear": (lambda: nn.Sequential(nn.ReLU(), nn.Linear(4, 3)), "DynamicQuantizedLinear '1'"),
    "LSTM": (lambda: nn.ModuleDict({"inner": nn.LSTM(4, 4)}), "DynamicQuantizedLSTM 'inner'"),
    "GRUCell": (lambda: nn.Sequential(nn.GRUCell(4, 4)), "DynamicQuantizedGRUCell '0'"),
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
@pytest.mark.parametrize("name", QUANTISED)
def test_modules_whose_weights_are_packed_are_refused(name):
    make, layer = QUANTISED[name]
    packed = torch.ao.quantization.quantize_dynamic(make(), dtype=torch.qint8)
    with pytest.raises(BadArchitecture, match=rf"was quantised: the weights of {layer} are packed.*made from.*ONNX"):
        trace_module(packed, X)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_a_layer_that_was_quantised_itself_is_refused():
    layer = torch.ao.nn.quantized.dynamic.Linear(4, 3)
    with pytest.raises(BadArchitecture, match="the weights of DynamicQuantizedLinear are packed"):
        trace_module(layer, X)


def test_lazy_layers_are_refused():
    with pytest.raises(BadArchitecture, match="Call the module once with its inputs"):
        trace_module(nn.Sequential(nn.LazyLinear(3)), X)


def test_a_module_whose_output_is_constant_is_refused():
    class Constant(nn.Module):
        def forward(self, x):
            return torch.zeros(x.shape)

    with pytest.raises(BadArchitecture, match="no tensor in the output of Constant depends on an input"):
        trace_module(Constant(), X)


def in_place_chain():
    return nn.Sequential(nn.Linear(4, 4), nn.ReLU(inplace=True), nn.Dropout(inplace=True), nn.Linear(4, 4))


class Branching(nn.Module):
    """The value that is changed in place is read by a view that was made before."""

    def forward(self, x):
        x = x + 1
        view = x.view(8)
        x.relu_()
        return view


def test_only_changes_that_nothing_else_sees_are_taken_for_new_values():
    for module, plain in ((in_place_chain(), True), (Branching(), False), (nn.ReLU(inplace=True), False)):
        program = torch.export.export(module.eval(), (X,), strict=False)
        assert is_functional(program.graph_module) == plain


def test_both_ways_to_read_a_change_in_place_give_one_network():
    enclosed = Enclosed(in_place_chain().eval(), X)
    program = torch.export.export(enclosed, (X,), strict=False)
    both = [network_of(each, enclosed, "") for each in (program, program.run_decompositions({}))]
    assert canonical(both[0].architecture) == canonical(both[1].architecture)
