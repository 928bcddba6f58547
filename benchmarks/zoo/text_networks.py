"""Networks for text: encoders, decoders with their cache, encoder-decoders, state-space models."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
import transformers as hf

from zoo.network import Call, Made, Network, tokens

SMALL = {"hidden_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 1000}
BERT = SMALL | {"intermediate_size": 512, "max_position_embeddings": 128}
LLAMA = BERT | {"num_key_value_heads": 2, "head_dim": 32}
GPT2 = {"n_embd": 128, "n_layer": 2, "n_head": 4, "vocab_size": 1000, "n_positions": 128}
MODEL = {"d_model": 128, "vocab_size": 1000}
BART = MODEL | {"encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4, "decoder_attention_heads": 4}
BART |= {"encoder_ffn_dim": 512, "decoder_ffn_dim": 512, "max_position_embeddings": 128}
MARKS = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}

# name -> (family of classes, head, options of the configuration)
ENCODERS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "bert": ("Bert", "ForMaskedLM", BERT),
    "roberta": ("Roberta", "ForSequenceClassification", BERT),
    "albert": ("Albert", "ForMaskedLM", BERT | {"embedding_size": 64}),
    "distilbert": ("DistilBert", "ForMaskedLM", {"dim": 128, "n_layers": 2, "n_heads": 4, "hidden_dim": 512}),
    "deberta": ("Deberta", "ForMaskedLM", BERT | {"relative_attention": True, "pos_att_type": "c2p|p2c"}),
    "deberta_v2": ("DebertaV2", "ForMaskedLM", BERT | {"relative_attention": True, "pos_att_type": "c2p|p2c"}),
    "electra": ("Electra", "ForPreTraining", BERT | {"embedding_size": 64}),
    "mpnet": ("MPNet", "ForMaskedLM", BERT),
    "xlnet": ("XLNet", "LMHeadModel", {"d_model": 128, "n_layer": 2, "n_head": 4, "d_inner": 512, "vocab_size": 1000}),
    "modernbert": ("ModernBert", "ForMaskedLM", BERT | {"local_attention": 16} | MARKS),
    "convbert": ("ConvBert", "ForMaskedLM", BERT | {"embedding_size": 128}),
    "fnet": ("FNet", "ForMaskedLM", {k: v for k, v in BERT.items() if k != "num_attention_heads"}),
    "funnel": (
        "Funnel",
        "ForMaskedLM",
        {"block_sizes": [1, 1], "d_model": 128, "n_head": 4, "d_head": 32, "d_inner": 512},
    ),
    "squeezebert": ("SqueezeBert", "ForMaskedLM", BERT | {"embedding_size": 128}),
    "mobilebert": ("MobileBert", "ForMaskedLM", {"num_hidden_layers": 2, "vocab_size": 1000}),
}
DECODERS: dict[str, tuple[str, dict[str, Any]]] = {
    "gpt2": ("GPT2LMHeadModel", GPT2),
    "gpt_neo": (
        "GPTNeoForCausalLM",
        {
            "hidden_size": 128,
            "num_layers": 2,
            "num_heads": 4,
            "attention_types": [[["global", "local"], 1]],
            "vocab_size": 1000,
        },
    ),
    "gpt_neox": ("GPTNeoXForCausalLM", BERT),
    "gptj": ("GPTJForCausalLM", GPT2 | {"rotary_dim": 16}),
    "llama": ("LlamaForCausalLM", LLAMA),
    "mistral": ("MistralForCausalLM", LLAMA | {"sliding_window": 16}),
    "mixtral": ("MixtralForCausalLM", LLAMA | {"num_local_experts": 4}),
    "qwen2": ("Qwen2ForCausalLM", LLAMA),
    "qwen3": ("Qwen3ForCausalLM", LLAMA),
    "gemma": ("GemmaForCausalLM", LLAMA),
    "gemma2": ("Gemma2ForCausalLM", LLAMA | {"sliding_window": 16}),
    "phi": ("PhiForCausalLM", BERT),
    "phi3": ("Phi3ForCausalLM", LLAMA | MARKS),
    "opt": ("OPTForCausalLM", SMALL | {"ffn_dim": 512, "word_embed_proj_dim": 128, "max_position_embeddings": 128}),
    "bloom": ("BloomForCausalLM", {"hidden_size": 128, "n_layer": 2, "n_head": 4, "vocab_size": 1000}),
    "falcon": ("FalconForCausalLM", SMALL | {"alibi": False}),
    "mpt": ("MptForCausalLM", {"d_model": 128, "n_layers": 2, "n_heads": 4, "vocab_size": 1000}),
    "stablelm": ("StableLmForCausalLM", LLAMA),
    "olmo2": ("Olmo2ForCausalLM", LLAMA),
    "cohere": ("CohereForCausalLM", LLAMA),
}
STEPS = ("gpt2", "gpt_neox", "llama", "mistral", "qwen2", "gemma", "phi", "opt", "falcon", "bloom")
BOTH: dict[str, tuple[str, dict[str, Any]]] = {
    "t5": (
        "T5ForConditionalGeneration",
        MODEL | {"d_kv": 32, "d_ff": 512, "num_layers": 2, "num_heads": 4, "decoder_start_token_id": 0},
    ),
    "mt5": (
        "MT5ForConditionalGeneration",
        MODEL | {"d_kv": 32, "d_ff": 512, "num_layers": 2, "num_heads": 4, "decoder_start_token_id": 0},
    ),
    "bart": ("BartForConditionalGeneration", BART),
    "marian": ("MarianMTModel", BART | MARKS | {"decoder_start_token_id": 0}),
    "pegasus": ("PegasusForConditionalGeneration", BART),
    "m2m_100": ("M2M100ForConditionalGeneration", BART),
    "prophetnet": (
        "ProphetNetForConditionalGeneration",
        {"vocab_size": 1000, "hidden_size": 128, "num_encoder_layers": 2, "num_decoder_layers": 2}
        | {
            "num_encoder_attention_heads": 4,
            "num_decoder_attention_heads": 4,
            "encoder_ffn_dim": 512,
            "decoder_ffn_dim": 512,
        },
    ),
}
STATES: dict[str, tuple[str, dict[str, Any]]] = {
    "mamba": ("MambaForCausalLM", {"hidden_size": 64, "num_hidden_layers": 2, "vocab_size": 1000}),
    "mamba2": (
        "Mamba2ForCausalLM",
        {"hidden_size": 64, "num_hidden_layers": 2, "vocab_size": 1000, "num_heads": 8, "head_dim": 16, "n_groups": 1}
        | {"chunk_size": 16, "state_size": 16},
    ),
    "rwkv": ("RwkvForCausalLM", {"hidden_size": 64, "num_hidden_layers": 2, "vocab_size": 1000, "context_length": 64}),
    "falcon_mamba": ("FalconMambaForCausalLM", {"hidden_size": 64, "num_hidden_layers": 2, "vocab_size": 1000}),
}


def networks() -> Iterator[Network]:
    for name, (family, head, options) in ENCODERS.items():
        yield Network(f"transformers/{name}", "text encoders", partial(_encoder, family, head, options))
    for name, (kind, options) in DECODERS.items():
        yield Network(f"transformers/{name}:prefill", "text decoders", partial(_prefill, kind, options))
        if name in STEPS:
            yield Network(f"transformers/{name}:step", "text decoders", partial(_step, kind, options))
    for name, (kind, options) in BOTH.items():
        yield Network(f"transformers/{name}", "encoder-decoders", partial(_both, kind, options))
    for name, (kind, options) in STATES.items():
        yield Network(f"transformers/{name}", "state-space models", partial(_prefill, kind, options, length=16))


def model(kind: str, options: dict[str, Any]) -> Any:
    """The model of this class; the configuration is that of the class, with these options."""
    made: Any = getattr(hf, kind)
    return made(made.config_class(**options)).eval()


def _encoder(family: str, head: str, options: dict[str, Any]) -> Made:
    return Call(model(f"{family}{head}", options), ["input_ids", "attention_mask"], ["logits"]), (
        tokens(1, 64),
        torch.ones(1, 64, dtype=torch.int64),
    )


def _prefill(kind: str, options: dict[str, Any], length: int = 32) -> Made:
    call = Call(model(kind, options), ["input_ids", "attention_mask"], ["logits"], use_cache=False)
    return call, (tokens(1, length), torch.ones(1, length, dtype=torch.int64))


class Step(torch.nn.Module):
    """One token after cached ones: reads keys and values of every layer, returns logits and the longer cache."""

    def __init__(self, module: Any) -> None:
        super().__init__()
        self.module = module

    def forward(self, token: torch.Tensor, *cached: torch.Tensor) -> tuple[torch.Tensor, ...]:
        pairs = list(zip(cached[::2], cached[1::2], strict=True))
        cache = hf.DynamicCache(pairs)
        found = self.module(input_ids=token, past_key_values=cache, use_cache=True)
        layers = found.past_key_values.layers
        return (found.logits, *(tensor for layer in layers for tensor in (layer.keys, layer.values)))


def _step(kind: str, options: dict[str, Any], past: int = 31) -> Made:
    module = model(kind, options)
    with torch.no_grad():
        cache = module(tokens(1, past), use_cache=True).past_key_values
    cached = [torch.rand(tensor.shape) for layer in cache.layers for tensor in (layer.keys, layer.values)]
    return Step(module), (tokens(1, 1), *cached)


def _both(kind: str, options: dict[str, Any]) -> Made:
    module = model(kind, options)
    names = ["input_ids", "decoder_input_ids"]
    return Call(module, names, ["logits"], use_cache=False), (tokens(1, 32), tokens(1, 16))
