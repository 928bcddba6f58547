"""Ten small networks as PyTorch modules, one of each family that the importers must know."""

import torch
from torch import Tensor, nn
from torch.nn import functional


def conv_norm(inputs, outputs, kernel, stride=1, groups=1, activation=nn.ReLU):
    layers = [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    ]
    return nn.Sequential(*layers, *([activation()] if activation else []))


class Head(nn.Module):
    def __init__(self, channels, classes=10):
        super().__init__()
        self.pool, self.drop, self.fc = nn.AdaptiveAvgPool2d(1), nn.Dropout(0.2), nn.Linear(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.drop(torch.flatten(self.pool(x), 1)))


class ResNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = conv_norm(3, 8, 7, 2)
        self.pool = nn.MaxPool2d(3, 2, 1)
        self.one, self.two = conv_norm(8, 16, 3, 2), conv_norm(16, 16, 3, activation=None)
        self.down = conv_norm(8, 16, 1, 2, activation=None)
        self.head = Head(16)

    def forward(self, x):
        x = self.pool(self.stem(x))
        y = self.two(self.one(x))
        y += self.down(x)
        return self.head(functional.relu(y))


class Inception(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = conv_norm(3, 8, 3, 2)
        self.a = conv_norm(8, 4, 1)
        self.b = nn.Sequential(conv_norm(8, 4, 1), conv_norm(4, 8, 3))
        self.c = nn.Sequential(nn.AvgPool2d(3, 1, 1), conv_norm(8, 4, 1))
        self.head = Head(16)

    def forward(self, x):
        x = self.stem(x)
        return self.head(torch.cat([self.a(x), self.b(x), self.c(x)], 1))


class MobileNetV2(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = conv_norm(3, 8, 3, 2, activation=nn.ReLU6)
        self.block = nn.Sequential(
            conv_norm(8, 24, 1, activation=nn.ReLU6),
            conv_norm(24, 24, 3, groups=24, activation=nn.ReLU6),
            conv_norm(24, 8, 1, activation=None),
        )
        self.head = Head(8)

    def forward(self, x):
        x = self.stem(x)
        x = x + self.block(x)
        return self.head(x.mean([2, 3], keepdim=True))


class SqueezeExcite(nn.Module):
    def __init__(self, channels, act, gate):
        super().__init__()
        self.down, self.up, self.act, self.gate = nn.Conv2d(channels, 4, 1), nn.Conv2d(4, channels, 1), act(), gate()

    def forward(self, x):
        return x * self.gate(self.up(self.act(self.down(functional.adaptive_avg_pool2d(x, 1)))))


class MobileNetV3(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = conv_norm(3, 8, 3, 2, activation=nn.Hardswish)
        self.depth = conv_norm(8, 8, 5, groups=8, activation=nn.Hardswish)
        self.gate = SqueezeExcite(8, nn.ReLU, nn.Hardsigmoid)
        self.out = conv_norm(8, 8, 1, activation=None)
        self.head = Head(8)

    def forward(self, x):
        x = self.stem(x)
        return self.head(self.out(self.gate(self.depth(x))) + x)


class EfficientNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = conv_norm(3, 8, 3, 2, activation=nn.SiLU)
        self.wide = conv_norm(8, 16, 1, activation=nn.SiLU)
        self.depth = conv_norm(16, 16, 3, groups=16, activation=nn.SiLU)
        self.gate = SqueezeExcite(16, nn.SiLU, nn.Sigmoid)
        self.out = conv_norm(16, 8, 1, activation=None)
        self.head = Head(8)

    def forward(self, x):
        x = self.stem(x)
        return self.head(x + self.out(self.gate(self.depth(self.wide(x)))))


class ViTBlock(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.proj, self.heads = nn.Linear(width, 3 * width), nn.Linear(width, width), heads
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x):
        b, n, d = x.shape
        qkv = self.qkv(self.norm1(x)).reshape(b, n, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        q, k, v = qkv[0], qkv[1], qkv[2]
        y = functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, n, d)
        x = x + self.proj(y)
        return x + self.mlp(self.norm2(x))


class ViT(nn.Module):
    def __init__(self):
        super().__init__()
        self.patch = nn.Conv2d(3, 16, 8, 8)
        self.cls, self.position = nn.Parameter(torch.zeros(1, 1, 16)), nn.Parameter(torch.zeros(1, 17, 16))
        self.blocks = nn.Sequential(ViTBlock(16, 2), ViTBlock(16, 2))
        self.norm, self.head = nn.LayerNorm(16), nn.Linear(16, 10)

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls.expand(x.shape[0], -1, -1), x], 1) + self.position
        return self.head(self.norm(self.blocks(x))[:, 0])


class LstmClassifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm, self.fc = nn.LSTM(12, 16, batch_first=True), nn.Linear(16, 5)

    def forward(self, x):
        return self.fc(self.lstm(x)[0][:, -1])


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two, self.three = conv_norm(3, 8, 3), conv_norm(8, 16, 3), conv_norm(16, 16, 3)
        self.wider, self.merge = nn.Upsample(scale_factor=2, mode="bilinear"), conv_norm(32, 16, 3)
        self.up, self.last, self.out = nn.ConvTranspose2d(16, 8, 2, 2), conv_norm(16, 8, 3), nn.Conv2d(8, 2, 1)

    def forward(self, x):
        x = self.one(x)
        y = self.two(functional.max_pool2d(x, 2))
        z = self.wider(self.three(functional.max_pool2d(y, 2)))
        y = self.up(self.merge(torch.cat([y, z], 1)))
        return self.out(self.last(torch.cat([x, y], 1)))


class Mlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 20), nn.Tanh(), nn.Linear(20, 10))

    def forward(self, x):
        return functional.softmax(self.layers(x), dim=-1)


class DenseNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 2, 1, bias=False)
        self.norms = nn.ModuleList([nn.BatchNorm2d(8), nn.BatchNorm2d(12), nn.BatchNorm2d(16)])
        self.convs = nn.ModuleList([nn.Conv2d(8, 4, 3, 1, 1, bias=False), nn.Conv2d(12, 4, 3, 1, 1, bias=False)])
        self.head = Head(16)

    def forward(self, x):
        x = self.stem(x)
        for norm, conv in zip(self.norms, self.convs, strict=False):
            x = torch.cat([x, conv(functional.relu(norm(x)))], 1)
        return self.head(functional.relu(self.norms[2](x)))


IMAGE = (1, 3, 32, 32)
MODULES = {
    "resnet": (ResNet, IMAGE),
    "inception": (Inception, IMAGE),
    "mobilenet_v2": (MobileNetV2, IMAGE),
    "mobilenet_v3": (MobileNetV3, IMAGE),
    "efficientnet": (EfficientNet, IMAGE),
    "vit": (ViT, IMAGE),
    "lstm": (LstmClassifier, (2, 7, 12)),
    "unet": (UNet, IMAGE),
    "mlp": (Mlp, IMAGE),
    "densenet": (DenseNet, IMAGE),
}
