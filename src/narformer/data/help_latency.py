"""HELP's latencies (Lee et al. 2021): the cells of NAS-Bench-201, FBNet and Once-for-all on many devices, as Cells.

A label is a setting, ``device`` or ``device_batch``. Not all are measurements of a whole network: Eyeriss and the FPGA
are modelled everywhere, and in FBNet the Pixel 3 and the Raspberry Pi 4 are sums of look-up tables; ``measured`` names
the others. FBNet and Once-for-all are held as chains of block kinds, so that any graph tokenizer can read them.

Letters: M networks, P places of blocks, N vertices.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narformer.attributes import Attribute
from narformer.cells.columns import PADDING, Cells
from narformer.data.dataset import Dataset
from narformer.data.facts import Facts
from narformer.data.help_checksums import FBNET, NASBENCH201, OFA
from narformer.data.parquet import read_columns
from narformer.errors import BadFile, lookup
from narformer.spaces import ofa_mobilenetv3
from narformer.spaces.nasbench201 import from_arch_strings

__all__ = ["FACTS", "FBNET_VOCABULARY", "OFA_VOCABULARY", "measured", "read_fbnet", "read_nasbench201", "read_ofa"]

# HW-NAS-Bench (Li et al. 2021) lists the kinds in this order: kernel, expansion, two groups.
FBNET_KINDS = ("k3_e1", "k3_e1_g2", "k3_e3", "k3_e6", "k5_e1", "k5_e1_g2", "k5_e3", "k5_e6", "skip")
FBNET_VOCABULARY = ("input", *FBNET_KINDS, "output")
FBNET_PLACES = 22

# The space of ofa_mobilenetv3.py with the side of the image, since latency depends on it.
SIDES = range(128, 225, 4)
OFA_VOCABULARY = (*(f"input {side}" for side in SIDES), *ofa_mobilenetv3.VOCABULARY[1:])

_GRAPHICS = {
    "1080ti": "NVIDIA GTX 1080 Ti",
    "2080ti": "NVIDIA RTX 2080 Ti",
    "titan_rtx": "NVIDIA Titan RTX",
    "titan_xp": "NVIDIA Titan Xp",
    "titanx": "NVIDIA Titan X",
    "titanxp": "NVIDIA Titan Xp",
    "v100": "NVIDIA V100",
}
_DEVICES = {
    "essential_ph_1": "Essential PH-1 (phone)",
    "eyeriss": "Eyeriss (accelerator)",
    "fpga": "FPGA",
    "gold_6226": "Intel Xeon Gold 6226",
    "gold_6240": "Intel Xeon Gold 6240",
    "pixel2": "Google Pixel 2 (phone)",
    "pixel3": "Google Pixel 3 (phone)",
    "raspi4": "Raspberry Pi 4",
    "samsung_a50": "Samsung A50 (phone)",
    "samsung_s7": "Samsung S7 (phone)",
    "silver_4114": "Intel Xeon Silver 4114",
    "silver_4210r": "Intel Xeon Silver 4210R",
}

_MODELLED = dict.fromkeys(("eyeriss", "fpga"), "modelled, not measured")
_NOT_MEASURED: dict[str, dict[str, str]] = {
    "nasbench201-latency": _MODELLED,
    "fbnet-latency": _MODELLED | dict.fromkeys(("pixel3", "raspi4"), "sum of a look-up table, not measured as a whole"),
    "ofa-latency": {},
}
_SETTINGS = {
    name: tuple(column for column in pinned if column in _DEVICES or column.rpartition("_")[0] in _GRAPHICS)
    for name, pinned in (("nasbench201-latency", NASBENCH201), ("fbnet-latency", FBNET), ("ofa-latency", OFA))
}
_LARGEST_MS = {"nasbench201-latency": 183.1, "fbnet-latency": 244.4, "ofa-latency": 107.6}

FACTS = {
    name: Facts(
        rows=15_625 if name == "nasbench201-latency" else 5_000,
        ranges=dict.fromkeys(settings, (0.003, _LARGEST_MS[name])),
    )
    for name, settings in _SETTINGS.items()
}


def measured(name: str) -> tuple[str, ...]:
    """The labels of a HELP data set that were measured, in its order. Raises UnknownName."""
    return tuple(label for label in lookup(_SETTINGS, name, "HELP data set") if label not in _NOT_MEASURED[name])


def read_nasbench201(path: str | Path) -> Dataset:
    """All 15,625 cells in the order of the official API, on 27 settings. Raises BadFile; MissingExtra."""
    name = "nasbench201-latency"
    columns = read_columns(path, FACTS[name].rows, NASBENCH201)
    return _dataset(name, "nasbench201", from_arch_strings(columns["arch_str"]), columns, "titan_rtx_256")


def read_fbnet(path: str | Path) -> Dataset:
    """5,000 networks on 27 settings: input, the kinds of 22 blocks, output. Raises BadFile; MissingExtra."""
    name = "fbnet-latency"
    columns = read_columns(path, FACTS[name].rows, FBNET)
    kind_MP = np.stack([columns[f"l{place}"] for place in range(FBNET_PLACES)], axis=1)
    if kind_MP.min() < 0 or kind_MP.max() >= len(FBNET_KINDS):
        raise BadFile(path, f"kinds of blocks from {kind_MP.min()} to {kind_MP.max()}", f"0 to {len(FBNET_KINDS) - 1}")
    return _dataset(
        name, "graphs", _chains(FBNET_VOCABULARY, np.zeros(len(kind_MP)), kind_MP + 1), columns, "titan_rtx_64"
    )


def read_ofa(path: str | Path) -> Dataset:
    """5,000 subnets on 12 settings: the input with its side, blocks of five stages, output.

    Of the four blocks that the settings list for a stage, those beyond its depth are absent.
    Raises BadFile; MissingExtra.
    """
    name = "ofa-latency"
    columns = read_columns(path, FACTS[name].rows, OFA)
    kernel_MP, expansion_MP, depth_MS, side_M = (columns[column] for column in ("ks", "e", "d", "r"))
    kernels, expansions = ofa_mobilenetv3.KERNELS, ofa_mobilenetv3.EXPANSIONS
    known = ((kernel_MP, kernels), (expansion_MP, expansions), (depth_MS, ofa_mobilenetv3.DEPTHS), (side_M, SIDES))
    for found, values in known:
        if not set(np.unique(found)) <= set(values):
            raise BadFile(path, f"the settings {np.unique(found)}", f"{tuple(values)}")
    stage_P, place_P = np.divmod(np.arange(kernel_MP.shape[1]), max(ofa_mobilenetv3.DEPTHS))
    kind_MP = (
        len(SIDES)
        + (stage_P * len(kernels) + np.searchsorted(kernels, kernel_MP)) * len(expansions)
        + np.searchsorted(expansions, expansion_MP)
    )
    kind_MP[place_P >= depth_MS[:, stage_P]] = PADDING
    return _dataset(
        name, "graphs", _chains(OFA_VOCABULARY, np.searchsorted(SIDES, side_M), kind_MP), columns, "titan_rtx_64"
    )


def _chains(vocabulary: tuple[str, ...], input_M: NDArray[Any], kind_MP: NDArray[Any]) -> Cells:
    """Chains of an input, the blocks that are not PADDING, and an output, the last word of the vocabulary."""
    count, places = kind_MP.shape
    kind_MN = np.full((count, places + 2), PADDING, dtype=np.int8)
    order_MP = np.argsort(kind_MP == PADDING, axis=1, kind="stable")
    kind_MN[:, 0], kind_MN[:, 1:-1] = input_M, np.take_along_axis(kind_MP, order_MP, axis=1)
    blocks_M = (kind_MP != PADDING).sum(axis=1)
    kind_MN[np.arange(count), blocks_M + 1] = len(vocabulary) - 1
    adj_MNN = np.zeros((count, places + 2, places + 2), dtype=np.uint8)
    steps_P = np.arange(places + 1)
    adj_MNN[:, steps_P, steps_P + 1] = steps_P <= blocks_M[:, None]
    return Cells(vocabulary, kind_MN, adj_MNN).trimmed()


def _dataset(name: str, space: str, cells: Cells, columns: Mapping[str, Any], label: str) -> Dataset:
    return Dataset(
        name=name,
        space=space,
        architectures=cells,
        labels={setting: columns[setting].astype(np.float64) for setting in _SETTINGS[name]},
        attributes={setting: Attribute.of(setting, "ms", _note(name, setting)) for setting in _SETTINGS[name]},
        train_labels=(label,),
        test_labels=(label,),
    )


def _note(name: str, setting: str) -> str:
    device, _, batch = setting.rpartition("_")
    where = _DEVICES.get(setting) or f"{_GRAPHICS[device]}, batch {batch}"
    return f"{where}, {_NOT_MEASURED[name].get(setting, 'measured')} (HELP)"
