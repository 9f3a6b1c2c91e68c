import numpy as np
import pytest
import torch

from lightning_models.drawing.pictures import to_picture


def test_a_grid_keeps_order_brightness_and_pixels():
    images = torch.zeros(4, 1, 28, 28)
    images[1] = 1.0  # the second of the first row
    pixels = np.asarray(to_picture(images, columns=2))
    height, width, _ = pixels.shape
    assert height == width >= 500
    assert (pixels[height // 4, width // 4] == 0).all()
    assert (pixels[height // 4, 3 * width // 4] == 255).all()
    assert (pixels[3 * height // 4, 3 * width // 4] == 0).all()
    assert set(np.unique(pixels)) == {0, 128, 255}  # enlarged in blocks, 128 between the images


def test_tiny_images_are_enlarged_smoothly_and_stay_in_range():
    images = torch.zeros(1, 1, 8, 8)
    images[..., 4:] = 1.0
    pixels = np.asarray(to_picture(images, columns=1))
    row = pixels[pixels.shape[0] // 2, :, 0]
    assert len(set(row)) > 4
    assert {0, 255} <= set(row)


def test_colours_stay_colours_and_gray_becomes_rgb():
    red = torch.zeros(1, 3, 32, 32)
    red[:, 0] = 1.0
    pixels = np.asarray(to_picture(red, columns=1))
    assert (pixels[pixels.shape[0] // 2, pixels.shape[1] // 2] == [255, 0, 0]).all()


def test_labels_stand_beside_their_rows():
    images = torch.zeros(6, 1, 28, 28)
    plain, labelled = to_picture(images, 3), to_picture(images, 3, ["epoch 1", "epoch 20"])
    assert labelled.height == plain.height
    margin = np.asarray(labelled)[:, : labelled.width - plain.width]
    halves = margin[: margin.shape[0] // 2], margin[margin.shape[0] // 2 :]
    assert all(half.max() > 200 for half in halves)  # white letters in both rows


def test_a_label_stands_at_the_middle_of_its_row():
    images = torch.zeros(9, 1, 28, 28)
    labelled, plain = to_picture(images, 3, ["I", "I", "I"]), to_picture(images, 3)
    margin = np.asarray(labelled)[:, : labelled.width - plain.width, 0]
    bright = (margin > 200).any(axis=1)
    for row in range(3):
        first, last = row * margin.shape[0] // 3, (row + 1) * margin.shape[0] // 3
        letters = first + np.flatnonzero(bright[first:last])
        assert abs(letters.mean() - (first + last) / 2) < 8


@pytest.mark.parametrize(("columns", "factor"), [(2, 10), (4, 5), (8, 2), (100, 1)])
def test_the_whole_grid_is_enlarged_to_about_640_pixels(columns, factor):
    picture = to_picture(torch.zeros(columns, 1, 28, 28), columns)
    assert picture.width == factor * (29 * columns + 1)
