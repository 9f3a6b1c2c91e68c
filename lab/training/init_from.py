"""fit --init_from: a new run that starts from the weights of another one."""

import sys
from collections import Counter
from dataclasses import dataclass, field

import torch
from pytorch_lightning import LightningModule
from pytorch_lightning.utilities import rank_zero_only
from torch import Tensor
from torchmetrics import Metric

from lab.errors import UserError
from lab.training import registry
from lab.training.checkpoints import carried, config_of_run, model_class, preview, read_checkpoint
from lightning_models.modules.augmentation import Augmentation
from lightning_models.modules.class_paths import allowed, check_checkpoint_names, class_at, packages_in

OF_A_RUN = (Metric, Augmentation)  # modules whose values are of the training before, not of a network
MOST_LISTED = 20


@dataclass
class Taken:
    """Which weights of a checkpoint fitted a model, why the others of the model did not, and what else it holds."""

    names: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)

    def summary(self, path: str, notes: list[str]) -> str:
        """For people: a line, and one for each of the others."""
        number = len(self.names)
        lines = [
            f"init_from    {path}: {number} of {number + len(self.problems)} weights and buffers of this model taken"
        ]
        lines += [f"  not taken  {problem}" for problem in self.problems[:MOST_LISTED]]
        if (more := len(self.problems) - MOST_LISTED) > 0:
            lines.append(f"  not taken  {more} more")
        parts = Counter(name.partition(".")[0] for name in self.unused)
        lines += [f"  not used   {count} of {part} that this model does not have" for part, count in parts.items()]
        return "\n".join([*lines, *(f"  note       {note}" for note in notes)])


def check_family(path: str, model: type) -> None:
    """Raise a UserError unless the checkpoint is of the model's family, such as a GAN's for an LSGAN."""
    checkpoint = read_checkpoint(path, every_byte=True)
    name = model_class(checkpoint)
    if name is None:
        raise UserError(f"--init_from {path} holds no model of this project: its class is None")
    with allowed(packages_in(config_of_run(path))):
        check_checkpoint_names(checkpoint, path)
        found = class_at(name)
    if family(found) is not family(model):
        raise UserError(
            f"--init_from {path} holds a {found.__name__}, from which a {model.__name__} cannot start: give a "
            f"checkpoint of the family {family(model).__name__}"
        )


def family(model: type) -> type:
    """GAN for an LSGAN; a class of none of the families is one of its own."""
    return next((known for known in registry.LEARNS_FROM if issubclass(model, known)), model)


def init_from(path: str, model: LightningModule) -> None:
    """Give `model` the weights of a checkpoint, as far as they fit, and print which do not.

    Raises:
        UserError: if none fits.
    """
    taken = take_weights(read_checkpoint(path)["state_dict"], model)
    if not taken.names:
        raise UserError(f"no weights of --init_from {path} fit this {type(model).__name__} ({taken.problems[0]}; ...)")
    notes = [
        f"the {name.replace('_', ' ')} differ ({preview(stored)} there, {preview(here)} here), and weights of the same "
        "place in it are taken"
        for name, stored in carried(path).items()
        if (here := model.hparams.get(name)) is not None and list(here) != list(stored)
    ]
    tell(taken.summary(path, notes))


@torch.no_grad()
def take_weights(stored: dict[str, Tensor], model: torch.nn.Module) -> Taken:
    """Copy what has the same name and shape, parameters and buffers.

    Averaged weights that the checkpoint does not have start as the weights that they average.
    """
    left_alone = tuple(f"{name}." for name, module in model.named_modules() if isinstance(module, OF_A_RUN))
    wanted = {name: value for name, value in model.state_dict().items() if not name.startswith(left_alone)}
    taken, used = Taken(), set()
    for name, value in wanted.items():
        source = name if name in stored else name.replace("_ema.average.", ".")
        if source not in stored:
            taken.problems.append(f"{name}: not in the checkpoint")
        elif stored[source].shape != value.shape:
            taken.problems.append(f"{name}: {tuple(stored[source].shape)} there, {tuple(value.shape)} here")
        else:
            value.copy_(stored[source])
            taken.names.append(name)
        used.add(source)
    taken.unused = [name for name in stored if name not in used and not name.startswith(left_alone)]
    return taken


@rank_zero_only
def tell(text: str) -> None:
    """Say it on stderr."""
    print(text, file=sys.stderr)
