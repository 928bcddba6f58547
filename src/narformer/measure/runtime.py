"""The base class of all runtimes; a new runtime is one more file with a subclass."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import numpy as np

from narformer.errors import BadArchitecture, TooManyThreads, printable
from narformer.measure.environment import environment
from narformer.measure.network import Network, network
from narformer.network import Architecture

__all__ = ["Runtime", "refused"]


class Runtime(ABC):
    """A network that a runtime has loaded, ready to run on random inputs.

    Loaded from an architecture, with random weights, or from an ONNX file or the bytes of one, with its own weights;
    weights and inputs come from ``rng``. ``device`` names the machine, by default by its CPU; the precision that the
    runtime computes in is added to it. ``dims`` and ``shapes`` bind sizes that the file leaves open.

    Raises MissingExtra without the runtime; BadFile as ``network`` does; BadArchitecture where the runtime refuses it;
    TooManyThreads where the machine has fewer cores.
    """

    runtime: ClassVar[str]  # its name in RUNTIMES
    title: ClassVar[str]  # its name for people
    package: ClassVar[str]  # of Python, whose version is recorded
    accelerator: ClassVar[str] = ""  # name of the chip that it runs on; empty for the CPU

    def __init__(
        self,
        source: Architecture | bytes | Path,
        rng: np.random.Generator,
        threads: int = 1,
        device: str = "",
        dims: Mapping[str, int] | None = None,
        shapes: Mapping[str, tuple[int, ...]] | None = None,
    ) -> None:
        library = self.library()
        if threads > environment().machine.cores:
            raise TooManyThreads(
                f"found {threads} threads; expected 1 to {environment().machine.cores}, one for each core"
            )
        net = network(source, rng, dims, shapes)
        self.architecture, self.fingerprint = net.architecture, net.fingerprint
        self.name, self.batch, self.threads = printable(net.name), net.batch, threads
        self.dtype = self._load(library, net, rng)
        self.device = f"{device.removesuffix(f', {self.dtype}') or environment().device}, {self.dtype}"

    @staticmethod
    @abstractmethod
    def library() -> ModuleType:
        """The runtime's package. Raises MissingExtra where it is not installed."""

    @abstractmethod
    def run(self) -> object:
        """One inference, complete when it returns; the outputs as the runtime returns them.

        Raises BadArchitecture where it fails.
        """

    @abstractmethod
    def _load(self, library: Any, net: Network, rng: np.random.Generator) -> str:
        """Prepare it to run; returns the precision that it computes in."""

    def _refused(self, error: Exception) -> BadArchitecture:
        return refused(self.name, self.title, error)


def refused(name: str, title: str, error: Exception) -> BadArchitecture:
    """The error for a network that a runtime refuses, with the runtime's reason on one line."""
    reason = printable(" ".join(str(error).split()))
    return BadArchitecture(f"{printable(name) or 'network'}: {title} refuses it: {reason}")
