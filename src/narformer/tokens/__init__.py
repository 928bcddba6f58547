"""Networks as numbers: Tokens of one cell, a Batch of cells, a Packed batch of whole networks; tokenizers."""

from narformer.tokens.batch import Batch, Tokens, collate
from narformer.tokens.kernels import KernelTokenizer
from narformer.tokens.narformer import NarFormerTokenizer
from narformer.tokens.narformer_v2 import NarFormerV2Tokenizer
from narformer.tokens.nnlqp import NarFormerNetworkTokenizer, NarFormerV2NetworkTokenizer, NnlpTokenizer
from narformer.tokens.packed import Packed, packed
from narformer.tokens.relational import RelationalTokenizer
from narformer.tokens.tnasp import TnaspTokenizer
from narformer.tokens.tokenizer import CellTokenizer, NetworkTokenizer, Tokenizer

TOKENIZERS: dict[str, type[Tokenizer]] = {
    "kernels": KernelTokenizer,
    "narformer": NarFormerTokenizer,
    "narformer-network": NarFormerNetworkTokenizer,
    "narformer-v2": NarFormerV2Tokenizer,
    "narformer-v2-network": NarFormerV2NetworkTokenizer,
    "nnlp": NnlpTokenizer,
    "relational": RelationalTokenizer,
    "tnasp": TnaspTokenizer,
}

__all__ = [
    "TOKENIZERS",
    "Batch",
    "CellTokenizer",
    "KernelTokenizer",
    "NarFormerNetworkTokenizer",
    "NarFormerTokenizer",
    "NarFormerV2NetworkTokenizer",
    "NarFormerV2Tokenizer",
    "NetworkTokenizer",
    "NnlpTokenizer",
    "Packed",
    "RelationalTokenizer",
    "TnaspTokenizer",
    "Tokenizer",
    "Tokens",
    "collate",
    "packed",
]
