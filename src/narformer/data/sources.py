"""The table of sources: what each is, where it comes from, and what reads it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from narformer.data import (
    analog_nasbench,
    nasbench101,
    nasbench101_official,
    nasbench201,
    nasbench201_official,
)
from narformer.data.dataset import Dataset
from narformer.data.facts import Facts

__all__ = ["SOURCES", "Progress", "Source"]

Progress: TypeAlias = Callable[[float], None]
"""Is told the share of the work that is done, 0 to 1."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """One source of labelled networks.

    files:    names under which our conversion of it lies in the data folder
    official: the file that its authors publish, as people know it
    origin:   the page where they publish it
    size:     of the official file, in words
    address:  where `data fetch` takes the official file from, None where no address serves one with a known checksum
    sha256:   of the file at that address
    read_file, read_official: readers of our conversion and of the official file; both None where it is only listed
    locate:   finds the official file outside the data folder
    """

    name: str
    what: str
    rows: int
    units: str
    files: tuple[str, ...]
    official: str
    origin: str
    size: str
    facts: Facts | None = None
    read_file: Callable[[str | Path], Dataset] | None = None
    read_official: Callable[[str | Path, Progress | None], Dataset] | None = None
    locate: Callable[[], Path | None] | None = None
    address: str | None = None
    sha256: str | None = None


def _analog(path: str | Path, progress: Progress | None) -> Dataset:
    return analog_nasbench.read_analog(path)


_HELP = "https://github.com/HayeonLee/HELP"
_NNLQP = "https://github.com/ModelTC/NNLQP"

_ALL = (
    Source(
        name="nasbench101",
        what="cells with operations on vertices, CIFAR-10 accuracy after up to 108 epochs (Ying et al. 2019)",
        rows=423_624,
        units="fraction, s",
        files=("nasbench101_full.parquet", "nasbench101.parquet"),
        official="nasbench_only108.tfrecord or nasbench_full.tfrecord",
        origin="https://github.com/google-research/nasbench",
        size="0.5 GB or 2 GB",
        facts=nasbench101.FACTS,
        read_file=nasbench101.read_parquet,
        read_official=nasbench101_official.read_tfrecord,
    ),
    Source(
        name="nasbench201",
        what="cells with operations on edges, accuracy on three image sets after 200 epochs (Dong & Yang 2020)",
        rows=15_625,
        units="%, millions of parameters",
        files=("nasbench201.parquet",),
        official="NAS-Bench-201-v1_1-096897.pth or NAS-Bench-201-v1_0-e61699.pth",
        origin="https://github.com/D-X-Y/NAS-Bench-201",
        size="2 to 5 GB",
        facts=nasbench201.FACTS,
        read_file=nasbench201.read_parquet,
        read_official=nasbench201_official.read_pth,
    ),
    Source(
        name="analog-nasbench",
        what="the NAS-Bench-201 cells trained anew on CIFAR-10, also quantised and on analog hardware models",
        rows=15_625,
        units="%",
        files=(),
        official="data.anb of the Python package analog-nasbench",
        origin="pip install --no-deps analog-nasbench",
        size="6 MB",
        facts=analog_nasbench.FACTS,
        read_official=_analog,
        locate=analog_nasbench.installed,
    ),
    Source(
        name="nasbench201-latency",
        what="NAS-Bench-201 cells, latency on 27 device settings, some of them modelled (HELP, Lee et al. 2021)",
        rows=15_625,
        units="ms",
        files=("nb201_latency_help.parquet",),
        official="the NAS-Bench-201 latency tables",
        origin=_HELP,
        size="2 MB",
    ),
    Source(
        name="fbnet-latency",
        what="FBNet architectures, latency on 27 device settings (HELP, Lee et al. 2021)",
        rows=5_000,
        units="ms",
        files=("fbnet_latency_help.parquet",),
        official="the FBNet latency tables",
        origin=_HELP,
        size="1 MB",
    ),
    Source(
        name="ofa-latency",
        what="Once-for-all subnets of MobileNetV3, latency on 12 device settings (HELP, Lee et al. 2021)",
        rows=5_000,
        units="ms",
        files=("ofa_latency_help.parquet",),
        official="the OFA latency tables",
        origin=_HELP,
        size="1 MB",
    ),
    Source(
        name="ofa-mbv3",
        what="Once-for-all subnets of MobileNetV3, ImageNet accuracy with inherited weights (DyNAS-T)",
        rows=2_373,
        units="%",
        files=("ofa_mbv3_w10_imagenet.parquet",),
        official="the OFA MobileNetV3 w1.0 search results",
        origin="https://github.com/IntelLabs/DyNAS-T",
        size="1 MB",
    ),
    Source(
        name="nnlqp",
        what="whole networks of ten families, latency on a GTX 1660; labels without graphs (Liu et al. 2022)",
        rows=20_000,
        units="ms",
        files=("nnlqp_unseen_structure_latency.parquet",),
        official="the 'unseen structure' folder",
        origin=_NNLQP,
        size="1 GB with graphs",
    ),
    Source(
        name="nnlqp-nasbench201",
        what="the NAS-Bench-201 family of nnlqp, whose graphs follow from their names",
        rows=2_000,
        units="ms",
        files=("nnlqp_nasbench201_decoded.parquet",),
        official="the 'unseen structure' folder",
        origin=_NNLQP,
        size="1 GB with graphs",
    ),
    Source(
        name="darts-swap1000",
        what="random DARTS cells trained as a tiny one-layer network, CIFAR-10 accuracy (SWAP)",
        rows=1_000,
        units="%",
        files=("darts_swap1000_cifar10.parquet",),
        official="the 1,000 DARTS cells",
        origin="https://github.com/pym1024/SWAP",
        size="1 MB",
    ),
    Source(
        name="nasbench301-surrogate",
        what="DARTS architectures with the output of the NAS-Bench-301 surrogate: not trainings (NASLib)",
        rows=1_218,
        units="%",
        files=("nasbench301_naslib_surrogate.parquet",),
        official="the NAS-Bench-301 sample of NASLib",
        origin="https://github.com/automl/NASLib",
        size="1 MB",
    ),
)

SOURCES: dict[str, Source] = {source.name: source for source in _ALL}
