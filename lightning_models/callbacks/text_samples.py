"""Texts that a language model writes, while it trains."""

from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer

from lab.errors import UserError
from lightning_models.language_model import CharLanguageModel
from lightning_models.modules.text_sampling import check_sampling
from lightning_models.tracking.media import save_table, save_text

COLUMNS = ["batches", "text"]


class TextSamples(Callback):
    """Writes samples into `samples/text-<batches>.txt`, and all of them so far as a table, `samples/texts`, and to W&B.

    One before the training, one at the chosen interval and one at the end, always with the same seed. The training
    itself is not changed: characters are drawn from a generator of their own. Other models are left alone.

    Args:
        length: characters of a sample, beside the prompt.
        prompt: what it begins with; by default it starts as after an empty line.
        temperature: logits are divided by it.
        top_k: only so many of the likeliest characters can be drawn; by default all.
        top_p: only the likeliest characters that together have this probability can be drawn; by default all.
        every_n_epochs: epochs between two samples; 0: only at the start and the end.
        seed: of what is drawn.
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
        """What an untrained model writes."""
        if trainer.global_step == 0:
            self.write(trainer, pl_module)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """A sample where one is due."""
        if self.every_n_epochs > 0 and (trainer.current_epoch + 1) % self.every_n_epochs == 0:
            self.write(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The last sample."""
        self.write(trainer, pl_module)

    def write(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write a sample, unless there is one of this batch already."""
        if not isinstance(pl_module, CharLanguageModel) or not trainer.is_global_zero:
            return
        if self.rows and self.rows[-1][0] == trainer.global_step:
            return
        text = pl_module.generate(self.length, self.prompt, self.temperature, self.top_k, self.top_p, self.seed)
        self.rows.append([trainer.global_step, text])
        save_text(trainer, f"text-{trainer.global_step:07d}", text)
        save_table(trainer, "samples/texts", COLUMNS, self.rows)

    def state_dict(self) -> dict[str, Any]:
        """The samples so far: the table of a resumed run holds them all."""
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """See state_dict."""
        self.rows = [list(row) for row in state_dict["rows"]]
