import csv
import functools
import json
import math

import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from pytorch_lightning import Callback, Trainer

import cli
from datamodules.tensor_dataset import TensorLoader
from lab.errors import UserError
from lightning_models.image_classifier import ImageClassifier
from lightning_models.losses.regularizers import l1_norm, l2_norm
from lightning_models.modules.schedules import OneCycle
from lightning_models.networks import CNNClassifier, MLPClassifier

pytestmark = pytest.mark.filterwarnings("ignore:You defined a `validation_step` but have no `val_dataloader`")

SHAPE = (1, 8, 8)
NAMES = ["zero", "one", "two"]
SMALL = functools.partial(MLPClassifier, hidden_dims=[16])


def classifier(**options):
    return ImageClassifier(SHAPE, NAMES, **{"network": SMALL, **options})


def examples(count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, *SHAPE, generator=generator), torch.randint(3, (count,), generator=generator)


def trainer(**options):
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    return Trainer(accelerator="cpu", enable_checkpointing=False, **{**quiet, "log_every_n_steps": 1, **options})


def read_csv(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def fit_digits(run_dir, *options):
    args = ["fit", "-c", "configs/classifier/digits.yaml", "--quiet", "--run_dir", str(run_dir)]
    cli.main([*args, "--trainer.accelerator", "cpu", "--trainer.max_epochs", "2", *options])
    return json.loads((run_dir / "summary.json").read_text())["metrics"]


# ------------------------------------------------------------------------------------------------------------- losses


def test_an_untrained_guess_costs_the_log_of_the_number_of_classes():
    model = ImageClassifier(SHAPE, [str(k) for k in range(10)], network=SMALL)
    torch.nn.init.zeros_(model.network.head.weight)
    images, labels = examples(30)
    assert F.cross_entropy(model(images), labels).item() == pytest.approx(math.log(10), abs=1e-5)


def test_penalties_are_over_kernels_only_and_part_of_the_loss_with_the_cross_entropy_beside():
    model = classifier(l1=1e-3, l2=1e-2)
    kernels = [model.network.layers[1].weight, model.network.head.weight]
    assert l1_norm(model.network).item() == pytest.approx(sum(k.abs().sum().item() for k in kernels), rel=1e-5)
    assert l2_norm(model.network).item() == pytest.approx(sum((k**2).sum().item() for k in kernels), rel=1e-5)
    metrics = trainer().validate(model, TensorLoader(examples(20), 8, exactly_once=True), verbose=False)[0]
    images, labels = examples(20)
    cross_entropy = F.cross_entropy(model(images), labels).item()
    assert metrics["val/cross_entropy"] == pytest.approx(cross_entropy, rel=1e-5)
    penalty = (1e-3 * l1_norm(model.network) + 1e-2 * l2_norm(model.network)).detach()
    assert metrics["val/loss"] == pytest.approx(cross_entropy + penalty.item(), rel=1e-5)


def test_the_penalty_moves_the_weights():
    norms = []
    for l2 in (0.0, 1.0):
        torch.manual_seed(0)
        model = classifier(l2=l2)
        trainer(max_epochs=20).fit(model, TensorLoader(examples(32), 8))
        norms.append(l2_norm(model.network).item())
    assert norms[1] < 0.5 * norms[0]


def test_smoothed_labels_train_and_are_not_evaluated_with():
    model = classifier(label_smoothing=0.3)
    batch = examples(12)
    model._trainer = trainer(log_every_n_steps=50)
    model.log_dict = lambda *args, **kwargs: None
    loss = model.training_step(batch, 1)
    assert loss.item() == pytest.approx(F.cross_entropy(model(batch[0]), batch[1], label_smoothing=0.3).item())
    model.evaluate(batch)
    hard = F.cross_entropy(model(batch[0]), batch[1]).item()
    assert model.evaluation_means.compute()["cross_entropy"].item() == pytest.approx(hard, rel=1e-5)


# --------------------------------------------------------------------------------------------------------- evaluation


def test_evaluation_weighs_each_image_alike_and_counts_classes():
    model, (images, labels) = classifier(), examples(21)
    labels[labels == 2] = 1  # the last class has no image
    metrics = trainer().test(model, TensorLoader((images, labels), 8, exactly_once=True), verbose=False)[0]
    right = model(images).argmax(dim=1) == labels
    assert metrics["test/accuracy"] == pytest.approx(right.float().mean().item())
    assert metrics["test/accuracy_zero"] == pytest.approx(right[labels == 0].float().mean().item())
    assert "test/accuracy_two" not in metrics
    assert metrics["test/loss"] == pytest.approx(F.cross_entropy(model(images), labels).item(), rel=1e-5)


def test_predictions_are_the_names_and_probabilities_of_the_largest_logits():
    model = classifier().eval()
    torch.nn.init.zeros_(model.network.head.weight)
    with torch.no_grad():
        model.network.head.bias.copy_(torch.tensor([0.0, math.log(8), 0.0]))  # probabilities 0.1, 0.8 and 0.1
    columns = model.predict_step(examples(2), 0)
    assert columns["category"] == ["one", "one"]
    assert columns["probability"].tolist() == pytest.approx([0.8, 0.8])


def test_the_means_of_an_epoch_are_logged_and_reset():
    model, logged = classifier(), {}
    model.log_dict = lambda metrics, **options: logged.update(metrics)
    for loss in (2.0, 4.0):
        model.training_means.update((torch.tensor(loss), torch.tensor(1.0), torch.tensor(0.5)), 3)
        model.on_train_epoch_end()
        expected = {"train/loss": loss, "train/cross_entropy": 1.0, "train/accuracy": 0.5}
        assert {name: value.item() for name, value in logged.items()} == expected


def test_an_evaluation_starts_afresh():
    model, run = classifier(), trainer()
    first = run.validate(model, TensorLoader(examples(20), 8, exactly_once=True), verbose=False)
    run.validate(model, TensorLoader(examples(12, seed=1), 8, exactly_once=True), verbose=False)
    assert run.validate(model, TensorLoader(examples(20), 8, exactly_once=True), verbose=False) == first


def test_the_best_checkpoint_has_the_highest_accuracy():
    assert ImageClassifier.monitor == "val/accuracy"


def test_features_are_what_the_head_sees():
    for network, width in (
        (SMALL, 16),
        (functools.partial(CNNClassifier, channels=[4], kernel_sizes=[3], hidden_dims=[64]), 64),
    ):
        model, images = classifier(network=network).eval(), examples(5)[0]
        features = model.features(images)
        assert features.shape == (5, width)
        assert torch.allclose(model.network.head(features), model(images), atol=1e-6)


def test_training_means_survive_a_resume_in_the_middle_of_an_epoch(tmp_path):
    class Saver(Callback):
        def on_train_batch_end(self, trainer, *args):
            if trainer.global_step == 3:
                trainer.save_checkpoint(tmp_path / "middle.ckpt")

    means, weights = [], []
    for ckpt_path in (None, tmp_path / "middle.ckpt"):
        torch.manual_seed(0)
        model = classifier()
        run = trainer(max_epochs=1, callbacks=[Saver()] if ckpt_path is None else [])
        run.fit(model, TensorLoader(examples(40), 8, shuffle=True), ckpt_path=ckpt_path)
        means.append({name: run.callback_metrics[f"train/{name}"].item() for name in ("loss", "accuracy")})
        weights.append(model.network.head.weight.detach())
    assert means[0] == means[1]
    assert torch.equal(*weights)


def test_a_run_leaves_its_figures_and_numbers(tmp_path):
    run_dir = tmp_path / "run"
    metrics = fit_digits(run_dir, "--model.l2", "1e-4")
    assert metrics["val/loss"] > metrics["val/cross_entropy"] > 0
    assert 0.5 < metrics["val/accuracy"] <= 1
    assert metrics["val/accuracy_3"] <= 1
    pictures = {path.stem: Image.open(path) for path in (run_dir / "samples").glob("*.png")}
    assert set(pictures) == {"confusion_matrix", "confusion_matrix_best", "worst_mistakes", "learning_curves"}
    for name, picture in pictures.items():
        assert len(picture.getcolors(100_000)) > 50, name  # something is drawn
    rows = read_csv(run_dir / "metrics.csv")
    assert sum(bool(row["train/loss"]) for row in rows) == sum(bool(row["val/loss"]) for row in rows) == 2
    table = read_csv(run_dir / "parameters.csv")
    assert {"parameter": "network.head.weight", "shape": "10 x 50", "count": "500"} in table
    assert table[-1] == {"parameter": "total", "shape": "", "count": "12060"}

    cli.main(["predict", "-c", f"{run_dir}/config.yaml", "--ckpt_path", f"{run_dir}/checkpoints/best.ckpt", "--quiet"])
    predictions = read_csv(run_dir / "predict" / "predictions.csv")
    assert len(predictions) == 360
    assert {row["category"] for row in predictions} == set("0123456789")
    assert all(0.1 <= float(row["probability"]) <= 1 for row in predictions)


def test_a_schedule_moves_the_learning_rate(tmp_path):
    options = ["--model.schedule", "OneCycle", "--model.schedule.warmup", "0.5", "--trainer.log_every_n_steps", "1"]
    fit_digits(tmp_path / "run", *options)
    rows = read_csv(tmp_path / "run" / "metrics.csv")
    rates = [float(row["train/learning_rate"]) for row in rows if row["train/learning_rate"]]
    assert rates[0] == pytest.approx(0.04 * 3e-3)
    assert max(rates) == pytest.approx(3e-3)
    assert rates[-1] < 1e-4
    assert rates.index(max(rates)) == pytest.approx(len(rates) / 2, abs=1)


def test_a_checkpoint_alone_gives_the_model_back(tmp_path):
    model = classifier(schedule=OneCycle(warmup=0.2), l2=0.1)
    run = trainer(max_epochs=1)
    run.fit(model, TensorLoader(examples(16), 8))
    run.save_checkpoint(tmp_path / "a.ckpt")
    torch.load(tmp_path / "a.ckpt", weights_only=True)
    again = ImageClassifier.load_from_checkpoint(tmp_path / "a.ckpt").eval()
    assert again.class_names == NAMES
    assert again.schedule.warmup == 0.2
    images = examples(4)[0]
    assert torch.equal(again(images), model.eval()(images))


# ---------------------------------------------------------------------------------------------------------- bad input


def test_a_single_class_is_refused():
    with pytest.raises(ValueError, match=r"the data has 1 class \(cats\): a classifier needs at least two"):
        ImageClassifier(SHAPE, ["cats"])


def test_a_label_outside_the_classes_is_named():
    images, _ = examples(8)
    loader = TensorLoader((images, torch.full((8,), 7)), 4)
    with pytest.raises(ValueError, match=r"contains label 7, but the classes are 0 to 2 \(zero, one, two\)"):
        trainer(max_epochs=1).fit(classifier(), loader)
    with pytest.raises(ValueError, match="contains label 7"):
        trainer().validate(classifier(), loader, verbose=False)


@pytest.mark.parametrize(("label", "is_known"), [(-1, False), (0, True), (2, True), (3, False)])
def test_labels_are_numbers_of_classes(label, is_known):
    labels = torch.tensor([1, label])
    if is_known:
        classifier().check_labels(labels)
    else:
        with pytest.raises(UserError, match=f"contains label {label}, but the classes are 0 to 2"):
            classifier().check_labels(labels)


def test_images_of_another_size_are_refused():
    with pytest.raises(ValueError, match="the images are 1 x 9 x 9, but this classifier was built for 1 x 8 x 8"):
        classifier()(torch.zeros(2, 1, 9, 9))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"l1": -1.0}, "model.l1 is -1.0: expected at least 0"),
        ({"l2": -1.0}, "model.l2 is -1.0: expected at least 0"),
        ({"label_smoothing": 1.0}, "model.label_smoothing is 1.0: expected a number from 0 to below 1"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        classifier(**options)


def test_a_checkpoint_for_other_images_is_refused_in_one_line(tmp_path, capsys):
    fit_digits(tmp_path / "run", "--trainer.max_epochs", "1")
    capsys.readouterr()
    config, ckpt = tmp_path / "run" / "config.yaml", tmp_path / "run" / "checkpoints" / "last.ckpt"
    with pytest.raises(SystemExit) as stopped:
        cli.main(["validate", "-c", str(config), "--ckpt_path", str(ckpt), "--quiet", "--data.image_size", "16"])
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert "does not fit this ImageClassifier" in error
