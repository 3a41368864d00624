"""Holds pytorch_infinity.py against numbers that the published modules gave: small models of hashed weights, and the bundled model.

    python bench/check_pytorch_infinity.py tests/fixtures/golden/infinity/expected.json
    python bench/check_pytorch_infinity.py tests/fixtures/golden/demo-t2i/expected.safetensors --transformer F --vae F --text-encoder DIR

Prints the largest differences of every case and fails where a bit differs. Needs torch and numpy, and what pytorch_infinity.py needs.
"""

import argparse
import json
import math

import numpy as np
import torch
from pytorch_infinity import Decoder, Model, Transformer

# Sums of n rounded numbers are recorded to 5 digits, the numbers themselves to 6 or 7.
WITHIN = 2e-5


def hashed(name, shape):
    """Numbers from -0.5 to 0.5 that follow from the name and the place alone."""
    state = 0x811C9DC5
    for byte in name.encode("ascii"):
        state = (state ^ byte) * 0x01000193 % 2**32
    x = (state + np.arange(math.prod(shape), dtype=np.uint64) * 2654435761) % 2**32
    x ^= x >> 16
    x = x * 0x045D9F3B % 2**32
    x ^= x >> 16
    return (x / 2**32 - 0.5).reshape(shape)


def weight(name, shape):
    if name.endswith("zero_k_bias"):
        return torch.zeros(shape)
    u = hashed(name, shape)
    if name.endswith("scale_mul_1H11"):
        u = math.log(4) + 0.5 * u
    elif name.endswith("norm.weight"):
        u = 1 + 0.2 * u
    elif name.endswith(("ada_gss", "pos_start", "lvl_embed.weight")):
        u = 0.5 * u
    elif name.endswith(("cfg_uncond", "mat_q")):
        pass
    elif len(shape) > 1:
        u = u * math.sqrt(12 / math.prod(shape[1:]))
    else:
        u = 0.2 * u
    return torch.from_numpy(u.astype(np.float32))


def transformer_of(config):
    """The transformer of a case: names for hashing are the published ones, in chunks of blocks."""
    width, heads, depth, text = config["C"], config["heads"], config["depth"], config["Ct5"]
    bits = config["d_vae"] * (4 if config["patchify"] else 1)

    def linear(name, outputs, inputs):
        return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}

    outer = {
        **{"cfg_uncond": (config["text_maxlen"], text), "pos_start": (1, 1, width), "text_norm.weight": (text,)},
        **{"text_proj_for_sos.ca.mat_q": (1, text // 128, width * 128 // text), "text_proj_for_sos.ca.v_bias": (width,)},
        **{"text_proj_for_sos.ca.mat_kv.weight": (2 * width, text), "lvl_embed.weight": (15, width)},
        **linear("text_proj_for_sos.ca.proj", width, width),
        **linear("text_proj_for_ca.0", width, text),
        **linear("text_proj_for_ca.2", width, width),
        **linear("word_embed", width, bits),
        **linear("shared_ada_lin.1", 6 * width, width),
        **linear("head_nm.ada_lin.1", 2 * width, width),
        **linear("head", 2 * bits, width),
    }
    inner = {
        **{"ada_gss": (1, 1, 6, width), "sa.mat_qkv.weight": (3 * width, width), "sa.q_bias": (width,), "sa.v_bias": (width,)},
        **{"sa.scale_mul_1H11": (1, heads, 1, 1), "ca_norm.weight": (width,), "ca_norm.bias": (width,)},
        **{"ca.mat_kv.weight": (2 * width, width), "ca.v_bias": (width,)},
        **linear("sa.proj", width, width),
        **linear("ca.mat_q", width, width),
        **linear("ca.proj", width, width),
        **linear("ffn.fc1", 4 * width, width),
        **linear("ffn.fc2", width, 4 * width),
    }
    w = {name: weight(name, shape) for name, shape in outer.items()}
    size = depth // config["chunks"]
    for i in range(depth):
        for name, shape in inner.items():
            w[f"blocks.{i}.{name}"] = weight(f"block_chunks.{i // size}.module.{i % size}.{name}", shape)
    return Transformer(w, config["d_vae"])


def off(found, expected):
    """The largest difference from a summary: of the values that it holds, and of both sums, by the number of values."""
    x = found.double().flatten()
    assert len(x) == expected["n"], (len(x), expected["n"])
    first, last = (torch.tensor(expected[end], dtype=torch.float64) for end in ("first", "last"))
    parts = [(x[: len(first)] - first).abs().max(), (x[-len(last) :] - last).abs().max()]
    sums = [(x.sum() - expected["sum"]).abs(), (x.abs().sum() - expected["abssum"]).abs()]
    return float(max(parts)), float(max(sums)) / len(x)


def check_transformer(case):
    config = case["config"]
    transformer = transformer_of(config)
    text = torch.from_numpy((4 * hashed("text_features", (config["L"], config["Ct5"]))).astype(np.float32))
    sampling = {"guidanceWeight": config["cfg"] - 1, "temperature": config["tau"], "topP": 0}
    scales = [{"height": height, "width": width, "sampling": sampling} for height, width in case["schedule"]]
    record = []
    codes = transformer.generate([text], scales, layer=config["cfg_insertion_layer"], forced="likelier", record=record)
    values, sums, flipped = 0, 0, 0
    for entry, expected in zip(record, case["scales"], strict=True):
        value, mean = off(entry["logits"], expected["logits"])
        values, sums = max(values, value), max(sums, mean)
        recorded = np.unpackbits(np.frombuffer(bytes.fromhex(expected["bits_hex"]), np.uint8))
        bits = entry["bits"].flatten().numpy()
        flipped += int((bits != recorded[: len(bits)]).sum())
    code_value, _ = off(codes, case["summed_codes"])
    count = sum(entry["bits"].numel() for entry in record)
    print(f"{case['tag']}: logits off by {values:.1e}, their means by {sums:.1e}; {flipped} of {count} bits; codes off by {code_value:.1e}")
    assert values < WITHIN and sums < WITHIN and flipped == 0 and code_value < WITHIN


def decoder_of(case):
    channels, latent = [factor * case["ch"] for factor in case["ch_mult"]], case["z_channels"]
    top = channels[-1]
    shapes = {}

    def conv(name, outputs, inputs, side):
        shapes[f"decoder.{name}.weight"], shapes[f"decoder.{name}.bias"] = (outputs, inputs, side, side), (outputs,)

    def norm(name, width):
        shapes[f"decoder.{name}.weight"] = shapes[f"decoder.{name}.bias"] = (width,)

    def residual(name, inputs, outputs):
        norm(f"{name}.norm1", inputs)
        conv(f"{name}.conv1", outputs, inputs, 3)
        norm(f"{name}.norm2", outputs)
        conv(f"{name}.conv2", outputs, outputs, 3)
        if inputs != outputs:
            conv(f"{name}.nin_shortcut", outputs, inputs, 1)

    conv("conv_in", top, latent, 3)
    for name in ("mid.block_1", "mid.block_2"):
        residual(name, top, top)
    for level in reversed(range(len(channels))):
        inputs = channels[min(level + 1, len(channels) - 1)]
        for block in range(3):
            residual(f"up.{level}.block.{block}", inputs if block == 0 else channels[level], channels[level])
        if level > 0:
            conv(f"up.{level}.upsample.conv", channels[level], channels[level], 3)
    norm("norm_out", channels[0])
    conv("conv_out", 3, channels[0], 3)
    return shapes


def check_decoder(case):
    shapes = decoder_of(case)
    assert len(shapes) == case["n_tensors"], len(shapes)
    decoder = Decoder({name: weight(published(name), shape) for name, shape in shapes.items()})
    z = torch.from_numpy((4 * hashed("z", (1, case["z_channels"], *case["latent"]))).astype(np.float32))
    out = decoder.decode(z)
    value, mean = off(out, case["out"])
    pixels = (((out.clamp(-1, 1) + 1) / 2 * 255).byte()[0].permute(1, 2, 0).flip(2)).flatten()[:24].tolist()
    equal = pixels == case["uint8_bgr_first"]
    print(f"{case['tag']}: pixels off by {value:.1e}, their means by {mean:.1e}; bytes {'equal' if equal else 'different'}")
    assert value < WITHIN and mean < WITHIN and equal


def published(name):
    """The name as it is in the published files, where convolutions and norms are modules of a module."""
    stem, leaf = name.rsplit(".", 1)
    return f"{stem}.{'norm' if 'norm' in stem.rsplit('.', 1)[1] else 'conv'}.{leaf}"


def check_demo(file, model):
    """Four greedy runs of the bundled model: features of the text, logits, bits, codes and pictures; then the same in one batch, where
    texts are padded and masked, with texts that are projected once."""
    from safetensors import safe_open

    with safe_open(file, "pt") as recorded:
        prompts = json.loads(recorded.metadata()["prompts"])
        count = len([name for name in recorded.keys() if name.startswith("0.bits.")])
        sides = [math.isqrt(recorded.get_tensor(f"0.bits.{scale}").shape[0]) for scale in range(count)]
        sampling = {"guidanceWeight": 2, "temperature": 0.5, "topP": 0}
        scales = [{"height": side, "width": side, "sampling": sampling} for side in sides]
        for i, prompt in enumerate(prompts):
            ids = model.tokenizer.encode(prompt).ids
            assert ids == recorded.get_tensor(f"{i}.ids").flatten().tolist(), prompt
            text = recorded.get_tensor(f"{i}.text")
            texts = model.encode([prompt])
            padded = model.encoder.encode(ids, 512)
            record = []
            codes = model.transformer.generate(texts, scales, forced="likelier", record=record)
            image = (model.decoder.decode(codes).clamp(-1, 1) + 1) / 2
            errors = {"text": (texts[0] - text).abs().max(), "padded text": (padded - text).abs().max()}
            for name, key in (("raw", "logits_raw"), ("logits", "logits"), ("codes", "summed")):
                pairs = [(entry[name], recorded.get_tensor(f"{i}.{key}.{scale}")) for scale, entry in enumerate(record)]
                errors[key] = max((found.reshape(wanted.shape) - wanted).abs().max() for found, wanted in pairs)
            errors["image"] = (image[0] - recorded.get_tensor(f"{i}.image")).abs().max()
            flipped = sum(
                int((entry["bits"][0] != recorded.get_tensor(f"{i}.bits.{scale}").bool()).sum()) for scale, entry in enumerate(record)
            )
            print(f"{prompt}: {flipped} bits; off by " + ", ".join(f"{name} {float(error):.1e}" for name, error in errors.items()))
            assert flipped == 0 and all(error < 2e-4 for error in errors.values())
        model.transformer.keep_text = True
        batch = model.generate(prompts, scales, forced="likelier")
        images = torch.cat([recorded.get_tensor(f"{i}.image").reshape(1, *batch.shape[1:]) for i in range(len(prompts))])
        error = (batch - images).abs().max()
        print(f"in a batch: image off by {float(error):.1e}")
        assert error < 2e-4


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("expected")
    parser.add_argument("--transformer")
    parser.add_argument("--vae")
    parser.add_argument("--text-encoder")
    options = parser.parse_args()
    with torch.inference_mode():
        if options.expected.endswith(".safetensors"):
            check_demo(options.expected, Model(options.transformer, options.vae, options.text_encoder))
            return
        with open(options.expected) as file:
            expected = json.load(file)
        for case in expected["transformer_cases"]:
            check_transformer(case)
        for case in expected["vae_decoder_cases"]:
            check_decoder(case)


if __name__ == "__main__":
    main()
