"""Where classes of earlier versions are now: checkpoints, configs and study folders that name them still open.

One table. `tests/lab/compat/test_moved.py` walks it. Imports nothing, so that everything may use it.
"""

from typing import Any

MOVED_MODULES = {  # a class keeps its name and is found in the module on the right
    "datamodules.names": "datamodules.sequences",
    "datamodules.palindromes": "datamodules.sequences",
    "datamodules.stacked_mnist": "datamodules.images",
    "lightning_models.likelihoods": "lightning_models.losses",
    "lightning_models.objectives": "lightning_models.losses",
    "lightning_models.regularizers": "lightning_models.losses",
    "lightning_models.schedules": "lightning_models.modules.schedules",
    "lightning_models.alarm_rules": "lightning_models.callbacks.alarm_rules",
}

MOVED_CLASSES = {  # a class that has another name now, also by its short name
    "lightning_models.callbacks.publish_judge.PublishJudge": (
        "lightning_models.callbacks.publish_classifier.PublishClassifier"
    ),
    "PublishJudge": "lightning_models.callbacks.publish_classifier.PublishClassifier",
}
MOVED_CONFIGS = {
    "configs/classifier/digits_judge.yaml": "configs/classifier/digits_features.yaml",
    "configs/classifier/mnist_judge.yaml": "configs/classifier/mnist_features.yaml",
}


def current_path(class_path: str) -> str:
    """`class_path` as it is today: "lightning_models.losses.Hinge" for "lightning_models.objectives.Hinge"."""
    if class_path in MOVED_CLASSES:
        return MOVED_CLASSES[class_path]
    module, _, name = class_path.rpartition(".")
    return f"{MOVED_MODULES[module]}.{name}" if module in MOVED_MODULES else class_path


def current_config(config: Any) -> Any:
    """`config`, as read from YAML, with the class paths of today; an equal value where nothing moved."""
    if isinstance(config, dict):
        return {key: current_config(value) for key, value in config.items()}
    if isinstance(config, list):
        return [current_config(value) for value in config]
    return current_path(config) if isinstance(config, str) else config
