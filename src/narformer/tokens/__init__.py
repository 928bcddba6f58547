"""Networks as numbers: Tokens of one, a Batch of many, and one tokenizer per published system."""

from narformer.tokens.batch import Batch, Tokens, collate
from narformer.tokens.narformer import NarFormerTokenizer
from narformer.tokens.narformer_v2 import NarFormerV2Tokenizer
from narformer.tokens.relational import RelationalTokenizer
from narformer.tokens.tnasp import TnaspTokenizer
from narformer.tokens.tokenizer import Tokenizer

TOKENIZERS: dict[str, type[Tokenizer]] = {
    "narformer": NarFormerTokenizer,
    "narformer-v2": NarFormerV2Tokenizer,
    "relational": RelationalTokenizer,
    "tnasp": TnaspTokenizer,
}

__all__ = [
    "TOKENIZERS",
    "Batch",
    "NarFormerTokenizer",
    "NarFormerV2Tokenizer",
    "RelationalTokenizer",
    "TnaspTokenizer",
    "Tokenizer",
    "Tokens",
    "collate",
]
