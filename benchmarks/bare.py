"""Bare loops, one for each task: the networks and the arithmetic of a config, and nothing else.

    python -m benchmarks.bare TASK DATA_ROOT PROGRESS

No Lightning, no hooks, no logging, no checkpoints; fused optimizers, channels-last, one gather a batch, one pass
through G a step. Classifiers and VAEs validate after each epoch, as the command does: the loss on the held-out images,
nothing more. Batches of surnames are made beforehand and read in turn.
"""

import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.progress import Progress
from benchmarks.stand_in_data import read_idx
from lightning_models.networks import (
    CharacterDropout,
    CharRNN,
    CNNClassifier,
    ConvDiscriminator,
    ConvGenerator,
    DCGANDiscriminator,
    DCGANGenerator,
    ExponentialMovingAverage,
    MLPClassifier,
    MLPDiscriminator,
    MLPGenerator,
    RecurrentNetwork,
)

SHAPE = (1, 28, 28)
Images = tuple[Tensor, Tensor]
Step = Callable[..., int]  # trains on a batch and returns the number of its samples
bf16 = partial(torch.autocast, "cpu", torch.bfloat16, cache_enabled=False)
Adam = partial(torch.optim.Adam, fused=True)


def images(root: Path, part: str) -> Images:
    """uint8 (count, 1, 28, 28) and labels."""
    raw = root / "MNIST" / "raw"
    found = torch.from_numpy(read_idx(raw / f"{part}-images-idx3-ubyte"))[:, None]
    return found, torch.from_numpy(read_idx(raw / f"{part}-labels-idx1-ubyte")).long()


def scaled(pixels: Tensor, low: float) -> Tensor:
    """To [low, 1]."""
    return pixels.float() * ((1 - low) / 255) + low


def epochs(data: Images, batch_size: int, low: float, validate: Callable[[], None] | None) -> Iterator[Any]:
    """Shuffled batches without end."""
    while True:
        order = torch.randperm(len(data[0]))
        for part in order.split(batch_size):
            yield scaled(data[0].index_select(0, part), low), data[1].index_select(0, part)
        if validate is not None:
            validate()


def classifier(root: Path, network: nn.Module) -> Iterator[int]:
    network.to(memory_format=torch.channels_last)
    optimizer = Adam(network.parameters(), lr=1e-3, eps=1e-7)
    held_out = images(root, "t10k")

    @torch.no_grad()
    def validate() -> None:
        network.eval()
        for pixels, labels in zip(held_out[0].split(128), held_out[1].split(128), strict=True):
            F.cross_entropy(network(scaled(pixels, 0)), labels)
        network.train()

    for pixels, labels in epochs(images(root, "train"), 128, 0, validate):
        loss = F.cross_entropy(network(pixels), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield len(labels)


def gan(
    root: Path, networks: tuple[nn.Module, nn.Module], latent: int, batch: int, adam: Any, half: bool, ema: float | None
) -> Iterator[int]:
    """The non-saturating loss."""
    generator, discriminator = (network.to(memory_format=torch.channels_last) for network in networks)
    d_optimizer, g_optimizer = adam(discriminator.parameters()), adam(generator.parameters())
    average = ExponentialMovingAverage(generator) if ema else None
    for real, _ in epochs(images(root, "train"), batch, -1, None):
        with bf16(enabled=half):
            fake = generator(torch.randn(len(real), latent))
            d_loss = F.softplus(-discriminator(real)).mean() + F.softplus(discriminator(fake.detach())).mean()
        d_optimizer.zero_grad()
        d_loss.backward()
        d_optimizer.step()
        discriminator.requires_grad_(False)
        with bf16(enabled=half):
            g_loss = F.softplus(-discriminator(fake)).mean()
        g_optimizer.zero_grad()
        g_loss.backward()
        g_optimizer.step()
        discriminator.requires_grad_(True)
        if average is not None and ema is not None:
            average.update(generator, ema)
        yield len(real)


def wgan_gp(root: Path) -> Iterator[int]:
    generator = DCGANGenerator(128, SHAPE).to(memory_format=torch.channels_last)
    critic = DCGANDiscriminator(SHAPE, width=64, normalization="none").to(memory_format=torch.channels_last)
    adam = partial(Adam, lr=1e-4, betas=(0.0, 0.9))
    d_optimizer, g_optimizer = adam(critic.parameters()), adam(generator.parameters())
    for number, (real, _) in enumerate(epochs(images(root, "train"), 64, -1, None), 1):
        is_due = number % 5 == 0
        with torch.set_grad_enabled(is_due):
            fake = generator(torch.randn(len(real), 128))
        d_loss = critic(fake.detach()).mean() - critic(real).mean()
        between = torch.lerp(real, fake.detach(), torch.rand(len(real), 1, 1, 1)).requires_grad_()
        (gradients,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
        d_loss = d_loss + 10 * (gradients.flatten(1).norm(dim=1) - 1).square().mean()
        d_optimizer.zero_grad()
        d_loss.backward()
        d_optimizer.step()
        if is_due:
            critic.requires_grad_(False)
            g_optimizer.zero_grad()
            (-critic(fake).mean()).backward()
            g_optimizer.step()
            critic.requires_grad_(True)
        yield len(real)


def vae(root: Path, networks: tuple[nn.Module, nn.Module], half: bool, num_held_out: int) -> Iterator[int]:
    encoder, decoder = (network.to(memory_format=torch.channels_last) for network in networks)
    optimizer = Adam([*encoder.parameters(), *decoder.parameters()], lr=1e-3)
    pixels, labels = images(root, "train")
    held_out = pixels[:num_held_out]

    def loss_of(batch: Tensor) -> Tensor:
        with bf16(enabled=half):
            mean, log_variance = encoder(batch).float().chunk(2, dim=1)
            output = decoder(mean + (0.5 * log_variance).exp() * torch.randn_like(mean))
        error = F.binary_cross_entropy_with_logits(output.float(), batch, reduction="sum")
        kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum()
        return (error + kl) / len(batch)

    @torch.no_grad()
    def validate() -> None:
        for part in held_out.split(128):
            loss_of(scaled(part, 0))

    for batch, _ in epochs((pixels[num_held_out:], labels[num_held_out:]), 128, 0, validate):
        loss = loss_of(batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield len(batch)


def language_model(root: Path) -> Iterator[int]:
    text = (root / "tinyshakespeare" / "input.txt").read_bytes()
    characters = torch.frombuffer(bytearray(text), dtype=torch.uint8)[: int(0.9 * len(text))].long()
    vocabulary, tokens = characters.unique(return_inverse=True)
    network = CharRNN(len(vocabulary), cell="lstm", num_layers=1, hidden_dim=150)
    optimizer = torch.optim.AdamW(network.parameters(), lr=5e-3, fused=True)
    streams, length = 32, 64
    rows, state = tokens[: len(tokens) // streams * streams].view(streams, -1), None
    while True:
        for start in range(0, rows.shape[1] - length, length):
            chunk = rows[:, start : start + length + 1]
            with bf16():
                logits, state = network(chunk[:, :-1], state)
            loss = F.cross_entropy(logits.flatten(0, 1).float(), chunk[:, 1:].flatten())
            state = tuple(part.detach() for part in state)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            yield streams * length


def surnames(root: Path) -> Iterator[int]:
    made = torch.load(root / "surnames.pt")
    recurrent = partial(
        RecurrentNetwork,
        **{"cell": "gru", "hidden_size": 64, "bidirectional": True, "embedding_dim": 32, "ngram_buckets": 20_000},
        **{"skip": True, "dropout": 0.2, "pooling": "max", "implementation": "scratch"},
    )
    network = CharacterDropout(made["vocab_size"], made["num_classes"], probability=0.05, network=recurrent)
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3, fused=True)
    held_out = made["held_out"]
    while True:
        network.train()
        for sequences, lengths, labels in made["training"]:
            logits = network.member_logits(sequences, lengths, labels)[0]
            loss = F.cross_entropy(logits, labels, label_smoothing=0.1)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            yield len(labels)
        network.eval()
        with torch.no_grad():
            for sequences, lengths, labels in held_out:
                F.cross_entropy(network(sequences, lengths), labels)


def loops() -> dict[str, Callable[[Path], Iterator[int]]]:
    """By task."""
    plain, momentum = partial(Adam, lr=2e-4), partial(Adam, lr=1e-3, betas=(0.5, 0.999))
    mlp_vae = {"hidden_dims": (400,), "leaky_slope": 0.0}
    return {
        "classifier_mlp": lambda root: classifier(root, MLPClassifier(SHAPE, 10, (200, 100))),
        "classifier_cnn": lambda root: classifier(root, CNNClassifier(SHAPE, 10, (20, 10), (5, 3))),
        "gan_mlp": lambda root: gan(
            root, (MLPGenerator(100, SHAPE), MLPDiscriminator(SHAPE)), 100, 64, plain, False, None
        ),
        "gan_conv": lambda root: gan(
            *(root, (DCGANGenerator(64, SHAPE, width=32), DCGANDiscriminator(SHAPE, width=32)), 64, 128),
            *(momentum, True, 0.98),
        ),
        "wgan_gp": wgan_gp,
        "vae_mlp": lambda root: vae(
            *(root, (MLPDiscriminator(SHAPE, 40, **mlp_vae), MLPGenerator(20, SHAPE, output="none", **mlp_vae))),
            *(False, 0),
        ),
        "vae_conv": lambda root: vae(
            root,
            (
                ConvDiscriminator(SHAPE, 40, channels=(32, 64), dropout=0.0),
                ConvGenerator(20, SHAPE, channels=(64, 64, 32), output="none", output_kernel_size=3),
            ),
            *(True, 6_000),
        ),
        "language_model": language_model,
        "names": surnames,
    }


def main() -> None:
    task, root, path = sys.argv[1:]
    progress = Progress(Path(path), writes=True)
    for samples in loops()[task](Path(root)):
        progress.add(samples)


if __name__ == "__main__":
    main()
