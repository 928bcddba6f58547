"""From names and options to a tokenizer and a model whose widths agree."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

import torch

from narformer.errors import BadRecipe, lookup
from narformer.models import MODELS, Model
from narformer.tokens import TOKENIZERS, Tokenizer


def make_tokenizer(name: str, options: Mapping[str, Any], vocabulary: tuple[str, ...]) -> Tokenizer:
    """The tokenizer called ``name`` over a space's operations. Raises UnknownName or BadRecipe."""
    tokenizer = lookup(TOKENIZERS, name, "tokenizer")
    check_options("tokenizer", tokenizer, options)
    return tokenizer(vocabulary=vocabulary, **options)


def make_model(name: str, options: Mapping[str, Any], tokenizer: Tokenizer, seed: int = 0) -> Model:
    """The model called ``name``, as wide as the tokenizer's tokens, with the seed's initial weights.

    Raises UnknownName or BadRecipe.
    """
    model = lookup(MODELS, name, "model")
    config = model.Config
    check_options("model", config, options)
    widths = {"features": tokenizer.features, "whole": tokenizer.whole, "kinds": len(tokenizer.vocabulary)}
    known = {field.name for field in fields(config)}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return model(config(**{k: v for k, v in widths.items() if k in known}, **options))


def check_options(kind: str, accepts: Any, options: Mapping[str, Any]) -> None:
    """Raise BadRecipe for an option that the tokenizer's or model's fields do not have."""
    known = {field.name for field in fields(accepts)}
    for option in options:
        if option not in known:
            raise BadRecipe(f"[{kind}] has no option '{option}'; it has {', '.join(sorted(known))}")


def model_options(model: Model) -> dict[str, Any]:
    """Every field of the model's Config, for the manifest."""
    return asdict(model.config)
