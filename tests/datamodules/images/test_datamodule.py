import jsonargparse
import numpy as np
import pytest
import torch
from pytorch_lightning import LightningDataModule, LightningModule, Trainer

from datamodules.images import CIFAR10, MNIST, Digits, ImageFolder
from datamodules.images.augmentation import flip_half_of_them, shift_randomly
from tests.stand_in_data import digit_images, write_cifar10, write_idx, write_image_folder, write_mnist


def ready(data):
    """`data` after the two hooks that a Trainer calls."""
    data.prepare_data()
    data.setup("fit")
    return data


def test_every_digit_is_in_exactly_one_part_with_its_shades_stretched_to_bytes():
    data = ready(Digits())
    parts = [data.train_images, data.val_images, data.test_images]
    assert [tuple(part.shape) for part in parts] == [(1293, 1, 8, 8), (144, 1, 8, 8), (360, 1, 8, 8)]
    assert {part.dtype for part in parts} == {torch.uint8}
    assert torch.cat(parts).unique().tolist() == [round(shade * 255 / 16) for shade in range(17)]

    pixels, labels = digit_images(1797, 8)
    expected = sorted((label, image.tobytes()) for image, label in zip(pixels, labels, strict=True))
    all_labels = torch.cat([data.train_labels, data.val_labels, data.test_labels])
    found = zip(all_labels.tolist(), torch.cat(parts).numpy(), strict=True)
    assert sorted((label, image.tobytes()) for label, image in found) == expected


def test_test_part_of_the_digits_is_stratified_and_independent_of_every_seed():
    first, second = ready(Digits()), ready(Digits(split_seed=1, seed=1))
    assert torch.equal(first.test_images, second.test_images)
    assert not torch.equal(first.val_images, second.val_images)
    assert set(first.test_labels.bincount().tolist()) == {35, 36, 37}


def test_shape_classes_and_range_are_known_before_any_pixel_is_read(tmp_path):
    mnist = MNIST(root=str(tmp_path / "nothing_here"), image_size=32, classes=[1, 7])
    assert (mnist.image_shape, mnist.num_classes, mnist.class_names) == ((1, 32, 32), 2, ["1", "7"])
    cifar = CIFAR10(root=str(tmp_path / "nothing_here"), value_range=(0, 1))
    assert (cifar.image_shape, cifar.num_classes, cifar.value_range) == ((3, 32, 32), 10, (0.0, 1.0))
    folder = ImageFolder("nothing_here", image_size=48, channels=1)
    assert folder.image_shape == (1, 48, 48)


@pytest.mark.parametrize(("value_range", "middle"), [((-1.0, 1.0), 0.0), ((0.0, 1.0), 0.5)])
def test_pixels_reach_both_ends_of_the_value_range_exactly(value_range, middle):
    pixels = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    images, labels = Digits(value_range=value_range).on_after_batch_transfer((pixels, torch.tensor([3])), 0)
    assert images.dtype == torch.float32
    assert (images.min().item(), images.max().item()) == value_range
    assert images.mean().item() == pytest.approx(middle, abs=1e-6)
    assert labels.tolist() == [3]
    assert pixels.flatten().tolist() == list(range(256))  # the data set itself is untouched


def test_images_that_are_floats_already_are_not_scaled():
    images = torch.rand(2, 1, 8, 8)
    scaled, _ = Digits().on_after_batch_transfer((images, torch.zeros(2)), 0)
    assert torch.equal(scaled, images)


@pytest.mark.parametrize("classes", [[8, 3], ["8", "3"], [8, "3"]])
def test_chosen_classes_get_labels_in_the_order_they_are_named(classes):
    everything, data = ready(Digits(val_fraction=0.0)), ready(Digits(val_fraction=0.0, classes=classes))
    assert (data.class_names, data.num_classes) == (["8", "3"], 2)
    for label, digit in enumerate((8, 3)):
        expected = everything.train_images[everything.train_labels == digit]
        assert torch.equal(data.train_images[data.train_labels == label], expected)
    assert set(data.test_labels.tolist()) == {0, 1}


def test_classes_can_be_chosen_by_name(tmp_path):
    data = CIFAR10(root=str(write_cifar10(tmp_path)), classes=["ship", 3])
    assert (data.class_names, set(ready(data).train_labels.tolist())) == (["ship", "cat"], {0, 1})


@pytest.mark.parametrize("image_size", [3, 16])
def test_images_are_resized_to_the_image_size_without_aliasing(image_size):
    native, resized = ready(Digits()).train_images, ready(Digits(image_size=image_size)).train_images
    assert resized.shape == (1293, 1, image_size, image_size)
    assert resized.dtype == torch.uint8
    # Scaled to the smaller size of the two, both are the same pictures but for some softness.
    smaller = min(image_size, 8)
    averaged = [torch.nn.functional.adaptive_avg_pool2d(images.float(), smaller) for images in (native, resized)]
    assert np.corrcoef(averaged[0].flatten(), averaged[1].flatten())[0, 1] > 0.97


def test_validation_part_follows_its_fraction_and_seed():
    half, again = ready(Digits(val_fraction=0.5)), ready(Digits(val_fraction=0.5))
    assert (len(half.train_images), len(half.val_images)) == (719, 718)
    assert torch.equal(half.val_images, again.val_images)


class Model(LightningModule):
    """Takes any images; counts the batches it validates on."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.LazyLinear(1)
        self.trained = self.validated = 0

    def training_step(self, batch, batch_idx):
        self.trained += 1
        return self.layer(batch[0].flatten(1)).mean()

    def validation_step(self, batch, batch_idx):
        self.validated += 1
        self.layer(batch[0].flatten(1))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.01)


def trainer(**options):
    quiet = ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary")
    return Trainer(accelerator="cpu", max_epochs=1, **dict.fromkeys(quiet, False), **options)


@pytest.mark.parametrize(("val_fraction", "validated"), [(0.1, 2 + 3), (0.0, 0)])  # 2 to check that it works
def test_fit_validates_where_there_are_images_for_it(val_fraction, validated):
    model = Model()
    trainer().fit(model, datamodule=Digits(val_fraction=val_fraction, batch_size=64))
    assert (model.trained, model.validated) == (21 if val_fraction else 23, validated)


def test_validation_and_test_without_images_say_what_to_do(tmp_path):
    data = ImageFolder(str(write_image_folder(tmp_path / "images", 12)), val_fraction=0.0)
    with pytest.raises(ValueError, match=r"there are no validation images: keep some with --data.val_fraction 0.1"):
        trainer().validate(Model(), datamodule=data)
    with pytest.raises(ValueError, match=r"there are no test images: keep some with --data.test_fraction 0.1"):
        ready(data).test_dataloader()


@pytest.mark.filterwarnings("ignore:You requested to overfit")  # Lightning announces what is tested here
def test_overfit_batches_repeats_the_same_images():
    seen = []

    class Recorder(Model):
        def training_step(self, batch, batch_idx):
            seen.append(batch[0])
            return super().training_step(batch, batch_idx)

    overfitting = trainer(overfit_batches=1, limit_val_batches=0)
    overfitting.fit_loop.max_epochs = 2
    overfitting.fit(Recorder(), datamodule=Digits())
    assert torch.equal(*seen)


def test_training_order_follows_the_seed_of_the_run(monkeypatch):
    def first_labels(**options):
        return next(iter(ready(Digits(**options)).train_dataloader()))[1].tolist()

    monkeypatch.setenv("PL_GLOBAL_SEED", "5")
    assert first_labels() == first_labels(seed=5) != first_labels(seed=0)
    monkeypatch.delenv("PL_GLOBAL_SEED")
    assert first_labels() == first_labels(seed=0)


def test_without_shuffling_training_images_come_in_their_stored_order():
    data = ready(Digits(shuffle=False, val_fraction=0.0, batch_size=10))
    assert torch.equal(next(iter(data.train_dataloader()))[0], data.train_images[:10])


def test_evaluation_sees_each_image_once_in_stored_order():
    data = ready(Digits(drop_last=True))
    for loader, labels in (
        (data.val_dataloader(), data.val_labels),
        (data.test_dataloader(), data.test_labels),
        (data.predict_dataloader(), data.test_labels),
    ):
        assert torch.cat([batch[1] for batch in loader]).equal(labels)


def test_processes_share_the_evaluation_without_padding(monkeypatch):
    loader = ready(Digits()).test_dataloader()
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 7)
    counts = []
    for rank in range(7):
        monkeypatch.setattr(torch.distributed, "get_rank", lambda rank=rank: rank)
        counts.append(sum(len(labels) for _, labels in loader))
    assert counts == [52, 52, 52, 51, 51, 51, 51]  # together 360


def test_options_of_the_training_loader_reach_it():
    data = ready(Digits(batch_size=100, drop_last=True, val_fraction=0.0))
    assert [len(labels) for _, labels in data.train_dataloader()] == [100] * 14
    drawn = torch.cat([batch[0] for batch in ready(Digits(with_replacement=True)).train_dataloader()])
    assert len(drawn.flatten(1).unique(dim=0)) < 0.7 * len(drawn)


def test_horizontal_flip_mirrors_half_of_the_training_images_and_no_others():
    plain, flipping = (ready(Digits(horizontal_flip=flip, shuffle=False)) for flip in (False, True))
    straight = torch.cat([batch[0] for batch in plain.train_dataloader()])
    flipped = torch.cat([batch[0] for batch in flipping.train_dataloader()])
    kept = (flipped == straight).flatten(1).all(1)
    mirrored = (flipped == straight.flip(-1)).flatten(1).all(1)
    assert (kept | mirrored).all()
    assert mirrored.float().mean().item() == pytest.approx(0.5, abs=0.05)
    assert torch.equal(next(iter(flipping.val_dataloader()))[0], flipping.val_images[:128])


def test_flip_leaves_labels_and_dtype_alone():
    images, labels = torch.arange(6, dtype=torch.uint8).view(1, 1, 2, 3), torch.tensor([4])
    outcomes = {
        tuple(flip_half_of_them((images, labels), torch.Generator().manual_seed(seed))[0].flatten().tolist())
        for seed in range(20)
    }
    assert outcomes == {(0, 1, 2, 3, 4, 5), (2, 1, 0, 5, 4, 3)}
    flipped, same_labels = flip_half_of_them((images, labels), torch.Generator())
    assert (flipped.dtype, same_labels.tolist()) == (torch.uint8, [4])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"value_range": (0.0, 255.0)}, r"value_range is \[0.0, 255.0\]: use \[-1.0, 1.0\] or \[0.0, 1.0\]"),
        ({"image_size": 0}, "image_size is 0: use a whole number of pixels from 1 up"),
        ({"val_fraction": 1.0}, r"val_fraction is 1.0: use a number from 0 \(none\) to below 1"),
        ({"val_fraction": 0.9999}, "val_fraction 0.9999 of 1437 images leaves none to train on: use a smaller one"),
        ({"classes": []}, "classes is an empty list: name at least one, or leave it out for all"),
        ({"classes": [3, "3"]}, "classes names one class twice: 3, 3"),
        ({"classes": [10]}, r"there is no class '10': .*use names \(0, 1, .*, 9\) or numbers 0 to 9"),
        ({"classes": [-1]}, r"there is no class '-1'"),
    ],
)
def test_impossible_options_are_explained(options, message):
    with pytest.raises(ValueError, match=message):
        Digits(**options).setup("fit")


def test_misspelt_class_is_answered_with_the_nearest_name():
    with pytest.raises(ValueError, match=r"there is no class 'Aeroplane': did you mean 'airplane'\? use names \(airpl"):
        CIFAR10(classes=["Aeroplane"]).class_names  # noqa: B018


@pytest.mark.parametrize("name", ["Digits", "MNIST", "FashionMNIST", "CIFAR10", "ImageFolder"])
def test_all_options_are_on_the_command_line_with_a_sentence_each(name, capsys):
    parser = jsonargparse.ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(LightningDataModule, "data")
    path = ["--data.path", "cats"] if name == "ImageFolder" else []
    args = [
        "--data",
        name,
        *path,
        "--data.batch_size",
        "3",
        "--data.classes",
        "[cat, 3]",
        "--data.value_range",
        "[0, 1]",
    ]
    options = parser.parse_args(args).data.init_args
    assert (options.batch_size, options.classes, options.value_range) == (3, ["cat", 3], (0.0, 1.0))

    with pytest.raises(SystemExit, match=r"^0$"):
        parser.parse_args([f"--data.help={name}"])
    help_text = capsys.readouterr().out
    for option in vars(options):
        assert f"--data.{option} " in help_text
        _, _, explanation = help_text.rpartition(f"--data.{option} ")
        assert len(explanation.split("(")[0].split()) > 3, f"--data.{option} is not explained"


def test_validation_on_the_test_images_trains_on_all_training_images():
    data = ready(Digits(validate_on_test=True))
    assert len(data.train_images) == 1437
    assert torch.equal(data.val_images, data.test_images)


def test_random_shifts_move_whole_images_and_black_moves_in():
    images = torch.randint(1, 255, (400, 1, 6, 5), dtype=torch.uint8)
    moved, labels = shift_randomly((images, torch.arange(400)), torch.Generator().manual_seed(0), reach=2)
    assert moved.shape == images.shape
    assert moved.dtype == torch.uint8
    assert torch.equal(labels, torch.arange(400))
    seen = set()
    for image, shifted in zip(images[:, 0], moved[:, 0], strict=True):
        for down in range(-2, 3):
            for right in range(-2, 3):
                expected = torch.zeros_like(image)
                target = expected[max(down, 0) : 6 + min(down, 0), max(right, 0) : 5 + min(right, 0)]
                target.copy_(image[max(-down, 0) : 6 - max(down, 0), max(-right, 0) : 5 - max(right, 0)])
                if torch.equal(expected, shifted):
                    seen.add((down, right))
    assert len(seen) == 25  # each of the shifts occurs


def test_shifts_and_flips_are_drawn_for_training_only():
    data = ready(Digits(random_shift=1, horizontal_flip=True, shuffle=False, batch_size=64))
    assert not torch.equal(next(iter(data.train_dataloader()))[0], data.train_images[:64])
    assert torch.equal(next(iter(data.val_dataloader()))[0], data.val_images[:64])


def test_a_label_outside_the_classes_is_named(tmp_path):
    write_mnist(tmp_path)
    write_idx(tmp_path / "MNIST" / "raw" / "t10k-labels-idx1-ubyte", np.full(100, 11))
    message = r"the test split of MNIST holds the label 11 \(100 such labels\), but its classes are 0 to 9"
    with pytest.raises(ValueError, match=message):
        ready(MNIST(root=str(tmp_path)))


def test_a_negative_shift_is_refused():
    with pytest.raises(ValueError, match="random_shift is -1: use a whole number"):
        Digits(random_shift=-1)
