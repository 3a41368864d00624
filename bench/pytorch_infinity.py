"""Infinity in PyTorch on the CPU, for comparisons with varscale: models of any size from checkpoints in the published layout.

A compact implementation of its inference (T5 encoder, key/value caches, guidance as a doubled batch, sampling of bits, accumulation of codes,
decoder), written from the description of the checkpoint layouts; check_pytorch_infinity.py holds it against recorded numbers. As a program it
is the peer of bench/infinity_report.ts:

    python bench/pytorch_infinity.py infinity.pth vae.pth t5/ SCALES [--threads 2] [--keep-text] [--pad-text 512]

loads the model, says so with a line of JSON, and answers every line of JSON with another one, as bench/model_worker.ts does. SCALES is JSON,
too: for each token map `width`, `height` and `sampling` with `guidanceWeight`, `temperature` and `topP`. The published code projects the text
anew at every scale, which `--keep-text` does once, and encodes it padded to 512 tokens, which `--pad-text 512` does. Needs torch, safetensors
and tokenizers.
"""

import argparse
import json
import math
import sys
import time
from fractions import Fraction
from pathlib import Path

import torch
import torch.nn.functional as F
from pytorch_model import Convolutions, blocks_of, say

# Last maps of the schedules of a million pixels, from square to tall; wide ones are transposed.
FULL_MAPS = ((64, 64), (70, 56), (72, 54), (78, 52), (84, 48), (90, 45), (100, 40), (111, 37))


def full_map(size):
    """The map of a million pixels that is of the shape of the last one: positions are counted on it, whatever the size of the picture."""
    for tall in FULL_MAPS:
        for full in (tall, tall[::-1]):
            if full[0] * size[1] == full[1] * size[0]:
                return full
    raise ValueError(f"Cannot place tokens as the last map must have the shape of a published one: current size is {size}")


class TextEncoder:
    """The encoder of T5 v1.1: no biases, RMS norms, relative positions, gated feed-forward layers, attention that is not scaled."""

    def __init__(self, w, config):
        self.w, self.config = w, config
        self.embedding = w["shared.weight"] if "shared.weight" in w else w["encoder.embed_tokens.weight"]

    def encode(self, ids, length=None):
        """Features of one text, [tokens, width]; evaluated with masked padding up to `length`, if that is given."""
        count, heads = len(ids), self.config["num_heads"]
        padded = torch.tensor(list(ids) + [0] * max(0, (length or 0) - count))
        bias = self.bias(len(padded))
        if len(padded) > count:
            bias = bias.masked_fill(torch.arange(len(padded)) >= count, float("-inf"))
        x = F.embedding(padded, self.embedding)
        for i in range(self.config["num_layers"]):
            name = f"encoder.block.{i}.layer"
            normed = self.norm(f"{name}.0.layer_norm", x)
            q, k, v = (self.linear(f"{name}.0.SelfAttention.{part}", normed).view(len(x), heads, -1).transpose(0, 1) for part in "qkv")
            mixed = F.scaled_dot_product_attention(q[None], k[None], v[None], attn_mask=bias, scale=1.0)[0]
            x = x + self.linear(f"{name}.0.SelfAttention.o", mixed.transpose(0, 1).flatten(1))
            normed = self.norm(f"{name}.1.layer_norm", x)
            gate = F.gelu(self.linear(f"{name}.1.DenseReluDense.wi_0", normed), approximate="tanh")
            x = x + self.linear(f"{name}.1.DenseReluDense.wo", gate * self.linear(f"{name}.1.DenseReluDense.wi_1", normed))
        return self.norm("encoder.final_layer_norm", x)[:count]

    def bias(self, count):
        """What attention adds for the distance between two tokens, [heads, count, count]."""
        distance = torch.arange(count)[None] - torch.arange(count)[:, None]
        side = self.config["relative_attention_num_buckets"] // 2
        exact, furthest = side // 2, self.config["relative_attention_max_distance"]
        size = distance.abs()
        far = exact + ((size / exact).log() / math.log(furthest / exact) * (side - exact)).long()
        bucket = torch.where(size < exact, size, far.clamp(max=side - 1)) + side * (distance > 0)
        table = self.w["encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"]
        return F.embedding(bucket, table).permute(2, 0, 1)

    def linear(self, name, x):
        return F.linear(x, self.w[f"{name}.weight"])

    def norm(self, name, x):
        return F.rms_norm(x, (x.shape[-1],), self.w[f"{name}.weight"], self.config["layer_norm_epsilon"])


class Transformer:
    """Tokens of D bits, painted scale by scale under a text."""

    def __init__(self, w, channels, keep_text=False):
        """`channels` are those of a code; of a quarter of the bits, codes lie two by two in a token. `keep_text` projects texts once."""
        self.w, self.channels, self.keep_text = w, channels, keep_text
        self.width, self.bits = w["word_embed.weight"].shape
        self.patch = 2 if self.bits == 4 * channels else 1
        self.depth = blocks_of(w, "blocks.")
        self.heads = w["blocks.0.sa.scale_mul_1H11"].shape[1]
        zero = torch.zeros(self.width)
        self.qkv_bias = [torch.cat([w[f"blocks.{i}.sa.q_bias"], zero, w[f"blocks.{i}.sa.v_bias"]]) for i in range(self.depth)]
        self.kv_bias = [torch.cat([zero, w[f"blocks.{i}.ca.v_bias"]]) for i in range(self.depth)]
        self.q_scale = [w[f"blocks.{i}.sa.scale_mul_1H11"].clamp(max=math.log(100)).exp() for i in range(self.depth)]

    def generate(self, texts, scales, negatives=None, layer=0, forced=None, record=None, clock=None):
        """Accumulated codes for the features of texts. Guidance leads away from `negatives`, by default the learned empty text of equal length,
        after the block that is `layer` (negative) from the end, or 0 for the logits. `forced` gives the bits of the first scales and ends
        behind them, or with "likelier" always takes the likelier bits; `record` collects logits, bits and codes; `clock` is called when the
        condition and each scale are done."""
        w, count = self.w, len(texts)
        sizes = [(scale["height"], scale["width"]) for scale in scales]
        clock = clock or (lambda: None)
        guided = any(scale["sampling"]["guidanceWeight"] != 0 for scale in scales)
        if guided:
            texts = [*texts, *(negatives or [w["cfg_uncond"][: len(text)] for text in texts])]
        condition, text, mask = self.condition(texts)
        mods, (head_scale, head_shift) = self.modulations(condition)
        kept = [self.text_keys(i, text) for i in range(self.depth)] if self.keep_text else None
        angles = self.angles(sizes)
        cache = [None] * self.depth
        codes = torch.zeros(count, self.channels, *(self.patch * side for side in sizes[-1]))
        x = (condition + w["pos_start"][0, 0])[:, None]
        clock()
        for k, scale in enumerate(scales[: len(forced) if isinstance(forced, list) else None]):
            t = scale["sampling"]["guidanceWeight"]
            x = x + w["lvl_embed.weight"][k]
            for i in range(self.depth):
                x = self.block(i, x, mods[i], angles[k], cache, kept[i] if kept else self.text_keys(i, text), mask)
                if i - self.depth == layer and t != 0:
                    x = ((1 + t) * x[:count] - t * x[count:]).repeat(2, 1, 1)
            normed = F.layer_norm(x, (self.width,), eps=1e-6) * (1 + head_scale) + head_shift
            raw = F.linear(normed, w["head.weight"], w["head.bias"])
            logits = raw / scale["sampling"]["temperature"]
            logits, other = logits[:count], logits[count:]
            if t != 0 and layer == 0:
                logits = (1 + t) * logits - t * other
            bits = forced[k] if isinstance(forced, list) else self.draw(logits, None if forced else scale["sampling"]["topP"])
            code = self.code(bits, sizes[k])
            codes = codes + (code if code.shape == codes.shape else resize(code, codes.shape[2:]))
            if k + 1 < len(scales):
                following = resize(codes, [self.patch * side for side in sizes[k + 1]])
                following = F.pixel_unshuffle(following, self.patch).flatten(2).transpose(1, 2)
                x = F.linear(following, w["word_embed.weight"], w["word_embed.bias"]).repeat(2 if guided else 1, 1, 1)
            if record is not None:
                record.append({"raw": raw, "logits": logits, "bits": bits, "codes": codes})
            clock()
        return codes

    def condition(self, texts):
        """One vector a text, the texts' tokens as blocks attend to them, and which of them there are (None for all)."""
        w, longest = self.w, max(len(text) for text in texts)
        x = torch.stack([F.pad(text, (0, 0, 0, longest - len(text))) for text in texts])
        lengths = torch.tensor([len(text) for text in texts])
        mask = None if (lengths == longest).all() else (torch.arange(longest) < lengths[:, None])[:, None, None]
        x = F.rms_norm(x, x.shape[-1:], w["text_norm.weight"], 1e-6)
        name = "text_proj_for_sos.ca"
        query = w[f"{name}.mat_q"]
        bias = torch.cat([torch.zeros(self.width), w[f"{name}.v_bias"]])
        k, v = split(F.linear(x, w[f"{name}.mat_kv.weight"], bias), 2, query.shape[1])
        pooled = F.scaled_dot_product_attention(query[:, :, None].expand(len(texts), -1, -1, -1), k, v, attn_mask=mask)
        condition = self.linear(f"{name}.proj", pooled.flatten(1))
        hidden = F.gelu(self.linear("text_proj_for_ca.0", x), approximate="tanh")
        return condition, self.linear("text_proj_for_ca.2", hidden), mask

    def modulations(self, condition):
        """Gates, scales and shifts of each block, and scale and shift of the head."""
        activated = F.silu(condition)
        shared = self.linear("shared_ada_lin.1", activated).view(-1, 1, 6, self.width)
        head = self.linear("head_nm.ada_lin.1", activated).view(-1, 1, 2, self.width)
        return [(shared + self.w[f"blocks.{i}.ada_gss"]).unbind(2) for i in range(self.depth)], head.unbind(2)

    def angles(self, sizes):
        """Cosines and sines for the tokens of each map, [tokens, half of a head's width]: those of the row, then those of the column."""
        half = self.width // self.heads // 2
        frequencies = 10000 ** (-torch.arange(0, half, 2) / half)
        full = full_map(sizes[-1])
        tables = []
        for size in sizes:
            # Python rounds fractions exactly, and halves to the even number.
            rows, columns = ([float(round(Fraction(i * whole, side))) for i in range(side)] for whole, side in zip(full, size))
            places = torch.cartesian_prod(torch.tensor(rows), torch.tensor(columns))
            angles = (places[:, :, None] * frequencies).flatten(1)
            tables.append((angles.cos(), angles.sin()))
        return tables

    def text_keys(self, i, text):
        """Keys and values of the text in a block."""
        return split(F.linear(text, self.w[f"blocks.{i}.ca.mat_kv.weight"], self.kv_bias[i]), 2, self.heads)

    def block(self, i, x, mod, angles, cache, text, mask):
        name, width = f"blocks.{i}", (self.width,)
        gate1, gate2, scale1, scale2, shift1, shift2 = mod
        normed = F.layer_norm(x, width, eps=1e-6) * (1 + scale1) + shift1
        q, k, v = split(F.linear(normed, self.w[f"{name}.sa.mat_qkv.weight"], self.qkv_bias[i]), 3, self.heads)
        q = rotate(F.normalize(q, dim=-1) * self.q_scale[i], *angles)
        k = rotate(F.normalize(k, dim=-1), *angles)
        if cache[i] is not None:
            k = torch.cat([cache[i][0], k], dim=2)
            v = torch.cat([cache[i][1], v], dim=2)
        cache[i] = (k, v)
        mixed = F.scaled_dot_product_attention(q, k, v, scale=1.0).transpose(1, 2).flatten(2)
        x = x + gate1 * self.linear(f"{name}.sa.proj", mixed)
        normed = F.layer_norm(x, width, self.w[f"{name}.ca_norm.weight"], self.w[f"{name}.ca_norm.bias"], eps=1e-6)
        (q,) = split(self.linear(f"{name}.ca.mat_q", normed), 1, self.heads)
        mixed = F.scaled_dot_product_attention(q, *text, attn_mask=mask).transpose(1, 2).flatten(2)
        x = x + self.linear(f"{name}.ca.proj", mixed)
        normed = F.layer_norm(x, width, eps=1e-6) * (1 + scale2) + shift2
        hidden = F.gelu(self.linear(f"{name}.ffn.fc1", normed), approximate="tanh")
        return x + gate2 * self.linear(f"{name}.ffn.fc2", hidden)

    def draw(self, logits, top_p):
        """Bits of tokens. With two values, truncation decides where the unlikelier one has no more than 1 - top_p, and leaves the others."""
        zero, one = logits.unflatten(-1, (self.bits, 2)).unbind(-1)
        probability = (one - zero).sigmoid()
        likelier = one > zero
        if top_p is None:
            return likelier
        drawn = torch.rand_like(probability) < probability
        return drawn if top_p == 0 else torch.where(torch.minimum(probability, 1 - probability) <= 1 - top_p, likelier, drawn)

    def code(self, bits, size):
        """The map of codes that bits stand for: ±1 / √d."""
        code = (2 * bits.float() - 1) / math.sqrt(self.channels)
        return F.pixel_shuffle(code.transpose(1, 2).unflatten(2, size), self.patch)

    def linear(self, name, x):
        return F.linear(x, self.w[f"{name}.weight"], self.w[f"{name}.bias"])


class Decoder(Convolutions):
    """The convolutional network from accumulated codes to pixels, from -1 to 1."""

    def __init__(self, v):
        self.v = v

    def decode(self, x):
        x = self.conv("decoder.conv_in", x)
        x = self.residual("decoder.mid.block_2", self.residual("decoder.mid.block_1", x))
        for level in reversed(range(blocks_of(self.v, "decoder.up."))):
            name = f"decoder.up.{level}"
            for block in range(blocks_of(self.v, f"{name}.block.")):
                x = self.residual(f"{name}.block.{block}", x)
            if level > 0:
                x = self.conv(f"{name}.upsample.conv", F.interpolate(x, scale_factor=2, mode="nearest"))
        return self.conv("decoder.conv_out", F.silu(self.norm("decoder.norm_out", x)))


def split(x, parts, heads):
    """[rows, tokens, parts · width] to as many of [rows, heads, tokens, width of a head]."""
    return x.unflatten(-1, (parts, heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)


def rotate(x, cos, sin):
    """Turns pairs of neighbours."""
    even, odd = x.unflatten(-1, (-1, 2)).unbind(-1)
    return torch.stack([even * cos - odd * sin, even * sin + odd * cos], dim=-1).flatten(-2)


def resize(x, size):
    """Bilinear, also where the map gets smaller."""
    return F.interpolate(x, size=tuple(size), mode="bilinear", align_corners=False)


def load_tensors(path):
    """Tensors of a PyTorch or safetensors file, or of a folder of shards, in float32 and without what trainers put around them."""
    path = Path(path)
    if path.is_dir():
        index = next(path.glob("*.index.json"), None)
        if index is None:
            return load_tensors(next(path.glob("*.safetensors")))
        files = sorted(set(json.loads(index.read_text())["weight_map"].values()))
        return {name: tensor for file in files for name, tensor in load_tensors(path / file).items()}
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        state = load_file(path)
    else:
        state = torch.load(path, map_location="cpu", weights_only=True)
    for key in ("trainer", "gpt_fsdp", "vae"):
        state = state.get(key, state)
    return {name: tensor.float() for name, tensor in state.items() if tensor.is_floating_point()}


def load_transformer(path, channels, keep_text=False):
    """The transformer, its blocks counted throughout."""
    w = load_tensors(path)
    chunk = "block_chunks."
    if any(name.startswith(chunk) for name in w):
        size = blocks_of(w, f"{chunk}0.module.")
        for name in [name for name in w if name.startswith(chunk)]:
            i, _, j, rest = name[len(chunk) :].split(".", 3)
            w[f"blocks.{int(i) * size + int(j)}.{rest}"] = w.pop(name)
    return Transformer(w, channels, keep_text)


def load_decoder(path):
    """The decoder; convolutions and norms may lie in a module of their own."""
    v = {name: tensor for name, tensor in load_tensors(path).items() if name.startswith("decoder.")}
    return Decoder({plain(name): tensor for name, tensor in v.items()})


def plain(name):
    stem, leaf = name.rsplit(".", 1)
    inner = stem.removesuffix(".norm")
    if inner == stem:
        # An upsampling convolution is called conv itself.
        inner = stem.removesuffix(".conv")
        inner = stem if inner.endswith(".upsample") else inner
    return f"{inner}.{leaf}"


def load_text_encoder(folder):
    """The encoder and its tokenizer, which ends texts with </s>."""
    from tokenizers import Tokenizer

    config = json.loads((Path(folder) / "config.json").read_text())
    tokenizer = Tokenizer.from_file(str(Path(folder) / "tokenizer.json"))
    return TextEncoder(load_tensors(folder), config), tokenizer


class Model:
    """From prompts to pictures."""

    def __init__(self, transformer_file, vae_file, text_folder, keep_text=False, pad_text=None):
        self.decoder = load_decoder(vae_file)
        self.transformer = load_transformer(transformer_file, self.decoder.v["decoder.conv_in.weight"].shape[1], keep_text)
        self.encoder, self.tokenizer = load_text_encoder(text_folder)
        self.pad_text = pad_text

    def encode(self, prompts):
        return [self.encoder.encode(self.tokenizer.encode(prompt).ids[:512], self.pad_text) for prompt in prompts]

    def generate(self, prompts, scales, clock=None, **options):
        """Pictures from 0 to 1; `clock` is called when text, condition, each scale and the decoder are done."""
        clock = clock or (lambda: None)
        texts = self.encode(prompts)
        clock()
        codes = self.transformer.generate(texts, scales, clock=clock, **options)
        image = (self.decoder.decode(codes).clamp(-1, 1) + 1) * 0.5
        clock()
        return image


class Worker:
    """Answers the requests of bench/infinity_report.ts."""

    def __init__(self, model, scales):
        self.model, self.scales = model, scales

    def time(self, labels, **_):
        marks = [time.perf_counter()]
        image = self.model.generate(labels, self.scales, clock=lambda: marks.append(time.perf_counter()))
        # Down to 8 bits a channel, which is what varscale returns, too.
        (image * 255).to(torch.uint8)
        marks[-1] = time.perf_counter()
        text, condition, *scales, decode = [1000 * (end - begin) for begin, end in zip(marks, marks[1:])]
        parts = {"text": text, "condition": text + condition, "scales": scales, "decode": decode}
        return {"total": 1000 * (marks[-1] - marks[0])} | parts

    def compare(self, labels, tokens, output, **_):
        """Tokens are words of 32 bits, the lowest bit first, by scale, label and position, as many for each as its bits need."""
        bits = self.model.transformer.bits
        record = []

        def unpack(words):
            words = torch.tensor(words).unflatten(1, (-1, -(-bits // 32)))
            return (words[..., None] >> torch.arange(32) & 1).flatten(2)[..., :bits]

        image = self.model.generate(labels, self.scales, forced=[unpack(scale) for scale in tokens], record=record)
        parts = [entry["raw"] for entry in record] + [image]
        with open(output, "wb") as file:
            for part in parts:
                file.write(part.contiguous().numpy().tobytes())
        return {"sizes": [part.numel() for part in parts]}

    def answer(self, request):
        return {"time": self.time, "compare": self.compare}[request["kind"]](**request)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("transformer")
    parser.add_argument("vae")
    parser.add_argument("text_encoder")
    parser.add_argument("scales", type=json.loads)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--keep-text", action="store_true")
    parser.add_argument("--pad-text", type=int)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(7)
    with torch.inference_mode():
        start = time.perf_counter()
        model = Model(options.transformer, options.vae, options.text_encoder, options.keep_text, options.pad_text)
        load = 1000 * (time.perf_counter() - start)
        say({"name": f"PyTorch {torch.__version__}", "load": load, "gpu": None})
        worker = Worker(model, options.scales)
        for line in sys.stdin:
            say(worker.answer(json.loads(line)))


if __name__ == "__main__":
    main()
