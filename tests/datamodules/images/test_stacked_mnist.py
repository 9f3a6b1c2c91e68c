import pytest
import torch

from datamodules.images.stacked_mnist import StackedMNIST, stacked
from tests.stand_in_data import write_mnist


def test_channels_are_digits_and_the_label_is_their_number():
    digits = torch.arange(10, dtype=torch.uint8).repeat(5).view(-1, 1, 1, 1).expand(-1, 1, 4, 4)
    images, labels = stacked(digits, digits[:, 0, 0, 0].long(), 600, torch.Generator().manual_seed(0))
    assert images.shape == (600, 3, 4, 4)
    a, b, c = images[:, :, 0, 0].long().unbind(dim=1)
    assert torch.equal(labels, 100 * a + 10 * b + c)
    assert (images == images[:, :, :1, :1]).all()
    assert len(labels.unique()) > 400  # of 600 draws among 1,000: about 451


def test_stacked_mnist(tmp_path):
    def made(**options):
        data = StackedMNIST(root=str(write_mnist(tmp_path)), num_images=50, num_test_images=30, **options)
        data.setup("fit")
        return data

    data, again, other = made(), made(), made(stack_seed=1)
    assert data.image_shape == (3, 28, 28)
    assert (data.num_classes, data.class_names[42]) == (1000, "042")
    assert (len(data.train_images), len(data.val_images), len(data.test_images)) == (45, 5, 30)
    assert torch.equal(data.train_images, again.train_images)
    assert not torch.equal(data.train_images, other.train_images)
    images, labels = next(iter(data.train_dataloader()))
    assert images.dtype == torch.uint8
    assert labels.max() < 1000


def test_at_least_one_image():
    with pytest.raises(ValueError, match="num_images is 0 and num_test_images 26000: use at least 1 of each"):
        StackedMNIST(num_images=0)
