"""What stands between images and the discriminator: noise and augmentation."""

import functools

import pytest
import torch
from pytorch_lightning import Trainer

from lightning_models.gan import GAN
from lightning_models.losses.objectives import NonSaturating, RelativisticPairing
from lightning_models.losses.regularizers import R1, R2
from lightning_models.modules.augmentation import Augmentation, DiffAugment
from tests.small_gans import IMAGE_SHAPE, SMALL, batches, train

pytestmark = [
    pytest.mark.filterwarnings("ignore:You defined a `validation_step` but have no `val_dataloader`"),
    # What it warns of, weights after the update, is what is wanted.
    pytest.mark.filterwarnings("ignore:Using ModelCheckpoint with manual optimization and every_n_train_steps"),
    pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty"),
]


def test_fresh_noise_gives_the_generator_other_images_than_the_discriminator_saw():
    def fakes(fresh_noise):
        module = GAN(IMAGE_SHAPE, **SMALL, fresh_noise=fresh_noise)
        seen = []
        module.discriminator.register_forward_pre_hook(lambda _, args: seen.append(args[0].detach().clone()))
        train(module)
        _, of_d, of_g = seen
        return of_d, of_g

    assert torch.equal(*fakes(fresh_noise=False))
    assert not torch.equal(*fakes(fresh_noise=True))


def test_noise_on_the_discriminators_inputs_decays_to_nothing():
    module = GAN(IMAGE_SHAPE, **SMALL, input_noise=0.5, input_noise_batches=2)
    data = batches(4, batch_size=256)
    seen = []
    module.discriminator.register_forward_pre_hook(lambda _, args: seen.append(args[0].detach()))
    train(module, loader=data)
    expected = [0.5, 0.25, 0.0, 0.0]
    stds = [(seen[3 * number] - real).std().item() for number, (real, _) in enumerate(data)]
    assert stds == pytest.approx(expected, abs=0.01)
    # The same fakes, in the updates of D and of G, with noise that is drawn for each.
    between = [(seen[3 * number + 1] - seen[3 * number + 2]).std().item() for number in range(4)]
    assert between == pytest.approx([std * 2**0.5 for std in expected], abs=0.01)


class Doubled(Augmentation):
    """Twice the image, and one more at each call."""

    calls = 0

    def forward(self, images):
        self.calls += 1
        return 2 * images + self.calls

    def adapt(self, real_decisions, batch):
        self.adapted = (real_decisions, batch)

    def metrics(self):
        return {"augmentation_probability": torch.tensor(0.5)}


@pytest.mark.parametrize("objective", [NonSaturating(), RelativisticPairing()])
def test_augmentation_stands_before_every_look_of_the_discriminator_and_only_in_training(objective):
    module = GAN(IMAGE_SHAPE, **SMALL, augmentation=Doubled, objective=objective, regularizer=[R1(), R2()])
    seen, fakes = [], []
    module.discriminator.register_forward_pre_hook(lambda _, args: seen.append(args[0].detach().clone()))
    module.generator.register_forward_hook(lambda _, args, images: fakes.append(images.detach()))
    recorder, _ = train(module)
    (fake,), real = fakes, batches(1).tensors[0]
    looks = [real, fake, real, fake, real, fake] if objective.compares else [real, fake, real, fake, fake]
    for number, (image, looked) in enumerate(zip(looks, seen, strict=True), start=1):  # D's loss, R1 and R2, G's loss
        torch.testing.assert_close(looked, 2 * image + number)
    decisions, batch = module.augmentation.adapted
    assert batch == 0
    assert set(decisions.flatten().tolist()) <= {-1.0, 1.0}
    assert decisions.mean().item() == pytest.approx(2 * recorder.metrics[1]["train/d_accuracy_real"] - 1)
    assert recorder.metrics[1]["train/augmentation_probability"] == 0.5
    module.eval().log = lambda *args, **options: None
    module.evaluate((real, None), 0, "val")
    assert torch.equal(seen[-2], real)


def test_the_generator_learns_through_the_augmentation():
    torch.manual_seed(1)
    module = GAN(IMAGE_SHAPE, **SMALL, augmentation=functools.partial(DiffAugment, target=0.6))
    recorder, _ = train(module, count=2)
    assert recorder.moved(1, "generator.") == recorder.all_of("generator.")
    assert module.hparams["augmentation"]["init_args"] == {"target": 0.6}
    assert {"augmentation.probability", "augmentation.sums"} <= module.state_dict().keys()


def test_two_processes_put_other_noise_on_images_and_measure_other_fakes(as_process):
    module = GAN(IMAGE_SHAPE, **SMALL, input_noise=0.5).eval()
    module.trainer = Trainer(accelerator="cpu", logger=False, enable_checkpointing=False)
    module.log = lambda *args, **options: None
    seen = []
    module.generator.register_forward_pre_hook(lambda _, args: seen.append(args[0]))

    def see(rank, world_size, count):
        as_process(rank, world_size)
        torch.manual_seed(0)
        images = torch.zeros(count, *IMAGE_SHAPE)
        module.evaluate((images, None), batch_idx=3, prefix="val")
        return module.with_input_noise(images), seen.pop()

    for one, first, second in zip(see(0, 1, 6), see(0, 2, 3), see(1, 2, 3), strict=True):
        assert torch.equal(torch.stack([first, second], dim=1).flatten(0, 1), one)
        assert not torch.equal(first, second)


def test_noise_lies_on_the_real_images_of_the_generators_update_too():
    module = GAN(IMAGE_SHAPE, **SMALL, objective=RelativisticPairing(), input_noise=0.5)
    seen, real = [], batches(1).tensors[0]
    module.discriminator.register_forward_pre_hook(lambda _, args: seen.append(args[0].detach()))
    train(module)
    assert [(looked - real).std().item() for looked in (seen[0], seen[2])] == pytest.approx([0.5, 0.5], rel=0.1)
    assert not torch.equal(seen[0], seen[2])
