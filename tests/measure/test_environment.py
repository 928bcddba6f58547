"""The machine is told apart from its state."""

import os
from dataclasses import replace

import pytest

from narformer.measure import environment, same_machine
from narformer.measure.environment import _cpu_info, _plain, mixed

HERE = environment()


def test_it_names_this_machine():
    assert HERE.machine.cpu
    assert 1 <= HERE.machine.cores <= os.cpu_count()
    assert dict(HERE.versions)["numpy"]
    assert HERE.device == f"{HERE.machine.cpu}, {HERE.machine.cores} cores"


def test_versions_and_governor_are_a_state_of_the_same_machine():
    assert same_machine(HERE, replace(HERE, governor="powersave", python="3.99", versions=()))


@pytest.mark.parametrize(
    "change", [{"cpu": "6502"}, {"cores": 999}, {"instructions": ("avx2",)}, {"model": "0"}, {"architecture": "z80"}]
)
def test_another_machine_is_refused_and_the_error_says_in_what_it_differs(change):
    other = replace(HERE, machine=replace(HERE.machine, **change))
    assert not same_machine(HERE, other)
    text = str(mixed("bench", HERE.machine, other.machine))
    ((name, value),) = change.items()
    assert f"{name} {value!r}, not" in text


def test_the_first_core_is_read():
    info = _cpu_info("model name\t: Intel(R) Xeon(R) CPU\nmodel : 7\n\nmodel name : other\n")
    assert info == {"model name": "Intel(R) Xeon(R) CPU", "model": "7"}
    assert _plain(info["model name"]) == "Intel Xeon CPU"
    assert _cpu_info("") == {}
