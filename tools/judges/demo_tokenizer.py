"""The class-conditional demo's tokenizer in PyTorch: pictures as its decoder shows them, of right tokens and of wrong ones."""

import os
import sys

import torch
import torch.nn.functional as F

sys.path.append(os.path.join(os.path.dirname(__file__), "../../bench"))
from pytorch_model import Var, blocks_of, load  # noqa: E402

SIZES = [(side, side) for side in (1, 2, 3, 4, 6, 8)]


class Tokenizer(Var):
    """`Var` is a transformer with a decoder; this is the decoder with its encoder."""

    def __init__(self, vae_file):
        self.v = load(vae_file, "vae_local")
        self.codebook = self.v["quantize.embedding.weight"]
        self.levels = [f"decoder.up.{level}" for level in reversed(range(blocks_of(self.v, "decoder.up.")))]

    def encode(self, image):
        x = self.conv("encoder.conv_in", image * 2 - 1)
        for level in range(blocks_of(self.v, "encoder.down.")):
            x = self.residual(f"encoder.down.{level}.block.0", x)
            name = f"encoder.down.{level}.downsample.conv"
            if f"{name}.weight" in self.v:
                x = F.conv2d(F.pad(x, (0, 1, 0, 1)), self.v[f"{name}.weight"], self.v[f"{name}.bias"], stride=2)
        x = self.residual("encoder.mid.block_1", x)
        x = self.residual("encoder.mid.block_2", self.attention("encoder.mid.attn_1", x))
        return self.conv("quant_conv", self.conv("encoder.conv_out", F.silu(self.norm("encoder.norm_out", x))))

    def reconstruct(self, image, wrong=0.0, scales=len(SIZES), generator=None):
        """Pictures in 0..1 of the tokens of the first scales, where a share of them is one of the next 15 best instead."""
        wanted, shown = self.encode(image), None
        for k, size in enumerate(SIZES[:scales]):
            rest = wanted if shown is None else wanted - shown
            rows = F.interpolate(rest, size=size, mode="area").permute(0, 2, 3, 1)
            order = torch.cdist(rows.flatten(0, 2), self.codebook).topk(16, largest=False).indices
            draws = torch.rand(len(order), generator=generator)
            other = torch.randint(1, 16, (len(order),), generator=generator)
            tokens = order.gather(1, torch.where(draws < wrong, other, 0)[:, None]).view(rows.shape[:3])
            shown = self.show(shown, self.codebook[tokens].permute(0, 3, 1, 2), k, SIZES)
        return (self.decode(shown).clamp(-1, 1) + 1) / 2
