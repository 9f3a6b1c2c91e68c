"""The smallest run of each family that leaves everything a run can leave: options of `fit` without the run's folder.

tests/conftest.py makes one finished run of each. A test that resumes or changes one takes a copy of it.
"""

import shutil

import torch

CPU = ["--quiet", "--trainer.accelerator", "cpu"]

GAN = [  # epochs of four batches, with a validation after every second one
    *("fit", "--model", "GAN", "--data", "Digits", "--model.latent_dim", "4", "--model.input_noise", "0.1", *CPU),
    *("--model.generator.width", "8", "--model.discriminator.width", "8", "--model.ema_decay", "0.9"),
    *("--trainer.limit_train_batches", "4", "--trainer.limit_val_batches", "3", "--trainer.val_check_interval", "2"),
    *("--trainer.log_every_n_steps", "2", "--samples.grid", "2"),
]
VAE = [  # epochs of two batches
    *("fit", "--model", "VAE", "--data", "Digits", "--model.latent_dim", "2", *CPU),
    *("--model.encoder.width", "8", "--model.decoder.width", "8", "--model.importance_samples", "3"),
    *("--trainer.limit_train_batches", "2", "--trainer.log_every_n_steps", "2", "--samples.grid", "2"),
]
CLASSIFIER = [  # epochs of four batches
    *("fit", "--model", "ImageClassifier", "--data", "Digits", *CPU),
    *("--trainer.limit_train_batches", "4", "--trainer.limit_val_batches", "1", "--trainer.log_every_n_steps", "1"),
]


def names(folder):
    """A GRU that learns the classes of a folder, one text file a class."""
    return [
        *(
            "fit",
            "--model",
            "SequenceClassifier",
            "--model.network.hidden_size",
            "8",
            "--model.network.cell",
            "gru",
            *CPU,
        ),
        *("--data", "Names", "--data.path", str(folder), "--data.batch_size", "16"),
        *("--trainer.max_epochs", "1", "--trainer.log_every_n_steps", "1"),
    ]


def text(file):
    """An RNN of 16 units that reads a text in eight streams."""
    return [
        *("fit", "--model", "CharLanguageModel", "--data", "Text", "--data.path", str(file), *CPU),
        *(
            "--model.network.hidden_dim",
            "16",
            "--data.batch_size",
            "8",
            "--data.chunk_length",
            "16",
            "--texts.length",
            "30",
        ),
        *(
            "--trainer.log_every_n_steps",
            "10",
        ),
    ]


def resumed(run, checkpoint="last"):
    """The options that name a run's config and its last (or best) checkpoint."""
    return ["-c", str(run / "config.yaml"), *checkpoint_of(run, checkpoint)]


def checkpoint_of(run, checkpoint="last"):
    """The option that names a run's last (or best) checkpoint."""
    return ["--ckpt_path", str(run / "checkpoints" / f"{checkpoint}.ckpt")]


def copied(run, folder):
    """A copy of a finished run that lies at `folder` as if it had been made there."""
    shutil.copytree(run, folder)
    config = folder / "config.yaml"
    config.write_text(config.read_text().replace(str(run), str(folder)))
    for path in (folder / "checkpoints").iterdir():
        checkpoint = torch.load(path, weights_only=True)
        checkpoint["callbacks"] = replaced(checkpoint["callbacks"], str(run), str(folder))
        torch.save(checkpoint, path)
    return folder


def replaced(value, old, new):
    if isinstance(value, dict):
        return {replaced(key, old, new): replaced(item, old, new) for key, item in value.items()}
    return value.replace(old, new) if isinstance(value, str) else value
