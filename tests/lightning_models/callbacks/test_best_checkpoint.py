import pytest
import torch
from pytorch_lightning import LightningModule, Trainer
from torch.utils.data import DataLoader

from lightning_models.callbacks.best_checkpoint import BestCheckpoint


class Scored(LightningModule):
    """Logs `val/score` in some epochs, and something else that is best in the last one."""

    def __init__(self, scores):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.scores = scores

    def training_step(self, batch, batch_idx):
        return self.weight

    def on_train_epoch_end(self):
        self.log("val/loss", -float(self.current_epoch))
        if (score := self.scores[self.current_epoch]) is not None:
            self.log("val/score", score)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


@pytest.mark.parametrize(("mode", "epoch", "score"), [("max", 1, 5.0), ("min", 2, 1.0)])
def test_the_best_weights_by_a_metric_that_some_epochs_lack(tmp_path, mode, epoch, score):
    best = BestCheckpoint(tmp_path, "val/score", mode, save_on_train_epoch_end=True)
    scores = [None, 5.0, 1.0, None, 3.0]
    Trainer(
        accelerator="cpu",
        max_epochs=len(scores),
        callbacks=[best],
        default_root_dir=tmp_path,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    ).fit(Scored(scores), DataLoader(torch.zeros(1), num_workers=0))
    assert [path.name for path in tmp_path.glob("*.ckpt")] == ["best.ckpt"]
    kept = torch.load(tmp_path / "best.ckpt", weights_only=True)
    assert kept["epoch"] == epoch
    assert best.best_model_score.item() == score
