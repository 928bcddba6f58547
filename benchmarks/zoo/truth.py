"""Independent counts of a module: multiply-adds as torch sees them run, parameters, and which of them the result needs.

Multiply-adds are half of what ``torch.utils.flop_counter`` counts, with attention and recurrent layers split into the
products that it knows; the rest is counted here by hand, from the shapes of each call.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode, flop_registry

from zoo.network import tensors

aten = torch.ops.aten
DOUBTFUL = re.compile(r"mm|conv|matmul|mv$|dot|attention|rnn|lstm|gru|linear|cdist|cross$|fft|outer|kron")
SHOWN = 6  # names
HARMLESS = {"_log_softmax", "_softmax", "commit", "upsample_bilinear2d", "upsample_linear1d", "comm"}


def _recurrent(source: Any, weight: Any, recurrent: Any, *_: Any, **__: Any) -> int:
    return int(source.numel() // source.shape[-1] * (weight.numel() + recurrent.numel()))


def _attention(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    return int(prod(query.shape[:-1]) * key.shape[-2] * (query.shape[-1] + value.shape[-1]))


BY_HAND: dict[Any, Callable[..., int]] = {  # what flop_counter has no formula for
    aten.mkldnn_rnn_layer: _recurrent,
    aten._scaled_dot_product_flash_attention_for_cpu: _attention,
    aten.mv: lambda matrix, vector: int(matrix.numel()),
    aten.addmv: lambda bias, matrix, vector, **_: int(matrix.numel()),
    aten.dot: lambda left, right: int(left.numel()),
    aten.addbmm: lambda bias, left, right, **_: int(left.numel() * right.shape[-1]),
}
if hasattr(aten, "_grouped_mm"):  # every row meets the matrix of its group alone
    BY_HAND[aten._grouped_mm] = lambda left, right, *_, **__: int(left.numel() * right.shape[-1])


@dataclass
class Work:
    """One call: its multiply-adds, the calls that it reads from, and whether it depends on an input of the network."""

    name: str
    macs: int
    reads: set[int]
    depends: bool


class Hand(TorchDispatchMode):
    """Counts what ``flop_counter`` misses, what does not depend on the inputs, and what no output depends on.

    Dependence is traced by storage, so that views and operations in place are seen.
    """

    def __init__(self, inputs: Sequence[torch.Tensor]) -> None:
        super().__init__()
        self.by_hand: Counter[str] = Counter()  # multiply-adds by name of the operation
        self.doubtful: set[str] = set()  # products by their name, without a formula anywhere
        self.calls: list[Work] = []
        self.writers: dict[StorageWeakRef, set[int]] = {}  # a reference that is kept holds its address
        self.given = {_storage(tensor) for tensor in inputs}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        packet = func._overloadpacket
        if packet not in flop_registry and packet not in BY_HAND:
            with self:
                found = func.decompose(*args, **kwargs)
            if found is not NotImplemented:
                return found
        sources = {_storage(leaf) for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)}
        out = func(*args, **kwargs)
        reads = {call for source in sources for call in self.writers.get(source, ())}
        depends = bool(sources & self.given) or any(self.calls[call].depends for call in reads)
        macs = self._macs(packet, args, kwargs, out)
        if not reads and not macs and not depends:
            return out
        written = [
            x for x, s in zip(args, func._schema.arguments, strict=False) if s.alias_info and s.alias_info.is_write
        ]
        for tensor in (*tensors(out), *tensors(written)):
            self.writers.setdefault(_storage(tensor), set()).add(len(self.calls))
        self.calls.append(Work(packet.__name__, macs, reads, depends))
        return out

    def _macs(self, packet: Any, args: Any, kwargs: Any, out: Any) -> int:
        name = packet.__name__
        if packet in flop_registry:
            return int(flop_registry[packet](*args, **kwargs, out_val=out) // 2)
        if packet in BY_HAND:
            macs = BY_HAND[packet](*args, **kwargs)
            self.by_hand[name] += macs
            return macs
        if DOUBTFUL.search(name) and name not in HARMLESS:
            self.doubtful.add(name)
        return 0

    def found(self, outputs: Sequence[torch.Tensor]) -> dict[str, Any]:
        """Multiply-adds that do not depend on an input, and those that none of these outputs depends on."""
        needed: set[int] = set()
        waiting = {call for tensor in outputs for call in self.writers.get(_storage(tensor), ())}
        while waiting:
            needed |= waiting
            waiting = {read for call in waiting for read in self.calls[call].reads} - needed
        return {
            "by_hand": dict(self.by_hand),
            "doubtful": sorted(self.doubtful),
            "fixed": sum(call.macs for k, call in enumerate(self.calls) if k in needed and not call.depends),
            "dead": sum(call.macs for k, call in enumerate(self.calls) if k not in needed),
        }


def _storage(tensor: torch.Tensor) -> StorageWeakRef:
    return StorageWeakRef(tensor.untyped_storage())


def truth(module: torch.nn.Module, inputs: tuple[torch.Tensor, ...], unused: set[str]) -> dict[str, Any]:
    """The counts of ``module`` in evaluation mode on ``inputs``; ``unused`` is the result of the function below."""
    trained = [tensor for tensor in module.parameters() if tensor.requires_grad]
    for tensor in trained:  # the flop counter follows gradients where it finds them
        tensor.requires_grad_(False)
    torch.backends.mha.set_fastpath_enabled(False)
    hand = Hand(inputs)
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as flops, hand:
        outputs = tensors(module(*inputs))
    torch.backends.mha.set_fastpath_enabled(True)
    for tensor in trained:
        tensor.requires_grad_(True)
    found = hand.found(outputs)
    return {"macs": flops.get_total_flops() // 2 + hand.by_hand.total(), **found, **parameters(module, unused)}


def unused_parameters(module: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> set[str]:
    """The parameters that no result depends on, by walking the graph of gradients."""
    reached: set[torch.Tensor] = set()
    waiting = {tensor.grad_fn for tensor in tensors(module(*inputs))} - {None}
    seen = set(waiting)
    while waiting:
        node = waiting.pop()
        if hasattr(node, "variable"):
            reached.add(node.variable)
        fresh = {after for after, _ in node.next_functions} - seen - {None}
        seen |= fresh
        waiting |= fresh
    return {name for name, tensor in module.named_parameters() if tensor.requires_grad and tensor not in reached}


def parameters(module: torch.nn.Module, unused: set[str]) -> dict[str, Any]:
    """Parameters in all, each tensor once; of those the unused, the frozen, and what tied names would add."""
    names = dict(module.named_parameters())
    twice = dict(module.named_parameters(remove_duplicate=False))
    total = sum(tensor.numel() for tensor in set(module.parameters()))
    return {
        "params": total,
        "unused": sum(names[name].numel() for name in unused),
        "unused_names": sorted({name.rpartition(".")[0] for name in unused})[:SHOWN],
        "frozen": sum(tensor.numel() for tensor in names.values() if not tensor.requires_grad),
        "tied": sum(tensor.numel() for tensor in twice.values()) - total,
        "buffers": sum(tensor.numel() for tensor in module.buffers()),
    }
