"""Run and study folders as a fit and a study leave them, small and made up."""

import csv
import itertools
import json
import math
import random

import yaml
from PIL import Image

VERSIONS = {"python": "3.11.7", "torch": "2.11.0", "pytorch-lightning": "2.6.5", "torchvision": "0.26.0"}
HARDWARE = {"processor": "x86_64", "cores": 2, "accelerator": "CPUAccelerator", "devices": 1, "gpu": None}


def write_run(
    folder, *, seed=0, latent_dim=16, width=32, level=1.0, batches=200, every=10, finished=True, alarm=None, side=8
):
    """A GAN's run; `level` is where its val/fid ends, `side` the size of its images."""
    noise = random.Random(f"{seed} {latent_dim} {width}")
    (folder / "samples").mkdir(parents=True)
    generator = {"class_path": "lightning_models.networks.DCGANGenerator", "init_args": {"width": width}}
    model = {"class_path": "lightning_models.gan.GAN", "init_args": {"latent_dim": latent_dim, "generator": generator}}
    config = {"seed_everything": seed, "trainer": {"max_epochs": 6}, "model": model, "run_dir": str(folder)}
    (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    steps = range(every - 1, batches if finished else batches // 2, every)
    with (folder / "metrics.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["epoch", "step", "train/d_loss", "train/g_loss", "train/g_gradient_norm", "val/fid"])
        for step in steps:
            decay = math.exp(-4 * step / batches)
            losses = [0.7 + 0.5 * decay * noise.random(), 1 + level * 0.01 + noise.random() * 0.4, 5 + noise.random()]
            writer.writerow([step // 20, step, *losses, ""])
            if step % 20 == 19:
                writer.writerow([step // 20, step, "", "", "", level + 200 * decay + noise.random()])
    for number, step in enumerate(range(0, batches + 1, batches // 4)):
        grid(side // 2, side // 2, side, number / 4, noise).save(folder / "samples" / f"grid-{step:07d}.png")
        if not finished and number == 2:
            break
    if finished:
        grid(9, 1, side, 1, noise).save(folder / "samples" / "interpolation.png")
        grid(4, 4, side, 1, noise).save(folder / "samples" / "confusion_matrix.png")
        for step in (0, batches):
            (folder / "samples" / f"text-{step:07d}.txt").write_text(f"To be, or <not> to be & so on, {step}.\n" * 4)
        summary = {
            "command": f"python cli.py fit -c configs/gan/digits.yaml --model.latent_dim {latent_dim}",
            "model": "GAN",
            "metrics": {"train/d_loss": 0.7, "train/g_loss": 1.5, "val/fid": level, "val/recall": 1 / (1 + level / 50)},
            "parameters": {"generator": 1000 * latent_dim, "discriminator": 33761, "generator_ema": 1000 * latent_dim},
            "batches": batches,
            "epochs": batches // 20,
            "seconds": 61.5,
            "samples_per_second": 7000.0,
            "seed": seed,
            "precision": "32-true",
            "hardware": HARDWARE,
            "versions": VERSIONS,
        }
        (folder / "summary.json").write_text(json.dumps(summary))
    if alarm:
        (folder / "alarms.json").write_text(
            json.dumps([{"name": alarm, "message": "All samples are alike.", "batch": 80}])
        )
    return folder


def grid(columns, rows, side, clarity, noise):
    """Enlarged images of rings, the clearer the higher `clarity`, as `to_picture` lays them out."""
    pixels, padding = bytearray(), max(1, side // 16)
    width, height = columns * (side + padding) + padding, rows * (side + padding) + padding
    radii = [noise.uniform(0.15, 0.4) for _ in range(columns * rows)]
    for y, x in itertools.product(range(height), range(width)):
        column, dx = divmod(x - padding, side + padding)
        row, dy = divmod(y - padding, side + padding)
        if not (0 <= column < columns and 0 <= row < rows and dx < side and dy < side):
            pixels.append(128)
            continue
        distance = abs(math.hypot(dx / side - 0.5, dy / side - 0.5) - radii[row * columns + column])
        ring = 255 * math.exp(-((distance / 0.07) ** 2))
        pixels.append(round(clarity * ring + (1 - clarity) * noise.uniform(80, 160)))
    image = Image.frombytes("L", (width, height), bytes(pixels)).convert("RGB")
    factor = max(1, 640 // width)
    return image.resize((width * factor, height * factor), Image.Resampling.NEAREST)


def write_study(folder, latent_dims=(10, 20, 50), seeds=(0, 1), widths=(32,), failing=True, side=8, **changes):
    """A study over latent_dim, and the generator's width where there are several, with a failed and a pruned trial.

    `side` is the size of the sampled images; `changes` replace keys of study.yaml.
    """
    overrides = {"model.latent_dim": list(latent_dims)}
    if len(widths) > 1:
        overrides["model.generator.width"] = list(widths)
    study = {
        "title": "GAN on digits: size of the latent space",
        "question": "How many latent dimensions does the generator need?",
        "caption": "Report 4, figures 10 and 11, on smaller images.",
        "base": "configs/gan/digits.yaml",
        "grid": overrides,
        "seeds": list(seeds),
        "record": ["val/fid", "val/recall"],
        "direction": "minimize",
        "plot": [{"x": "model.latent_dim", "y": "val/fid", "log_x": True}],
        "command": "python cli.py study configs/studies/report4/latent.yaml --quick",
        "quick": True,
        "versions": VERSIONS,
    } | changes
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "study.yaml").write_text(yaml.safe_dump(study, sort_keys=False))
    rows = []
    for number, (latent_dim, width, seed) in enumerate(itertools.product(latent_dims, widths, seeds)):
        state = "complete"
        if failing and seed == seeds[-1]:
            state = {latent_dims[0]: "failed", latent_dims[-1]: "pruned"}.get(latent_dim, state)
        level = 30 + 20 * abs(math.log2(latent_dim / 32)) + 8 * abs(math.log2(width / 30)) + 3 * seed
        run_dir = f"trials/{number:04d}-latent_dim={latent_dim}-seed={seed}"
        if len(widths) > 1:
            run_dir = f"trials/{number:04d}-latent_dim={latent_dim}-width={width}-seed={seed}"
        done = state == "complete"
        write_run(
            folder / run_dir,
            seed=seed,
            latent_dim=latent_dim,
            width=width,
            level=level,
            finished=done,
            side=side,
            alarm="mode_collapse" if state == "pruned" else None,
        )
        rows.append(
            {
                "trial": number,
                "state": state,
                "run_dir": run_dir,
                "seed": seed,
                "model.latent_dim": latent_dim,
                **({"model.generator.width": width} if len(widths) > 1 else {}),
                "val/fid": level if done else "",
                "val/recall": 1 / (1 + level / 50) if done else "",
                "parameters": 1000 * latent_dim + 33761 if done else "",
                "seconds": 61.5 + latent_dim if done else 20,
                "alarms": 1 if state == "pruned" else 0,
                "error": "ValueError: latent_dim is <10>, expected & wanted more" if state == "failed" else "",
            }
        )
    with (folder / "results.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return folder


def rewrite(path, column, values):
    """Replace a column of a CSV file."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row, value in zip(rows, values, strict=True):
        row[column] = value
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
