"""The official files of NAS-Bench-201, NAS-Bench-201-v1_0-e61699.pth and -v1_1-096897.pth, read without executing them.

Layout (nas_201_api/api_201.py and api_utils.py): meta_archs, the architecture strings by index; arch2infos, index ->
"full" (200 epochs) and "less" (12) -> dataset_seed, name -> seeds, and all_results, (name, seed) -> one training with
``epochs``, ``params`` (millions), ``train_acc1es`` by epoch and ``eval_acc1es`` by "set@epoch", in percent.
"""

from pathlib import Path
from typing import Any

import numpy as np

from narformer.data.dataset import Dataset
from narformer.data.nasbench201 import dataset
from narformer.data.torch_file import read_torch_file
from narformer.errors import BadArchitecture, BadFile
from narformer.progress import Progress, silent

__all__ = ["read_pth"]

_EXPECTED = "an official NAS-Bench-201 file"

# label -> (image set and how it was split, evaluated set); None is the training accuracy
_SOURCES: dict[str, tuple[str, str | None]] = {
    "cifar10_valid": ("cifar10-valid", "x-valid"),
    "cifar10_test_nb201": ("cifar10", "ori-test"),
    "cifar10_test_halftrain": ("cifar10-valid", "ori-test"),
    "cifar100_valid": ("cifar100", "x-valid"),
    "cifar100_test_nb201": ("cifar100", "x-test"),
    "imagenet16_valid": ("ImageNet16-120", "x-valid"),
    "imagenet16_test_nb201": ("ImageNet16-120", "x-test"),
    "cifar10_halftrain_train": ("cifar10-valid", None),
    "cifar100_train": ("cifar100", None),
    "imagenet16_train": ("ImageNet16-120", None),
}
_PARAMS = {
    "params_m_cifar10": "cifar10",
    "params_m_cifar100": "cifar100",
    "params_m_imagenet16": "ImageNet16-120",
}


def read_pth(path: str | Path, progress: Progress = silent) -> Dataset:
    """The cells of an official file by index, with their accuracies after 200 epochs, mean over the seeds they have.

    The whole content is built in memory, as the official API does: it takes about five times the size of the file.
    Raises BadFile where the file is cut, damaged, hostile, or not in this layout. The number of cells is not tested
    here: small files in this layout are read as well.
    """
    content = read_torch_file(path, progress)
    if not isinstance(content, dict) or not {"meta_archs", "arch2infos"} <= content.keys():
        keys = ", ".join(str(key)[:30] for key in list(content)[:5]) if isinstance(content, dict) else ""
        raise BadFile(
            path, f"a {type(content).__name__} of {keys or 'other things'}", f"{_EXPECTED} (meta_archs, arch2infos)"
        )
    strings, infos = content["meta_archs"], content["arch2infos"]
    if not isinstance(strings, list) or not all(isinstance(s, str) for s in strings) or not isinstance(infos, dict):
        raise BadFile(path, "architectures that are not text", _EXPECTED)
    columns = {name: np.full(len(strings), np.nan) for name in (*_SOURCES, *_PARAMS)}
    for index in range(len(strings)):
        try:
            results = infos[index]["full"]
            for name, (images, evaluated) in _SOURCES.items():
                columns[name][index] = _mean([_accuracy(run, evaluated) for run in _runs(results, images)])
            for name, images in _PARAMS.items():
                columns[name][index] = _mean([float(run["params"]) for run in _runs(results, images)])
        except (KeyError, TypeError, ValueError, IndexError) as error:
            reason = f"{type(error).__name__} {str(error)[:60]}"
            raise BadFile(path, f"results of architecture {index} in another layout ({reason})", _EXPECTED) from None
    needed = ("cifar10_valid", "cifar10_test_nb201")
    kept = {name: column for name, column in columns.items() if name in needed or not np.isnan(column).all()}
    try:
        return dataset(strings, kept)
    except BadArchitecture as error:
        raise BadFile(path, f"an invalid architecture: {error}", _EXPECTED) from None


def _runs(results: Any, images: str) -> list[Any]:
    return [results["all_results"][(images, seed)] for seed in results["dataset_seed"].get(images, [])]


def _accuracy(run: Any, evaluated: str | None) -> float:
    last = run["epochs"] - 1
    if evaluated is None:
        return float(run["train_acc1es"][last])
    # not every release has the test accuracy after training on one half
    return float(run["eval_acc1es"].get(f"{evaluated}@{last}", np.nan))


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else float("nan")
