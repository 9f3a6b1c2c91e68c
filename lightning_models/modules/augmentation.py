"""Augmentation of the discriminator's inputs, real and generated alike, against overfitting on few images.

The generator learns through it, so it is differentiable; images of all sizes and of one or several channels are
augmented on their own device, each process its own rows of the global batch.
"""

from abc import ABC, abstractmethod
from typing import Literal

import torch
from torch import Tensor, nn

from lab.errors import UserError
from lightning_models.modules.checks import check_above_zero, check_at_least, check_choice
from lightning_models.modules.latent import draw_own_rows

Step = Literal["brightness", "saturation", "contrast", "translation", "cutout"]
STEPS: tuple[Step, ...] = ("brightness", "saturation", "contrast", "translation", "cutout")


class Augmentation(nn.Module, ABC):
    """What the discriminator sees of an image in training; its state is part of the checkpoint.

    Subclasses take `image_shape` and `value_range` first, because these follow from the data.
    """

    def __init__(self, image_shape: tuple[int, int, int], value_range: tuple[float, float]) -> None:
        super().__init__()
        self.image_shape, self.value_range = image_shape, value_range

    @abstractmethod
    def forward(self, images: Tensor) -> Tensor:
        """Images of the shape of `images`, (batch, channels, height, width), drawn anew at each call."""

    def adapt(self, real_decisions: Tensor, batch: int) -> None:
        """Called once a batch with D's decisions on its real images, +1 for real and -1 for fake, before its update."""

    def metrics(self) -> dict[str, Tensor]:
        """What changes during the training."""
        return {}


class DiffAugment(Augmentation):
    """Colour, translation and cutout (Zhao et al. 2020), with a fixed or an adaptive probability (Karras et al. 2020a).

    Brightness moves by up to a quarter of the value range; saturation is multiplied by 0 to 2, contrast by 0.5 to 1.5;
    the image is translated by up to an eighth of its height and width, and a rectangle of half its height and width is
    cut out. What is moved in or cut out has the middle of the value range.
    """

    probability: Tensor
    sums: Tensor

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        value_range: tuple[float, float],
        steps: tuple[Step, ...] | None = None,
        probability: float = 1.0,
        target: float | None = None,
        ramp_images: int = 500_000,
        every: int = 4,
    ) -> None:
        """Check and store the options.

        Args:
            image_shape: Channels, height and width of an image.
            value_range: Lowest and highest pixel value.
            steps: Which of brightness, saturation, contrast, translation and cutout; null: all that have a meaning for
                these images.
            probability: With which each step changes an image, from 0 to 1; without a target it stays.
            target: Makes the probability adaptive: it starts at 0, rises while the mean of D's decisions on real images
                (+1 real, -1 fake) is above this number, and falls while it is below; 0.6 in the paper. Null: fixed.
            ramp_images: Real images in which an adaptive probability would rise from 0 to 1.
            every: Batches between two changes of an adaptive probability.

        Raises:
            UserError: For an option out of its range, or saturation on one-channel images.
        """
        super().__init__(image_shape, value_range)
        for step in steps or ():
            check_choice("model.augmentation.steps", step, Step)
        if steps is not None and "saturation" in steps and image_shape[0] == 1:
            raise UserError(
                "model.augmentation.steps has saturation, which has no meaning for one-channel images: "
                "leave it out, or leave out steps for all the others"
            )
        if not 0 <= probability <= 1:
            raise UserError(f"model.augmentation.probability is {probability}: expected a number from 0 to 1")
        if target is not None and not -1 < target < 1:
            raise UserError(
                f"model.augmentation.target is {target}: expected a number between -1 (D takes all real images for "
                "fake) and 1 (it recognises all), such as 0.6"
            )
        check_above_zero("model.augmentation.ramp_images", ramp_images)
        check_at_least("model.augmentation.every", every, 1)
        self.steps, self.target, self.ramp_images, self.every = steps, target, ramp_images, every
        own = [step for step in STEPS if step != "saturation" or image_shape[0] > 1]
        self.own_steps = own if steps is None else [step for step in STEPS if step in steps]
        self.is_always = target is None and probability == 1
        self.register_buffer("probability", torch.tensor(0.0 if target is not None else probability))
        self.register_buffer("sums", torch.zeros(2))  # of the decisions since the last change, and their number

    def forward(self, images: Tensor) -> Tensor:
        with torch.autocast(images.device.type, enabled=False):
            low, high = self.value_range
            middle, reach = (low + high) / 2, (high - low) / 2
            is_centred = (middle, reach) == (0, 1)
            changed = images.float().contiguous()  # channels-last makes single steps ten times as slow on a CPU
            changed = changed if is_centred else (changed - middle) / reach  # now in [-1, 1]
            draws = self.draw(images)
            for step in self.own_steps:
                changed = getattr(self, step)(changed, *draws[step])
            changed = changed if is_centred else changed * reach + middle
            is_last = images.is_contiguous(memory_format=torch.channels_last) and not images.is_contiguous()
            return changed.contiguous(memory_format=torch.channels_last) if is_last else changed

    def draw(self, images: Tensor) -> dict[str, tuple[Tensor, Tensor, Tensor]]:
        """For each step two numbers from U(0, 1) and whether it is done, 0 or 1; each (batch,)."""
        count = len(self.own_steps)
        uniform = draw_own_rows(lambda rows: torch.rand(rows, 3, count, device=images.device), len(images))
        first, second, chance = uniform.unbind(dim=1)  # (batch, steps)
        done = torch.ones_like(chance) if self.is_always else (chance < self.probability).float()
        columns = zip(first.unbind(1), second.unbind(1), done.unbind(1), strict=True)
        return dict(zip(self.own_steps, columns, strict=True))

    def brightness(self, images: Tensor, amount: Tensor, _: Tensor, done: Tensor) -> Tensor:
        """Added to all pixels of an image: up to half of [-1, 1]'s reach, either way."""
        return images + per_image((amount - 0.5) * done)

    def saturation(self, images: Tensor, amount: Tensor, _: Tensor, done: Tensor) -> Tensor:
        """Distances from the pixel's grey are multiplied by 0 to 2."""
        grey = images.mean(dim=1, keepdim=True)
        return torch.lerp(grey, images, per_image(1 + (2 * amount - 1) * done))

    def contrast(self, images: Tensor, amount: Tensor, _: Tensor, done: Tensor) -> Tensor:
        """Distances from the image's mean are multiplied by 0.5 to 1.5."""
        mean = images.mean(dim=(1, 2, 3), keepdim=True)
        return torch.lerp(mean, images, per_image(1 + (amount - 0.5) * done))

    def translation(self, images: Tensor, down: Tensor, right: Tensor, done: Tensor) -> Tensor:
        """Whole pixels: each pixel is gathered from where it was, or is 0 where that is outside."""
        height, width = images.shape[2:]
        rows, has_row = lines_before(down, done, height)
        columns, has_column = lines_before(right, done, width)
        sources = (rows.unsqueeze(2) * width + columns.unsqueeze(1)).flatten(1).unsqueeze(1)  # (batch, 1, H * W)
        moved = images.flatten(2).gather(2, sources.expand(-1, images.shape[1], -1)).view_as(images)
        return moved * (has_row.unsqueeze(2) & has_column.unsqueeze(1)).unsqueeze(1)

    def cutout(self, images: Tensor, top: Tensor, left: Tensor, done: Tensor) -> Tensor:
        """A rectangle whose middle lies anywhere in the image."""
        height, width = images.shape[2:]
        hidden = hidden_lines(top, height).unsqueeze(2) * hidden_lines(left, width).unsqueeze(1)  # (batch, H, W)
        return images * (1 - hidden * done.view(-1, 1, 1)).unsqueeze(1)

    @torch.no_grad()
    def adapt(self, real_decisions: Tensor, batch: int) -> None:
        """Move an adaptive probability by the rule of Karras et al. 2020a, section 3.2; it never waits for a device."""
        if self.target is None:
            return
        decisions = real_decisions.float()
        found = torch.stack([decisions.sum(), torch.ones_like(decisions).sum()])
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.all_reduce(found)
        self.sums += found
        if (batch + 1) % self.every == 0:
            change = (self.sums[0] / self.sums[1] - self.target).sign() * self.sums[1] / self.ramp_images
            self.probability.add_(change).clamp_(0, 1)
            self.sums.zero_()

    def metrics(self) -> dict[str, Tensor]:
        return {} if self.target is None else {"augmentation_probability": self.probability}


def per_image(values: Tensor) -> Tensor:
    """Values (batch,) as (batch, 1, 1, 1)."""
    return values.view(-1, 1, 1, 1)


def lines_before(share: Tensor, done: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Where each line of a translated image was, and whether that is inside of it; each (batch, size).

    `share` (batch,) in [0, 1) chooses among all whole distances of up to an eighth of the size, in both directions.
    """
    reach = int(size / 8 + 0.5)
    distance = ((share * (2 * reach + 1)).floor() - reach) * done
    before = torch.arange(size, device=share.device) - distance.long().unsqueeze(1)
    return before.clamp(0, size - 1), (before >= 0) & (before < size)


def hidden_lines(share: Tensor, size: int) -> Tensor:
    """1 for the lines (batch, size) that are cut out, half of them around a middle that `share` (batch,) chooses."""
    hidden = int(size / 2 + 0.5)
    first = (share * (size + 1 - hidden % 2)).floor().unsqueeze(1) - hidden // 2
    lines = torch.arange(size, device=share.device)
    return ((lines >= first) & (lines < first + hidden)).to(share.dtype)
