"""Our own measurements of ten families of whole networks; they ship with the package (docs/ten_families.md).

``ten_families.npz`` holds numbers only: a network is rebuilt from its family and number. Letters: M networks, K
measurements, R rounds and T times of all measurements, one after the other.

A virtual machine is slowed down for seconds by neighbours, which no counter shows. Therefore a small network, the
reference, ran right before and after each burst of runs, and a label estimates the time in the machine's usual state.
"""

import io
import json
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from statistics import median
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from narformer.attributes import Attribute
from narformer.data.dataset import Dataset
from narformer.data.facts import Facts, require_file
from narformer.data.nnlqp import official_split
from narformer.data.npz import DAMAGE, write_npz
from narformer.errors import BadFile
from narformer.measure import Environment, Machine, Measurement, condition
from narformer.network import Architecture
from narformer.spaces.families import FAMILIES, TEN

__all__ = [
    "BESIDE",
    "FACTS",
    "NAME",
    "MeasuredSet",
    "Variants",
    "packaged",
    "read_dataset",
    "read_measured",
    "write_measured",
]

NAME = "ten-families"
BESIDE = "beside "  # a measurement of the reference has the name of the network that was measured with it
FORMAT = 1
TENTH = 10  # every tenth network of a family, by number, is for test
_EXPECTED = f"measurements of the ten families, format {FORMAT}"
_SETTING = ("device", "runtime", "threads", "batch", "dtype")
_COLUMNS = (
    "header",
    "fingerprint_MB",
    "network_K",
    "beside_K",
    "setting_K",
    "date_K",
    "others_K",
    "warmups_K",
    "rounds_K",
    "round_R",
    "time_T",
)
_RUNTIMES = ("ort", "openvino-float32")

FACTS = Facts(rows=3_000, ranges={f"latency_{runtime}": (0.01, 60_000.0) for runtime in _RUNTIMES})


class Variants(Sequence[Architecture]):
    """Networks known by family and number, each built at its first access."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = tuple(names)
        self._built: dict[int, Architecture] = {}

    def __len__(self) -> int:
        return len(self.names)

    @overload
    def __getitem__(self, row: int) -> Architecture: ...
    @overload
    def __getitem__(self, row: slice) -> "Variants": ...
    def __getitem__(self, row: int | slice) -> "Architecture | Variants":
        if isinstance(row, slice):
            return Variants(self.names[row])
        row = range(len(self))[row]
        if row not in self._built:
            family, _, number = self.names[row].partition("/")
            self._built[row] = FAMILIES[family].variant(int(number))
        return self._built[row]


@dataclass(frozen=True, eq=False)
class MeasuredSet:
    """Measurements of networks of the families and, beside each, of the reference, in the order of their dates.

    The first measurement of a network on a runtime gives its label. A second one, taken later in another session, shows
    the repeatability of measurements.
    """

    measurements: tuple[Measurement, ...]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the M networks, ``family/number``: families in their order, then numbers."""
        order = list(TEN)

        def place(name: str) -> tuple[int, int]:
            family, _, number = name.partition("/")
            return order.index(family), int(number)

        return tuple(sorted({m.name for m in self.of_networks}, key=place))

    @cached_property
    def of_networks(self) -> tuple[Measurement, ...]:
        """The measurements that are not of the reference."""
        return tuple(m for m in self.measurements if not m.name.startswith(BESIDE))

    @property
    def family_M(self) -> NDArray[np.str_]:
        """Family of each network."""
        return np.array([name.partition("/")[0] for name in self.names])

    @property
    def runtimes(self) -> tuple[str, ...]:
        """The runtimes, sorted."""
        return tuple(sorted({m.runtime for m in self.of_networks}))

    def latency_ms(self, runtime: str, again: bool = False) -> NDArray[np.float64]:
        """(M,) each network's first measurement on a runtime, or its second; NaN where it is missing.

        The median over the rounds of a round's median time, divided by slowdown^sensitivity.
        """
        row = {name: index for index, name in enumerate(self.names)}
        exponent = self.sensitivity(runtime)
        seen: dict[str, int] = {}
        latency_M = np.full(len(row), np.nan)
        for m in self.of_networks:
            if m.runtime == runtime:
                seen[m.name] = seen.get(m.name, 0) + 1
                if seen[m.name] == 1 + again:
                    latency_M[row[m.name]] = np.median(m.round_medians_ms / self.slowdown(m) ** exponent)
        return latency_M

    def slowdown(self, measurement: Measurement) -> NDArray[np.float64]:
        """(rounds,) the reference's time in each round, by its usual time on this runtime; 1 where it did not run."""
        beside = self._beside.get((BESIDE + measurement.name, measurement.runtime, measurement.date))
        if beside is None:
            return np.ones(len(measurement.rounds))
        return np.array(beside.round_medians_ms) / self._usual_ms[measurement.runtime]

    def sensitivity(self, runtime: str) -> float:
        """The power of the reference's slowdown by which networks slow down, 0 to 1; 0 where no reference ran.

        The reduced major axis of the logarithms of the rounds' medians, each network relative to its own mean. Both
        sides are times with noise: with least squares, the noise of the reference would reduce the slope.
        """
        slow, times = [np.zeros(0)], [np.zeros(0)]
        for m in self.of_networks:
            if m.runtime == runtime:
                for parts, values in ((slow, self.slowdown(m)), (times, np.array(m.round_medians_ms))):
                    logs = np.log(np.maximum(values, 1e-6))
                    parts.append(logs - logs.mean())
        x, y = np.concatenate(slow), np.concatenate(times)
        return float(np.clip(np.sqrt(y @ y / (x @ x)), 0.0, 1.0)) if x @ y > 0 else 0.0

    @cached_property
    def _beside(self) -> dict[tuple[str, str, str], Measurement]:
        return {(m.name, m.runtime, m.date): m for m in self.measurements if m.name.startswith(BESIDE)}

    @cached_property
    def _usual_ms(self) -> dict[str, float]:
        """Median of the reference's rounds on each runtime."""
        rounds: dict[str, list[float]] = {}
        for m in self._beside.values():
            rounds.setdefault(m.runtime, []).extend(m.round_medians_ms)
        return {runtime: median(values) for runtime, values in rounds.items()}

    def dataset(self) -> Dataset:
        """The networks with their latencies ``latency_<runtime>``, milliseconds.

        The test rows of ``official`` are every tenth network of each family.
        """
        settings = {m.runtime: m for m in self.of_networks}
        attributes = {
            f"latency_{runtime}": Attribute.of(
                f"latency_{runtime}",
                "ms",
                condition=condition(m),
            )
            for runtime, m in sorted(settings.items(), key=lambda item: item[0] != "ort")
        }
        first = next(iter(attributes))
        place: dict[str, int] = {}
        stages = []
        for family in self.family_M.tolist():
            place[family] = place.get(family, 0) + 1
            stages.append("train" if place[family] % TENTH else "test")
        return Dataset(
            name=NAME,
            space="families",
            architectures=Variants(self.names),
            labels={name: self.latency_ms(name.removeprefix("latency_")) for name in attributes},
            attributes=attributes,
            train_labels=(first,),
            test_labels=(first,),
            official=official_split(self.family_M.tolist(), stages),
            family_M=self.family_M,
        )


def packaged() -> Path | None:
    """The file that ships with the package; None where it is absent."""
    path = Path(__file__).with_name("ten_families.npz")
    return path if path.exists() else None


def write_measured(measured: MeasuredSet, path: Path) -> None:
    """Write the set; the file appears complete or not at all. Raises BadFile as ``write_npz``."""
    settings: dict[str, int] = {}
    setting_K = []
    for m in measured.measurements:
        record = {name: getattr(m, name) for name in _SETTING} | {"environment": asdict(m.environment)}
        setting_K.append(settings.setdefault(json.dumps(record, sort_keys=True), len(settings)))
    every = measured.measurements
    reference = next((m.fingerprint for m in every if m.name.startswith(BESIDE)), "")
    header = {
        "format": FORMAT,
        "names": measured.names,
        "settings": [json.loads(text) for text in settings],
        "reference": reference,
    }
    fingerprints = {m.name: m.fingerprint for m in every}
    row = {name: index for index, name in enumerate(measured.names)}
    columns: dict[str, NDArray[np.generic]] = {
        "header": np.frombuffer(json.dumps(header).encode(), dtype=np.uint8),
        "fingerprint_MB": np.array([list(bytes.fromhex(fingerprints[name])) for name in measured.names], np.uint8),
        "network_K": np.array([row[m.name.removeprefix(BESIDE)] for m in every], np.int32),
        "beside_K": np.array([m.name.startswith(BESIDE) for m in every]),
        "setting_K": np.array(setting_K, np.int16),
        "date_K": np.array([datetime.fromisoformat(m.date).timestamp() for m in every], np.int64),
        "others_K": np.array([np.nan if m.others is None else m.others for m in every]),
        "warmups_K": np.array([len(m.warmup_ns) for m in every], np.int32),
        "rounds_K": np.array([len(m.rounds) for m in every], np.int32),
        "round_R": np.array([count for m in every for count in m.rounds], np.int32),
        "time_T": np.array([t for m in every for t in (*m.warmup_ns, *m.times_ns)], np.int64),
    }
    write_npz(path, columns)


def read_measured(path: str | Path) -> MeasuredSet:
    """The set that ``write_measured`` wrote.

    Raises BadFile where the file is damaged, cut, or of another format.
    """
    path = require_file(path, _EXPECTED)
    try:
        with zipfile.ZipFile(path) as archive:
            column = {name: np.load(io.BytesIO(archive.read(f"{name}.npy")), allow_pickle=False) for name in _COLUMNS}
        header = json.loads(column["header"].tobytes())
        if header["format"] != FORMAT:
            raise BadFile(path, f"format {header['format']!r:.20}", _EXPECTED, "A newer release may read it.")
        settings = [_setting(record) for record in header["settings"]]
        prints = [bytes(row).hex() for row in column["fingerprint_MB"]]
        round_ends_K = np.cumsum(column["rounds_K"])
        rounds = [tuple(part.tolist()) for part in np.split(column["round_R"], round_ends_K[:-1])]
        ends_K = np.cumsum(column["warmups_K"] + np.array([sum(counts) for counts in rounds]))
        if len(prints) != len(header["names"]) or (round_ends_K[-1], ends_K[-1]) != (
            len(column["round_R"]),
            len(column["time_T"]),
        ):
            raise ValueError("columns of different lengths")
        measurements = []
        for k, end in enumerate(ends_K):
            count, row = sum(rounds[k]), int(column["network_K"][k])
            warmups, others = int(column["warmups_K"][k]), float(column["others_K"][k])
            beside, name = bool(column["beside_K"][k]), header["names"][row]
            measurements.append(
                Measurement(
                    fingerprint=header["reference"] if beside else prints[row],
                    name=BESIDE + name if beside else name,
                    times_ns=tuple(column["time_T"][end - count : end].tolist()),
                    warmup_ns=tuple(column["time_T"][end - count - warmups : end - count].tolist()),
                    rounds=rounds[k],
                    others=None if np.isnan(others) else others,
                    date=datetime.fromtimestamp(int(column["date_K"][k]), UTC).isoformat(timespec="seconds"),
                    **settings[column["setting_K"][k]],
                )
            )
        measured = MeasuredSet(tuple(measurements))
        if measured.names != tuple(header["names"]):
            raise ValueError("networks with names other than stated")
        return measured
    except DAMAGE as error:
        raise BadFile(path, f"a file that cannot be read ({str(error)[:80]})", _EXPECTED) from None


def read_dataset(path: str | Path) -> Dataset:
    """The set as networks with labels. Raises BadFile as ``read_measured``."""
    return read_measured(path).dataset()


def _setting(record: dict[str, Any]) -> dict[str, Any]:
    """The fields that all measurements of one setting share."""
    outside = record["environment"]
    machine = Machine(**{**outside["machine"], "instructions": tuple(outside["machine"]["instructions"])})
    versions = tuple((name, version) for name, version in outside["versions"])
    where = Environment(**{**outside, "machine": machine, "versions": versions})
    return {name: record[name] for name in _SETTING} | {"environment": where}
