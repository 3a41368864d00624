#!/usr/bin/env bash
# torchmetrics hands pictures to a feature network of one's own in two ways: with normalize=True,
# FrechetInceptionDistance and KernelInceptionDistance pass on the floats that they are given, as KID's
# documentation promises of a custom extractor, but InceptionScore turns them into bytes from 0 to 255 first.
# One module under all three therefore sees other numbers under one of them, or raises an error where it
# multiplies bytes by floats; and what is cut off to bytes is rounded down, so that levels which went from -1
# to 1 and back lose one now and then. So our Inception Score is taken of logits, and held against torchmetrics
# by networks that are given no pictures (tests/fixtures/evaluation/metrics/). Prints what each of them passes
# on; exits with 1 if it is no longer as described.
#
# Needs Python 3 with venv. Installs torchmetrics 1.9.0 and torch 2.13.0 from PyPI in a folder of its own and
# removes it.
# Documentation: https://lightning.ai/docs/torchmetrics/v1.9.0/image/inception_score.html
# and https://lightning.ai/docs/torchmetrics/v1.9.0/image/kernel_inception_distance.html
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet torchmetrics==1.9.0 torch==2.13.0 numpy==2.4.6

cat >pass_on.py <<'PY'
import warnings

import torch
import torchmetrics
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.inception import InceptionScore
from torchmetrics.image.kid import KernelInceptionDistance

warnings.filterwarnings("ignore")
print("torchmetrics", torchmetrics.__version__, "torch", torch.__version__)


class Network(torch.nn.Module):
    """Four numbers of each picture; remembers what it was given."""

    num_features = 4

    def forward(self, pictures):
        self.type, self.most = str(pictures.dtype), float(pictures.max())
        return pictures.flatten(1).float()[:, :4]


pictures = torch.linspace(0, 1, 8 * 3 * 4 * 4).reshape(8, 3, 4, 4)
seen = {}
for metric, options in (
    (InceptionScore, {"splits": 2}),
    (FrechetInceptionDistance, {}),
    (KernelInceptionDistance, {"subset_size": 2}),
):
    network = Network()
    made = metric(feature=network, normalize=True, **options)
    made.update(pictures) if metric is InceptionScore else made.update(pictures, real=True)
    seen[metric.__name__] = (network.type, network.most)
    print(f"{metric.__name__} passes on {network.type} up to {network.most}")

levels = torch.arange(256).float()
back = ((levels / 127.5 - 1 + 1) / 2 * 255).byte().float()
lost = int((back != levels).sum())
print(f"levels that are one lower after -1..1 and back: {lost} of 256")

floats = ("torch.float32", 1.0)
expected = {
    "InceptionScore": ("torch.uint8", 255.0),
    "FrechetInceptionDistance": floats,
    "KernelInceptionDistance": floats,
}
if seen != expected or lost == 0:
    raise SystemExit("The behaviour has changed.")
PY
venv/bin/python pass_on.py
