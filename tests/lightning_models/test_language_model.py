import functools
import math

import pytest
import torch
import torch.nn.functional as F
from pytorch_lightning import Trainer
from pytorch_lightning.plugins.precision import MixedPrecision

from datamodules.text import Text
from lightning_models.language_model import CharLanguageModel
from lightning_models.modules.injection import default
from tests.small_language_models import fitted, language_model, trainer, write_words


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A file of words in random order."""
    return write_words(tmp_path_factory.mktemp("text") / "words.txt")


def test_the_best_checkpoint_has_the_lowest_loss():
    assert CharLanguageModel.monitor == "val/nats_per_char"


def test_only_scored_characters_count():
    model = language_model("abcdef").eval()
    text = torch.randint(6, (2, 11))
    targets = text[:, 1:].clone()
    targets[:, :6] = -100
    model.evaluate((text[:, :-1], targets, False))
    logits, _ = model.network(text[:, :-1])
    expected = F.cross_entropy(logits[:, 6:].flatten(0, 1), text[:, 7:].flatten()).item()
    assert model.evaluation_means.compute()["nats_per_char"].item() == pytest.approx(expected, rel=1e-5)
    assert model.evaluation_means.weight.item() == 8


@pytest.mark.parametrize("prefix", ["train", "val", "test"])
def test_the_loss_is_logged_in_nats_bits_and_as_perplexity_and_then_reset(prefix):
    model = language_model("abcdef")
    means = model.training_means if prefix == "train" else model.evaluation_means
    means.update((torch.tensor(math.log(8)),), 5)
    logged = {}
    model.log_dict = lambda metrics, **options: logged.update(metrics)
    {"train": model.on_train_epoch_end, "val": model.on_validation_epoch_end, "test": model.on_test_epoch_end}[prefix]()
    expected = {"nats_per_char": math.log(8), "bits_per_char": 3.0, "perplexity": 8.0}
    assert {name: value.item() for name, value in logged.items()} == pytest.approx(
        {f"{prefix}/{name}": value for name, value in expected.items()}
    )
    assert means.weight.item() == 0


def test_all_of_the_held_out_text_is_measured(tmp_path, written):
    """Side by side in 32 rows, and nearly as exactly as from end to end."""
    data = Text(written, batch_size=8, chunk_length=16)
    data.setup("validate")
    torch.manual_seed(1)
    model = language_model(data.vocabulary, "gru", hidden_dim=16)
    (measured,) = trainer(tmp_path).validate(model, data, verbose=False)
    text = torch.cat([data.val_context, data.val_tokens]).long()[None]
    with torch.no_grad():
        logits, _ = model.network(text[:, :-1])
    nats = F.cross_entropy(logits[0, -len(data.val_tokens) :], text[0, -len(data.val_tokens) :]).item()
    assert measured["val/nats_per_char"] == pytest.approx(nats, abs=1e-4)
    assert measured["val/bits_per_char"] == pytest.approx(nats / math.log(2), abs=1e-4)
    assert measured["val/perplexity"] == pytest.approx(math.exp(nats), abs=1e-3)
    with pytest.warns(UserWarning, match="no text is kept for testing"):
        (tested,) = trainer(tmp_path).test(model, data, verbose=False)
    assert {name.replace("test/", "val/"): value for name, value in tested.items()} == measured


def test_gradients_are_clipped_by_their_norm_together():
    model = language_model("abcdef", gradient_clip_norm=0.5)
    model.trainer = Trainer(logger=False, enable_checkpointing=False, log_every_n_steps=1000, accelerator="cpu")
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    model.configure_gradient_clipping(torch.optim.SGD(model.parameters(), 0.1))
    assert sum(p.grad.square().sum() for p in model.parameters()).sqrt().item() == pytest.approx(0.5, rel=1e-4)
    with pytest.raises(ValueError, match=r"trainer\.gradient_clip_val is 1\.0: leave it out and set --model\.gradient"):
        model.configure_gradient_clipping(torch.optim.SGD(model.parameters(), 0.1), 1.0, "norm")


@pytest.mark.parametrize("fused", [True, False])
def test_float16_scales_the_loss_but_neither_norm_nor_clipping(tmp_path, written, fused):
    sgd = functools.partial(torch.optim.SGD, lr=1.0, fused=fused)
    sizes = {"hidden_dim": 8, "implementation": "scratch", "optimizer": sgd, "gradient_clip_norm": 1e-2}
    constant = default("lightning_models.modules.schedules.Constant")

    def run(**options):
        data = Text(written, batch_size=4, chunk_length=16)
        options = {"max_steps": 1, "log_every_n_steps": 1, "limit_val_batches": 0, **options}
        model, used = fitted(tmp_path, data, trainer_options=options, schedule=constant, **sizes)
        torch.manual_seed(0)
        start = language_model(data.vocabulary, schedule=constant, **sizes)
        moved = [new - old for new, old in zip(model.parameters(), start.parameters(), strict=True)]
        return torch.nn.utils.get_total_norm(moved).item(), used.callback_metrics["train/gradient_norm"].item()

    distance, norm = run()
    scaled_distance, scaled_norm = run(plugins=[MixedPrecision("16-mixed", "cpu", torch.amp.GradScaler("cpu"))])
    assert norm > 0.05
    assert scaled_norm == pytest.approx(norm, rel=0.05)
    assert distance == pytest.approx(1e-2, rel=1e-2)
    assert scaled_distance == pytest.approx(1e-2, rel=1e-2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"network": default("torch.nn.Linear", out_features=3)}, r"torch\.nn\.Linear is not a kind of CharNetwork"),
        ({"gradient_clip_norm": 0.0}, r"model\.gradient_clip_norm is 0\.0: expected a positive number"),
    ],
)
def test_options_out_of_their_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        CharLanguageModel(list("abc"), **options)
