"""A saved predictor: a folder with manifest.json (what a person reads) and weights.safetensors. No pickle."""

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from narformer.data.dataset import Attribute
from narformer.errors import BadPredictor, NarformerError
from narformer.models import MODELS
from narformer.predictors.build import make_model, make_tokenizer, model_options
from narformer.predictors.neural import NeuralPredictor
from narformer.predictors.target import Target, Transform
from narformer.tokens import TOKENIZERS

FORMAT = 1
LARGEST_MANIFEST = 2**20  # bytes
LARGEST_MODEL = 2**28  # numbers; a manifest could otherwise ask for any amount of memory


class TargetFacts(BaseModel):
    """The fields of a Target."""

    model_config = ConfigDict(extra="forbid")
    transform: Transform
    scale: float
    mean: float
    sd: float
    knots: tuple[tuple[float, float], ...] = Field(max_length=100_000)


class AttributeFacts(BaseModel):
    """The fields of an Attribute."""

    model_config = ConfigDict(extra="forbid")
    name: str
    unit: str
    note: str = ""


class Manifest(BaseModel):
    """Everything about a saved predictor but its weights."""

    model_config = ConfigDict(extra="forbid")
    format: Literal[1]
    space: str
    attribute: AttributeFacts
    tokenizer: dict[str, Any]
    model: dict[str, Any]
    target: TargetFacts
    precision: Literal["float32", "bfloat16"]
    facts: dict[str, Any] = {}


def save(predictor: NeuralPredictor, folder: Path) -> None:
    """Write the predictor to ``folder``: to a temporary name first, then renamed in place of an older one."""
    names = _names(predictor)
    manifest = {
        "format": FORMAT,
        "space": predictor.space,
        "attribute": vars(predictor.attribute),
        "tokenizer": {"name": names[0], **predictor.tokenizer.config()},
        "model": {"name": names[1], **model_options(predictor.model)},
        "target": vars(predictor.target),
        "precision": str(predictor.precision).removeprefix("torch."),
        "facts": predictor.facts,
    }
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        (temporary / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
        save_file(
            {k: v.contiguous() for k, v in predictor.model.state_dict().items()}, temporary / "weights.safetensors"
        )
        temporary.chmod(0o755)
        (temporary / "weights.safetensors").chmod(0o644)  # both are made for their owner alone
        if folder.exists():
            shutil.rmtree(folder)
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a saved predictor. Raises BadPredictor where there is none or it does not validate."""
    path = folder / "manifest.json"
    if not path.is_file():
        raise BadPredictor(f"{folder}: found no manifest.json; expected a folder that `narformer train` wrote")
    if path.stat().st_size > LARGEST_MANIFEST:
        raise BadPredictor(f"{path}: found {path.stat().st_size} bytes; a manifest has at most {LARGEST_MANIFEST}")
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise BadPredictor(f"{path}: {where}: {first['msg']}; it is damaged or of another version") from None


def load(folder: Path) -> NeuralPredictor:
    """The predictor saved in ``folder``. Raises BadPredictor where weights and manifest do not fit each other."""
    manifest = read_manifest(folder)
    try:
        tokenizer_options = {k: _plain(v) for k, v in manifest.tokenizer.items() if k not in ("name", "vocabulary")}
        tokenizer = make_tokenizer(
            str(manifest.tokenizer["name"]), tokenizer_options, tuple(manifest.tokenizer["vocabulary"])
        )
        model_choice = {
            k: _plain(v) for k, v in manifest.model.items() if k not in ("name", "features", "whole", "kinds")
        }
        with torch.device("meta"):  # shapes only: nothing is allocated before the weights are seen to fit
            model = make_model(str(manifest.model["name"]), model_choice, tokenizer)
    except (NarformerError, KeyError, TypeError, ValueError, RuntimeError, ZeroDivisionError) as error:
        raise BadPredictor(f"{folder / 'manifest.json'}: describes no model that can be built ({error})") from None
    expected = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    model.load_state_dict(_read_weights(folder / "weights.safetensors", expected), assign=True)
    for parameter in model.parameters():
        parameter.requires_grad_(True)
    return NeuralPredictor(
        model=model.eval(),
        tokenizer=tokenizer,
        target=Target(**manifest.target.model_dump()),
        attribute=Attribute(**manifest.attribute.model_dump()),
        space=manifest.space,
        facts=manifest.facts,
        precision=getattr(torch, manifest.precision),
    )


def _read_weights(path: Path, expected: dict[str, tuple[int, ...]]) -> dict[str, torch.Tensor]:
    """The tensors of the file, after its header was compared with the expected names and shapes."""
    size = sum(torch.Size(shape).numel() for shape in expected.values())
    if size > LARGEST_MODEL:
        raise BadPredictor(f"{path.parent}/manifest.json: asks for {size} weights; at most {LARGEST_MODEL} are read")
    try:
        with safe_open(path, framework="pt") as file:
            found = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
            for name in sorted(expected.keys() | found.keys()):
                if expected.get(name) != found.get(name):
                    raise BadPredictor(
                        f"{path}: tensor '{name}': found shape {found.get(name)}, expected {expected.get(name)}; "
                        "the weights do not belong to this manifest"
                    )
            weights = {name: file.get_tensor(name).float() for name in expected}
    except (OSError, SafetensorError) as error:
        raise BadPredictor(f"{path}: not a readable safetensors file ({error}); copy or train it again") from None
    for name, value in weights.items():
        if not value.isfinite().all():
            raise BadPredictor(f"{path}: tensor '{name}' holds NaN or infinity; it is damaged, train it again")
    return weights


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _names(predictor: NeuralPredictor) -> tuple[str, str]:
    """The table names of the predictor's tokenizer and model."""
    tokenizer = next(name for name, kind in TOKENIZERS.items() if kind is type(predictor.tokenizer))
    model = next(name for name, kind in MODELS.items() if kind is type(predictor.model))
    return tokenizer, model
