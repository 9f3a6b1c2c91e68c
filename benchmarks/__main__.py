"""Training steps a second under the Trainer, against a bare loop with the same networks, data and arithmetic.

Both sides take turns, a window each, so that a busy machine slows both; the ratio is the median over the rounds. The
bare loop does what the GAN step does (one generator forward, D frozen in G's update, fused Adam, channels-last) and
nothing else: no Trainer, no logging, no hooks.
"""

import argparse
import statistics
import time
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from pytorch_lightning import Callback, Trainer

from datamodules.tensor_dataset import TensorLoader
from lightning_models.callbacks.throughput import Throughput
from lightning_models.gan import GAN, frozen
from lightning_models.networks import DCGANDiscriminator, DCGANGenerator, MLPDiscriminator, MLPGenerator

IMAGE_SHAPE, LATENT_DIM = (1, 28, 28), 64
TASKS: dict[str, tuple[Any, Any, int]] = {
    "MLP GAN 28x28, batch 64": (MLPGenerator, MLPDiscriminator, 64),
    "small DCGAN 28x28, batch 128": (partial(DCGANGenerator, width=32), partial(DCGANDiscriminator, width=32), 128),
}


class Window(Callback):
    """Seconds between the end of the first `warm_up` batches and the end of the last."""

    def __init__(self, warm_up: int) -> None:
        self.warm_up, self.started, self.seconds = warm_up, 0.0, 0.0

    def on_train_batch_end(self, trainer: Trainer, *args: Any) -> None:
        if trainer.global_step == self.warm_up:
            self.started = time.perf_counter()

    def on_train_end(self, *args: Any) -> None:
        self.seconds = time.perf_counter() - self.started


def scaled(images: torch.Tensor) -> torch.Tensor:
    return images.float() / 127.5 - 1


def lightning_window(make_gan: Callable[[], GAN], loader: TensorLoader, batches: int, precision: str) -> float:
    """Steps a second of the project's own step under the Trainer, its metrics logged every 50 batches."""

    class Scaled(GAN):
        def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
            return scaled(batch[0]), batch[1]

    window = Window(warm_up=5)
    gan = make_gan()
    gan.__class__ = Scaled
    trainer = Trainer(
        accelerator="cpu",
        max_steps=batches + window.warm_up,
        precision=precision,  # type: ignore[arg-type]
        callbacks=[window, Throughput()],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(gan, loader)
    return batches / window.seconds


def bare_window(make_gan: Callable[[], GAN], loader: TensorLoader, batches: int, precision: str) -> float:
    """Steps a second of a loop that does only what must be done."""
    gan = make_gan()
    generator, discriminator = gan.generator, gan.discriminator
    adam = partial(torch.optim.Adam, lr=2e-4, betas=(0.5, 0.999), fused=True)
    d_optimizer, g_optimizer = adam(discriminator.parameters()), adam(generator.parameters())
    autocast = partial(torch.autocast, "cpu", torch.bfloat16, enabled=precision != "32-true", cache_enabled=False)

    def step(images: torch.Tensor) -> None:
        real = scaled(images)
        with autocast():
            fake = generator(torch.randn(len(real), LATENT_DIM))
            d_loss = F.softplus(-discriminator(real)).mean() + F.softplus(discriminator(fake.detach())).mean()
        d_optimizer.zero_grad()
        d_loss.backward()
        d_optimizer.step()
        with frozen(discriminator):
            with autocast():
                g_loss = F.softplus(-discriminator(fake)).mean()
            g_optimizer.zero_grad()
            g_loss.backward()
            g_optimizer.step()

    done, started = 0, 0.0
    while True:
        for images, _ in loader:
            if done == 5:
                started = time.perf_counter()
            if done == batches + 5:
                return batches / (time.perf_counter() - started)
            step(images)
            done += 1


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batches", type=int, default=100, help="in a window")
    given = parser.parse_args()
    warnings.filterwarnings("ignore")  # of Lightning, about loaders that are not asked for
    import logging

    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (20_000, *IMAGE_SHAPE), dtype=torch.uint8, generator=generator)
    threads = torch.get_num_threads()
    print(f"torch {torch.__version__}, {threads} threads, {given.rounds} rounds of {given.batches} batches")
    print(f"{'task':32} {'precision':11} {'bare loop':>12} {'Trainer':>12} {'ratio (lowest to highest)':>28}")
    for name, (generator_class, discriminator_class, batch_size) in TASKS.items():
        loader = TensorLoader((images, torch.zeros(len(images))), batch_size, shuffle=True)
        make_gan = partial(
            GAN, IMAGE_SHAPE, latent_dim=LATENT_DIM, generator=generator_class, discriminator=discriminator_class
        )
        for precision in ("32-true", "bf16-mixed"):
            bare, lightning = [], []
            for _ in range(given.rounds):
                bare.append(bare_window(make_gan, loader, given.batches, precision) * batch_size)
                lightning.append(lightning_window(make_gan, loader, given.batches, precision) * batch_size)
            ratios = [ours / theirs for ours, theirs in zip(lightning, bare, strict=True)]
            rates = f"{statistics.median(bare):>8,.0f} im/s {statistics.median(lightning):>7,.0f} im/s"
            ratio = f"{statistics.median(ratios):>15.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
            print(f"{name:32} {precision:11} {rates} {ratio}", flush=True)


if __name__ == "__main__":
    main()
