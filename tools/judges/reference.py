"""Writes what sets of pictures are compared with: statistics of rendered pictures as the oracles see them, evaluation/judges/*_reference.npz.

    python tools/judges/reference.py demo                 # renders 8192 pictures, 128 of each class, seed 404
    python tools/judges/reference.py demo_t2i PICTURES    # 8192 pictures in an .npy, u8 [n, 64, 64, 3]

An archive holds f64 `mu` [192] and `sigma` [192, 192] of `features` (sums of squares divided by n - 1, as numpy.cov), and the
`features` of the first 768 pictures, f32, for precision and recall; the `count` of all; and as bytes of texts the `network` and
its `fingerprint`, a SHA-256 of those of its description and of its file, by which another network is refused. The renderer of the text-to-image model's pictures is not here:
README.md in evaluation/judges says how they were made. Needs numpy and onnxruntime, and torch to render; 4 minutes on one core.
"""

import hashlib
import os
import sys

import numpy as np
import onnxruntime

HERE = os.path.dirname(os.path.abspath(__file__))
JUDGES = os.path.join(HERE, "../../evaluation/judges")
SEED, PICTURES, CLASSES, KEPT, BATCH = 404, 8192, 64, 768, 64


def rendered():
    """u8 [n, 64, 64, 3]; class follows class, so the first 768 are 12 of each."""
    import torch
    from scenes import render

    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(SEED)
    batches = [render(torch.arange(CLASSES), generator) for _ in range(PICTURES // CLASSES)]
    pictures = (torch.cat(batches) * 255).round().to(torch.uint8)
    return pictures.permute(0, 2, 3, 1).numpy()


def seen(pictures, name):
    session = onnxruntime.InferenceSession(os.path.join(JUDGES, f"{name}_oracle.onnx"), providers=["CPUExecutionProvider"])
    batches = (pictures[i : i + BATCH].transpose(0, 3, 1, 2).astype(np.float32) / 255 for i in range(0, len(pictures), BATCH))
    return np.concatenate([session.run(["features"], {"image": batch})[0] for batch in batches])


def identity(name):
    """What `loadMetricNetwork` calls the oracle, and its fingerprint, both as bytes."""
    files = (os.path.join(JUDGES, f"{name}_oracle.{kind}") for kind in ("json", "onnx"))
    hashes = [hashlib.sha256(open(file, "rb").read()).hexdigest() for file in files]
    fingerprint = hashlib.sha256("\n".join(hashes).encode()).hexdigest()
    texts = {"network": f"{name.replace('_', '-')}-oracle", "fingerprint": fingerprint}
    return {key: np.frombuffer(text.encode(), np.uint8) for key, text in texts.items()}


def write(name, pictures):
    assert pictures.shape == (PICTURES, 64, 64, 3) and pictures.dtype == np.uint8, (pictures.shape, pictures.dtype)
    features = seen(pictures, name)
    file = os.path.join(JUDGES, f"{name}_reference.npz")
    mu, sigma = features.mean(0, dtype=np.float64), np.cov(features.astype(np.float64), rowvar=False)
    np.savez_compressed(file, mu=mu, sigma=sigma, features=features[:KEPT], count=PICTURES, **identity(name))
    print(file, os.path.getsize(file), "bytes; trace of sigma", np.trace(sigma), "rank", np.linalg.matrix_rank(sigma))


if __name__ == "__main__":
    name, *files = sys.argv[1:] or [""]
    if name not in ("demo", "demo_t2i") or len(files) != (name == "demo_t2i"):
        sys.exit(__doc__)
    write(name, rendered() if name == "demo" else np.load(files[0]))
