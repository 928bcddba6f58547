"""A Recipe: everything that determines a training run except its seed, read from TOML; unknown keys are refused."""

import copy
import hashlib
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from narformer.data.splits import VALIDATION
from narformer.data.table_file import digest
from narformer.errors import BadRecipe, NarformerError, lookup
from narformer.models import MODELS
from narformer.predictors import PREDICTORS, FittedPredictor
from narformer.predictors.build import check_options
from narformer.predictors.target import Transform
from narformer.tokens import TOKENIZERS

NEURAL = {"name": "neural"}
FIRST_NAMES = {"gaussian_process": "expert"}  # of sections that were renamed after runs were stored


class Section(BaseModel):
    """A part of a recipe; unknown keys, NaN and infinity are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Choice(BaseModel):
    """A name from a table and the options of the entry that differ from its defaults."""

    model_config = ConfigDict(extra="allow", frozen=True)
    name: str

    @property
    def options(self) -> dict[str, Any]:
        """Everything but the name; lists become tuples."""
        return {k: tuple(v) if isinstance(v, list) else v for k, v in (self.model_extra or {}).items()}


class Data(Section):
    """Networks and labels: a source of the data folder or a table, a split of it, and the number of training networks.

    file:   a table in place of a source (data/table_file.py), from the current folder; its name is also ``name``
    store:  a store of measurements in place of a source: a path or an address; condition: selects its measurements
    unseen: a family that is used for testing only
    sha256: of the content of table or store, which replaces it in the recipe's hash; computed if it is not stated
    label:  to learn, one label or a list of them; test_label: to test with, one for each
    """

    name: str
    file: str | None = None
    store: str | None = None
    condition: dict[str, str | int] = {}
    sha256: str | None = None
    split: str = "paper"
    train: int = Field(gt=0)
    validation: int = Field(default=VALIDATION, ge=2)
    split_seed: int | None = None
    unseen: str | None = None
    label: str | tuple[str, ...] | None = None
    test_label: str | tuple[str, ...] | None = None

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that are learned; empty for those that the source's papers use."""
        return _several(self.label)

    @property
    def test_labels(self) -> tuple[str, ...]:
        """The labels that are tested; empty for those that the source's papers use."""
        return _several(self.test_label)


class TargetSection(Section):
    """How labels become targets of the model: label x scale, then the transform fitted on training labels."""

    transform: Transform = "none"
    scale: float = 1.0


class Loss(Section):
    """regression + ranking λ1 · SR + consistency λ2 · AC + pairwise · logistic ranking loss.

    Consistency is between the twins of an augmentation; without one, between two dropouts (R-Drop, Liang et al. 2021).
    pairs: ``equal`` weights all pairs alike, ``gap`` by the difference of their targets
    """

    regression: Literal["mse", "absolute", "relative", "none"] = "mse"
    ranking: float = 0.0
    consistency: float = 0.0
    pairwise: float = 0.0
    pairs: Literal["equal", "gap"] = "equal"


class Augmentation(Section):
    """Reorderings of a cell's vertices that are its twins in training (training/augmentation.py)."""

    orderings: Literal["none", "swap", "first", "all", "unrestricted"] = "none"


class Optimiser(Section):
    """Adam with a warm-up and a schedule over all steps.

    decay: ``decoupled`` is AdamW, biases spared; ``coupled`` adds the decay to the gradient of every parameter
    """

    learning_rate: float = Field(default=1e-4, gt=0)
    weight_decay: float = 0.01
    decay: Literal["decoupled", "coupled"] = "decoupled"
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    warmup: float = Field(default=0.1, ge=0, lt=1)
    clip: float | None = None
    ema: float | None = None


class Training(Section):
    """Length of the run and the choice of weights.

    selection: ``best`` keeps the weights with the best score on the validation networks, ``last`` the final ones;
               with an EMA both mean the averaged weights
    score:     Kendall's τ, or the mean absolute percentage error for attributes with a unit
    """

    epochs: int = Field(gt=0)
    batch: int = Field(gt=0)
    precision: Literal["float32", "bfloat16"] = "float32"
    selection: Literal["best", "last"] = "last"
    score: Literal["tau", "mape"] = "tau"
    validate_every: int = Field(default=1, gt=0)


class SelfEvolution(Section):
    """Rounds of TNASP's self-evolution after the normal training (training/self_evolution.py)."""

    rounds: int = Field(default=5, gt=0)
    epochs: int = Field(default=20, gt=0)
    alpha: float = 0.5
    learning_rate: float = Field(default=1e-4, gt=0)
    label_rate: float = 1e-2
    multiplier_rate: float = 1e-2


class Pretraining(Section):
    """Steps on the structure of unlabelled cells before the normal training (training/pretraining.py)."""

    steps: int = Field(default=1500, gt=0)
    batch: int = Field(default=128, gt=0)
    learning_rate: float = Field(default=2e-3, gt=0)


class GaussianProcessSection(Section):
    """A Gaussian process on the structure of the same cells, blended with the model."""

    steps: int = Field(default=150, gt=0)
    networks: int = Field(default=32, gt=0, le=1024)


class Recipe(Section):
    """One training run except for its seed: the data, and the predictor that is fitted to them.

    ``predictor`` names an entry of PREDICTORS and its options. A neural one is a NeuralRecipe.
    """

    system: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    data: Data
    predictor: Choice

    @staticmethod
    def read(path: Path, changes: Mapping[str, Any] | None = None) -> "Recipe":
        """The recipe in a TOML file, with ``changes`` given as dotted keys ({"data.train": 781}).

        Raises BadRecipe naming the file and the key.
        """
        return Recipe.of(read_content(path), str(path), changes)

    @staticmethod
    def of(content: dict[str, Any], origin: str, changes: Mapping[str, Any] | None = None) -> "Recipe":
        """The recipe with this content; errors name ``origin``."""
        content = _changed(content, origin, changes)
        data = content.get("data")
        if isinstance(data, dict) and isinstance(data.get("file"), str):
            data["name"] = Path(data["file"]).name
            data["sha256"] = data.get("sha256") or digest(data["file"])
        chosen = content.get("predictor", NEURAL)
        kind = NeuralRecipe if isinstance(chosen, dict) and chosen.get("name") == "neural" else Recipe
        try:
            recipe = kind.model_validate(content)
        except ValidationError as error:
            first = error.errors()[0]
            raise BadRecipe(f"{origin}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
        try:
            recipe.check()
        except NarformerError as error:
            raise BadRecipe(f"{origin}: {error}") from None
        return recipe

    def check(self) -> None:
        """Raises BadRecipe or UnknownName for options that the predictor does not have."""
        self.fitting()

    def fitting(self) -> tuple[type[FittedPredictor], BaseModel]:
        """The kind of predictor that is fitted at once, and its options. Raises UnknownName, BadRecipe."""
        kind = lookup(PREDICTORS, self.predictor.name, "predictor")
        if not issubclass(kind, FittedPredictor):
            raise BadRecipe(
                f"[predictor] '{self.predictor.name}' is trained in steps: give its sections [model] and so on"
            )
        try:
            return kind, kind.Options(**self.predictor.options)
        except ValidationError as error:
            first = error.errors()[0]
            raise BadRecipe(f"[predictor] {'.'.join(map(str, first['loc']))}: {first['msg']}") from None

    def hash(self) -> str:
        """Twelve hex digits that change with anything that changes the run; a new key at its default does not.

        A table or a store counts by its content, not its path. A renamed key counts under its first name, so
        that stored runs still match their recipe.
        """
        excluded: dict[str, Any] = {"system": True}
        if self.data.file is not None or self.data.store is not None:
            excluded["data"] = {"name", "file", "store"}
        content = self.model_dump(mode="json", exclude=excluded, exclude_defaults=True)
        content = {FIRST_NAMES.get(key, key): value for key, value in content.items()}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]


class NeuralRecipe(Recipe):
    """The recipe of a neural predictor. Its phases, in this order; each is skipped if its section is absent.

    pretraining:      on the structure of unlabelled cells
    training:         the loop, with target, loss, augmentation and optimiser
    self_evolution:   rounds on pseudo-labels of the validation networks
    gaussian_process: a second opinion on cells, blended with the model
    """

    predictor: Choice = Choice.model_validate(NEURAL)
    tokenizer: Choice
    model: Choice
    target: TargetSection = TargetSection()
    loss: Loss = Loss()
    augmentation: Augmentation = Augmentation()
    optimiser: Optimiser = Optimiser()
    training: Training
    pretraining: Pretraining | None = None
    gaussian_process: GaussianProcessSection | None = None
    self_evolution: SelfEvolution | None = None

    def check(self) -> None:
        """Raises BadRecipe or UnknownName for options that tokenizer or model do not have."""
        if self.predictor.options:
            raise BadRecipe(f"[predictor] has no option '{min(self.predictor.options)}': a neural one has sections")
        check_options("model", lookup(MODELS, self.model.name, "model").Config, self.model.options)
        check_options("tokenizer", lookup(TOKENIZERS, self.tokenizer.name, "tokenizer"), self.tokenizer.options)
        if self.loss.regression == "none" and not self.loss.pairwise:
            raise BadRecipe("[loss] nothing to minimise: give a regression loss or a pairwise weight")


def _several(label: str | tuple[str, ...] | None) -> tuple[str, ...]:
    return () if label is None else (label,) if isinstance(label, str) else label


def read_content(path: Path) -> dict[str, Any]:
    """The content of a TOML file, not validated. Raises BadRecipe."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadRecipe(f"{path}: not a readable TOML recipe ({error})") from None


def _changed(content: dict[str, Any], origin: str, changes: Mapping[str, Any] | None) -> dict[str, Any]:
    """A copy of the content with changes to dotted keys. Raises BadRecipe for a value in place of a section."""
    content = copy.deepcopy(content)
    for key, value in (changes or {}).items():
        part = content
        *sections, last = key.split(".")
        for section in sections:
            part = part.setdefault(section, {})
            if not isinstance(part, dict):
                raise BadRecipe(f"{origin}: '{key}' cannot be set: '{section}' is a value, not a section")
        part[last] = value
    return content
