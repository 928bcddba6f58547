"""The circle closes: what was measured is a data set, to train on and to test with."""

from statistics import median

import numpy as np

from narformer.attributes import Attribute
from narformer.data import Dataset
from narformer.errors import MissingData
from narformer.measure import condition
from narformer.store.store import Store

__all__ = ["latencies"]


def latencies(store: Store, device: str, runtime: str, threads: int = 1) -> Dataset:
    """The networks that were measured on a device and runtime, with their ``latency`` in milliseconds.

    The label of a network is the median of its measurements' medians; networks are in the order of their fingerprints.

    Raises MissingData where the store holds none.
    """
    medians_ms: dict[str, list[float]] = {}
    measured = [m for m in store.find(device=device, runtime=runtime) if m.threads == threads]
    for m in measured:
        medians_ms.setdefault(m.fingerprint, []).append(m.median_ms)
    if not medians_ms:
        known = "; ".join(store.devices()) or "no device"
        raise MissingData(
            f"{store.place} holds nothing of {device} on {runtime} with {threads} threads; it knows {known}"
        )
    architectures = []
    for fingerprint in sorted(medians_ms):
        architecture = store.architecture(fingerprint)
        assert architecture is not None  # a measurement refers to its network
        architectures.append(architecture)
    return Dataset(
        name=f"{store.place}: {device}, {runtime}",
        space="networks",
        architectures=architectures,
        labels={"latency": np.array([median(medians_ms[fingerprint]) for fingerprint in sorted(medians_ms)])},
        attributes={"latency": Attribute.of("latency", "ms", "median of all times", condition(measured[0]))},
        train_labels=("latency",),
        test_labels=("latency",),
    )
