"""VAR and FlexVAR in PyTorch on the CPU, for comparisons with varscale: models of any size from the official checkpoints.

A compact implementation of their inference (KV cache, guidance as a doubled batch, top-k, top-p) and of their tokenizers' decoders, written
from the description of the checkpoint layouts. As a program it is the peer of bench/model_report.ts:

    python bench/pytorch_model.py var.pth vae.pth SCALES [--threads 2]

loads the model, says so with a line of JSON, and answers every line of JSON with another one, as bench/model_worker.ts does. SCALES is JSON,
too: for each token map `width`, `height` and `sampling` with `guidanceWeight`, `topK` and `topP`. Needs torch.
"""

import argparse
import json
import math
import sys
import time

import torch
import torch.nn.functional as F


class Convolutions:
    """Layers of a tokenizer's networks, whose tensors are in `v`."""

    def conv(self, name, x):
        weight = self.v[f"{name}.weight"]
        return F.conv2d(x, weight, self.v[f"{name}.bias"], padding=weight.shape[-1] // 2)

    def norm(self, name, x):
        return F.group_norm(x, 32, self.v[f"{name}.weight"], self.v[f"{name}.bias"], eps=1e-6)

    def residual(self, name, x):
        h = self.conv(f"{name}.conv1", F.silu(self.norm(f"{name}.norm1", x)))
        h = self.conv(f"{name}.conv2", F.silu(self.norm(f"{name}.norm2", h)))
        return h + (self.conv(f"{name}.nin_shortcut", x) if f"{name}.nin_shortcut.weight" in self.v else x)


class Model(Convolutions):
    """What the families share: the transformer, with per-block or shared adaLN, and the decoder of the tokenizer."""

    def __init__(self, w, v):
        self.w, self.v = w, v
        # What generation does not use is given back.
        w.pop("attn_bias_for_masking", None)
        for name in [name for name in v if name.startswith("encoder.")]:
            del v[name]
        self.width = w["class_emb.weight"].shape[1]
        self.null = w["class_emb.weight"].shape[0] - 1
        self.depth = blocks_of(w, "blocks.")
        self.heads = w["blocks.0.attn.scale_mul_1H11"].shape[1]
        zero = torch.zeros(self.width)
        self.qkv_bias = [
            torch.cat([w[f"blocks.{i}.attn.q_bias"], zero, w[f"blocks.{i}.attn.v_bias"]]) for i in range(self.depth)
        ]
        self.q_scale = [w[f"blocks.{i}.attn.scale_mul_1H11"].clamp(max=math.log(100)).exp() for i in range(self.depth)]

    def generate(self, labels, scales, forced=None, record=None, clock=None):
        """Pictures of the labels. `forced` gives the tokens of the first scales and ends behind them, `record` collects logits,
        `clock` is called when the condition, each scale and the decoder are done."""
        w, count = self.w, len(labels)
        sizes = [(scale["height"], scale["width"]) for scale in scales]
        clock = clock or (lambda: None)
        classes = torch.tensor(list(labels) + [self.null] * count)
        condition = w["class_emb.weight"][classes]
        mods, (head_scale, head_shift) = self.modulations(condition)
        places = self.places(sizes)
        cache = [None] * self.depth
        shown = None
        x = (condition + w["pos_start"][0, 0] + places[0][0, 0]).unsqueeze(1)
        clock()
        for k, scale in enumerate(scales[: None if forced is None else len(forced)]):
            for i in range(self.depth):
                x = self.block(i, x, mods[i], cache)
            normed = F.layer_norm(x, (self.width,), eps=1e-6) * (1 + head_scale) + head_shift
            logits = F.linear(normed, w["head.weight"], w["head.bias"])
            sampling = scale["sampling"]
            t = sampling["guidanceWeight"]
            guided = (1 + t) * logits[:count] - t * logits[count:]
            if record is not None:
                record.append((logits, guided))
            tokens = sample(guided, sampling["topK"], sampling["topP"]) if forced is None else forced[k]
            codes = F.embedding(tokens, self.codebook).transpose(1, 2).reshape(count, -1, *sizes[k])
            shown = self.show(shown, codes, k, sizes)
            if k + 1 < len(scales):
                z = self.follow(shown, sizes[k + 1]).flatten(2).transpose(1, 2)
                x = F.linear(z, w["word_embed.weight"], w["word_embed.bias"])
                x = (x + places[k + 1]).repeat(2, 1, 1)
            clock()
        image = (self.decode(shown).clamp(-1, 1) + 1) * 0.5
        clock()
        return image

    def modulations(self, condition):
        """Gates, scales and shifts of each block, and scale and shift of the head."""
        w, rows = self.w, condition.shape[0]
        activated = F.silu(condition)

        def project(name):
            return F.linear(activated, w[f"{name}.weight"], w[f"{name}.bias"])

        if "shared_ada_lin.1.weight" in w:
            shared = project("shared_ada_lin.1").view(rows, 1, 6, self.width)
            blocks = [shared + w[f"blocks.{i}.ada_gss"] for i in range(self.depth)]
        else:
            blocks = [project(f"blocks.{i}.ada_lin.1").view(rows, 1, 6, self.width) for i in range(self.depth)]
        head = project("head_nm.ada_lin.1").view(rows, 1, 2, self.width)
        return [block.unbind(2) for block in blocks], head.unbind(2)

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

    def decode(self, x):
        x = self.conv("decoder.conv_in", self.conv("post_quant_conv", x))
        first, attention, second = [f"decoder.mid.{name}" for name in self.middle]
        x = self.residual(second, self.attention(attention, self.residual(first, x)))
        for level in self.levels:
            block = 0
            while f"{level}.{self.blocks}.{block}.conv1.weight" in self.v:
                x = self.residual(f"{level}.{self.blocks}.{block}", x)
                if f"{level}.attn.{block}.norm.weight" in self.v:
                    x = self.attention(f"{level}.attn.{block}", x)
                block += 1
            if f"{level}.upsample.conv.weight" in self.v:
                x = self.conv(f"{level}.upsample.conv", F.interpolate(x, scale_factor=2, mode="nearest"))
        return self.conv("decoder.conv_out", F.silu(self.norm("decoder.norm_out", x)))

    def attention(self, name, x):
        normed = self.norm(f"{name}.norm", x)
        projected = torch.cat([self.conv(f"{name}.{projection}", normed) for projection in self.projections], dim=1)
        q, k, v = projected.flatten(2).transpose(1, 2).chunk(3, dim=-1)
        mixed = F.scaled_dot_product_attention(q, k, v)
        return x + self.conv(f"{name}.proj_out", mixed.transpose(1, 2).reshape(x.shape))


class Var(Model):
    """Residuals of all scales add up to one picture."""

    middle, blocks, projections = ("block_1", "attn_1", "block_2"), "block", ("qkv",)

    def __init__(self, w, v):
        super().__init__(w, v)
        self.codebook = v["quantize.embedding.weight"]
        self.levels = [f"decoder.up.{level}" for level in reversed(range(blocks_of(v, "decoder.up.")))]

    def places(self, sizes):
        counts = torch.tensor([height * width for height, width in sizes])
        scale_of = torch.arange(len(sizes)).repeat_interleave(counts)
        places = self.w["lvl_embed.weight"][scale_of] + self.w["pos_1LC"]
        return places.split(counts.tolist(), dim=1)

    def show(self, shown, codes, k, sizes):
        final = sizes[-1]
        h = codes if sizes[k] == final else F.interpolate(codes, size=final, mode="bicubic")
        # Ties are decided by these floating-point values, as in the published code.
        ticks = torch.linspace(1 / 12, 11 / 12, 4, dtype=torch.float64)
        name = f"quantize.quant_resi.qresi_ls.{int((ticks - k / (len(sizes) - 1)).abs().argmin())}"
        h = 0.5 * h + 0.5 * F.conv2d(h, self.v[f"{name}.weight"], self.v[f"{name}.bias"], padding=1)
        return h if shown is None else shown + h

    def follow(self, shown, size):
        return F.interpolate(shown, size=size, mode="area")


class FlexVar(Model):
    """Every scale is a picture by itself, of codes of length 1."""

    middle, blocks, projections = ("0", "1", "2"), "res", ("q", "k", "v")

    def __init__(self, w, v):
        super().__init__(w, v)
        self.codebook = F.normalize(v["quantize.embedding.weight"], dim=1)
        self.levels = [f"decoder.conv_blocks.{step}" for step in range(blocks_of(v, "decoder.conv_blocks."))]

    def places(self, sizes):
        return [F.adaptive_avg_pool2d(self.w["pos_1LC"], size).flatten(2).transpose(1, 2) for size in sizes]

    def show(self, shown, codes, k, sizes):
        return codes

    def follow(self, shown, size):
        return F.interpolate(shown, size=size, mode="bicubic")


def blocks_of(tensors, prefix):
    """How many blocks are numbered behind the prefix."""
    return 1 + max(int(name[len(prefix) :].split(".")[0]) for name in tensors if name.startswith(prefix))


def load_model(var_file, vae_file):
    """The model of two checkpoints, or of one that holds both."""
    w, v = load(var_file, "var_wo_ddp"), load(vae_file, "vae_local")
    return (Var if "lvl_embed.weight" in w else FlexVar)(w, v)


def load(file, part):
    """The tensors of a checkpoint as it is published or as a trainer saves it, in float32."""
    state = torch.load(file, map_location="cpu", weights_only=True)
    tensors = state["trainer"][part] if "trainer" in state else state.get("model", state)
    return {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}


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


class Worker:
    """Answers the requests of bench/model_report.ts."""

    def __init__(self, model, scales):
        self.model, self.scales = model, scales

    def time(self, labels, **_):
        marks = [time.perf_counter()]
        image = self.model.generate(labels, self.scales, clock=lambda: marks.append(time.perf_counter()))
        # Down to 8 bits a channel, which is what varscale returns, too.
        (image * 255).to(torch.uint8)
        marks[-1] = time.perf_counter()
        condition, *scales, decode = [1000 * (end - begin) for begin, end in zip(marks, marks[1:])]
        return {"total": 1000 * (marks[-1] - marks[0]), "condition": condition, "scales": scales, "decode": decode}

    def compare(self, labels, tokens, output, **_):
        record = []
        image = self.model.generate(labels, self.scales, forced=[torch.tensor(scale) for scale in tokens], record=record)
        parts = [logits for logits, _ in record] + [image]
        with open(output, "wb") as file:
            for part in parts:
                file.write(part.contiguous().numpy().tobytes())
        return {"sizes": [part.numel() for part in parts]}

    def answer(self, request):
        return {"time": self.time, "compare": self.compare}[request["kind"]](**request)


def memory(field):
    """A figure of the process in bytes, where the system tells."""
    try:
        with open("/proc/self/status") as status:
            return next(1024 * int(line.split()[1]) for line in status if line.startswith(f"{field}:"))
    except OSError:
        return None


def say(facts):
    print(json.dumps(facts | {"resident": memory("VmRSS"), "peak": memory("VmHWM")}), flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("var")
    parser.add_argument("vae")
    parser.add_argument("scales", type=json.loads)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(7)
    with torch.inference_mode():
        start = time.perf_counter()
        model = load_model(options.var, options.vae)
        load = 1000 * (time.perf_counter() - start)
        say({"name": f"PyTorch {torch.__version__}", "load": load, "gpu": None})
        worker = Worker(model, options.scales)
        for line in sys.stdin:
            say(worker.answer(json.loads(line)))


if __name__ == "__main__":
    main()
