"""A resumed run trains with the optimizer options that it is given, also where the checkpoint has others."""

import sys
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.trainer.states import TrainerFn
from pytorch_lightning.utilities import rank_zero_only
from torch import Tensor
from torch.optim import Optimizer

from lab.errors import UserError

WORDS = {"lr": "learning rate", "weight_decay": "weight decay"}  # for people
Description = dict[str, Any]  # of an optimizer, as `described` makes it


class GivenOptimizerOptions(Callback):
    """Replaces what a checkpoint says of an optimizer's options by what the user has changed since then.

    Lightning restores an optimizer with all its options, whatever the user has set. A checkpoint also holds what
    `configure_optimizers` made the optimizers with (`configured`). A resume compares that with what it makes them with
    now, whether this comes from an option or from the code of a class: what differs replaces the checkpoint's value,
    and is printed. Nothing else is touched, such as a learning rate that a schedule has brought down.

    It must see the checkpoint before the optimizers are restored, as with every strategy of Lightning's that restores
    before its own set-up (one process, DDP).
    """

    def __init__(self) -> None:
        self.configured: list[Description] = []
        self.checkpoint: dict[str, Any] | None = None  # between its opening and the restoring of the optimizers

    def state_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {"configured": self.configured}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """See state_dict."""
        self.configured = state_dict["configured"]

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Keep the checkpoint, from which Lightning restores the optimizers after `on_fit_start`."""
        if trainer.state.fn == TrainerFn.FITTING:
            self.checkpoint = checkpoint

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Change the checkpoint's state of the optimizers where the user has changed their options.

        Raises:
            UserError: if the optimizers are others.
        """
        before, self.configured = self.configured, [described(optimizer, trainer) for optimizer in trainer.optimizers]
        checkpoint, self.checkpoint = self.checkpoint, None
        if checkpoint is None or "optimizer_states" not in checkpoint:
            return
        states = checkpoint["optimizer_states"]
        in_states = [described_state(state) for state in states]
        before = before or in_states
        for kept in (before, in_states):
            check_same_kind(kept, self.configured)
        changes: list[str] = []
        for optimizer, then, now, state in zip(trainer.optimizers, before, self.configured, states, strict=True):
            schedulers = [
                kept
                for config, kept in zip(trainer.lr_scheduler_configs, checkpoint["lr_schedulers"], strict=False)
                if config.scheduler.optimizer is optimizer
            ]
            several = len(trainer.optimizers) + len(optimizer.param_groups) > 2
            for number, group in enumerate(optimizer.param_groups):
                kept_group = state["param_groups"][number]
                changed = changed_names(then["groups"][number], now["groups"][number])
                told = [f"{WORDS.get(n, n)} {then['groups'][number][n]} -> {now['groups'][number][n]}" for n in changed]
                for name in changed:
                    if name == "lr":
                        set_rate(kept_group, schedulers, number, then["groups"][number]["lr"], base_rate(group))
                    else:
                        kept_group[name] = group[name]
                if told:
                    changes.append(", ".join(told) + (f" of {owners(group, pl_module)}" if several else ""))
        print_changes(changes)


@rank_zero_only
def print_changes(changes: list[str]) -> None:
    """One line, or none."""
    if changes:
        print(f"resumed with {'; '.join(changes)}", file=sys.stderr)


def described(optimizer: Optimizer, trainer: Trainer) -> Description:
    """The optimizer's class, its schedulers' classes, and the plain options of each of its groups."""
    schedulers = [config.scheduler for config in trainer.lr_scheduler_configs]
    return {
        "class": class_name(optimizer),
        "schedulers": [class_name(scheduler) for scheduler in schedulers if scheduler.optimizer is optimizer],
        "groups": [options_of_group(group) for group in optimizer.param_groups],
    }


def described_state(state: dict[str, Any]) -> Description:
    """The same of an optimizer's state in a checkpoint of an earlier version, as far as the state tells it."""
    return {"class": None, "schedulers": None, "groups": [options_of_group(group) for group in state["param_groups"]]}


def class_name(made: Any) -> str:
    """The class of an object with its module."""
    return f"{type(made).__module__}.{type(made).__qualname__}"


def base_rate(group: dict[str, Any]) -> Any:
    """The learning rate that a group was made with; a schedule changes `lr` at once."""
    return group.get("initial_lr", group["lr"])


def options_of_group(group: dict[str, Any]) -> dict[str, Any]:
    """The options of a group of parameters as plain values, the learning rate as it was before a schedule."""
    options = {name: plain(value) for name, value in group.items() if name not in ("params", "initial_lr")}
    if "lr" in group:
        options["lr"] = plain(base_rate(group))
    return {
        name: value for name, value in options.items() if value is None or isinstance(value, (int, float, str, list))
    }


def plain(value: Any) -> Any:
    """A number for a tensor, a list for a tuple."""
    if isinstance(value, Tensor):
        return value.tolist()
    return [plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def changed_names(then: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """The options of both that differ."""
    return [name for name in now if name in then and then[name] != now[name]]


def check_same_kind(before: list[Description], now: list[Description]) -> None:
    """Raise a UserError if a state cannot be that of the optimizer, or of the schedules, that it would be given to."""
    remedy = "a resume goes on with their state, and only their options may change. Take the same again, or start anew"
    if len(before) != len(now):
        raise UserError(
            f"the checkpoint has the state of {len(before)} optimizers, but now there are {len(now)}: {remedy}"
        )
    for then, given in zip(before, now, strict=True):
        unknown = set().union(*then["groups"]) - set().union(*given["groups"])
        name = given["class"].rpartition(".")[2]
        if then["class"] is None and unknown:  # the class was not kept: its options tell
            raise UserError(
                f"the checkpoint's optimizer has {', '.join(sorted(unknown))}, which {name} lacks: {remedy}"
            )
        if then["class"] not in (None, given["class"]):
            was = then["class"].rpartition(".")[2]
            raise UserError(f"the checkpoint has the state of the optimizer {was}, but now it is {name}: {remedy}")
        if len(then["groups"]) != len(given["groups"]):
            counts = f"{len(then['groups'])} groups of parameters, but now it has {len(given['groups'])}"
            raise UserError(f"the checkpoint's optimizer {name} has {counts}: {remedy}")
        if then["schedulers"] not in (None, given["schedulers"]):
            had, has = (", ".join(s.rpartition(".")[2] for s in d["schedulers"]) or "none" for d in (then, given))
            raise UserError(f"the learning rate schedule of {name} was {had} and is {has} now: {remedy}")


def set_rate(group: dict[str, Any], schedulers: list[dict[str, Any]], number: int, then: float, now: Any) -> None:
    """Exchange the base learning rate of a group; what a schedule has made of it is kept as a factor.

    Args:
        group: in the state of the optimizer.
        schedulers: the states of the optimizer's schedulers.
        number: of the group.
        then: base learning rate of the checkpoint.
        now: base learning rate that was given.
    """

    def scaled(rate: Any) -> Any:
        return now if rate == then or then == 0 else rate * (now / then)

    group["lr"] = scaled(group["lr"])
    if "initial_lr" in group:
        group["initial_lr"] = now
    for state in schedulers:
        set_base_rate(state, number, now)


def set_base_rate(state: dict[str, Any], number: int, rate: Any) -> None:
    """Exchange the base learning rate of a group in the state of a scheduler, and of those in it (SequentialLR)."""
    if number < len(state.get("base_lrs", [])):
        state["base_lrs"][number] = rate
    for inner in state.get("_schedulers", []):
        set_base_rate(inner, number, rate)


def owners(group: dict[str, Any], module: LightningModule) -> str:
    """The parts of the module whose parameters a group holds: `discriminator`."""
    held = {id(parameter) for parameter in group["params"]}
    names = [name.partition(".")[0] for name, parameter in module.named_parameters() if id(parameter) in held]
    return ", ".join(dict.fromkeys(names))
