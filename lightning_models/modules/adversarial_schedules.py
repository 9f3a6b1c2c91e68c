"""All numbers of an adversarial training that change on schedule, set once a batch."""

from pytorch_lightning import Trainer

from lightning_models.modules.schedules import Constant, Schedule, training_progress


class AdversarialSchedules:
    """Of the learning rates, the weight of the penalties and the memory of the averaged generator.

    They depend on `trainer.global_step` only, so a resumed run goes on with the same numbers.
    """

    def __init__(self, rates: Schedule, penalty: Schedule, ema: Schedule) -> None:
        self.rates, self.penalty, self.ema = rates, penalty, ema
        self.is_constant = all(isinstance(each, Constant) for each in (rates, penalty, ema))
        self.penalty_factor, self.ema_factor = 1.0, 1.0

    def start_batch(self, trainer: Trainer) -> None:
        """Set the optimizers' learning rates and both factors for the batch that starts.

        Raises:
            UserError: if something is scheduled, but neither epochs nor steps limit the training.
        """
        if self.is_constant:
            return
        progress = training_progress(trainer, trainer.global_step)
        for optimizer in trainer.optimizers:
            self.rates.apply(optimizer, progress)
        self.penalty_factor, self.ema_factor = self.penalty.factor(progress), self.ema.factor(progress)

    def metrics(self, trainer: Trainer) -> dict[str, float]:
        """What is scheduled, as it is in this batch; D's optimizer is the trainer's first, G's the second."""
        found: dict[str, float] = {}
        if not isinstance(self.rates, Constant):
            names = (("learning_rate_d", "beta2_d"), ("learning_rate_g", "beta2_g"))
            for (learning_rate, beta2), optimizer in zip(names, trainer.optimizers, strict=True):
                (group,) = optimizer.param_groups
                found[learning_rate] = group["lr"]
                if "betas" in group:
                    found[beta2] = group["betas"][1]
        if not isinstance(self.penalty, Constant):
            found["penalty_factor"] = self.penalty_factor
        if not isinstance(self.ema, Constant):
            found["ema_factor"] = self.ema_factor
        return found
