"""The machine that a time was taken on, and the state it was in. Times of two machines never mix."""

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from narformer.errors import MixedMachines

__all__ = ["Environment", "Machine", "busy_seconds", "environment", "mixed", "same_machine"]

CPU_INFO = Path("/proc/cpuinfo")
STAT = Path("/proc/stat")
GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
# Instructions that determine the speed of a convolution; the CPU name of a virtual machine often does not show them.
INSTRUCTIONS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_bf16", "amx_int8", "asimd", "sve")
PACKAGES = ("narformer", "numpy", "onnxruntime", "openvino")


@dataclass(frozen=True)
class Machine:
    """The machine itself, which stays the same from one run to the next.

    cpu:          its name as the system reports it
    model:        "family/model/stepping" where the system gives it, else ""
    architecture: "x86_64", "aarch64"
    cores:        logical cores that this program may use
    instructions: those of INSTRUCTIONS that it has
    """

    cpu: str
    model: str
    architecture: str
    cores: int
    instructions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Environment:
    """A machine and the software on it.

    governor: of the clock frequency, "" where it cannot be read, as in most virtual machines
    versions: (package, version) of those of PACKAGES that are installed
    """

    machine: Machine
    system: str
    python: str
    governor: str
    versions: tuple[tuple[str, str], ...]

    @property
    def device(self) -> str:
        """The name of this machine as a device, if the user does not give one."""
        return f"{self.machine.cpu}, {self.machine.cores} cores"


@cache
def environment() -> Environment:
    """The environment of this program."""
    info = _cpu_info(CPU_INFO.read_text(encoding="utf-8") if CPU_INFO.exists() else "")
    numbers = [info[key] for key in ("cpu family", "model", "stepping") if key in info]
    flags = set((info.get("flags") or info.get("Features") or "").split())
    machine = Machine(
        cpu=_plain(info.get("model name") or platform.processor() or platform.machine()),
        model="/".join(numbers),
        architecture=platform.machine(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        instructions=tuple(name for name in INSTRUCTIONS if name in flags),
    )
    return Environment(machine, platform.platform(), platform.python_version(), _governor(), _versions())


def busy_seconds() -> float | None:
    """Core seconds since the start of the machine that programs used, or that its host took away (steal).

    Counted in hundredths. None where the system does not count them.
    """
    try:
        with STAT.open(encoding="ascii") as file:
            name, *ticks = file.readline().split()
        user, nice, system, _, _, interrupts, soft, steal = map(int, ticks[:8])
        return (user + nice + system + interrupts + soft + steal) / os.sysconf("SC_CLK_TCK") if name == "cpu" else None
    except (OSError, ValueError):
        return None


def same_machine(a: Environment, b: Environment) -> bool:
    """Whether times of both may be compared under one device. Versions and governor may differ."""
    return a.machine == b.machine


def mixed(device: str, known: Machine, found: Machine) -> MixedMachines:
    """The error for two machines under one name, with their differences."""
    names = [field.name for field in fields(Machine) if getattr(known, field.name) != getattr(found, field.name)]
    differ = "; ".join(f"{name} {getattr(found, name)!r}, not {getattr(known, name)!r}" for name in names)
    return MixedMachines(f"device '{device}' is another machine: found {differ}. Give this machine another name.")


def _cpu_info(text: str) -> Mapping[str, str]:
    """The fields of the first core."""
    pairs = (line.partition(":") for line in text.split("\n\n", 1)[0].splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


def _plain(name: str) -> str:
    return " ".join(name.replace("(R)", "").replace("(TM)", "").split())


def _governor() -> str:
    try:
        return GOVERNOR.read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def _versions() -> tuple[tuple[str, str], ...]:
    found = []
    for package in PACKAGES:
        try:
            found.append((package, version(package)))
        except PackageNotFoundError:
            continue
    return tuple(found)
