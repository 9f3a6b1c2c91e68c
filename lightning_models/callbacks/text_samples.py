"""Texts sampled from a language model during training."""

from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer

from lab.errors import UserError
from lightning_models.language_model import CharLanguageModel
from lightning_models.modules.text_sampling import check_sampling
from lightning_models.tracking.media import save_table, save_text

COLUMNS = ["batches", "text"]


class TextSamples(Callback):
    """Writes samples to `samples/text-<batches>.txt`, all so far to the table `samples/texts.csv`, and both to W&B.

    A text is sampled before training, at the chosen interval and at the end, always with the same seed. Training is not
    affected: characters are drawn from a generator of their own. Nothing is written for other models.

    Args:
        length: number of characters of a sample after the prompt.
        prompt: beginning of a sample; by default it begins as after a line break.
        temperature: divisor of the logits.
        top_k: sample from this number of most probable characters only; by default from all.
        top_p: sample from the smallest set of most probable characters only whose probabilities reach this sum; by
            default from all.
        every_n_epochs: epochs between two samples; 0: only at the start and the end.
        seed: of the random draws.
    """

    def __init__(
        self,
        length: int = 500,
        prompt: str = "",
        temperature: float = 0.8,
        top_k: int | None = None,
        top_p: float | None = None,
        every_n_epochs: int = 1,
        seed: int = 0,
    ) -> None:
        if length < 1:
            raise UserError(f"texts.length is {length}: expected at least 1 character")
        check_sampling(temperature, top_k, top_p)
        self.length, self.prompt, self.temperature, self.top_k, self.top_p = length, prompt, temperature, top_k, top_p
        self.every_n_epochs, self.seed = every_n_epochs, seed
        self.rows: list[list[Any]] = []  # of the table: number of batches, text

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """A sample of the untrained model."""
        if trainer.global_step == 0:
            self.write(trainer, pl_module)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.every_n_epochs > 0 and (trainer.current_epoch + 1) % self.every_n_epochs == 0:
            self.write(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.write(trainer, pl_module)

    def write(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write a sample, unless there is one of this step."""
        if not isinstance(pl_module, CharLanguageModel) or not trainer.is_global_zero:
            return
        if self.rows and self.rows[-1][0] == trainer.global_step:
            return
        text = pl_module.generate(self.length, self.prompt, self.temperature, self.top_k, self.top_p, self.seed)
        self.rows.append([trainer.global_step, text])
        save_text(trainer, f"text-{trainer.global_step:07d}", text)
        save_table(trainer, "samples/texts", COLUMNS, self.rows)

    def state_dict(self) -> dict[str, Any]:
        """The samples so far, which the table of a resumed run begins with."""
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.rows = [list(row) for row in state_dict["rows"]]
