"""Small GANs on random images of 8 x 8 pixels, trained for a few batches, and what was seen after each of them."""

import functools

import torch
from pytorch_lightning import Callback, Trainer
from pytorch_lightning.callbacks import ModelCheckpoint

from datamodules.tensor_dataset import TensorLoader
from lightning_models.networks import DCGANDiscriminator, DCGANGenerator

IMAGE_SHAPE = (1, 8, 8)
SMALL = {
    "latent_dim": 4,
    "generator": functools.partial(DCGANGenerator, width=8),
    "discriminator": functools.partial(DCGANDiscriminator, width=8, normalization="none"),
}


def batches(count, batch_size=16):
    images = torch.rand(count * batch_size, *IMAGE_SHAPE, generator=torch.Generator().manual_seed(0)) * 2 - 1
    return TensorLoader((images, torch.zeros(len(images))), batch_size)


class Recorder(Callback):
    """Weights and logged metrics after each batch."""

    def __init__(self):
        self.weights, self.metrics, self.steps = [], [], []

    def on_train_start(self, trainer, pl_module):
        self.on_train_batch_end(trainer, pl_module)

    def on_train_batch_end(self, trainer, pl_module, *args):
        self.weights.append({name: p.detach().clone() for name, p in pl_module.named_parameters()})
        self.metrics.append({name: float(value) for name, value in trainer.callback_metrics.items()})
        self.steps.append(trainer.global_step)

    def moved(self, batch, network):
        before, after = self.weights[batch - 1], self.weights[batch]
        return {name for name in after if name.startswith(network) and not torch.equal(before[name], after[name])}

    def all_of(self, network):
        return {name for name in self.weights[0] if name.startswith(network)}


def train(module, count=1, tmp_path=None, callbacks=(), loader=None, **options):
    recorder = Recorder()
    trainer = Trainer(
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=any(isinstance(c, ModelCheckpoint) for c in callbacks),
        default_root_dir=tmp_path,
        callbacks=[recorder, *callbacks],
        **{"log_every_n_steps": 1, "max_epochs": 1, **options},
    )
    torch.manual_seed(0)
    trainer.fit(module, loader or batches(count))
    return recorder, trainer
