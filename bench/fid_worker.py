"""FID in PyTorch, from pictures to the number, as torch-fidelity takes it, for fid_report.ts: TensorFlow's resizing, batches of 64,
features in float32, mean and covariance in NumPy's double precision, SciPy's root of a product of matrices.

    python bench/fid_worker.py FOLDER [--threads 2]

answers each line of JSON with another one. Asked to write, it makes the files that both sides read: a network of random weights, pictures,
and statistics of others. Needs torch, torchvision and scipy.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
import scipy.linalg
import torch

FIXTURES = Path(__file__).parent.parent / "tests/fixtures"
sys.path += [str(FIXTURES / "vision"), str(FIXTURES / "evaluation")]

import inception  # noqa: E402
from formula import weight  # noqa: E402
from inception_fid import CLASSES, tensorflow  # noqa: E402
from pytorch_model import memory  # noqa: E402

BATCH = 64
# The recorded one is thinned out.
inception.THIN = 1
NETWORK = inception.network(fid=True).float()


def made(seed, count, side):
    """Pictures of random squares under noise."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 224, (count, side, side, 3)).repeat(64 // side, 1).repeat(64 // side, 2)
    return (coarse + random.integers(0, 32, coarse.shape)).astype(np.uint8)


@torch.inference_mode()
def features_of(pictures, layout):
    network = NETWORK.to(memory_format=layout)
    prepared = (tensorflow(pictures[i : i + BATCH]) for i in range(0, len(pictures), BATCH))
    return torch.cat([network(batch.contiguous(memory_format=layout)) for batch in prepared]).numpy()


def moments(features):
    features = features.astype(np.float64)
    return features.mean(axis=0), np.cov(features, rowvar=False)


def distance(first, second):
    (m1, s1), (m2, s2) = first, second
    root = scipy.linalg.sqrtm(s1 @ s2)
    return float((m1 - m2) @ (m1 - m2) + np.trace(s1) + np.trace(s2) - 2 * np.trace(root).real)


def write(folder, count):
    shapes = {"fc.weight": (CLASSES, 2048), "fc.bias": (CLASSES,)}
    classes = {name: torch.from_numpy(weight(name, shape)) for name, shape in shapes.items()}
    torch.save(NETWORK.state_dict() | classes, folder / "network.pth")
    np.savez(folder / "pictures.npz", arr_0=made(1, count, 8))
    mean, covariance = moments(features_of(made(2, 256, 4), torch.channels_last))
    # Of as many pictures as references have, it would be of full rank.
    covariance += 0.1 * np.trace(covariance) / len(mean) * np.eye(len(mean))
    np.savez(folder / "reference.npz", mu=mean, sigma=covariance)
    return {}


def measure(folder, layout):
    times = []
    mark = lambda: times.append((time.process_time(), time.perf_counter()))
    mark()
    NETWORK.load_state_dict(torch.load(folder / "network.pth"), strict=False)
    mark()
    with np.load(folder / "pictures.npz") as archive:
        features = features_of(archive["arr_0"], getattr(torch, layout))
    mark()
    with np.load(folder / "reference.npz") as archive:
        value = distance(moments(features), (archive["mu"], archive["sigma"]))
    mark()
    cpu, wall = (np.diff(kind).tolist() for kind in zip(*times))
    return {"cpu": cpu, "wall": wall, "value": value, "peak": memory("VmHWM")}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    for line in sys.stdin:
        request = json.loads(line)
        task = write if "count" in request else measure
        print(json.dumps(task(arguments.folder, **request)), flush=True)
