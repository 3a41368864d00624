"""The two networks that look at pictures of the class-conditional demo: one for searches, one for judging them."""

import torch
import torch.nn.functional as F
from torch import nn

CLASSES, PATCHES = 64, 64


class Block(nn.Module):
    """Attention among the patches of a picture, and a layer of each by itself."""

    def __init__(self, channels, heads):
        super().__init__()
        # Sizes are plain numbers: a graph that asks its tensors for them computes integers, which no GPU runs.
        self.channels, self.heads, self.scale = channels, heads, (channels // heads) ** -0.5
        self.attention_norm, self.layer_norm = nn.LayerNorm(channels), nn.LayerNorm(channels)
        self.qkv, self.out = nn.Linear(channels, 3 * channels), nn.Linear(channels, channels)
        self.up, self.down = nn.Linear(channels, 4 * channels), nn.Linear(4 * channels, channels)

    def forward(self, x):
        heads, depth = self.heads, self.channels // self.heads
        qkv = self.qkv(self.attention_norm(x)).reshape(-1, PATCHES, 3 * heads, depth).transpose(1, 2)
        q, k, v = qkv[:, :heads], qkv[:, heads : 2 * heads], qkv[:, 2 * heads :]
        weights = (q @ k.transpose(2, 3) * self.scale).softmax(-1)
        x = x + self.out((weights @ v).transpose(1, 2).reshape(-1, PATCHES, self.channels))
        return x + self.down(F.gelu(self.up(self.layer_norm(x))))


class Reward(nn.Module):
    """A small vision transformer: image [n,3,64,64] in 0..1 -> logits [n,64], features [n,64,64] of 8x8 patches, row by row."""

    def __init__(self, channels=64, heads=4, depth=3):
        super().__init__()
        self.patches = nn.Sequential(
            nn.Conv2d(3, 32, 5, 2, 2), nn.BatchNorm2d(32), nn.ReLU(),
            nn.Conv2d(32, channels, 3, 2, 1), nn.BatchNorm2d(channels), nn.ReLU(),
            nn.Conv2d(channels, channels, 3, 2, 1),
        )  # fmt: skip
        self.channels = channels
        self.place = nn.Parameter(torch.randn(1, PATCHES, channels) * 0.1)
        self.blocks = nn.Sequential(*[Block(channels, heads) for _ in range(depth)])
        self.norm = nn.LayerNorm(channels)
        self.head = nn.Linear(channels, CLASSES)

    def forward(self, image):
        patches = self.patches(image * 2 - 1).reshape(-1, self.channels, PATCHES).transpose(1, 2)
        features = self.norm(self.blocks(patches + self.place))
        return self.head(features.mean(1)), features


def convolution(inputs, outputs, stride=1):
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1), nn.BatchNorm2d(outputs))


class Residual(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.first, self.second = convolution(channels, channels), convolution(channels, channels)

    def forward(self, x):
        return F.relu(x + self.second(F.relu(self.first(x))))


class Oracle(nn.Module):
    """Convolutions only, and shape and colour told apart: image [n,3,64,64] in 0..1 -> logits [n,64], sums of 8 + 8."""

    def __init__(self, channels=96):
        super().__init__()
        self.net = nn.Sequential(
            convolution(3, 24, 2), nn.ReLU(),
            convolution(24, 40, 2), nn.ReLU(),
            convolution(40, channels, 2), nn.ReLU(),
            Residual(channels),
        )  # fmt: skip
        self.shape, self.colour = nn.Linear(2 * channels, 8), nn.Linear(2 * channels, 8)

    def forward(self, image):
        x = self.net(image * 2 - 1)
        pooled = torch.cat((x.mean((2, 3)), x.amax((2, 3))), dim=1)
        return (self.shape(pooled)[:, :, None] + self.colour(pooled)[:, None, :]).reshape(-1, CLASSES)
