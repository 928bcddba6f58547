"""What is predicted: an attribute of a network, its unit, and the condition under which it was measured.

An attribute travels from a measurement to the store, the data set, the saved predictor and the answer. Text for people
is made from it; nothing is read back out of that text.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

__all__ = ["Attribute", "Better", "Condition"]

Better = Literal["higher", "lower"]


@dataclass(frozen=True)
class Condition:
    """Where and how an attribute was measured; a field is empty or 0 where that is not known or plays no part.

    runtime:         the software that ran the network: "ONNX Runtime"
    runtime_version: its version
    device:          name of the machine: "Intel Xeon Processor, 2 cores"
    accelerator:     name of the chip beside the CPU that did the work; empty for the CPU itself
    threads:         CPU threads
    batch:           inputs that one run takes at once, as ``narformer.measure.network.batch_size`` tells it
    precision:       number format that it computed in: "float32"
    """

    runtime: str = ""
    runtime_version: str = ""
    device: str = ""
    accelerator: str = ""
    threads: int = 0
    batch: int = 0
    precision: str = ""

    def __str__(self) -> str:
        parts = [self.runtime, self.device, self.accelerator, self.precision]
        parts += [f"{self.threads} thread{'s' * (self.threads > 1)}"] if self.threads else []
        parts += [f"batch {self.batch}"] if self.batch else []
        return ", ".join(part for part in parts if part)

    def unlike(self, batch: int | None, precision: str) -> tuple[str, ...]:
        """In words, how a network differs from what was measured; a batch or precision that is not known never does."""
        found = []
        if batch and self.batch and batch != self.batch:
            found.append(f"batch {batch}, measured with batch {self.batch}")
        if precision and self.precision and precision != self.precision:
            found.append(f"{precision}, measured with {self.precision}")
        return tuple(found)


@dataclass(frozen=True)
class Attribute:
    """One property of a network that can be measured and predicted.

    name:      of the column or label: "latency_ort", "cifar10_valid"
    unit:      of its values; empty where it has none
    better:    whether a higher or a lower value is better
    relative:  whether errors count as a share of the value; such values are positive
    additive:  whether the value of a network is the sum over its layers
    condition: under which it was measured
    note:      for people: how it was obtained, beyond the condition
    """

    name: str
    unit: str = ""
    better: Better = "higher"
    relative: bool = False
    additive: bool = False
    condition: Condition = Condition()
    note: str = ""

    @classmethod
    def of(cls, name: str, unit: str, note: str = "", condition: Condition | None = None) -> "Attribute":
        """The attribute of this name and unit; the unit decides the rest: of time, of memory, of energy, of accuracy.

        An attribute whose unit is not known is better the higher it is, and its errors count in its own unit.
        """
        better, relative, additive = _OF_UNIT.get(unit, ("higher", False, False))
        return cls(name, unit, better, relative, additive, condition or Condition(), note)

    @classmethod
    def of_column(cls, name: str, note: str = "") -> "Attribute":
        """The attribute of a table's column, by the words of its name: ``latency_ms``, ``peak memory (MB)``.

        The last word may be a unit; a word such as "latency" or "error" decides which direction is better.
        """
        words = re.findall(r"[^\W\d_]+|%", name)
        last = words[-1] if words and (len(words) > 1 or len(words[0]) > 1) else ""  # "s" alone is a name, not a unit
        unit = next((unit for unit in _OF_UNIT if last in (unit, _SPELT.get(unit))), "")
        if "/" in name:  # "images/s" is not a time
            unit = ""
        found = cls.of(name, unit, note)
        kind = next((kind for word in words for kind in _OF_WORD if word.lower().startswith(kind)), None)
        if kind is None or (unit and _OF_WORD[kind][0] == found.better):
            return found
        better, relative, additive = _OF_WORD[kind]
        return replace(found, better=better, relative=relative, additive=additive)

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> "Attribute":
        """The attribute of its fields as ``dataclasses.asdict`` gives them; of name, unit and note in older files.

        Raises TypeError or KeyError where the fields are others.
        """
        if "better" not in record:
            return cls.of(**record)
        return cls(**{**record, "condition": Condition(**record["condition"])})

    def __str__(self) -> str:
        """Where and how it was measured, for people; the note where there is no condition."""
        return str(self.condition) or self.note


_Kind = tuple[Better, bool, bool]
_TIME: _Kind = ("lower", True, True)
_MEMORY: _Kind = ("lower", True, False)  # a peak: layers reuse memory
_ACCURACY: _Kind = ("higher", False, False)
_OF_UNIT: dict[str, _Kind] = {
    **dict.fromkeys(("ns", "us", "µs", "ms", "s", "J", "mJ", "MACs", "FLOPs", "parameters", "M"), _TIME),
    **dict.fromkeys(("B", "KB", "MB", "GB", "KiB", "MiB", "GiB"), _MEMORY),
    **dict.fromkeys(("%", "fraction"), _ACCURACY),
}
_SPELT = {unit: unit.lower() for unit in ("KB", "MB", "GB", "MACs", "FLOPs")}  # spelt so, too
_OF_WORD: dict[str, _Kind] = {
    **dict.fromkeys(("latency", "latencies", "time", "energy", "flops", "macs", "params", "parameters"), _TIME),
    "memory": _MEMORY,
    **dict.fromkeys(("error", "loss", "perplexity"), ("lower", False, False)),
}
