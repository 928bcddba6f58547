"""Tensors that PyTorch's exporter computed from others: they are trained if those are, and stored once."""

import warnings

import pytest
import torch

from narformer.formats.onnx_reader import read_onnx
from narformer.network import cost

SIZE = 4
LINEAR = SIZE * SIZE + SIZE


class Turned(torch.nn.Module):
    """A square table of the outermost module, as it is and transposed."""

    def __init__(self, name, trained):
        super().__init__()
        self.name, self.linear = name, torch.nn.Linear(SIZE, SIZE)
        table = torch.rand(SIZE, SIZE)
        if trained:
            self.register_parameter(name, torch.nn.Parameter(table))
        else:
            self.register_buffer(name, table)

    def forward(self, x):
        table = getattr(self, self.name)
        return self.linear(x) @ table + x @ table.T


class Heated(torch.nn.Module):
    """A number of the outermost module that is only read through its exponential."""

    def __init__(self, name, shape):
        super().__init__()
        self.name, self.linear = name, torch.nn.Linear(SIZE, SIZE)
        self.register_parameter(name, torch.nn.Parameter(torch.rand(shape)))

    def forward(self, x):
        return self.linear(x) * getattr(self, self.name).exp()


def counted(module):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(module.eval(), (torch.rand(SIZE, SIZE),), dynamo=True, verbose=False)
    return cost(read_onnx(program.model_proto.SerializeToString()).architecture)


@pytest.mark.parametrize("trained", [True, False])
@pytest.mark.parametrize("name", ["a", "weight_table"])
def test_what_the_exporter_states_of_a_tensor_holds_for_what_it_computed_from_it(name, trained):
    found = counted(Turned(name, trained))
    assert (found.params, found.constants) == (LINEAR + SIZE**2 * trained, SIZE**2 * (not trained))


@pytest.mark.parametrize("shape", [(1,), (3, 1, 1)])
@pytest.mark.parametrize("name", ["temperature", "tau", "alpha", "skip_gain", "resweight"])
def test_parameters_of_the_outermost_module_are_known_by_name(name, shape):
    assert counted(Heated(name, shape)).params == LINEAR + torch.Size(shape).numel()
