"""Renders pictures of the class-conditional demo's kind that neither it nor its judges have seen.

    python tools/likelihood/fresh_pictures.py FOLDER [PER_CLASS]

Writes FOLDER/CLASS_NUMBER.png, by default four of each of the 64 classes, with the generator's seed 404.
"""

import pathlib
import sys

import torch
from PIL import Image

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "judges"))
from scenes import render  # noqa: E402

SEED = 404

folder = pathlib.Path(sys.argv[1])
each = int(sys.argv[2]) if len(sys.argv) > 2 else 4
folder.mkdir(parents=True, exist_ok=True)
generator = torch.Generator().manual_seed(SEED)
for number in range(each):
    pictures = render(torch.arange(64), generator)
    for label, picture in enumerate(pictures):
        pixels = (picture.permute(1, 2, 0) * 255).round().to(torch.uint8).numpy()
        Image.fromarray(pixels).save(folder / f"{label:02}_{number}.png")
