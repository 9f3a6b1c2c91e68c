"""Writes expected.json: what the checkpoints beside it answer to fixed inputs, by the code that made them."""

import json
from pathlib import Path

import torch
from commands.checkpoints import load_model

HERE = Path(__file__).parent
torch.set_num_threads(1)


def load(name):
    return load_model(str(HERE / name / "checkpoints" / "last.ckpt"))


def numbers(tensor):
    return [round(value, 6) for value in tensor.flatten().tolist()]


@torch.no_grad()
def answers():
    gan, vae, classifier = load("gan"), load("vae"), load("image_classifier")
    sequences, text = load("sequence_classifier"), load("language_model")
    latent = torch.linspace(-1.5, 1.5, 8)
    images = torch.linspace(0, 1, 2 * 64).reshape(2, 1, 8, 8)
    characters = torch.tensor([[3, 14, 15, 9, 2, 6, 5], [35, 8, 9, 7, 9, 0, 0]])
    return {
        "gan": {
            "decode": numbers(gan.decode(latent.reshape(2, 4))[:, :, 3]),
            "discriminator": numbers(gan.discriminator(2 * images - 1)),
        },
        "vae": {
            "encoder": numbers(torch.cat([part.reshape(2, -1) for part in vae.encode(images)], dim=1)),
            "decode": numbers(vae.decode(latent[:4].reshape(2, 2))[:, :, 3]),
        },
        "image_classifier": {"logits": numbers(classifier(2 * images - 1))},
        "sequence_classifier": {"logits": numbers(sequences(characters, torch.tensor([7, 5])))},
        "language_model": {"logits": numbers(text.network(characters[:1])[0][:, -1])},
    }


if __name__ == "__main__":
    (HERE / "expected.json").write_text(json.dumps(answers(), indent=1) + "\n")
