"""The device of torch, and models that are built without computation."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from narformer.errors import BadRecipe

__all__ = ["ShapesOnly", "check_device"]

# Initial values that are never read. On the meta device torch computes their shapes in Python, and imports its
# compiler for that: three seconds.
SAME_SHAPE = (Tensor.uniform_, Tensor.normal_, nn.init.normal_, Tensor.mul)  # the last one by its number


class ShapesOnly(TorchFunctionMode):
    """Within it and ``torch.device("meta")``, tensors have shapes but no numbers: no random value is drawn."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func in SAME_SHAPE:
            return args[0] if args else (kwargs or {})["tensor"]
        if func is torch.randn:
            return torch.empty(*args, **(kwargs or {}), device="meta")
        if func is Tensor.repeat:
            return torch.empty([n * size for n, size in zip(args[1:], (1, *args[0].shape), strict=True)], device="meta")
        return func(*args, **(kwargs or {}))


def check_device(device: str) -> None:
    """Raise BadRecipe, with torch's reason, where torch has no such device or this machine does not have one."""
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        # a driver that is too old, or a torch built for CPUs only: the user can mend it if it is named
        reason = (str(error).splitlines() or [type(error).__name__])[0][:80]
        found = f"there is no device '{device}' here ({reason})"
        raise BadRecipe(f"{found}: use cpu, or cuda where torch finds one") from None
