"""Trains the reward and the oracle of the class-conditional demo on pictures that are rendered here, and says how good they are.

    python tools/judges/train.py data                # 9600 + 9600 + 2048 pictures, seeds 101, 202, 303
    python tools/judges/train.py reconstruct VAE     # the same through the demo's tokenizer, from its vae.pth
    python tools/judges/train.py reward              # 3000 steps of 64
    python tools/judges/train.py oracle              # 1200 steps of 64
    python tools/judges/train.py export              # models/demo/reward.onnx, evaluation/judges/demo_oracle.onnx, golden numbers
    python tools/judges/train.py evaluate [FOLDER …] # held-out pictures, and those of `varscale generate --output FOLDER`

Minutes of each are in README.md beside this file. Work files go to $JUDGES_WORK, or a folder of the system's for passing things. Needs
torch, numpy and pillow; to export, onnx and onnxruntime; golden numbers are written by safetensors.
"""

import json
import math
import os
import sys
import tempfile

import numpy as np
import torch
import torch.nn.functional as F
from demo_tokenizer import SIZES, Tokenizer
from networks import CLASSES, Oracle, Reward
from scenes import render

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "../..")
WORK = os.environ.get("JUDGES_WORK") or os.path.join(tempfile.gettempdir(), "varscale-judges")
FILES = {"reward": "models/demo/reward.onnx", "oracle": "evaluation/judges/demo_oracle.onnx"}
OUTPUTS = {"reward": ["logits", "features"], "oracle": ["logits"]}
SETS = {"reward": (101, 9600), "oracle": (202, 9600), "held_out": (303, 2048)}
BATCH = 64
# Going through the tokenizer takes as long as rendering.
MOST_SHOWN = 4800
torch.set_num_threads(1)


def work(name):
    return os.path.join(WORK, name)


def floats(pictures):
    return pictures.float() / 255


def byte_values(pictures):
    return (pictures * 255).round().to(torch.uint8)


def labels_of(pictures):
    return torch.arange(len(pictures)) % CLASSES


def data():
    for name, (seed, count) in SETS.items():
        generator = torch.Generator().manual_seed(seed)
        batches = [byte_values(render(torch.arange(CLASSES), generator)) for _ in range(count // CLASSES)]
        torch.save(torch.cat(batches), work(f"{name}.pt"))


@torch.inference_mode()
def reconstruct(vae_file):
    """Half of the pictures get tokens that are a little wrong. A search shows its reward unfinished pictures, too: every fourth."""
    tokenizer = Tokenizer(vae_file)
    for name, (seed, _) in SETS.items():
        pictures, shown = torch.load(work(f"{name}.pt"))[:MOST_SHOWN], []
        generator = torch.Generator().manual_seed(seed + 1)
        for i, batch in enumerate(pictures.split(BATCH)):
            wrong = 0.0 if i % 2 else 0.5 * torch.rand((), generator=generator).item()
            scales = 3 + i // 4 % 3 if name == "reward" and i % 4 == 1 else len(SIZES)
            shown.append(byte_values(tokenizer.reconstruct(floats(batch), wrong, scales, generator)))
        torch.save(torch.cat(shown), work(f"{name}_shown.pt"))


def damaged(x):
    """Half of the pictures blurred, noisy, lighter or darker: lightly, for what is painted is never quite like what is rendered."""
    count = len(x)

    def chance(share):
        return torch.rand(count, 1, 1, 1) < share

    near = F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), 3, 1)
    half = F.interpolate(F.avg_pool2d(x, 2), scale_factor=2.0, mode="bilinear")
    y = torch.where(chance(0.5), 0.3 * x + 0.7 * near, torch.where(chance(0.3), half, x))
    y = y + 0.03 * torch.randn_like(x) * chance(0.5) + 0.05 * (torch.rand(count, 3, 1, 1) - 0.5)
    return torch.where(chance(0.5), y.clamp(0, 1), x)


def train(name, network, steps, rate, extra=None):
    """Half of a batch is rendered, half reconstructed; a random half of it is mirrored. `extra` adds a loss to that of the classes."""
    sources = [torch.load(work(f"{name}.pt")), torch.load(work(f"{name}_shown.pt"))]
    parameters = list(network.parameters()) + (list(extra.parameters()) if extra else [])
    optimizer = torch.optim.AdamW(parameters, lr=rate, weight_decay=0.05)
    seen = []
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1, (step + 1) / 100) * (0.51 + 0.49 * math.cos(math.pi * step / steps))
        rows = [torch.randint(len(source), (BATCH // 2,)) for source in sources]
        x = floats(torch.cat([source[row] for source, row in zip(sources, rows)]))
        x = damaged(torch.where(torch.rand(BATCH, 1, 1, 1) < 0.5, x.flip(3), x))
        output = network(x)
        logits = output[0] if extra else output
        loss = F.cross_entropy(logits, torch.cat(rows) % CLASSES)
        seen.append(loss.item())
        if extra:
            loss = loss + extra(output[1], x)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        if step % 250 == 249:
            print(name, step + 1, "loss", round(float(np.mean(seen[-250:])), 4), flush=True)
    torch.save(network.state_dict(), work(f"{name}_network.pt"))


class Sketch(torch.nn.Module):
    """Asks of each patch's features what the patch looks like, at half its size, so that they tell more of a picture than its class."""

    def __init__(self, channels):
        super().__init__()
        self.paint = torch.nn.Linear(channels, 3 * 4 * 4)

    def forward(self, features, image):
        small = F.avg_pool2d(image, 2)
        return 5 * F.mse_loss(self.paint(features), F.unfold(small, 4, stride=4).transpose(1, 2))


def reward():
    torch.manual_seed(11)
    network = Reward()
    train("reward", network, 3000, 2e-3, Sketch(network.channels))


def oracle():
    torch.manual_seed(23)
    train("oracle", Oracle(), 1200, 3e-3)


def networks():
    """Both, trained."""
    made = {"reward": Reward(), "oracle": Oracle()}
    for name, network in made.items():
        network.load_state_dict(torch.load(work(f"{name}_network.pt")))
        network.eval()
    return made


@torch.inference_mode()
def export():
    """Both as ONNX, held against ONNX Runtime, and what they say of eight pictures, for the tests of the project."""
    import onnxruntime
    from features import add_class_features
    from safetensors.torch import save_file

    # Each shape and each colour once; the first four rendered, the others reconstructed.
    rows = torch.tensor([9 * k for k in range(8)])
    pictures = torch.cat([torch.load(work("held_out.pt"))[rows[:4]], torch.load(work("held_out_shown.pt"))[rows[4:]]])
    golden = {"pictures": pictures.permute(0, 2, 3, 1).contiguous(), "labels": rows.to(torch.int32)}
    for name, network in networks().items():
        file = os.path.join(ROOT, FILES[name])
        write_graph(network, file, OUTPUTS[name])
        session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
        # A batch of another size than the one that was traced comes first.
        for x in (floats(pictures[:3]), floats(pictures)):
            outputs = network(x) if name == "reward" else (network(x),)
            for output, ours, theirs in zip(OUTPUTS[name], outputs, session.run(None, {"image": x.numpy()})):
                error, most = (ours - torch.from_numpy(theirs)).abs().max().item(), ours.abs().max().item()
                print(f"{FILES[name]}, {output}: up to {most:.1f} in size, off by {error:.1e}; {os.path.getsize(file)} bytes")
                assert error < 1e-5 * max(1, most), error
                golden[f"{name}.{output}"] = ours.contiguous()
    # Sets of pictures are compared by what the oracle sees; the reference has to be taken of it anew.
    add_class_features()
    print("now run reference.py demo: evaluation/judges/demo_reference.npz is of the network that was there before")
    golden["reward.features"] = golden["reward.features"][:2].contiguous()
    save_file(golden, os.path.join(ROOT, "tests/fixtures/golden/demo/judges.safetensors"))


def write_graph(network, file, outputs):
    import onnx

    names = {"input_names": ["image"], "output_names": outputs, "dynamic_axes": {name: {0: "n"} for name in ["image", *outputs]}}
    torch.onnx.export(network, (torch.zeros(8, 3, 64, 64),), file, **names, opset_version=17, dynamo=False)
    # The exporter does not know that all sizes but the number of pictures are fixed.
    model = onnx.load(file)
    for output in model.graph.output:
        for axis in output.type.tensor_type.shape.dim[1:]:
            axis.dim_value = 64
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, file)


def share(right):
    return f"{100 * right.float().mean().item():5.1f} %"


@torch.inference_mode()
def log_probabilities(network, pictures):
    outputs = [network(floats(batch)) for batch in pictures.split(256)]
    return torch.cat([output[0] if isinstance(output, tuple) else output for output in outputs]).log_softmax(1)


def rank_correlation(a, b):
    """Spearman's; no two log-probabilities are equal."""
    ranks = torch.stack([x.argsort().argsort().double() for x in (a, b)])
    return torch.corrcoef(ranks)[0, 1].item()


def generated(folder):
    """Pictures of `varscale generate` and their classes."""
    from PIL import Image

    with open(os.path.join(folder, "run.json")) as file:
        images = json.load(file)["images"]
    files = [os.path.join(folder, image["file"]) for image in images]
    pixels = [np.array(Image.open(file).convert("RGB")) for file in files]
    return torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2), torch.tensor([image["label"]["id"] for image in images])


def evaluate(*folders):
    rendered, shown = torch.load(work("held_out.pt")), torch.load(work("held_out_shown.pt"))
    # Those with wrong tokens are the even batches, see `reconstruct`.
    even = torch.arange(len(shown)) // BATCH % 2 == 0
    labels = labels_of(rendered)
    sets = {"rendered": (rendered, labels), "reconstructed": (shown[~even], labels[~even])}
    sets |= {"of some wrong tokens": (shown[even], labels[even])}
    sets |= {folder: generated(folder) for folder in folders}
    both = networks()
    for name, (pictures, truth) in sets.items():
        said, likely = {}, {}
        for judge, network in both.items():
            logs = log_probabilities(network, pictures)
            said[judge] = logs.argmax(1)
            likely[judge] = logs.gather(1, truth[:, None])[:, 0]
            shape, colour = said[judge] // 8 == truth // 8, said[judge] % 8 == truth % 8
            print(f"{name}, {len(truth)}: {judge} shape {share(shape)} colour {share(colour)} both {share(shape & colour)}")
        agree, rank = share(said["reward"] == said["oracle"]), rank_correlation(likely["reward"], likely["oracle"])
        print(f"{name}: they agree on {agree}, rank correlation of log-probabilities {rank:.3f}")


if __name__ == "__main__":
    os.makedirs(WORK, exist_ok=True)
    steps = {step.__name__: step for step in (data, reconstruct, reward, oracle, export, evaluate)}
    name, *arguments = sys.argv[1:] or [""]
    sys.exit(__doc__) if name not in steps else steps[name](*arguments)
