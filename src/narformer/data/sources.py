"""The table of sources: a description of each, its origin, and its readers."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from narformer.data import (
    analog_nasbench,
    darts_swap,
    help_latency,
    nasbench101,
    nasbench101_official,
    nasbench201,
    nasbench201_official,
    nnlqp,
    nnlqp_nasbench201,
    ofa_mobilenetv3,
    ten_families,
)
from narformer.data.dataset import Dataset
from narformer.data.facts import Facts
from narformer.progress import Progress

__all__ = ["SOURCES", "Source"]


@dataclass(frozen=True, kw_only=True)
class Source:
    """One source of labelled networks.

    files:    names of our conversion of it in the data folder
    official: the common name of the file that its authors publish
    folder:   whether that is a folder
    origin:   the page where they publish it
    size:     of the official file, as text
    address:  of the official file for `data fetch`; None without an address with a known checksum
    sha256:   of the file at that address
    read_file, read_official: readers of our conversion and of the official file, None if it is not read; both are
              None if the source is only listed
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
    folder: bool = False
    facts: Facts | None = None
    read_file: Callable[[str | Path], Dataset] | None = None
    read_official: Callable[[str | Path, Progress], Dataset] | None = None
    locate: Callable[[], Path | None] | None = None
    address: str | None = None
    sha256: str | None = None


def _analog(path: str | Path, progress: Progress) -> Dataset:
    return analog_nasbench.read_analog(path)


def _darts(path: str | Path, progress: Progress) -> Dataset:
    return darts_swap.read_csv(path)


def _ofa(path: str | Path, progress: Progress) -> Dataset:
    return ofa_mobilenetv3.read_csvs(path)


def _nnlqp(path: str | Path, progress: Progress) -> Dataset:
    return nnlqp.read_folder(path)


def _nnlqp_nasbench201(path: str | Path, progress: Progress) -> Dataset:
    return nnlqp_nasbench201.read_text(path)


def _ten_families(path: str | Path, progress: Progress) -> Dataset:
    return ten_families.read_dataset(path)


_HELP = "https://github.com/HayeonLee/HELP"
_NNLQP = "https://github.com/ModelTC/NNLQP"
_NARFORMER_V2 = "https://github.com/yuny220/NAR-Former-V2"

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
        name=ten_families.NAME,
        what="whole networks of ten families, latency measured by us on a CPU core (docs/ten_families.md)",
        rows=3_000,
        units="ms",
        files=(),
        official="ten_families.npz of this package",
        origin="it ships with narformer",
        size="1 MB",
        facts=ten_families.FACTS,
        read_official=_ten_families,
        locate=ten_families.packaged,
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
        facts=help_latency.FACTS["nasbench201-latency"],
        read_file=help_latency.read_nasbench201,
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
        facts=help_latency.FACTS["fbnet-latency"],
        read_file=help_latency.read_fbnet,
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
        facts=help_latency.FACTS["ofa-latency"],
        read_file=help_latency.read_ofa,
    ),
    Source(
        name="ofa-mbv3",
        what="Once-for-all subnets of MobileNetV3, ImageNet accuracy with inherited weights (DyNAS-T)",
        rows=2_373,
        units="%",
        files=("ofa_mbv3_w10_imagenet.parquet",),
        official="mbnv3w10_evoga_acc.csv and, in one folder with it, the other four mbnv3w10_*.csv of notebooks/data",
        origin="https://github.com/IntelLabs/DyNAS-T",
        size="0.6 MB",
        facts=ofa_mobilenetv3.FACTS,
        read_file=ofa_mobilenetv3.read_parquet,
        read_official=_ofa,
    ),
    Source(
        name="nnlqp",
        what="whole networks of ten families, latency on a GTX 1660 (Liu et al. 2022)",
        rows=20_000,
        units="ms",
        files=("nnlqp", "unseen_structure"),
        official="the folder 'unseen_structure' of dataset.tar.gz",
        origin=_NNLQP,
        size="1 GB",
        folder=True,
        facts=nnlqp.FACTS,
        read_official=_nnlqp,
    ),
    Source(
        name="nnlqp-nasbench201",
        what="the NAS-Bench-201 family of nnlqp, whose graphs follow from their names",
        rows=2_000,
        units="ms",
        files=("nnlqp-nasbench201.parquet", "nnlqp-nasbench201.txt", "nnlqp_nasbench201_decoded.parquet"),
        official="gt.txt of the folder 'unseen_structure', or dataset/unseen_structure/gt_stage.txt of NAR-Former V2,",
        origin=f"{_NNLQP} or {_NARFORMER_V2}",
        size="2 MB",
        facts=nnlqp_nasbench201.FACTS,
        read_file=nnlqp_nasbench201.read_parquet,
        read_official=_nnlqp_nasbench201,
    ),
    Source(
        name="nnlqp-labels",
        what="the latencies of nnlqp without its graphs: nothing to train on",
        rows=20_000,
        units="ms",
        files=("nnlqp_unseen_structure_latency.parquet",),
        official="gt.txt of the folder 'unseen_structure'",
        origin=_NNLQP,
        size="2 MB",
    ),
    Source(
        name="darts-swap1000",
        what="random DARTS cells trained as a tiny one-layer network, CIFAR-10 accuracy (SWAP)",
        rows=1_000,
        units="%",
        files=("darts_swap1000_cifar10.parquet",),
        official="datasets/DARTS_archs_CIFAR10.csv",
        origin="https://github.com/pym1024/SWAP",
        size="0.4 MB",
        facts=darts_swap.FACTS,
        read_file=darts_swap.read_parquet,
        read_official=_darts,
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
