"""Tiny files in the layouts of the official benchmarks, written here byte by byte."""

import base64
import json
import struct
import sys
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def official() -> ModuleType:
    """The writers of this file."""
    return sys.modules[__name__]


CELLS_101 = {
    # hash: (adjacency row by row, operations, parameters)
    "a" * 32: ("0101" + "0010" + "0001" + "0000", "input,conv3x3-bn-relu,maxpool3x3,output", 1_000_000),
    "b" * 32: ("01" + "00", "input,output", 227_274),
}


def crc32c(data: bytes) -> int:
    """Bit by bit, as RFC 3720 defines it."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def framed(record: bytes) -> bytes:
    """One TFRecord."""

    def mask(crc: int) -> bytes:
        return struct.pack("<I", (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF)

    length = struct.pack("<Q", len(record))
    return length + mask(crc32c(length)) + record + mask(crc32c(record))


def varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def metrics(parameters: int, validation: float, test: float, seconds: float) -> bytes:
    """A ModelMetrics message: evaluations at the start, halfway and at the end."""

    def evaluation(share: float) -> bytes:
        values = (108 * share, seconds * share, 0.99 * share, validation * share, test * share)
        body = b"".join(bytes([field << 3 | 1]) + struct.pack("<d", v) for field, v in enumerate(values, 1))
        path = b"/model.ckpt-1"
        return body + b"\x32" + varint(len(path)) + path

    body = b"".join(b"\x0a" + varint(len(e)) + e for e in map(evaluation, (0.0, 0.5, 1.0)))
    return body + b"\x10" + varint(parameters) + b"\x19" + struct.pack("<d", seconds + 1)


def training(name: str, epochs: int, validation: float, test: float, seconds: float = 100.0) -> bytes:
    """The record of one training of a cell of CELLS_101."""
    adjacency, operations, parameters = CELLS_101[name]
    encoded = base64.b64encode(metrics(parameters, validation, test, seconds)).decode()
    return json.dumps([name, epochs, adjacency, operations, encoded]).encode()


def tfrecord_101(epochs: tuple[int, ...] = (4, 108)) -> bytes:
    """Two cells, three runs each at the given epochs; accuracies as in ``accuracies_101``."""
    records = []
    for c, name in enumerate(CELLS_101):
        for e in epochs:
            for run in range(3):
                validation, test = accuracies_101(c, e, run)
                records.append(framed(training(name, e, validation, test, 10.0 * e + run)))
    return b"".join(records)


def accuracies_101(cell: int, epochs: int, run: int) -> tuple[float, float]:
    """Validation and test accuracy."""
    return 0.5 + epochs / 1000 + cell / 10 + run / 100, 0.4 + epochs / 1000 + cell / 10 + run / 100


ARCHS_201 = (
    "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|",
    "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|skip_connect~2|",
)


def run_201(seed: int, base: float, sets: tuple[str, ...], epochs: int = 200) -> dict:
    """The state of one training."""
    return {
        "name": "infer.tiny",
        "net_state_dict": None,
        "train_acc1es": {e: base + 9 + e / epochs for e in (0, epochs - 1)},
        "train_acc5es": None,
        "train_losses": {epochs - 1: 0.1},
        "train_times": None,
        "arch_config": {"channel": 16, "num_cells": 5, "class_num": 10},
        "params": 0.5,
        "flop": 15.0,
        "seed": seed,
        "epochs": epochs,
        "latency": [0.01],
        "eval_names": list(sets),
        "eval_acc1es": {f"{s}@{epochs - 1}": base + i for i, s in enumerate(sets)},
        "eval_times": {},
        "eval_losses": {},
    }


def content_201() -> dict:
    """Two architectures: the first with seeds 777 and 888 on CIFAR-10, the second with one."""

    def results(index: int, seeds: tuple[int, ...]) -> dict:
        images = {"cifar10-valid": ("x-valid", "ori-test"), "cifar10": ("ori-test",)}
        images |= dict.fromkeys(("cifar100", "ImageNet16-120"), ("x-valid", "x-test", "ori-test"))
        return {
            "arch_index": index,
            "arch_str": ARCHS_201[index],
            "dataset_seed": {name: list(seeds) for name in images},
            "all_results": {
                (name, seed): run_201(seed, 50.0 + 10 * index + seed / 1000, sets)
                for name, sets in images.items()
                for seed in seeds
            },
            "clear_net_done": True,
        }

    seeds = ((777, 888), (777,))
    return {
        "meta_archs": list(ARCHS_201),
        "total_archs": 2,
        "arch2infos": {i: {"full": results(i, seeds[i]), "less": results(i, (777,))} for i in (0, 1)},
        "evaluated_indexes": {0, 1},
    }
