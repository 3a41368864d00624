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
from pytorch_var import Var
from safetensors.torch import load_file


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
        demo = Var(options.var, options.vae)
        logit_error, image_error = verify(demo, load_file(options.expected))
        # Down to 8 bits a channel, which is what varscale returns, too.
        one = median_time(lambda: (demo.generate([32]) * 255).to(torch.uint8), options.rounds)
        eight = median_time(lambda: (demo.generate(range(8)) * 255).to(torch.uint8), options.rounds)
    result = {"torch": torch.__version__, "threads": options.threads, "one": one, "eight": eight}
    print(json.dumps(result | {"logit_error": logit_error, "image_error": image_error}))


if __name__ == "__main__":
    main()
