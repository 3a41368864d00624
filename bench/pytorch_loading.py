"""Loads a model of two checkpoints into PyTorch and says what it took, as bench/loading.ts does for varscale:

    python bench/pytorch_loading.py var.pth vae.pth

prints a line of JSON: milliseconds of CPU time for loading alone (`load`) and of the process with all its imports (`process`),
milliseconds of wall time of loading, and bytes of memory at its peak. One thread. Needs torch.
"""

import json
import sys
import time

import torch
from pytorch_model import load_model, memory

torch.set_num_threads(1)
before, start = time.process_time(), time.perf_counter()
with torch.inference_mode():
    model = load_model(*sys.argv[1:3])
after = time.process_time()
facts = {"load": 1000 * (after - before), "process": 1000 * after, "wall": 1000 * (time.perf_counter() - start)}
print(json.dumps(facts | {"peak": memory("VmHWM")}))
