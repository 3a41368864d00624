"""The bundled demo model in PyTorch on the CPU, for a comparison with varscale: one image, and a batch of eight.

It first forces recorded tokens and compares logits and images with the recorded ones, so that both sides are known to compute the same
thing.

    python bench/pytorch_demo.py var.pth vae.pth expected.safetensors [--rounds 5] [--threads 2]

Prints one line of JSON: medians in milliseconds. Needs torch and safetensors.
"""

import argparse
import json
import statistics
import time

import torch
from pytorch_model import load_model
from safetensors.torch import load_file


def scales_of(tokens):
    """Scales for `generate` with guidance 1.5, top-k 300 and top-p 0.95."""
    sides = [round(drawn.shape[1] ** 0.5) for drawn in tokens]
    weights = [1.5 * scale / (len(sides) - 1) for scale in range(len(sides))]
    sampling = [{"guidanceWeight": weight, "topK": 300, "topP": 0.95} for weight in weights]
    return [{"width": side, "height": side, "sampling": drawn} for side, drawn in zip(sides, sampling)]


def verify(demo, scales, tokens, expected):
    """Forces the recorded tokens; returns the largest errors of logits and image."""
    record = []
    image = demo.generate(expected["labels"].tolist(), scales, forced=tokens, record=record)
    errors = [(logits - expected[f"logits.{scale}"]).abs().max() for scale, (logits, _) in enumerate(record)]
    logit_error = float(max(errors))
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
        demo = load_model(options.var, options.vae)
        expected = load_file(options.expected)
        tokens = [expected[f"tokens.{scale}"] for scale in range(sum(name.startswith("tokens.") for name in expected))]
        scales = scales_of(tokens)
        logit_error, image_error = verify(demo, scales, tokens, expected)
        # Down to 8 bits a channel, which is what varscale returns, too.
        one = median_time(lambda: (demo.generate([32], scales) * 255).to(torch.uint8), options.rounds)
        eight = median_time(lambda: (demo.generate(range(8), scales) * 255).to(torch.uint8), options.rounds)
    result = {"torch": torch.__version__, "threads": options.threads, "one": one, "eight": eight}
    print(json.dumps(result | {"logit_error": logit_error, "image_error": image_error}))


if __name__ == "__main__":
    main()
