"""Inputs and outputs of a PyTorch module of any structure, as tensors in order."""

import copy
import inspect
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType
from typing import Any

import torch

from narformer.errors import BadArchitecture, printable

__all__ = ["Enclosed", "described"]

Change = Callable[[str, torch.Tensor], Any]


class Enclosed(torch.nn.Module):
    """A module whose inputs and outputs are tensors in order, around a module that takes and returns any structure.

    names, tensors: of every tensor in the example inputs ("x", "batch.image", "states.0"). Everything else in the
                    inputs keeps the value it has in the example.

    Raises BadArchitecture if the forward pass cannot be called with such inputs, or an array is among them.
    """

    def __init__(self, module: torch.nn.Module, example_inputs: Any) -> None:
        super().__init__()
        self.module = module
        arguments = _bound(module, example_inputs)
        leaves: list[tuple[str, torch.Tensor]] = []
        positional, named = tuple(arguments.args), dict(arguments.kwargs)
        _changed(dict(arguments.arguments), lambda path, tensor: leaves.append((path, tensor)))
        self.names = [path for path, _ in leaves]
        # One tensor at two places stands for two inputs of equal shape.
        places = [id(tensor) for _, tensor in leaves]
        self.tensors = [
            tensor.detach().clone() if places.index(places[k]) < k else tensor for k, (_, tensor) in enumerate(leaves)
        ]

        def filled(tensors: Iterator[torch.Tensor]) -> tuple[tuple[Any, ...], dict[str, Any]]:
            values: tuple[tuple[Any, ...], dict[str, Any]] = _changed((positional, named), lambda *_: next(tensors))
            return values

        self._filled = filled

    def forward(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """All tensors in the module's output."""
        positional, named = self._filled(iter(tensors))
        found: list[torch.Tensor] = []
        _changed(self.module(*positional, **named), lambda _, tensor: found.append(tensor))
        return tuple(found)


def described(module: torch.nn.Module) -> str:
    """The forward pass of a module with its arguments: "Net.forward(x, *, mask=None)"."""
    arguments = inspect.signature(module.forward).parameters.values()
    plain = [argument.replace(annotation=inspect.Parameter.empty) for argument in arguments]
    return printable(f"{type(module).__name__}.forward{inspect.Signature(plain)}")


def _bound(module: torch.nn.Module, example_inputs: Any) -> inspect.BoundArguments:
    signature = inspect.signature(module.forward)
    first = [name for name, entry in signature.parameters.items() if entry.kind is entry.POSITIONAL_ONLY]
    try:
        if isinstance(example_inputs, Mapping):
            named = {str(name): value for name, value in example_inputs.items()}
            return signature.bind(*[named.pop(name) for name in first if name in named], **named)
        if isinstance(example_inputs, list | tuple):
            return signature.bind(*example_inputs)
        return signature.bind(example_inputs)
    except TypeError as error:
        raise BadArchitecture(
            f"the example inputs do not fit {described(module)}: {printable(str(error))}; expected a value for each "
            "argument without a default. Give a tensor, a list of the arguments in order, or a dict of arguments by "
            f"name; a dict or list that is itself one argument goes into a list: [batch]{_shape_hint(example_inputs)}"
        ) from None


def _shape_hint(example_inputs: Any) -> str:
    """What to give in place of a shape, where the example looks like one."""
    if isinstance(example_inputs, list | tuple) and example_inputs and all(type(n) is int for n in example_inputs):
        return f". A shape is no input: give torch.zeros({', '.join(map(str, example_inputs))})"
    return ""


def _changed(value: Any, change: Change, path: str = "", seen: dict[int, Any] | None = None) -> Any:
    """A copy of the structure in which ``change(path, tensor)`` replaces every tensor."""
    seen = {} if seen is None else seen

    def inner(entry: Any, name: object) -> Any:
        return _changed(entry, change, f"{path}.{name}" if path else str(name), seen)

    if isinstance(value, torch.Tensor):
        return change(path, value)
    if isinstance(value, Mapping):
        copied: Any = copy.copy(value)
        for name in value:
            copied[name] = inner(value[name], name)
        return copied
    if isinstance(value, list | tuple):
        entries = [inner(entry, position) for position, entry in enumerate(value)]
        return type(value)(*entries) if hasattr(value, "_fields") else type(value)(entries)
    if getattr(value, "ndim", 0) and hasattr(value, "__array__"):  # of NumPy, or of a library that can turn into it
        raise BadArchitecture(
            f"found {type(value).__module__}.{type(value).__name__} in place of '{path}'; expected torch tensors. Make "
            "one of the array: torch.from_numpy(array)"
        )
    if isinstance(value, torch.nn.Module | type | ModuleType) or callable(value) or not hasattr(value, "__dict__"):
        return value
    if id(value) not in seen:  # any object that holds tensors: a data class, a cache
        seen[id(value)] = copied = copy.copy(value)
        for name, entry in vars(value).items():
            object.__setattr__(copied, name, inner(entry, name))
    return seen[id(value)]
