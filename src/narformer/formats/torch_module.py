"""Reading PyTorch modules: ``torch.export`` on fake tensors, without computing with weights.

The network at inference is read: the module is in evaluation mode during the export, and gradients are off. In-place
operations are replaced by operations that return a new value, so that each value depends on all that changed it.
"""

import contextlib
import io
import logging
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from narformer.formats.torch_advice import refused, refused_before
from narformer.formats.torch_functional import is_functional, without_composites
from narformer.formats.torch_graph import network_of
from narformer.formats.torch_inputs import Enclosed
from narformer.formats.torch_layout_ops import FILLS
from narformer.formats.torch_ops import ATEN
from narformer.network.source_network import SourceNetwork

__all__ = ["trace_module"]

WRAPPERS = (torch.nn.DataParallel, torch.nn.parallel.DistributedDataParallel)


def trace_module(
    module: torch.nn.Module, example_inputs: torch.Tensor | Sequence[Any] | Mapping[str, Any], name: str = ""
) -> SourceNetwork:
    """The network that ``module`` computes on inputs of these shapes.

    example_inputs: a tensor; or a list of the arguments of ``forward`` in order; or a dict of arguments by name, for
                    arguments that are keyword-only or have defaults before them. An argument may be any structure of
                    tensors (dict, list, data class, cache), a number or None. A dict that is itself the only argument
                    goes into a list: [batch].

    All tensors in the output are outputs of the network, in any structure; buffers and inputs that the module changes
    are outputs, too. Module and inputs may be on the meta device, which needs no memory for values. A module that was
    compiled or wrapped for several devices is read as the module inside. Operations that are not in the table of
    ``torch_ops`` are kept under their ATen name ("aten._fft_r2c") and listed in the coverage.

    Raises BadArchitecture if the inputs do not fit ``forward``, or if ``torch.export`` cannot trace the module (for
    example, a branch on values); the text states the place in the module's code and a remedy.
    """
    module = _inside(module)
    refused_before(module)
    enclosed = Enclosed(module, example_inputs)
    meta = any(tensor.is_meta for tensor in (*module.parameters(), *module.buffers()))
    tensors = tuple(tensor.to("meta") if meta else tensor for tensor in enclosed.tensors)
    try:
        with _quietly(), _at_inference(module), _on_meta(module) if meta else contextlib.nullcontext():
            program = torch.export.export(enclosed, tensors, strict=False)
            if not is_functional(program.graph_module):
                program = program.run_decompositions({})
            program = without_composites(program, {*ATEN, *FILLS})
    except Exception as error:  # torch.export passes on any error of the module's code
        raise refused(module, error, enclosed) from None
    sizes: Counter[str] = Counter()
    for tensor in list(module.parameters()) or tensors:
        sizes[str(tensor.dtype).removeprefix("torch.")] += tensor.numel()
    network = network_of(program, enclosed, name or type(module).__name__)
    return replace(network, precision=max(sizes, key=lambda format_: sizes[format_], default=""))


def _inside(module: torch.nn.Module) -> torch.nn.Module:
    """The module without what ``torch.compile`` and wrappers for several devices put around it."""
    while True:
        if isinstance(module, WRAPPERS):
            module = module.module
        elif isinstance(inner := getattr(module, "_orig_mod", None), torch.nn.Module):
            module = inner
        else:
            return module


@contextlib.contextmanager
def _at_inference(module: torch.nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients, attention as separate operations."""
    training = [part for part in module.modules() if part.training]
    fast = torch.backends.mha.get_fastpath_enabled()
    try:
        module.eval()
        torch.backends.mha.set_fastpath_enabled(False)
        with torch.no_grad():
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        for part in training:
            part.training = True


@contextlib.contextmanager
def _on_meta(module: torch.nn.Module) -> Iterator[None]:
    """All parameters, buffers and new tensors on the meta device; what was elsewhere comes back afterwards."""
    changed: list[tuple[Any, str, torch.Tensor]] = []
    moved: dict[int, torch.Tensor] = {}  # a tensor under several names stays one tensor
    try:
        for part in module.modules():
            held: Any
            for held in (part._parameters, part._buffers):
                for name, tensor in held.items():
                    if tensor is not None and not tensor.is_meta:
                        changed.append((held, name, tensor))
                        elsewhere = tensor.detach().to("meta")
                        if held is part._parameters:
                            elsewhere = torch.nn.Parameter(elsewhere, requires_grad=False)
                        held[name] = moved.setdefault(id(tensor), elsewhere)
        with torch.device("meta"):
            yield
    finally:
        for held, name, tensor in changed:
            held[name] = tensor


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Without warnings and log entries of torch, which repeat an error at length before it is raised."""
    level = logging.root.manager.disable
    try:
        logging.disable(logging.CRITICAL)
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
