"""The other adversarial models: `GAN` with the defaults of their papers, and nothing else."""

from collections.abc import Callable
from typing import Any

from pytorch_lightning.cli import OptimizerCallable

from lightning_models.gan import GAN
from lightning_models.losses.objectives import Objective
from lightning_models.losses.regularizers import Regularizer
from lightning_models.modules.injection import default
from lightning_models.networks import Discriminator, ImageShape


class LSGAN(GAN):
    """Least squares GAN (Mao et al. 2017, eq. 9): `GAN` with squared distances as losses."""

    def __init__(
        self,
        image_shape: ImageShape,
        objective: Objective = default("lightning_models.losses.LeastSquares"),
        **kwargs: Any,
    ) -> None:
        super().__init__(image_shape, objective=objective, **kwargs)


class WGAN(GAN):
    """Wasserstein GAN with weight clipping (Arjovsky et al. 2017, algorithm 1 and its defaults)."""

    def __init__(
        self,
        image_shape: ImageShape,
        objective: Objective = default("lightning_models.losses.Wasserstein"),
        regularizer: Regularizer | list[Regularizer] | None = default(
            "lightning_models.losses.regularizers.WeightClipping", clip_value=0.01
        ),
        n_critic: int = 5,
        optimizer_g: OptimizerCallable = default("torch.optim.RMSprop", lr=5e-5),
        optimizer_d: OptimizerCallable = default("torch.optim.RMSprop", lr=5e-5),
        **kwargs: Any,
    ) -> None:
        super().__init__(
            image_shape,
            objective=objective,
            regularizer=regularizer,
            n_critic=n_critic,
            optimizer_g=optimizer_g,
            optimizer_d=optimizer_d,
            **kwargs,
        )


class WGANGP(GAN):
    """Wasserstein GAN with gradient penalty (Gulrajani et al. 2017, algorithm 1 and its defaults).

    The critic has no BatchNorm, because the penalty is on the gradient of each image on its own.
    """

    def __init__(
        self,
        image_shape: ImageShape,
        discriminator: Callable[[ImageShape], Discriminator] = default(
            "lightning_models.networks.DCGANDiscriminator", width=64, normalization="none"
        ),
        objective: Objective = default("lightning_models.losses.Wasserstein"),
        regularizer: Regularizer | list[Regularizer] | None = default(
            "lightning_models.losses.GradientPenalty", weight=10.0
        ),
        n_critic: int = 5,
        optimizer_g: OptimizerCallable = default("torch.optim.Adam", lr=1e-4, betas=[0.0, 0.9]),
        optimizer_d: OptimizerCallable = default("torch.optim.Adam", lr=1e-4, betas=[0.0, 0.9]),
        **kwargs: Any,
    ) -> None:
        super().__init__(
            image_shape,
            discriminator=discriminator,
            objective=objective,
            regularizer=regularizer,
            n_critic=n_critic,
            optimizer_g=optimizer_g,
            optimizer_d=optimizer_d,
            **kwargs,
        )
