"""Small networks of the further families are those that PyTorch modules of the same layers are read as."""

from itertools import pairwise

import pytest
import torch
from torch import nn
from torch.nn import functional

from narformer.formats.torch_module import trace_module
from narformer.network import cost, fingerprint
from narformer.spaces.families import (
    bert,
    convnext,
    dlrm,
    ghostnet,
    gpt,
    llama,
    lstm,
    mixer,
    mobilevit,
    repvgg,
    shufflenetv2,
    swin,
    t5,
    unet,
    vit,
    whisper,
)
from narformer.spaces.families.variation import VariedDrawing


class Chosen(VariedDrawing):
    """A drawing that takes these choices one after the other."""

    def __init__(self, *choices):
        super().__init__()
        self.choices = list(choices)

    def choose(self, canonical, options):
        return self.choices.pop(0)


def of_family(module, version, *choices):
    net = Chosen(*choices)
    module.draw(net, version)
    assert net.choices == []
    return net.finished(version)


def same(network, module, *inputs):
    read = trace_module(module, list(inputs)).architecture
    assert fingerprint(network) == fingerprint(read)
    folded = [name for name, _ in module.named_modules() if isinstance(module.get_submodule(name), nn.BatchNorm2d)]
    assert folded or cost(network).params == cost(read).params == sum(p.numel() for p in module.parameters())


def tokens(*shape):
    return torch.zeros(shape, dtype=torch.int64)


def apart(x, heads):
    return x.view(*x.shape[:2], heads, -1).transpose(1, 2)


def together(x):
    return x.transpose(1, 2).reshape(x.shape[0], x.shape[2], -1)


class Residual(nn.Module):
    """x and a function of its normalised values."""

    def __init__(self, norm, inner):
        super().__init__()
        self.norm, self.inner = norm, inner

    def forward(self, x):
        return x + self.inner(self.norm(x))


class Attention(nn.Module):
    """Self-attention from one dense layer, as in timm."""

    def __init__(self, width, heads):
        super().__init__()
        self.qkv, self.out, self.heads = nn.Linear(width, 3 * width), nn.Linear(width, width), heads

    def forward(self, x):
        n, length, width = x.shape
        qkv = self.qkv(x).reshape(n, length, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        return self.out(together(functional.scaled_dot_product_attention(*qkv.unbind(0))))


def dense(width, hidden, activation):
    return nn.Sequential(nn.Linear(width, hidden), activation, nn.Linear(hidden, width))


class Patches(nn.Module):
    def __init__(self, width, patch):
        super().__init__()
        self.conv = nn.Conv2d(3, width, patch, patch)

    def forward(self, x):
        return self.conv(x).flatten(2).transpose(1, 2)


class ViT(nn.Module):
    def __init__(self, depth, heads, width, hidden):
        super().__init__()
        self.patches = Patches(width, 16)
        self.token, self.places = (nn.Parameter(torch.zeros(1, n, width)) for n in (1, 50))
        blocks = (
            nn.Sequential(
                Residual(nn.LayerNorm(width), Attention(width, heads)),
                Residual(nn.LayerNorm(width), dense(width, hidden, nn.GELU())),
            )
            for _ in range(depth)
        )
        self.blocks, self.norm, self.out = nn.Sequential(*blocks), nn.LayerNorm(width), nn.Linear(width, 1000)

    def forward(self, x):
        x = torch.cat([self.token, self.patches(x)], 1) + self.places
        return self.out(self.norm(self.blocks(x))[:, 0])


def test_vit():
    same(of_family(vit, "tiny", 2, 2, 32, 16, 7, 2), ViT(2, 2, 64, 128), torch.zeros(1, 3, 112, 112))


class Across(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(x.transpose(1, 2)).transpose(1, 2)


class Mean(nn.Module):
    def forward(self, x):
        return x.mean(1)


def test_mixer():
    block = nn.Sequential(
        Residual(nn.LayerNorm(64), Across(dense(49, 32, nn.GELU()))),
        Residual(nn.LayerNorm(64), dense(64, 128, nn.GELU())),
    )
    whole = nn.Sequential(Patches(64, 16), block, nn.LayerNorm(64), Mean(), nn.Linear(64, 1000))
    same(of_family(mixer, "", 64, 16, 7, 2, 1), whole, torch.zeros(1, 3, 112, 112))


class Separate(nn.Module):
    """Attention whose queries, keys and values are from a layer each."""

    def __init__(self, width, heads, bias=(True, True, True, True), scaled=False, causal=False):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(width, width, bias=b) for b in bias])
        self.heads, self.scaled, self.causal = heads, scaled, causal

    def forward(self, x, read=None, mask=None):
        query, key, value, out = self.layers
        read = x if read is None else read
        queries = query(x) * 0.25 if self.scaled else query(x)
        parts = (apart(part, self.heads) for part in (queries, key(read), value(read)))
        return out(together(functional.scaled_dot_product_attention(*parts, attn_mask=mask, is_causal=self.causal)))


class Bert(nn.Module):
    def __init__(self, width, heads, hidden, length):
        super().__init__()
        self.words, self.kinds, self.places = (nn.Embedding(rows, width) for rows in (30522, 2, 512))
        self.attention, self.dense = Separate(width, heads), dense(width, hidden, nn.GELU())
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.pooler = nn.Linear(width, width)
        self.register_buffer("mask", torch.ones(1, 1, length, length, dtype=torch.bool))

    def forward(self, x):
        places = torch.arange(x.shape[1])[None]
        x = self.norms[0](self.words(x) + self.kinds(torch.zeros_like(places)) + self.places(places))
        x = self.norms[1](x + self.attention(x, mask=self.mask))
        x = self.norms[2](x + self.dense(x))
        return x, self.pooler(x[:, 0]).tanh()


def test_bert():
    same(of_family(bert, "tiny", 1, 2, 32, 16, 2), Bert(64, 2, 128, 16), tokens(1, 16))


class Gpt(nn.Module):
    """A prompt, or one token after cached ones."""

    def __init__(self, width, heads):
        super().__init__()
        self.words, self.places = nn.Embedding(50257, width), nn.Embedding(1024, width)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.qkv, self.out, self.heads = nn.Linear(width, 3 * width), nn.Linear(width, width), heads
        self.dense, self.head = dense(width, 4 * width, nn.GELU("tanh")), nn.Linear(width, 50257, bias=False)
        self.head.weight = self.words.weight

    def forward(self, x, *cached):
        past = cached[0].shape[2] if cached else 0
        x = self.words(x) + self.places(torch.arange(past, past + x.shape[1])[None])
        query, key, value = (apart(part, self.heads) for part in self.qkv(self.norms[0](x)).chunk(3, 2))
        if cached:
            key, value = torch.cat([cached[0], key], 2), torch.cat([cached[1], value], 2)
        mask = torch.ones(query.shape[2], key.shape[2], dtype=torch.bool).tril(past)[None, None]
        x = x + self.out(together(functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)))
        x = x + self.dense(self.norms[1](x))
        logits = self.head(self.norms[2](x))
        return (logits, key, value) if cached else logits


def test_gpt():
    same(of_family(gpt, "prefill", 1, 2, 32, 16), Gpt(64, 2), tokens(1, 16))
    cached = [torch.zeros(1, 2, 15, 32) for _ in range(2)]
    same(of_family(gpt, "step", 1, 2, 32, 16), Gpt(64, 2), tokens(1, 1), *cached)


class Rms(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x):
        return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6))


class Llama(nn.Module):
    def __init__(self, keys, times, size, hidden):
        super().__init__()
        width, self.size = keys * times * size, size
        self.words, self.head = nn.Embedding(49152, width), nn.Linear(width, 49152, bias=False)
        self.head.weight, self.times = self.words.weight, times
        self.norms = nn.ModuleList(Rms(width) for _ in range(3))
        self.qkv = nn.ModuleList(nn.Linear(width, own * size, bias=False) for own in (keys * times, keys, keys))
        self.out = nn.Linear(width, width, bias=False)
        self.gate, self.up = (nn.Linear(width, hidden, bias=False) for _ in range(2))
        self.down = nn.Linear(hidden, width, bias=False)

    def rotated(self, x, angles):
        first, second = x.chunk(2, -1)
        return x * angles.cos() + torch.cat([-second, first], -1) * angles.sin()

    def forward(self, x, *cached):
        past = cached[0].shape[2] if cached else 0
        rates = torch.arange(past, past + x.shape[1])[:, None] / 10_000 ** (torch.arange(self.size // 2) / self.size)
        angles, x = torch.cat([rates, rates], -1)[None, None], self.words(x)
        normed = self.norms[0](x)
        query, key, value = (apart(layer(normed), layer.out_features // self.size) for layer in self.qkv)
        query, key = self.rotated(query, angles), self.rotated(key, angles)
        if cached:
            key, value = torch.cat([cached[0], key], 2), torch.cat([cached[1], value], 2)
        n, heads, length, size = key.shape
        wide = (y[:, :, None].expand(n, heads, self.times, length, size).reshape(n, -1, length, size)
                for y in (key, value))  # fmt: skip
        mask = torch.ones(query.shape[2], length, dtype=torch.bool).tril(past)[None, None]
        x = x + self.out(together(functional.scaled_dot_product_attention(query, *wide, attn_mask=mask)))
        normed = self.norms[1](x)
        x = x + self.down(functional.silu(self.gate(normed)) * self.up(normed))
        logits = self.head(self.norms[2](x))
        return (logits, key, value) if cached else logits


def test_llama():
    same(of_family(llama, "prefill", 1, 2, 2, 32, 16, 12), Llama(2, 2, 32, 256), tokens(1, 16))
    cached = [torch.zeros(1, 2, 15, 32) for _ in range(2)]
    same(of_family(llama, "step", 1, 2, 2, 32, 16, 12), Llama(2, 2, 32, 256), tokens(1, 1), *cached)


class T5(nn.Module):
    def __init__(self, heads, width, hidden, read, written):
        super().__init__()
        self.words, self.head = nn.Embedding(32128, width), nn.Linear(width, 32128, bias=False)
        self.head.weight, self.width = self.words.weight, width
        self.norms = nn.ModuleList(Rms(width) for _ in range(7))
        self.attentions = nn.ModuleList(Separate(width, heads, (False,) * 4) for _ in range(3))
        self.dense = nn.ModuleList(
            nn.Sequential(nn.Linear(width, hidden, False), nn.ReLU(), nn.Linear(hidden, width, False)) for _ in range(2)
        )
        self.tables = nn.ModuleList(nn.Embedding(32, heads) for _ in range(2))

    def offsets(self, table, length):
        places = torch.arange(length)
        return table((places[None] - places[:, None]).clamp(0, 31)).permute(2, 0, 1)[None]

    def forward(self, read, written):
        x, y = self.words(read), self.words(written)
        x = x + self.attentions[0](self.norms[0](x), mask=self.offsets(self.tables[0], x.shape[1]))
        x = self.norms[2](x + self.dense[0](self.norms[1](x)))
        y = y + self.attentions[1](self.norms[3](y), mask=self.offsets(self.tables[1], y.shape[1]))
        everything = torch.zeros(1, 2, y.shape[1], x.shape[1])
        y = y + self.attentions[2](self.norms[4](y), x, everything)
        y = y + self.dense[1](self.norms[5](y))
        return self.head(self.norms[6](y) * self.width**-0.5)


def test_t5():
    same(of_family(t5, "", 1, 2, 32, 2, 16, 8), T5(2, 64, 128, 16, 8), tokens(1, 16), tokens(1, 8))


class Whisper(nn.Module):
    def __init__(self, width, steps):
        super().__init__()
        self.convs = nn.ModuleList([nn.Conv1d(80, width, 3, padding=1), nn.Conv1d(width, width, 3, 2, padding=1)])
        self.places, self.norm = nn.Embedding(steps // 2, width), nn.LayerNorm(width)
        attention = Separate(width, 2, (True, False, True, True), scaled=True)
        self.blocks = nn.Sequential(
            Residual(nn.LayerNorm(width), attention), Residual(nn.LayerNorm(width), dense(width, 128, nn.GELU()))
        )

    def forward(self, x):
        for conv in self.convs:
            x = functional.gelu(conv(x))
        return self.norm(self.blocks(x.permute(0, 2, 1) + self.places.weight))


def test_whisper():
    same(of_family(whisper, "", 1, 2, 32, 200, 2), Whisper(64, 200), torch.zeros(1, 80, 200))


class Windows(nn.Module):
    """Swin's attention in windows, shifted if ``shift``."""

    def __init__(self, width, heads, window, shift, rows):
        super().__init__()
        self.norm, self.inner, self.window, self.shift = nn.LayerNorm(width), Attention(width, heads), window, shift
        self.table = nn.Parameter(torch.zeros((2 * window - 1) ** 2, heads))
        self.register_buffer("index", torch.zeros(window**2, window**2, dtype=torch.int64))
        self.register_buffer("mask", torch.zeros((rows // window) ** 2, window**2, window**2))

    def attended(self, x):
        n, length, width = x.shape
        heads = self.inner.heads
        qkv = self.inner.qkv(x).reshape(n, length, 3, heads, width // heads).permute(2, 0, 3, 1, 4)
        query, key, value = qkv.unbind(0)
        bias = self.table[self.index.view(-1)].view(length, length, -1).permute(2, 0, 1)[None]
        if not self.shift:
            return self.inner.out(together(functional.scaled_dot_product_attention(query, key, value, attn_mask=bias)))
        scores = query * 32**-0.5 @ key.transpose(-2, -1) + bias
        scores = scores.view(1, n, heads, length, length) + self.mask[:, None][None]
        return self.inner.out(together(scores.view(n, heads, length, length).softmax(-1) @ value))

    def forward(self, x):
        y, w = self.norm(x), self.window
        n, rows, _, width = x.shape
        if self.shift:
            y = torch.roll(y, (-self.shift, -self.shift), (1, 2))
        y = y.view(n, rows // w, w, rows // w, w, width).permute(0, 1, 3, 2, 4, 5).reshape(-1, w * w, width)
        y = self.attended(y).view(n, rows // w, rows // w, w, w, width).permute(0, 1, 3, 2, 4, 5)
        y = y.reshape(n, rows, rows, width)
        return x + (torch.roll(y, (self.shift, self.shift), (1, 2)) if self.shift else y)


class Swin(nn.Module):
    """Four stages of two blocks."""

    def __init__(self, window):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 32, 4, 4), nn.LayerNorm(32)
        self.merges, self.windows, self.dense = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        for stage in range(4):
            width, rows = 32 * 2**stage, 8 * window // 2**stage
            if stage:
                self.merges.append(nn.Sequential(nn.LayerNorm(2 * width), nn.Linear(2 * width, width, bias=False)))
            for shift in (0, window // 2 if rows > window else 0):
                self.windows.append(Windows(width, 2**stage, window, shift, rows))
                self.dense.append(Residual(nn.LayerNorm(width), dense(width, 2 * width, nn.GELU())))
        self.last, self.out = nn.LayerNorm(256), nn.Linear(256, 1000)

    def forward(self, x):
        x = self.norm(self.conv(x).permute(0, 2, 3, 1))
        for block, (windows, inner) in enumerate(zip(self.windows, self.dense, strict=True)):
            n, rows, _, width = x.shape
            if block and block % 2 == 0:
                x = x.reshape(n, rows // 2, 2, rows // 2, 2, width).permute(0, 1, 3, 4, 2, 5).flatten(3)
                x = self.merges[block // 2 - 1](x)
                n, rows, _, width = x.shape
            x = inner(windows(x).reshape(n, -1, width)).reshape(n, rows, rows, width)
        return self.out(self.last(x).mean((1, 2)))


def test_swin():
    same(of_family(swin, "", 1, 4, 2, 1, 1, 1, 1), Swin(4), torch.zeros(1, 3, 128, 128))


class ConvNeXtBlock(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(width, width, 7, padding=3, groups=width), nn.LayerNorm(width)
        self.dense, self.scale = dense(width, 4 * width, nn.GELU()), nn.Parameter(torch.ones(width, 1, 1))

    def forward(self, x):
        y = self.dense(self.norm(self.conv(x).permute(0, 2, 3, 1)))
        return x + self.scale * y.permute(0, 3, 1, 2)


def test_a_block_of_convnext():
    net = VariedDrawing()
    convnext.block(net, net.input(1, 16, 14, 14), 7, 64)
    same(net.finished("block"), ConvNeXtBlock(16), torch.zeros(1, 16, 14, 14))


class RepVggBlock(nn.Module):
    def __init__(self, width, wide, stride):
        super().__init__()
        self.one = nn.Sequential(nn.Conv2d(width, wide, 1, stride, bias=False), nn.BatchNorm2d(wide))
        self.three = nn.Sequential(nn.Conv2d(width, wide, 3, stride, 1, bias=False), nn.BatchNorm2d(wide))
        self.same = nn.BatchNorm2d(width) if width == wide and stride == 1 else None

    def forward(self, x):
        y = self.one(x) + self.three(x)
        return functional.relu(y + self.same(x) if self.same else y)


@pytest.mark.parametrize(("wide", "stride"), [(16, 1), (16, 2), (24, 1)])
def test_a_block_of_repvgg(wide, stride):
    net = VariedDrawing()
    repvgg.block(net, net.input(1, 16, 14, 14), wide, stride, "branches")
    same(net.finished("block"), RepVggBlock(16, wide, stride), torch.zeros(1, 16, 14, 14))


class Ghost(nn.Module):
    def __init__(self, width, wide):
        super().__init__()
        half = wide // 2
        self.first = nn.Sequential(nn.Conv2d(width, half, 1, bias=False), nn.BatchNorm2d(half), nn.ReLU())
        self.cheap = nn.Sequential(
            nn.Conv2d(half, half, 3, padding=1, groups=half, bias=False), nn.BatchNorm2d(half), nn.ReLU()
        )

    def forward(self, x):
        x = self.first(x)
        return torch.cat([x, self.cheap(x)], 1)


def test_a_module_of_ghostnet():
    net = VariedDrawing()
    ghostnet.ghost(net, net.input(1, 16, 14, 14), 24, activated=True)
    same(net.finished("module"), Ghost(16, 24), torch.zeros(1, 16, 14, 14))


class Shuffled(nn.Module):
    def forward(self, x):
        n, channels, *size = x.shape
        first, second = x.view(n, 2, channels // 2, *size).transpose(1, 2).flatten(1, 2).chunk(2, 1)
        return torch.cat([first, second.relu()], 1)


def test_a_shuffle():
    net = VariedDrawing()
    first, second = net.parts(shufflenetv2.shuffled(net, net.input(1, 16, 14, 14), 2), 1, 2)
    net.concat(first, net.relu(second))
    same(net.finished("shuffle"), Shuffled(), torch.zeros(1, 16, 14, 14))


class Recurrent(nn.Module):
    def __init__(self, kind, both, layers):
        super().__init__()
        self.words = nn.Embedding(5_000, 64)
        self.layers = kind(64, 64, layers, batch_first=True, bidirectional=both)
        self.out = nn.Linear(128 if both else 64, 17 if both else 5_000)

    def forward(self, x):
        return self.out(self.layers(self.words(x))[0])


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_recurrent_networks(kind, both, batch):
    net = Chosen(64, 2, 16, 5_000, batch)
    lstm.recurrent(net, "tags" if both else "language", kind)
    same(net.finished(kind), Recurrent(getattr(nn, kind), both, 2), tokens(batch, 16))


class Recommender(nn.Module):
    def __init__(self, tables):
        super().__init__()
        self.tables = nn.ModuleList(nn.Embedding(1_000, 8) for _ in range(tables))
        self.bottom = self.layers(13, 512, 256, 64, 8)
        self.top = nn.Sequential(self.layers(8 * (tables + 1), 512, 256), nn.Linear(256, 1), nn.Sigmoid())

    def layers(self, *widths):
        pairs = pairwise(widths)
        return nn.Sequential(*(layer for pair in pairs for layer in (nn.Linear(*pair), nn.ReLU())))

    def forward(self, x, *chosen):
        rows = [table(index) for table, index in zip(self.tables, chosen, strict=True)]
        rows = [row.sum(1) if row.dim() == 3 else row for row in rows]
        return self.top(torch.cat([self.bottom(x), *rows], 1))


@pytest.mark.parametrize("several", [1, 4])
def test_dlrm(several):
    network = of_family(dlrm, "", 16, 8, 2, several, 10, 10, 10, 1_000, 1_000, 10, 10)
    chosen = [tokens(16, 4) if several > 1 else tokens(16) for _ in range(2)]
    same(network, Recommender(2), torch.zeros(16, 13), *chosen)


class Twice(nn.Sequential):
    def __init__(self, *widths):
        layers = []
        for before, after in pairwise(widths):
            layers += [nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
        super().__init__(*layers)


class UNet(nn.Module):
    """Two levels of 8, 16 and 32 channels."""

    def __init__(self, linear):
        super().__init__()
        self.down = nn.ModuleList([Twice(3, 8, 8), Twice(8, 16, 16), Twice(16, *(16 if linear else 32,) * 2)])
        up = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
        self.up = nn.ModuleList(up if linear else nn.ConvTranspose2d(2 * n, n, 2, 2) for n in (16, 8))
        self.twice = nn.ModuleList(Twice(2 * n, n, n // 2 if linear and n > 8 else n) for n in (16, 8))
        self.out = nn.Conv2d(8, 2, 1)

    def forward(self, x):
        first = self.down[0](x)
        second = self.down[1](functional.max_pool2d(first, 2))
        x = self.down[2](functional.max_pool2d(second, 2))
        for skip, up, twice in zip((second, first), self.up, self.twice, strict=True):
            x = twice(torch.cat([skip, up(x)], 1))
        return self.out(x)


@pytest.mark.parametrize("version", ["transposed", "linear"])
def test_unet(version):
    same(of_family(unet, version, 8, 2, 32, 3), UNet(version == "linear"), torch.zeros(1, 3, 32, 32))


class MobileVitBlock(nn.Module):
    def __init__(self, width, inner):
        super().__init__()

        def conv(before, after, kernel):
            pad = kernel // 2
            return nn.Sequential(
                nn.Conv2d(before, after, kernel, padding=pad, bias=False), nn.BatchNorm2d(after), nn.SiLU()
            )

        self.before = nn.Sequential(conv(width, width, 3), nn.Conv2d(width, inner, 1, bias=False))
        self.blocks = nn.Sequential(
            Residual(nn.LayerNorm(inner), Attention(inner, 4)),
            Residual(nn.LayerNorm(inner), dense(inner, 2 * inner, nn.SiLU())),
            nn.LayerNorm(inner),
        )
        self.back, self.join = conv(inner, width, 1), conv(2 * width, width, 3)

    def forward(self, x):
        y = self.before(x)
        n, inner, rows, columns = y.shape
        down, right = rows // 2, columns // 2
        y = y.reshape(n * inner * down, 2, right, 2).transpose(1, 2)
        y = y.reshape(n, inner, down * right, 4).transpose(1, 3).reshape(n * 4, down * right, inner)
        y = self.blocks(y).contiguous().view(n, 4, down * right, inner).transpose(1, 3)
        y = y.reshape(n * inner * down, right, 2, 2).transpose(1, 2).reshape(n, inner, rows, columns)
        return self.join(torch.cat([x, self.back(y)], 1))


def test_a_block_of_mobilevit():
    net = VariedDrawing()
    mobilevit.transformed(net, net.input(1, 16, 8, 8), 1, 32)
    same(net.finished("block"), MobileVitBlock(16, 32), torch.zeros(1, 16, 8, 8))
