"""Metrics by NumPy and SciPy, as the field's tools take them, for metrics_report.ts: answers each line of JSON with another one."""

import json
import resource
import sys
import time

import numpy as np
import scipy.linalg


def made(seed, count, dimensions):
    """Rows of sums of four uniform numbers, the same as in TypeScript."""
    x = np.arange(4 * count * dimensions, dtype=np.uint64) * 0x9E3779B1 + seed * 0x85EBCA6B & 0xFFFFFFFF
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35), (16, 1)):
        x = (x ^ x >> shift) * factor & 0xFFFFFFFF
    return (x.reshape(-1, 4).sum(axis=1) / 2**32 - 2).astype(np.float32).reshape(count, dimensions)


def moments(rows):
    return rows.mean(axis=0, dtype=np.float64), np.cov(rows, rowvar=False)


def around(first, second, root):
    (m1, s1), (m2, s2) = first, second
    return (m1 - m2) @ (m1 - m2) + np.trace(s1) + np.trace(s2) - 2 * root


def by_eigenvalues(first, second):
    return around(first, second, np.sqrt(np.linalg.eigvals(first[1] @ second[1]).astype(complex)).real.sum())


def by_square_root(first, second):
    return around(first, second, np.trace(scipy.linalg.sqrtm(first[1] @ second[1])).real)


def squares(a, b):
    return np.maximum((a**2).sum(1)[:, None] - 2 * (a @ b.T) + (b**2).sum(1)[None], 0)


def precision(real, generated):
    radius = lambda rows: np.partition(squares(rows, rows), 3, axis=1)[:, 3]
    between = squares(real, generated)
    return (between <= radius(real)[:, None]).any(axis=0).mean(), (between <= radius(generated)[None]).any(axis=1).mean()


def kernel(x, y):
    k = lambda u, v: (u @ v.T / u.shape[1] + 1) ** 3
    n = len(x)
    inner = lambda u: (k(u, u).sum() - np.trace(k(u, u))) / (n * (n - 1))
    return inner(x) + inner(y) - 2 * k(x, y).mean()


def inception(logits):
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    p = np.exp(log_p)
    parts = [slice(i * len(p) // 10, (i + 1) * len(p) // 10) for i in range(10)]
    return np.mean([np.exp((p[s] * (log_p[s] - np.log(p[s].mean(0)))).sum(1).mean()) for s in parts])


def prepare(task, way, count, dimensions):
    if task == "streamed moments":
        # As the tools have it, with all rows in memory.
        rows = np.tile(made(1, 500, dimensions), (count // 500, 1))
        return lambda: [moments(rows)[1][0, 0]]
    first, second = (made(seed, count, dimensions) for seed in (1, 2))
    if task == "moments":
        return lambda: [moments(first)[1][0, 0]]
    if task == "eigenvalues":
        covariance = moments(first)[1]
        return lambda: np.linalg.eigvalsh(covariance)[[0, -1]].tolist()
    by = by_square_root if way == "sqrtm" else by_eigenvalues
    if task == "frechet of statistics":
        statistics = moments(first), moments(second)
        return lambda: [by(*statistics)]
    if task == "frechet of rows":
        return lambda: [by(moments(first), moments(second))]
    if task == "precision and recall":
        return lambda: list(precision(first, second))
    if task == "kernel distance":
        wide = first.astype(np.float64), second.astype(np.float64)
        return lambda: [kernel(*wide)]
    return lambda: [inception(4 * first)]


prepared = {}
for line in sys.stdin:
    request = json.loads(line)
    key = tuple(request.values())
    if key not in prepared:
        prepared.clear()
        prepared[key] = prepare(**request)
    wall, cpu = time.perf_counter(), time.process_time()
    found = prepared[key]()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    # Kibibytes, on Linux.
    peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"wall": wall, "cpu": cpu, "results": [float(value) for value in found], "peak": peak}), flush=True)
