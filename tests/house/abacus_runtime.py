"""A new runtime: an abacus, which takes a nanosecond of its own clock for each thousand FLOPs."""

import time
from types import ModuleType

from narformer.measure.runtime import Runtime
from narformer.network import cost


class Abacus(Runtime):
    """A network on the abacus; see Runtime."""

    runtime, title, package = "abacus", "Abacus", "narformer"

    @staticmethod
    def library() -> ModuleType:
        return time

    def run(self) -> None:
        """One inference: as long as the network's FLOPs take, 2 µs and 1 µs for every 100 million."""
        end = time.perf_counter_ns() + self._takes_ns
        while time.perf_counter_ns() < end:
            pass

    def _load(self, library, net, rng) -> str:
        self._takes_ns = 20_000 + cost(net.architecture).flops // 10_000
        return "float32"
