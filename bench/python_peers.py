"""What the kernels compute, by the libraries of Python, on the CPU: scipy, scikit-learn and PyTorch.

The formulas are written as users of these libraries write them, with the library's own function where there is one. Each is first checked
against a float64 formula on a small shape. Prints a table and writes bench/peers/recorded.json, which the report shows beside the cases of
the same kernel and shape.

    python bench/python_peers.py [--threads 2] [--seconds 2] [--output bench/peers/recorded.json]

Takes about three minutes on two cores, and wants a machine on which nothing else runs. Needs numpy, scipy, scikit-learn and torch. Only
PyTorch uses the threads; scipy and scikit-learn compute with one, and in float64. scikit-learn's estimate is made for few dimensions.
"""

import argparse
import datetime
import json
import os
import platform
import statistics
import sys
import time
from pathlib import Path

import numpy
import scipy
import sklearn
import torch
from scipy.spatial.distance import cdist
from scipy.stats import gaussian_kde
from sklearn.neighbors import KernelDensity

DIMENSIONS = 32


def normal(*shape, seed=1):
    return numpy.random.default_rng(seed).standard_normal(shape, dtype=numpy.float32)


def distance_calls(rows, columns, dimensions):
    a, b = normal(rows, dimensions, seed=1), normal(columns, dimensions, seed=2)
    wanted = lambda: exact_distances(a, b)
    yield "scipy cdist", scipy.__version__, 1, lambda: cdist(a, b, "sqeuclidean"), wanted
    x, y = torch.from_numpy(a), torch.from_numpy(b)
    yield "torch cdist, squared", torch.__version__, None, lambda: torch.cdist(x, y).square_(), wanted
    out = torch.empty(rows, columns)
    yield "torch norm expansion", torch.__version__, None, lambda: torch_distances(x, y, out), wanted


def kde_calls(points, queries, dimensions, bandwidth=2.5):
    data = normal(points, dimensions)
    at = data if queries == points else normal(queries, dimensions, seed=2)
    scale = 1 / (2 * bandwidth**2)
    wanted = lambda: numpy.exp(-scale * exact_distances(at, data)).sum(1)
    wide, wide_at = data.astype(numpy.float64), at.astype(numpy.float64)
    # What both estimate is divided by the number of points and the volume of the kernel.
    volume = points * (2 * numpy.pi * bandwidth**2) ** (dimensions / 2)
    estimate = gaussian_kde(wide.T)
    # Its bandwidth would follow the data's covariance; here it is the same in all directions.
    estimate.cho_cov = bandwidth * numpy.eye(dimensions)
    yield "scipy gaussian_kde", scipy.__version__, 1, lambda: estimate(wide_at.T) * volume, wanted
    tree = KernelDensity(bandwidth=bandwidth).fit(wide)
    yield "scikit-learn KernelDensity", sklearn.__version__, 1, lambda: numpy.exp(tree.score_samples(wide_at)) * volume, wanted
    x, y = torch.from_numpy(at), torch.from_numpy(data)
    out = torch.empty(queries, points)
    yield "torch matrix", torch.__version__, None, lambda: torch_distances(x, y, out).mul_(-scale).exp_().sum(1), wanted


def nearest_calls(count, vocabulary, channels):
    features, codebook = normal(count, channels, seed=1), normal(vocabulary, channels, seed=2)
    wanted = lambda: exact_distances(features, codebook).argmin(1)
    x, y = torch.from_numpy(features), torch.from_numpy(codebook)

    out = torch.empty(count, vocabulary)

    def expansion():
        return torch.addmm(y.square().sum(1), x, y.T, alpha=-2, out=out).argmin(1)

    yield "torch norm expansion", torch.__version__, None, expansion, wanted
    yield "torch cdist", torch.__version__, None, lambda: torch.cdist(x, y).argmin(1), wanted


def lookup_calls(positions, vocabulary, channels):
    codebook = normal(vocabulary, channels)
    tokens = numpy.random.default_rng(2).integers(0, vocabulary, positions)
    table, indices = torch.from_numpy(codebook), torch.from_numpy(tokens)
    yield "torch embedding", torch.__version__, None, lambda: torch.embedding(table, indices), lambda: codebook[tokens]


def sample_calls(rows, vocabulary, topK, topP):
    logits = 2.5 * torch.from_numpy(normal(rows, vocabulary))

    def draw():
        if topK == 0 and topP == 0:
            return torch.multinomial(logits.softmax(1), 1)
        values, tokens = logits.topk(topK or vocabulary, dim=1)
        probabilities = values.softmax(1)
        before = probabilities.cumsum(1) - probabilities
        probabilities = probabilities.masked_fill_(before >= (topP or 1), 0)
        return tokens.gather(1, torch.multinomial(probabilities, 1))

    name = "torch multinomial" if topK == 0 and topP == 0 else "torch topk, multinomial"
    yield name, torch.__version__, None, draw, lambda: keeps(logits.numpy(), topK, topP)


def hamming_calls(draws, positions, bits):
    # Bits that are 1 in one candidate of four, as numbers.
    data = (numpy.random.default_rng(1).random((positions, draws, bits)) < 0.25).astype(numpy.float32)
    factor = (draws * (bits + 2) / 4) ** (-1 / (bits + 4))
    x = torch.from_numpy(data)

    def by_position(distances):
        scores = torch.zeros(draws)
        for place in x:
            bandwidth = factor * place.std(0, unbiased=False).mean() + 1e-6
            scores += distances(place).mul_(-1 / (2 * bandwidth**2)).exp_().sum(1)
        return scores

    def exact():
        bandwidths = factor * data.astype(numpy.float64).std(1).mean(1) + 1e-6
        values = [numpy.exp(-exact_distances(p, p) / (2 * h**2)) for p, h in zip(data, bandwidths)]
        return numpy.sum(values, (0, 1))

    version = torch.__version__
    out = torch.empty(draws, draws)
    yield "torch cdist by position", version, None, lambda: by_position(lambda p: torch.cdist(p, p).square_()), exact
    yield "torch norm expansion by position", version, None, lambda: by_position(lambda p: torch_distances(p, p, out)), exact


def torch_distances(x, y, out):
    """In memory of the caller's: fresh memory of tens of MiB costs more than the arithmetic."""
    torch.addmm(y.square().sum(1), x, y.T, alpha=-2, out=out)
    return out.add_(x.square().sum(1, keepdim=True)).clamp_(min=0)


def exact_distances(a, b):
    return ((a[:, None].astype(numpy.float64) - b[None].astype(numpy.float64)) ** 2).sum(2)


def keeps(logits, topK, topP):
    """Which tokens truncation keeps, row by row."""
    order = (-logits).argsort(1)[:, : topK or None]
    weights = numpy.exp(numpy.take_along_axis(logits, order, 1).astype(numpy.float64))
    weights /= weights.sum(1, keepdims=True)
    kept = numpy.zeros(logits.shape, bool)
    numpy.put_along_axis(kept, order, weights.cumsum(1) - weights < (topP or 1), 1)
    return kept


KERNELS = {
    "distance": distance_calls,
    "kde": kde_calls,
    "nearest": nearest_calls,
    "lookup": lookup_calls,
    "sample": sample_calls,
    "hamming density": hamming_calls,
}

SMALL = {
    "distance": {"rows": 67, "columns": 131, "dimensions": DIMENSIONS},
    "kde": {"points": 131, "queries": 67, "dimensions": DIMENSIONS},
    "nearest": {"count": 77, "vocabulary": 301, "channels": DIMENSIONS},
    "lookup": {"positions": 77, "vocabulary": 301, "channels": DIMENSIONS},
    "sample": {"rows": 1000, "vocabulary": 64, "topK": 20, "topP": 0.9},
    "hamming density": {"draws": 61, "positions": 3, "bits": 10},
}

CASES = [
    *(("distance", {"rows": n, "columns": n, "dimensions": d}) for n, d in [(1000, 4), (1000, 32), (4096, 4), (4096, 32)]),
    *(("distance", {"rows": 1024, "columns": 1024, "dimensions": d}) for d in [128, 512]),
    *(("kde", {"points": n, "queries": n, "dimensions": DIMENSIONS}) for n in [1000, 4096, 16384]),
    ("kde", {"points": 16384, "queries": 16384, "dimensions": 2}),
    ("kde", {"points": 100000, "queries": 1000, "dimensions": DIMENSIONS}),
    *(("nearest", {"count": n, "vocabulary": 4096, "channels": DIMENSIONS}) for n in [256, 1000, 4096, 16384]),
    *(("lookup", {"positions": n, "vocabulary": 4096, "channels": DIMENSIONS}) for n in [4096, 65536]),
    ("sample", {"rows": 256, "vocabulary": 4096, "topK": 0, "topP": 0}),
    *(
        ("sample", {"rows": rows, "vocabulary": vocabulary, "topK": 900, "topP": 0.96})
        for rows, vocabulary in [(256, 4096), (1024, 1024), (32, 16384), (8, 65536)]
    ),
    *(
        ("hamming density", {"draws": draws, "positions": 36, "bits": bits})
        for draws, bits in [(1000, 32), (3000, 32), (1000, 64)]
    ),
]

# Its tree takes many seconds a call there.
TOO_SLOW = {("scikit-learn KernelDensity", 16384), ("scikit-learn KernelDensity", 100000)}


def check(kernel):
    """Compares what the libraries compute with the formula, on a small shape."""
    for library, _, _, call, wanted in KERNELS[kernel](**SMALL[kernel]):
        found, expected = numpy.asarray(call()), wanted()
        if kernel == "sample":
            assert numpy.take_along_axis(expected, found, 1).all(), library
            continue
        assert found.shape == expected.shape, (kernel, library)
        error = numpy.abs(found - expected).max() / numpy.abs(expected).max()
        assert error <= 1e-5, (kernel, library, error)


def median_time(call, seconds):
    """Milliseconds of a call: the median over all that fit, three at least, after one that is not counted."""
    call()
    times = []
    begin = time.perf_counter()
    while len(times) < 3 or time.perf_counter() - begin < seconds:
        start = time.perf_counter()
        call()
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times)


def processor():
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--output", default=Path(__file__).parent / "peers" / "recorded.json")
    options = parser.parse_args()
    if os.getloadavg()[0] > 0.5:
        print("Other programs are running; do not keep these figures", file=sys.stderr)
    torch.set_num_threads(options.threads)
    torch.manual_seed(7)
    entries = []
    with torch.inference_mode():
        for kernel in SMALL:
            check(kernel)
        for kernel, shape in CASES:
            for library, version, threads, call, _ in KERNELS[kernel](**shape):
                if any((library, number) in TOO_SLOW for number in shape.values()):
                    continue
                used = threads or options.threads
                entry = {
                    "kernel": kernel,
                    "shape": shape,
                    "library": library,
                    "version": version,
                    "machine": f"{processor()}, {used} thread{'s' if used > 1 else ''}",
                    "milliseconds": float(f"{median_time(call, options.seconds):.4g}"),
                    "date": datetime.date.today().isoformat(),
                }
                entries.append(entry)
                size = ", ".join(f"{name} {number}" for name, number in shape.items())
                print(f"{kernel:16}{size:50}{library:34}{entry['milliseconds']:10.4g} ms  {used} thread(s)", flush=True)
    Path(options.output).write_text(json.dumps(entries, indent=2) + "\n")


if __name__ == "__main__":
    main()
