"""A saved predictor: a folder with manifest.json (readable) and weights.safetensors. No pickle."""

import shutil
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from narformer.errors import BadPredictor, NarformerError, lookup
from narformer.predictors import PREDICTORS, Predictor
from narformer.predictors.calibration import Calibration
from narformer.predictors.devices import ShapesOnly
from narformer.predictors.domain import CellDomain, NetworkDomain
from narformer.predictors.format_1 import renamed
from narformer.predictors.manifest import (
    FORMAT,
    CellDomainFacts,
    NetworkDomainFacts,
    printed,
    read_manifest,
    validated,
    wrong,
)
from narformer.predictors.predictor import Common
from narformer.predictors.target import Target

__all__ = ["FORMAT", "check_folder", "load", "read_manifest", "save"]

DOMAIN = "domain."  # before the names of its tensors
FILES = {"manifest.json", "weights.safetensors"}
LARGEST_MODEL = 2**28  # numbers; otherwise a manifest could request any amount of memory


def save(predictor: Predictor, folder: Path) -> None:
    """Write the predictor to ``folder``: to a temporary name first, then renamed in place of an older one.

    Raises BadPredictor, and keeps the older one, where ``load`` would refuse the new one; as ``check_folder``.
    """
    check_folder(folder)
    tensors = {name: value.contiguous() for name, value in _tensors(predictor).items()}
    _agree_finite(tensors, folder)
    _agree_size(tensors, folder)
    text = printed(_manifest(predictor)) + "\n"
    validated(text.encode(), folder / "manifest.json")
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        (temporary / "manifest.json").write_text(text, encoding="utf-8")
        save_file(tensors, temporary / "weights.safetensors")
        temporary.chmod(0o755)
        (temporary / "weights.safetensors").chmod(0o644)  # both are created with access for their owner only
        if folder.exists():
            shutil.rmtree(folder)
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _manifest(predictor: Predictor) -> dict[str, Any]:
    domain = predictor.domain
    return {
        "format": FORMAT,
        "predictor": predictor.config().model_dump(mode="json"),
        "space": predictor.space,
        "attributes": [asdict(attribute) for attribute in predictor.attributes],
        "targets": [vars(target) for target in predictor.targets],
        "calibrations": [calibration and vars(calibration) for calibration in predictor.calibrations],
        "domain": domain and vars(domain.config if isinstance(domain, NetworkDomain) else domain),
        "facts": predictor.facts,
    }


def check_folder(folder: Path) -> None:
    """Raises BadPredictor where no predictor can be saved, or other files than a predictor's would be lost."""
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    if not there.is_dir():
        raise BadPredictor(f"found a file at '{there}'; expected a folder, or nothing, to save the predictor")
    others = {path.name for path in folder.iterdir()} - FILES if folder.is_dir() else set()
    if others:
        raise BadPredictor(
            f"'{folder}' holds {min(others)}; expected an empty folder, an older predictor's or a new one"
        )


def load(folder: Path) -> Predictor:
    """The predictor saved in ``folder``. Raises BadPredictor where its numbers and its manifest do not match."""
    manifest = read_manifest(folder)
    common: Common = {
        "attributes": tuple(facts.attribute() for facts in manifest.attributes),
        "space": manifest.space,
        "targets": tuple(Target(**facts.model_dump()) for facts in manifest.targets),
        "calibrations": tuple(
            None if facts is None else Calibration(**facts.model_dump()) for facts in manifest.calibrations
        ),
        "facts": dict(manifest.facts),
    }
    try:
        kind = lookup(PREDICTORS, manifest.predictor.name, "predictor")
        config = kind.Config.model_validate_json(manifest.predictor.model_dump_json())
        with torch.device("meta"), ShapesOnly():  # shapes only: nothing is allocated before the numbers were checked
            common["domain"] = _domain(manifest.domain)
            predictor = kind.empty(config, common)
    except ValidationError as error:
        where, message = wrong(error)
        raise BadPredictor(f"{folder / 'manifest.json'}: 'predictor.{where}': {message}; it is damaged") from None
    except (NarformerError, RuntimeError) as error:
        raise BadPredictor(f"{folder / 'manifest.json'}: describes no model that can be built ({error})") from None
    tensors = _read_weights(folder / "weights.safetensors", _tensors(predictor))
    try:
        predictor.fill(tensors)
        if isinstance(predictor.domain, NetworkDomain):
            predictor.domain.fill({name: tensors[DOMAIN + name] for name in predictor.domain.state_dict()})
    except BadPredictor as error:
        raise BadPredictor(f"{folder}: {error}") from None
    return predictor


def _tensors(predictor: Predictor) -> dict[str, torch.Tensor]:
    """All tensors of a predictor by their names in the file."""
    domain = predictor.domain
    if not isinstance(domain, NetworkDomain):
        return predictor.tensors()
    return predictor.tensors() | {DOMAIN + name: value for name, value in domain.state_dict().items()}


def _domain(facts: NetworkDomainFacts | CellDomainFacts | None) -> NetworkDomain | CellDomain | None:
    if isinstance(facts, NetworkDomainFacts):
        return NetworkDomain(NetworkDomain.Config(**facts.model_dump()))
    return None if facts is None else CellDomain(**facts.model_dump())


def _read_weights(path: Path, expected: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors of the file, after its header was compared with the names and shapes of those expected."""
    _agree_size(expected, path.parent)
    shapes = {name: tuple(value.shape) for name, value in expected.items()}
    try:
        with safe_open(path, framework="pt") as file:
            stored = {renamed(name): name for name in file.keys()}  # noqa: SIM118
            found = {name: tuple(file.get_slice(old).get_shape()) for name, old in stored.items()}
            for name in sorted(shapes.keys() | found.keys()):
                if shapes.get(name) != found.get(name):
                    raise BadPredictor(
                        f"{path}: tensor '{name}': found shape {found.get(name)}, expected {shapes.get(name)}; "
                        "the weights do not belong to this manifest"
                    )
            # copied, since products of numbers that do not begin at a full vector round otherwise on some processors
            weights = {n: file.get_tensor(stored[n]).to(value.dtype, copy=True) for n, value in expected.items()}
    except (OSError, SafetensorError) as error:
        raise BadPredictor(f"{path}: not a readable safetensors file ({error}); copy or train it again") from None
    _agree_finite(weights, path)
    return weights


def _agree_size(tensors: dict[str, torch.Tensor], folder: Path) -> None:
    size = sum(value.numel() for value in tensors.values())
    if size > LARGEST_MODEL:
        raise BadPredictor(f"{folder}/manifest.json: requests {size} weights; at most {LARGEST_MODEL} are read")


def _agree_finite(weights: dict[str, torch.Tensor], path: Path) -> None:
    for name, value in weights.items():
        if not value.isfinite().all():
            raise BadPredictor(f"{path}: tensor '{name}' holds NaN or infinity; it is damaged, train it again")
