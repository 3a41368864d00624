"""The bundled demo model in PyTorch on the CPU, for a comparison with varscale: one image, and a batch of eight.

A compact implementation of VAR's inference (KV cache, guidance as a doubled batch, top-k, top-p) and of its tokenizer's decoder, written
from the description of the checkpoint layout. It first forces recorded tokens and compares logits and images with the recorded ones, so
that both sides are known to compute the same thing.

    python bench/pytorch_demo.py var.pth vae.pth expected.safetensors [--rounds 5] [--threads 2]

Prints one line of JSON: medians in milliseconds. Needs torch and safetensors.
"""

import argparse
import json
import math
import statistics
import time

import torch
import torch.nn.functional as F
from safetensors.torch import load_file


class Demo:
    """VAR with per-block adaLN and normalized attention, and the decoder of its tokenizer."""

    def __init__(self, var_file, vae_file):
        self.w = torch.load(var_file, map_location="cpu", weights_only=True)
        self.v = torch.load(vae_file, map_location="cpu", weights_only=True)
        w = self.w
        self.width = w["class_emb.weight"].shape[1]
        self.null = w["class_emb.weight"].shape[0] - 1
        self.depth = 1 + max(int(name.split(".")[1]) for name in w if name.startswith("blocks."))
        self.heads = w["blocks.0.attn.scale_mul_1H11"].shape[1]
        counts = torch.bincount(w["lvl_1L"].flatten()).tolist()
        self.sides = [round(count**0.5) for count in counts]
        self.begins = [sum(counts[:scale]) for scale in range(len(counts) + 1)]
        self.places = w["lvl_embed.weight"][w["lvl_1L"]] + w["pos_1LC"]
        self.codebook = self.v["quantize.embedding.weight"]
        zero = torch.zeros(self.width)
        self.qkv_bias = [
            torch.cat([w[f"blocks.{i}.attn.q_bias"], zero, w[f"blocks.{i}.attn.v_bias"]]) for i in range(self.depth)
        ]
        self.q_scale = [w[f"blocks.{i}.attn.scale_mul_1H11"].clamp(max=math.log(100)).exp() for i in range(self.depth)]
        # Ties are decided by these floating-point values, as in the published code.
        ticks = torch.linspace(1 / 12, 11 / 12, 4, dtype=torch.float64)
        last = len(self.sides) - 1
        self.phi = [int((ticks - scale / last).abs().argmin()) for scale in range(len(self.sides))]

    def generate(self, labels, cfg=1.5, top_k=300, top_p=0.95, forced=None, record=None):
        w, count, final = self.w, len(labels), self.sides[-1]
        classes = torch.tensor(list(labels) + [self.null] * count)
        condition = w["class_emb.weight"][classes]
        activated = F.silu(condition)
        mods = [
            F.linear(activated, w[f"blocks.{i}.ada_lin.1.weight"], w[f"blocks.{i}.ada_lin.1.bias"])
            .view(2 * count, 1, 6, self.width)
            .unbind(2)
            for i in range(self.depth)
        ]
        head = F.linear(activated, w["head_nm.ada_lin.1.weight"], w["head_nm.ada_lin.1.bias"])
        head_scale, head_shift = head.view(2 * count, 1, 2, self.width).unbind(2)
        cache = [None] * self.depth
        f_hat = torch.zeros(count, self.codebook.shape[1], final, final)
        x = (condition + w["pos_start"][0, 0] + self.places[0, 0]).unsqueeze(1)
        for scale, side in enumerate(self.sides):
            for i in range(self.depth):
                x = self.block(i, x, mods[i], cache)
            normed = F.layer_norm(x, (self.width,), eps=1e-6) * (1 + head_scale) + head_shift
            logits = F.linear(normed, w["head.weight"], w["head.bias"])
            t = cfg * scale / (len(self.sides) - 1)
            guided = (1 + t) * logits[:count] - t * logits[count:]
            if record is not None:
                record.append((logits, guided))
            tokens = sample(guided, top_k, top_p) if forced is None else forced[scale]
            h = F.embedding(tokens, self.codebook).transpose(1, 2).reshape(count, -1, side, side)
            if side != final:
                h = F.interpolate(h, size=(final, final), mode="bicubic")
            name = f"quantize.quant_resi.qresi_ls.{self.phi[scale]}"
            f_hat = f_hat + 0.5 * h + 0.5 * F.conv2d(h, self.v[f"{name}.weight"], self.v[f"{name}.bias"], padding=1)
            if scale + 1 < len(self.sides):
                following = self.sides[scale + 1]
                z = F.interpolate(f_hat, size=(following, following), mode="area").flatten(2).transpose(1, 2)
                x = F.linear(z, w["word_embed.weight"], w["word_embed.bias"])
                x = (x + self.places[:, self.begins[scale + 1] : self.begins[scale + 2]]).repeat(2, 1, 1)
        return (self.decode(f_hat).clamp(-1, 1) + 1) * 0.5

    def block(self, i, x, mod, cache):
        w, name = self.w, f"blocks.{i}"
        gate1, gate2, scale1, scale2, shift1, shift2 = mod
        normed = F.layer_norm(x, (self.width,), eps=1e-6) * (1 + scale1) + shift1
        qkv = F.linear(normed, w[f"{name}.attn.mat_qkv.weight"], self.qkv_bias[i])
        q, k, v = qkv.view(*x.shape[:2], 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        q = F.normalize(q, dim=-1) * self.q_scale[i]
        k = F.normalize(k, dim=-1)
        if cache[i] is not None:
            k = torch.cat([cache[i][0], k], dim=2)
            v = torch.cat([cache[i][1], v], dim=2)
        cache[i] = (k, v)
        mixed = F.scaled_dot_product_attention(q, k, v, scale=1.0).transpose(1, 2).reshape(x.shape)
        x = x + gate1 * F.linear(mixed, w[f"{name}.attn.proj.weight"], w[f"{name}.attn.proj.bias"])
        normed = F.layer_norm(x, (self.width,), eps=1e-6) * (1 + scale2) + shift2
        hidden = F.gelu(F.linear(normed, w[f"{name}.ffn.fc1.weight"], w[f"{name}.ffn.fc1.bias"]), approximate="tanh")
        return x + gate2 * F.linear(hidden, w[f"{name}.ffn.fc2.weight"], w[f"{name}.ffn.fc2.bias"])

    def decode(self, f_hat):
        x = self.conv("decoder.conv_in", self.conv("post_quant_conv", f_hat))
        x = self.residual("decoder.mid.block_1", x)
        x = self.attention("decoder.mid.attn_1", x)
        x = self.residual("decoder.mid.block_2", x)
        levels = 1 + max(int(name.split(".")[2]) for name in self.v if name.startswith("decoder.up."))
        for level in reversed(range(levels)):
            block = 0
            while f"decoder.up.{level}.block.{block}.conv1.weight" in self.v:
                x = self.residual(f"decoder.up.{level}.block.{block}", x)
                if f"decoder.up.{level}.attn.{block}.qkv.weight" in self.v:
                    x = self.attention(f"decoder.up.{level}.attn.{block}", x)
                block += 1
            if level > 0:
                x = self.conv(f"decoder.up.{level}.upsample.conv", F.interpolate(x, scale_factor=2, mode="nearest"))
        return self.conv("decoder.conv_out", F.silu(self.norm("decoder.norm_out", x)))

    def conv(self, name, x):
        weight = self.v[f"{name}.weight"]
        return F.conv2d(x, weight, self.v[f"{name}.bias"], padding=weight.shape[-1] // 2)

    def norm(self, name, x):
        return F.group_norm(x, 32, self.v[f"{name}.weight"], self.v[f"{name}.bias"], eps=1e-6)

    def residual(self, name, x):
        h = self.conv(f"{name}.conv1", F.silu(self.norm(f"{name}.norm1", x)))
        h = self.conv(f"{name}.conv2", F.silu(self.norm(f"{name}.norm2", h)))
        return h + (self.conv(f"{name}.nin_shortcut", x) if f"{name}.nin_shortcut.weight" in self.v else x)

    def attention(self, name, x):
        q, k, v = self.conv(f"{name}.qkv", self.norm(f"{name}.norm", x)).flatten(2).transpose(1, 2).chunk(3, dim=-1)
        mixed = F.scaled_dot_product_attention(q, k, v)
        return x + self.conv(f"{name}.proj_out", mixed.transpose(1, 2).reshape(x.shape))


def sample(logits, top_k, top_p):
    if 0 < top_k < logits.shape[-1]:
        least = logits.topk(top_k, dim=-1).values[..., -1:]
        logits = logits.masked_fill(logits < least, float("-inf"))
    if top_p > 0:
        ascending, order = logits.sort(dim=-1)
        drop = ascending.softmax(dim=-1).cumsum(dim=-1) <= 1 - top_p
        drop[..., -1] = False
        logits = logits.masked_fill(drop.scatter(-1, order, drop), float("-inf"))
    probabilities = logits.softmax(dim=-1)
    return torch.multinomial(probabilities.flatten(0, 1), 1).view(logits.shape[:2])


def verify(demo, expected):
    """Forces the recorded tokens; returns the largest errors of logits and image."""
    scales = range(len(demo.sides))
    record = []
    forced = [expected[f"tokens.{scale}"] for scale in scales]
    image = demo.generate(expected["labels"].tolist(), forced=forced, record=record)
    logit_error = max(float((record[scale][0] - expected[f"logits.{scale}"]).abs().max()) for scale in scales)
    image_error = float((image - expected["image"]).abs().max())
    assert logit_error < 1e-3 and image_error < 2e-3, (logit_error, image_error)
    return logit_error, image_error


def median_time(action, rounds):
    action()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        action()
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("var")
    parser.add_argument("vae")
    parser.add_argument("expected")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(7)
    with torch.inference_mode():
        demo = Demo(options.var, options.vae)
        logit_error, image_error = verify(demo, load_file(options.expected))
        # Down to 8 bits a channel, which is what varscale returns, too.
        one = median_time(lambda: (demo.generate([32]) * 255).to(torch.uint8), options.rounds)
        eight = median_time(lambda: (demo.generate(range(8)) * 255).to(torch.uint8), options.rounds)
    result = {"torch": torch.__version__, "threads": options.threads, "one": one, "eight": eight}
    print(json.dumps(result | {"logit_error": logit_error, "image_error": image_error}))


if __name__ == "__main__":
    main()
