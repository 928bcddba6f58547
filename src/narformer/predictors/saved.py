"""A saved predictor: a folder with manifest.json (what a person reads) and weights.safetensors. No pickle."""

import shutil
import tempfile
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from narformer.attributes import Attribute
from narformer.cells.columns import MOST_EDGES
from narformer.errors import BadPredictor, NarformerError
from narformer.models import MODELS, Model
from narformer.predictors.build import DERIVED, make_model, make_tokenizer, model_options
from narformer.predictors.calibration import Calibration
from narformer.predictors.domain import Domain
from narformer.predictors.gaussian_process import GaussianProcess
from narformer.predictors.manifest import FORMAT, printed, read_manifest, validated
from narformer.predictors.neural import NeuralPredictor
from narformer.predictors.target import Target
from narformer.tokens import TOKENIZERS
from narformer.tokens.tokenizer import Tokenizer

__all__ = ["FORMAT", "check_folder", "load", "read_manifest", "save"]

EXPERT, DOMAIN = "expert.", "domain."  # before the names of their tensors
FILES = {"manifest.json", "weights.safetensors"}
LARGEST_MODEL = 2**28  # numbers; a manifest could otherwise ask for any amount of memory


def save(predictor: NeuralPredictor, folder: Path) -> None:
    """Write the predictor to ``folder``: to a temporary name first, then renamed in place of an older one.

    Raises BadPredictor, and leaves the older one, where ``load`` would refuse what is written; as ``check_folder``.
    """
    check_folder(folder)
    names = _names(predictor)
    weights = {
        name: value.contiguous() for name, value in _parts(predictor.model, predictor.expert, predictor.domain).items()
    }
    _agree_finite(weights, folder)
    manifest = {
        "format": FORMAT,
        "space": predictor.space,
        "attribute": asdict(predictor.attribute),
        "tokenizer": {"name": names[0], **predictor.tokenizer.config()},
        "model": {"name": names[1], **model_options(predictor.model)},
        "target": vars(predictor.target),
        "precision": str(predictor.precision).removeprefix("torch."),
        "calibration": None if predictor.calibration is None else vars(predictor.calibration),
        "expert": None if predictor.expert is None else vars(predictor.expert.config),
        "domain": None if predictor.domain is None else vars(predictor.domain.config),
        "facts": predictor.facts,
    }
    text = printed(manifest) + "\n"
    validated(text.encode(), folder / "manifest.json")
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        (temporary / "manifest.json").write_text(text, encoding="utf-8")
        save_file(weights, temporary / "weights.safetensors")
        temporary.chmod(0o755)
        (temporary / "weights.safetensors").chmod(0o644)  # both are made for their owner alone
        if folder.exists():
            shutil.rmtree(folder)
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def check_folder(folder: Path) -> None:
    """Raises BadPredictor where no predictor can be saved, or other files than a predictor's would be lost."""
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    if not there.is_dir():
        raise BadPredictor(f"found a file at '{there}'; expected a folder, or nothing, where the predictor is saved")
    others = {path.name for path in folder.iterdir()} - FILES if folder.is_dir() else set()
    if others:
        raise BadPredictor(
            f"'{folder}' holds {min(others)}; expected an empty folder, an older predictor's or a new one"
        )


def load(folder: Path) -> NeuralPredictor:
    """The predictor saved in ``folder``. Raises BadPredictor where weights and manifest do not fit each other."""
    manifest = read_manifest(folder)
    try:
        tokenizer = make_tokenizer(
            manifest.tokenizer.name, manifest.tokenizer.model_extra or {}, manifest.tokenizer.vocabulary
        )
        options = manifest.model.model_extra or {}
        with torch.device("meta"):  # shapes only: nothing is allocated before the weights are seen to fit
            model = make_model(manifest.model.name, {k: v for k, v in options.items() if k not in DERIVED}, tokenizer)
            facts = manifest.expert
            expert = None if facts is None else GaussianProcess(GaussianProcess.Config(**facts.model_dump()))
            held = manifest.domain
            domain = None if held is None else Domain(Domain.Config(**held.model_dump()))
        for name, value in model_options(model).items():
            if name in DERIVED and options.get(name, value) != value:
                raise BadPredictor(f"[model] {name}: found {options[name]!r:.80}; its tokenizer asks for {value}")
    except (NarformerError, RuntimeError) as error:
        raise BadPredictor(f"{folder / 'manifest.json'}: describes no model that can be built ({error})") from None
    expected = _parts(model, expert, domain)
    weights = _read_weights(folder / "weights.safetensors", expected)
    model.load_state_dict({name: weights[name] for name in model.state_dict()}, assign=True)
    if expert is not None:
        expert.load_state_dict({name: weights[EXPERT + name] for name in expert.state_dict()}, assign=True)
        _check_expert(expert, tokenizer, folder)
    if domain is not None:
        domain.load_state_dict({name: weights[DOMAIN + name] for name in domain.state_dict()}, assign=True)
        _check_domain(domain, folder)
    for parameter in model.parameters():
        parameter.requires_grad_(True)
    return NeuralPredictor(
        model=model.eval(),
        tokenizer=tokenizer,
        target=Target(**manifest.target.model_dump()),
        attribute=Attribute.of_record(manifest.attribute.model_dump(exclude_unset=True)),
        space=manifest.space,
        facts=dict(manifest.facts),
        calibration=None if manifest.calibration is None else Calibration(**manifest.calibration.model_dump()),
        precision=getattr(torch, manifest.precision),
        expert=expert,
        domain=domain,
    )


def _parts(model: Model, expert: GaussianProcess | None, domain: Domain | None) -> dict[str, torch.Tensor]:
    """All tensors of a predictor by their names in the file."""
    parts = model.state_dict()
    for prefix, part in ((EXPERT, expert), (DOMAIN, domain)):
        parts |= {} if part is None else {prefix + name: value for name, value in part.state_dict().items()}
    return parts


def _check_domain(domain: Domain, folder: Path) -> None:
    """Raise BadPredictor where distances would be none."""
    if domain.config.features != Domain.Config(names=()).features:
        raise BadPredictor(f"{folder}: its domain describes networks otherwise than this version; train it again")
    if (domain.scale <= 0).any() or (domain.reach < 0).any():
        raise BadPredictor(f"{folder}: '{DOMAIN}scale' or '{DOMAIN}reach' is below zero; it is damaged, train it again")


def _check_expert(expert: GaussianProcess, tokenizer: Tokenizer, folder: Path) -> None:
    """Raise BadPredictor where its numbers describe no cells and no kernel."""
    kinds = len(tokenizer.vocabulary)
    real_nN = expert.kind >= 0
    wrong = {
        "kind": (expert.kind != expert.kind.round()).any()
        or not real_nN[:, 0].all()
        or (real_nN.int().diff(dim=1) > 0).any(),
        "adj": ((expert.adj != expert.adj.triu(1).round()) | (expert.adj < 0) | (expert.adj > MOST_EDGES)).any(),
        "length": (expert.length <= 0).any(),
        "amplitude": (expert.amplitude < 0).any(),
        "share": (expert.share < 0).any(),
    }
    for name, found in wrong.items():
        if found:
            raise BadPredictor(f"{folder}: '{EXPERT}{name}' holds impossible values; it is damaged, train it again")
    low, high = expert.kind.min(), expert.kind.max()
    if expert.config.kinds != kinds or not (low >= -1 and high < kinds):
        raise BadPredictor(
            f"{folder}: its expert knows operations {low:g} to {high:g} of {expert.config.kinds}; "
            f"the vocabulary has {kinds}; it is damaged, train it again"
        )
    if expert.described != expert.config.features:
        raise BadPredictor(
            f"{folder}: its expert has {expert.config.features} features; expected {expert.described}; "
            "it is damaged or of another version, train it again"
        )


def _read_weights(path: Path, expected: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors of the file, after its header was compared with the names and shapes of those expected."""
    size = sum(value.numel() for value in expected.values())
    if size > LARGEST_MODEL:
        raise BadPredictor(f"{path.parent}/manifest.json: asks for {size} weights; at most {LARGEST_MODEL} are read")
    shapes = {name: tuple(value.shape) for name, value in expected.items()}
    try:
        with safe_open(path, framework="pt") as file:
            found = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
            for name in sorted(shapes.keys() | found.keys()):
                if shapes.get(name) != found.get(name):
                    raise BadPredictor(
                        f"{path}: tensor '{name}': found shape {found.get(name)}, expected {shapes.get(name)}; "
                        "the weights do not belong to this manifest"
                    )
            # copied, since products of numbers that do not begin at a full vector round otherwise on some processors
            weights = {n: file.get_tensor(n).to(value.dtype, copy=True) for n, value in expected.items()}
    except (OSError, SafetensorError) as error:
        raise BadPredictor(f"{path}: not a readable safetensors file ({error}); copy or train it again") from None
    _agree_finite(weights, path)
    return weights


def _agree_finite(weights: dict[str, torch.Tensor], path: Path) -> None:
    for name, value in weights.items():
        if not value.isfinite().all():
            raise BadPredictor(f"{path}: tensor '{name}' holds NaN or infinity; it is damaged, train it again")


def _names(predictor: NeuralPredictor) -> tuple[str, str]:
    """The table names of the predictor's tokenizer and model."""
    tokenizer = next(name for name, kind in TOKENIZERS.items() if kind is type(predictor.tokenizer))
    model = next(name for name, kind in MODELS.items() if kind is type(predictor.model))
    return tokenizer, model
