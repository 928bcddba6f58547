"""Networks for speech, for several modes at once; and small ones written here: recommenders and recurrent networks."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
import transformers as hf
from torch import nn

from zoo.network import Call, Made, Network, image, tokens
from zoo.text_networks import BART, BERT, SMALL, model

WAVES = {
    **SMALL,
    "intermediate_size": 512,
    "conv_dim": [64] * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
}
EYE = {"hidden_size": 128, "intermediate_size": 512, "num_hidden_layers": 2, "num_attention_heads": 4, "image_size": 64}
EYE |= {"patch_size": 16}
EAR = BERT | {"max_position_embeddings": 77, "eos_token_id": 2, "bos_token_id": 1, "pad_token_id": 0}


def networks() -> Iterator[Network]:
    for group, made in (
        ("speech", SPEECH),
        ("several modes", MODES),
        ("recommenders", RECOMMENDERS),
        ("recurrent", RECURRENT),
    ):
        library = "transformers" if group in ("speech", "several modes") else "written"
        for name, make in made.items():
            yield Network(f"{library}/{name}", group, make)


def _whisper() -> Made:
    options = {k: v for k, v in BART.items() if k != "max_position_embeddings"}
    options |= {"num_mel_bins": 80, "max_source_positions": 100, "max_target_positions": 64}
    options |= {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1}
    module = model("WhisperForConditionalGeneration", options)
    call = Call(module, ["input_features", "decoder_input_ids"], ["logits"], use_cache=False)
    return call, (torch.rand(1, 80, 200), tokens(1, 8))


def _speech(kind: str, **options: Any) -> Made:
    return Call(model(kind, WAVES | options), ["input_values"], ["logits"]), (torch.rand(1, 8000),)


def _spectrogram() -> Made:
    options = {k: v for k, v in EYE.items() if k not in ("image_size", "patch_size")} | {"max_length": 128}
    return Call(model("ASTForAudioClassification", options), ["input_values"], ["logits"]), (torch.rand(1, 128, 128),)


SPEECH: dict[str, Callable[[], Made]] = {
    "whisper": _whisper,
    "wav2vec2": partial(_speech, "Wav2Vec2ForCTC"),
    "hubert": partial(_speech, "HubertForCTC"),
    "sew": partial(_speech, "SEWForCTC", conv_dim=[64] * 13, squeeze_factor=2),
    "data2vec_audio": partial(_speech, "Data2VecAudioForCTC"),
    "wavlm": partial(_speech, "WavLMForCTC"),
    "audio_spectrogram_transformer": _spectrogram,
}


def _pair(kind: str, config: str, text: dict[str, Any], results: tuple[str, ...]) -> Made:
    options = getattr(hf, config)(text_config=text, vision_config=EYE, projection_dim=64)
    call = Call(getattr(hf, kind)(options).eval(), ["input_ids", "pixel_values"], results)
    return call, (tokens(1, 16), image(64))


def _vilt() -> Made:
    module = model("ViltForQuestionAnswering", {**EYE, "vocab_size": 1000})
    return Call(module, ["input_ids", "pixel_values"], ["logits"]), (tokens(1, 16), image(64))


MODES: dict[str, Callable[[], Made]] = {
    "clip": partial(_pair, "CLIPModel", "CLIPConfig", EAR, ("logits_per_image",)),
    "siglip": partial(_pair, "SiglipModel", "SiglipConfig", EAR, ("logits_per_image",)),
    "blip": partial(
        _pair, "BlipForImageTextRetrieval", "BlipConfig", EAR | {"encoder_hidden_size": 128}, ("itm_score",)
    ),
    "vilt": _vilt,
}


class DLRM(nn.Module):
    """Dense features through one perceptron, categories through tables, their products through another perceptron."""

    def __init__(self, categories: int = 8, rows: int = 1000, width: int = 16) -> None:
        super().__init__()
        self.tables = nn.ModuleList(nn.EmbeddingBag(rows, width, mode="sum") for _ in range(categories))
        self.bottom = nn.Sequential(nn.Linear(13, 64), nn.ReLU(), nn.Linear(64, width), nn.ReLU())
        pairs = (categories + 1) * categories // 2
        self.top = nn.Sequential(nn.Linear(width + pairs, 64), nn.ReLU(), nn.Linear(64, 1), nn.Sigmoid())
        self.register_buffer("pairs", torch.tril_indices(categories + 1, categories + 1, -1), persistent=False)

    def forward(self, dense: torch.Tensor, sparse: torch.Tensor) -> torch.Tensor:
        bottom = self.bottom(dense)
        rows = [bottom, *(table(sparse[:, k : k + 1]) for k, table in enumerate(self.tables))]
        features = torch.stack(rows, 1)
        products = features @ features.transpose(1, 2)
        return self.top(torch.cat([bottom, products[:, self.pairs[0], self.pairs[1]]], 1))


class DeepFM(nn.Module):
    """A factorisation machine and a perceptron over the same table."""

    def __init__(self, fields: int = 10, rows: int = 1000, width: int = 8) -> None:
        super().__init__()
        self.linear, self.table = nn.Embedding(rows, 1), nn.Embedding(rows, width)
        self.deep = nn.Sequential(
            nn.Linear(fields * width, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Dropout(0.2), nn.Linear(64, 1)
        )

    def forward(self, fields: torch.Tensor) -> torch.Tensor:
        rows = self.table(fields)
        crossed = 0.5 * (rows.sum(1).square() - rows.square().sum(1)).sum(1, keepdim=True)
        return torch.sigmoid(self.linear(fields).sum(1) + crossed + self.deep(rows.flatten(1)))


class WideAndDeep(nn.Module):
    """A linear model of crossed features beside a perceptron over tables."""

    def __init__(self, wide: int = 500, fields: int = 10, width: int = 8) -> None:
        super().__init__()
        self.wide = nn.Linear(wide, 1)
        self.tables = nn.ModuleList(nn.Embedding(100 + k, width) for k in range(fields))
        self.deep = nn.Sequential(nn.Linear(fields * width + 13, 64), nn.ReLU(), nn.Linear(64, 1))

    def forward(self, wide: torch.Tensor, fields: torch.Tensor, dense: torch.Tensor) -> torch.Tensor:
        rows = [table(fields[:, k]) for k, table in enumerate(self.tables)]
        return torch.sigmoid(self.wide(wide) + self.deep(torch.cat([*rows, dense], 1)))


class TwoTowers(nn.Module):
    """Users and items in one space; the score is the cosine of their vectors."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.users, self.items = nn.Embedding(1000, width), nn.Embedding(2000, width)
        self.user, self.item = nn.Linear(width, 16), nn.Linear(width, 16)

    def forward(self, users: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
        left = nn.functional.normalize(self.user(self.users(users)), dim=-1)
        right = nn.functional.normalize(self.item(self.items(items)), dim=-1)
        return torch.einsum("bd,nd->bn", left, right)


RECOMMENDERS: dict[str, Callable[[], Made]] = {
    "dlrm": lambda: (DLRM(), (torch.rand(4, 13), tokens(4, 8))),
    "deep_fm": lambda: (DeepFM(), (tokens(4, 10),)),
    "wide_and_deep": lambda: (WideAndDeep(), (torch.rand(4, 500), tokens(4, 10), torch.rand(4, 13))),
    "two_towers": lambda: (TwoTowers(), (tokens(4), tokens(10))),
}


class Language(nn.Module):
    """A recurrent language model; ``tied``: the output layer's weight is the table of the input."""

    def __init__(self, recurrent: Any, width: int, tied: bool = False) -> None:
        super().__init__()
        self.table, self.recurrent, self.head = nn.Embedding(1000, 64), recurrent, nn.Linear(width, 1000)
        if tied:
            self.head.weight = self.table.weight

    def forward(self, words: torch.Tensor) -> torch.Tensor:
        return self.head(self.recurrent(self.table(words))[0])


class Cells(nn.Module):
    """LSTMCell or GRUCell applied along a sequence."""

    def __init__(self, cell: Any) -> None:
        super().__init__()
        self.cell, self.head = cell, nn.Linear(64, 10)

    def forward(self, sequence: torch.Tensor) -> torch.Tensor:
        state = None
        for step in range(sequence.shape[1]):
            state = self.cell(sequence[:, step], state)
        return self.head(state[0] if isinstance(state, tuple) else state)


class Seq2Seq(nn.Module):
    """An encoder whose last state starts the decoder, with attention by products."""

    def __init__(self) -> None:
        super().__init__()
        self.source, self.target = nn.Embedding(1000, 64), nn.Embedding(1000, 64)
        self.encoder, self.decoder = nn.GRU(64, 64, batch_first=True), nn.GRU(64, 64, batch_first=True)
        self.head = nn.Linear(128, 1000)

    def forward(self, source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        seen, state = self.encoder(self.source(source))
        found, _ = self.decoder(self.target(target), state)
        weights = (found @ seen.transpose(1, 2)).softmax(-1)
        return self.head(torch.cat([found, weights @ seen], -1))


def _language(kind: str, width: int, tied: bool = False, **options: Any) -> Made:
    options = {"batch_first": True, "num_layers": 2} | options
    return Language(getattr(nn, kind)(64, options.pop("hidden", 64), **options), width, tied), (tokens(1, 20),)


def _transformer() -> Made:
    layer = nn.TransformerEncoderLayer(64, 4, 256, batch_first=True)
    return nn.TransformerEncoder(layer, 2, enable_nested_tensor=False), (torch.rand(1, 20, 64),)


RECURRENT: dict[str, Callable[[], Made]] = {
    "lstm": partial(_language, "LSTM", 64),
    "lstm_tied": partial(_language, "LSTM", 64, True),
    "lstm_bidirectional": partial(_language, "LSTM", 128, bidirectional=True),
    "lstm_projected": partial(_language, "LSTM", 32, hidden=128, proj_size=32),
    "lstm_time_first": partial(_language, "LSTM", 64, batch_first=False, bias=False),
    "gru": partial(_language, "GRU", 64),
    "gru_bidirectional": partial(_language, "GRU", 128, bidirectional=True),
    "rnn": partial(_language, "RNN", 64),
    "lstm_cell": lambda: (Cells(nn.LSTMCell(32, 64)), (torch.rand(1, 10, 32),)),
    "gru_cell": lambda: (Cells(nn.GRUCell(32, 64)), (torch.rand(1, 10, 32),)),
    "seq2seq_attention": lambda: (Seq2Seq(), (tokens(1, 12), tokens(1, 8))),
    "transformer_encoder": _transformer,
}
