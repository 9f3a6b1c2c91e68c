from types import SimpleNamespace

import pytest
from PIL import Image

from lightning_models.tracking import media
from lightning_models.tracking.media import save_picture, save_table


@pytest.mark.parametrize(("global_step", "step"), [(0, 0), (1, 0), (40, 39)])
def test_files_and_their_names_in_wandb(tmp_path, monkeypatch, global_step, step):
    logged = []
    logger = SimpleNamespace(
        log_image=lambda key, images, step: logged.append((key, step)),
        log_table=lambda key, columns, rows, step: logged.append((key, step, columns, rows)),
    )
    monkeypatch.setattr(media, "wandb_loggers", lambda trainer: [logger])
    trainer = SimpleNamespace(default_root_dir=str(tmp_path), global_step=global_step)
    for key in (None, "grid"):
        assert (
            save_picture(trainer, "grid-0000040", Image.new("L", (2, 2)), key) == tmp_path / "samples/grid-0000040.png"
        )
    assert save_table(trainer, "samples/texts", ["batches", "text"], [[1, "a"]]) == tmp_path / "samples/texts.csv"
    assert logged == [
        ("samples/grid-0000040", step),
        ("samples/grid", step),
        ("samples/texts", step, ["batches", "text"], [["1", "a"]]),
    ]
    assert (tmp_path / "samples/texts.csv").read_text().split() == ["batches,text", "1,a"]
