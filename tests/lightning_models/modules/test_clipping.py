import functools

import pytest
import torch
from pytorch_lightning import Trainer
from pytorch_lightning.plugins.precision import MixedPrecision

from datamodules.tensor_dataset import TensorLoader
from lightning_models.image_classifier import ImageClassifier
from lightning_models.modules.clipping import clip_norm
from lightning_models.networks import RecurrentNetwork
from lightning_models.sequence_classifier import SequenceClassifier
from lightning_models.vae import VAE

pytestmark = pytest.mark.filterwarnings("ignore:You defined a `validation_step` but have no `val_dataloader`")

SGD = functools.partial(torch.optim.SGD, lr=1.0)
CLASSES = torch.arange(16) % 2
IMAGES = (torch.rand(16, 1, 8, 8, generator=torch.Generator().manual_seed(0)), CLASSES)
SEQUENCES = (1 + torch.arange(16 * 6).reshape(16, 6) % 4, torch.full((16,), 6), CLASSES)
FAMILIES = {
    "images": (functools.partial(ImageClassifier, (1, 8, 8), ["a", "b"]), IMAGES),
    "vae": (functools.partial(VAE, (1, 8, 8), latent_dim=2), IMAGES),
    "sequences": (
        functools.partial(
            SequenceClassifier,
            ["a", "b"],
            list("?abcd"),
            functools.partial(RecurrentNetwork, hidden_size=4, implementation="scratch"),
        ),
        SEQUENCES,
    ),
}


def distance(family, precision, **clipping):
    """How far one update of SGD with a rate of 1 moves the weights: the norm of the gradient after clipping."""
    torch.manual_seed(0)
    build, tensors = FAMILIES[family]
    module = build(optimizer=clipping.pop("optimizer", SGD))
    before = [p.detach().clone() for p in module.parameters()]
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0) if precision == "16-mixed" else None
    plugins = [] if precision == "32-true" else [MixedPrecision(precision, "cpu", scaler)]
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False}
    trainer = Trainer(
        accelerator="cpu", logger=False, max_steps=1, log_every_n_steps=1, plugins=plugins, **quiet, **clipping
    )
    trainer.fit(module, TensorLoader(tensors, 16))
    moved = zip(module.parameters(), before, strict=True)
    return torch.nn.utils.get_total_norm([p.detach() - old for p, old in moved]).item()


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "16-mixed"])
@pytest.mark.parametrize("family", list(FAMILIES))
def test_the_trainers_limit_holds_under_every_precision(family, precision):
    assert distance(family, precision) > 2e-2
    assert distance(family, precision, gradient_clip_val=1e-2) == pytest.approx(1e-2, rel=1e-2)


def test_an_optimizer_that_is_not_fused_is_clipped_alike():
    plain = functools.partial(torch.optim.SGD, lr=1.0, fused=False)
    assert distance("images", "16-mixed", gradient_clip_val=1e-2, optimizer=plain) == pytest.approx(1e-2, rel=1e-2)


def test_a_limit_above_the_norm_changes_nothing():
    assert distance("images", "bf16-mixed", gradient_clip_val=1e6) == distance("images", "bf16-mixed")


def test_clipping_by_value_is_lightnings():
    entries = sum(p.numel() for p in FAMILIES["images"][0]().parameters())
    moved = distance("images", "32-true", gradient_clip_val=1e-6, gradient_clip_algorithm="value")
    assert 0 < moved <= 1e-6 * entries**0.5 * 1.01


def test_clipping_by_value_is_not_replaced_by_clipping_of_the_norm():
    with pytest.raises(RuntimeError, match="gradient clipping"):  # Lightning's, with a fused optimizer
        distance("images", "bf16-mixed", gradient_clip_val=1e-6, gradient_clip_algorithm="value")


def test_norm_and_limit_are_those_without_the_scale():
    weight = torch.nn.Parameter(torch.zeros(2))
    weight.grad = torch.tensor([3.0, 4.0]) * 8
    assert clip_norm([weight], None, 8.0).item() == 5
    assert weight.grad.tolist() == [24, 32]
    assert clip_norm([weight], 1.0, 8.0).item() == 5
    assert weight.grad.tolist() == pytest.approx([0.6 * 8, 0.8 * 8], rel=1e-5)
