"""Distances and densities by SciPy, for scipy_report.ts: answers each line of JSON with another one, as scipy_worker.ts does."""

import json
import sys
import time

import numpy
from scipy.spatial.distance import cdist
from scipy.stats import gaussian_kde


def values(length, seed):
    """Uniform on [-1, 1), the same as in TypeScript."""
    state, out = seed, numpy.empty(length, numpy.float64)
    for i in range(length):
        state = (state * 1664525 + 1013904223) % 2**32
        out[i] = (state >> 8) / 2**23 - 1
    return out


def prepare(task, form, count, dimensions):
    a, b = (values(count * dimensions, seed).reshape(count, dimensions) for seed in (1, 2))
    if task == "distances":
        return lambda: cdist(a, b, "sqeuclidean").ravel()
    if form == "one call":
        return lambda: gaussian_kde(a.T)(b.T)
    estimate = gaussian_kde(a.T)
    return lambda: estimate(b.T)


prepared = {}
for line in sys.stdin:
    request = json.loads(line)
    calls = request.pop("calls")
    key = tuple(request.values())
    if key not in prepared:
        prepared[key] = prepare(**request)
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(calls):
        found = prepared[key]()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    print(json.dumps({"wall": wall * 1000 / calls, "cpu": cpu * 1000 / calls, "results": found[:4].tolist()}), flush=True)
